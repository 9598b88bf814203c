"""Torch functions that compute: layers, sums, and factors. Each takes the arguments that torch's own takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snncompile.frontends.torch.build import Site, described
from snncompile.frontends.torch.reductions import REDUCTIONS
from snncompile.frontends.torch.shapes import SHAPES, Handler
from snncompile.frontends.torch.values import Value
from snncompile.ir.ops import AvgPool, Conv, Linear, MaxPool, Rectify, Scale, SumPool, Upsample
from snncompile.ir.types import Array, Shape
from torch import Tensor


def _each(value: Any, axes: int) -> Shape:
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return given * axes if len(given) == 1 else given


# --- layers ------------------------------------------------------------------------------------------------


def linear(s: Site, x: Any, weight: Any, bias: Any = None) -> Value:
    x = s.value(x)
    w = s.array(weight, "weight")
    if w.ndim != 2 or not x.shape or x.axes[-1] != "F" or math.prod(x.shape) != x.shape[-1]:
        s.refuse(f"{s.call.name} of a tensor {described(x)}", "one axis of features; flatten the others first")
    made = s.emit(x, Linear(w, None if bias is None else s.array(bias, "bias")), x.shape[-1:])
    return replace(made, axes=x.axes, shape=(*x.shape[:-1], len(w)), via=s.name)


def matmul(s: Site, x: Any, other: Any) -> Value:
    """`x W`, the matrix being a constant."""
    weight = s.array(other, "second factor")
    if weight.ndim != 2:
        s.refuse(f"{s.call.name} with a factor of shape {list(weight.shape)}", "a matrix")
    return linear(s, x, other.t())


def addmm(s: Site, bias: Any, x: Any, weight: Any, *, beta: float = 1, alpha: float = 1) -> Value:
    if (beta, alpha) != (1, 1):
        s.refuse(f"addmm with beta {beta} and alpha {alpha}")
    s.array(weight, "second factor")
    return linear(s, x, weight.t(), bias)


def _conv(axes: int) -> Handler:
    def conv(s: Site, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
             groups: int = 1) -> Value:
        w = s.array(weight, "weight")
        x = s.flat(input, axes + 1)
        spread = _each(dilation, axes)
        if isinstance(padding, str):
            whole = [d * (k - 1) if padding == "same" else 0 for d, k in zip(spread, w.shape[2:], strict=True)]
            pads = tuple((n // 2, n - n // 2) for n in whole)
        else:
            pads = tuple((p, p) for p in _each(padding, axes))
        b = None if bias is None else s.array(bias, "bias")
        return s.emit(x, Conv(w, b, _each(stride, axes), pads, spread, groups))
    return conv


def batch_norm(s: Site, input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
               training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Value:
    """`(x - mean) / sqrt(var + eps) * weight + bias`, as one factor and one bias a channel."""
    x = s.value(input)
    if training or running_mean is None:
        s.refuse(f"{s.call.name} by the statistics of the batch", "a network that was trained keeps running statistics")
    if len(x.leading) != 1 or not x.regular or not x.shape:
        s.refuse(f"{s.call.name} of a tensor {described(x)}", "time and batch in one axis, then channels")
    mean, var = (s.array(v, "statistic").astype(np.float64) for v in (running_mean, running_var))
    factor = 1 / np.sqrt(var + eps)
    if weight is not None:
        factor = factor * s.array(weight, "weight")
    offset = -mean * factor + (0.0 if bias is None else s.array(bias, "bias"))
    shape = (-1, *(1,) * (len(x.shape) - 1))
    return s.emit(x, Scale(factor.reshape(shape), offset.reshape(shape)))


def _hangs_over(size: int, kernel: int, stride: int, padding: int) -> int:
    """How far the last window reaches over the padded end when their number is rounded up, as torch does."""
    windows = -(-(size + 2 * padding - kernel) // stride) + 1
    if (windows - 1) * stride >= size + padding:
        windows -= 1
    return max(0, (windows - 1) * stride + kernel - size - 2 * padding)


Window = tuple[Value, Shape, Shape, tuple[tuple[int, int], ...]]


def _window(s: Site, input: Any, axes: int, kernel: Any, stride: Any, padding: Any, ceil_mode: bool) -> Window:
    x = s.flat(input, axes + 1)
    k, p = _each(kernel, axes), _each(padding, axes)
    step = _each(k if stride is None or stride == [] else stride, axes)
    over = [_hangs_over(*sizes) if ceil_mode else 0 for sizes in zip(x.shape[1:], k, step, p, strict=True)]
    return x, k, step, tuple((a, a + b) for a, b in zip(p, over, strict=True))


def _avg_pool(axes: int) -> Handler:
    def pool(s: Site, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
             count_include_pad: bool = True, divisor_override: int | None = None) -> Value:
        x, kernel, step, pads = _window(s, input, axes, kernel_size, stride, padding, ceil_mode)
        even = all(a == b for a, b in pads)
        if divisor_override is None and even and (count_include_pad or not np.any(pads)):
            return s.emit(x, AvgPool(kernel, step, pads))
        counted = _each(padding, axes) if count_include_pad else (0,) * axes
        whole = s.emit(x, SumPool(kernel, step, pads))
        given = zip(x.shape[1:], kernel, step, pads, counted, whole.shape[1:], strict=True)
        sizes = [_inside(*axis) for axis in given]
        count = np.multiply.outer(*sizes)[None] if axes == 2 else sizes[0][None]
        return s.emit(whole, Scale(1 / count if divisor_override is None else 1 / divisor_override),
                      name=f"{s.name}.mean")
    return pool


def _inside(size: int, kernel: int, stride: int, pads: tuple[int, int], counted: int, out: int) -> Array:
    """How many of the places of each window count: those of the tensor, with so much padding around it."""
    start = np.arange(out) * stride - pads[0]
    return np.asarray(np.minimum(start + kernel, size + counted) - np.maximum(start, -counted), np.float64)


def _max_pool(axes: int) -> Handler:
    def pool(s: Site, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
             ceil_mode: bool = False, return_indices: bool = False) -> Value:
        if set(_each(dilation, axes)) != {1} or return_indices:
            s.refuse(f"{s.call.name} with dilation {dilation}" + (" and indices" if return_indices else ""),
                     "dilation 1, without indices")
        x, kernel, step, pads = _window(s, input, axes, kernel_size, stride, padding, ceil_mode)
        return s.emit(x, MaxPool(kernel, step, pads))
    return pool


def _lp_pool(axes: int) -> Handler:
    def pool(s: Site, input: Any, norm_type: float, kernel_size: Any, stride: Any = None,
             ceil_mode: bool = False) -> Value:
        x, kernel, step, pads = _window(s, input, axes, kernel_size, stride, 0, ceil_mode)
        if float(norm_type) != 1 or np.any(pads):
            s.refuse(f"{s.call.name} with norm {norm_type}" + (" and ceil_mode" if np.any(pads) else ""),
                     "norm 1, which is a sum, over whole windows")
        return s.emit(x, SumPool(kernel, step, pads))
    return pool


def _adaptive(axes: int, kind: type[AvgPool] | type[MaxPool]) -> Handler:
    def pool(s: Site, input: Any, output_size: Any, return_indices: bool = False) -> Value:
        x = s.flat(input, axes + 1)
        wanted = [n if m is None else m for m, n in zip(_each(output_size, axes), x.shape[1:], strict=True)]
        if return_indices or any(n % m for m, n in zip(wanted, x.shape[1:], strict=True)):
            s.refuse(f"{s.call.name} of {list(x.shape[1:])} to {wanted}", "windows of equal size: the output divides "
                     "the input")
        window = tuple(n // m for m, n in zip(wanted, x.shape[1:], strict=True))
        return s.emit(x, kind(window, window, ((0, 0),) * axes))
    return pool


def interpolate(s: Site, input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                align_corners: bool | None = None, recompute_scale_factor: bool | None = None, **_: Any) -> Value:
    x = s.value(input)
    old, new = x.shape[1:], s.result[2:]
    x = s.flat(x, len(new) + 1)
    if mode not in ("nearest", "nearest-exact") or any(b % a for a, b in zip(old, new, strict=True)):
        s.refuse(f"{s.call.name} of {list(old)} to {list(new)}, mode {mode}", "nearest neighbours, whole factors")
    factors = tuple(b // a for a, b in zip(old, new, strict=True))
    if scale_factor is not None and not recompute_scale_factor and _each(scale_factor, len(factors)) != factors:
        s.refuse(f"{s.call.name} by a factor of {scale_factor}", "whole factors")
    return s.emit(x, Upsample(factors))


def relu(s: Site, x: Any, inplace: bool = False) -> Value:
    return s.emit(s.value(x), Rectify())


def dropout(s: Site, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    if training and p > 0:
        s.refuse(f"{s.call.name} that is on in evaluation mode", "pass training=self.training, or use nn.Dropout")
    return s.value(x)


def same(s: Site, x: Any, *_: Any, **__: Any) -> Value:
    if not s.call.results[0].is_floating_point():
        s.refuse(f"{s.call.name} to whole numbers", "a graph computes in reals; spikes are 0 and 1")
    return s.value(x)


# --- sums and factors --------------------------------------------------------------------------------------


def _spread(s: Site, x: Value, constant: Array, what: str) -> Array | float:
    """A constant as it broadcasts against the features of a value. It must be the same for every sample and tick."""
    if constant.size == 1:
        return float(constant.reshape(()))
    features = len(x.shape)
    lead, tail = constant.shape[:max(constant.ndim - features, 0)], constant.shape[-features:] if features else ()
    if not x.regular or math.prod(lead) != 1 or constant.ndim > len(x.axes):
        s.refuse(f"{s.call.name} of a tensor {described(x)} and a {what} of shape {list(constant.shape)}",
                 "a constant is the same for every sample and tick")
    wide = constant.reshape((1,) * (features - len(tail)) + tail)
    if np.broadcast_shapes(wide.shape, x.shape) != x.shape:
        s.refuse(f"{s.call.name} that repeats a tensor {described(x)} along an axis of features")
    return wide


def _scaled(s: Site, x: Value, factor: Array | float, bias: Array | float | None = None) -> Value:
    nothing = np.all(np.asarray(factor) == 1) and (bias is None or not np.any(bias))
    return x if nothing else s.emit(x, Scale(factor, bias))


def add(s: Site, x: Any, other: Any, *, alpha: float = 1) -> Value:
    if not isinstance(x, Value):
        if alpha != 1:
            s.refuse(f"{s.call.name} with alpha {alpha}")
        return add(s, other, x)
    x = s.value(x)
    if not isinstance(other, Value):
        return _scaled(s, x, 1.0, _spread(s, x, s.array(other, "summand") * alpha, "summand"))
    y = s.value(other)
    if x.tick != y.tick or x.summed is not None:
        return _next_tick(s, x, y, alpha)
    return s.add([x, _scaled(s, y, float(alpha))])


def _next_tick(s: Site, x: Value, y: Value, alpha: float) -> Value:
    """A sum over ticks that is made tick by tick: the first so many ticks, and the next."""
    if x.summed is None and x.tick is not None and y.summed is not None:
        x, y = y, x
    done = x.summed if x.summed is not None else 1 if x.tick == 0 else None
    one = replace(y, tick=None)
    if done is None or y.tick != done or alpha != 1 or replace(x, tick=None, summed=None) != one:
        s.refuse(f"{s.call.name} of different ticks of {described(x)}", "after the loop the ticks may be stacked, "
                 "summed in order, or the last one taken")
    return replace(one, decode="rate", total=True) if done + 1 == s.ticks else replace(one, summed=done + 1)


def sub(s: Site, x: Any, other: Any, *, alpha: float = 1) -> Value:
    if isinstance(other, Value) and not isinstance(x, Value):
        return add(s, _scaled(s, s.value(other), -float(alpha)), x)
    return add(s, x, other, alpha=-alpha)


def rsub(s: Site, x: Any, other: Any, *, alpha: float = 1) -> Value:
    return sub(s, other, x, alpha=alpha)


def mul(s: Site, x: Any, other: Any) -> Value:
    if not isinstance(x, Value):
        x, other = other, x
    x = s.value(x)
    return _scaled(s, x, _spread(s, x, s.array(other, "factor"), "factor"))


def div(s: Site, x: Any, other: Any, *, rounding_mode: str | None = None) -> Value:
    x = s.value(x)
    if rounding_mode is not None:
        s.refuse(f"{s.call.name} that rounds")
    divisor = _spread(s, x, s.array(other, "divisor"), "divisor")
    if not np.all(divisor):
        s.refuse(f"{s.call.name} by zero")
    return _scaled(s, x, 1 / divisor)


def neg(s: Site, x: Any) -> Value:
    return _scaled(s, s.value(x), -1.0)


def collect(s: Site, base: Any, index: Any, value: Any) -> Any:
    """`record[t] = spikes`: a tensor of zeros that is filled tick by tick."""
    filled = base.summed if isinstance(base, Value) else 0
    y = s.value(value)
    chosen = list(index) if isinstance(index, tuple) else [index]
    axis = next((i for i, c in enumerate(chosen) if isinstance(c, int)), None)
    rest = [c for i, c in enumerate(chosen) if i != axis]
    whole = replace(y, tick=None, axes=y.axes if axis is None else (*y.axes[:axis], "T", *y.axes[axis:]))
    begun = isinstance(base, Tensor) or replace(base, summed=None) == whole
    if axis is None or any(c != slice(None) for c in rest) or y.tick is None or not begun \
            or not filled == y.tick == chosen[axis] or s.call.args[0] is None:
        s.refuse("an assignment to part of a tensor", "collect ticks in a list and stack it")
    s.extent.setdefault("T", s.ticks)
    return whole if y.tick + 1 == s.ticks else replace(whole, summed=y.tick + 1)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **SHAPES, **REDUCTIONS,
    "linear": linear, **dict.fromkeys(("matmul", "mm"), matmul), "addmm": addmm,
    "conv1d": _conv(1), "conv2d": _conv(2), "batch_norm": batch_norm,
    "avg_pool1d": _avg_pool(1), "avg_pool2d": _avg_pool(2), "lp_pool1d": _lp_pool(1), "lp_pool2d": _lp_pool(2),
    "max_pool1d": _max_pool(1), "max_pool2d": _max_pool(2),
    "adaptive_avg_pool1d": _adaptive(1, AvgPool), "adaptive_avg_pool2d": _adaptive(2, AvgPool),
    "adaptive_max_pool1d": _adaptive(1, MaxPool), "adaptive_max_pool2d": _adaptive(2, MaxPool),
    **dict.fromkeys(("interpolate", "upsample"), interpolate),
    "relu": relu, **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "feature_dropout", "alpha_dropout"), dropout),
    **dict.fromkeys(("contiguous", "clone", "detach", "to", "float", "double", "type_as", "data", "cpu", "type",
                     "requires_grad", "positive", "pos", "alias"), same),
    "add": add, "radd": add, "sub": sub, "subtract": sub, "rsub": rsub, "mul": mul, "rmul": mul, "multiply": mul,
    "div": div, "truediv": div, "divide": div, "true_divide": div, "neg": neg, "negative": neg, "setitem": collect,
}
