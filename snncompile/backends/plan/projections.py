"""From a projection's chain of operators to kernels, one after another, with the buffers between them."""

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
from snncompile.backends.plan.layouts import Geometry, channels_last, per_channel
from snncompile.ir.op import Op
from snncompile.ir.operations import Interval
from snncompile.ir.ops import Conv, Linear, Pool, Rectify, Reshape, Scale, Upsample
from snncompile.ir.types import Array, Shape


@dataclass
class Builder:
    """Builds the kernels of one projection.

    Attributes:
        name: the projection's identifier, which begins the names of its constants.
        costs: what a synapse costs with each kernel; see `kernels.table.choose`.
    """

    name: str
    costs: Mapping[str, float]
    kernels: list[Kernel] = field(default_factory=list)
    scratch: list[Buffer] = field(default_factory=list)

    def build(self, chain: tuple[Op, ...], signal: Signal, target: Buffer, target_shape: Shape) -> None:
        """Kernels that add what the chain makes of the signal to the target, which lies channels last."""
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
        if np.array_equal(signal.order, order):
            self.kernels.append(AddKernel(signal.buffer, target))
        else:
            self.kernels.append(self._gather(signal, target, order, adds=True))

    def _gather(self, signal: Signal, dst: Buffer, order: Array, adds: bool) -> Gather:
        """Reorder a signal; `order` may name elements that do not exist (index = size), which read as 0."""
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
        """The signal, channels last."""
        order = channels_last(signal.shape)
        if np.array_equal(signal.order, order):
            return signal
        dst = self._fresh(signal.buffer.range, signal.buffer.size, False)
        self.kernels.append(self._gather(signal, dst, order, adds=False))
        return Signal(dst, signal.shape, order, signal.rate)

    # --- operators without weights ---------------------------------------------------------------

    def _plain(self, op: Op, signal: Signal, shape: Shape) -> Signal:
        if isinstance(op, Reshape):
            return Signal(signal.buffer, shape, signal.order, signal.rate)
        if op.moves and not isinstance(op, Upsample):
            return self._moved(op, signal, shape)
        signal = self._ordered(signal)
        # Upsampling copies whole places, so that its buffer is of the same kind as its source.
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
        """An operator that only moves values and puts zeros: a gather, with holes for the zeros."""
        size = signal.buffer.size
        numbered = op.apply(np.arange(1, size + 1).reshape(1, *signal.shape)).reshape(-1)
        index, order = np.where(numbered > 0, numbered - 1, size), channels_last(shape)
        dst = self._fresh(signal.buffer.range, index.size, False)
        self.kernels.append(self._gather(signal, dst, index[order], adds=False))
        return Signal(dst, shape, order, signal.rate * np.count_nonzero(numbered) / index.size)

    # --- operators with weights ------------------------------------------------------------------

    def _weighted(self, op: Linear | Conv, signal: Signal, shape: Shape, target: Buffer | None) -> Signal:
        if isinstance(op, Conv):
            signal = self._ordered(signal)
        dst = target or self._fresh(range_behind(op, signal.buffer.range), math.prod(shape), True)
        self.kernels.append(choose(self._site(op, signal, shape, dst), self.costs))
        return Signal(dst, shape, channels_last(shape), 1.0)

    def _site(self, op: Linear | Conv, signal: Signal, shape: Shape, dst: Buffer) -> Site:
        weight = np.asarray(op.weight)
        if isinstance(op, Linear):
            geometry = Geometry.fully_connected(weight.shape[1], weight.shape[0])
            return Site(signal, dst, weight[:, signal.order, None, None], geometry, True, self._constant)
        geometry = Geometry.of_convolution(op, signal.shape, shape)
        whole = weight.reshape(*weight.shape[:2], *geometry.kernel)
        return Site(signal, dst, whole, geometry, False, self._constant)

    def _constant(self, values: Array, word: str) -> Constant:
        return Constant(f"{self.name}_{word}{len(self.kernels)}", values)


def range_behind(op: Op, source: Interval) -> Interval:
    """What an operator makes of a range, partial sums included; always holds 0."""
    low, high = op.bounds(*source)
    return min(low, 0), max(high, 0)


def chain_range(chain: tuple[Op, ...], source: Interval) -> Interval:
    """The range of everything that a chain may add to a sum."""
    for op in chain:
        source = range_behind(op, source)
    return source


def scale_factors(op: Scale, shape: Shape, name: str) -> tuple[int | None, Constant | None]:
    """A factor as a number, or as constants that repeat along a channels-last buffer."""
    factor: Any = op.factor
    if not isinstance(factor, np.ndarray) or factor.size == 1:
        return int(np.asarray(factor).reshape(())), None
    if per_channel(factor, shape):
        return None, Constant(name, narrow(factor.reshape(-1)))
    full = np.broadcast_to(factor, shape).reshape(-1)[channels_last(shape)]
    return None, Constant(name, narrow(full))
