"""Random linear operators that fit a shape."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from snncompile.ir.layer import Layer
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import AvgPool, Conv, Linear, MaxPool, Pad, Rectify, Reshape, Scale, SumPool, Upsample
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape
from tests.strategies import Choices


def operator(pick: Choices, shape: Shape, spikes: bool, largest: int) -> Op:
    """An operator that accepts the shape and gives no more than `largest` values."""
    makers = SPATIAL if len(shape) > 1 else FLAT
    if spikes and len(shape) > 1:
        makers = (*makers, _max_pool)
    for _ in range(4):
        op = pick.one(makers)(pick, shape)
        try:
            if math.prod(op.infer(shape)) <= largest:
                return op
        except ShapeError:
            continue
    return Scale(pick.dyadic(16, 96))


def connector(pick: Choices, have: Shape, want: Shape) -> list[Op]:
    """Operators that lead from one shape to another."""
    if have == want and pick.chance(50):
        return []
    if have == want:
        return [Scale(pick.dyadic(-64, 64))]
    if len(have) > 1 and len(have) == len(want):
        point = _pointwise(pick, have[0], want[0], len(have) - 1)
        if have[1:] == want[1:]:
            return [point]
        if all(w % h == 0 for h, w in zip(have[1:], want[1:], strict=True)):
            return [Upsample(tuple(w // h for h, w in zip(have[1:], want[1:], strict=True))), point]
    dense = Linear(pick.weights(math.prod(want), math.prod(have), low=-24, high=24))
    return [*([Reshape((math.prod(have),))] if len(have) > 1 else []), dense,
            *([Reshape(want)] if len(want) > 1 else [])]


def in_integers(pick: Choices, op: Layer, out: Shape) -> tuple[Layer, Scale]:
    """The layer with random codes of 1 to 16 bits, and a scale, one or one a channel: the value of their step.

    Args:
        out: the shape of what the layer gives.
    """
    largest = pick.one([1, 1, 3, 7, 127, 32767])
    codes = pick.chooser.array(-largest, largest, op.weight.shape)
    codes = np.where(codes > 0, 1, -1) if largest == 1 and pick.chance(50) else codes
    shape = (out[0], *(1,) * (len(out) - 1)) if pick.chance(60) else ()
    factor = pick.chooser.array(-40 if pick.chance(10) else 1, 64, shape) / (50.0 * largest)
    layer = dataclasses.replace(op, weight=codes.astype(pick.one([np.int16, np.int32, np.int64])), bias=None)
    return layer, Scale(factor if shape else float(factor))


def _pointwise(pick: Choices, fan_in: int, out: int, axes: int) -> Conv:
    ones, none = (1,) * axes, ((0, 0),) * axes
    return Conv(pick.weights(out, fan_in, *ones), None, ones, none, ones)


def _bias(pick: Choices, out: int) -> Array | None:
    return pick.weights(out, low=-16, high=16) if pick.chance(40) else None


def _linear(pick: Choices, shape: Shape) -> Op:
    out = pick.integer(1, 12)
    return Linear(pick.weights(out, shape[0]), _bias(pick, out))


def _conv(pick: Choices, shape: Shape) -> Op:
    axes = range(len(shape) - 1)
    groups = pick.one([g for g in (1, 2, 3, 4) if shape[0] % g == 0]) if pick.chance(30) else 1
    out = groups * pick.integer(1, max(1, 4 // groups))
    kernel = tuple(pick.integer(1, 3) for _ in axes)
    return Conv(
        pick.weights(out, shape[0] // groups, *kernel),
        _bias(pick, out),
        tuple(pick.integer(1, 3) if pick.chance(30) else 1 for _ in axes),
        tuple((pick.integer(0, 2), pick.integer(0, 2)) for _ in axes),
        tuple(pick.integer(1, 2) for _ in axes),
        groups,
    )


def _token_mix(pick: Choices, shape: Shape) -> Op:
    """For a tensor of one axis behind the channels; another gets a layer that its shape fits."""
    if len(shape) != 2:
        return _conv(pick, shape)
    heads, out = pick.one([n for n in (1, 2, 3, 4) if shape[0] % n == 0]), pick.integer(1, 6)
    bias = pick.weights(heads, out, low=-16, high=16) if pick.chance(40) else None
    return TokenMix(pick.weights(heads, out, shape[1]), bias)


def _window(pick: Choices, shape: Shape) -> tuple[Shape, Shape, tuple[tuple[int, int], ...]]:
    axes = range(len(shape) - 1)
    kernel = tuple(pick.integer(1, 2) for _ in axes)
    stride = kernel if pick.chance(60) else tuple(pick.integer(1, 2) for _ in axes)
    padding = tuple((pick.integer(0, 1), pick.integer(0, 1)) if pick.chance(30) else (0, 0) for _ in axes)
    return kernel, stride, padding


def _sum_pool(pick: Choices, shape: Shape) -> Op:
    return SumPool(*_window(pick, shape))


def _avg_pool(pick: Choices, shape: Shape) -> Op:
    return AvgPool(*_window(pick, shape))


def _max_pool(pick: Choices, shape: Shape) -> Op:
    kernel, stride, padding = _window(pick, shape)
    padding = tuple((min(a, k - 1), min(b, k - 1)) for (a, b), k in zip(padding, kernel, strict=True))
    return MaxPool(kernel, stride, padding)


def _upsample(pick: Choices, shape: Shape) -> Op:
    return Upsample(tuple(pick.integer(1, 2) for _ in shape[1:]))


def _scale(pick: Choices, shape: Shape) -> Op:
    channel = (shape[0], *(1,) * (len(shape) - 1))
    if pick.chance(50):
        return Scale(pick.weights(*channel), pick.weights(*channel, low=-16, high=16) if pick.chance(50) else None)
    return Scale(pick.dyadic(-64, 96), pick.dyadic(-16, 16) if pick.chance(30) else None)


def _reshape(pick: Choices, shape: Shape) -> Op:
    size = math.prod(shape)
    if len(shape) > 1 and pick.chance(60):
        return Reshape((size,))
    first = pick.one([n for n in range(1, 5) if size % n == 0])
    second = pick.one([n for n in range(1, 7) if (size // first) % n == 0])
    return Reshape(pick.one([(first, size // first), (first, second, size // first // second)]))


def _rectify(pick: Choices, shape: Shape) -> Op:
    return Rectify(pick.one([1, -1]))


def _pad(pick: Choices, shape: Shape) -> Op:
    return Pad(tuple((pick.integer(0, 1), pick.integer(0, 2)) for _ in shape))


Maker = Callable[[Choices, Shape], Op]
FLAT: tuple[Maker, ...] = (_linear, _linear, _linear, _scale, _reshape, _pad, _rectify)
SPATIAL: tuple[Maker, ...] = (_conv, _conv, _conv, _token_mix, _sum_pool, _avg_pool, _upsample, _scale, _reshape, _pad,
                              _rectify)
