"""From the chain of operators of a projection to kernels that run one after another, and the buffers between them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncompile.backends.plan.buffers import Buffer, Constant, Lifetime, narrow
from snncompile.backends.plan.kernels.kernel import Kernel, Signal, Site
from snncompile.backends.plan.kernels.plain import (
    AddKernel,
    Gather,
    PoolKernel,
    RectifyKernel,
    ScaleKernel,
    UpsampleKernel,
)
from snncompile.backends.plan.kernels.table import choose
from snncompile.backends.plan.layouts import Geometry, as_image, channels_last, per_channel
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.operations import Interval
from snncompile.ir.ops import Conv, Linear, Pool, Rectify, Reshape, Scale, Upsample
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape


@dataclass
class Builder:
    """Builds the kernels of one projection: call `build` once, then read `kernels` and `scratch`.

    Attributes:
        name: the projection's identifier, with which the names of its constants begin.
        costs: what a synapse costs with each kernel; see `kernels.table.choose`.
        kernels: the kernels that were built, in the order in which they run.
        scratch: the buffers between them.
    """

    name: str
    costs: Mapping[str, float]
    kernels: list[Kernel] = field(default_factory=list)
    scratch: list[Buffer] = field(default_factory=list)

    def build(self, chain: tuple[Op, ...], signal: Signal, target: Buffer, target_shape: Shape) -> None:
        """Build the kernels that apply a chain to a signal and add the result to a buffer.

        The last operator adds to `target` directly where it has weights and the shapes agree; otherwise an addition or
        a gather is appended.

        Args:
            chain: the linear and other operators of the projection, without a last multiplier.
            signal: what the source emitted.
            target: the accumulator, which lies channels last.
            target_shape: the shape of the population, `[channel, *space]`.
        """
        order = channels_last(target_shape)
        for i, op in enumerate(chain):
            shape = op.infer(signal.shape)
            final = i == len(chain) - 1 and np.array_equal(channels_last(shape), order)
            if isinstance(op, Layer):
                signal = self._weighted(op, signal, shape, target if final else None)
                if final:
                    return
            else:
                signal = self._plain(op, signal, shape)
        if np.array_equal(signal.order, order):
            self.kernels.append(AddKernel(signal.buffer, target))
        else:
            self.kernels.append(self._gather(signal, target, order, adds=True))

    def _gather(self, signal: Signal, dst: Buffer, order: Array, adds: bool) -> Gather:
        """A kernel that writes or adds a signal in another order.

        Args:
            order: for each element of `dst` the row-major index of an element of the signal; an index that equals the
                signal's size reads as 0.
        """
        size = signal.buffer.size
        position = np.full(size + 1, size, np.int64)
        position[signal.order] = np.arange(size)
        index = position[order]
        constant = Constant(f"{self.name}_INDEX{len(self.kernels)}", narrow(index))
        return Gather(signal.buffer, dst, constant, adds, bool(np.any(index == size)))

    def _fresh(self, ends: Interval, size: int, adds: bool) -> Buffer:
        buffer = Buffer(f"row{len(self.scratch)}", self.name, size, *ends, Lifetime.PROJECTION, adds)
        self.scratch.append(buffer)
        return buffer

    def _ordered(self, signal: Signal) -> Signal:
        """The signal in channels-last order, through a gather where it lies in another."""
        order = channels_last(signal.shape)
        if np.array_equal(signal.order, order):
            return signal
        dst = self._fresh(signal.buffer.range, signal.buffer.size, False)
        self.kernels.append(self._gather(signal, dst, order, adds=False))
        return Signal(dst, signal.shape, order, signal.rate)

    # --- operators without weights ---------------------------------------------------------------

    def _plain(self, op: Op, signal: Signal, shape: Shape) -> Signal:
        """Append the kernel of an operator without weights; what it makes of the signal, which has `shape`."""
        if isinstance(op, Reshape):
            return Signal(signal.buffer, shape, signal.order, signal.rate)
        if op.moves and not isinstance(op, Upsample):
            return self._moved(op, signal, shape)
        signal = self._ordered(signal)
        # Upsampling copies memory, so that its destination must have the same type as its source.
        adds = isinstance(op, Upsample) and signal.buffer.adds
        dst = self._fresh(range_behind(op, signal.buffer.range), math.prod(shape), adds)
        rate = signal.rate
        if isinstance(op, Pool):
            self.kernels.append(PoolKernel(signal.buffer, dst, Geometry.of_pool(op, signal.shape, shape), op.mode))
            rate = 1 - (1 - min(signal.rate, 1.0)) ** float(np.prod(op.kernel))
        elif isinstance(op, Upsample):
            self.kernels.append(UpsampleKernel(signal.buffer, dst, Geometry.of_upsampling(op, signal.shape, shape)))
        elif isinstance(op, Rectify):
            self.kernels.append(RectifyKernel(signal.buffer, dst, op.sign))
        elif isinstance(op, Scale):
            factor, factors = scale_factors(op, signal.shape, f"{self.name}_FACTOR{len(self.kernels)}")
            self.kernels.append(ScaleKernel(signal.buffer, dst, factor, factors))
        else:
            raise AssertionError(f"no kernel for {op.kind()}")
        return Signal(dst, shape, channels_last(shape), rate)

    def _moved(self, op: Op, signal: Signal, shape: Shape) -> Signal:
        """Append a gather for an operator that only moves values and puts zeros between them.

        The operator is applied to the numbers 1, 2, ... once: where a number comes out, its element is read, and where
        0 comes out, the gather reads 0.
        """
        size = signal.buffer.size
        numbered = op.apply(np.arange(1, size + 1).reshape(1, *signal.shape)).reshape(-1)
        index, order = np.where(numbered > 0, numbered - 1, size), channels_last(shape)
        dst = self._fresh(signal.buffer.range, index.size, False)
        self.kernels.append(self._gather(signal, dst, index[order], adds=False))
        return Signal(dst, shape, order, signal.rate * np.count_nonzero(numbered) / index.size)

    # --- operators with weights ------------------------------------------------------------------

    def _weighted(self, op: Layer, signal: Signal, shape: Shape, target: Buffer | None) -> Signal:
        """Append the cheapest kernel of an operator with weights, which adds to `target` or to a fresh buffer."""
        if not isinstance(op, Linear):
            signal = self._ordered(signal)
        dst = target or self._fresh(range_behind(op, signal.buffer.range), math.prod(shape), True)
        self.kernels.append(choose(self._site(op, signal, shape, dst), self.costs))
        return Signal(dst, shape, channels_last(shape), 1.0)

    def _site(self, op: Layer, signal: Signal, shape: Shape, dst: Buffer) -> Site:
        weight = np.asarray(op.weight)
        if isinstance(op, Linear):
            geometry = Geometry.fully_connected(weight.shape[1], weight.shape[0])
            return Site(signal, dst, weight[:, signal.order, None, None], geometry, "linear", self._constant)
        if isinstance(op, TokenMix):
            geometry = Geometry(*as_image(signal.shape), *as_image(shape), groups=op.heads)
            return Site(signal, dst, weight, geometry, "mix", self._constant)
        assert isinstance(op, Conv)
        geometry = Geometry.of_convolution(op, signal.shape, shape)
        whole = weight.reshape(*weight.shape[:2], *geometry.kernel)
        return Site(signal, dst, whole, geometry, "conv", self._constant)

    def _constant(self, values: Array, word: str) -> Constant:
        return Constant(f"{self.name}_{word}{len(self.kernels)}", values)


def range_behind(op: Op, source: Interval) -> Interval:
    """The range of what an operator makes of values in a range that holds 0: partial sums included, and 0 always."""
    low, high = op.bounds(*source)
    return min(low, 0), max(high, 0)


def chain_range(chain: tuple[Op, ...], source: Interval) -> Interval:
    """The range of what a chain of operators may add to a sum, partial sums of the last operator included."""
    for op in chain:
        source = range_behind(op, source)
    return source


def scale_factors(op: Scale, shape: Shape, name: str) -> tuple[int | None, Constant | None]:
    """The factor of an operator: one number, or constants for a channels-last buffer.

    Args:
        shape: of the tensor that is scaled.
        name: of the constant.

    Returns:
        The number and None; or None and a constant of one factor for each channel or for each element. Element `i`
        takes factor `i % len(factors)`: channels last, factors of channels repeat at every place.
    """
    factor: Any = op.factor
    if not isinstance(factor, np.ndarray) or factor.size == 1:
        return int(np.asarray(factor).reshape(())), None
    if per_channel(factor, shape):
        return None, Constant(name, narrow(factor.reshape(-1)))
    full = np.broadcast_to(factor, shape).reshape(-1)[channels_last(shape)]
    return None, Constant(name, narrow(full))
