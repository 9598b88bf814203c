"""Rasters: what the elements of an input or output do in each tick, the float network above the integer network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array
from snncompile.report.svg import CHAR, document, words

MAX_ROWS = 48
"""The most elements that are shown; of more, the most active ones."""
WIDTH, HEIGHT = 440.0, 300.0
LEFT, TOP, BOTTOM = 34.0, 26.0, 18.0
LEVELS = 4
"""How many depths of colour values have."""
STYLE = """\
.snnc-raster .integer{fill:var(--integer)}.snnc-raster .float{fill:var(--float)}.snnc-raster .input{fill:var(--line)}
.snnc-raster .apart{fill:none;stroke:var(--mark);stroke-width:1.4}"""


@dataclass(frozen=True)
class Raster:
    """What the elements of an input or output do.

    Attributes:
        title: its name, and what it is.
        values: `[tick, element]`, of the input, or of the output of the integer network.
        exact: the output of the float network; None for an input, and without a float network.
    """

    title: str
    values: Array
    exact: Array | None = None


def to_svg(raster: Raster) -> str:
    """A raster, with ticks from left to right and elements from top to bottom, as a part of a page."""
    return _Picture(raster).svg()


class _Picture:
    """A raster while it is drawn.

    Attributes:
        rows: the positions of the elements that are shown, in ascending order.
        wide, high: the size of a cell, in pixels.
    """

    def __init__(self, raster: Raster):
        self.raster = raster
        self.ticks, self.elements = raster.values.shape
        active = np.abs(raster.values).sum(0) + (0 if raster.exact is None else np.abs(raster.exact).sum(0))
        self.rows = np.sort(np.argsort(-active, kind="stable")[:MAX_ROWS])
        self.wide = min((WIDTH - LEFT) / max(self.ticks, 1), 26.0)
        self.high = min(max((HEIGHT - TOP - BOTTOM) / max(len(self.rows), 1), 6.0), 18.0)

    def svg(self) -> str:
        chosen = f", the {len(self.rows)} most active of {self.elements:,}" if len(self.rows) < self.elements else ""
        title = f"{self.raster.title}{chosen}"
        across, down = self.ticks * self.wide, len(self.rows) * self.high
        parts = [words(0, 14, title, "title"),
                 f'<rect class="grid" x="{LEFT}" y="{TOP}" width="{across:.1f}" height="{down:.1f}"/>']
        if self.raster.exact is None:
            parts += self._cells("input" if self.raster.title.startswith("input") else "integer", self.raster.values)
        else:
            parts += self._cells("float", self.raster.exact, 0.0, 0.5)
            parts += self._cells("integer", self.raster.values, 0.5, 0.5)
            parts += self._apart(self.raster.exact)
        parts += self._axes(down)
        return document("snnc-raster", title, max(LEFT + across + 8, CHAR * len(title)), TOP + down + BOTTOM,
                        parts, None)

    def _cells(self, kind: str, values: Array, top: float = 0.0, share: float = 1.0) -> Iterator[str]:
        """The cells of values other than 0, the deeper in colour the larger the value is.

        Args:
            top, share: where in a row the cells begin, and how much of it they fill.
        """
        size = np.abs(values[:, self.rows])
        depth = np.ceil(LEVELS * size / max(float(size.max(initial=0)), 1e-30)).astype(int)
        for level in np.unique(depth[depth > 0]).tolist():
            path = "".join(self._box(t, i + top, share) for t, i in np.argwhere(depth == level).tolist())
            yield f'<path class="{kind}" fill-opacity="{level / LEVELS:g}" d="{path}"/>'

    def _apart(self, exact: Array) -> Iterator[str]:
        """A frame around each cell in which the networks differ."""
        found = np.argwhere(exact[:, self.rows] != self.raster.values[:, self.rows]).tolist()
        if found:
            yield f'<path class="apart" d="{"".join(self._box(t, i, 1.0) for t, i in found)}"/>'

    def _box(self, tick: int, row: float, share: float) -> str:
        x, y = LEFT + tick * self.wide, TOP + row * self.high
        return f"M{x:.1f} {y:.1f}h{self.wide:.1f}v{share * self.high:.1f}h-{self.wide:.1f}z"

    def _axes(self, down: float) -> Iterator[str]:
        """The numbers of some elements at the left, and of some ticks below."""
        every = -(-len(self.rows) // max(int(down // 12), 1))
        for i in range(0, len(self.rows), max(every, 1)):
            yield words(LEFT - 5, TOP + (i + 0.5) * self.high + 4, f"{self.rows[i]}", "axis", "end")
        every = next(n for n in (1, 2, 5, 10, 20, 50, 100) if n * self.wide >= 24 or n == 100)
        for t in range(0, self.ticks, every):
            yield words(LEFT + (t + 0.5) * self.wide, TOP + down + 13, str(t), "axis", "middle")
