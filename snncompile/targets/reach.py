"""The reach of a projection: for each output position along each axis, the interval of input positions that it reads.

Convolutions, pools, paddings and upsamplings treat channels, rows and columns separately, so that three short vectors
describe a projection instead of a list of its synapses. All tensors count as `[channels, rows, columns]`; the axes that
a tensor does not have are of size 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Linear, Pad, Pool, Reshape, Upsample
from snncompile.ir.types import Array, Shape


def grid(shape: Shape) -> tuple[int, int, int]:
    """A shape as channels, rows and columns. Axes behind the rows count as columns, as does a single axis of space.

    >>> grid((8,)), grid((8, 20)), grid((8, 4, 5)), grid((8, 4, 5, 2))
    ((8, 1, 1), (8, 1, 20), (8, 4, 5), (8, 4, 10))
    """
    channels, *rest = shape or (1,)
    return (channels, rest[0], math.prod(rest[1:])) if len(rest) > 1 else (channels, 1, math.prod(rest))


@dataclass(frozen=True)
class Axis:
    """One axis: the output position `i` reads `count[i]` of the input positions from `low[i]` to `high[i]`.

    Where `count[i]` is 0 it reads none. A kernel of 3 without padding over 5 positions has `low` 0, 1, 2, `high`
    2, 3, 4 and `count` 3, 3, 3.

    Attributes:
        low, high, count: a number for each output position; `low` and `high` never decrease.
        inputs: the number of input positions.
    """

    low: Array
    high: Array
    count: Array
    inputs: int

    def __len__(self) -> int:
        return len(self.low)

    @classmethod
    def identity(cls, size: int) -> Axis:
        """The axis in which each output position reads the same input position."""
        every = np.arange(size)
        return cls(every, every, np.ones(size, np.int64), size)

    def taps(self, kernel: int, stride: int, before: int, dilation: int, outputs: int, scattered: bool) -> Axis:
        """The axis behind a window that slides over the output positions of this one.

        Args:
            kernel, stride, dilation: of the window.
            before: zeros put before the axis.
            outputs: the number of output positions of the window.
            scattered: whether the inputs may lie anywhere, so that an interval says nothing of their number.
        """
        first = np.arange(outputs) * stride - before
        skipped = np.maximum(-(first // dilation), 0)
        last = np.minimum((len(self) - 1 - first) // dilation, kernel - 1)
        ends = np.clip(first + dilation * skipped, 0, len(self) - 1), np.clip(first + dilation * last, 0, len(self) - 1)
        reads = np.maximum(last - skipped + 1, 0)
        # A dilated kernel that hangs over the border starts further in than the next one: widen, to stay ordered.
        low = np.minimum.accumulate(self.low[ends[0]][::-1])[::-1]
        high = np.maximum.accumulate(self.high[ends[1]])
        total = np.concatenate(([0], np.cumsum(self.count)))
        if dilation == 1:
            count = np.where(reads > 0, total[ends[1] + 1] - total[ends[0]], 0)
        else:
            at = first[:, None] + dilation * np.arange(kernel)
            inside = (at >= 0) & (at < len(self))
            count = np.where(inside, self.count[np.clip(at, 0, len(self) - 1)], 0).sum(1)
        return Axis(low, high, count if scattered else np.minimum(count, np.maximum(high - low + 1, 0)), self.inputs)

    def grouped(self, outputs: int, groups: int = 1, most: int | None = None) -> Axis:
        """The axis behind a layer in which each output reads all positions of one of some equal groups.

        Args:
            outputs: the number of output positions.
            most: the number of inputs that each output reads, where it is known.
        """
        of = np.arange(outputs) // (outputs // groups)
        size = len(self) // groups
        total = np.concatenate(([0], np.cumsum(self.count)))
        low, high = self.low[of * size], self.high[(of + 1) * size - 1]
        count = total[(of + 1) * size] - total[of * size]
        return Axis(low, high, np.minimum(count, high - low + 1 if most is None else most), self.inputs)

    def padded(self, before: int, after: int) -> Axis:
        """The axis with output positions put before and after it, which read nothing."""
        low = np.concatenate((np.full(before, 0), self.low, np.full(after, self.inputs - 1)))
        high = np.concatenate((np.full(before, 0), self.high, np.full(after, self.inputs - 1)))
        return Axis(low, high, np.pad(self.count, (before, after)), self.inputs)

    def repeated(self, factor: int) -> Axis:
        """The axis in which each output position stands `factor` times."""
        return Axis(np.repeat(self.low, factor), np.repeat(self.high, factor), np.repeat(self.count, factor),
                    self.inputs)

    def readers(self) -> tuple[Array, Array]:
        """The first and the last output position that reads each input position; last < first where none does."""
        every = np.arange(self.inputs)
        return np.searchsorted(self.high, every, "left"), np.searchsorted(self.low, every, "right") - 1


@dataclass(frozen=True)
class Reach:
    """The reach of a projection.

    Attributes:
        axes: channels, rows and columns.
        scattered: whether a reshape mixes the axes. The intervals are then wide, and only the counts are exact.
    """

    axes: tuple[Axis, Axis, Axis]
    scattered: bool = False

    @property
    def inputs(self) -> int:
        """The number of input elements."""
        return math.prod(a.inputs for a in self.axes)

    @property
    def synapses(self) -> int:
        """The number of connections between inputs and outputs, without those to padding."""
        return math.prod(int(a.count.sum()) for a in self.axes)

    @property
    def fan_in(self) -> int:
        """The most inputs that one output reads."""
        return math.prod(int(a.count.max(initial=0)) for a in self.axes)

    def through(self, op: Op, shape: Shape) -> Reach:
        """The reach behind one more operator, which takes a tensor of `shape`."""
        channels, rows, columns = self.axes
        mixed = self.scattered
        if len(shape) > 3:
            leaving = op.infer(shape)
            return self._reshaped(grid(shape), grid(leaving), max(op.synapses(shape) // max(math.prod(leaving), 1), 1))
        if isinstance(op, Linear):
            most = self.inputs if mixed else None
            return Reach((channels.grouped(op.weight.shape[0], most=most), rows.grouped(1, most=most),
                          columns.grouped(1, most=most)), mixed)
        if isinstance(op, Conv):
            out = grid(op.infer(shape))
            return Reach((channels.grouped(out[0], op.groups, self.inputs if mixed else None), *self._windows(
                op.kernel, op.stride, op.padding, op.dilation, out)), mixed)
        if isinstance(op, Pool):
            out = grid(op.infer(shape))
            return Reach((channels, *self._windows(op.kernel, op.stride, op.padding, (1,) * len(op.kernel), out)),
                         mixed)
        if isinstance(op, Upsample):
            factors = (1,) * (2 - len(op.factor)) + tuple(op.factor)
            return Reach((channels, rows.repeated(factors[0]), columns.repeated(factors[1])), mixed)
        if isinstance(op, Pad):
            amounts = (op.amounts[0], *((0, 0),) * (3 - len(op.amounts)), *op.amounts[1:])
            padded = [a.padded(*amount) for a, amount in zip(self.axes, amounts, strict=True)]
            return Reach((padded[0], padded[1], padded[2]), mixed)
        return self._reshaped(grid(shape), grid(op.shape)) if isinstance(op, Reshape) else self

    def _windows(self, kernel: Shape, stride: Shape, padding: tuple[tuple[int, int], ...], dilation: Shape,
                 out: tuple[int, int, int]) -> tuple[Axis, Axis]:
        if len(kernel) == 1:
            kernel, stride, padding, dilation = (1, *kernel), (1, *stride), ((0, 0), *padding), (1, *dilation)
        rows, columns = (axis.taps(kernel[i], stride[i], padding[i][0], dilation[i], out[i + 1], self.scattered)
                         for i, axis in enumerate(self.axes[1:]))
        return rows, columns

    def _reshaped(self, old: tuple[int, int, int], new: tuple[int, int, int], times: int = 1) -> Reach:
        """The reach behind an operator that gives the elements another shape, so that the axes are mixed.

        Args:
            old, new: channels, rows and columns before and after it.
            times: how many elements each output reads.
        """
        if old == new and times == 1:
            return self
        counts = [np.full(n, int(a.count.max(initial=0))) for a, n in zip(self.axes, new, strict=True)]
        if new[1:] == (1, 1):
            c, y, x = (a.count for a in self.axes)
            counts = [(c[:, None, None] * y[:, None] * x).reshape(-1), np.ones(1, np.int64), np.ones(1, np.int64)]
        counts[0] = counts[0] * times
        axes = [Axis(np.full(n, int(a.low.min())), np.full(n, int(a.high.max())), count, a.inputs)
                for a, n, count in zip(self.axes, new, counts, strict=True)]
        return Reach((axes[0], axes[1], axes[2]), True)


def reach_of(chain: tuple[Op, ...], shape: Shape) -> Reach:
    """The reach of a chain of operators that takes a tensor of `shape`."""
    sizes = grid(shape)
    reach = Reach((Axis.identity(sizes[0]), Axis.identity(sizes[1]), Axis.identity(sizes[2])))
    for op in chain:
        reach, shape = reach.through(op, shape), op.infer(shape)
    return reach
