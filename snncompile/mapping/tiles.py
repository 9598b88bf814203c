"""Populations cut into boxes of neurons, and in closed form what each box needs of a core."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.ir.graph import Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Linear, Output
from snncompile.ir.types import Array
from snncompile.mapping.connections import Connections, Matrix, connections, matrix
from snncompile.targets.layer_table import DENSE, KERNEL, SPARSE, Table
from snncompile.targets.memory import MemoryModel
from snncompile.targets.reach import Volume


@dataclass(frozen=True)
class Link:
    """A projection, as partitioning sees it.

    Attributes:
        source, target: rows of the layer table's populations.
        listing: DENSE, SPARSE or KERNEL, how its synapses are stored.
        bits: of a synapse in a list.
        taps: synapses of a kernel between two channels.
    """

    source: int
    target: int
    delay: int
    listing: int
    bits: int
    taps: int
    connections: Connections


def links(graph: Graph, table: Table, memory: MemoryModel) -> list[Link]:
    """The projections of a graph, in the order of its layer table."""
    columns, found = table.projections, []
    edges = [e for e in graph.edges if not isinstance(graph.nodes[e.dst], Output)]
    for i, edge in enumerate(edges):
        made = connections(edge.chain, graph.shapes[edge.src])
        listing = _listing(edge.chain, made, memory)
        bits = memory.bits_per_synapse(int(columns.weight_bits[i]), dense=listing == DENSE)
        kernels = [op.kernel for op in edge.chain if isinstance(op, Conv)]
        found.append(Link(int(columns.source[i]), int(columns.target[i]), edge.delay, listing, bits,
                          _taps(made, kernels), made))
    return found


def _listing(chain: Sequence[Op], made: Connections, memory: MemoryModel) -> int:
    """How synapses are stored: kernels once for all positions, if nothing but pools and the like stand beside them."""
    kinds = {type(op) for op in chain}
    alike = not made.mixed and Linear not in kinds
    if Conv in kinds and alike and memory.shares_kernels and made.sources:
        return KERNEL
    return DENSE if made.full else SPARSE


def _taps(made: Connections, kernels: Sequence[tuple[int, ...]]) -> int:
    """Synapses between two channels: of the kernel, or of what pools make of it."""
    if made.axes is None or not kernels:
        return 1
    sides = (1, *kernels[-1])[-2:]
    return math.prod(max(k, int(a.fan_in.max(initial=0))) for k, a in zip(sides, made.axes[1:], strict=True))


@dataclass(frozen=True)
class Cut:
    """A population in boxes of `block`, the last along each axis perhaps smaller; `first` numbers the first of them."""

    shape: Volume
    block: Volume
    first: int

    @property
    def counts(self) -> Volume:
        """Boxes along each axis."""
        c, y, x = (-(-n // b) for n, b in zip(self.shape, self.block, strict=True))
        return c, y, x

    def __len__(self) -> int:
        return math.prod(self.counts)

    def edges(self, axis: int) -> tuple[Array, Array]:
        """The first position of each box along an axis, and the first behind it."""
        low = np.arange(self.counts[axis]) * self.block[axis]
        return low, np.minimum(low + self.block[axis], self.shape[axis])

    def tile_of_neurons(self) -> Array:
        """The tile of each neuron of the population."""
        c, y, x = (np.arange(n) // b for n, b in zip(self.shape, self.block, strict=True))
        return self.number(c[:, None, None], y[:, None], x).ravel()

    def number(self, c: Array, y: Array, x: Array) -> Array:
        """The tile at a place along each axis."""
        return np.asarray(self.first + (c * self.counts[1] + y) * self.counts[2] + x)


@dataclass(frozen=True)
class Tiles:
    """One row a tile.

    Attributes:
        cuts: how each row of the layer table is cut; None for inputs, which lie on no core.
        population: row of the layer table.
        low, high: `[tile, (channel, row, column)]`, the corners of the box.
        synapses: into its neurons. `synapse_bits`: of the lists that are its own.
        kernel: `[pair]`, shared kernels and the tiles that need them; a core holds each once.
        kernel_bits: of each kernel.
    """

    cuts: tuple[Cut | None, ...]
    population: Array
    low: Array
    high: Array
    synapses: Array
    synapse_bits: Array
    kernel: Array
    kernel_tile: Array
    kernel_bits: Array

    def __len__(self) -> int:
        return len(self.population)

    @property
    def neurons(self) -> Array:
        return np.asarray(np.prod(self.high - self.low, 1))

    @property
    def middle(self) -> Array:
        """`[tile, (row, column)]`, the middle of each in the frame of its population, from 0 to 1."""
        sizes = np.array([c.shape if c else (1, 1, 1) for c in self.cuts])[self.population]
        return np.asarray(((self.low + self.high) / 2 / sizes)[:, 1:])


def cut(shapes: Sequence[Volume | None], blocks: Sequence[Volume]) -> tuple[Cut | None, ...]:
    """Every population in boxes; tiles are numbered through."""
    first, found = 0, []
    for shape, block in zip(shapes, blocks, strict=True):
        found.append(Cut(shape, block, first) if shape else None)
        first += len(found[-1] or ())
    return tuple(found)


def measure(cuts: tuple[Cut | None, ...], projections: Sequence[Link], memory: MemoryModel) -> Tiles:
    """What each tile needs."""
    count = sum(len(c) for c in cuts if c)
    boxes = [_boxes(c) for c in cuts if c]
    synapses, bits = np.zeros(count, np.int64), np.zeros(count, np.int64)
    kernels: list[tuple[Array, Array, Array]] = []
    items = 0
    for link in projections:
        into = cuts[link.target]
        assert into is not None, "projections end in populations"
        place = slice(into.first, into.first + len(into))
        count_synapses, own = counts(link, into, memory)
        synapses[place] += count_synapses
        bits[place] += own
        if link.listing == KERNEL:
            kernels.append(_kernels(link, into, memory, items))
            items += into.counts[0]
    none = np.zeros(0, np.int64)
    item, tile, weight = (np.concatenate(parts) for parts in zip((none, none, none), *kernels, strict=True))
    rows = np.concatenate([none, *(np.full(len(c), i) for i, c in enumerate(cuts) if c)])
    corners = np.concatenate([np.zeros((2, 0, 3), np.int64), *boxes], 1)
    return Tiles(cuts, rows, corners[0], corners[1], synapses, bits, item, tile, weight)


def _boxes(one: Cut) -> Array:
    """`[low or high, tile, axis]`."""
    edges = [one.edges(axis) for axis in range(3)]
    return np.stack([np.stack([a.ravel() for a in np.meshgrid(*(e[end] for e in edges), indexing="ij")], 1)
                     for end in (0, 1)])


def counts(link: Link, into: Cut, memory: MemoryModel) -> tuple[Array, Array]:
    """Synapses of a projection into each tile, and the bits of their lists: a list a source neuron and tile.

    A source neuron has as many synapses in a tile as the product of its readers along each axis, so that a histogram
    of readers for each axis and block is enough.
    """
    if link.connections.axes is None:
        assert link.connections.whole is not None
        tile = into.tile_of_neurons() - into.first
        found = (link.connections.whole @ matrix(np.arange(len(tile)), tile, (len(tile), len(into)))).tocoo()
        bits = memory.list_bits(found.data, np.asarray(link.bits))
        return _summed(found.col, found.data, len(into)), _summed(found.col, bits, len(into))
    axes = [histogram(a.counted(b), np.bincount(a.inputs)) for a, b in
            zip(link.connections.axes, into.block, strict=True)]
    synapses = _outer(*(many @ value for value, many in axes))
    if link.listing == KERNEL:
        return synapses, np.zeros_like(synapses)
    (c, at_c), (y, at_y), (x, at_x) = axes
    cost = memory.list_bits(c[:, None, None] * y[:, None] * x, np.asarray(link.bits))
    return synapses, np.einsum("av,bw,cx,vwx->abc", at_c, at_y, at_x, cost, optimize=True).ravel()


def histogram(counted: Matrix, sizes: Array) -> tuple[Array, Array]:
    """The numbers of readers that occur, and `[block, number]`, how many input positions have each."""
    entries = counted.tocoo()
    values, place = np.unique(entries.data, return_inverse=True)
    many = np.bincount(entries.col * len(values) + place, sizes[entries.row], counted.shape[1] * len(values))
    return values, many.reshape(counted.shape[1], len(values)).astype(np.int64)


def _summed(place: Array, values: Array, count: int) -> Array:
    return np.bincount(place, values, count).astype(np.int64)


def _outer(c: Array, y: Array, x: Array) -> Array:
    return np.asarray(c[:, None, None] * y[:, None] * x).ravel()


def _kernels(link: Link, into: Cut, memory: MemoryModel, first: int) -> tuple[Array, Array, Array]:
    """The kernel of each block of channels: pairs of a kernel and a tile, and bits of each."""
    assert link.connections.axes is not None
    channels = link.connections.axes[0]
    values, many = histogram(channels.counted(into.block[0]), np.bincount(channels.inputs))
    bits = link.taps * (many @ memory.list_bits(values, np.asarray(link.bits)))
    of = np.repeat(np.arange(into.counts[0]), len(into) // into.counts[0])
    return first + of, into.first + np.arange(len(into)), bits
