"""A drawing of the cores in use, coloured by the populations on them, and of the traffic on the links between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.partitioned import Partition
from snncompile.mapping.place import Placement
from snncompile.report.svg import CHAR, document, short, words, xml

MAX_TILES = 4096
WIDTH, ROW, PITCH = 900.0, 18.0, 150.0
MAX_NAME, ONE_COLUMN = 34, 6
LEAST_BAND = 0.07
"""The least height of the band of a population, as a share of its core, so that few neurons are seen too."""
BESIDE, WITHIN = 30.0, 62.0
"""The least sides of a core, in pixels, that bears its number, and the names of its populations."""
COLOURS = ("#7fb2e5", "#f2b36b", "#8fcf9a", "#e58f8f", "#b79fdc", "#d9c46a", "#7fcfcb", "#e59fc6", "#b3a28f", "#9fb0bd")
"""Fill colours of the populations, used in turn; light, so that dark text stays visible on them by day and by night."""
STYLE = """\
.snnc-chip .chip{fill:var(--card);stroke:var(--line);stroke-dasharray:6 4}
.snnc-chip .tile{fill:var(--page);stroke:var(--line)}.snnc-chip .free{fill:var(--empty)}
.snnc-chip .core{stroke:var(--line);stroke-width:.6;fill:none}.snnc-chip .on{fill:#1d2733;font-size:10.5px}
.snnc-chip line{stroke:var(--mark);stroke-linecap:round}"""


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


def all_cores(placement: Placement) -> int:
    """How many cores the chips of a placement have."""
    return len(placement.corners) * placement.columns * placement.rows * placement.cores_per_tile


def to_svg(partition: Partition, placement: Placement, style: str | None = STYLE) -> str:
    """The tiles from the first to the last column and row in use, as an SVG document; with a style of None, as a part
    of a page.

    A core is divided into bands, one a population, by their shares of its neurons.
    """
    return _Picture(partition, placement, style).svg()


@dataclass
class _Picture:
    """An SVG document while it is built.

    Attributes:
        parts: the elements of the document so far.
        first, last: column and row of the first and the last tile that is drawn.
        pitch, side: distance of two tiles, and width of a tile, in pixels.
        rows: the populations on the chip, by their position in `partition.populations`.
        colour: the colour of each of them.
        held: for each core, its populations and how many neurons of each it holds.
    """

    partition: Partition
    placement: Placement
    style: str | None
    parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        tiles = self.partition.tiles
        place = np.stack([self.placement.column, self.placement.row])
        self.first, self.last = place.min(1), place.max(1)
        self.columns, self.lines = (self.last - self.first + 1).tolist()
        self.pitch = min(PITCH, WIDTH / self.columns)
        self.side = 0.76 * self.pitch
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
        legend, height = self._legend(self.lines * self.pitch + 12)
        title = f"{self.partition.cores:,} of {all_cores(self.placement):,} cores"
        return document("snnc-chip", title, max(self.columns * self.pitch, legend), height, self.parts, self.style)

    def _at(self, column: float, row: float) -> tuple[float, float]:
        """The corner of a tile's place in the drawing."""
        return (column - float(self.first[0])) * self.pitch, (row - float(self.first[1])) * self.pitch

    def _chips(self) -> None:
        """Draw a frame around the tiles of each chip, where there are several."""
        corners, size = self.placement.corners, np.array([self.placement.columns, self.placement.rows])
        for number, corner in enumerate(corners if len(corners) > 1 else []):
            begin, end = np.maximum(corner, self.first), np.minimum(corner + size - 1, self.last)
            if np.all(begin <= end):
                (x, y), (wide, high) = self._at(*begin.tolist()), ((end - begin + 1) * self.pitch - 2).tolist()
                self.parts.append(f'<rect class="chip" x="{x + 1:.1f}" y="{y + 1:.1f}" width="{wide:.1f}" '
                                  f'height="{high:.1f}"><title>chip {number}</title></rect>')

    def _links(self) -> None:
        """Draw a line for each link with traffic, its width proportional to the packets."""
        right, down = link_loads(self.partition, self.placement)
        most = max(float(right.max(initial=0)), float(down.max(initial=0)), 1.0)
        for loads, step in ((right, (1, 0)), (down, (0, 1))):
            for row, column in np.argwhere(loads > 0).tolist():
                load = float(loads[row, column])
                x, y = self._at(column + 0.5, row + 0.5)
                wide = max(0.4, 0.2 * self.pitch * load / most)
                ends = x + step[0] * self.pitch, y + step[1] * self.pitch
                self.parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{ends[0]:.1f}" y2="{ends[1]:.1f}" '
                                  f'stroke-width="{wide:.2f}"><title>{load:,.0f} packets</title></line>')

    def _tiles(self) -> None:
        place = self.placement
        across = math.ceil(math.sqrt(place.cores_per_tile))
        each, free = self.side / across, {(c, r): 0 for c in range(int(self.first[0]), int(self.last[0]) + 1)
                                          for r in range(int(self.first[1]), int(self.last[1]) + 1)}
        for column, row in free:
            x, y = self._corner(column, row, 0, across)
            self.parts.append(f'<rect class="tile" x="{x - 2:.1f}" y="{y - 2:.1f}" width="{self.side + 4:.1f}" '
                              f'height="{self.side + 4:.1f}" rx="3"/>')
        for core, tile in enumerate(zip(place.column.tolist(), place.row.tolist(), strict=True)):
            self._core(core, *self._corner(*tile, free[tile], across), each)
            free[tile] += 1
        for tile, used in free.items():
            for slot in range(used, place.cores_per_tile):
                x, y = self._corner(*tile, slot, across)
                self.parts.append(f'<rect class="free" x="{x + 1:.1f}" y="{y + 1:.1f}" width="{each - 2:.1f}" '
                                  f'height="{each - 2:.1f}"/>')

    def _corner(self, column: int, row: int, slot: int, across: int) -> tuple[float, float]:
        """Where a core of a tile lies in the drawing."""
        x, y = self._at(column, row)
        inset, each = (self.pitch - self.side) / 2, self.side / across
        return x + inset + slot % across * each, y + inset + slot // across * each

    def _core(self, core: int, x: float, y: float, side: float) -> None:
        held = self.held[core]
        named = ", ".join(f"{self._name(row)} {many:,}" for row, many in held)
        total, top = sum(many for _, many in held), y
        shares = [max(many / total, LEAST_BAND) for _, many in held]
        self.parts.append(f"<g><title>{xml(f'core {core}: {named} neurons')}</title>")
        for (row, _), share in zip(held, shares, strict=True):
            high = side * share / sum(shares)
            self.parts.append(f'<rect fill="{self.colour[row]}" x="{x:.1f}" y="{top:.2f}" width="{side:.1f}" '
                              f'height="{high:.2f}"/>')
            if side >= WITHIN and high >= ROW:
                name = short(self._name(row), int(side / CHAR))
                self.parts.append(words(x + side / 2, top + high / 2 + 4, name, "on", "middle"))
            top += high
        if BESIDE <= side < WITHIN:
            self.parts.append(words(x + side / 2, y + side / 2 + 4, str(core), "on", "middle"))
        self.parts.append(f'<rect class="core" x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}"/></g>')

    def _legend(self, top: float) -> tuple[float, float]:
        """Draw the names of the populations with their colours, from the height `top` on, in two columns if many.

        Returns:
            The width that the legend needs, and the height of the picture that ends with it.
        """
        entries = [(row, self._name(row), self._words(row)) for row in self.rows.tolist()]
        column = 40 + CHAR * max((len(name) + len(said) for _, name, said in entries), default=0)
        columns = 1 if len(entries) <= ONE_COLUMN else 2
        for i, (row, name, said) in enumerate(entries):
            x, y = 4 + column * (i % columns), top + ROW * (i // columns)
            self.parts.append(
                f'<rect class="core" style="fill:{self.colour[row]}" x="{x:.0f}" y="{y:.1f}" width="11" height="11"/>'
                f'<text x="{x + 17:.0f}" y="{y + 10:.1f}">{xml(name)} <tspan class="small">{said}</tspan></text>')
        return column * columns, top + ROW * (-(-len(entries) // columns)) + 6

    def _words(self, row: int) -> str:
        many = sum(n for held in self.held for r, n in held if r == row)
        cores = sum(any(r == row for r, _ in held) for held in self.held)
        return f"{many:,} neuron{'s' * (many != 1)}, {cores:,} core{'s' * (cores != 1)}"

    def _name(self, row: int) -> str:
        return short(self.partition.populations[row], MAX_NAME)
