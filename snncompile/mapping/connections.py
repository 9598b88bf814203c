"""Which sources each neuron reads, exactly: axis by axis, as small sparse matrices over classes of positions.

Convolutions, pools, paddings and upsamplings treat channels, rows and columns apart, so the matrix of a projection is
the Kronecker product of three small ones. `targets.reach` gives the same as intervals, which are hulls where strides
and dilations leave positions out; sets are needed to count axons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from snncompile.diagnostics import fail
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Linear, Pad, Pool, Reshape, Scale, Upsample
from snncompile.ir.types import Array, Shape
from snncompile.targets.reach import grid

Matrix: TypeAlias = Any
"""A SciPy sparse matrix of whole numbers in rows."""
Grid: TypeAlias = tuple[int, int, int]
MAX_PAIRS = 1 << 28
CACHED = 256
"""Relations that are kept: networks repeat the same windows."""


def matrix(rows: Array, columns: Array, shape: tuple[int, int]) -> Matrix:
    """How often each pair of a row and a column is given."""
    from scipy.sparse import coo_array, csr_array

    return csr_array(coo_array((np.ones(len(rows), np.int64), (rows, columns)), shape))


def flags(counts: Matrix) -> Matrix:
    """1 where there is a count."""
    found = counts.copy()
    found.data = np.ones_like(found.data)
    return found


@dataclass(frozen=True)
class Relation:
    """One axis of a projection: positions fall into classes, and outputs of a class read inputs of some classes.

    Attributes:
        inputs, outputs: class of each position.
        reads: `[input class, output class]`, 1 where read.
    """

    inputs: Array
    outputs: Array
    reads: Matrix

    @classmethod
    def of(cls, inputs: int, outputs: int, sources: Array, readers: Array) -> Relation:
        """Every position by itself, with pairs of a source and its reader."""
        return cls(np.arange(inputs), np.arange(outputs), flags(matrix(sources, readers, (inputs, outputs))))

    @classmethod
    @lru_cache(CACHED)
    def groups(cls, inputs: int, outputs: int, groups: int = 1) -> Relation:
        """Outputs read all inputs of their group, of which there are as many as of outputs."""
        every = np.arange(groups)
        return cls(np.arange(inputs) // (inputs // groups), np.arange(outputs) // (outputs // groups),
                   matrix(every, every, (groups, groups)))

    @classmethod
    @lru_cache(CACHED)
    def window(cls, inputs: int, outputs: int, kernel: int, stride: int, before: int, dilation: int) -> Relation:
        readers = np.repeat(np.arange(outputs), kernel)
        sources = readers * stride + np.tile(np.arange(kernel), outputs) * dilation - before
        inside = (sources >= 0) & (sources < inputs)
        return cls.of(inputs, outputs, sources[inside], readers[inside])

    def then(self, following: Relation) -> Relation:
        if self is _same(len(self.outputs)):
            return following
        link = matrix(self.outputs, following.inputs, (self.reads.shape[1], following.reads.shape[0]))
        return Relation(self.inputs, following.outputs, flags(self.reads @ link @ following.reads))

    def merged(self, outputs: int) -> Relation:
        """So many outputs, each reading whatever any output read."""
        return replace(self.then(Relation.groups(len(self.outputs), 1)), outputs=np.zeros(outputs, np.int64))

    def counted(self, block: int) -> Matrix:
        """`[input class, block]`: how many outputs of each block of so many read an input."""
        of = np.arange(len(self.outputs)) // block
        return self.reads @ matrix(self.outputs, of, (self.reads.shape[1], -(-len(of) // block)))

    def expanded(self) -> Matrix:
        """`[input, output]`."""
        return self.reads[self.inputs][:, self.outputs]

    @property
    def fan_in(self) -> Array:
        """Inputs that each class of outputs reads."""
        return np.asarray(self.reads.T @ np.bincount(self.inputs, minlength=self.reads.shape[0]))


Axes: TypeAlias = tuple[Relation, Relation, Relation]


@dataclass(frozen=True)
class Connections:
    """A projection: its three axes, channels, rows and columns; or all of it where reshaping mixes them.

    Attributes:
        whole: `[source neuron, target neuron]`, 1 where connected.
    """

    axes: Axes | None
    whole: Matrix | None = None

    def through(self, op: Op, shape: Shape, fully: bool) -> Connections:
        """Behind one more operator, which is entered by `shape`; `fully`: a dense layer reads all that leaves it."""
        if isinstance(op, Reshape):
            return self._reshaped(grid(shape), grid(op.shape), fully)
        if isinstance(op, Pad) and len(op.amounts) > len(grid(shape)):
            place = np.pad(np.arange(1, math.prod(shape) + 1).reshape(shape), op.amounts).ravel()
            return Connections(None, self._whole(Relation.of(
                math.prod(shape), len(place), place[place > 0] - 1, np.flatnonzero(place)).reads))
        steps = _steps(op, grid(shape), grid(op.infer(shape)))
        if self.axes is None:
            steps = [s or Relation.groups(n, n, n) for s, n in zip(steps, grid(shape), strict=True)]
            return Connections(None, self._whole(_product([s.expanded() for s in steps if s])))
        channels, rows, columns = (a.then(s) if s else a for a, s in zip(self.axes, steps, strict=True))
        return Connections((channels, rows, columns))

    def neurons(self) -> Matrix:
        """`[source neuron, target neuron]`, 1 where connected."""
        return self.whole if self.axes is None else _product([a.expanded() for a in self.axes])

    @property
    def full(self) -> bool:
        """Whether every output reads the same inputs."""
        parts = [self.neurons()] if self.axes is None else [a.reads for a in self.axes]
        return all(np.count_nonzero(np.diff(p.indptr)) * p.shape[1] == p.nnz for p in parts)

    @property
    def sources(self) -> int:
        """Inputs that some output reads."""
        if self.axes is None:
            return int(np.count_nonzero(np.diff(self.neurons().indptr)))
        return math.prod(int(np.count_nonzero(np.diff(a.reads.indptr)[a.inputs])) for a in self.axes)

    def _whole(self, following: Matrix) -> Matrix:
        return flags(self.neurons() @ following)

    def _reshaped(self, old: Grid, new: Grid, fully: bool) -> Connections:
        if old == new:
            return self
        if self.axes is not None and (fully or self.full):
            channels, rows, columns = (a.merged(n) for a, n in zip(self.axes, new, strict=True))
            return Connections((channels, rows, columns))
        return Connections(None, self.neurons())


def connections(chain: Sequence[Op], shape: Shape) -> Connections:
    """What a chain of operators connects, that a tensor of `shape` enters.

    Raises:
        CompileError: SNN416 where a reshape leaves nothing but single synapses, and those are too many.
    """
    sizes = grid(shape)
    found = Connections((_same(sizes[0]), _same(sizes[1]), _same(sizes[2])))
    for i, op in enumerate(chain):
        found, shape = found.through(op, shape, _densely_read(chain[i + 1:])), op.infer(shape)
    return found


def sparse(op: Op) -> bool:
    """Whether a layer's weights are mostly zeros, and those that are not are its synapses."""
    return (isinstance(op, Linear) and isinstance(op.weight, np.ndarray)
            and bool(2 * np.count_nonzero(op.weight) < op.weight.size))


