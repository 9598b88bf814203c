"""A model as a flow of changing values: constants worked out, no-ops gone, every shape known without its batch axis.

What changes from tick to tick is either an `Element`, computed value by value, or a `Layer`, a sum of operators'
outputs. Which elements belong to neurons is decided in `regions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from snncompile.diagnostics import Collector, CompileError, fail, shorten
from snncompile.frontends.onnx.constants import Grid, fold, grid_of
from snncompile.frontends.onnx.file import Model, Node
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.types import Array, Shape

Kind = Literal["float", "int", "bool"]
MAX_PROBLEMS = 20
MAX_VALUES = 1 << 26


@dataclass(frozen=True)
class Value:
    """What is known of a changing tensor: its shape without the batch axis, and what its numbers are."""

    shape: Shape
    kind: Kind = "float"


@dataclass(frozen=True, eq=False)
class Element:
    """A value computed element by element; `inputs` are changing values or constants, "" where one is left out."""

    node: Node
    output: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Layer:
    """A value that is the sum of its terms: each another value, through a chain of operators."""

    name: str
    output: str
    terms: tuple[tuple[str, tuple[Op, ...]], ...]


@dataclass
class Flow:
    """A model while it is read.

    Attributes:
        constants: every tensor that never changes.
        grids: those that are integers times a step, as integers and steps.
        same: other names of values and constants.
    """

    model: Model
    constants: dict[str, Array]
    values: dict[str, Value] = field(default_factory=dict)
    grids: dict[str, Grid] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    elements: dict[str, Element] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)

    def named(self, name: str) -> str:
        """The name under which a tensor is kept."""
        return self.same.get(name, name)

    def constant(self, node: Node, i: int, default: Any = None) -> Any:
        """A constant input of a node as an array; `default` where it is left out."""
        if i >= len(node.inputs) or not node.inputs[i]:
            return default
        if node.inputs[i] not in self.constants:
            fail("SNN104", node.place, f"its input {i + 1} changes from tick to tick", "a constant")
        return self.constants[node.inputs[i]]

    def numbers(self, name: str, axes: int) -> Array:
        """A constant without the batch axis that it may have, for values of so many axes."""
        array = self.constants[name]
        return array[0] if array.ndim > axes and len(array) == 1 else array


Reader = Callable[[Flow, Node], "list[tuple[str, tuple[Op, ...]]] | list[list[tuple[str, tuple[Op, ...]]]]"]


def enter(model: Model, place: str) -> Flow:
    """A flow of the model's inputs alone. Raises SNN104 for inputs without a batch axis of one sample."""
    flow, found = Flow(model, dict(model.constants)), Collector()
    for name, port in model.inputs.items():
        if port.axes is None or len(port.axes) < 2 or port.axes[0] not in (None, 1) or \
                any(not n or n < 0 for n in port.axes[1:]):
            axes = "no shape" if port.axes is None else f"the shape {['?' if n is None else n for n in port.axes]}"
            found.error("SNN104", f"{place}, input {shorten(name)}", axes,
                        "a batch axis, free or 1, then at least one axis of known size")
            continue
        kinds: dict[str, Kind] = {"f": "float", "b": "bool"}
        shape = _bounded(f"{place}, input {shorten(name)}", tuple(n for n in port.axes[1:] if n))
        flow.values[name] = Value(shape, kinds.get(port.dtype.kind, "int"))
    found.finish()
    return flow


