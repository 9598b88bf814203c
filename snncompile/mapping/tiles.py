"""Tiles: populations cut into boxes of neurons, and what each box needs of a core, in closed form.

A projection is the product of a relation along channels, one along rows and one along columns. A source neuron then
has as many synapses in a box as the product of its readers along the three axes, and a histogram of readers for each
axis and block says how many source neurons have how many. Nothing is counted neuron by neuron.

An image of 1 x 4 that a kernel of 3 reads, cut into two tiles of 2 pixels:

>>> from snncompile.ir.windows import Window
>>> from snncompile.mapping.connections import Relation
>>> along = Relation.through(Window(4, 4, taps=3, before=1))
>>> along.counted(2).toarray().tolist()                     # readers of each input in each of the two blocks
[[2, 0], [2, 1], [1, 2], [0, 2]]
>>> numbers, inputs = histogram(along.counted(2), np.ones(4, int))
>>> numbers.tolist(), inputs.tolist()                       # in each tile, 1 input has 1 reader and 2 have 2
([1, 2], [[1, 2], [1, 2]])

So each tile has 5 synapses, in one list of 1 synapse and two lists of 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.ir.graph import Graph
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Output
from snncompile.ir.types import Array
from snncompile.mapping.connections import Connections, Matrix, connections, matrix
from snncompile.targets.columns import DENSE, KERNEL, SPARSE
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.memory import MemoryModel
from snncompile.targets.reach import Volume


@dataclass(frozen=True)
class Link:
    """A projection, with what a partition has to know of it.

    Attributes:
        source, target: the rows of its populations in the layer table.
        delay: ticks.
        listing: how its synapses are stored: DENSE, SPARSE or KERNEL.
        bits: bits of a synapse in a list.
        taps: synapses of a kernel between two channels.
        connections: which neurons it connects.
    """

    source: int
    target: int
    delay: int
    listing: int
    bits: int
    taps: int
    connections: Connections


def links(graph: Graph, table: LayerTable, memory: MemoryModel) -> list[Link]:
    """The projections of a graph, in the order of its layer table.

    Raises:
        CompileError: SNN416 for a projection with too many single synapses behind a reshape.
    """
    columns, projections = table.projections, []
    edges = [e for e in graph.edges if not isinstance(graph.nodes[e.dst], Output)]
    for i, edge in enumerate(edges):
        connected = connections(edge.chain, graph.shapes[edge.src])
        listing = _listing(edge.chain, connected, memory)
        bits = memory.bits_per_synapse(int(columns.weight_bits[i]), dense=listing == DENSE)
        kernels = [op.kernel for op in edge.chain if isinstance(op, Conv)]
        projections.append(Link(int(columns.source[i]), int(columns.target[i]), edge.delay, listing, bits,
                          _taps(connected, kernels), connected))
    return projections


def _listing(chain: Sequence[Op], connected: Connections, memory: MemoryModel) -> int:
    """How synapses are stored. A kernel is shared if the memory model can do that, and if only operators that treat
    all positions alike stand beside the convolution: no other layer, and no reshape that mixes the axes."""
    layers = [op for op in chain if isinstance(op, Layer)]
    alike = not connected.mixed and all(isinstance(op, Conv) for op in layers)
    if layers and alike and memory.shares_kernels and connected.sources:
        return KERNEL
    return DENSE if connected.full else SPARSE


def _taps(connected: Connections, kernels: Sequence[tuple[int, ...]]) -> int:
    """Synapses of a kernel between two channels; pools beside a convolution make its kernel larger."""
    if connected.axes is None or not kernels:
        return 1
    sides = (1, *kernels[-1])[-2:]
    return math.prod(max(k, int(a.fan_in.max(initial=0))) for k, a in zip(sides, connected.axes[1:], strict=True))


@dataclass(frozen=True)
class Cut:
    """A population cut into boxes. The last box along each axis may be smaller than the others.

    >>> halves = Cut(shape=(1, 3, 4), block=(1, 2, 2), first=10)
    >>> halves.counts, len(halves), halves.tile_of_neurons().tolist()
    ((1, 2, 2), 4, [10, 10, 11, 11, 10, 10, 11, 11, 12, 12, 13, 13])

    Attributes:
        shape: channels, rows and columns of the population.
        block: those of a box.
        first: the number of the first box among the tiles of the network; the others follow in C order.
    """

    shape: Volume
    block: Volume
    first: int

    @property
    def counts(self) -> Volume:
        """How many boxes there are along each axis."""
        c, y, x = (-(-n // b) for n, b in zip(self.shape, self.block, strict=True))
        return c, y, x

    def __len__(self) -> int:
        return math.prod(self.counts)

    def edges(self, axis: int) -> tuple[Array, Array]:
        """The first position of each box along an axis, and the first position behind each box."""
        low = np.arange(self.counts[axis]) * self.block[axis]
        return low, np.minimum(low + self.block[axis], self.shape[axis])

    def tile_of_neurons(self) -> Array:
        """The tile of each neuron of the population, `[neuron]`."""
        c, y, x = (np.arange(n) // b for n, b in zip(self.shape, self.block, strict=True))
        return self.number(c[:, None, None], y[:, None], x).ravel()

    def number(self, c: Array, y: Array, x: Array) -> Array:
        """The tile of the box that is number `c` along channels, `y` along rows and `x` along columns."""
        return np.asarray(self.first + (c * self.counts[1] + y) * self.counts[2] + x)


@dataclass(frozen=True)
class Tiles:
    """All tiles of a network, and what each of them needs.

    Attributes:
        cuts: how the population of each row of the layer table is cut; None for inputs, which lie on no core.
        population: `[tile]`, the row of its population in the layer table.
        low, high: `[tile, (channel, row, column)]`, the corners of its box; `high` is the first position outside.
        synapses: `[tile]`, the synapses into its neurons.
        synapse_bits: `[tile]`, the bits of its lists of synapses, without shared kernels.
        kernel, kernel_tile: `[pair]`, the pairs of a shared kernel and a tile that needs it; a core holds each kernel
            once.
        kernel_bits: `[kernel]`, the bits of each shared kernel.
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
        """How many neurons each tile has, `[tile]`."""
        return np.asarray(np.prod(self.high - self.low, 1))

    @property
    def middle(self) -> Array:
        """The middle of each tile in the frame of its population, `[tile, (row, column)]`, from 0 to 1."""
        sizes = np.array([c.shape if c else (1, 1, 1) for c in self.cuts])[self.population]
        return np.asarray(((self.low + self.high) / 2 / sizes)[:, 1:])


