"""Which sources each neuron reads, exactly: for each axis a small sparse matrix over classes of positions.

Operators treat channels, rows and columns apart (`ir.windows`), so the matrix of a projection is the Kronecker product
of three small ones. `targets.reach` describes the same by intervals, which are too wide where strides and dilations
leave positions out; counting axons needs the exact sets.

A dense layer from 100 to 10 channels is one class that reads one class, and a pool over pairs has a class for each
pair:

>>> dense = Relation.through(Window.groups(100, 10))
>>> dense.reads.toarray().tolist(), dense.fan_in.tolist()
([[1]], [100])
>>> pool = Relation.through(Window(5, 2, taps=2, stride=2))
>>> pool.inputs.tolist(), pool.outputs.tolist(), pool.reads.toarray().tolist()
([0, 0, 1, 1, 2], [0, 1], [[1, 0], [0, 1], [0, 0]])
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
from snncompile.ir.ops import Reshape
from snncompile.ir.types import Array, Shape
from snncompile.ir.windows import Window
from snncompile.targets.reach import Volume, by_axis, volume

Matrix: TypeAlias = Any
"""A `csr_array` of int64."""
MAX_PAIRS = 1 << 28
"""Single synapses that are written out, at most, where a reshape mixes the axes."""
CACHED = 256
"""Relations that are kept, because networks repeat the same windows."""


def matrix(rows: Array, columns: Array, shape: tuple[int, int]) -> Matrix:
    """The matrix of a shape that counts how often each pair of a row and a column is given."""
    from scipy.sparse import coo_array, csr_array

    return csr_array(coo_array((np.ones(len(rows), np.int64), (rows, columns)), shape))


def flags(counts: Matrix) -> Matrix:
    """A matrix with 1 wherever the given one has an entry."""
    ones = counts.copy()
    ones.data = np.ones_like(ones.data)
    return ones


@dataclass(frozen=True)
class Relation:
    """One axis of a projection. Positions fall into classes; all outputs of a class read all inputs of some classes.

    Attributes:
        inputs, outputs: `[position]`, the class of each input and of each output.
        reads: `[input class, output class]`, 1 where read.
    """

    inputs: Array
    outputs: Array
    reads: Matrix

    @classmethod
    def of(cls, inputs: int, outputs: int, sources: Array, readers: Array) -> Relation:
        """Every position is a class of its own; input `sources[i]` is read by output `readers[i]`."""
        return cls(np.arange(inputs), np.arange(outputs), flags(matrix(sources, readers, (inputs, outputs))))

    @classmethod
    @lru_cache(CACHED)
    def through(cls, window: Window) -> Relation:
        """What a window reads. Outputs that read the same are one class, and so are inputs that one window reads, where
        windows lie side by side."""
        outputs = np.arange(window.outputs) // window.repeat
        if window.is_tiling:
            inputs = np.arange(window.inputs) // window.stride
            size = int(inputs.max(initial=-1)) + 1, int(outputs.max(initial=-1)) + 1
            each = np.arange(min(size))
            return cls(inputs, outputs, matrix(each, each, size))
        at = window.different()
        reader, tap = np.nonzero(at >= 0)
        return cls(np.arange(window.inputs), outputs, matrix(at[reader, tap], reader, (window.inputs, len(at))))

    @classmethod
    def product(cls, parts: Sequence[Relation]) -> Relation:
        """Several axes laid out as one, in C order."""
        whole = parts[0]
        for part in parts[1:]:
            inputs, outputs = (a[:, None] * size + b for a, b, size in (
                (whole.inputs, part.inputs, part.reads.shape[0]), (whole.outputs, part.outputs, part.reads.shape[1])))
            whole = cls(inputs.ravel(), outputs.ravel(), kronecker([whole.reads, part.reads]))
        return whole

    def then(self, following: Relation) -> Relation:
        """What the outputs of a following relation read of the inputs of this one."""
        if self is Relation.through(Window.same(len(self.inputs))):
            return following
        if following is Relation.through(Window.same(len(following.outputs))):
            return self
        link = matrix(self.outputs, following.inputs, (self.reads.shape[1], following.reads.shape[0]))
        return Relation(self.inputs, following.outputs, flags(self.reads @ link @ following.reads))

    def merged(self, outputs: int) -> Relation:
        """The relation of so many outputs that each read whatever any output of this one reads."""
        everything = Relation.through(Window.groups(len(self.outputs), 1))
        return replace(self.then(everything), outputs=np.zeros(outputs, np.int64))

    def counted(self, block: int) -> Matrix:
        """How many outputs of each block of so many positions read an input, `[input class, block]`."""
        of = np.arange(len(self.outputs)) // block
        return self.reads @ matrix(self.outputs, of, (self.reads.shape[1], -(-len(of) // block)))

    def expanded(self) -> Matrix:
        """The relation without classes, `[input, output]`, 1 where read."""
        return self.reads[self.inputs][:, self.outputs]

    @property
    def fan_in(self) -> Array:
        """How many inputs an output of each class reads, `[output class]`."""
        return np.asarray(self.reads.T @ np.bincount(self.inputs, minlength=self.reads.shape[0]))


Axes: TypeAlias = tuple[Relation, Relation, Relation]


@dataclass(frozen=True)
class Connections:
    """What a projection connects.

    Attributes:
        axes: the relations of its channels, rows and columns, of which it is the product; None where a reshape mixes
            the axes so that it is none.
        whole: without axes, `[source neuron, target neuron]`, 1 where connected.
        mixed: whether a reshape has mixed the axes.
    """

    axes: Axes | None
    whole: Matrix | None = None
    mixed: bool = False

    def through(self, op: Op, shape: Shape) -> Connections:
        """The connections behind one more operator, no reshape, which is entered by a tensor of `shape`."""
        steps = _relations(op, shape)
        if self.axes is None:
            return replace(self, whole=flags(self.neurons() @ kronecker([s.expanded() for s in steps])))
        channels, rows, columns = (axis.then(step) for axis, step in zip(self.axes, steps, strict=True))
        return replace(self, axes=(channels, rows, columns))

    def reshaped(self, old: Volume, new: Volume, fully: bool) -> Connections:
        """The connections behind a reshape; `fully`: a dense layer reads all that leaves it."""
        if old == new:
            return self
        if self.axes is not None and (fully or self.full):
            channels, rows, columns = (a.merged(n) for a, n in zip(self.axes, new, strict=True))
            return Connections((channels, rows, columns), mixed=True)
        return Connections(None, self.neurons(), mixed=True)

    def neurons(self) -> Matrix:
        """`[source neuron, target neuron]`, 1 where connected."""
        return self.whole if self.axes is None else kronecker([a.expanded() for a in self.axes])

    @property
    def full(self) -> bool:
        """Whether all outputs read the same inputs."""
        parts = [self.neurons()] if self.axes is None else [a.reads for a in self.axes]
        return all(np.count_nonzero(np.diff(p.indptr)) * p.shape[1] == p.nnz for p in parts)

    @property
    def sources(self) -> int:
        """How many inputs are read by some output."""
        if self.axes is None:
            return int(np.count_nonzero(np.diff(self.neurons().indptr)))
        return math.prod(int(np.count_nonzero(np.diff(a.reads.indptr)[a.inputs])) for a in self.axes)


def connections(chain: Sequence[Op], shape: Shape) -> Connections:
    """What a chain of operators connects, that a tensor of `shape` enters.

    Raises:
        CompileError: SNN416 where a reshape leaves nothing but single synapses, and those are too many.
    """
    shapes = [shape]
    for op in chain:
        shapes.append(op.infer(shapes[-1]))
    channels, rows, columns = (Relation.through(Window.same(size)) for size in volume(shape))
    link = Connections((channels, rows, columns))
    for i, op in enumerate(chain):
        if isinstance(op, Reshape):
            link = link.reshaped(volume(shapes[i]), volume(op.shape), _densely_read(chain[i + 1:], shapes[i + 1:]))
        else:
            link = link.through(op, shapes[i])
    return link


def _densely_read(following: Sequence[Op], shapes: Sequence[Shape]) -> bool:
    """Whether all that enters the following operators is read by all that leaves them: a dense layer comes first of
    those that do not leave every element at its place."""
    for op, shape in zip(following, shapes, strict=False):
        if isinstance(op, Reshape):
            continue
        windows = op.windows(shape)
        if not all(w.is_same for w in windows):
            return all(w.is_full for w in windows) and op.kept_taps() is None
    return False


def _relations(op: Op, shape: Shape) -> list[Relation]:
    """What an operator reads along channels, rows and columns."""
    steps = [Relation.product([Relation.through(w) for w in windows]) for windows in by_axis(op.windows(shape))]
    kept = op.kept_taps()
    if kept is not None:
        readers, sources = np.nonzero(kept)
        steps[0] = Relation.of(kept.shape[1], kept.shape[0], sources, readers)
    return steps


def kronecker(parts: Sequence[Matrix]) -> Matrix:
    """The Kronecker product of matrices.

    Raises:
        CompileError: SNN416 where it has more than `MAX_PAIRS` entries.
    """
    from scipy.sparse import csr_array, kron

    if math.prod(a.nnz for a in parts) > MAX_PAIRS:
        fail("SNN416", "projection through a reshape", f"{math.prod(a.nnz for a in parts):,} single synapses",
             f"{MAX_PAIRS:,} that can be counted", "put the reshape before a dense layer, or give layers three axes")
    whole = parts[0]
    for part in parts[1:]:
        whole = csr_array(kron(whole, part))
    return whole
