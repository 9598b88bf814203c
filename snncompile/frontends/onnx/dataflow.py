"""Reduces an ONNX model to the values that change from tick to tick.

Constants are evaluated, operators without effect are removed, and the shape of every value is inferred, without its
batch axis. What remains is of two kinds: an `Element` is computed value by value (and may belong to a neuron), an
`OperatorSum` is a sum of layer operators' outputs. Which elements belong to which neuron is decided in `regions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from snncompile.diagnostics import Collector, CompileError, Diagnostic, fail, shorten
from snncompile.frontends.onnx.constants import QuantizedConstant, fold, quantized_output
from snncompile.frontends.onnx.file import Model, Node
from snncompile.frontends.onnx.pairs import ONE_TICK
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.types import Array, Shape

Kind = Literal["float", "int", "bool"]
# The terms of a sum: for each, the name of the value it starts from, and the operators applied to it in order.
Terms: TypeAlias = "list[tuple[str, tuple[Op, ...]]]"
MAX_PROBLEMS = 20
MAX_VALUES = 1 << 26


@dataclass(frozen=True)
class Value:
    """A tensor that changes from tick to tick: its shape without the batch axis, and the kind of its numbers."""

    shape: Shape
    kind: Kind = "float"


@dataclass(frozen=True, eq=False)
class Element:
    """A value computed element by element.

    Attributes:
        node: the ONNX node that computes it.
        output: the name of the value.
        inputs: the names of changing values and of constants, "" where an optional input is left out.
    """

    node: Node
    output: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class OperatorSum:
    """A value that is a sum of terms.

    Attributes:
        name: the name of the ONNX node, or of its output where it has none.
        output: the name of the value.
        terms: see `Terms`.
    """

    name: str
    output: str
    terms: tuple[tuple[str, tuple[Op, ...]], ...]


@dataclass
class Flow:
    """The values of a model, filled in node by node.

    Attributes:
        constants: every tensor that never changes, by name.
        pairs: the output that returns each state's next value, by the state's input.
        values: shape and kind of every tensor that changes, by name.
        quantized: the integers and steps of those constants that are quantized, by name.
        same: for every name that stands for the same tensor as another, that other name.
        elements: the values computed element by element, in the order of the nodes.
        operator_sums: all other changing values but the inputs, in the order of the nodes.
        notes: what was left out (SNN105).
    """

    model: Model
    constants: dict[str, Array]
    pairs: Mapping[str, str]
    values: dict[str, Value] = field(default_factory=dict)
    quantized: dict[str, QuantizedConstant] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    elements: dict[str, Element] = field(default_factory=dict)
    operator_sums: dict[str, OperatorSum] = field(default_factory=dict)
    notes: list[Diagnostic] = field(default_factory=list)

    def named(self, name: str) -> str:
        """The name under which this tensor stands in `values` or `constants`."""
        return self.same.get(name, name)

    def constant(self, node: Node, i: int, default: Any = None) -> Any:
        """The value of input `i` of a node, or `default` where it is left out.

        Raises:
            CompileError: SNN104 where the input changes from tick to tick.
        """
        if i >= len(node.inputs) or not node.inputs[i]:
            return default
        if node.inputs[i] not in self.constants:
            fail("SNN104", node.place, f"its input number {i + 1} changes from tick to tick", "a constant")
        return self.constants[node.inputs[i]]

    def ends(self, node: Node) -> bool:
        """Whether a node computes an output of the file that no other node reads, and no state in the next tick."""
        output = node.outputs[0]
        return output in self.model.outputs and output not in self.pairs.values() and not any(
            output in n.inputs for n in self.model.nodes)

    def numbers(self, name: str, axes: int) -> Array:
        """A constant for use with values of `axes` axes; a leading batch axis of length 1 is removed."""
        array = self.constants[name]
        return array[0] if array.ndim > axes and len(array) == 1 else array


# Reads a node: the terms of its output, or for a node of several outputs one list of terms for each.
Reader = Callable[[Flow, Node], "Terms | list[Terms]"]


def enter(model: Model, place: str, pairs: Mapping[str, str]) -> Flow:
    """A flow that holds the model's constants and inputs only.

    Args:
        place: the file's name in messages.
        pairs: the output that returns each state's next value, by the state's input.

    Raises:
        CompileError: SNN104 for every input whose first axis is not a batch axis of length 1 or of free length.
    """
    flow, problems = Flow(model, dict(model.constants), pairs), Collector()
    for name, tensor in model.inputs.items():
        if tensor.axes is None or len(tensor.axes) < 2 or tensor.axes[0] not in (None, 1) or \
                any(not n or n < 0 for n in tensor.axes[1:]):
            axes = "no shape" if tensor.axes is None else f"the shape {['?' if n is None else n for n in tensor.axes]}"
            problems.error("SNN104", f"{place}, input {shorten(name)}", axes,
                           "a batch axis of length 1 or of free length, then at least one axis of known length",
                           f"if the first axis counts ticks, {ONE_TICK}" if tensor.axes and (tensor.axes[0] or 0) > 1
                           else "")
            continue
        kinds: dict[str, Kind] = {"f": "float", "b": "bool"}
        shape = _bounded(f"{place}, input {shorten(name)}", tuple(n for n in tensor.axes[1:] if n))
        flow.values[name] = Value(shape, kinds.get(tensor.dtype.kind, "int"))
    problems.finish()
    return flow


def follow(flow: Flow, elements: Mapping[str, Any], layers: Mapping[str, Reader], ignored: frozenset[str]) -> None:
    """Add the outputs of all nodes of the model to a flow.

    Nodes that read the output of a refused node are skipped, so that only first causes are reported.

    Args:
        elements: the element-wise operators (only the keys are used).
        layers: the readers of layer operators, by operator.
        ignored: operators that return their first input unchanged.

    Raises:
        CompileError: SNN102, SNN103, SNN104 or SNN202 with every node that cannot be read, up to `MAX_PROBLEMS`.
    """
    problems = Collector()
    unknown: set[str] = set()
    for node in flow.model.nodes:
        plain = Node(node.name, node.op, tuple(flow.named(n) for n in node.inputs), node.outputs, node.attributes)
        if unknown.intersection(plain.inputs):
            unknown.update(node.outputs)
            continue
        try:
            _follow(flow, plain, elements, layers, ignored)
        except CompileError as e:
            problems.found += e.diagnostics
            unknown.update(node.outputs)
        except ShapeError as e:
            problems.error("SNN202", plain.place, e.found or "an input of another shape", e.expected)
            unknown.update(node.outputs)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError) as e:
            problems.error("SNN102", plain.place, f"unusable attributes or inputs: {str(e)[:200]}")
            unknown.update(node.outputs)
        if len(problems.errors) >= MAX_PROBLEMS:
            break
    problems.finish()


def _follow(flow: Flow, node: Node, elements: Mapping[str, Any], layers: Mapping[str, Reader],
            ignored: frozenset[str]) -> None:
    changing = [n for n in node.inputs if n in flow.values]
    if node.op == "Shape" and changing:
        whole = (1, *flow.values[changing[0]].shape)
        flow.constants[node.outputs[0]] = np.array(
            whole[node.attributes.get("start", 0):node.attributes.get("end")], np.int64)
    elif not changing:
        for name, array in zip(node.outputs, fold(flow, node), strict=False):
            flow.constants[name] = array
        quantized = quantized_output(flow, node)
        if quantized is not None:
            flow.quantized[node.outputs[0]] = quantized
    elif node.op in ignored or _keeps_values(flow, node):
        if node.op == "Dropout" and np.any(flow.constant(node, 2, False)):
            fail("SNN104", node.place, "a dropout in training mode", "a dropout in eval mode, which has no effect")
        flow.same[node.outputs[0]] = node.inputs[0]
    elif node.op in ENDS:
        _leave_out(flow, node)
    elif node.op in elements:
        _element(flow, node)
    elif node.op in layers:
        _operator_sum(flow, node, layers[node.op])
    else:
        fail("SNN104", node.place, f"the operator {shorten(node.op)[1:-1]}",
             help="docs/onnx.md lists the operators that are read; express it by those, or keep it out of the step")


# Operators at the end of a network, after which the same element is the decision as before.
ENDS = ("Softmax", "LogSoftmax", "ArgMax")


def _leave_out(flow: Flow, node: Node) -> None:
    """Take the input of a softmax or argmax at the network's end for its output, and note it.

    Raises:
        CompileError: SNN104 where the operator is not at the end, gives the next value of a state, or is over another
            axis than the only one.
    """
    state = next((i for i, o in flow.pairs.items() if o == node.outputs[0]), None)
    if state is not None:
        fail("SNN104", node.place, f"{node.op} computes the next value of the state {shorten(state)}",
             f"{node.op} of an output that is no state, over its classes")
    shape = flow.values[node.inputs[0]].shape
    axis = node.attributes.get("axis", 0 if node.op == "ArgMax" else -1 if flow.model.opset >= SOFTMAX_LAST else 1)
    if not flow.ends(node) or len(shape) != 1 or axis not in (1, -1):
        fail("SNN104", node.place, f"{node.op} inside the network, or not over its only axis",
             f"{node.op} of a file's output, over its classes")
    flow.same[node.outputs[0]] = node.inputs[0]
    flow.notes.append(Diagnostic("SNN105", node.place, f"{node.op} at the end was left out: the output is what goes "
                                 "into it, whose largest element is the same in each tick", "",
                                 "over all ticks, the sum of the outputs decides", "note"))


SOFTMAX_LAST = 13
"""The version of ONNX's operators from which on Softmax goes over the last axis where no axis is given."""


