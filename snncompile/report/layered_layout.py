"""A layered layout for drawings of graphs, in which boxes, lines and labels do not overlap.

The method is that of Sugiyama, Tagawa and Toda (1981): assign each box to a layer, order the boxes within the layers so
that few lines cross, then choose the horizontal positions. A line that passes several layers gets an invisible cell in
each of them, which keeps boxes away from it; its label takes the place of one of these cells.

Boxes are on even layers. The odd layers between them hold cells only, so that neighbouring boxes can have a label
between them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 12
MAX_CELLS = 60_000
GAP_BOX, GAP_LINE, PORT = 26.0, 14.0, 12.0


@dataclass(frozen=True)
class Size:
    """The extent of a box in pixels: to the left and to the right of its centre line, and its height."""

    left: float = 0.0
    right: float = 0.0
    height: float = 0.0


@dataclass(frozen=True)
class Link:
    """A line from the box `upper` down to the box `lower`, both given by their positions in the list of boxes."""

    upper: int
    lower: int
    label: Size | None = None


Column = tuple[float, float, float]
"""A vertical piece of a line: its x, and the y of its upper and of its lower end."""


@dataclass(frozen=True)
class Layout:
    """The positions of all boxes, lines and labels, in pixels from the upper left corner.

    Attributes:
        width, height: extent of the whole drawing.
        boxes: centre `(x, y)` of each box.
        paths: for each link its columns from top to bottom.
        labels: centre of each link's label; None for a link without one.
    """

    width: float
    height: float
    boxes: list[tuple[float, float]]
    paths: list[list[Column]]
    labels: list[tuple[float, float] | None]


@dataclass
class _Cells:
    """The boxes, followed by the cells that links pass through; each is known by its position.

    Attributes:
        size, layer: size of each cell, and the layer that it is on.
        above, below: the cells that it is linked to on the layers above and below.
        rows: the cells of each layer from left to right.
    """

    size: list[Size]
    layer: list[int]
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)

    def add(self, size: Size, layer: int) -> int:
        self.size.append(size)
        self.layer.append(layer)
        self.above.append([])
        self.below.append([])
        return len(self.size) - 1

    def join(self, upper: int, lower: int) -> None:
        self.below[upper].append(lower)
        self.above[lower].append(upper)

    def apart(self, left: int, right: int, boxes: int) -> float:
        """The least distance between the centre lines of two neighbours in a row; `boxes` is the number of boxes."""
        gap = GAP_BOX if left < boxes and right < boxes else GAP_LINE
        return self.size[left].right + gap + self.size[right].left


def arrange(boxes: Sequence[Size], links: Sequence[Link], margin: float = 16.0) -> Layout:
    """Find positions for boxes and links.

    Args:
        links: each must lead from an earlier box of the list to a later one.
        margin: free space around the drawing, in pixels.
    """
    cells = _Cells(list(boxes), [2 * r for r in _ranks(len(boxes), links)], [[] for _ in boxes], [[] for _ in boxes])
    routes, label_cells = _route(cells, links)
    cells.rows = [[] for _ in range(max(cells.layer, default=0) + 1)]
    for cell, layer in enumerate(cells.layer):
        cells.rows[layer].append(cell)
    _reduce_crossings(cells)
    x = _place(cells, len(boxes))
    shift = margin - min((x[i] - s.left for i, s in enumerate(cells.size)), default=0.0)
    x = [v + shift for v in x]
    tops, bottoms = _heights(cells, x, margin)
    middle = [(tops[layer] + bottoms[layer]) / 2 for layer in cells.layer]
    paths = _ports(cells, routes, x, tops, bottoms, middle)
    width = max((x[i] + s.right for i, s in enumerate(cells.size)), default=0.0) + margin
    return Layout(width, bottoms[-1] + margin, [(x[i], middle[i]) for i in range(len(boxes))], paths,
                  [None if c is None else (x[c], middle[c]) for c in label_cells])


def _ranks(count: int, links: Sequence[Link]) -> list[int]:
    """The layer of each box, counted in boxes: the length of the longest path that leads to it.

    A box to which no link leads is moved down to the layer above the first box that it leads to.
    """
    rank = [0] * count
    for link in sorted(links, key=lambda k: k.lower):
        rank[link.lower] = max(rank[link.lower], rank[link.upper] + 1)
    led_to = {link.lower for link in links}
    for i in set(range(count)) - led_to:
        below = [rank[link.lower] for link in links if link.upper == i]
        rank[i] = min(below) - 1 if below else 0
    return rank


def _route(cells: _Cells, links: Sequence[Link]) -> tuple[list[list[int]], list[int | None]]:
    """Add cells for the links. Returns the cells of each link from top to bottom, and the cell that holds its label.

    With more than MAX_CELLS cells in all, a link gets only the cell of its label, so that time and memory stay bounded.
    """
    steps = sum(cells.layer[k.lower] - cells.layer[k.upper] for k in links)
    routes: list[list[int]] = []
    labels: list[int | None] = []
    for link in links:
        top, bottom = cells.layer[link.upper], cells.layer[link.lower]
        at = top + 1 + (bottom - top) // 4 * 2
        layers = range(top + 1, bottom) if steps <= MAX_CELLS else [at]
        own = {layer: cells.add((link.label or Size()) if layer == at else Size(), layer) for layer in layers}
        route = [link.upper, *own.values(), link.lower]
        for a, b in pairwise(route):
            cells.join(a, b)
        routes.append(route)
        labels.append(own[at] if link.label else None)
    return routes, labels


def _reduce_crossings(cells: _Cells) -> None:
    """Reorder the rows so that fewer lines cross.

    Sweeps go down and up in turn. Each sorts a row by the mean position of the linked cells in the row that it came
    from. The order with the fewest crossings is kept.
    """
    best, least = [list(row) for row in cells.rows], _crossings(cells)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        neighbours = cells.above if down else cells.below
        place = {c: i / max(len(row) - 1, 1) for row in cells.rows for i, c in enumerate(row)}
        for row in cells.rows if down else reversed(cells.rows):
            weight = {c: _mean([place[n] for n in neighbours[c]], place[c]) for c in row}
            row.sort(key=weight.__getitem__)
            place.update({c: i / max(len(row) - 1, 1) for i, c in enumerate(row)})
        crossings = _crossings(cells)
        if crossings < least:
            best, least = [list(row) for row in cells.rows], crossings
    cells.rows = best


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(cells: _Cells) -> int:
    """How many pairs of lines between neighbouring rows cross.

    Two lines cross where the one that starts further left ends further right. Going from left to right, the ends so
    far are kept sorted, so that bisection gives the number of ends beyond the new one.
    """
    total = 0
    for row, following in pairwise(cells.rows):
        place = {c: i for i, c in enumerate(following)}
        earlier: list[int] = []
        for cell in row:
            ends = sorted(place[b] for b in cells.below[cell] if b in place)
            total += sum(len(earlier) - bisect_left(earlier, end + 1) for end in ends)
            for end in ends:
                insort(earlier, end)
    return total


def _place(cells: _Cells, boxes: int) -> list[float]:
    """The x of each cell: as near to the cells that it is linked to as the order and the gaps of its row allow."""
    x = [0.0] * len(cells.size)
    for row in cells.rows:
        _settle(cells, row, [0.0] * len(row), [1.0] * len(row), boxes, x)
    for sweep in range(SWEEPS):
        down, last = sweep % 2 == 0, sweep >= SWEEPS - 4
        for row in cells.rows if down else cells.rows[::-1]:
            near = [[] if last else cells.above[c] if down else cells.below[c] for c in row]
            near = [n or cells.above[c] + cells.below[c] for n, c in zip(near, row, strict=True)]
            wish = [_mean([x[n] for n in around], x[c]) for around, c in zip(near, row, strict=True)]
            pull = [8.0 if c >= boxes else 1.0 + len(n) for n, c in zip(near, row, strict=True)]
            _settle(cells, row, wish, pull, boxes, x)
    return x


def _settle(cells: _Cells, row: list[int], wish: list[float], pull: list[float], boxes: int, x: list[float]) -> None:
    """Set the x of the cells of a row to the positions nearest to the wished ones that keep the order and the gaps.

    This minimises `sum pull (x - wish)^2`. After the least distances from the first cell (`offset`) are subtracted, the
    positions only have to be non-decreasing: isotonic regression, solved by pooling adjacent violators. A pool is a run
    of cells that share a position, with the sum of their weighted wishes, of their weights, and their count. Example:
    wishes 5, 3, 9 with equal pull give pools (5, 3) at 4 and (9) at 9.
    """
    offset = 0.0
    pools: list[tuple[float, float, int]] = []
    offsets: list[float] = []
    for i, cell in enumerate(row):
        offset += cells.apart(row[i - 1], cell, boxes) if i else 0.0
        offsets.append(offset)
        total, weight, count = (wish[i] - offset) * pull[i], pull[i], 1
        while pools and pools[-1][0] / pools[-1][1] >= total / weight:
            before = pools.pop()
            total, weight, count = total + before[0], weight + before[1], count + before[2]
        pools.append((total, weight, count))
    places = [total / weight for total, weight, count in pools for _ in range(count)]
    for cell, place, o in zip(row, places, offsets, strict=True):
        x[cell] = place + o


def _heights(cells: _Cells, x: list[float], margin: float) -> tuple[list[float], list[float]]:
    """The y of the top and of the bottom of each row.

    The gap above a row grows with the horizontal distance that its lines cross, so that no line is too flat.
    """
    tops: list[float] = []
    bottoms: list[float] = []
    for row in cells.rows:
        lean = max((abs(x[c] - x[a]) for c in row for a in cells.above[c]), default=0.0)
        empty = not any(cells.size[c].height for c in row)
        gap = min(14.0 + lean * 0.12, 56.0) * (0.6 if empty else 1.0)
        tops.append(bottoms[-1] + gap if bottoms else margin)
        bottoms.append(tops[-1] + max((cells.size[c].height for c in row), default=0.0))
    return tops, bottoms


def _ports(cells: _Cells, routes: list[list[int]], x: list[float], tops: list[float], bottoms: list[float],
           middle: list[float]) -> list[list[Column]]:
    """The columns of each link; lines that start or end at the same box do so side by side."""
    starts = _spread(cells, [(r[0], x[r[1]]) for r in routes], x)
    ends = _spread(cells, [(r[-1], x[r[-2]]) for r in routes], x)
    paths: list[list[Column]] = []
    for i, route in enumerate(routes):
        first, last = route[0], route[-1]
        path = [(starts[i], middle[first] + cells.size[first].height / 2, bottoms[cells.layer[first]])]
        path += [(x[c], tops[row], bottoms[row]) for c, row in ((c, cells.layer[c]) for c in route[1:-1])
                 if bottoms[row] > tops[row]]
        path.append((ends[i], tops[cells.layer[last]], middle[last] - cells.size[last].height / 2))
        paths.append(path)
    return paths


def _spread(cells: _Cells, ends: list[tuple[int, float]], x: list[float]) -> list[float]:
    """The x at which each line touches its box.

    Args:
        ends: for each line the box, and the x from which the line comes; lines at one box keep the order of these.
    """
    at: dict[int, list[int]] = {}
    for i, (box, _) in enumerate(ends):
        at.setdefault(box, []).append(i)
    touches = [0.0] * len(ends)
    for box, lines in at.items():
        room = 2 * min(cells.size[box].left, cells.size[box].right) - PORT
        step = min(PORT, room / max(len(lines) - 1, 1))
        lines.sort(key=lambda i: ends[i][1])
        for k, i in enumerate(lines):
            touches[i] = x[box] + (k - (len(lines) - 1) / 2) * step
    return touches
