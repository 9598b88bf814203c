"""Evaluates ONNX nodes all of whose inputs are constant, and keeps the integers of quantized constants.

Before a node is evaluated, the size of its result is bounded, so that a small file cannot demand much memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.onnx.file import Node
from snncompile.ir.types import Array

if TYPE_CHECKING:
    from snncompile.frontends.onnx.dataflow import Flow

MAX_VALUES = 1 << 28
TRUNC_INPUTS = 5
QUANTIZERS = {"Quant", "BipolarQuant", "Trunc", "DequantizeLinear"}
FOLDED = {
    "Abs", "Add", "And", "Cast", "Ceil", "Clip", "Concat", "Constant", "ConstantOfShape", "Cos", "DequantizeLinear",
    "Div", "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "Greater", "GreaterOrEqual", "Identity", "Less",
    "LessOrEqual", "Log", "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "QuantizeLinear", "Range",
    "Reciprocal", "ReduceProd", "Relu", "Reshape", "Round", "Shape", "Sigmoid", "Sign", "Size", "Slice", "Softplus",
    "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Transpose", "Unsqueeze", "Where", "Xor",
}


@dataclass(frozen=True)
class QuantizedConstant:
    """A constant tensor with the values `integers * step`.

    Attributes:
        integers: the quantized values, with the zero point already subtracted.
        step: the value of one integer step; it broadcasts against `integers` (one number, or one per channel).
    """

    integers: Array
    step: Array


def fold(flow: Flow, node: Node) -> list[Array]:
    """The values of all outputs of a node whose inputs are all constant.

    Raises:
        CompileError: SNN104 for an operator that is not evaluated here, SNN103 where the result would be too large.
    """
    inputs = [flow.constants[n] if n else None for n in node.inputs]
    if node.op in ("Quant", "BipolarQuant", "Trunc"):
        quantized = quantize(node, inputs)
        return [np.asarray(quantized.integers * quantized.step, np.float32)]
    if node.op not in FOLDED:
        fail("SNN104", node.place, f"the operator {shorten(node.op)[1:-1]} with constant inputs only",
             "an operator that the compiler can evaluate")
    size = _size_bound(node, [i for i in inputs if i is not None])
    if size > MAX_VALUES:
        fail("SNN103", node.place, f"a constant of up to {size} values", f"at most {MAX_VALUES} values")
    from onnx.reference import ReferenceEvaluator

    from onnx import helper

    attributes = {k: list(v) if isinstance(v, tuple) else _as_tensor(v) for k, v in node.attributes.items()}
    proto = helper.make_node(node.op, list(node.inputs), list(node.outputs), **attributes)
    evaluator = ReferenceEvaluator(proto, opsets={"": flow.model.opset})
    with np.errstate(all="ignore"):
        results = evaluator.run(None, {n: v for n, v in zip(node.inputs, inputs, strict=True) if n})
    return [_in_numpy_dtype(np.asarray(r)) for r in results]


def _as_tensor(value: Any) -> Any:
    """An attribute in the form in which `onnx.helper` takes it: arrays become TensorProtos."""
    from onnx import numpy_helper

    return numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value


def _in_numpy_dtype(array: Array) -> Array:
    """The array, in float32 where its dtype is one of ONNX's that NumPy lacks (such as bfloat16)."""
    return array if array.dtype.kind in "biuf" else array.astype(np.float32)


def _size_bound(node: Node, inputs: list[Array]) -> int:
    """An upper bound for the number of values that a node returns."""
    if node.op in ("ConstantOfShape", "Expand"):
        return math.prod(max(1, int(n)) for n in inputs[-1].ravel()) * (
            inputs[0].size if node.op == "Expand" else 1)
    if node.op == "Range":
        start, limit, delta = (float(i.ravel()[0]) for i in inputs)
        return int(min(abs((limit - start) / delta), 1e18)) if delta else 0
    if node.op in ("Gather", "MatMul"):
        return math.prod(max(1, i.size) for i in inputs)
    try:
        return max(math.prod(np.broadcast_shapes(*(i.shape for i in inputs))), sum(i.size for i in inputs))
    except ValueError:
        return sum(i.size for i in inputs)


# --- quantized constants ---------------------------------------------------------------------------------


