"""Handlers of the pools of torch (`POOLS`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snncompile.frontends.torch.axis_maps import along_axis, zeros_along
from snncompile.frontends.torch.build import CallContext
from snncompile.frontends.torch.reductions import over_feature
from snncompile.frontends.torch.shapes import Handler, cat, feature_slice
from snncompile.frontends.torch.values import Value
from snncompile.ir.ops import AvgPool, MaxPool, Scale, SumPool
from snncompile.ir.types import Array, Shape


def per_axis(value: Any, axes: int) -> Shape:
    """An option such as a stride, one number per axis, from one number for all axes or one for each."""
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return numbers * axes if len(numbers) == 1 else numbers


def _overhang(size: int, kernel: int, stride: int, padding: int) -> int:
    """How far the last window of a pool extends over the padded end, if the number of windows is rounded up.

    With `ceil_mode` torch rounds up, but omits a last window that would begin in the padding at the end. For example a
    kernel of 2 with stride 2 over 5 entries has 3 windows, and the last extends 1 entry over the end.
    """
    windows = -(-(size + 2 * padding - kernel) // stride) + 1
    if (windows - 1) * stride >= size + padding:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - 2 * padding)


Window = tuple[Value, Shape, Shape, tuple[tuple[int, int], ...]]
"""The input of a pool, its kernel and stride, and its padding before and after each axis."""


def _window(ctx: CallContext, input: Any, axes: int, kernel: Any, stride: Any, padding: Any, ceil_mode: bool) -> Window:
    x = ctx.layer_input(input, axes + 1)
    kernels, pads = per_axis(kernel, axes), per_axis(padding, axes)
    strides = per_axis(kernels if stride is None or stride == [] else stride, axes)
    over = [_overhang(*sizes) if ceil_mode else 0 for sizes in zip(x.shape[1:], kernels, strides, pads, strict=True)]
    return x, kernels, strides, tuple((a, a + b) for a, b in zip(pads, over, strict=True))


def _avg_pool(axes: int) -> Handler:
    """The handler of an average pool over this number of axes.

    Where not all windows have the same divisor, it becomes a sum pool and a factor for each place of the output.
    """
    def pool(ctx: CallContext, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
             ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None) -> Value:
        x, kernel, strides, pads = _window(ctx, input, axes, kernel_size, stride, padding, ceil_mode)
        symmetric = all(a == b for a, b in pads)
        if divisor_override is None and symmetric and (count_include_pad or not np.any(pads)):
            return ctx.add_node(x, AvgPool(kernel, strides, pads))
        counted_padding = per_axis(padding, axes) if count_include_pad else (0,) * axes
        sums = ctx.add_node(x, SumPool(kernel, strides, pads))
        options = zip(x.shape[1:], kernel, strides, pads, counted_padding, sums.shape[1:], strict=True)
        counts = [_window_counts(*axis) for axis in options]
        divisor = np.multiply.outer(*counts)[None] if axes == 2 else counts[0][None]
        return ctx.add_node(sums, Scale(1 / divisor if divisor_override is None else 1 / divisor_override),
                            name=f"{ctx.name}.mean")
    return pool


def _window_counts(size: int, kernel: int, stride: int, pads: tuple[int, int], counted_padding: int,
                   windows: int) -> Array:
    """For each window along an axis, how many of its entries count for the divisor of the mean.

    Args:
        size: of the axis of the input.
        pads: padding before and after the axis.
        counted_padding: how many entries of the padding on each side count.
        windows: how many windows there are.
    """
    start = np.arange(windows) * stride - pads[0]
    counts = np.minimum(start + kernel, size + counted_padding) - np.maximum(start, -counted_padding)
    return np.asarray(counts, np.float64)


def _max_pool(axes: int) -> Handler:
    def pool(ctx: CallContext, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
             ceil_mode: bool = False, return_indices: bool = False) -> Value:
        if set(per_axis(dilation, axes)) != {1} or return_indices:
            ctx.refuse(f"{ctx.call.name} with dilation {dilation}" + (" and indices" if return_indices else ""),
                       "dilation 1, without indices")
        x, kernel, strides, pads = _window(ctx, input, axes, kernel_size, stride, padding, ceil_mode)
        return ctx.add_node(x, MaxPool(kernel, strides, pads))
    return pool


def _lp_pool(axes: int) -> Handler:
    """The handler of a power-average pool. Only norm 1 is supported, which is a sum."""
    def pool(ctx: CallContext, input: Any, norm_type: float, kernel_size: Any, stride: Any = None,
             ceil_mode: bool = False) -> Value:
        x, kernel, strides, pads = _window(ctx, input, axes, kernel_size, stride, 0, ceil_mode)
        if float(norm_type) != 1 or np.any(pads):
            ctx.refuse(f"{ctx.call.name} with norm {norm_type}" + (" and ceil_mode" if np.any(pads) else ""),
                       "norm 1, which is a sum, over whole windows")
        return ctx.add_node(x, SumPool(kernel, strides, pads))
    return pool


def _adaptive_windows(size: int, out: int) -> list[range]:
    """The windows of an adaptive pool along an axis. They overlap where the size of the output does not divide."""
    return [range(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]


def _adaptive(axes: int, kind: type[AvgPool] | type[MaxPool]) -> Handler:
    """The handler of an adaptive pool. Where its windows differ, it pools along one axis after the other."""
    def pool(ctx: CallContext, input: Any, output_size: Any, return_indices: bool = False) -> Value:
        x = ctx.layer_input(input, axes + 1)
        sizes = [n if m is None else m for m, n in zip(per_axis(output_size, axes), x.shape[1:], strict=True)]
        if return_indices:
            ctx.refuse(f"{ctx.call.name} with indices", "without indices")
        if min(sizes) < 1:
            ctx.refuse(f"{ctx.call.name} to an output of size {output_size}", "sizes of 1 or more")
        if all(n % m == 0 for m, n in zip(sizes, x.shape[1:], strict=True)):
            window = tuple(n // m for m, n in zip(sizes, x.shape[1:], strict=True))
            return ctx.add_node(x, kind(window, window, ((0, 0),) * axes))
        for axis, size in enumerate(sizes, start=len(x.axes) - axes):
            windows = _adaptive_windows(x.sizes(ctx.axis_sizes)[axis], size)
            x = _mean_over(ctx, x, axis, windows) if kind is AvgPool else _largest_of(ctx, x, axis, windows)
        return x
    return pool


def _mean_over(ctx: CallContext, x: Value, axis: int, windows: Sequence[range]) -> Value:
    """The mean of the entries of each window along an axis."""
    matrix = zeros_along(ctx, x, axis, len(windows), np.float64)
    for row, window in zip(matrix, windows, strict=True):
        row[window.start:window.stop] = 1 / len(window)
    return along_axis(ctx, x, axis, matrix)


def _largest_of(ctx: CallContext, x: Value, axis: int, windows: Sequence[range]) -> Value:
    """The largest entry of each window along an axis."""
    parts = [over_feature(ctx, feature_slice(ctx, x, axis, w), axis, MaxPool, keepdim=True) for w in windows]
    return cat(ctx, parts, axis)


POOLS: Mapping[str, Handler] = {
    "avg_pool1d": _avg_pool(1), "avg_pool2d": _avg_pool(2), "lp_pool1d": _lp_pool(1), "lp_pool2d": _lp_pool(2),
    "max_pool1d": _max_pool(1), "max_pool2d": _max_pool(2),
    "adaptive_avg_pool1d": _adaptive(1, AvgPool), "adaptive_avg_pool2d": _adaptive(2, AvgPool),
    "adaptive_max_pool1d": _adaptive(1, MaxPool), "adaptive_max_pool2d": _adaptive(2, MaxPool),
}
