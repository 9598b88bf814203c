"""Torch functions that reduce axes: over features a pool, over time a way to decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from snncompile.frontends.torch.build import Site, described
from snncompile.frontends.torch.shapes import Handler, around, with_axis, without_axis
from snncompile.frontends.torch.values import Value
from snncompile.ir.ops import AvgPool, MaxPool, SumPool

Kind: TypeAlias = type[AvgPool] | type[SumPool] | type[MaxPool]


def _over(kind: Kind) -> Handler:
    def reduce(s: Site, x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
        x = s.value(x)
        if isinstance(dim, Value):
            s.refuse(f"{s.call.name} of two tensors of the network")
        if dim is None:
            s.refuse(f"{s.call.name} over all axes, batch included", "name the dimensions")
        for axis in sorted((d % len(x.axes) for d in ([dim] if isinstance(dim, int) else dim)), reverse=True):
            reduce_one = _over_feature if x.axes[axis] == "F" else _over_time
            x = reduce_one(s, x, axis, kind, keepdim)
        return x
    return reduce


def _over_time(s: Site, x: Value, axis: int, kind: Kind, keepdim: bool) -> Value:
    if x.axes[axis] != "T" or x.decode is not None:
        s.refuse(f"{s.call.name} over axis {axis} of a tensor {described(x)}")
    done = replace(x, axes=(*x.axes[:axis], *x.axes[axis + 1:]), decode="max" if kind is MaxPool else "rate",
                   total=kind is SumPool)
    return with_axis(s, done, axis) if keepdim else done


def _over_feature(s: Site, x: Value, axis: int, kind: Kind, keepdim: bool) -> Value:
    at, (before, size, behind) = around(x, axis)
    made = s.emit(x, kind((size, 1), (size, 1), ((0, 0), (0, 0))), (before, size, behind))
    made = replace(made, axes=x.axes, shape=(*x.shape[:at], 1, *x.shape[at + 1:]), via=s.name)
    return made if keepdim else without_axis(s, made, axis)


def maximum(s: Site, x: Any, dim: Any = None, keepdim: bool = False, **rest: Any) -> Any:
    """`max` gives indices too, which are no part of a graph."""
    found = _over(MaxPool)(s, x, dim, keepdim, **rest)
    return (found, None) if len(s.call.results) == 2 else found


REDUCTIONS: Mapping[str, Handler] = {
    "mean": _over(AvgPool), "sum": _over(SumPool), "amax": _over(MaxPool), "max": maximum,
}
