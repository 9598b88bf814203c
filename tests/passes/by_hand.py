"""Partitions counted neuron by neuron and synapse by synapse, from dense matrices."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Identity, Input, Linear, Output, Rectify, Reshape, Scale
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape
from snncompile.mapping.partitioned import Partition
from snncompile.targets.target import Target


def connected(edge: Edge, shape: Shape) -> Array:
    """`[source neuron, target neuron]`: whether an edge connects them, from what its operators do to unit vectors."""
    size = math.prod(shape)
    x = np.eye(size).reshape(size, *shape)
    for op in edge.chain:
        x = _ones(op).apply(x)
    return x.reshape(size, -1) > 0


def _ones(op: Op) -> Op:
    """The operator with weights of 1; the zeros of a mostly empty layer are no synapses."""
    if isinstance(op, (Scale, Rectify)):
        return Identity()
    if not isinstance(op, Layer):
        return op
    weight = np.ones(op.weight.shape)
    if isinstance(op, Linear) and (np.asarray(op.weight) == 0).mean() > 0.5:
        weight = np.asarray(op.weight) != 0
    return dataclasses.replace(op, weight=weight.astype(float), bias=None)


def _keeps_axes(one: Op, edge: Edge, shape: Shape) -> bool:
    """Whether an operator of a chain is a reshape after which channels, rows and columns are what they were."""
    for op in edge.chain:
        if op is one:
            break
        shape = op.infer(shape)
    return isinstance(one, Reshape) and three_axes(one.shape) == three_axes(shape)


def three_axes(shape: Shape) -> tuple[int, int, int]:
    c, y, x = (*shape, 1, 1)[:3] if len(shape) != 2 else (shape[0], 1, shape[1])
    return c, y, x * math.prod(shape[3:])


class ByHand:
    """What a partition uses, in sets and loops."""

    def __init__(self, graph: Graph, target: Target, found: Partition, weight_bits: int = 8):
        self.graph, self.target, self.found, self.weight_bits = graph, target, found, weight_bits
        self.tile = {n: self._tiles(row, n) for row, n in enumerate(found.populations)}
        self.edges = [e for e in graph.edges if not isinstance(graph.nodes[e.dst], Output)]
        self.matrices = [connected(e, graph.shapes[e.src]) for e in self.edges]

    def _tiles(self, row: int, name: str) -> Array:
        """The tile of each neuron; every neuron lies in exactly one."""
        tiles, shape = self.found.tiles, three_axes(self.graph.shapes[name])
        owner = np.full(shape, -1)
        for t in np.flatnonzero(tiles.population == row):
            box = tuple(slice(a, b) for a, b in zip(tiles.low[t], tiles.high[t], strict=True))
            assert (owner[box] == -1).all()
            owner[box] = t
        assert (owner >= 0).all() or isinstance(self.graph.nodes[name], Input)
        return owner.ravel()

    def core(self, name: str, neuron: int) -> int:
        tile = self.tile[name][neuron]
        return int(self.found.core[tile]) if tile >= 0 else -1

    def _axons(self) -> Iterator[tuple[str, int, int, int]]:
        """Source, neuron, delay if it matters, and core, for every synapse."""
        apart = self.target.memory.model == "crossbar"
        for edge, matrix in zip(self.edges, self.matrices, strict=True):
            for i, o in zip(*np.nonzero(matrix), strict=True):
                yield edge.src, int(i), edge.delay * apart, self.core(edge.dst, o)

    def neurons(self) -> Array:
        cores = [self.core(n, i) for n in self.tile for i in range(len(self.tile[n])) if self.core(n, i) >= 0]
        return np.bincount(cores, minlength=self.found.cores)

    def in_axons(self) -> Array:
        return np.bincount([core for *_, core in set(self._axons())], minlength=self.found.cores)

    def out_axons(self) -> Array:
        left = [self.core(name, i) for name, i, _, core in set(self._axons())
                if self.core(name, i) not in (-1, core)]
        return np.bincount(np.array(left, int), minlength=self.found.cores)

    def flows(self) -> dict[tuple[str, int, int], int]:
        """Packets by population, sending and receiving core."""
        found: dict[tuple[str, int, int], int] = {}
        for name, i, _, core in set(self._axons()):
            if self.core(name, i) not in (-1, core):
                key = name, self.core(name, i), core
                found[key] = found.get(key, 0) + 1
        return found

    def synapse_bits(self) -> Array:
        used = np.zeros(self.found.cores, int)
        if self.target.memory.model != "lists":
            return used
        for edge, matrix in zip(self.edges, self.matrices, strict=True):
            kinds = {type(op) for op in edge.chain if not _keeps_axes(op, edge, self.graph.shapes[edge.src])}
            if Conv in kinds and self.target.memory.shared_kernels and not kinds & {Linear, TokenMix, Reshape}:
                self._kernels(edge, matrix, used)
                continue
            dense = (matrix == matrix[:, :1]).all()
            for source in matrix:
                for tile in np.unique(self.tile[edge.dst][source]):
                    used[self.found.core[tile]] += self._list(int((self.tile[edge.dst][source] == tile).sum()), dense)
        return used

    def _kernels(self, edge: Edge, matrix: Array, used: Array) -> None:
        """Each core stores the kernel of each block of channels once: a list for each input channel and tap."""
        into, out = three_axes(self.graph.shapes[edge.src]), three_axes(self.graph.shapes[edge.dst])
        cube = matrix.reshape(*into, *out)
        kernel = (1, *next(op for op in reversed(edge.chain) if isinstance(op, Conv)).kernel)[-2:]
        rows = max(kernel[0], cube.any((0, 2, 3, 5)).sum(0).max())
        columns = max(kernel[1], cube.any((0, 1, 3, 4)).sum(0).max())
        tiles = self.found.tiles
        row = self.found.populations.index(edge.dst)
        for core in range(self.found.cores):
            there = np.flatnonzero((self.found.core == core) & (tiles.population == row))
            for low, high in {(int(tiles.low[t, 0]), int(tiles.high[t, 0])) for t in there}:
                many = cube[:, :, :, low:high].any((1, 2, 4, 5)).sum(1)
                used[core] += rows * columns * sum(self._list(int(n), False) for n in many if n)

    def _list(self, synapses: int, dense: bool) -> int:
        memory = self.target.memory
        bits = synapses * (self.weight_bits + (0 if dense else memory.index_bits or 0))
        bits += math.ceil(synapses / 64) * (memory.list_header_bits or 0)
        word = memory.word_bits or 1
        return math.ceil(bits / word) * word


def neighbours(points: Array) -> list[int]:
    return [abs(a - b) + abs(c - d) for (a, c), (b, d) in itertools.pairwise(points.tolist())]
