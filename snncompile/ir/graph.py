"""`Graph`: a network of operators, its nodes, and edges with delays. Passes make new graphs, and never change one."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from importlib import import_module
from types import MappingProxyType
from typing import Any

import networkx as nx

from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.schedule import Schedule
from snncompile.ir.types import Shape, Stage

ABOUT_EDGES = ("edges_into", "edges_from", "tick_order", "components")
"""What a graph remembers that depends only on its edges, and on the names and the order of its nodes."""

ASSUMED = "_assumed_shapes"
"""What a graph remembers if its shapes were given and not inferred."""


@dataclass(frozen=True, eq=False)
class Edge:
    """A connection between two nodes: the output of `src`, delayed, goes through a chain of operators into `dst`.

    From stage LEGAL on, an edge between populations is a projection, and its chain holds the synapses. In the first
    `delay` ticks an edge delivers zeros.

    Attributes:
        src, dst: the names of the nodes.
        delay: ticks, 0 or more.
        chain: the operators that are applied to the output of `src`, in their order; empty in FLOAT graphs.
    """

    src: str
    dst: str
    delay: int = 0
    chain: tuple[Op, ...] = ()

    @property
    def label(self) -> str:
        """The names of both nodes, as messages show them: `conv1 -> lif1`."""
        return f"{self.src} -> {self.dst}"


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Attributes:
        name: the name of the network, any text; emitters make identifiers of it.
        nodes: operators by name. Their order has no meaning, but passes keep it.
        edges: the connections. A node receives the sum of the edges into it.
        stage: which rules the graph keeps; see `verify`.
        meta: values that JSON can hold, kept with the network and in its text form.
        schedule: in which tick of the hardware each node acts; only MAPPED graphs have one that is not empty.
        notes: the warnings of the reader and of the passes so far. The text form leaves them out.
    """

    name: str
    nodes: Mapping[str, Op]
    edges: tuple[Edge, ...]
    stage: Stage = Stage.FLOAT
    meta: Mapping[str, Any] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    notes: tuple[Diagnostic, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", MappingProxyType(dict(self.nodes)))

    def __reduce__(self) -> Any:
        """A graph travels to another process as its fields."""
        fields = (getattr(self, f.name) for f in dataclasses.fields(self))
        return Graph, tuple(dict(value) if isinstance(value, Mapping) else value for value in fields)

    def replace(self, **changes: Any) -> Graph:
        """A copy of the graph in which the fields that are given have other values."""
        other = dataclasses.replace(self, **changes)
        if other.edges is self.edges and tuple(other.nodes) == tuple(self.nodes):
            other.__dict__.update((name, self.__dict__[name]) for name in ABOUT_EDGES if name in self.__dict__)
        return other

    def with_shapes(self, known: Mapping[str, Shape]) -> Graph:
        """This graph, with the shapes of its nodes by name, as whoever made it knows them already.

        `verify` infers them anew.
        """
        if known.keys() >= self.nodes.keys():
            own = known if len(known) == len(self.nodes) else {name: known[name] for name in self.nodes}
            self.__dict__.update(shapes=own, **{ASSUMED: True})
        return self

    def infer_shapes(self) -> Mapping[str, Shape]:
        """The shapes, inferred from the operators wherever they came from. Raises `ShapeError`; see `shapes`."""
        if self.__dict__.pop(ASSUMED, False):
            del self.__dict__["shapes"]
        return self.shapes

    def noting(self, notes: Iterable[Diagnostic]) -> Graph:
        """The same network with these warnings added, except those that it has already."""
        new = tuple(n for n in notes if n not in self.notes)
        return self.replace(notes=self.notes + new) if new else self

    @cached_property
    def edges_into(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges that end in each node, by the name of the node, in the order of `edges`."""
        arriving: dict[str, list[Edge]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            arriving[edge.dst].append(edge)
        return {name: tuple(edges) for name, edges in arriving.items()}

    @cached_property
    def edges_from(self) -> Mapping[str, tuple[Edge, ...]]:
        """The edges that start in each node, by the name of the node, in the order of `edges`."""
        leaving: dict[str, list[Edge]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            leaving[edge.src].append(edge)
        return {name: tuple(edges) for name, edges in leaving.items()}

    @cached_property
    def inputs(self) -> Mapping[str, Input]:
        """The inputs by name."""
        return {name: op for name, op in self.nodes.items() if isinstance(op, Input)}

    @cached_property
    def outputs(self) -> Mapping[str, Output]:
        """The outputs by name."""
        return {name: op for name, op in self.nodes.items() if isinstance(op, Output)}

    @property
    def populations(self) -> dict[str, Neuron | Population]:
        """The populations by name: `Neuron` in FLOAT and LEGAL graphs, `Population` in INT and MAPPED graphs."""
        return {name: op for name, op in self.nodes.items() if isinstance(op, (Neuron, Population))}

    @property
    def integer_populations(self) -> dict[str, Population]:
        """The populations of an INT or MAPPED graph by name."""
        return {name: op for name, op in self.nodes.items() if isinstance(op, Population)}

    def population(self, name: str) -> Population:
        """The population of an INT or MAPPED graph with this name. Raises TypeError for any other node."""
        op = self.nodes[name]
        if not isinstance(op, Population):
            raise TypeError(f"node {name!r} is not an integer population, but a {op.kind()}")
        return op

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The output shape of one tick, by node, of every node that an input reaches.

        Raises:
            ShapeError: where a tensor does not fit an operator, with the place in the graph.
        """
        shapes: dict[str, Shape] = {name: op.shape for name, op in self.inputs.items()}
        ready = list(shapes)
        while ready:
            for edge in self.edges_from[ready.pop()]:
                if edge.dst not in shapes:
                    arriving = self._behind(edge, shapes[edge.src]) if edge.chain else shapes[edge.src]
                    shapes[edge.dst] = self._infer(self.nodes[edge.dst], arriving, "node", edge.dst)
                    ready.append(edge.dst)
        return shapes

    def arriving(self, edge: Edge) -> Shape:
        """The shape of the tensor that an edge delivers to its node, behind its chain. Raises `ShapeError`."""
        shape = self.shapes[edge.src]
        return self._behind(edge, shape) if edge.chain else shape

    def _behind(self, edge: Edge, shape: Shape) -> Shape:
        for op in edge.chain:
            shape = self._infer(op, shape, "edge", edge.label, f", {op.kind()}")
        return shape

    @staticmethod
    def _infer(op: Op, shape: Shape, place: str, name: str, part: str = "") -> Shape:
        try:
            return op.shape_behind(shape)
        except ShapeError as e:
            raise ShapeError(e.expected, f"{place} {shorten(name)}{part}", f"{list(shape)} arrives") from None

    @cached_property
    def components(self) -> tuple[tuple[str, ...], ...]:
        """The strongly connected components, each before those that it projects to.

        Inside a component, nodes stand in the order in which a tick computes them, given by the edges of delay 0. A
        component of one node without an edge to itself can be run for all ticks before the next component is begun.
        """
        if all(e.delay == 0 for e in self.edges):  # no loop has a delay of 0, so that no component has two nodes
            return tuple((name,) for name in self.tick_order)
        rank = {name: i for i, name in enumerate(self.tick_order)}
        whole: nx.DiGraph[str] = nx.DiGraph()
        whole.add_nodes_from(self.nodes)
        whole.add_edges_from((e.src, e.dst) for e in self.edges)
        condensed = nx.condensation(whole)
        members = {c: sorted(condensed.nodes[c]["members"], key=rank.__getitem__) for c in condensed}
        order = nx.lexicographical_topological_sort(condensed, key=lambda c: rank[members[c][0]])
        return tuple(tuple(members[c]) for c in order)

    @cached_property
    def levels(self) -> Mapping[str, int]:
        """How many projections lie on the longest way to each node of a LEGAL or later graph.

        Nodes of one component are on one level: a loop counts as one node. An edge into an output counts for nothing,
        since it has no synapses.
        """
        levels: dict[str, int] = {}
        if len(self.components) == len(self.nodes):
            for (name,) in self.components:
                far = [levels[e.src] for e in self.edges_into[name] if e.src != name]
                levels[name] = max(far) + (not isinstance(self.nodes[name], Output)) if far else 0
            return levels
        for component in self.components:
            inside = set(component)
            before = [levels[e.src] + (not isinstance(self.nodes[e.dst], Output))
                      for name in component for e in self.edges_into[name] if e.src not in inside]
            levels |= dict.fromkeys(component, max(before, default=0))
        return levels

    @cached_property
    def tick_order(self) -> tuple[str, ...]:
        """All nodes, each behind those that reach it without a delay, and otherwise as they stand in the graph.

        Nodes in a loop of edges without delay, which `verify` refuses, and nodes behind such a loop are left out.
        """
        names = tuple(self.nodes)
        position = {name: i for i, name in enumerate(names)}
        if all(e.delay or position[e.src] < position[e.dst] for e in self.edges):
            return names  # they stand in such an order already
        waits_for = {name: sum(e.delay == 0 for e in edges) for name, edges in self.edges_into.items()}
        ready = [i for i, name in enumerate(names) if not waits_for[name]]
        order = []
        while ready:
            name = names[heappop(ready)]
            order.append(name)
            for edge in self.edges_from[name]:
                if edge.delay == 0:
                    waits_for[edge.dst] -= 1
                    if not waits_for[edge.dst]:
                        heappush(ready, position[edge.dst])
        return tuple(order)

    def loops(self, name: str) -> bool:
        """Whether a node has an edge to itself."""
        return any(e.dst == name for e in self.edges_from[name])

    def __repr__(self) -> str:
        return f"<Graph {shorten(self.name)} {self.stage.name}: {len(self.nodes)} nodes, {len(self.edges)} edges>"

    def _repr_svg_(self) -> str:
        """The drawing that a notebook shows. It is imported by name, since the graph must not depend on reports."""
        drawing: str = import_module("snncompile.report.graph_svg").to_svg(self)
        return drawing

    def __str__(self) -> str:
        from snncompile.ir.text import to_text

        return to_text(self)


def unused(name: str, taken: Collection[str], join: str = "_", first: int = 2) -> str:
    """The name, or where it is taken, the name with the least number behind it that makes it a new one.

    >>> unused("lif", ["lif", "lif_2"])
    'lif_3'

    Args:
        join: the text between the name and the number.
        first: the first number that is tried.
    """
    unique, i = name, first
    while unique in taken:
        unique, i = f"{name}{join}{i}", i + 1
    return unique