def cut(shapes: Sequence[Volume | None], blocks: Sequence[Volume]) -> tuple[Cut | None, ...]:
    """Cut every population into boxes; tiles are numbered from one population to the next.

    Args:
        shapes: the shape of each row of the layer table; None for inputs, which are not cut.
        blocks: the box for each row.
    """
    first, cuts = 0, []
    for shape, block in zip(shapes, blocks, strict=True):
        cuts.append(Cut(shape, block, first) if shape else None)
        first += len(cuts[-1] or ())
    return tuple(cuts)


def measure(cuts: tuple[Cut | None, ...], projections: Sequence[Link], memory: MemoryModel) -> Tiles:
    """What each tile of a cut network needs of a core.

    Args:
        cuts: how each population is cut, by its row in the layer table; None for inputs.
        projections: all projections between them.
        memory: the model that says how many bits lists of synapses and kernels take.
    """
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


def _boxes(into: Cut) -> Array:
    """The corners of all boxes of a cut, `[low or high, tile, axis]`."""
    edges = [into.edges(axis) for axis in range(3)]
    return np.stack([np.stack([a.ravel() for a in np.meshgrid(*(e[end] for e in edges), indexing="ij")], 1)
                     for end in (0, 1)])


def counts(link: Link, into: Cut, memory: MemoryModel) -> tuple[Array, Array]:
    """The synapses of a projection into each tile, and the bits of their lists, both `[tile]`.

    Each source neuron has a list in each tile that it reaches. The lists of a shared kernel are counted by `_kernels`.
    """
    if link.connections.axes is None:
        assert link.connections.whole is not None
        tile = into.tile_of_neurons() - into.first
        readers = (link.connections.whole @ matrix(np.arange(len(tile)), tile, (len(tile), len(into)))).tocoo()
        bits = memory.list_bits(readers.data, np.asarray(link.bits))
        return _summed(readers.col, readers.data, len(into)), _summed(readers.col, bits, len(into))
    axes = [histogram(a.counted(b), np.bincount(a.inputs)) for a, b in
            zip(link.connections.axes, into.block, strict=True)]
    synapses = _outer(*(many @ value for value, many in axes))
    if link.listing == KERNEL:
        return synapses, np.zeros_like(synapses)
    (c, at_c), (y, at_y), (x, at_x) = axes
    cost = memory.list_bits(c[:, None, None] * y[:, None] * x, np.asarray(link.bits))
    return synapses, np.einsum("av,bw,cx,vwx->abc", at_c, at_y, at_x, cost, optimize=True).ravel()


def histogram(counted: Matrix, sizes: Array) -> tuple[Array, Array]:
    """How many inputs have how many readers, along one axis.

    Args:
        counted: `[input class, block]`, how many outputs of a block read an input of the class.
        sizes: `[input class]`, how many inputs are in each class.

    Returns:
        The numbers of readers that occur, and `[block, number]`, how many inputs have each number of readers.
    """
    entries = counted.tocoo()
    values, place = np.unique(entries.data, return_inverse=True)
    many = np.bincount(entries.col * len(values) + place, sizes[entries.row], counted.shape[1] * len(values))
    return values, many.reshape(counted.shape[1], len(values)).astype(np.int64)


def _summed(place: Array, values: Array, count: int) -> Array:
    return np.bincount(place, values, count).astype(np.int64)


def _outer(c: Array, y: Array, x: Array) -> Array:
    return np.asarray(c[:, None, None] * y[:, None] * x).ravel()


def _kernels(link: Link, into: Cut, memory: MemoryModel, first: int) -> tuple[Array, Array, Array]:
    """The shared kernels of a projection, one for each block of output channels.

    A kernel is needed by the tiles of its channels. It has a list for each input channel and tap.

    Args:
        first: the number of the first of these kernels.

    Returns:
        Kernels and tiles, `[pair]`, and the bits of each kernel.
    """
    assert link.connections.axes is not None
    channels = link.connections.axes[0]
    values, many = histogram(channels.counted(into.block[0]), np.bincount(channels.inputs))
    bits = link.taps * (many @ memory.list_bits(values, np.asarray(link.bits)))
    of = np.repeat(np.arange(into.counts[0]), len(into) // into.counts[0])
    return first + of, into.first + np.arange(len(into)), bits
