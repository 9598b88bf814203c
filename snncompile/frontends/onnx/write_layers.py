"""Writes layer operators as ONNX nodes.

In float32 a layer becomes ONNX's own operator. ONNX Runtime has no convolution and no average pooling in float64 and
int64; there, the windows are gathered by constant indices, and multiplied or summed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snncompile.frontends.onnx.writer import Writer
from snncompile.ir.op import Op
from snncompile.ir.ops import (
    AvgPool,
    Conv,
    Identity,
    Linear,
    MaxPool,
    Output,
    Pad,
    Pads,
    Pool,
    Rectify,
    Reshape,
    Scale,
    SumPool,
    Upsample,
)
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Shape


def write_layer(w: Writer, op: Op, x: str, shape: Shape) -> str:
    """Write a layer, and return the ONNX name of its output.

    Args:
        x: the ONNX name of the input.
        shape: the input's shape without the batch axis.
    """
    return WRITERS[type(op)](w, op, x, shape)


def _same(w: Writer, op: Op, x: str, shape: Shape) -> str:
    return x


def _biased(w: Writer, y: str, bias: Any, axes: int) -> str:
    """The ONNX name of `y` plus a bias of one number per channel; `y` itself where there is none.

    Args:
        axes: how many axes `y` has without the batch axis.
    """
    if bias is None:
        return y
    b = w.constant(bias)
    return w.op("Add", y, b if axes == 1 else w.op("Reshape", b, w.integers(-1, *(1,) * (axes - 1))))


def _linear(w: Writer, op: Linear, x: str, shape: Shape) -> str:
    return _biased(w, w.op("MatMul", x, w.op("Transpose", w.constant(op.weight), perm=[1, 0])), op.bias, 1)


def _conv(w: Writer, op: Conv, x: str, shape: Shape) -> str:
    weight, out = w.constant(op.weight), op.infer(shape)
    if w.native:
        bias = [] if op.bias is None else [w.constant(op.bias)]
        return w.op("Conv", x, weight, *bias, strides=op.stride, pads=_ends(op.padding), dilations=op.dilation,
                    group=op.groups, kernel_shape=op.kernel)
    taps, positions = math.prod(op.kernel), math.prod(out[1:])
    patches = _windows(w, x, shape, op.kernel, op.stride, op.padding, op.dilation, 0)
    fan_in = shape[0] // op.groups * taps
    columns = w.reshape(patches, op.groups, fan_in, positions)
    rows = w.op("Reshape", weight, w.integers(op.groups, out[0] // op.groups, fan_in))
    return _biased(w, w.reshape(w.op("MatMul", rows, columns), *out), op.bias, len(out))


def _token_mix(w: Writer, op: TokenMix, x: str, shape: Shape) -> str:
    by_head = w.reshape(x, op.heads, shape[0] // op.heads, shape[1])
    y = w.op("MatMul", by_head, w.op("Transpose", w.constant(op.weight), perm=[0, 2, 1]))
    if op.bias is not None:
        y = w.op("Add", y, w.op("Reshape", w.constant(op.bias), w.integers(op.heads, 1, -1)))
    return w.reshape(y, *op.infer(shape))


def _spike_product(w: Writer, op: SpikeProduct, x: str, shape: Shape) -> str:
    channels, tokens = shape
    parts = []
    for first, last in ((0, op.left), (op.left, channels)):
        part = w.op("Slice", x, w.integers(first), w.integers(last), w.integers(1))
        parts.append(w.reshape(part, op.heads, (last - first) // op.heads, tokens))
    if op.over == "nothing":
        return w.reshape(w.op("Mul", *parts), *op.infer(shape))
    turned = 0 if op.over == "channels" else 1
    parts[turned] = w.op("Transpose", parts[turned], perm=[0, 1, 3, 2])
    return w.reshape(w.op("MatMul", *parts), *op.infer(shape))


def _windows(w: Writer, x: str, shape: Shape, kernel: Shape, stride: Shape, padding: Pads, dilation: Shape,
             fill: float) -> str:
    """Gather the windows over all axes of `x` but batch and channel, as `[batch, channel, tap, position]`.

    Args:
        shape: of `x`, without the batch axis.
        fill: the value of the padding.
    """
    if any(map(any, padding)):
        amounts = _ends(((0, 0), (0, 0), *padding))
        x = w.op("Pad", x, w.integers(*amounts), w.constant(fill))
    padded = tuple(n + sum(p) for n, p in zip(shape[1:], padding, strict=True))
    indices = np.zeros((1, 1), np.int64)
    for n, k, s, d in zip(padded, kernel, stride, dilation, strict=True):
        axis = np.arange(k)[:, None] * d + np.arange((n - d * (k - 1) - 1) // s + 1) * s
        combined = indices[:, None, :, None] * n + axis[None, :, None, :]
        indices = combined.reshape(len(indices) * k, -1)
    flat = w.reshape(x, shape[0], math.prod(padded))
    return w.op("Gather", flat, w.stored(indices), axis=2)


def _ends(padding: Pads) -> list[int]:
    """Pads in ONNX's order: those before each axis, then those after each axis."""
    return [p[side] for side in (0, 1) for p in padding]