def follow(flow: Flow, elements: Mapping[str, Any], layers: Mapping[str, Reader], ignored: frozenset[str]) -> None:
    """Follow the values through all nodes. Raises with everything that has no word here."""
    found = Collector()
    unknown: set[str] = set()
    for node in flow.model.nodes:
        plain = Node(node.name, node.op, tuple(flow.named(n) for n in node.inputs), node.outputs, node.attributes)
        if unknown.intersection(plain.inputs):
            unknown.update(node.outputs)
            continue
        try:
            _follow(flow, plain, elements, layers, ignored)
        except CompileError as e:
            found.found += e.diagnostics
            unknown.update(node.outputs)
        except ShapeError as e:
            found.error("SNN202", plain.place, e.found or "another shape arrives", e.expected)
            unknown.update(node.outputs)
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError) as e:
            found.error("SNN102", plain.place, f"its attributes or inputs: {str(e)[:200]}")
            unknown.update(node.outputs)
        if len(found.errors) >= MAX_PROBLEMS:
            break
    found.finish()


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
        grid = grid_of(flow, node)
        if grid is not None:
            flow.grids[node.outputs[0]] = grid
    elif node.op in ignored or _keeps(flow, node):
        if node.op == "Dropout" and np.any(flow.constant(node, 2, False)):
            fail("SNN104", node.place, "a dropout in training mode", "eval mode, in which it does nothing")
        flow.same[node.outputs[0]] = node.inputs[0]
    elif node.op in elements:
        _element(flow, node)
    elif node.op in layers:
        _layer(flow, node, layers[node.op])
    else:
        fail("SNN104", node.place, f"the operator {shorten(node.op)[1:-1]}",
             help="docs/onnx.md lists what is read; leave it outside the exported step, or write it in those")


def _keeps(flow: Flow, node: Node) -> bool:
    """Whether a Cast changes no number: between floats, or of truths and whole numbers to numbers."""
    if node.op != "Cast":
        return False
    wanted = cast_kind(node)
    return wanted == "float" or wanted == flow.values[node.inputs[0]].kind or (
        wanted == "int" and flow.values[node.inputs[0]].kind == "bool")


def cast_kind(node: Node) -> Kind:
    """What a Cast makes of numbers."""
    from onnx import helper

    name = np.dtype(helper.tensor_dtype_to_np_dtype(node.attributes["to"])).kind
    return "bool" if name == "b" else "int" if name in "iu" else "float"


TRUTHS = {"Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal", "Not", "And", "Or", "Xor"}


def _element(flow: Flow, node: Node) -> None:
    changing = [n for n in node.inputs if n in flow.values]
    if node.op == "Div" and all(flow.values[n].kind == "int" for n in changing):
        fail("SNN104", node.place, "a division of whole numbers, which drops the rest", "a division of floats",
             "cast to float, divide, and round with Floor or Cast")
    axes = max(len(flow.values[n].shape) for n in changing)
    shapes = {flow.values[n].shape for n in changing}
    still = [flow.numbers(n, axes).shape for n in node.inputs if n in flow.constants and node.op not in PER_AXIS]
    full = np.broadcast_shapes(*shapes, *still)
    if shapes != {full}:
        fail("SNN104", node.place, f"values of the shapes {sorted(map(list, {*shapes, *still}))}",
             "equal shapes, or a constant that broadcasts")
    flow.values[node.outputs[0]] = Value(full, _kind(flow, node, changing))
    flow.elements[node.outputs[0]] = Element(node, node.outputs[0], node.inputs)


PER_AXIS = {"QuantizeLinear", "DequantizeLinear"}


def _kind(flow: Flow, node: Node, changing: list[str]) -> Kind:
    """What an element gives: truths of comparisons, whole numbers of a quantizer, else what its last operand is."""
    if node.op in TRUTHS:
        return "bool"
    if node.op == "QuantizeLinear":
        return "int"
    if node.op == "Cast":
        return cast_kind(node)
    last = flow.values[changing[-1]].kind
    return "float" if last == "bool" or node.op == "DequantizeLinear" else last


def _layer(flow: Flow, node: Node, reader: Reader) -> None:
    found: Any = reader(flow, node)
    for output, terms in zip(node.outputs, found if isinstance(found[0], list) else [found], strict=False):
        shapes = []
        for source, chain in terms:
            shape = flow.values[source].shape
            for op in chain:
                shape = op.infer(shape)
            shapes.append(shape)
        flow.values[output] = Value(_bounded(node.place, shapes[0]), "float")
        flow.layers[output] = Layer(node.name or output, output, tuple(terms))


def _bounded(place: str, shape: Shape) -> Shape:
    if math.prod(shape) > MAX_VALUES:
        fail("SNN103", place, f"{math.prod(shape)} values a tick", f"at most {MAX_VALUES}")
    return shape
