"""From a projection's chain of operators to kernels: choosing them, and laying their weights out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncompile.backends.c.kernels import (
    AddKernel,
    ConvDense,
    ConvDepthwise,
    ConvRuns,
    ConvTaps,
    Data,
    Gather,
    Geometry,
    Kernel,
    LinearDense,
    LinearEvent,
    Packed,
    PoolKernel,
    RectifyKernel,
    Row,
    ScaleKernel,
    UpsampleKernel,
)
from snncompile.backends.c.layout import accumulator_type, as_image, c_type, channels_last, narrow, per_channel
from snncompile.ir.op import Op
from snncompile.ir.operations import Interval, bit_width
from snncompile.ir.ops import Conv, Linear, Pad, Pool, Rectify, Reshape, Scale, Upsample
from snncompile.ir.types import Array, Shape

DENSE_LINEAR_RATE = 0.5
DENSE_CONV_RATE = 0.35
MAX_PACKED_PLANES = 8


@dataclass(frozen=True)
class Signal:
    """A tensor on its way through a chain: where it lies, its shape, its order in memory, its range and rate."""

    row: Row
    shape: Shape
    order: Array
    low: int
    high: int
    rate: float


@dataclass
class Builder:
    """Builds the kernels of one projection; `name` names its scratch rows, `symbol` begins those of its constants."""

    name: str
    symbol: str
    kernels: list[Kernel] = field(default_factory=list)
    scratch: list[Row] = field(default_factory=list)

    def build(self, chain: tuple[Op, ...], signal: Signal, target: Row, target_shape: Shape) -> None:
        """Kernels that add what the chain makes of the signal to the target, which is channels last."""
        order = channels_last(target_shape)
        for i, op in enumerate(chain):
            shape = op.infer(signal.shape)
            final = i == len(chain) - 1 and np.array_equal(channels_last(shape), order)
            if isinstance(op, (Linear, Conv)):
                signal = self._weighted(op, signal, shape, target if final else None)
                if final:
                    return
            else:
                signal = self._plain(op, signal, shape)
        self._add(signal, target, order)

    def _add(self, signal: Signal, target: Row, order: Array) -> None:
        if np.array_equal(signal.order, order):
            self.kernels.append(AddKernel(signal.row, target))
        else:
            self.kernels.append(self._gather(signal, target, order, adds=True))

    def _gather(self, signal: Signal, dst: Row, order: Array, adds: bool) -> Gather:
        """Reorder a signal; `order` may name elements that do not exist (index = size), which read as 0."""
        position = np.full(signal.row.size + 1, signal.row.size, np.int64)
        position[signal.order] = np.arange(signal.row.size)
        index = position[order]
        data = Data(f"{self.symbol}_INDEX{len(self.kernels)}", narrow(index))
        return Gather(signal.row, dst, data, adds, bool(np.any(index == signal.row.size)))

    def _fresh(self, low: int, high: int, size: int, accumulates: bool) -> Row:
        kind = accumulator_type(low, high) if accumulates else c_type(low, high)
        row = Row(f"net->scratch.{self.name}.row{len(self.scratch)}", kind, size)
        self.scratch.append(row)
        return row

    def _ordered(self, signal: Signal) -> Signal:
        """The signal, channels last."""
        order = channels_last(signal.shape)
        if np.array_equal(signal.order, order):
            return signal
        dst = self._fresh(signal.low, signal.high, signal.row.size, False)
        self.kernels.append(self._gather(signal, dst, order, adds=False))
        return Signal(dst, signal.shape, order, signal.low, signal.high, signal.rate)

    # --- operators without weights ---------------------------------------------------------------

    def _plain(self, op: Op, signal: Signal, shape: Shape) -> Signal:
        low, high = op.bounds(signal.low, signal.high)
        low, high = min(low, 0), max(high, 0)
        if isinstance(op, Reshape):
            return Signal(signal.row, shape, signal.order, low, high, signal.rate)
        if isinstance(op, Pad):
            return self._pad(op, signal, shape)
        signal = self._ordered(signal)
        dst = self._fresh(low, high, int(np.prod(shape)), False)
        if isinstance(op, Upsample):
            self.scratch[-1] = dst = dataclasses.replace(dst, type=signal.row.type)  # whole places are copied
        rate = signal.rate
        if isinstance(op, Pool):
            self.kernels.append(PoolKernel(signal.row, dst, _window(op, signal.shape, shape), op.mode))
            rate = 1 - (1 - min(signal.rate, 1.0)) ** float(np.prod(op.kernel))
        elif isinstance(op, Upsample):
            self.kernels.append(UpsampleKernel(signal.row, dst, _scaled(op, signal.shape, shape)))
        elif isinstance(op, Rectify):
            self.kernels.append(RectifyKernel(signal.row, dst, op.sign))
        elif isinstance(op, Scale):
            factor, factors = scale_factors(op, signal.shape, f"{self.symbol}_FACTOR{len(self.kernels)}")
            self.kernels.append(ScaleKernel(signal.row, dst, factor, factors))
        else:
            raise AssertionError(f"no kernel for {op.kind()}")
        return Signal(dst, shape, channels_last(shape), low, high, rate)

    def _pad(self, op: Pad, signal: Signal, shape: Shape) -> Signal:
        """Zeros around a tensor: a gather with holes."""
        index = np.pad(np.arange(signal.row.size).reshape(signal.shape), op.amounts, constant_values=signal.row.size)
        order = channels_last(shape)
        dst = self._fresh(signal.low, signal.high, index.size, False)
        self.kernels.append(self._gather(signal, dst, index.reshape(-1)[order], adds=False))
        return Signal(dst, shape, order, signal.low, signal.high, signal.rate * signal.row.size / index.size)

    # --- operators with weights ------------------------------------------------------------------

    def _weighted(self, op: Linear | Conv, signal: Signal, shape: Shape, target: Row | None) -> Signal:
        low, high = op.bounds(signal.low, signal.high)
        if isinstance(op, Conv):
            signal = self._ordered(signal)
        dst = target or self._fresh(min(low, 0), max(high, 0), int(np.prod(shape)), True)
        make = self._linear if isinstance(op, Linear) else self._conv
        self.kernels.append(make(op, signal, shape, dst))
        return Signal(dst, shape, channels_last(shape), min(low, 0), max(high, 0), 1.0)

    def _data(self, weight: Array, name: str = "WEIGHT") -> Data:
        return Data(f"{self.symbol}_{name}{len(self.kernels)}", np.ascontiguousarray(weight))

    def _linear(self, op: Linear | Conv, signal: Signal, shape: Shape, dst: Row) -> Kernel:
        weight = np.asarray(op.weight)[:, signal.order]
        if packable(weight, signal):
            geometry = Geometry(weight.shape[1], 1, 1, weight.shape[0], 1, 1, (1, 1), (1, 1), (1, 1), (0, 0))
            return self._packed(weight[:, :, None, None], signal, geometry, dst)
        if signal.rate > DENSE_LINEAR_RATE:
            return LinearDense(signal.row, dst, self._data(weight), signal.low, signal.high)
        return LinearEvent(signal.row, dst, self._data(weight.T), signal.low, signal.high, signal.rate)

    def _conv(self, op: Linear | Conv, signal: Signal, shape: Shape, dst: Row) -> Kernel:
        assert isinstance(op, Conv)
        geometry = _convolution(op, signal.shape, shape)
        weight = np.asarray(op.weight).reshape(*op.weight.shape[:2], *geometry.kernel)
        if op.groups == 1 and packable(weight, signal):
            return self._packed(weight, signal, geometry, dst)
        args = (signal.row, dst)
        if op.groups == geometry.channels == geometry.out_channels:
            return ConvDepthwise(*args, self._data(weight[:, 0].transpose(1, 2, 0)), signal.low, signal.high, geometry)
        if op.groups == 1 and signal.rate > DENSE_CONV_RATE:
            return ConvDense(*args, self._data(weight.transpose(2, 3, 1, 0)), signal.low, signal.high, geometry)
        if op.groups == 1 and geometry.dilation[1] == 1:
            taps, phases = _phases(geometry)
            runs = self._data(weight[:, :, :, taps].transpose(1, 2, 3, 0))
            return ConvRuns(*args, runs, signal.low, signal.high, signal.rate, geometry, phases)
        by_input = weight.reshape(op.groups, -1, *weight.shape[1:]).transpose(0, 2, 3, 4, 1)
        return ConvTaps(*args, self._data(by_input), signal.low, signal.high, signal.rate, geometry)

    def _packed(self, weight: Array, signal: Signal, geometry: Geometry, dst: Row) -> Packed:
        bipolar = not np.any(weight == 0)
        plus = self._data(_planes(weight > 0), "PLUS")
        minus = None if bipolar else self._data(_planes(weight < 0), "MINUS")
        return Packed(signal.row, dst, plus, signal.low, signal.high, geometry, minus, _bit_planes(signal),
                      signal.low < 0)


def packable(weight: Array, signal: Signal) -> bool:
    """Whether weights are -1, 0, 1 and the source has few enough bits for bit planes to pay."""
    return bool(np.all(np.abs(weight) <= 1)) and _bit_planes(signal) <= MAX_PACKED_PLANES


def _bit_planes(signal: Signal) -> int:
    """Bits of a source's values, a sign among them where there are negative ones."""
    return bit_width((signal.low, signal.high)) - (signal.low >= 0 and signal.high > 0)


