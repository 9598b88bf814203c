"""Strips: layers of convolutions cut into single pixels, which cores take strip after strip of the frame.

Where axons are scarce, it matters how many pixels a core holds of a layer, and of which shape. Boxes of one size waste
axons at the border of a frame, where windows hang over, and wherever a frame is no multiple of them. Strips do not: a
core takes as many pixels along a strip as its axons allow, and strips at the border are wider.

Axons leave a core too, and how many depends on where the readers lie. Here the readers are put on cores of their own
first, which says how many cores each neuron reaches, nearly. So layers that are read by many cores are spread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.fill_cores import FillCores, Line, OpenCore, Resource, TileTooLarge, fill_by_layers
from snncompile.mapping.lower_bounds import OUT_AXONS
from snncompile.mapping.partitioned import Partition
from snncompile.mapping.pieces import Pieces
from snncompile.mapping.traffic import out_axons
from snncompile.targets.memory import CHANNELS
from snncompile.targets.reach import Axis, Volume

HEIGHTS = 9
"""How many heights of strips are tried."""
PARTS_OF_AXONS = 6
"""The tiles of a core send into at most this part of its out-axons each, so that a core can take several."""
WAYS = ((1.0, 0.7), (0.75, 0.7), (0.6, 0.5), (0.6, 0.15), (0.5, 0.3))
"""The ways to mix layers that are tried, as pairs of two numbers. Of the out-axons of a core, its first layer may use
this share; and another layer lies beside it if a tile of that takes at most 1 / 0.7 times as much of the core as it
takes of a core of its own, and so on."""
SETTLED = 4
"""How often cores are filled again where too many axons leave them."""


def strips(axis: Axis, most: int) -> Array:
    """The strip of each position of an axis, `[position]`: as wide as may be if each reads at most `most` inputs.

    A kernel of 5 with a padding of 2 reads fewer inputs at both ends:

    >>> from snncompile.ir.windows import Window
    >>> strips(Axis.same(10).through([Window(10, 10, taps=5, before=2)]), 6).tolist()
    [0, 0, 0, 0, 1, 1, 2, 2, 2, 2]
    """
    strip, first = np.zeros(len(axis), np.int64), 0
    for at in range(1, len(axis)):
        ends = axis.high[at] - axis.low[first] + 1 > most
        first = at if ends else first
        strip[at] = strip[at - 1] + ends
    return strip


def by_strips(boxes: Sequence[Volume], frames: Sequence[tuple[Axis, Axis] | None],
              cut: Callable[[Sequence[Volume]], Pieces]) -> Iterator[Partition]:
    """Partitions along strips, for each of WAYS; those in which a tile is too large for a core are left out.

    Args:
        boxes: by row of the layer table, single pixels where that takes no more memory.
        frames: what the rows and columns of each population read, by row of the layer table; None for one that keeps
            its boxes.
        cut: the network cut into boxes.
    """
    boxes = list(boxes)
    while True:
        pieces = cut(boxes)
        try:
            queues, alone = _queues(pieces, frames)
        except TileTooLarge:
            return
        need = out_axons(pieces.axons, alone, len(alone))
        limit = pieces.target.limits.out_axons_per_core
        smaller = {} if limit is None else _smaller(pieces, boxes, need, max(1, limit // PARTS_OF_AXONS))
        if not smaller:
            break
        for row, channels in smaller.items():
            boxes[row] = (channels, *boxes[row][1:])
    for share, worth in WAYS:
        filled = partial(fill_beside, share=share, worth=worth)
        try:
            yield pieces.partition(queues, "strips", partial(_settled, pieces, need, filled))
        except TileTooLarge:
            continue


def _smaller(pieces: Pieces, boxes: Sequence[Volume], need: Array, most: int) -> dict[int, int]:
    """The channels of boxes whose tiles send into more than `most` axons, so that they send into about as many."""
    largest = np.zeros(len(boxes), np.int64)
    np.maximum.at(largest, pieces.tiles.population, need)
    return {row: max(1, boxes[row][CHANNELS] // -(-int(largest[row]) // most))
            for row in np.flatnonzero(largest > most).tolist() if boxes[row][CHANNELS] > 1}


def _queues(pieces: Pieces, frames: Sequence[tuple[Axis, Axis] | None]) -> tuple[list[Array], Array]:
    """The tiles of each layer in the order in which it takes the fewest cores, and those cores, `core[tile]`.

    Raises:
        TileTooLarge: a tile does not fit on a core of its own.
    """
    alone, cores, queues = np.empty(len(pieces.tiles), np.int64), 0, []
    for queue in pieces.queues(np.arange(len(frames))):
        frame = frames[int(pieces.tiles.population[queue[0]])]
        taken = [(_by_itself(order, pieces.resources), order) for order in _orders(pieces, queue, frame)]
        core, order = min(taken, key=lambda both: int(both[0][-1]))
        alone[order] = core + cores
        cores += int(core[-1]) + 1
        queues.append(order)
    return queues, alone


def _orders(pieces: Pieces, queue: Array, frame: tuple[Axis, Axis] | None) -> Iterator[Array]:
    """The orders of the tiles of a layer along strips of rows and of columns, back and forth."""
    if frame is None:
        yield queue
        return
    channel, *low = pieces.tiles.low[queue].T
    for axis, across, along in ((frame[0], low[0], low[1]), (frame[1], low[1], low[0])):
        tried = {strips(axis, axis.most + more).tobytes(): strips(axis, axis.most + more) for more in range(HEIGHTS)}
        for strip in tried.values():
            number = strip[across]
            yield queue[np.lexsort((across, np.where(number % 2, -along, along), number, channel))]


def _by_itself(order: Array, resources: Sequence[Resource]) -> Array:
    """The cores that a layer takes by itself, for its tiles in their order."""
    line = Line(order, tuple(r for r in resources if r.limit is not None))
    limits = np.array([r.limit for r in line.resources], np.float64)
    many = []
    while line.start < len(order):
        many.append(line.alone(limits)[0])
        line.start += many[-1]
    return np.repeat(np.arange(len(many)), many)


def _settled(pieces: Pieces, need: Array, filled: FillCores, queues: Sequence[Array],
             resources: tuple[Resource, ...]) -> Array:
    """Cores filled several times: where too many axons leave a core, its tiles need more of them.

    Args:
        need: `[tile]`, the axons that leave each tile, as far as is known before.
    """
    limit = pieces.target.limits.out_axons_per_core
    if limit is None or any(r.name == OUT_AXONS for r in resources):
        return filled(queues, resources)
    for _ in range(SETTLED):
        core = filled(queues, (*resources, Resource(OUT_AXONS, limit, need)))
        leaving = out_axons(pieces.axons, core, len(core))
        over = np.bincount(core, leaving) > limit
        need = np.where(over[core], np.maximum(need, leaving), need)
        if not over.any() or (need > limit).any():
            break
    return core


def fill_beside(queues: Sequence[Array], resources: tuple[Resource, ...], share: float = 1.0, worth: float = 0.7
                ) -> Array:
    """Give tiles to cores, `core[tile]`: each core takes a layer, and beside it what is packed no worse than alone.

    As `fill_mixed`, each core begins with the layer of which a full core has the fewest neurons. The next layer is the
    one that saves the largest part of a core of its own. A layer that would take much more of this core than of its
    own, as one does of which a few pixels take nearly as many axons as many pixels, is not taken.

    Two layers on cores of 8 neurons and 6 axons, with tiles of 1 neuron and 3 axons, and of 3 neurons and no axons:

    >>> neurons, axons = np.array([1] * 4 + [3] * 4), np.array([3] * 4 + [0] * 4)
    >>> fill_beside([np.arange(4), np.arange(4, 8)], (Resource("neurons", 8, neurons), Resource("axons", 6, axons)))
    array([0, 0, 1, 1, 0, 0, 1, 1])

    Args:
        queues: the tiles of each layer, in the order in which cores take them.
        resources: neurons first.
        share, worth: see WAYS.

    Raises:
        TileTooLarge: a tile is too much for a core of its own.
    """
    shares = np.array([share if r.name == OUT_AXONS else 1.0 for r in resources if r.limit is not None])

    def load(at: OpenCore) -> None:
        line: Line | None = min(at.waiting, key=lambda line: float(line.alone(at.limits)[1][0]))
        part = at.room * shares
        while line is not None:
            at.take(line, part if line.fitting(part)[0] else at.room)
            part, line = at.room, _next(at.waiting, at.room, at.limits, worth)

    return fill_by_layers(queues, resources, load)


def _next(waiting: Sequence[Line], room: Array, limits: Array, worth: float) -> Line | None:
    """The layer that saves the largest part of a core of its own where so much is left of one; None for none."""
    best, most = None, 0.0
    for line in waiting:
        count, used = line.fitting(room)
        if not count:
            continue
        many, full = line.alone(limits)
        saved = count / many
        if saved > most and saved * float((full / limits)[1:].sum()) >= worth * float((used / limits)[1:].sum()):
            best, most = line, saved
    return best