def _keeps_values(flow: Flow, node: Node) -> bool:
    """Whether a node is a Cast that changes no value: any Cast to floats, to the same kind, or from bool to int."""
    if node.op != "Cast":
        return False
    wanted = cast_kind(node)
    return wanted == "float" or wanted == flow.values[node.inputs[0]].kind or (
        wanted == "int" and flow.values[node.inputs[0]].kind == "bool")


def cast_kind(node: Node) -> Kind:
    """The kind of numbers that a Cast returns."""
    from onnx import helper

    dtype_kind = np.dtype(helper.tensor_dtype_to_np_dtype(node.attributes["to"])).kind
    return "bool" if dtype_kind == "b" else "int" if dtype_kind in "iu" else "float"


# Operators that return truth values.
TRUTHS = {"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Not", "And", "Or", "Xor"}


def _element(flow: Flow, node: Node) -> None:
    changing = [n for n in node.inputs if n in flow.values]
    if node.op == "Div" and all(flow.values[n].kind == "int" for n in changing):
        fail("SNN104", node.place, "a division of whole numbers, which drops the remainder", "a division of floats",
             "cast to float, divide, and round the quotient with Floor or Cast")
    axes = max(len(flow.values[n].shape) for n in changing)
    shapes = {flow.values[n].shape for n in changing}
    constant_shapes = [flow.numbers(n, axes).shape for n in node.inputs
                       if n in flow.constants and node.op not in PER_AXIS]
    full = np.broadcast_shapes(*shapes, *constant_shapes)
    if shapes != {full}:
        fail("SNN104", node.place, f"inputs of the shapes {sorted(map(list, {*shapes, *constant_shapes}))}",
             "changing inputs of one shape, and constants that broadcast to it")
    flow.values[node.outputs[0]] = Value(full, _kind(flow, node, changing))
    flow.elements[node.outputs[0]] = Element(node, node.outputs[0], node.inputs)


