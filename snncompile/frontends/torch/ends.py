"""Handlers of the functions with which a network turns its outputs into probabilities or into a class (`ENDS`).

A graph has none of them. At the end of a network they are left out, with a note: the order of the outputs stays the
same, and the largest output is the decision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from snncompile.frontends.torch.build import CallContext, described
from snncompile.frontends.torch.shapes import Handler
from snncompile.frontends.torch.values import Value


def left_out(ctx: CallContext, x: Value, dim: int | None) -> Value:
    """A value of which the function at the end is left out.

    Args:
        dim: the axis over which the function works: that of the classes.
    """
    axis = dim if dim is None else dim % len(x.axes)
    if axis is None or x.axes[axis] != "F" or math.prod(x.shape) != x.sizes(ctx.axis_sizes)[axis]:
        ctx.refuse(f"{ctx.call.name} over dimension {dim} of a tensor {described(x)}",
                   "over all features of one sample: they are in one axis, and the dimension is named")
    if x.left_out not in ("", "softmax", "log_softmax"):
        ctx.refuse(f"{ctx.call.name} behind {x.left_out}")
    return replace(x, left_out=ctx.call.name, classes=x.shape)


def softmax(ctx: CallContext, input: Any, dim: int | None = None, *_: Any, **__: Any) -> Value:
    """Softmax and its logarithm. Without a dimension torch takes the second one of a matrix."""
    x = ctx.value(input)
    return left_out(ctx, x, 1 if dim is None and len(x.axes) == 2 else dim)


def argmax(ctx: CallContext, input: Any, dim: int | None = None, keepdim: bool = False) -> Value:
    x = left_out(ctx, ctx.value(input), dim)
    return x if keepdim else replace(x, axes=tuple(a for a in x.axes if a != "F"), shape=())


def sigmoid(ctx: CallContext, input: Any) -> Value:
    x = ctx.value(input)
    ctx.refuse_behind_end(x)
    return replace(x, left_out=ctx.call.name, classes=x.shape)


def no_sum_of_spikes(x: Value, expected: Value) -> str:
    """What a tick passes to the next, if a graph cannot pass it on; otherwise nothing.

    Args:
        expected: a value of the shape and axes that the next tick takes.
    """
    if x.state:
        return "a neuron's state"
    if x.left_out:
        return f"the result of {x.left_out}, which a graph can only leave out, at the end of a network"
    if x.decode or x.summed:
        return "a reduction over time"
    return "" if (x.axes, x.shape) == (expected.axes, expected.shape) else described(x)


ENDS: Mapping[str, Handler] = {
    "softmax": softmax, "log_softmax": softmax, "sigmoid": sigmoid, "argmax": argmax,
}