def _densely_read(following: Sequence[Op]) -> bool:
    """Whether all that enters the following operators is read by all that leaves them."""
    for op in following:
        if not isinstance(op, (Reshape, Scale)):
            return isinstance(op, Linear) and not sparse(op)
    return False


def _same(size: int) -> Relation:
    return Relation.groups(size, size, size)


def _steps(op: Op, old: Grid, new: Grid) -> list[Relation | None]:
    """What an operator does to channels, rows and columns; None for an axis that it leaves alone."""
    if isinstance(op, Linear):
        if not sparse(op):
            return [Relation.groups(old[0], new[0]), None, None]
        readers, sources = np.nonzero(np.asarray(op.weight))
        return [Relation.of(old[0], new[0], sources, readers), None, None]
    if isinstance(op, Conv):
        return [Relation.groups(old[0], new[0], op.groups), *_windows(op, op.dilation, old, new)]
    if isinstance(op, Pool):
        return [None, *_windows(op, (1,) * len(op.kernel), old, new)]
    if isinstance(op, Upsample):
        return [None, *(Relation.groups(n, m, n) for n, m in zip(old[1:], new[1:], strict=True))]
    if isinstance(op, Pad):
        before = [op.amounts[0][0], *(0,) * (3 - len(op.amounts)), *(a[0] for a in op.amounts[1:])]
        return [Relation.of(n, m, np.arange(n), np.arange(n) + b) for n, m, b in zip(old, new, before, strict=True)]
    return [None, None, None]


def _windows(op: Conv | Pool, dilation: Shape, old: Grid, new: Grid) -> list[Relation | None]:
    first = 3 - len(op.kernel)
    along: list[Relation | None] = [
        Relation.window(n, m, k, s, p[0], d) for n, m, k, s, p, d in
        zip(old[first:], new[first:], op.kernel, op.stride, op.padding, dilation, strict=True)]
    return [*[None] * (2 - len(along)), *along]


def _product(axes: Sequence[Matrix]) -> Matrix:
    """The Kronecker product of three axes."""
    from scipy.sparse import csr_array, kron

    if math.prod(a.nnz for a in axes) > MAX_PAIRS:
        fail("SNN416", "projection through a reshape", f"{math.prod(a.nnz for a in axes):,} single synapses",
             f"{MAX_PAIRS:,} that can be counted", "put the reshape before a dense layer, or give layers three axes")
    return csr_array(kron(kron(axes[0], axes[1]), axes[2]))
