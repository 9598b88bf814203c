"""The graph under construction, and the context in which the call of a torch function becomes nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

import torch
from snncompile.diagnostics import Collector, shorten
from snncompile.frontends.torch.grids import Grid, grid_of
from snncompile.frontends.torch.neurons.support import as_array
from snncompile.frontends.torch.numberless import shape_only
from snncompile.frontends.torch.quantizers import codes_of
from snncompile.frontends.torch.tape import RecordedCall
from snncompile.frontends.torch.values import Axis, Value, reachable
from snncompile.ir.graph import Edge
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import Identity, Input, Output, Reshape
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array, Shape, ShapeOnly, Weight, frozen
from torch import Tensor

AXIS_NAMES = {"T": "tick", "B": "batch", "TB": "tick*batch", "BT": "batch*tick"}


class Refused(Exception):
    """A call has no exact form in a graph. Becomes a diagnostic at the place of the call.

    Args:
        found, help, code: as in `Diagnostic`.
    """

    def __init__(self, found: str, help: str = "", code: str = "SNN104"):
        super().__init__(found)
        self.found, self.help, self.code = found, help, code


@dataclass
class GraphBuilder:
    """A graph under construction.

    Attributes:
        shapes: the output shape of every node, the optional ones included.
        optional: nodes that are added to the graph only when another node reads them, with their sources.
        sums: the summands of the nodes that sum values.
    """

    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    optional: dict[str, tuple[Op, str]] = field(default_factory=dict)
    sums: dict[str, tuple[Value, ...]] = field(default_factory=dict)
    _reshapes: dict[tuple[str, Shape], str] = field(default_factory=dict)

    def add(self, name: str, op: Op, sources: Sequence[str], delay: int = 0) -> str:
        """Add a node with edges from its sources.

        Returns:
            The name of the node: the given name, with a number behind it if the name is taken.

        Raises:
            ShapeError: the operator does not accept the shape of its first source.
        """
        name = self.unique_name(name)
        self.shapes[name] = op.infer(self.shapes[sources[0]] if sources else ())
        self.nodes[name] = op
        self.edges += [Edge(source, name, delay) for source in sources]
        return name

    def connect(self, source: str, target: str, delay: int) -> None:
        """Add an edge between two nodes."""
        self.edges.append(Edge(source, target, delay))

    def unique_name(self, name: str) -> str:
        """The name, or `name_1`, `name_2`, ... if it is taken."""
        unique, i = name, 1
        while unique in self.nodes or unique in self.optional:
            unique, i = f"{name}_{i}", i + 1
        return unique

    def node_of(self, value: Value) -> str:
        """The node that holds a value in the value's own shape. Adds a Reshape where the shape of the node differs.

        A value without feature axes is held in the shape (1,), since every node has one.
        """
        if value.node in self.optional:
            op, source = self.optional.pop(value.node)
            self.nodes[value.node] = op
            self.connect(source, value.node, 0)
        shape = value.shape or (1,)
        if self.shapes[value.node] == shape:
            return value.node
        key = value.node, shape
        if key not in self._reshapes:
            name = value.reshape_name or f"{value.node}.reshape"
            self._reshapes[key] = self.add(name, Reshape(shape), [value.node])
        return self._reshapes[key]

    def summands_of(self, values: Sequence[Value]) -> list[Value]:
        """The values with the summands of each in its place, where it is a sum."""
        return [part for v in values for part in
                (self.sums.get(v.node, (v,)) if self.shapes[v.node] == (v.shape or (1,)) else (v,))]

    def depends_on_neuron(self, name: str) -> bool:
        """Whether a node is a neuron, or a path leads from a neuron to it."""
        sources: dict[str, list[str]] = {}
        for edge in self.edges:
            sources.setdefault(edge.dst, []).append(edge.src)
        ancestors = reachable([name], lambda n: sources.get(n, ()))
        return any(isinstance(self.nodes.get(n), Neuron) for n in ancestors)

    def add_optional(self, name: str, op: Op, source: str) -> str:
        """Register a node that is added to the graph only when another node reads it."""
        self.optional[name] = op, source
        self.shapes[name] = op.infer(self.shapes[source])
        return name

    def used_nodes_and_edges(self) -> tuple[dict[str, Op], tuple[Edge, ...]]:
        """The nodes on which an output depends, all inputs, and the edges between them."""
        sources: dict[str, list[str]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            sources[edge.dst].append(edge.src)
        used = reachable((n for n, op in self.nodes.items() if isinstance(op, Output)), sources.__getitem__)
        return ({n: op for n, op in self.nodes.items() if n in used or isinstance(op, Input)},
                tuple(e for e in self.edges if e.dst in used))

    def placeholder(self, name: str, shape: Shape) -> str:
        """Add a node for the result of an earlier tick, whose node is not known yet."""
        name = self.unique_name(name)
        self.nodes[name], self.shapes[name] = Identity(), shape
        return name

    def replace_placeholder(self, placeholder: str, source: str, delay: int) -> None:
        """Replace a placeholder by edges from the source that are `delay` ticks longer."""
        del self.nodes[placeholder]
        self.edges = [dataclasses.replace(e, src=source, delay=e.delay + delay) if e.src == placeholder else e
                      for e in self.edges]


@dataclass(eq=False)
class ArrayCache:
    """Converts constant tensors to arrays, each tensor only once, so that shared weights stay one array.

    Attributes:
        rounded: as in `Tape`.
    """

    rounded: Mapping[int, Tensor | None] = field(default_factory=dict)
    # The tensor is kept with its array: its id must not be reused while the cache exists.
    _arrays: dict[int, tuple[Tensor, Weight]] = field(default_factory=dict)
    _grids: dict[tuple[int, int], Grid | None] = field(default_factory=dict)

    def __call__(self, tensor: Tensor) -> Weight:
        """The tensor as an array in its own precision, 16-bit floats as float32; quantized weights as integers.

        The shape alone for a tensor without numbers.
        """
        if id(tensor) not in self._arrays and tensor.is_meta:
            self._arrays[id(tensor)] = tensor, shape_only(tensor)
        if id(tensor) not in self._arrays:
            plain = codes_of(tensor).detach().to("cpu")
            plain = plain.float() if plain.dtype in (torch.bfloat16, torch.float16) else plain
            self._arrays[id(tensor)] = tensor, frozen(np.array(plain.numpy()))
        return self._arrays[id(tensor)][1]

    def grid(self, tensor: Tensor, outputs: int) -> Grid | None:
        """The integers of a weight that the forward pass rounds; None where it lies on no grid of equal steps.

        Args:
            outputs: the axis of the outputs; the grid has them first, and the other axes behind in order.
        """
        key = id(tensor), outputs
        if key not in self._grids:
            step = self.rounded[id(tensor)]
            weight = np.moveaxis(np.asarray(self(tensor)), outputs, 0)
            known = None if step is None or (outputs and step.numel() > 1) else as_array(step)
            self._grids[key] = grid_of(weight, known)
        return self._grids[key]


@dataclass(eq=False)
class CallContext:
    """A call of a torch function that is being turned into nodes.

    Attributes:
        call: the recorded call; its results are used for their shapes only.
        axis_sizes: sizes of the axes of time and batch, by their letters.
        loop_ticks: how many ticks the loop over time has; 0 where there is no loop.
        problems: collects the warnings.
    """

    call: RecordedCall
    builder: GraphBuilder
    arrays: ArrayCache
    axis_sizes: dict[str, int]
    loop_ticks: int
    problems: Collector

    @property
    def ticks(self) -> int:
        """How many ticks the input has; 0 where that is not known."""
        return self.loop_ticks or self.axis_sizes.get("T", 0)

    @property
    def name(self) -> str:
        """A name for the node: the module's path, followed by the function's name if the module has submodules."""
        where = self.call.where
        return where.path if where.single and where.path else ".".join(filter(None, (where.path, self.call.name)))

    @property
    def result_shape(self) -> Shape:
        """The shape of the first tensor that the call returned, with time and batch."""
        return tuple(self.call.results[0].shape)

    def refuse(self, found: str, help: str = "") -> NoReturn:
        """Raise `Refused`: this call has no exact form in a graph."""
        raise Refused(found, help)

    def value(self, given: Any, role: str = "its input") -> Value:
        """An argument that must depend on the input of the network.

        Args:
            role: what the argument is to the function, for the diagnostic.

        Raises:
            Refused: the argument is a constant, a list, or the state of a neuron module.
        """
        if not isinstance(given, Value):
            self.refuse(f"{self.call.name} with a constant, or a list of tensors, as {role}")
        if given.state:
            self.refuse(f"{self.call.name} reads a state of module {shorten(given.state)}",
                        "neurons pass on their spikes; use a neuron that emits its membrane")
        return given

    def array(self, given: Any, role: str) -> Weight:
        """An argument that must be a constant, as an array, or as a shape if it has no numbers.

        Raises:
            Refused: the argument depends on the input of the network.
        """
        if isinstance(given, (bool, int, float)):
            return np.asarray(float(given))
        if isinstance(given, Value):
            self.refuse_behind_end(given)
        if not isinstance(given, Tensor):
            self.refuse(f"{self.call.name} with a {role} that depends on the network's input",
                        "the weights of a layer must be constant; a graph cannot multiply two signals")
        return self.arrays(given)

    def weight(self, given: Any, role: str, outputs: int = 0) -> tuple[Weight, Array | None]:
        """A constant weight `[out, ...]` and its step, as in `Grid`; without a step where the weight is not rounded.

        Args:
            outputs: the axis of the outputs in the given weight.

        Raises:
            Refused: the argument depends on the input of the network.
        """
        array = self.array(given, role)
        if not isinstance(given, Tensor) or id(given) not in self.arrays.rounded:
            return turned(array, outputs), None
        grid = None if isinstance(array, ShapeOnly) else self.arrays.grid(given, outputs)
        if grid is None:
            self._warn_of_rounding()
            return turned(array, outputs), None
        return grid.codes, grid.step

    def plain_weight(self, given: Any, role: str) -> Weight:
        """A constant weight whose integers are not kept if it is rounded: a warning says so."""
        if isinstance(given, Tensor) and id(given) in self.arrays.rounded:
            self._warn_of_rounding()
        return self.array(given, role)

    def _warn_of_rounding(self) -> None:
        self.problems.warn(
            "SNN105", self.call.place, "its weights are rounded in the forward pass, and are taken as real numbers: "
            "they are rounded again when the network is quantized", "they are no integers times one step for the "
            "layer, or one for each output",
            "give the layer a method quant_weight() that returns the integers and their scale; see docs/quantized.md")

    def layer_input(self, given: Any, features: int) -> Value:
        """An argument with a single axis of time and batch, followed by this number of feature axes.

        Raises:
            Refused: the axes are others.
        """
        x = self.value(given)
        if len(x.leading) != 1 or not x.features_last or len(x.shape) != features:
            self.refuse(f"{self.call.name} of a tensor {described(x)}", f"one axis of time and batch, then {features} "
                        "axes of features")
        return x

    def add_node(self, x: Value, op: Op, shape: Shape | None = None, name: str = "") -> Value:
        """Add a node that reads a value.

        Args:
            shape: the shape in which the operator reads the value, if that is not the value's own.
            name: of the node, by default that of the call.

        Returns:
            The output of the node. Its axes are those of `x` if the number of feature axes stays the same.

        Raises:
            Refused: the operator does not accept the shape, or may not follow a reduction over time.
        """
        self.refuse_behind_end(x)
        self._check_commutes(x, op)
        reshaped = x if shape is None else dataclasses.replace(x, shape=shape)
        try:
            node = self.builder.add(name or self.name, op, [self.builder.node_of(reshaped)])
        except ShapeError as e:
            self.refuse(f"{self.call.name} of a tensor {described(x)}: {e.expected}")
        out = self.builder.shapes[node]
        if not x.shape and shape is None:
            return dataclasses.replace(x, node=node, reshape_name="")
        axes: tuple[Axis, ...] = x.axes if len(out) == len(x.shape) else (*x.leading, *("F",) * len(out))
        return dataclasses.replace(x, node=node, shape=out, axes=axes, reshape_name="")

    def refuse_behind_end(self, x: Value) -> None:
        """Refuse to compute with the result of a function that is left out at the end of a network."""
        if x.left_out:
            self.refuse(f"{self.call.name} behind {x.left_out}", f"{x.left_out} may only end a network: a graph leaves "
                        "it out; return what it is given")

    def _check_commutes(self, x: Value, op: Op) -> None:
        """Refuse an operator behind a reduction over time that would give something else in front of it.

        In a graph the reduction happens at the outputs. So `fc(spikes.sum(0))` becomes `fc(spikes)` with a sum at the
        output, which is the same only if `fc` is linear and, for a sum, has no bias.
        """
        if x.summed:
            self.refuse(f"{self.call.name} of a sum over some of the ticks", "sum over all ticks first")
        commutes = x.decode in (None, "last") or (x.decode == "rate" and op.linear and not (
            x.is_sum and getattr(op, "bias", None) is not None))
        if not commutes:
            self.refuse(f"{self.call.name} behind a reduction over time (decode {x.decode!r})",
                        "a graph reduces over time at its outputs; apply the operation before the reduction")

    def add_sum(self, values: Sequence[Value]) -> Value:
        """Add a node that sums values of one shape.

        Raises:
            Refused: the shapes, ticks or axes of the values differ.
        """
        first = max(values, key=lambda v: len(v.axes))
        for v in values:
            self.refuse_behind_end(v)
            self._check_commutes(v, Identity())
            if v.shape != first.shape or not v.same_ticks_as(first) or not _broadcasts_over_time(v.axes, first.axes):
                self.refuse(f"{self.call.name} of tensors {described(first)} and {described(v)}",
                            "a graph adds tensors of equal shape")
        node = self.builder.add(self.name, Identity(), [self.builder.node_of(v) for v in values])
        self.builder.sums[node] = tuple(values)
        return dataclasses.replace(first, node=node, reshape_name="")


def _broadcasts_over_time(axes: tuple[Axis, ...], other: tuple[Axis, ...]) -> bool:
    """Whether a tensor has the axes of another one, or lacks only a first axis of time."""
    return axes == other or ("T", *axes) == other


def turned(weight: Weight, outputs: int) -> Weight:
    """A weight with the axis of its outputs first."""
    if not outputs:
        return weight
    if isinstance(weight, ShapeOnly):
        rest = [n for i, n in enumerate(weight.shape) if i != outputs]
        return ShapeOnly((weight.shape[outputs], *rest), weight.dtype)
    return np.moveaxis(weight, outputs, 0)


def described(x: Value) -> str:
    """The axes of a value for a diagnostic, as `[tick, batch, 16]`."""
    sizes = iter(x.shape)
    return f"[{', '.join(str(next(sizes)) if a == 'F' else AXIS_NAMES[a] for a in x.axes)}]"
