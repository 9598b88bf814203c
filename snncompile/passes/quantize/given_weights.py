"""Weights that arrive as integers (codes): an integer array, with the real value of a code in the `Scale` behind it.

Quantized models reach the compiler in this form. Their codes are kept as they are, unless the hardware has no room for
them.
"""

from __future__ import annotations

from typing import Literal, TypeGuard

import numpy as np

from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Scale
from snncompile.ir.types import Array
from snncompile.passes.quantize.fixed_neuron import FixedNeuron
from snncompile.targets.arithmetic import Arithmetic

MAX_BITS = 16
MAX_NAMED = 8
"""The number of populations that a note lists by name."""


def is_given(op: Op) -> TypeGuard[Layer]:
    """Whether an operator's weights are integers of at most 16 bits."""
    if not isinstance(op, Layer) or not isinstance(op.weight, np.ndarray) or op.weight.dtype.kind not in "iu":
        return False
    return bool(op.weight.size) and -(1 << (MAX_BITS - 1)) <= op.weight.min() <= op.weight.max() < 1 << (MAX_BITS - 1)


def given_bits(weight: Array) -> int | Literal["ternary"]:
    """The narrowest grid that holds the codes: 1 for -1 and 1, "ternary" for -1, 0 and 1, else bits with the sign.

    >>> given_bits(np.array([3, -1]))
    3
    """
    largest = max(int(weight.max()), -int(weight.min()))
    if largest <= 1:
        return 1 if np.all(weight) else "ternary"
    return max(int(weight.max()).bit_length(), (-int(weight.min()) - 1).bit_length()) + 1


def narrowest(weight: Array) -> Array:
    """The same codes as int8, or as int16 where int8 cannot hold them."""
    small = weight.min() >= -128 and weight.max() < 128
    return weight.astype(np.int8 if small else np.int16, copy=False)


def step_of(layer: Layer, scale: Op | None) -> Array | None:
    """The real value of the code 1 of a layer: 0-d, or `[out]`.

    Args:
        scale: the operator behind the layer. Where it is no scale, the value is 1.

    Returns:
        None for a scale that is more than such a value: one that varies over space, or that adds something.
    """
    if not isinstance(scale, Scale):
        return np.ones(())
    factor, axes = np.asarray(scale.factor, np.float64), layer.axes
    if scale.bias is not None:
        return None
    if factor.size == 1:
        return factor.reshape(())
    return factor.reshape(-1) if factor.ndim == axes and factor.size == factor.shape[0] else None


def given_notes(graph: Graph, arithmetic: Arithmetic, fixed: FixedNeuron | None) -> list[Diagnostic]:
    """What the user is told of weights that arrived as integers (SNN406).

    A note says that they were kept; a warning, that the registers of a fixed neuron had no room for them.
    """
    bits = {e.dst: given_bits(np.asarray(op.weight)) for e in graph.edges for op in e.chain if is_given(op)}
    if not bits:
        return []
    words = [f"{shorten(n)} ({b if b == 'ternary' else '1 bit' if b == 1 else f'{b} bits'})" for n, b in bits.items()]
    into = ", ".join(words[:MAX_NAMED]) + (f" and {len(words) - MAX_NAMED} more" if len(words) > MAX_NAMED else "")
    if fixed is not None and not fixed.keeps_given_weights:
        return [Diagnostic("SNN406", "quantize", f"weights that arrived as integers, into {into}",
                           f"codes that {fixed.title}'s registers have room for", "they were quantized anew",
                           "warning")]
    return [Diagnostic("SNN406", "quantize", f"weights kept as given, into {into}",
                       help=f"weight_bits = {arithmetic.weight_bits} is for other weights", severity="note")]
