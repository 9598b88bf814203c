"""The operators without a state: inputs, outputs, and layers. The methods are described at their base class, `op.Op`.

Two-dimensional layers take tensors `[channels, height, width]`, one-dimensional ones `[channels, length]`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from snncompile.ir.exact import convolve, matmul, window_reduce
from snncompile.ir.layer import Layer, per_channel
from snncompile.ir.op import Op, ShapeError, broadcasts, expect
from snncompile.ir.types import Array, Shape, ShapeOnly, Weight, freeze_arrays
from snncompile.ir.windows import Window

Pads = tuple[tuple[int, int], ...]
"""For each axis, the number of zeros before and after it."""


@lru_cache(maxsize=1 << 12)
def _placements(sizes: Shape, kernel: Shape, stride: Shape, padding: Pads, dilation: Shape | None = None
                ) -> Shape:
    """How often a window fits along each axis, in steps of the stride; 0 or less where it does not fit.

    With size 8, kernel 3, stride 2, padding (1, 1) and dilation 1: (8 + 2 - 2 - 1) // 2 + 1 = 4. Shapes are asked for
    often, by each pass and each report, and a network has few different ones.
    """
    return tuple((n + sum(p) - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in
                 zip(sizes, kernel, stride, padding, dilation or (1,) * len(sizes), strict=True))


@dataclass(frozen=True, eq=False)
class Input(Op):
    """An input of the network, which receives a tensor in every tick.

    Attributes:
        shape: the shape of the tensor of a tick.
        values: `spike` for 0, 1 and other small counts; `real` for real numbers, which a compiled network rounds to
            integers when they are given to it.
        low, high: the least and the largest value; in an INT graph, the least and the largest integer.
        unit: in an INT graph, the real value of the integer 1.
    """

    shape: Shape
    values: Literal["spike", "real"] = "spike"
    low: float = 0
    high: float = 1
    unit: float = 1.0

    def infer(self, shape: Shape) -> Shape:
        return self.shape


@dataclass(frozen=True, eq=False)
class Output(Op):
    """An output of the network.

    Attributes:
        decode: how the values of all ticks become one number for each element, the largest of which is the decision:
            `rate` takes their sum, `last` the value of the last tick, `max` the largest value.
    """

    decode: Literal["rate", "last", "max"] = "rate"

    def infer(self, shape: Shape) -> Shape:
        return shape

    def apply(self, x: Array) -> Array:
        return x


@dataclass(frozen=True, eq=False)
class Identity(Op):
    """The sum of the edges into the node. It stands where a network adds tensors."""

    def infer(self, shape: Shape) -> Shape:
        return shape

    def apply(self, x: Array) -> Array:
        return x

    def synapses(self, shape: Shape) -> int:
        return math.prod(shape)


@dataclass(frozen=True, eq=False)
class Linear(Layer):
    """A fully connected layer, `y = weight x + bias`, from `[in]` to `[out]`.

    Attributes:
        weight: `[out, in]`.
        bias: `[out]`, or None.
    """

    def infer(self, shape: Shape) -> Shape:
        out, fan_in = self.weight.shape
        expect(len(shape) == 1 and shape[0] == fan_in, f"expects [{fan_in}]")
        return (out,)

    def apply(self, x: Array) -> Array:
        return self.biased(matmul(x, self.weight))

    def synapses(self, shape: Shape) -> int:
        return self.weight.size

    def windows(self, shape: Shape) -> tuple[Window, ...]:
        return (Window.groups(*self.weight.shape[::-1]),)

    def tap_weights(self, shape: Shape) -> Any:
        return self.weight

    def kept_taps(self) -> Array | None:
        """Where most weights are zeros, those that are not are its synapses, `[out, in]`."""
        weight = self.weight
        if isinstance(weight, ShapeOnly):
            return None if self.kept_per_output() is None else _spread(weight)
        return None if 2 * np.count_nonzero(weight) >= weight.size else np.asarray(weight != 0)

    def kept_per_output(self) -> Array | None:
        weight = self.weight
        if isinstance(weight, ShapeOnly) and 2 * weight.nonzero < weight.size:
            return kept_by_output(weight)
        return None


@dataclass(frozen=True, eq=False)
class Conv(Layer):
    """A convolution, computed as a cross-correlation as in deep learning, over one or two axes.

    Attributes:
        weight: `[out, in/groups, *kernel]`, whose kernel has one or two axes.
        bias: `[out]`, or None.
        stride, dilation: a number for each axis of the kernel.
        padding: zeros before and after each of these axes.
        groups: the number of groups of channels; each output channel reads the channels of one group.
    """

    stride: Shape = (1, 1)
    padding: Pads = ((0, 0), (0, 0))
    dilation: Shape = (1, 1)
    groups: int = 1

    @property
    def kernel(self) -> Shape:
        """The sides of the kernel: one number, or rows and columns."""
        return tuple(self.weight.shape[2:])

    @property
    def axes(self) -> int:
        return len(self.kernel) + 1

    def before(self, factor: Array | ShapeOnly) -> Array | ShapeOnly | None:
        if not per_channel(factor, self.axes) or isinstance(factor, ShapeOnly):
            return super().before(factor)
        out, fan_in, *kernel = self.weight.shape
        by_group = factor.reshape(self.groups, fan_in, *(1,) * len(kernel))
        return np.repeat(by_group, out // self.groups, 0)

    def infer(self, shape: Shape) -> Shape:
        axes = len(self.kernel)
        channels = self.weight.shape[1] * self.groups
        if len(shape) != axes + 1 or shape[0] != channels:
            raise ShapeError(f"expects [{channels}{', length' if axes == 1 else ', height, width'}]")
        out = _placements(shape[1:], self.kernel, self.stride, self.padding, self.dilation)
        if min(out) <= 0:
            raise ShapeError(f"a kernel of {list(self.kernel)} does not fit into {list(shape[1:])}")
        return (self.weight.shape[0], *out)

    def apply(self, x: Array) -> Array:
        return self.biased(convolve(x, self.weight, self.stride, self.padding, self.dilation, self.groups))

    def synapses(self, shape: Shape) -> int:
        out = self.infer(shape)
        taps: int = math.prod(
            sum(0 <= o * s + k * d - p[0] < n for o in range(m) for k in range(kn))
            for n, m, kn, s, p, d in zip(shape[1:], out[1:], self.kernel, self.stride, self.padding, self.dilation,
                                         strict=True)
        )
        return taps * math.prod(self.weight.shape[:2])

    def windows(self, shape: Shape) -> tuple[Window, ...]:
        channels, *space = self.infer(shape)
        return Window.groups(shape[0], channels, self.groups), *(
            Window(n, m, k, s, p[0], d) for n, m, k, s, p, d in zip(
                shape[1:], space, self.kernel, self.stride, self.padding, self.dilation, strict=True))

    def tap_weights(self, shape: Shape) -> Any:
        out, *taps = self.weight.shape
        return np.asarray(self.weight).reshape(out, *(1,) * len(self.kernel), *taps)


@dataclass(frozen=True, eq=False)
class Pool(Op):
    """The base class of sum, average and max pooling: a window over the axes behind the channels.

    Attributes:
        kernel, stride: a number for each of the one or two axes.
        padding: elements put before and after each of these axes.
        mode: what is computed of each window.
    """

    kernel: Shape
    stride: Shape
    padding: Pads = ((0, 0), (0, 0))
    mode: ClassVar[Literal["sum", "max"]] = "sum"

    def infer(self, shape: Shape) -> Shape:
        expect(len(shape) == len(self.kernel) + 1, f"expects {len(self.kernel) + 1} axes, channels first")
        out = _placements(shape[1:], self.kernel, self.stride, self.padding)
        expect(min(out) > 0, f"a window of {list(self.kernel)} does not fit into {list(shape[1:])}")
        return (shape[0], *out)

    def apply(self, x: Array) -> Array:
        return window_reduce(x, self.kernel, self.stride, self.padding, self.mode)

    def synapses(self, shape: Shape) -> int:
        return math.prod(self.infer(shape)) * math.prod(self.kernel)

    def windows(self, shape: Shape) -> tuple[Window, ...]:
        return Window.same(shape[0]), *(
            Window(n, m, k, s, p[0]) for n, m, k, s, p in zip(
                shape[1:], self.infer(shape)[1:], self.kernel, self.stride, self.padding, strict=True))


@dataclass(frozen=True, eq=False)
class SumPool(Pool):
    """The sum of each window."""

    def bounds(self, low: int, high: int) -> tuple[int, int]:
        return low * math.prod(self.kernel), high * math.prod(self.kernel)


@dataclass(frozen=True, eq=False)
class AvgPool(Pool):
    """The mean of each window, in which the zeros of the padding are counted."""

    def apply(self, x: Array) -> Array:
        return np.asarray(super().apply(x) / math.prod(self.kernel), x.dtype)


@dataclass(frozen=True, eq=False)
class MaxPool(Pool):
    """The largest element of each window. On spikes of 0 and 1, this is a logical OR."""

    linear: ClassVar[bool] = False
    mode: ClassVar[Literal["sum", "max"]] = "max"

    def infer(self, shape: Shape) -> Shape:
        out = super().infer(shape)
        expect(all(max(p) < k for p, k in zip(self.padding, self.kernel, strict=True)),
               "the padding of a maximum must be smaller than its window")
        return out


@dataclass(frozen=True, eq=False)
class Upsample(Op):
    """Nearest-neighbour upsampling: each element is repeated `factor` times along each axis behind the channels."""

    moves: ClassVar[bool] = True
    factor: Shape

    def infer(self, shape: Shape) -> Shape:
        expect(len(shape) == len(self.factor) + 1, f"expects {len(self.factor) + 1} axes, channels first")
        return (shape[0], *(n * f for n, f in zip(shape[1:], self.factor, strict=True)))

    def apply(self, x: Array) -> Array:
        y = x
        for axis, factor in enumerate(self.factor, start=2):
            y = np.repeat(y, factor, axis)
        return y

    def windows(self, shape: Shape) -> tuple[Window, ...]:
        return Window.same(shape[0]), *(
            Window(n, n * f, repeat=f) for n, f in zip(shape[1:], self.factor, strict=True))


@dataclass(frozen=True, eq=False)
class Scale(Op):
    """Elementwise `y = factor x + bias`, such as a batch norm at inference.

    Attributes:
        factor, bias: numbers, or arrays that broadcast to the shape of the tensor; `bias` may be None.
    """

    factor: Weight | float
    bias: Weight | float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in freeze_arrays({"factor": self.factor, "bias": self.bias}).items():
            object.__setattr__(self, name, value)

    def infer(self, shape: Shape) -> Shape:
        for value in (self.factor, self.bias):
            broadcasts(value, shape)
        return shape

    def apply(self, x: Array) -> Array:
        y = x * _as_dtype(self.factor, x)
        return y if self.bias is None else y + _as_dtype(self.bias, x)

    def synapses(self, shape: Shape) -> int:
        return math.prod(shape)

    def tap_weights(self, shape: Shape) -> Any:
        return np.broadcast_to(np.asarray(self.factor), shape).reshape(*shape, *(1,) * len(shape))

    def bounds(self, low: int, high: int) -> tuple[int, int]:
        factor = np.asarray(self.factor)
        ends = [end * f for end in (low, high) for f in (int(factor.min()), int(factor.max()))]
        return min(0, *ends), max(0, *ends)


@dataclass(frozen=True, eq=False)
class Reshape(Op):
    """The same elements, in row-major order, in a tensor of another `shape`."""

    moves: ClassVar[bool] = True
    shape: Shape

    def infer(self, shape: Shape) -> Shape:
        expect(math.prod(shape) == math.prod(self.shape),
               f"cannot lay {math.prod(shape)} values out as {list(self.shape)}")
        return self.shape

    def apply(self, x: Array) -> Array:
        return x.reshape(len(x), *self.shape)

    def windows(self, shape: Shape) -> tuple[Window, ...]:
        raise AssertionError("a reshape does not treat the axes apart")


@dataclass(frozen=True, eq=False)
class Rectify(Op):
    """The positive part `max(x, 0)`, or with `sign=-1` the negative part `min(x, 0)`."""

    sign: Literal[1, -1] = 1
    linear: ClassVar[bool] = False

    def infer(self, shape: Shape) -> Shape:
        return shape

    def apply(self, x: Array) -> Array:
        return np.maximum(x, 0) if self.sign > 0 else np.minimum(x, 0)

    def bounds(self, low: int, high: int) -> tuple[int, int]:
        return (0, high) if self.sign > 0 else (low, 0)


@dataclass(frozen=True, eq=False)
class Pad(Op):
    """Zeros around a tensor: `amounts` gives their number before and after each axis.

    Graphs have no concatenation. The concatenation of tensors `[2]` and `[3]` is written as the sum of the first,
    padded by `((0, 3),)`, and the second, padded by `((2, 0),)`.
    """

    moves: ClassVar[bool] = True
    amounts: Pads

    def infer(self, shape: Shape) -> Shape:
        expect(len(shape) == len(self.amounts), f"expects {len(self.amounts)} axes")
        return tuple(n + a + b for n, (a, b) in zip(shape, self.amounts, strict=True))

    def apply(self, x: Array) -> Array:
        return np.pad(x, ((0, 0), *self.amounts))

    def windows(self, shape: Shape) -> tuple[Window, ...]:
        return tuple(Window(n, n + a + b, before=a) for n, (a, b) in zip(shape, self.amounts, strict=True))


def _spread(weight: ShapeOnly) -> Array:
    """A mask of a bare shape `[out, in]` in which non-zero weights are spread evenly over the outputs.

    Where they will lie is not known. So each output reads the inputs that follow those of the output before it, and the
    first ones again after the last: outputs that follow each other share as few inputs as they can, and with other
    places of the weights, a core does not need more axons for them.

    Three rows of six weights, of which seven are not zero:

    >>> _spread(ShapeOnly((3, 6), density=7 / 18)).astype(int).tolist()
    [[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [1, 0, 0, 0, 1, 1]]
    """
    size, kept = weight.shape[1], kept_by_output(weight)[:, None]
    return np.asarray((np.arange(size) - np.cumsum(kept)[:, None] + kept) % max(size, 1) < kept)


def kept_by_output(weight: ShapeOnly) -> Array:
    """How many weights of each output will not be zero, `[out]`: they are spread evenly over the outputs."""
    out = weight.shape[0]
    return np.diff(np.arange(out + 1) * weight.nonzero // max(out, 1))


def _as_dtype(value: Any, like: Array) -> Array:
    return np.asarray(value, like.dtype)
