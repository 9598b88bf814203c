"""Handlers of the torch functions that reduce axes: over features to a pool, over time to a decoding of the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from snncompile.frontends.torch.axis_maps import sizes_around
from snncompile.frontends.torch.build import CallContext, described
from snncompile.frontends.torch.ends import argmax
from snncompile.frontends.torch.shapes import Handler, add_feature_axis, or_refusal, remove_feature_axis
from snncompile.frontends.torch.values import Value
from snncompile.ir.ops import AvgPool, MaxPool, SumPool

Kind: TypeAlias = type[AvgPool] | type[SumPool] | type[MaxPool]


def _reduction(kind: Kind) -> Handler:
    """The handler of a reduction; the pool tells which. It takes NumPy's names of the arguments too, as torch does."""
    def reduce(ctx: CallContext, x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None,
               keepdims: bool = False, dtype: torch.dtype | None = None) -> Any:
        x = ctx.value(x)
        dim, keepdim = axis if dim is None else dim, keepdim or keepdims
        if dtype is not None and not dtype.is_floating_point:
            ctx.refuse(f"{ctx.call.name} to {dtype}, which rounds", "a graph computes in real numbers")
        if isinstance(dim, Value):
            ctx.refuse(f"{ctx.call.name} of two tensors of the network")
        if dim is None or dim in ((), []):
            ctx.refuse(f"{ctx.call.name} over all axes, batch included", "name the dimensions")
        for at in sorted((d % len(x.axes) for d in ([dim] if isinstance(dim, int) else dim)), reverse=True):
            reduce_axis = over_feature if x.axes[at] == "F" else _over_time
            x = reduce_axis(ctx, x, at, kind, keepdim)
        return x
    return reduce


def _over_time(ctx: CallContext, x: Value, axis: int, kind: Kind, keepdim: bool) -> Value:
    ctx.refuse_behind_end(x)
    if x.axes[axis] != "T" or x.decode is not None:
        ctx.refuse(f"{ctx.call.name} over axis {axis} of a tensor {described(x)}")
    reduced = replace(x, axes=(*x.axes[:axis], *x.axes[axis + 1:]), decode="max" if kind is MaxPool else "rate",
                      is_sum=kind is SumPool)
    return add_feature_axis(ctx, reduced, axis) if keepdim else reduced


def over_feature(ctx: CallContext, x: Value, axis: int, kind: Kind, keepdim: bool) -> Value:
    """A reduction over a feature axis: a pool over `[before, size, behind]` with a window of the whole axis."""
    at, (before, size, behind) = sizes_around(x, axis)
    pooled = ctx.add_node(x, kind((size, 1), (size, 1), ((0, 0), (0, 0))), (before, size, behind))
    pooled = replace(pooled, axes=x.axes, shape=(*x.shape[:at], 1, *x.shape[at + 1:]), reshape_name=ctx.name)
    return pooled if keepdim else remove_feature_axis(ctx, pooled, axis)


def maximum(ctx: CallContext, x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None,
            keepdims: bool = False) -> Any:
    """`max` over an axis, which also returns the places of the largest entries: over the features, `argmax`."""
    dim, keepdim = axis if dim is None else dim, keepdim or keepdims
    if len(ctx.call.results) != 2:
        return _reduction(MaxPool)(ctx, x, dim, keepdim)
    return tuple(or_refusal(function, ctx, x, dim, keepdim) for function in (_reduction(MaxPool), argmax))


REDUCTIONS: Mapping[str, Handler] = {
    "mean": _reduction(AvgPool), "sum": _reduction(SumPool), "amax": _reduction(MaxPool), "max": maximum,
}
