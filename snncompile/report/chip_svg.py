"""A drawing of chips: their cores, coloured by the populations on them, and the traffic on the links of their mesh."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape

import numpy as np

from snncompile.diagnostics import printable
from snncompile.ir.types import Array
from snncompile.mapping.partitioned import Partition
from snncompile.mapping.place import Placement

MAX_TILES = 4096
WIDTH, ROW, LETTER = 900.0, 18.0, 7.4
MAX_NAME = 34
COLOURS = ("#7fb2e5", "#f2b36b", "#8fcf9a", "#e58f8f", "#b79fdc", "#d9c46a", "#7fcfcb", "#e59fc6", "#b3a28f", "#9fb0bd")
"""Fill colours of the populations, used in turn; light, so that a border and black text stay visible."""
STYLE = """\
.snnc-chip{font:12px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;fill:#1d2733}
.snnc-chip .chip{fill:#f3f6f9;stroke:#5b6b7c;stroke-dasharray:6 4}
.snnc-chip .tile{fill:#fff;stroke:#9aa8b5}.snnc-chip .core{stroke:#5b6b7c;stroke-width:.6;fill:none}
.snnc-chip line{stroke:#b4481e;stroke-linecap:round}.snnc-chip .small{fill:#4a5866}"""


def drawable(placement: Placement) -> bool:
    """Whether a mesh has few enough tiles to be drawn."""
    return math.prod(placement.size) <= MAX_TILES


def link_loads(partition: Partition, placement: Placement) -> tuple[Array, Array]:
    """Packets over each link of the mesh in both directions, if every neuron fires once.

    A packet travels along its row first and then along the column of its destination (XY routing). The links of a row
    that it crosses are a range, so +1 is noted where the range begins and -1 where it ends; running sums then give the
    load of every link.

    Returns:
        `[row, column]` twice: packets over the link from a tile to its right neighbour, and to the tile below it.
    """
    flows = partition.traffic
    x0, y0 = placement.column[flows.source], placement.row[flows.source]
    x1, y1 = placement.column[flows.target], placement.row[flows.target]
    columns, rows = placement.size
    right, down = np.zeros((rows, columns + 1)), np.zeros((rows + 1, columns))
    for sign, x, y in ((1, np.minimum(x0, x1), np.minimum(y0, y1)), (-1, np.maximum(x0, x1), np.maximum(y0, y1))):
        np.add.at(right, (y0, x), sign * flows.packets)
        np.add.at(down, (y, x1), sign * flows.packets)
    return np.cumsum(right, 1)[:, :-1], np.cumsum(down, 0)[:-1]


def to_svg(partition: Partition, placement: Placement) -> str:
    """The chips as an SVG document. A core is divided into bands, one a population, by their shares of its neurons."""
    return _Picture(partition, placement).svg()


@dataclass
class _Picture:
    """An SVG document while it is built.

    Attributes:
        parts: the elements of the document so far.
        pitch, side: distance of two tiles, and width of a tile, in pixels.
        rows: the populations on the chip, by their position in `partition.populations`.
        colour: the colour of each of them.
        held: for each core, its populations and how many neurons of each it holds.
    """

    partition: Partition
    placement: Placement
    parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        tiles = self.partition.tiles
        self.columns, self.lines = self.placement.size
        self.pitch = min(72.0, WIDTH / self.columns)
        self.side = 0.68 * self.pitch
        self.rows = np.unique(tiles.population)
        self.colour = {int(row): COLOURS[i % len(COLOURS)] for i, row in enumerate(self.rows)}
        key = tiles.population * max(self.partition.cores, 1) + self.partition.core
        pairs, at = np.unique(key, return_inverse=True)
        rows, cores = np.divmod(pairs, max(self.partition.cores, 1))
        self.held: list[list[tuple[int, int]]] = [[] for _ in range(self.partition.cores)]
        for row, core, many in zip(rows, cores, np.bincount(at, tiles.neurons), strict=True):
            self.held[core].append((int(row), int(many)))

    def svg(self) -> str:
        self._chips()
        self._links()
        self._tiles()
        bottom = self.lines * self.pitch + 12
        legend, height = self._legend(bottom)
        width = max(self.columns * self.pitch, legend)
        size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
        return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" class="snnc-chip" role="img" {size}>',
                          f"<title>{self.partition.cores} cores</title>", f"<style>{STYLE}</style>", *self.parts,
                          "</svg>"]) + "\n"

    def _chips(self) -> None:
        """Draw a frame around each chip, where there are several."""
        place = self.placement
        for number, (column, row) in enumerate(place.corners.tolist() if len(place.corners) > 1 else []):
            self.parts.append(f'<rect class="chip" x="{column * self.pitch + 1:.1f}" y="{row * self.pitch + 1:.1f}" '
                              f'width="{place.columns * self.pitch - 2:.1f}" '
                              f'height="{place.rows * self.pitch - 2:.1f}"><title>chip {number}</title></rect>')

    def _links(self) -> None:
        """Draw a line for each link with traffic, its width proportional to the packets."""
        right, down = link_loads(self.partition, self.placement)
        most = max(float(right.max(initial=0)), float(down.max(initial=0)), 1.0)
        for loads, step in ((right, (1, 0)), (down, (0, 1))):
            for row, column in np.argwhere(loads > 0).tolist():
                load = float(loads[row, column])
                x, y = (column + 0.5) * self.pitch, (row + 0.5) * self.pitch
                wide = max(0.4, 0.22 * self.pitch * load / most)
                ends = x + step[0] * self.pitch, y + step[1] * self.pitch
                self.parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{ends[0]:.1f}" y2="{ends[1]:.1f}" '
                                  f'stroke-width="{wide:.2f}"><title>{load:,.0f} packets</title></line>')

    def _tiles(self) -> None:
        place = self.placement
        across = int(np.ceil(np.sqrt(place.cores_per_tile)))
        each, free = self.side / across, np.zeros((self.lines, self.columns), int)
        tiles = place.corners[:, None] + np.argwhere(np.ones((place.columns, place.rows)))
        for column, row in tiles.reshape(-1, 2).tolist():
            x, y = (n * self.pitch + (self.pitch - self.side) / 2 for n in (column, row))
            self.parts.append(f'<rect class="tile" x="{x:.1f}" y="{y:.1f}" width="{self.side:.1f}" '
                              f'height="{self.side:.1f}"/>')
        for core, (column, row) in enumerate(zip(place.column.tolist(), place.row.tolist(), strict=True)):
            slot = free[row, column]
            free[row, column] += 1
            x = column * self.pitch + (self.pitch - self.side) / 2 + slot % across * each
            self._core(core, x, row * self.pitch + (self.pitch - self.side) / 2 + slot // across * each, each)

    def _core(self, core: int, x: float, y: float, side: float) -> None:
        held = self.held[core]
        words = ", ".join(f"{escape(self._name(row))} {many:,}" for row, many in held)
        total, top = sum(many for _, many in held), y
        self.parts.append(f"<g><title>core {core}: {words} neurons</title>")
        for row, many in held:
            high = side * many / total
            self.parts.append(f'<rect fill="{self.colour[row]}" x="{x:.1f}" y="{top:.2f}" width="{side:.1f}" '
                              f'height="{high:.2f}"/>')
            top += high
        self.parts.append(f'<rect class="core" x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}"/></g>')

    def _legend(self, top: float) -> tuple[float, float]:
        """Draw the names of the populations with their colours, in two columns, from the height `top` on.

        Returns:
            The width that the legend needs, and the height of the picture that ends with it.
        """
        entries = [(row, self._name(row), self._words(row)) for row in self.rows.tolist()]
        column = 40 + LETTER * max((len(name) + len(words) for _, name, words in entries), default=0)
        for i, (row, name, words) in enumerate(entries):
            x, y = 4 + column * (i % 2), top + ROW * (i // 2)
            self.parts.append(
                f'<rect class="core" style="fill:{self.colour[row]}" x="{x:.0f}" y="{y:.1f}" width="11" height="11"/>'
                f'<text x="{x + 17:.0f}" y="{y + 10:.1f}">{escape(name)} <tspan class="small">{words}</tspan></text>')
        return column * min(len(entries), 2), top + ROW * (-(-len(entries) // 2)) + 6

    def _words(self, row: int) -> str:
        many = sum(n for held in self.held for r, n in held if r == row)
        cores = sum(any(r == row for r, _ in held) for held in self.held)
        return f"{many:,} neuron{'s' * (many != 1)}, {cores:,} core{'s' * (cores != 1)}"

    def _name(self, row: int) -> str:
        name = printable(self.partition.populations[row]).replace("\n", " ")
        return name if len(name) <= MAX_NAME else name[:MAX_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
