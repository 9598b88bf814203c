"""Axons between tiles, and what of them crosses from core to core.

Neurons of a tile that are read by the same tiles are one row with a count, so that a network of a billion neurons has
some millions of rows. They follow from the projections' axes: the rows of a population are products of classes of
channels, rows and columns.
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
    """Source neurons by the tiles that read them.

    Attributes:
        population: `[row]`, row of the layer table.
        tile: `[row]`, where the neurons are; -1 for those of inputs.
        neurons: `[row]`, how many they are.
        row, reader: `[pair]`, rows and the tiles that read them, sorted, each pair once.
    """

    population: Array
    tile: Array
    neurons: Array
    row: Array
    reader: Array

    def __len__(self) -> int:
        return len(self.tile)


@dataclass(frozen=True)
class Reached:
    """Cores that axons reach, their own included: `[pair]` rows of `Axons` and cores, each pair once."""

    row: Array
    core: Array


def axons(cuts: tuple[Cut | None, ...], shapes: Sequence[tuple[int, int, int]], projections: Sequence[Link],
          delays_apart: bool = False) -> Axons:
    """The axons of a network.

    Args:
        shapes: of all populations and inputs, by row of the layer table.
        delays_apart: whether one neuron needs an axon for each different delay.
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
    """Every neuron a row: where reshaping mixes the axes."""
    pairs = []
    for link in readers:
        into = _cut(cuts, link)
        tile = into.tile_of_neurons() - into.first
        read = (link.connections.neurons() @ matrix(np.arange(len(tile)), tile, (len(tile), len(into)))).tocoo()
        pairs.append((read.row, read.col + into.first))
    tiles = of.tile_of_neurons()
    return _sorted(source, tiles, np.ones_like(tiles), pairs)


def _of_classes(of: Cut, source: int, readers: Sequence[Link], cuts: tuple[Cut | None, ...]) -> Axons:
    """Every combination of classes along the three axes a row."""
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
    """Positions along an axis by their block and the blocks that read them.

    Returns:
        The block of each class, how many positions it has, and for each relation `[class, block]`, 1 where read.
    """
    joint, count = np.unique(np.stack([block, *(r.inputs for r in relations)], 1), axis=0, return_counts=True)
    read = [flags(r.counted(b)[joint[:, k + 1]]) for k, (r, b) in enumerate(zip(relations, blocks, strict=True))]
    keys, first, merged = np.unique(np.column_stack([joint[:, :1], *map(_listed, read)]), axis=0, return_index=True,
                                    return_inverse=True)
    return keys[:, 0], np.bincount(merged.ravel(), count).astype(np.int64), [r[first] for r in read]


def _listed(read: Matrix) -> Array:
    """The columns of each row, filled up with -1."""
    read.sort_indices()
    many = np.diff(read.indptr)
    found = np.full((len(many), int(many.max(initial=0))), -1)
    row = np.repeat(np.arange(len(many)), many)
    found[row, np.arange(read.nnz) - read.indptr[row]] = read.indices
    return found


def _pairs(into: Cut, c: Matrix, y: Matrix, x: Matrix) -> tuple[Array, Array]:
    """Rows and tiles of a Kronecker product."""
    c, y, x = c.tocoo(), y.tocoo(), x.tocoo()
    row = (c.row[:, None, None].astype(np.int64) * y.shape[0] + y.row[:, None]) * x.shape[0] + x.row
    return row.ravel(), into.number(c.col[:, None, None].astype(np.int64), y.col[:, None], x.col).ravel()


def _sorted(source: int, tile: Array, neurons: Array, pairs: Sequence[tuple[Array, Array]]) -> Axons:
    row, reader = (np.concatenate(part) for part in zip(*pairs, strict=True))
    tiles = int(reader.max(initial=0)) + 1
    row, reader = np.divmod(distinct(row * tiles + reader), tiles)
    return Axons(np.full(len(tile), source), tile, neurons, row, reader)


@dataclass(frozen=True)
class Traffic:
    """What axons do between cores, if every neuron fires once.

    Attributes:
        in_axons: `[core]`, neurons and input elements that are read there, its own included.
        out_axons: `[core]`, the sum over its neurons of the other cores that they reach.
        population, source, target, packets: `[flow]`, spikes of a population (its row of the layer table) from core
            to core.
        arriving: `[row of the layer table]`, packets of each input to cores.
    """

    in_axons: Array
    out_axons: Array
    population: Array
    source: Array
    target: Array
    packets: Array
    arriving: Array


def traffic(found: Axons, core: Array, cores: int, populations: int) -> Traffic:
    """The traffic of tiles that lie on these cores, `core[tile]`."""
    row, into = np.divmod(distinct(found.row * cores + core[found.reader]), cores)
    home = np.where(found.tile < 0, -1, core[found.tile])[row]
    many, population = found.neurons[row], found.population[row]
    away, given = (home != into) & (home >= 0), home < 0
    flow, place = np.unique((population[away] * cores + home[away]) * cores + into[away], return_inverse=True)
    packets = _summed(place, many[away], len(flow))
    source, target = flow // cores % cores, flow % cores
    return Traffic(_summed(into, many, cores), _summed(source, packets, cores), flow // cores**2, source, target,
                   packets, _summed(population[given], many[given], populations))


def _summed(place: Array, values: Array, count: int) -> Array:
    return np.bincount(place, values, count).astype(np.int64)
