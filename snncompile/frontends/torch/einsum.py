"""The handler of `einsum`: a linear layer, or a factor for each entry, written as a sum over named axes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snncompile.frontends.equations import axis_labels
from snncompile.frontends.torch.axis_maps import along_axis, token_mix
from snncompile.frontends.torch.build import CallContext, described
from snncompile.frontends.torch.shapes import permute
from snncompile.frontends.torch.values import Value
from snncompile.ir.ops import Linear, Scale
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import ShapeOnly, Weight


@dataclass(frozen=True)
class Contraction:
    """An equation of a value of the network and a constant.

    For example `...i,oi->...o` with a value `[tick, batch, i]` is `value="ABi"`, `constant="oi"`, `result="ABo"`: the
    letters of an ellipsis are capitals that the equation does not use.
    """

    value: str
    constant: str
    result: str

    @classmethod
    def of(cls, equation: str, at: int, axes: int) -> Contraction | None:
        """The contraction of an equation of two operands. None for an equation that has another form.

        Args:
            at: which operand is the value, 0 or 1.
            axes: how many axes the value has.
        """
        operands = equation.partition("->")[0].split(",")
        if len(operands) != 2 or "..." in operands[1 - at]:
            return None
        labels = axis_labels(equation, [axes if i == at else None for i in range(2)])
        if labels is None:
            return None
        found = cls(labels[0][at], labels[0][1 - at], labels[1])
        repeated = any(len(set(letters)) < len(letters) for letters in (found.value, found.constant))
        return None if repeated else found


def _ordered(array: Weight, letters: str, order: str) -> Weight:
    """An array whose axes have these letters, with its axes in another order."""
    axes = [letters.index(c) for c in order]
    if isinstance(array, ShapeOnly):
        return ShapeOnly(tuple(array.shape[a] for a in axes), array.dtype)
    return np.ascontiguousarray(array.transpose(axes))


def _reshaped(array: Weight, *shape: int) -> Weight:
    return ShapeOnly(shape, array.dtype) if isinstance(array, ShapeOnly) else array.reshape(shape)


def einsum(ctx: CallContext, equation: Any, *operands: Any) -> Value:
    """`einsum` of one value of the network and one constant."""
    given = tuple(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    at = next((i for i, operand in enumerate(given) if isinstance(operand, Value)), 0)
    x = ctx.value(given[at])
    c = Contraction.of(equation, at, len(x.axes)) if isinstance(equation, str) and len(given) == 2 else None
    if c is not None:
        array = ctx.plain_weight(given[1 - at], "operand")
        features = {c.value[i] for i, axis in enumerate(x.axes) if axis == "F"}
        if set(c.constant) & set(c.value) <= features:
            result = _as_layer(ctx, x, c, array)
            if result is not None:
                return result
    ctx.refuse(f"einsum {equation!r} of a tensor {described(x)}" if isinstance(equation, str) else "einsum",
               "one tensor of the network and one constant: a linear layer, or a factor for each entry")


def _as_layer(ctx: CallContext, x: Value, c: Contraction, array: Weight) -> Value | None:
    """The contraction as the operator that computes it; None where there is none."""
    summed = "".join(a for a in c.value if a not in c.result)
    new = "".join(a for a in c.result if a not in c.value)
    shared = "".join(a for a in c.value if a in c.constant and a in c.result)
    if set(c.constant) != {*summed, *new, *shared}:  # also where an axis is summed that the constant lacks
        return None
    if not summed:
        return _factor(ctx, x, c, array) if not new and c.result == c.value else None
    natural = c.value.replace(summed, new)
    if natural == c.value or sorted(c.result) != sorted(natural) or not x.features_last:
        return None
    if c.result != natural:
        inner = _as_layer(ctx, x, replace(c, result=natural), array)
        return inner and permute(ctx, inner, [natural.index(a) for a in c.result])
    if not shared:
        return _linear(ctx, x, c.value.index(summed), len(summed), new, _ordered(array, c.constant, new + summed))
    heads = len(x.shape) > 1 and c.value.endswith(shared + summed) and len(shared + summed) == len(x.shape)
    if not heads or len(summed) != 1 or len(new) != 1:
        return None
    weight = _ordered(array, c.constant, shared + new + summed)
    mixed = token_mix(ctx, x, TokenMix(_reshaped(weight, math.prod(weight.shape[:-2]), *weight.shape[-2:])))
    return mixed


def _factor(ctx: CallContext, x: Value, c: Contraction, array: Weight) -> Value:
    order = [a for a in c.value if a in c.constant]
    factor = _ordered(array, c.constant, "".join(order))
    sizes = iter(factor.shape)
    shape = tuple(next(sizes) if a in order else 1 for a, axis in zip(c.value, x.axes, strict=True) if axis == "F")
    return ctx.add_node(x, Scale(_reshaped(factor, *shape)))


def _linear(ctx: CallContext, x: Value, axis: int, count: int, new: str, weight: Weight) -> Value:
    """A linear map from `count` feature axes, which begin at `axis`, to the axes `new`; `weight` has those first."""
    at = sum(a == "F" for a in x.axes[:axis])
    before, behind = x.shape[:at], x.shape[at + count:]
    sizes = weight.shape[:len(new)]
    matrix = _reshaped(weight, math.prod(sizes), math.prod(weight.shape[len(new):]))
    joined = replace(x, axes=(*x.axes[:axis], "F", *x.axes[axis + count:]), shape=(*before, matrix.shape[1], *behind),
                     reshape_name=f"{ctx.name}.in")
    if math.prod(before) == math.prod(behind) == 1:
        out = ctx.add_node(joined, Linear(matrix), (matrix.shape[1],))
    else:
        out = along_axis(ctx, joined, axis, matrix)
    return replace(out, axes=(*x.axes[:axis], *("F",) * len(new), *x.axes[axis + count:]),
                   shape=(*before, *sizes, *behind), reshape_name=ctx.name)
