"""Reads an Einsum of one changing value and constants, which is a linear layer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snncompile.frontends.equations import axis_labels
from snncompile.frontends.onnx.dataflow import Flow, Terms
from snncompile.frontends.onnx.file import Node
from snncompile.frontends.onnx.rearrange import MAX_SELECTION, pointwise, refuse
from snncompile.ir.op import Op
from snncompile.ir.ops import Linear, Reshape
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array

MAX_PRODUCTS = 1 << 32
LABELS = "abcdefghijklmnopqrstuvwxyz,->."


def read_einsum(flow: Flow, node: Node) -> Terms:
    """The operators of an Einsum whose first axis, the batch, is kept as the first and read by no constant.

    Weights along the last axis become a `Linear` or `TokenMix`, weights from channel to channel a convolution with a
    kernel of 1; all others a matrix over all values.
    """
    changing = [n for n in node.inputs if n in flow.values]
    if len(changing) != 1:
        refuse(node, "a product of several changing values", "one changing value, and constants")
    source, at = changing[0], node.inputs.index(changing[0])
    shape = flow.values[source].shape
    terms, out = _labels(node, [1 + len(shape) if i == at else flow.constants[n].ndim
                                for i, n in enumerate(node.inputs)])
    mine, others = terms[at], [t for i, t in enumerate(terms) if i != at]
    if mine[:1] != out[:1] or mine[0] in mine[1:] + out[1:] + "".join(others):
        refuse(node, f"the equation {node.attributes.get('equation')!r}",
               "an equation whose first axis is the batch, on the left and on the right of the arrow")
    constants = [np.asarray(flow.constants[n]) for i, n in enumerate(node.inputs) if i != at]
    simple = _simple(mine, others, out, constants)
    if simple is not None:
        return [(source, simple)]
    sizes = dict(zip(mine, (1, *shape), strict=True))
    for term, constant in zip(others, constants, strict=True):
        for label, size in zip(term, constant.shape, strict=True):
            sizes[label] = max(sizes.get(label, 0), size)  # an axis of length 1 is repeated
    to = tuple(sizes[c] for c in out[1:])
    count = math.prod(shape)
    if count * math.prod(to) > MAX_SELECTION:
        refuse(node, f"a map of {count} values to {math.prod(to)}", f"at most {MAX_SELECTION} weights in all")
    each = max(count, math.prod(sizes.values()))
    if count * each > MAX_PRODUCTS:
        refuse(node, f"{count * each} products", f"at most {MAX_PRODUCTS}")
    equation, rows = ",".join([mine, *others]) + "->" + out, max(1, MAX_SELECTION // each)
    parts = []
    for first in range(0, count, rows):
        basis = np.eye(min(rows, count - first), count, first, constants[0].dtype if constants else np.float32)
        part = np.einsum(equation, basis.reshape(-1, *shape), *constants, optimize=True)
        parts.append(part.reshape(len(basis), -1))
    weight = np.concatenate(parts).T
    ends = () if len(shape) == 1 else (Reshape((count,)),), () if len(to) == 1 else (Reshape(to),)
    return [(source, (*ends[0], Linear(np.ascontiguousarray(weight)), *ends[1]))]


def _labels(node: Node, axes: Sequence[int]) -> tuple[list[str], str]:
    """The labels of each operand's axes and of the result's, each axis of an ellipsis with a label of its own.

    Args:
        axes: the number of axes of each operand.
    """
    equation = str(node.attributes.get("equation", "")).replace(" ", "")
    if equation.partition("->")[0].count(",") + 1 != len(axes) or not set(equation) <= set(LABELS):
        refuse(node, f"the equation {equation[:100]!r}", f"an equation of {len(axes)} operands with lower-case labels")
    labels = axis_labels(equation, axes)
    if labels is None:
        refuse(node, f"the equation {equation[:100]!r}", "as many labels as each operand has axes, and none twice in "
               "the result")
    return labels


def _simple(mine: str, others: list[str], out: str, constants: list[Array]) -> tuple[Op, ...] | None:
    """The operators of a layer along the last axis or along the channels; None for every other equation."""
    if len(others) != 1 or len(others[0]) != 2 or len(out) != len(mine):
        return None
    (term,), (weight,) = others, constants
    for axis in (len(mine) - 1, 1):
        read, written = mine[axis], out[axis]
        rest = mine[:axis] + mine[axis + 1:]
        if {read, written} != set(term) or read == written or out[:axis] + out[axis + 1:] != rest or written in mine:
            continue
        by_output = weight if term[0] == written else weight.T
        if len(mine) == 2:
            return (Linear(by_output),)
        if axis == len(mine) - 1 and len(mine) == 3:
            return (TokenMix(by_output[None]),)
        if axis == 1 and len(mine) <= 4:
            return (pointwise(by_output, len(mine) - 2),)
    return None
