"""Axons from tiles to tiles, and the traffic between cores that follows from them.

Neurons of a tile that are read by the same tiles are one row with a count, so that a network of a billion neurons has
some millions of rows. Rows are found along each axis: positions that lie in the same block and are read by the same
blocks are one class, and the rows of a population are the combinations of its classes of channels, rows and columns.

Eight neurons in a line, in tiles of 4, that a kernel of 3 reads: the first three are read by the first tile, the fourth
and the fifth by both, and the others by the second. The fourth and the fifth lie in different tiles, which makes four
rows:

>>> from snncompile.ir.windows import Window
>>> from snncompile.mapping.connections import Connections, Relation
>>> one = Relation.through(Window.same(1))
>>> link = Link(0, 1, 0, 0, 8, 1, Connections((one, one, Relation.through(Window(8, 8, taps=3, before=1)))))
>>> line = (1, 1, 8)
>>> cuts = (Cut(line, (1, 1, 4), 0), Cut(line, (1, 1, 4), 2))
>>> sources = axons(cuts, [line, line], [link])
>>> sources.tile.tolist(), sources.neurons.tolist()
([0, 0, 1, 1], [3, 1, 1, 3])
>>> sources.row.tolist(), sources.reader.tolist()
([0, 1, 1, 2, 2, 3], [2, 2, 3, 2, 3, 3])

If tiles 0 and 2 lie on core 0 and tiles 1 and 3 on core 1, one packet goes each way:

>>> flows = traffic(sources, np.array([0, 1, 0, 1]), cores=2, populations=2)
>>> flows.source.tolist(), flows.target.tolist(), flows.packets.tolist()
([0, 1], [1, 0], [1, 1])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.connections import Matrix, Relation, flags, matrix
from snncompile.mapping.fill_cores import distinct
from snncompile.mapping.tiles import Cut, Link


@dataclass(frozen=True)
class Axons:
    """Source neurons in rows; the neurons of a row lie in the same tile and are read by the same tiles.

    Attributes:
        population: `[row]`, the population or input, as a row of the layer table.
        tile: `[row]`, the tile of the neurons; -1 for elements of inputs, which lie in none.
        neurons: `[row]`, how many neurons the row stands for.
        row, reader: `[pair]`, the pairs of a row and a tile that reads it, sorted, each pair once.
    """

    population: Array
    tile: Array
    neurons: Array
    row: Array
    reader: Array

    def __len__(self) -> int:
        return len(self.tile)


def axons(cuts: tuple[Cut | None, ...], shapes: Sequence[tuple[int, int, int]], projections: Sequence[Link],
          delays_apart: bool = False) -> Axons:
    """The axons of a network whose populations are cut into tiles.

    Args:
        shapes: channels, rows and columns of all populations and inputs, by row of the layer table.
        delays_apart: whether a neuron needs an axon of its own for each delay with which it is read; the same neurons
            then stand in a row for each delay.
    """
    together: dict[tuple[int, int], list[Link]] = {}
    for link in projections:
        together.setdefault((link.source, link.delay * delays_apart), []).append(link)
    parts, rows = [], 0
    for (source, _), readers in together.items():
        of = cuts[source] or Cut(shapes[source], shapes[source], -1)
        whole = any(link.connections.axes is None for link in readers)
        part = (_of_neurons if whole else _of_classes)(of, source, readers, cuts)
        parts.append(Axons(part.population, part.tile, part.neurons, part.row + rows, part.reader))
        rows += len(part)
    none = np.zeros(0, np.int64)
    return Axons(*(np.concatenate([none, *(getattr(p, name) for p in parts)])
                   for name in ("population", "tile", "neurons", "row", "reader")))


def _of_neurons(of: Cut, source: int, readers: Sequence[Link], cuts: tuple[Cut | None, ...]) -> Axons:
    """The axons of a source with one row for each neuron, where a reshape mixes the axes."""
    pairs = []
    for link in readers:
        into = _cut(cuts, link)
        tile = into.tile_of_neurons() - into.first
        read = (link.connections.neurons() @ matrix(np.arange(len(tile)), tile, (len(tile), len(into)))).tocoo()
        pairs.append((read.row, read.col + into.first))
    tiles = of.tile_of_neurons()
    return _sorted(source, tiles, np.ones_like(tiles), pairs)


def _of_classes(of: Cut, source: int, readers: Sequence[Link], cuts: tuple[Cut | None, ...]) -> Axons:
    """The axons of a source with one row for each combination of classes along the three axes."""
    axes = []
    for axis in range(3):
        relations = [link.connections.axes[axis] for link in readers if link.connections.axes]
        blocks = [_cut(cuts, link).block[axis] for link in readers]
        axes.append(_classes(np.arange(of.shape[axis]) // of.block[axis], relations, blocks))
    (c, count_c, read_c), (y, count_y, read_y), (x, count_x, read_x) = axes
    pairs = [_pairs(_cut(cuts, link), read_c[k], read_y[k], read_x[k]) for k, link in enumerate(readers)]
    tile = of.number(c[:, None, None], y[:, None], x).ravel()
    return _sorted(source, tile, (count_c[:, None, None] * count_y[:, None] * count_x).ravel(), pairs)


def _cut(cuts: tuple[Cut | None, ...], link: Link) -> Cut:
    into = cuts[link.target]
    assert into is not None, "projections end in populations"
    return into


def _classes(block: Array, relations: Sequence[Relation], blocks: Sequence[int]) -> tuple[Array, Array, list[Matrix]]:
    """Classes of positions along an axis, by the block that they lie in and the blocks that read them.

    Args:
        block: `[position]`, the block of the source's cut.
        relations, blocks: for each projection, what it reads, and the size of the blocks of its target's cut.

    Returns:
        The block of each class, how many positions it has, and for each relation `[class, block]`, 1 where read.
    """
    joint, count = np.unique(np.stack([block, *(r.inputs for r in relations)], 1), axis=0, return_counts=True)
    read = [flags(r.counted(b)[joint[:, k + 1]]) for k, (r, b) in enumerate(zip(relations, blocks, strict=True))]
    keys, first, merged = np.unique(np.column_stack([joint[:, :1], *map(_listed, read)]), axis=0, return_index=True,
                                    return_inverse=True)
    return keys[:, 0], np.bincount(merged.ravel(), count).astype(np.int64), [r[first] for r in read]


def _listed(read: Matrix) -> Array:
    """The column numbers of the entries of each row, filled up with -1 to the length of the longest row."""
    read.sort_indices()
    many = np.diff(read.indptr)
    filled = np.full((len(many), int(many.max(initial=0))), -1)
    row = np.repeat(np.arange(len(many)), many)
    filled[row, np.arange(read.nnz) - read.indptr[row]] = read.indices
    return filled


def _pairs(into: Cut, c: Matrix, y: Matrix, x: Matrix) -> tuple[Array, Array]:
    """The pairs of a row and a tile that reads it, from the classes and the blocks that read them along each axis."""
    c, y, x = c.tocoo(), y.tocoo(), x.tocoo()
    row = (c.row[:, None, None].astype(np.int64) * y.shape[0] + y.row[:, None]) * x.shape[0] + x.row
    return row.ravel(), into.number(c.col[:, None, None].astype(np.int64), y.col[:, None], x.col).ravel()


def _sorted(source: int, tile: Array, neurons: Array, pairs: Sequence[tuple[Array, Array]]) -> Axons:
    """The axons of one source, the pairs of all its projections joined, each pair once."""
    row, reader = (np.concatenate(part) for part in zip(*pairs, strict=True))
    tiles = int(reader.max(initial=0)) + 1
    row, reader = np.divmod(distinct(row * tiles + reader), tiles)
    return Axons(np.full(len(tile), source), tile, neurons, row, reader)


@dataclass(frozen=True)
class Traffic:
    """The packets between cores if every neuron fires once, and the axons that cores need for them.

    Attributes:
        in_axons: `[core]`, the neurons and input elements that are read on the core, its own neurons included.
        out_axons: `[core]`, for each neuron of the core the other cores that it reaches, summed.
        population, source, target, packets: `[flow]`, how many packets a population (its row of the layer table) sends
            from one core to another.
        arriving: `[row of the layer table]`, the packets that each input sends to cores.
    """

    in_axons: Array
    out_axons: Array
    population: Array
    source: Array
    target: Array
    packets: Array
    arriving: Array


def traffic(sources: Axons, core: Array, cores: int, populations: int) -> Traffic:
    """The traffic if tile `t` lies on core `core[t]`.

    Args:
        sources: the axons between the tiles.
        cores, populations: how many cores, and rows of the layer table, there are.
    """
    row, into = np.divmod(distinct(sources.row * cores + core[sources.reader]), cores)
    home = np.where(sources.tile < 0, -1, core[sources.tile])[row]
    many, population = sources.neurons[row], sources.population[row]
    away, given = (home != into) & (home >= 0), home < 0
    flow, place = np.unique((population[away] * cores + home[away]) * cores + into[away], return_inverse=True)
    packets = _summed(place, many[away], len(flow))
    source, target = flow // cores % cores, flow % cores
    return Traffic(_summed(into, many, cores), _summed(source, packets, cores), flow // cores**2, source, target,
                   packets, _summed(population[given], many[given], populations))


def out_axons(sources: Axons, core: Array, tiles: int) -> Array:
    """For each neuron of a tile the other cores that it reaches, summed, `[tile]`.

    Args:
        core: `[tile]`, the core of each tile.
    """
    cores = int(core.max(initial=0)) + 1
    row, into = np.divmod(distinct(sources.row * cores + core[sources.reader]), cores)
    tile = sources.tile[row]
    away = (tile >= 0) & (core[tile] != into)
    return _summed(tile[away], sources.neurons[row[away]], tiles)


def _summed(place: Array, values: Array, count: int) -> Array:
    return np.bincount(place, values, count).astype(np.int64)
