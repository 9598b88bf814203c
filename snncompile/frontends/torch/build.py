"""Nodes and edges while a recorded pass becomes a graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

import torch
from snncompile.diagnostics import shorten
from snncompile.frontends.torch.quantizers import codes_of
from snncompile.frontends.torch.tape import Call
from snncompile.frontends.torch.values import Axis, Value, closure
from snncompile.ir.graph import Edge
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import Identity, Input, Output, Reshape
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array, Shape, frozen
from torch import Tensor

WORDS = {"T": "tick", "B": "batch", "TB": "tick*batch", "BT": "batch*tick"}


class Refused(Exception):
    """A call that the graph cannot say."""

    def __init__(self, found: str, help: str = "", code: str = "SNN104"):
        super().__init__(found)
        self.found, self.help, self.code = found, help, code


@dataclass
class Build:
    """A graph that is being made.

    Attributes:
        possible: nodes with their sources that are added when something reads them.
    """

    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    possible: dict[str, tuple[Op, str]] = field(default_factory=dict)
    _reshaped: dict[tuple[str, Shape], str] = field(default_factory=dict)

    def add(self, name: str, op: Op, sources: Sequence[str], delay: int = 0) -> str:
        """Add a node behind others; its name gets a number if it is taken."""
        name = self.free(name)
        self.shapes[name] = op.infer(self.shapes[sources[0]] if sources else ())
        self.nodes[name] = op
        self.edges += [Edge(source, name, delay) for source in sources]
        return name

    def join(self, source: str, target: str, delay: int) -> None:
        """Add an edge between two nodes."""
        self.edges.append(Edge(source, target, delay))

    def free(self, name: str) -> str:
        unique, i = name, 1
        while unique in self.nodes or unique in self.possible:
            unique, i = f"{name}_{i}", i + 1
        return unique

    def shaped(self, value: Value) -> str:
        """The node of a value under the shape that the value has, behind a Reshape where those differ."""
        if value.node in self.possible:
            op, source = self.possible.pop(value.node)
            self.nodes[value.node] = op
            self.join(source, value.node, 0)
        if self.shapes[value.node] == value.shape:
            return value.node
        key = value.node, value.shape
        if key not in self._reshaped:
            self._reshaped[key] = self.add(value.via or f"{value.node}.reshape", Reshape(value.shape), [value.node])
        return self._reshaped[key]

    def fired(self, name: str) -> bool:
        """Whether a neuron leads to a node."""
        into: dict[str, list[str]] = {}
        for edge in self.edges:
            into.setdefault(edge.dst, []).append(edge.src)
        above = closure([name], lambda n: into.get(n, ()))
        return any(isinstance(self.nodes.get(n), Neuron) for n in above)

    def offer(self, name: str, op: Op, source: str) -> str:
        """A node that is added when something reads it."""
        self.possible[name] = op, source
        self.shapes[name] = op.infer(self.shapes[source])
        return name

    def living(self) -> tuple[dict[str, Op], tuple[Edge, ...]]:
        """The nodes that an output depends on, with the inputs, and their edges."""
        into: dict[str, list[str]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            into[edge.dst].append(edge.src)
        live = closure((n for n, op in self.nodes.items() if isinstance(op, Output)), into.__getitem__)
        return ({n: op for n, op in self.nodes.items() if n in live or isinstance(op, Input)},
                tuple(e for e in self.edges if e.dst in live))

    def placeholder(self, name: str, shape: Shape) -> str:
        """A node that stands for what a later one gave in an earlier tick, until `connect` says which."""
        name = self.free(name)
        self.nodes[name], self.shapes[name] = Identity(), shape
        return name

    def connect(self, placeholder: str, source: str, delay: int) -> None:
        """Replace a placeholder by delayed edges from what it stands for."""
        del self.nodes[placeholder]
        self.edges = [dataclasses.replace(e, src=source, delay=e.delay + delay) if e.src == placeholder else e
                      for e in self.edges]


@dataclass(eq=False)
class Arrays:
    """Constant tensors as arrays, each made once."""

    _made: dict[int, tuple[Tensor, Array]] = field(default_factory=dict)

    def __call__(self, tensor: Tensor) -> Array:
        if id(tensor) not in self._made:
            plain = codes_of(tensor).detach().to("cpu")
            plain = plain.float() if plain.dtype in (torch.bfloat16, torch.float16) else plain
            self._made[id(tensor)] = tensor, frozen(np.array(plain.numpy()))
        return self._made[id(tensor)][1]


@dataclass(eq=False)
class Site:
    """One call while it is turned into nodes.

    Attributes:
        call: the call; its results are at hand for their shapes.
        extent: how long time and batch are.
        loop: how many ticks a loop over time has, 0 where there is none.
    """

    call: Call
    build: Build
    arrays: Arrays
    extent: dict[str, int]
    loop: int

    @property
    def ticks(self) -> int:
        """How many ticks there are, as far as that is known."""
        return self.loop or self.extent.get("T", 0)

    @property
    def name(self) -> str:
        """For a node: the module's path, with the function's name where the module is more than this call."""
        where = self.call.where
        return where.path if where.single and where.path else ".".join(filter(None, (where.path, self.call.name)))

    @property
    def result(self) -> Shape:
        return tuple(self.call.results[0].shape)

    def refuse(self, found: str, help: str = "") -> NoReturn:
        raise Refused(found, help)

    def value(self, given: Any, what: str = "its input") -> Value:
        """An argument that depends on the input."""
        if not isinstance(given, Value):
            self.refuse(f"{self.call.name} with a constant as {what}, or of more than one tensor of the network")
        if given.state:
            self.refuse(f"{self.call.name} reads a state of module {shorten(given.state)}",
                        "neurons pass on their spikes; use a neuron that emits its membrane")
        return given

    def array(self, given: Any, what: str) -> Array:
        """An argument that is a constant."""
        if isinstance(given, (bool, int, float)):
            return np.asarray(float(given))
        if not isinstance(given, Tensor):
            self.refuse(f"{self.call.name} with a {what} that depends on the network's input",
                        "layers have constant weights; products of two signals have no place in a graph")
        return self.arrays(given)

    def flat(self, given: Any, features: int) -> Value:
        """An argument with one axis of time and batch, and this number of features behind it."""
        x = self.value(given)
        if len(x.leading) != 1 or not x.regular or len(x.shape) != features:
            self.refuse(f"{self.call.name} of a tensor {described(x)}", f"time and batch in one axis, and {features} "
                        "axes of features behind it")
        return x

    def emit(self, x: Value, op: Op, shape: Shape | None = None, name: str = "") -> Value:
        """A node behind a value; the result has the value's axes, or as many features as its shape has.

        Args:
            shape: under which the operator sees the value, where that is not the value's own.
        """
        self._commutes(x, op)
        seen = x if shape is None else dataclasses.replace(x, shape=shape)
        try:
            node = self.build.add(name or self.name, op, [self.build.shaped(seen)])
        except ShapeError as e:
            self.refuse(f"{self.call.name} of a tensor {described(x)}: {e.expected}")
        made = self.build.shapes[node]
        axes: tuple[Axis, ...] = x.axes if len(made) == len(x.shape) else (*x.leading, *("F",) * len(made))
        return dataclasses.replace(x, node=node, shape=made, axes=axes, via="")

    def _commutes(self, x: Value, op: Op) -> None:
        """Operators behind a decision over time must do the same in front of it."""
        if x.summed is not None:
            self.refuse(f"{self.call.name} of a sum over some of the ticks", "sum over all ticks first")
        fine = x.decode in (None, "last") or (x.decode == "rate" and op.linear and not (
            x.total and getattr(op, "bias", None) is not None))
        if not fine:
            self.refuse(f"{self.call.name} of what is already a {x.decode} over time",
                        "the graph decides at its outputs; move the operation in front of it")

    def add(self, values: Sequence[Value]) -> Value:
        """The sum of values of one shape."""
        first = max(values, key=lambda v: len(v.axes))
        for v in values:
            self._commutes(v, Identity())
            if v.shape != first.shape or not v.decided_as(first) or not _fits(v.axes, first.axes):
                self.refuse(f"{self.call.name} of tensors {described(first)} and {described(v)}",
                            "the graph adds tensors of equal shape")
        node = self.build.add(self.name, Identity(), [self.build.shaped(v) for v in values])
        return dataclasses.replace(first, node=node, via="")


def _fits(axes: tuple[Axis, ...], whole: tuple[Axis, ...]) -> bool:
    """Whether a tensor broadcasts over time alone."""
    return axes == whole or ("T", *axes) == whole


def described(x: Value) -> str:
    """The axes of a value in words."""
    sizes = iter(x.shape)
    return f"[{', '.join(str(next(sizes)) if a == 'F' else WORDS[a] for a in x.axes)}]"
