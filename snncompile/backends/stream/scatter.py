"""Scatter: which sums an event adds to, and with which weights, as tables along the axes of an image.

Operators on images treat rows and columns apart. An event at row y and column x reaches, for each pair of a row tap and
a column tap, one place of the image behind; there its channel adds one row of weights to the channels of the place. A
convolution with a kernel of 3 and a padding of 1, along an axis of 4: the event at 0 reaches the places 1 and 0, with
the taps 0 and 1.

>>> from snncompile.ir.windows import Window
>>> Axis.of(Window(4, 4, taps=3, before=1), True).reached[0]
((1, 0), (0, 1))

A fully connected layer behind an image is a kernel as large as the image: its taps are the rows and columns themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snncompile.backends.plan.layouts import as_image, channels_last
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Linear, Pad, Reshape, Scale, SumPool, Upsample
from snncompile.ir.types import Array, Shape, ShapeOnly
from snncompile.ir.windows import Window

DENSE_WEIGHTS = 1 << 24
"""The most weights of a projection that is written out as a matrix because it has no simpler form."""


@dataclass(frozen=True)
class Axis:
    """What each coordinate of a source reaches along one axis.

    Attributes:
        reached: for each coordinate, pairs of a coordinate behind and a tap.
        size: of the axis behind.
        taps: the number of different taps.
    """

    reached: tuple[tuple[tuple[int, int], ...], ...]
    size: int
    taps: int = 1

    @classmethod
    def same(cls, size: int) -> Axis:
        """Every coordinate reaches itself."""
        return cls(tuple(((i, 0),) for i in range(size)), size)

    @classmethod
    def whole(cls, size: int) -> Axis:
        """Every coordinate reaches the only one behind, each with a tap of its own."""
        return cls(tuple(((0, i),) for i in range(size)), 1, size)

    @classmethod
    def of(cls, window: Window, weighted: bool) -> Axis:
        """The axis of an operator.

        Args:
            weighted: whether the taps have weights of their own.
        """
        reached: list[list[tuple[int, int]]] = [[] for _ in range(window.inputs)]
        positions = window.positions()
        for tap in range(window.taps):
            for out, read in enumerate(positions[:, tap].tolist()):
                if read >= 0:
                    reached[read].append((out, tap if weighted else 0))
        return cls(tuple(map(tuple, reached)), window.outputs, window.taps if weighted else 1)

    def then(self, axis: Axis) -> Axis:
        """Two operators after each other, of which one has taps at most."""
        reached = tuple(tuple((out, tap + more) for place, tap in each for out, more in axis.reached[place])
                        for each in self.reached)
        return Axis(reached, axis.size, max(self.taps, axis.taps))

    @property
    def most(self) -> int:
        """The most pairs of a coordinate."""
        return max(1, *map(len, self.reached))

    @property
    def meets(self) -> bool:
        """Whether all coordinates reach the only one behind."""
        return self.size == 1 and all(len(each) == 1 for each in self.reached)

    @property
    def repeats(self) -> bool:
        """Whether an event can reach the same place twice."""
        return any(len({out for out, _ in each}) < len(each) for each in self.reached)

    def wrapped(self, kept: int) -> Axis:
        """The axis where so many places have a memory, and the next one takes that of the first again."""
        reached = tuple(tuple((place % kept, tap) for place, tap in each) for each in self.reached)
        return replace(self, reached=reached)

    def table(self, groups: int, addresses: int) -> tuple[Array, Array, Array]:
        """For each coordinate and pair, up to powers of two, whether there is one, its group, and its address.

        Args:
            groups, addresses: from one place behind to the next, and from one tap to the next.
        """
        shape = 1 << max(1, (len(self.reached) - 1).bit_length()), 1 << max(1, (self.most - 1).bit_length())
        there, group, address = (np.zeros(shape, np.int64) for _ in range(3))
        for i, each in enumerate(self.reached):
            for k, (place, tap) in enumerate(each):
                there[i, k], group[i, k], address[i, k] = 1, place * groups, tap * addresses
        return there, group, address


@dataclass(frozen=True, eq=False)
class Scatter:
    """The targets and weights of the events of a source.

    Attributes:
        rows, columns: the two axes.
        channels: of the target.
        weights: `[row tap, column tap, source channel, target channel]`.
        spans: for each source channel, the first and last channel of the target that it can reach.
    """

    rows: Axis
    columns: Axis
    channels: int
    weights: Array
    spans: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """The number of sums."""
        return self.rows.size * self.columns.size * self.channels


@dataclass(frozen=True)
class _Path:
    """A chain so far: operators without weights before and behind at most one with weights."""

    shape: Shape
    rows: Axis
    columns: Axis
    channels: tuple[int, ...]  # where each channel of the source lies, until there are weights
    weights: Array | None = None
    spans: tuple[tuple[int, int], ...] = ()
    factor: int = 1
    flat: tuple[int, int, int] | None = None


def scatter(chain: Sequence[Op], shape: Shape, into: Shape) -> Scatter | None:
    """The scatter of a chain of linear operators; None for one that is too large to be written out.

    Args:
        shape, into: of the source and of the target.
    """
    channels, height, width = as_image(shape)
    path: _Path | None = _Path(shape, Axis.same(height), Axis.same(width), tuple(range(channels)))
    for op in chain:
        path = _then(path, op) if path else None
    if path is None or path.flat or path.shape != into or len(into) > 3:
        return _dense(chain, shape, into)
    weights, spans = path.weights, path.spans
    if weights is None:
        weights, spans = np.zeros((1, 1, channels, path.shape[0]), np.int64), tuple((c, c) for c in path.channels)
        weights[0, 0, np.arange(channels), path.channels] = 1
    return Scatter(path.rows, path.columns, path.shape[0], weights * path.factor, spans)


def _then(path: _Path, op: Op) -> _Path | None:
    """The path with one more operator; None where it leaves the form."""
    match op:
        case Scale() if op.bias is None and not isinstance(op.factor, (np.ndarray, ShapeOnly)):
            return replace(path, factor=path.factor * int(op.factor))
        case Reshape():
            return _reshaped(path, op.shape)
        case Linear() if path.weights is None:
            return _linear(path, op)
        case _ if path.flat or len(path.shape) > 3:
            return None
        case Conv() if path.weights is None:
            return _convolved(path, op)
        case SumPool() | Upsample() | Pad():
            first, *space = op.windows(path.shape)
            if path.weights is not None and not first.is_same:
                return None
            rows, columns = _axes(space, False)
            return replace(path, shape=op.infer(path.shape), rows=path.rows.then(rows),
                           columns=path.columns.then(columns), channels=tuple(c + first.before for c in path.channels))
    return None


def _axes(windows: Sequence[Window], weighted: bool) -> tuple[Axis, Axis]:
    """Rows and columns of an operator on up to two axes of space."""
    full = [Window.same(1)] * (2 - len(windows)) + list(windows)
    return Axis.of(full[0], weighted), Axis.of(full[1], weighted)


def _reshaped(path: _Path, shape: Shape) -> _Path | None:
    if path.flat is not None:
        return replace(path, shape=shape) if len(shape) == 1 else None
    ones = math.prod(path.shape[1:]) == 1 and math.prod(shape[1:]) == 1 and len(shape) <= 3
    if shape == path.shape or ones:
        return replace(path, shape=shape)
    if len(shape) == 1 and path.weights is None and len(path.shape) <= 3:
        return replace(path, shape=shape, flat=as_image(path.shape))
    return None


def _linear(path: _Path, op: Linear) -> _Path | None:
    channels, height, width = path.flat or (path.shape[0], 1, 1)
    full = np.asarray(op.weight, np.int64).reshape(-1, channels, height, width)
    weights = full.transpose(2, 3, 1, 0)[:, :, list(path.channels)]
    out = len(full)
    return replace(path, shape=(out,), rows=path.rows.then(Axis.whole(height)), flat=None,
                   columns=path.columns.then(Axis.whole(width)), weights=weights,
                   spans=((0, out - 1),) * len(path.channels))


def _convolved(path: _Path, op: Conv) -> _Path:
    out, each, *kernel = op.weight.shape
    taps = np.asarray(op.weight, np.int64).reshape(out, each, *((1,) * (2 - len(kernel)) + tuple(kernel)))
    by_group = out // op.groups
    weights = np.zeros((*taps.shape[2:], each * op.groups, out), np.int64)
    for g in range(op.groups):
        mine = slice(g * by_group, (g + 1) * by_group)
        weights[:, :, g * each:(g + 1) * each, mine] = taps[mine].transpose(2, 3, 1, 0)
    rows, columns = _axes(op.windows(path.shape)[1:], True)
    spans = tuple((c // each * by_group, (c // each + 1) * by_group - 1) for c in path.channels)
    return replace(path, shape=op.infer(path.shape), rows=path.rows.then(rows), columns=path.columns.then(columns),
                   weights=weights[:, :, list(path.channels)], spans=spans)


def _dense(chain: Sequence[Op], shape: Shape, into: Shape) -> Scatter | None:
    """A chain as one matrix from all elements to all."""
    size, out = math.prod(shape), math.prod(into)
    if size * out > DENSE_WEIGHTS:
        return None
    x: Any = np.eye(size, dtype=np.int64).reshape(size, *shape)
    for op in chain:
        x = op.apply(x)
    channels, height, width = as_image(shape)
    matrix = np.broadcast_to(x, (size, *into)).reshape(size, -1)[channels_last(shape)][:, channels_last(into)]
    return Scatter(Axis.whole(height), Axis.whole(width), out, matrix.reshape(height, width, channels, out),
                   ((0, out - 1),) * channels)
