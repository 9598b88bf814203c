"""The shapes of tiles: the boxes with which a population alone takes the fewest cores, and smaller parts of them.

A core that holds a box of `c` channels, `h` rows and `w` columns needs in-axons and memory for all that the box reads.
A small upper bound on both follows from the intervals of `targets.reach`, so that every side of a box can be tried.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NoReturn

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.types import Array
from snncompile.mapping.lower_bounds import OUT_AXONS
from snncompile.mapping.tiles import Link
from snncompile.targets.columns import KERNEL
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.memory import CHANNELS, COLUMNS, IN_AXONS, NEURONS, ROWS, SYNAPSES, MemoryModel
from snncompile.targets.reach import Axis, Volume, most_of_a_neuron

SHARES = (0.2, 0.34, 0.4, 0.5, 1.0)
"""The shares of a core's memory and axons up to which one tile may use them, in the boxes that `box_options` gives."""


def sides(size: int) -> Array:
    """The sides of blocks that are tried for an axis of so many positions: those of its cuts into equal blocks.

    >>> sides(10).tolist()
    [1, 2, 3, 4, 5, 10]

    A side of 6 would also leave two blocks, as a side of 5 does. Of very long axes, 256 sides are tried.
    """
    return np.unique(-(-size // np.arange(1, size + 1))) if size < 1 << 14 else np.unique(
        -(-size // np.geomspace(1, size, 256).astype(np.int64)))


def _span(axis: Axis, sizes: Array) -> Array:
    """How many inputs a block of each size reads along an axis, at most.

    The inputs from the first to the last that the block reads are counted, so that those which a stride leaves out
    count too; only for blocks of one position is the number exact.
    """
    spans = np.empty(len(sizes), np.int64)
    for i, size in enumerate(sizes.tolist()):
        low = np.arange(0, len(axis), size)
        high = np.minimum(low + size, len(axis)) - 1
        spans[i] = (axis.high[high] - axis.low[low] + 1).max() if size > 1 else axis.count.max()
    return np.maximum(spans, 0)


class _Need:
    """What a box of one population needs of a core, for every shape of a box that is tried.

    Attributes:
        channels: the numbers of channels that are tried.
        pixels: `[pixels, (rows, columns)]`, the sizes of frames that are tried. Long and thin ones are left out, unless
            they reach over the whole frame, because they read more than compact ones.
        neurons, axons, bits: `[channels, pixels]`; axons and bits are upper bounds.
        least_axons, least_bits: what some neuron needs at least if it is alone on a core.
    """

    def __init__(self, name: str, shape: Volume, into: Sequence[tuple[Link, tuple[Axis, Axis, Axis]]],
                 memory: MemoryModel):
        self.name, self.shape, self.memory = name, shape, memory
        self.channels = sides(shape[0])
        rows, columns = (a.ravel() for a in np.meshgrid(sides(shape[1]), sides(shape[2])))
        compact = np.maximum(rows, columns) <= 2 * np.minimum(rows, columns)
        self.pixels = np.stack([rows, columns], 1)[compact | (rows == shape[1]) | (columns == shape[2])]
        self.neurons = self.channels[:, None] * self.pixels.prod(1)
        self.axons = np.zeros_like(self.neurons)
        self.bits = np.zeros_like(self.neurons)
        for link, axes in into:
            self._add(link, axes)
        self.least_axons = most_of_a_neuron([(link.source, [a.least for a in axes]) for link, axes in into])
        self.least_bits = most_of_a_neuron([(i, self._bits_of_a_neuron(*part)) for i, part in enumerate(into)])

    def _add(self, link: Link, axes: tuple[Axis, Axis, Axis]) -> None:
        channels = _span(axes[0], self.channels)[:, None]
        pixels = _span(axes[1], self.pixels[:, 0]) * _span(axes[2], self.pixels[:, 1])
        self.axons += channels * pixels
        bits, readers = np.asarray(link.bits), np.minimum(self.channels, axes[0].most_readers)[:, None]
        if link.listing == KERNEL:
            self.bits += channels * link.taps * self.memory.list_bits(readers, bits)
            return
        many = readers * np.minimum(self.pixels, [a.most_readers for a in axes[1:]]).prod(1)
        self.bits += channels * pixels * self.memory.list_bits(many, bits)

    def _bits_of_a_neuron(self, link: Link, axes: tuple[Axis, Axis, Axis]) -> list[Array]:
        """The bits of the synapses into one neuron, as factors along the axes. A shared kernel is stored as a whole."""
        each = int(self.memory.list_bits(np.asarray(1), np.asarray(link.bits)))
        if link.listing == KERNEL:
            return [link.taps * each * axes[0].least, *((a.least > 0).astype(np.int64) for a in axes[1:])]
        return [each * axes[0].least, axes[1].least, axes[2].least]

    def options(self) -> dict[Volume, Array]:
        """Boxes of which a neuron uses little memory and few axons, with what they use of neurons, axons and memory.

        There is one for each of `SHARES`, the best that uses no larger share of the memory and the axons of a core.
        """
        limits = self.memory.target.limits
        most = np.array([np.inf if n is None else n for n in (
            limits.neurons_per_core, limits.in_axons_per_core, limits.synapse_bits_per_core)])[:, None, None]
        used = np.stack([self.neurons, self.axons, self.bits])
        share = used / most
        each = np.where(share[0] <= 1, share[1:].sum(0) / self.neurons, np.inf)
        found: dict[Volume, Array] = {}
        for largest in SHARES:
            cost = np.where((share[1:] <= largest).all(0), each, np.inf)
            channel, pixel = np.unravel_index(int(np.argmin(cost)), cost.shape)
            if np.isfinite(cost[channel, pixel]):
                rows, columns = self.pixels[pixel].tolist()
                found[int(self.channels[channel]), rows, columns] = used[:, channel, pixel]
        return found or {(1, 1, 1): used[:, 0, 0]}

    def choose(self) -> Volume:
        """The box to cut the population into: as few boxes as fit, of those with few axons, and the most compact.

        Raises:
            CompileError: SNN413 and SNN416 where a single neuron needs more than a core has.
        """
        limits = self.memory.target.limits
        fits = np.ones(self.neurons.shape, bool)
        for used, most, least, name in (
                (self.neurons, limits.neurons_per_core, 1, NEURONS),
                (self.axons, limits.in_axons_per_core, self.least_axons, IN_AXONS),
                (self.bits, limits.synapse_bits_per_core, self.least_bits, SYNAPSES)):
            if most is not None and least > most:
                refuse(self.name, name, least, most)
            fits &= used <= (most if most is not None else np.inf)
        if not fits.any():
            return (1, 1, 1)
        boxes = (-(-self.shape[0] // self.channels))[:, None] * np.prod(-(-np.array(self.shape[1:]) // self.pixels), 1)
        wide = self.pixels.sum(1) / (1 + sum(self.shape)) / 2
        cost = boxes * (1 + self.axons / (1 + self.axons.max())) + wide + np.where(fits, 0, np.inf)
        channel, pixel = np.unravel_index(int(np.argmin(cost)), cost.shape)
        rows, columns = self.pixels[pixel].tolist()
        return int(self.channels[channel]), rows, columns


def refuse(population: str, resource: str, used: int, limit: int) -> NoReturn:
    """Refuse a population of which a single neuron needs more of a resource than a core has."""
    axons = resource in (IN_AXONS, OUT_AXONS)
    fail("SNN413" if axons else "SNN416", f"population {shorten(population)}, {resource}", f"{used:,} for one neuron",
         f"{limit:,} a core", "connect fewer: smaller kernels, groups, or a population in between"
         + ("" if axons else "; or use narrower weights"))


def whole_boxes(shapes: Sequence[Volume], links: Sequence[Link], table: LayerTable, memory: MemoryModel
                ) -> list[Volume]:
    """For each row of the layer table, the box with which its population alone takes the fewest cores.

    Inputs, which lie on no core, stay whole.
    """
    return [shape if table.populations.is_input[row] else _need(row, shape, links, table, memory).choose()
            for row, shape in enumerate(shapes)]


def box_options(shapes: Sequence[Volume], links: Sequence[Link], table: LayerTable, memory: MemoryModel
                ) -> dict[int, dict[Volume, Array]]:
    """For each row of the layer table but inputs, several boxes, with what each uses of neurons, axons and memory."""
    return {row: _need(row, shape, links, table, memory).options() for row, shape in enumerate(shapes)
            if not table.populations.is_input[row]}


def _need(row: int, shape: Volume, links: Sequence[Link], table: LayerTable, memory: MemoryModel) -> _Need:
    into = [(link, table.reaches[i].axes) for i, link in enumerate(links) if link.target == row]
    return _Need(table.names[row], shape, into, memory)


def parts(boxes: Sequence[Volume], links: Sequence[Link], memory: MemoryModel, neurons: int) -> list[Volume]:
    """Boxes cut into parts of at most so many neurons, as far as that takes no more memory.

    Small tiles leave less of a core empty than large ones.
    """
    listings: list[list[int]] = [[] for _ in boxes]
    for link in links:
        listings[link.target].append(link.listing)
    return [part(box, neurons, memory.free_axes(into)) for box, into in zip(boxes, listings, strict=True)]


def part(box: Volume, neurons: int, axes: Collection[int] = (CHANNELS, ROWS, COLUMNS)) -> Volume:
    """A box of at most so many neurons, or the smallest that halving along the given axes leads to.

    The longer of the rows and the columns is halved first; channels follow when the box is one pixel wide.

    >>> part((8, 6, 5), 60)
    (8, 2, 3)
    >>> part((8, 6, 5), 4, (ROWS, COLUMNS))
    (8, 1, 1)
    """
    sides = list(box)
    while math.prod(sides) > neurons:
        axis = max((a for a in (ROWS, COLUMNS, CHANNELS) if a in axes and sides[a] > 1),
                   key=lambda a: (a != CHANNELS, sides[a]), default=None)
        if axis is None:
            break
        sides[axis] = -(-sides[axis] // 2)
    channels, rows, columns = sides
    return channels, rows, columns