def quantized_output(flow: Flow, node: Node) -> QuantizedConstant | None:
    """The integers and steps of a node's constant output.

    The node either quantizes a constant itself, or only rearranges the values of a quantized one (Transpose, Reshape).
    Otherwise the result is None.
    """
    if node.op in QUANTIZERS:
        return quantize(node, [flow.constants[n] if n else None for n in node.inputs])
    source = flow.quantized.get(node.inputs[0]) if node.inputs else None
    if source is None:
        return None
    if node.op in ("Identity", "Cast"):
        return source
    if node.op == "Transpose":
        axes = node.attributes.get("perm", tuple(reversed(range(source.integers.ndim))))
        step = source.step.reshape((1,) * (source.integers.ndim - source.step.ndim) + source.step.shape)
        return QuantizedConstant(source.integers.transpose(axes), step.transpose(axes))
    if node.op in ("Reshape", "Flatten") and source.step.size == 1:
        return QuantizedConstant(source.integers.reshape(flow.constants[node.outputs[0]].shape), source.step)
    return None


def quantize(node: Node, inputs: list[Array | None]) -> QuantizedConstant:
    """The integers and steps of a constant behind `DequantizeLinear` or QONNX's `Quant`, `BipolarQuant` or `Trunc`.

    Args:
        inputs: the values of the node's inputs in the operator's order, None where an optional one is left out:
            the tensor, the step, the zero point, then bit widths where the operator has them.

    Raises:
        CompileError: SNN104 for one scale per block, and for an unknown rounding mode.
        ValueError: where the integers do not fit 32 bits.
    """
    x = np.asarray(inputs[0], np.float64)
    step = np.asarray(1.0 if len(inputs) < 2 or inputs[1] is None else inputs[1], np.float64)
    if node.op == "BipolarQuant":
        return QuantizedConstant(np.where(x >= 0, 1, -1).astype(np.int8), step)
    zero = np.asarray(0.0 if len(inputs) < 3 or inputs[2] is None else inputs[2], np.float64)
    if node.op == "DequantizeLinear":
        if node.attributes.get("block_size", 0):
            fail("SNN104", node.place, "one scale per block of values", "one scale for the tensor, or one per channel")
        if step.ndim == 1 and step.size > 1:
            shape = [1] * x.ndim
            shape[node.attributes.get("axis", 1)] = -1
            step, zero = step.reshape(shape), zero.reshape(shape) if zero.ndim else zero
        return QuantizedConstant(_narrow(x - zero), step)
    rounding = ROUNDINGS.get(node.attributes.get("rounding_mode", "FLOOR" if node.op == "Trunc" else "ROUND").upper())
    if rounding is None:
        fail("SNN104", node.place, "an unknown rounding mode", ", ".join(ROUNDINGS))
    if node.op == "Trunc":
        expect_first_trunc(node)
        dropped = 2.0 ** (_number(inputs, 3, 8) - _number(inputs, 4, 8))
        return QuantizedConstant(_narrow(rounding(np.rint(x / step + zero) / dropped) - zero), step)
    low, high = quant_range(node, _number(inputs, 3, 8))
    return QuantizedConstant(_narrow(np.clip(rounding(x / step + zero), low, high) - zero), step)


def expect_first_trunc(node: Node) -> None:
    """Refuse QONNX's `Trunc` but in its first version, `(round_mode(round(x / s + z) / 2**(in - out)) - z) * s`.

    The second version has an output scale in the place of the output's width, and more inputs behind it.

    Raises:
        CompileError: SNN104 for another number of inputs than five.
    """
    if len(node.inputs) != TRUNC_INPUTS:
        fail("SNN104", node.place, f"Trunc with {len(node.inputs)} inputs", f"version 1, with {TRUNC_INPUTS} inputs",
             "export with version 1 of QONNX's operators, or use Quant")


ROUNDINGS: dict[str, Any] = {
    "ROUND": np.rint, "HALF_EVEN": np.rint, "FLOOR": np.floor, "CEIL": np.ceil, "DOWN": np.trunc,
    "ROUND_TO_ZERO": np.trunc, "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


def quant_range(node: Node, bits: float) -> tuple[float, float]:
    """The smallest and largest integer that QONNX's `Quant` gives with this bit width."""
    narrow = bool(node.attributes.get("narrow", 0))
    if node.attributes.get("signed", 1):
        return -(2.0 ** (bits - 1)) + narrow, 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1 - narrow


def _number(inputs: list[Array | None], i: int, default: float) -> float:
    """The first value of input `i`, or the default where that input is left out."""
    values = inputs[i] if i < len(inputs) else None
    return default if values is None else float(np.asarray(values).ravel()[0])


def _narrow(values: Array) -> Array:
    """Whole numbers in the narrowest signed integer dtype that holds them all."""
    if not np.abs(values).max(initial=0) < 2**31:
        raise ValueError("quantized values that do not fit 32 bits")
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    fitting = [k for k in (np.int8, np.int16, np.int32) if np.iinfo(k).min <= low and high <= np.iinfo(k).max]
    return values.astype(fitting[0])