# Operators whose constants lie along one axis of the tensor instead of broadcasting.
PER_AXIS = {"QuantizeLinear", "DequantizeLinear"}


def _kind(flow: Flow, node: Node, changing: list[str]) -> Kind:
    """The kind of an element's values: bool for comparisons, int for `QuantizeLinear`, otherwise its last operand's."""
    if node.op in TRUTHS:
        return "bool"
    if node.op == "QuantizeLinear":
        return "int"
    if node.op == "Cast":
        return cast_kind(node)
    last = flow.values[changing[-1]].kind
    return "float" if last == "bool" or node.op == "DequantizeLinear" else last


def _operator_sum(flow: Flow, node: Node, reader: Reader) -> None:
    read: Any = reader(flow, node)
    for output, terms in zip(node.outputs, read if isinstance(read[0], list) else [read], strict=False):
        shapes = []
        for source, chain in terms:
            shape = flow.values[source].shape
            for op in chain:
                shape = op.infer(shape)
            shapes.append(shape)
        flow.values[output] = Value(_bounded(node.place, shapes[0]), "float")
        flow.operator_sums[output] = OperatorSum(node.name or output, output, tuple(terms))


def _bounded(place: str, shape: Shape) -> Shape:
    if math.prod(shape) > MAX_VALUES:
        fail("SNN103", place, f"{math.prod(shape)} values per tick", f"at most {MAX_VALUES}")
    return shape
