"""Curves over ticks: one membrane with its threshold and spikes, and outputs that are no spikes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array
from snncompile.report.svg import CHAR, document, words

WIDTH, HEIGHT = 400.0, 220.0
LEFT, RIGHT, TOP, BOTTOM = 100.0, 8.0, 26.0, 20.0
SPIKES = 22.0
"""The height of the two rows of spikes above the curves."""
LINE = 13.0
COLOURS = ("#2f74c0", "#c9771a", "#3d9a57", "#c25450", "#8566b8", "#a08c1e", "#2f9a96", "#bb5c94", "#87735c", "#6d7f8f")
"""The colours of elements of an output; in the middle, so that they can be seen by day and by night."""
STYLE = """\
.snnc-curve path{fill:none;stroke-width:1.6;stroke-linejoin:round}.snnc-curve path.float{stroke-dasharray:5 3}
.snnc-curve .float{stroke:var(--float)}.snnc-curve .integer{stroke:var(--integer)}
.snnc-curve .threshold{stroke:var(--soft);stroke-dasharray:2 3}
.snnc-curve .first{stroke:var(--mark);stroke-width:1.4}"""


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes:
        values: `[tick]`.
        kind: the class that its style is for, `float` or `integer`.
        colour: that of an element of an output; None for that of its kind.
    """

    values: Array
    kind: str
    colour: str | None = None


@dataclass(frozen=True)
class Curves:
    """Curves in one system of axes.

    Attributes:
        spikes: rows of spikes above the curves: the kind, and `[tick]` with the spikes in each.
        threshold: None for none.
        first: the tick of the first difference; None for none.
    """

    title: str
    lines: Sequence[Line]
    spikes: Sequence[tuple[str, Array]] = ()
    threshold: float | None = None
    first: int | None = None


def to_svg(curves: Curves) -> str:
    """The curves as a part of a page."""
    return _Picture(curves).svg()


class _Picture:
    """Curves while they are drawn.

    Attributes:
        low, high: the least and the largest value.
        top: where the curves begin, below the spikes.
    """

    def __init__(self, curves: Curves):
        self.curves = curves
        ends = [0.0] if curves.threshold is None else [0.0, curves.threshold]
        ends += [float(end) for line in curves.lines for end in (line.values.min(), line.values.max())]
        self.low, self.high = min(ends), max(ends)
        self.ticks = max(len(line.values) for line in curves.lines)
        self.top = TOP + (SPIKES if curves.spikes else 0.0)

    def svg(self) -> str:
        curves, bottom = self.curves, HEIGHT - BOTTOM
        parts = [words(0, 14, curves.title, "title"),
                 f'<path class="grid" d="M{LEFT} {self.top}V{bottom}H{WIDTH - RIGHT}"/>', *self._axes(bottom)]
        if curves.threshold is not None:
            y = self._y(curves.threshold)
            parts.append(f'<path class="threshold" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts += [self._line(line) for line in curves.lines]
        for row, (kind, fired) in enumerate(curves.spikes):
            parts += self._spikes(kind, fired, TOP + row * SPIKES / 2)
        if curves.first is not None:
            parts.append(f'<path class="first" d="M{self._x(curves.first):.1f} {TOP}V{bottom}"/>')
        width = max(WIDTH, CHAR * len(curves.title))
        return document("snnc-curve", curves.title, width, HEIGHT, parts, None)

    def _x(self, tick: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (tick + 0.5) / max(self.ticks, 1)

    def _y(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return HEIGHT - BOTTOM - 6 - share * (HEIGHT - BOTTOM - 12 - self.top)

    def _line(self, line: Line) -> str:
        points = " ".join(f"{self._x(t):.1f} {self._y(float(v)):.1f}" for t, v in enumerate(line.values))
        colour = f' style="stroke:{line.colour}"' if line.colour else ""
        return f'<path class="{line.kind}"{colour} d="M{points}"/>'

    def _spikes(self, kind: str, fired: Array, y: float) -> Iterator[str]:
        path = "".join(f"M{self._x(t):.1f} {y:.1f}v{SPIKES / 2 - 3:.1f}" for t in np.flatnonzero(fired).tolist())
        yield words(LEFT - 6, y + 8, kind, "axis", "end")
        if path:
            yield f'<path class="{kind}" style="stroke-dasharray:none" d="{path}"/>'

    def _axes(self, bottom: float) -> Iterator[str]:
        named = [] if self.curves.threshold is None else [(self.curves.threshold, "threshold ")]
        for value in (self.low, self.high, 0.0):
            if all(abs(self._y(value) - self._y(other)) > LINE for other, _ in named):
                named.append((value, ""))
        for value, word in named:
            yield words(LEFT - 6, self._y(value) + 4, f"{word}{value:.3g}", "axis", "end")
        wide = (WIDTH - LEFT - RIGHT) / max(self.ticks, 1)
        every = next(n for n in (1, 2, 5, 10, 20, 50, 100) if n * wide >= 24 or n == 100)
        for t in range(0, self.ticks, every):
            yield words(self._x(t), bottom + 14, str(t), "axis", "middle")
