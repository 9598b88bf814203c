"""Handlers of the torch functions that compute: layers, sums and factors (`FUNCTIONS`).

A handler takes a `CallContext` and the arguments of the torch function, with a `Value` for every tensor that depends on
the input of the network. It returns the value of the result, or a tuple of values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import torch
from snncompile.frontends.torch.axis_maps import token_mix
from snncompile.frontends.torch.build import CallContext, described
from snncompile.frontends.torch.einsum import einsum
from snncompile.frontends.torch.ends import ENDS
from snncompile.frontends.torch.pools import POOLS, per_axis
from snncompile.frontends.torch.reductions import REDUCTIONS
from snncompile.frontends.torch.shapes import SHAPES, Handler
from snncompile.frontends.torch.values import Value
from snncompile.ir.ops import Conv, Linear, Rectify, Scale, Upsample
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, ShapeOnly, Weight
from torch import Tensor

# --- layers ------------------------------------------------------------------------------------------------


def linear(ctx: CallContext, x: Any, weight: Any, bias: Any = None) -> Value:
    """`weight`: `[out, in]`."""
    w, step = ctx.weight(weight, "weight")
    return _linear(ctx, x, w, step, bias)


def _linear(ctx: CallContext, x: Any, w: Weight, step: Array | None, bias: Any) -> Value:
    """A linear layer with weights `[out, in]`. Behind other axes of features, it mixes the entries of the last one."""
    x = ctx.value(x)
    if len(w.shape) != 2 or not x.shape or x.axes[-1] != "F":
        ctx.refuse(f"{ctx.call.name} of a tensor {described(x)}", "features as the last axis")
    b = None if bias is None else ctx.array(bias, "bias")
    own_bias = b if step is None else None  # that of weights with a step is added behind it
    if math.prod(x.shape) != x.shape[-1]:
        out = token_mix(ctx, x, TokenMix(_one_head(w), None if own_bias is None else _one_head(own_bias)))
    else:
        out = ctx.add_node(x, Linear(w, own_bias), x.shape[-1:])
        out = replace(out, axes=x.axes, shape=(*x.shape[:-1], w.shape[0]), reshape_name=ctx.name)
    return out if step is None else ctx.add_node(out, Scale(step, b), name=f"{ctx.name}.step")


def _one_head(values: Weight) -> Weight:
    return ShapeOnly((1, *values.shape), values.dtype) if isinstance(values, ShapeOnly) else values[None]


def matmul(ctx: CallContext, x: Any, other: Any, bias: Any = None) -> Value:
    """`x @ other` with a constant `other`: a matrix, or one for each head of `x` `[..., heads, channels, tokens]`."""
    shape = ctx.array(other, "second factor").shape
    if len(shape) == 2:
        w, step = ctx.weight(other, "second factor", outputs=1)
        return _linear(ctx, x, w, step, bias)
    weight = ctx.plain_weight(other, "second factor")
    x = ctx.value(x)
    if len(shape) != 3 or len(x.shape) < 3 or math.prod(x.shape[:-3]) != 1 or x.shape[-3] != shape[0]:
        ctx.refuse(f"{ctx.call.name} of a tensor {described(x)} with a factor of shape {list(shape)}",
                   "a matrix, or a matrix for each entry of the third last axis")
    heads, tokens, out = shape
    turned = ShapeOnly((heads, out, tokens), weight.dtype) if isinstance(weight, ShapeOnly) else np.ascontiguousarray(
        weight.transpose(0, 2, 1))
    return token_mix(ctx, x, TokenMix(turned))


def addmm(ctx: CallContext, bias: Any, x: Any, weight: Any, *, beta: float = 1, alpha: float = 1) -> Value:
    if (beta, alpha) != (1, 1):
        ctx.refuse(f"addmm with beta {beta} and alpha {alpha}")
    return matmul(ctx, x, weight, bias)


def _conv(axes: int) -> Handler:
    """The handler of a convolution over this number of axes."""
    def conv(ctx: CallContext, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
             dilation: Any = 1, groups: int = 1) -> Value:
        w, step = ctx.weight(weight, "weight")
        x = ctx.layer_input(input, axes + 1)
        dilations = per_axis(dilation, axes)
        if isinstance(padding, str):
            totals = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, w.shape[2:], strict=True)]
            pads = tuple((n // 2, n - n // 2) for n in totals)
        else:
            pads = tuple((p, p) for p in per_axis(padding, axes))
        b = None if bias is None else ctx.array(bias, "bias")
        out = ctx.add_node(x, Conv(w, b if step is None else None, per_axis(stride, axes), pads, dilations, groups))
        if step is None:
            return out
        per_channel = (-1, *(1,) * axes)
        factor = step.reshape(per_channel) if step.size > 1 else step
        shift = None if b is None else np.asarray(b).reshape(per_channel)
        return ctx.add_node(out, Scale(factor, shift), name=f"{ctx.name}.step")
    return conv


def batch_norm(ctx: CallContext, input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
               training: bool = False, momentum: float = 0.1, eps: float = 1e-5) -> Value:
    """`(x - mean) / sqrt(var + eps) * weight + bias`, as one factor and one bias per channel."""
    x = ctx.value(input)
    if training or running_mean is None:
        ctx.refuse(f"{ctx.call.name} by the statistics of the batch", "use the running statistics of the training")
    if len(x.leading) != 1 or not x.features_last or not x.shape:
        ctx.refuse(f"{ctx.call.name} of a tensor {described(x)}", "one axis of time and batch, then channels")
    mean, var = (ctx.array(v, "statistic") for v in (running_mean, running_var))
    gain = 1.0 if weight is None else ctx.array(weight, "weight")
    shift = 0.0 if bias is None else ctx.array(bias, "bias")
    shape = (x.shape[0], *(1,) * (len(x.shape) - 1))
    if any(isinstance(v, ShapeOnly) for v in (mean, var, gain, shift)):
        return ctx.add_node(x, Scale(ShapeOnly(shape), ShapeOnly(shape)))
    factor = 1 / np.sqrt(np.asarray(var, np.float64) + eps) * np.asarray(gain)
    offset = -np.asarray(mean, np.float64) * factor + np.asarray(shift)
    return ctx.add_node(x, Scale(factor.reshape(shape), offset.reshape(shape)))


def interpolate(ctx: CallContext, input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
                align_corners: bool | None = None, recompute_scale_factor: bool | None = None, **_: Any) -> Value:
    """Upsampling to the nearest neighbour by whole factors."""
    x = ctx.value(input)
    old, new = x.shape[1:], ctx.result_shape[2:]
    x = ctx.layer_input(x, len(new) + 1)
    if mode not in ("nearest", "nearest-exact") or any(b % a for a, b in zip(old, new, strict=True)):
        ctx.refuse(f"{ctx.call.name} of {list(old)} to {list(new)}, mode {mode}", "nearest neighbours, whole factors")
    factors = tuple(b // a for a, b in zip(old, new, strict=True))
    if scale_factor is not None and not recompute_scale_factor and per_axis(scale_factor, len(factors)) != factors:
        ctx.refuse(f"{ctx.call.name} by a factor of {scale_factor}", "whole factors")
    return ctx.add_node(x, Upsample(factors))


def relu(ctx: CallContext, x: Any, inplace: bool = False) -> Value:
    return ctx.add_node(ctx.value(x), Rectify())


def dropout(ctx: CallContext, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    if training and p > 0:
        ctx.refuse(f"{ctx.call.name} that is active in evaluation mode", "pass training=self.training, or use "
                   "nn.Dropout")
    return ctx.value(x)


def identity(ctx: CallContext, x: Any, *_: Any, **__: Any) -> Value:
    """A function that returns the same numbers, such as a copy or a cast to another float type."""
    if not ctx.call.results[0].is_floating_point():
        ctx.refuse(f"{ctx.call.name} to whole numbers", "a graph computes in real numbers; spikes are 0 and 1")
    return ctx.value(x)


# --- sums and factors --------------------------------------------------------------------------------------


def _broadcast(ctx: CallContext, x: Value, constant: Weight, role: str) -> Weight | float:
    """A constant in the shape in which it broadcasts to the features of a value.

    Args:
        role: what the constant is to the function, for the diagnostic.

    Raises:
        Refused: the constant differs between samples or ticks, or has larger feature axes than the value.
    """
    if constant.size == 1:
        return ShapeOnly(()) if isinstance(constant, ShapeOnly) else float(constant.reshape(()))
    axes = len(constant.shape)
    features = len(x.shape)
    lead, tail = constant.shape[:max(axes - features, 0)], constant.shape[-features:] if features else ()
    if math.prod(lead) > 1 and not isinstance(constant, ShapeOnly) and x.features_last and axes <= len(x.axes):
        first = constant[(slice(1),) * len(lead)]
        if np.all(constant == first):  # such as torch.zeros(batch, features), to which a loop adds
            constant, lead = first, (1,) * len(lead)
    if not x.features_last or math.prod(lead) != 1 or axes > len(x.axes):
        ctx.refuse(f"{ctx.call.name} of a tensor {described(x)} and a {role} of shape {list(constant.shape)}",
                   "a constant is the same for every sample and tick")
    shape = (1,) * (features - len(tail)) + tail
    if np.broadcast_shapes(shape, x.shape) != x.shape:
        ctx.refuse(f"{ctx.call.name} that repeats a tensor {described(x)} along an axis of features")
    return ShapeOnly(shape) if isinstance(constant, ShapeOnly) else constant.reshape(shape)


def _scaled(ctx: CallContext, x: Value, factor: Weight | float, bias: Weight | float | None = None) -> Value:
    """`x * factor + bias`; `x` itself where that is the same, as far as the numbers are known."""
    unchanged = not isinstance(factor, ShapeOnly) and np.all(np.asarray(factor) == 1) and (
        bias is None or not (isinstance(bias, ShapeOnly) or np.any(bias)))
    return x if unchanged else ctx.add_node(x, Scale(factor, bias))


def add(ctx: CallContext, x: Any, other: Any, *, alpha: float = 1) -> Value:
    """`x + alpha * other`: of two values, of a value and a constant, or of the next tick to a sum of ticks."""
    if not isinstance(x, Value):
        if alpha != 1:
            ctx.refuse(f"{ctx.call.name} with alpha {alpha}")
        return add(ctx, other, x)
    x = ctx.value(x)
    if not isinstance(other, Value):
        summand = ctx.array(other, "summand")
        summand = summand if isinstance(summand, ShapeOnly) else summand * alpha
        return _scaled(ctx, x, 1.0, _broadcast(ctx, x, summand, "summand"))
    y = ctx.value(other)
    if x.summed or y.summed or x.tick != y.tick:
        return _add_next_tick(ctx, x, y, alpha)
    return ctx.add_sum([x, _scaled(ctx, y, float(alpha))])


def _add_next_tick(ctx: CallContext, x: Value, y: Value, alpha: float) -> Value:
    """A step of a sum over ticks: the sum of the first ticks of some values, plus the next tick of one of them.

    With the last tick of all it is the sum over all ticks, which becomes `decode="rate"`.
    """
    if (y.summed and not x.summed) or (y.tick == 0 and not x.summed):
        x, y = y, x
    ctx.refuse_behind_end(x)
    ctx.refuse_behind_end(y)
    sums = dict(x.summed or _first_tick(ctx, x, replace(y, tick=None)))
    for value, count in (y.summed or ((replace(y, tick=None), 1),)):
        same_tick = y.summed or y.tick == sums.get(value, 0)
        if alpha != 1 or not sums or not same_tick or (y.summed and value in sums):
            ctx.refuse(f"{ctx.call.name} of different ticks of {described(x)}", "after the loop the ticks may be "
                       "stacked, summed in order, or the last one taken")
        sums[value] = sums.get(value, 0) + count
    if any(count < ctx.ticks for count in sums.values()):
        return replace(x, tick=None, summed=tuple(sums.items()))
    whole = [replace(value, decode="rate", is_sum=True) for value in sums]
    return whole[0] if len(whole) == 1 else ctx.add_sum(whole)


def _first_tick(ctx: CallContext, x: Value, next_value: Value) -> tuple[tuple[Value, int], ...]:
    """The values whose first tick is summed in `x`: `x` itself, or its summands if the next value is one of them."""
    if x.tick != 0:
        return ()
    whole = [replace(x, tick=None)]
    parts, more = whole, ctx.builder.summands_of(whole)
    while next_value not in parts and more != parts:
        parts, more = more, ctx.builder.summands_of(more)
    return tuple((v, 1) for v in (parts if next_value in parts else whole))


def sub(ctx: CallContext, x: Any, other: Any, *, alpha: float = 1) -> Value:
    if isinstance(other, Value) and not isinstance(x, Value):
        return add(ctx, _scaled(ctx, ctx.value(other), -float(alpha)), x)
    return add(ctx, x, other, alpha=-alpha)


def rsub(ctx: CallContext, x: Any, other: Any, *, alpha: float = 1) -> Value:
    return sub(ctx, other, x, alpha=alpha)


def mul(ctx: CallContext, x: Any, other: Any) -> Value:
    """The product of a value and a constant."""
    if not isinstance(x, Value):
        x, other = other, x
    x = ctx.value(x)
    return _scaled(ctx, x, _broadcast(ctx, x, ctx.array(other, "factor"), "factor"))


def div(ctx: CallContext, x: Any, other: Any, *, rounding_mode: str | None = None) -> Value:
    """The quotient of a value and a constant."""
    x = ctx.value(x)
    if rounding_mode is not None:
        ctx.refuse(f"{ctx.call.name} with rounding_mode {rounding_mode}")
    divisor = _broadcast(ctx, x, ctx.array(other, "divisor"), "divisor")
    if isinstance(divisor, ShapeOnly):
        return _scaled(ctx, x, divisor)
    if not np.all(divisor):
        ctx.refuse(f"{ctx.call.name} by zero")
    return _scaled(ctx, x, 1 / divisor)


def neg(ctx: CallContext, x: Any) -> Value:
    return _scaled(ctx, ctx.value(x), -1.0)


def assign_tick(ctx: CallContext, base: Any, index: Any, value: Any) -> Any:
    """`record[t] = spikes`: a tensor of zeros to which a loop assigns one tick after the other.

    While it is incomplete, the value's `summed` counts the assigned ticks.
    """
    assigned = sum(count for _, count in base.summed) if isinstance(base, Value) else 0
    y = ctx.value(value)
    indices = list(index) if isinstance(index, tuple) else [index]
    axis = next((i for i, c in enumerate(indices) if type(c) is int), None)
    rest = [c for i, c in enumerate(indices) if i != axis]
    axes = y.axes if axis is None else (*y.axes[:axis], "T", *y.axes[axis:])
    all_ticks = replace(y, tick=None, axes=axes)
    fits = isinstance(base, Tensor) or replace(base, summed=()) == all_ticks
    record = ctx.call.results[0]
    if record.dtype not in (torch.float32, torch.float64):
        ctx.refuse(f"an assignment to part of a tensor of {record.dtype}, which rounds", "collect the ticks in a list "
                   "and stack it, or in a tensor of float32")
    if axis is None or any(c != slice(None) for c in rest) or y.tick is None or not fits \
            or not assigned == y.tick == indices[axis] or ctx.call.args[0] is None:
        ctx.refuse("an assignment to part of a tensor", "collect the ticks in a list and stack it")
    sizes = all_ticks.sizes({**ctx.axis_sizes, "T": ctx.ticks})
    if tuple(record.shape) != sizes:
        ctx.refuse(f"an assignment of ticks {described(y)} to parts of a tensor of shape {list(record.shape)}",
                   f"a tensor of shape {list(sizes)}, with a place for each of the {ctx.ticks} ticks")
    ctx.axis_sizes.setdefault("T", ctx.ticks)
    return all_ticks if y.tick + 1 == ctx.ticks else replace(all_ticks, summed=((all_ticks, y.tick + 1),))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **SHAPES, **REDUCTIONS, **POOLS, **ENDS, "einsum": einsum,
    "linear": linear, **dict.fromkeys(("matmul", "mm"), matmul), "addmm": addmm, "inner": linear,
    "conv1d": _conv(1), "conv2d": _conv(2), "batch_norm": batch_norm,
    **dict.fromkeys(("interpolate", "upsample"), interpolate),
    "relu": relu, **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "feature_dropout", "alpha_dropout"), dropout),
    **dict.fromkeys(("contiguous", "clone", "detach", "to", "float", "double", "type_as", "data", "cpu", "type",
                     "requires_grad", "positive", "pos", "alias"), identity),
    "add": add, "radd": add, "sub": sub, "subtract": sub, "rsub": rsub, "mul": mul, "rmul": mul, "multiply": mul,
    "div": div, "truediv": div, "divide": div, "true_divide": div, "neg": neg, "negative": neg, "setitem": assign_tick,
}
"""The handler of each supported torch function, by its name without underscores."""