def _sum_pool(w: Writer, op: Pool, x: str, shape: Shape) -> str:
    if w.native:
        ones = Conv(np.ones((shape[0], 1, *op.kernel), w.dtype), None, op.stride, op.padding,
                    (1,) * len(op.kernel), shape[0])
        return _conv(w, ones, x, shape)
    return _reduced(w, op, x, shape, "ReduceSum", 0)


def _average_pool(w: Writer, op: AvgPool, x: str, shape: Shape) -> str:
    if w.native:
        return w.op("AveragePool", x, kernel_shape=op.kernel, strides=op.stride, pads=_ends(op.padding),
                    count_include_pad=1)
    return w.op("Div", _reduced(w, op, x, shape, "ReduceSum", 0), w.constant(math.prod(op.kernel)))


def _max_pool(w: Writer, op: MaxPool, x: str, shape: Shape) -> str:
    if w.whole:
        return _reduced(w, op, x, shape, "ReduceMax", np.iinfo(np.int64).min)
    return w.op("MaxPool", x, kernel_shape=op.kernel, strides=op.stride, pads=_ends(op.padding))


def _reduced(w: Writer, op: Pool, x: str, shape: Shape, kind: str, fill: float) -> str:
    """The windows of a pool, each reduced to one value by the ONNX operator `kind`; `fill` is the padding's value."""
    windows = _windows(w, x, shape, op.kernel, op.stride, op.padding, (1,) * len(op.kernel), fill)
    return w.reshape(w.op(kind, windows, w.integers(2), keepdims=0), *op.infer(shape))


def _upsample(w: Writer, op: Upsample, x: str, shape: Shape) -> str:
    if w.native:
        scales = w.stored(np.array([1, 1, *op.factor], np.float32))
        return w.op("Resize", x, "", scales, mode="nearest", nearest_mode="floor",
                    coordinate_transformation_mode="asymmetric")
    for axis, (n, factor) in enumerate(zip(shape[1:], op.factor, strict=True), start=2):
        x = w.op("Gather", x, w.stored(np.repeat(np.arange(n), factor)), axis=axis)
    return x


def _scale(w: Writer, op: Scale, x: str, shape: Shape) -> str:
    y = w.op("Mul", x, w.constant(op.factor))
    return y if op.bias is None else w.op("Add", y, w.constant(op.bias))


def _reshape(w: Writer, op: Reshape, x: str, shape: Shape) -> str:
    return w.reshape(x, *op.shape)


def _rectify(w: Writer, op: Rectify, x: str, shape: Shape) -> str:
    zero = w.constant(0)
    if not w.whole:
        return w.op("Max" if op.sign > 0 else "Min", x, zero)
    return w.op("Where", w.op("Greater" if op.sign > 0 else "Less", x, zero), x, zero)


def _pad(w: Writer, op: Pad, x: str, shape: Shape) -> str:
    return w.op("Pad", x, w.integers(*_ends(((0, 0), *op.amounts))), w.constant(0))


WRITERS: Mapping[type[Op], Callable[..., str]] = {
    Identity: _same, Output: _same, Linear: _linear, Conv: _conv, TokenMix: _token_mix,
    SpikeProduct: _spike_product, SumPool: _sum_pool, AvgPool: _average_pool, MaxPool: _max_pool, Upsample: _upsample,
    Scale: _scale, Reshape: _reshape, Rectify: _rectify, Pad: _pad,
}
