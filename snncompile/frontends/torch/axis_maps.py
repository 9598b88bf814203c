"""Linear maps along one feature axis of a value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snncompile.frontends.torch.build import CallContext, described
from snncompile.frontends.torch.values import Value
from snncompile.ir.ops import Conv
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape, ShapeOnly, Weight

MAX_WEIGHTS = 1 << 24
"""The largest matrix that the compiler makes for a function that has none, such as a choice of entries."""


def sizes_around(x: Value, axis: int) -> tuple[int, Shape]:
    """For a feature axis, its position among the features, and `(before, size, behind)`.

    `before` and `behind` are the products of the sizes of the feature axes before and behind it.
    """
    at = sum(a == "F" for a in x.axes[:axis])
    return at, (math.prod(x.shape[:at]), x.shape[at], math.prod(x.shape[at + 1:]))


def token_mix(ctx: CallContext, x: Value, op: TokenMix) -> Value:
    """A linear map along the last axis; all axes of features before it are channels."""
    if not x.features_last:
        ctx.refuse(f"{ctx.call.name} of a tensor {described(x)}", "time and batch before the features")
    *channels, tokens = x.shape
    out = ctx.add_node(x, op, (math.prod(channels), tokens))
    return replace(out, axes=x.axes, shape=(*channels, op.weight.shape[1]), reshape_name=ctx.name)


def along_axis(ctx: CallContext, x: Value, axis: int, matrix: Weight) -> Value:
    """A linear map along a feature axis.

    Along the last axis it is a `TokenMix`. Along another one it is a convolution with a kernel of 1, which reads
    `[before * size, 1, behind]` in groups of `size` channels.

    Args:
        matrix: `[out, in]`, where `in` is the size of the axis.
    """
    at, (before, size, behind) = sizes_around(x, axis)
    out = matrix.shape[0]
    if behind > 1 and before > 1:
        _require_room(ctx, x, before, out, size)
    if behind == 1:
        weight = ShapeOnly((1, out, size), matrix.dtype) if isinstance(matrix, ShapeOnly) else matrix[None]
        mapped = ctx.add_node(x, TokenMix(weight), (before, size))
    else:
        kernel = _for_groups(matrix, before)
        mapped = ctx.add_node(x, Conv(kernel, None, groups=before), (before * size, 1, behind))
    return replace(mapped, axes=x.axes, shape=(*x.shape[:at], out, *x.shape[at + 1:]), reshape_name=ctx.name)


def _for_groups(matrix: Weight, groups: int) -> Weight:
    """The weights `[groups * out, in, 1, 1]` of a convolution in which every group has the matrix `[out, in]`."""
    shape = (groups * matrix.shape[0], matrix.shape[1], 1, 1)
    if isinstance(matrix, ShapeOnly):
        return ShapeOnly(shape, matrix.dtype)
    return np.tile(matrix, (groups, 1)).reshape(shape)


def take(ctx: CallContext, x: Value, axis: int, places: Sequence[int] | Array) -> Value:
    """The entries at some places along a feature axis, in the given order."""
    if list(places) == list(range(x.sizes(ctx.axis_sizes)[axis])):
        return x
    matrix = zeros_along(ctx, x, axis, len(places), np.float32)
    matrix[np.arange(len(places)), places] = 1
    return along_axis(ctx, x, axis, matrix)


def zeros_along(ctx: CallContext, x: Value, axis: int, out: int, dtype: type[np.floating[Any]]) -> Array:
    """A matrix `[out, in]` of zeros for a feature axis, to be filled. Refused where it would be too large."""
    _, (_, size, _) = sizes_around(x, axis)
    _require_room(ctx, x, 1, out, size)
    return np.zeros((out, size), dtype)


def _require_room(ctx: CallContext, x: Value, groups: int, out: int, size: int) -> None:
    """Refuse a map of too many weights."""
    if groups * out * size > MAX_WEIGHTS:
        ctx.refuse(f"{ctx.call.name} of a tensor {described(x)} as a linear map of {groups * out * size} weights",
                   f"at most {MAX_WEIGHTS} weights (values of the input times values of the output, along the axis)")
