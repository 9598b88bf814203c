"""Matrix products, convolutions and windows that are exact on integers, and use BLAS wherever that is exact.

NumPy multiplies integer matrices without BLAS, which is slow. A float64 product of integers is exact, in any order of
summation, as long as every partial sum stays below 2**53 in magnitude (float32: 2**24). Integers are therefore
multiplied as floats where the largest possible sum is below that bound, and as int64 otherwise.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from snncompile.ir.types import Array, Shape

CHUNK_BYTES = 1 << 25
"""The size of the patches that a convolution copies at a time; more samples are computed in several parts."""


def _carrier(x: Array, weight: Array, axes: tuple[int, ...]) -> Any:
    """The dtype in which a product of `x` and `weight` is computed: that of `x` for floats, an exact one for integers.

    The bound of every partial sum is the largest magnitude in `x` times the largest sum of weight magnitudes.

    Args:
        axes: the axes of `weight` over which an output is summed.
    """
    if x.dtype.kind == "f":
        return x.dtype
    if x.size == 0:
        return np.float64
    peak = max(abs(int(x.max())), abs(int(x.min())))
    gain = int(np.abs(weight.astype(np.int64)).sum(axis=axes).max(initial=0))
    bound = peak * gain
    return np.float32 if bound < 1 << 24 else np.float64 if bound < 1 << 53 else np.int64


def _result(y: Array, x: Array) -> Array:
    return y if x.dtype.kind == "f" else y.astype(np.int64)


def matmul(x: Array, weight: Any) -> Array:
    """The product of `x` `[n, in]` and the transpose of `weight` `[out, in]`, `[n, out]`; int64 for integer `x`."""
    carrier = _carrier(x, weight, (1,))
    return _result(np.asarray(x.astype(carrier, copy=False) @ weight.T.astype(carrier, copy=False)), x)


def mix(x: Array, weight: Any) -> Array:
    """Products along the last axis: `x` `[n, channel, in]` with the weights `[head, out, in]` of each channel's head.

    Returns:
        `[n, channel, out]`, in the dtype of `x` for floats, in int64 for integers.
    """
    carrier = _carrier(x, weight, (2,))
    heads, out, tokens = weight.shape
    n, channels = x.shape[:2]
    by_head = x.astype(carrier, copy=False).reshape(n, heads, channels // heads, tokens)
    y = by_head @ weight.transpose(0, 2, 1).astype(carrier, copy=False)
    return _result(np.asarray(y.reshape(n, channels, out)), x)


def batched(left: Array, right: Array) -> Array:
    """The products of matrices `[..., a, t]` and `[..., t, b]`, one by one: `[..., a, b]`; int64 for integers.

    The bound of every partial sum is the number of terms times the largest magnitudes on both sides.
    """
    if left.dtype.kind == "f":
        return np.asarray(left @ right)
    peaks = (max(abs(int(x.max(initial=0))), abs(int(x.min(initial=0)))) for x in (left, right))
    bound = math.prod(peaks) * left.shape[-1]
    carrier: Any = np.float32 if bound < 1 << 24 else np.float64 if bound < 1 << 53 else np.int64
    return np.asarray(left.astype(carrier) @ right.astype(carrier)).astype(np.int64)


def convolve(x: Array, weight: Any, stride: Shape, padding: tuple[tuple[int, int], ...], dilation: Shape,
             groups: int) -> Array:
    """Cross-correlation of `x` `[n, channel, *space]` with `weight` `[out, channel/groups, *kernel]`.

    Args:
        stride, dilation: a number for each of the one or two axes of the kernel.
        padding: zeros before and after each of these axes.

    Returns:
        `[n, out, *space]`, in the dtype of `x` for floats, in int64 for integers.
    """
    if weight.ndim == 3:
        flat = convolve(x[:, :, None], weight[:, :, None], (1, *stride), ((0, 0), *padding), (1, *dilation), groups)
        return np.asarray(flat[:, :, 0])
    carrier = _carrier(x, weight, (1, 2, 3))
    w = weight.astype(carrier, copy=False).reshape(groups, weight.shape[0] // groups, -1)
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
    patch_bytes = max(1, x[:1].size * int(np.prod(weight.shape[2:])) * np.dtype(carrier).itemsize)
    step = max(1, CHUNK_BYTES // patch_bytes)
    parts = [_convolve(x[i:i + step].astype(carrier), w, stride, padding, dilation, reach)
             for i in range(0, max(len(x), 1), step)]
    return _result(np.concatenate(parts), x)


def _convolve(x: Array, w: Array, stride: Shape, padding: tuple[tuple[int, int], ...], dilation: Shape,
              reach: Shape) -> Array:
    """Cross-correlation of `[n, channel, height, width]` with `[groups, out/groups, fan_in]`.

    Args:
        reach: rows and columns that a dilated kernel spans.
    """
    x = np.pad(x, ((0, 0), (0, 0), *padding))
    windows = sliding_window_view(x, reach, (2, 3))[:, :, ::stride[0], ::stride[1], ::dilation[0], ::dilation[1]]
    n, _, height, width = windows.shape[:4]
    groups, out, fan_in = w.shape
    patches = windows.transpose(1, 4, 5, 0, 2, 3).reshape(groups, fan_in, n * height * width)
    y = np.matmul(w, patches).reshape(groups * out, n, height, width)
    return np.ascontiguousarray(y.transpose(1, 0, 2, 3))


def window_reduce(x: Array, kernel: Shape, stride: Shape, padding: tuple[tuple[int, int], ...],
                  mode: Literal["sum", "max"]) -> Array:
    """The sum or the maximum of each window of `x` `[n, channel, *space]`.

    Padding adds 0 to a sum. In a maximum it counts as the least number of the dtype, so that it is never the largest.

    Returns:
        `[n, channel, *space]`: sums of integers in int64, everything else in the dtype of `x`.
    """
    fill = 0 if mode == "sum" else -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    wide = x.astype(np.int64) if x.dtype.kind in "iu" and mode == "sum" else x
    padded = np.pad(wide, ((0, 0), (0, 0), *padding), constant_values=fill)
    out = tuple((n - k) // s + 1 for n, k, s in zip(padded.shape[2:], kernel, stride, strict=True))
    y: Array | None = None
    for offset in np.ndindex(*kernel):
        cut = tuple(slice(o, o + s * (m - 1) + 1, s) for o, s, m in zip(offset, stride, out, strict=True))
        part = padded[(slice(None), slice(None), *cut)]
        y = part.copy() if y is None else np.add(y, part) if mode == "sum" else np.maximum(y, part)
    assert y is not None
    return y