def _planes(bits: Array) -> Array:
    """Bits `[out, in, ky, kx]` as words `[ky][kx][word][out]`, bit j of word w being input 32 w + j."""
    out, fan_in, height, width = bits.shape
    padded = np.zeros((out, -(-fan_in // 32) * 32, height, width), np.uint32)
    padded[:, :fan_in] = bits
    words = padded.reshape(out, -1, 32, height, width) << np.arange(32, dtype=np.uint32)[None, None, :, None, None]
    return np.asarray(words.sum(2, dtype=np.uint32).transpose(2, 3, 1, 0))


def _phases(geometry: Geometry) -> tuple[list[int], tuple[int, ...]]:
    """Horizontal taps grouped by what they are modulo the stride, each group descending; where groups begin."""
    groups = [list(range(phase, geometry.kernel[1], geometry.stride[1]))[::-1] for phase in range(geometry.stride[1])]
    starts = np.cumsum([0, *(len(g) for g in groups)])
    return [tap for g in groups for tap in g], tuple(int(s) for s in starts)


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    """The values for two axes; one-dimensional operators have height 1."""
    return (1, values[0]) if len(values) == 1 else (values[0], values[1])


def _pads(padding: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    first = tuple(p[0] for p in padding)
    return (0, first[0]) if len(first) == 1 else (first[0], first[1])


def _convolution(op: Conv, shape: Shape, out: Shape) -> Geometry:
    return Geometry(*as_image(shape), *as_image(out), _pair(op.kernel), _pair(op.stride), _pair(op.dilation),
                    _pads(op.padding), op.groups)


def _window(op: Pool, shape: Shape, out: Shape) -> Geometry:
    return Geometry(*as_image(shape), *as_image(out), _pair(op.kernel), _pair(op.stride), (1, 1), _pads(op.padding))


def _scaled(op: Upsample, shape: Shape, out: Shape) -> Geometry:
    return Geometry(*as_image(shape), *as_image(out), _pair(op.factor), (1, 1), (1, 1), (0, 0))


def scale_factors(op: Scale, shape: Shape, name: str) -> tuple[int | None, Data | None]:
    """A factor as a number, or as constants that repeat along a channels-last row."""
    factor: Any = op.factor
    if not isinstance(factor, np.ndarray) or factor.size == 1:
        return int(np.asarray(factor).reshape(())), None
    if per_channel(factor, shape):
        return None, Data(name, narrow(factor.reshape(-1)))
    full = np.broadcast_to(factor, shape).reshape(-1)[channels_last(shape)]
    return None, Data(name, narrow(full))


def data_of(kernels: list[Kernel]) -> Iterator[Data]:
    for kernel in kernels:
        yield from kernel.data


def partial_sums(chain: tuple[Op, ...], source: Interval) -> Interval:
    """The range of everything a chain may add to an accumulator."""
    low, high = source
    for op in chain:
        low, high = op.bounds(low, high)
        low, high = min(low, 0), max(high, 0)
    return low, high
