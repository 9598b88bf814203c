"""What a node's own fields say about its input, where no connection says it."""

from __future__ import annotations

import math

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.nir.file import NirNode
from snncompile.frontends.nir.neurons import RULES_OF
from snncompile.ir.op import Op
from snncompile.ir.ops import Linear, Pad, Reshape
from snncompile.ir.types import Shape


def own_input_shape(name: str, node: NirNode) -> Shape:
    """The shape of a node's input, as far as its own fields give it. Raises SNN201 where they do not."""
    shape = known_input_shape(node)
    if shape is None:
        fail("SNN201", f"node {shorten(name)}", "without an Input node, the shape of its input is unknown",
             "an Input node before it")
    return shape


def known_input_shape(node: NirNode) -> Shape | None:
    """The shape of a node's input where its own fields give it, otherwise None."""
    arrays = {k: np.asarray(v) for k, v in node.fields.items() if isinstance(v, np.ndarray)}
    if node.type in ("Linear", "Affine"):
        return arrays["weight"].shape[-1:]
    if node.type in RULES_OF or node.type == "Delay":
        return next(iter(arrays.values())).shape
    if node.type in ("Conv1d", "Conv2d") and "input_shape" in arrays:
        return (arrays["weight"].shape[1] * int(arrays["groups"]), *map(int, arrays["input_shape"].ravel()))
    return None


def transposed(node: NirNode, arriving: Shape) -> str:
    """Advice where the weights of a node would fit its input if their axes of outputs and inputs were exchanged."""
    weight = node.fields.get("weight")
    dense = node.type in ("Linear", "Affine")
    if not isinstance(weight, np.ndarray) or weight.ndim < 2 or not arriving:
        return ""
    out, fan_in = weight.shape[-2:] if dense else weight.shape[:2]
    if out != arriving[0] or fan_in == arriving[0] or (dense and len(arriving) > 1):
        return ""
    return f"the weights are stored as [in, out]; NIR has [out, in{'' if dense else ', ...'}]: write them transposed"


def drives(node: NirNode) -> bool:
    """Whether a node acts without any input: by a bias, or by a leak toward another value than 0."""
    return any(np.any(node.fields[name]) for name in ("bias", "v_leak")
               if isinstance(node.fields.get(name), np.ndarray))


def zeros(given: Shape, wanted: Shape) -> list[Op]:
    """Operators that turn values of any shape into zeros of another one."""
    made: list[Op] = [Linear(np.zeros((1, math.prod(given)), np.float32)), Pad(((0, math.prod(wanted) - 1),))]
    return [*([Reshape((math.prod(given),))] if len(given) > 1 else []), *made,
            *([Reshape(wanted)] if len(wanted) > 1 else [])]
