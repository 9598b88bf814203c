"""`Graph`: nodes, delayed edges, and nothing else. A value: passes make new ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
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


@dataclass(frozen=True, eq=False)
class Edge:
    """A connection: what `src` gave `delay` ticks ago, through the operators of `chain`, added into `dst`.

    In LEGAL and INT graphs an edge between populations is a projection, and its chain holds the synapses.
    A delayed edge yields zeros at first.
    """

    src: str
    dst: str
    delay: int = 0
    chain: tuple[Op, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.src} -> {self.dst}"


@dataclass(frozen=True, eq=False)
class Graph:
    """A network.

    Attributes:
        name: of the network; free text, sanitised wherever it becomes an identifier.
        nodes: operators by name, in an order that has no meaning but is kept.
        edges: the connections; the edges into a node are summed.
        stage: how strict the graph is; see `verify`.
        meta: JSON-like data that travels with the network.
        schedule: in which tick of the hardware each node acts; empty but for MAPPED graphs.
        notes: warnings gathered on the way here; no part of the network's value.
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

    def replace(self, **changes: Any) -> Graph:
        return dataclasses.replace(self, **changes)

    def noting(self, notes: Iterable[Diagnostic]) -> Graph:
        """The same network with these warnings added."""
        new = tuple(n for n in notes if n not in self.notes)
        return self.replace(notes=self.notes + new) if new else self

    @cached_property
    def edges_into(self) -> Mapping[str, tuple[Edge, ...]]:
        found: dict[str, list[Edge]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            found[edge.dst].append(edge)
        return {name: tuple(edges) for name, edges in found.items()}

    @cached_property
    def edges_from(self) -> Mapping[str, tuple[Edge, ...]]:
        found: dict[str, list[Edge]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            found[edge.src].append(edge)
        return {name: tuple(edges) for name, edges in found.items()}

    @property
    def inputs(self) -> dict[str, Input]:
        return {name: op for name, op in self.nodes.items() if isinstance(op, Input)}

    @property
    def outputs(self) -> dict[str, Output]:
        return {name: op for name, op in self.nodes.items() if isinstance(op, Output)}

    @property
    def populations(self) -> dict[str, Neuron | Population]:
        return {name: op for name, op in self.nodes.items() if isinstance(op, (Neuron, Population))}

    @property
    def integer_populations(self) -> dict[str, Population]:
        """The populations of an INT or MAPPED graph, which holds no others."""
        return {name: op for name, op in self.nodes.items() if isinstance(op, Population)}

    def population(self, name: str) -> Population:
        """A population of an INT or MAPPED graph, by its name."""
        op = self.nodes[name]
        if not isinstance(op, Population):
            raise TypeError(f"node {name!r} is no population in integers, but a {op.kind()}")
        return op

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Output shape of every node that the inputs reach. Raises `ShapeError`, naming the place."""
        shapes: dict[str, Shape] = {name: op.shape for name, op in self.inputs.items()}
        ready = list(shapes)
        while ready:
            for edge in self.edges_from[ready.pop()]:
                arriving = self._arriving(edge, shapes[edge.src])
                if edge.dst not in shapes:
                    shapes[edge.dst] = self._infer(self.nodes[edge.dst], arriving, "node", edge.dst)
                    ready.append(edge.dst)
        return shapes

    def arriving(self, edge: Edge) -> Shape:
        """The shape that an edge delivers."""
        return self._arriving(edge, self.shapes[edge.src])

    def _arriving(self, edge: Edge, shape: Shape) -> Shape:
        for op in edge.chain:
            shape = self._infer(op, shape, "edge", edge.label, f", {op.kind()}")
        return shape

    @staticmethod
    def _infer(op: Op, shape: Shape, place: str, name: str, part: str = "") -> Shape:
        try:
            return op.infer(shape)
        except ShapeError as e:
            raise ShapeError(e.expected, f"{place} {shorten(name)}{part}", f"{list(shape)} arrives") from None

    @cached_property
    def components(self) -> tuple[tuple[str, ...], ...]:
        """Strongly connected components in topological order; inside each, nodes in the order of a tick.

        A component of one node without a loop can be run for all ticks at once, before the next is begun.
        """
        rank = {name: i for i, name in enumerate(self._order_of_a_tick())}
        if all(e.delay == 0 for e in self.edges):  # no loop has a delay of 0, so that no component has two nodes
            return tuple((name,) for name in rank)
        whole: nx.DiGraph[str] = nx.DiGraph()
        whole.add_nodes_from(self.nodes)
        whole.add_edges_from((e.src, e.dst) for e in self.edges)
        condensed = nx.condensation(whole)
        members = {c: sorted(condensed.nodes[c]["members"], key=rank.__getitem__) for c in condensed}
        order = nx.lexicographical_topological_sort(condensed, key=lambda c: rank[members[c][0]])
        return tuple(tuple(members[c]) for c in order)

    def _order_of_a_tick(self) -> Iterable[str]:
        """All nodes, each behind those that reach it without a delay, and otherwise as they stand in the graph."""
        tick: nx.DiGraph[str] = nx.DiGraph()
        tick.add_nodes_from(self.nodes)
        tick.add_edges_from((e.src, e.dst) for e in self.edges if e.delay == 0)
        position = {name: i for i, name in enumerate(self.nodes)}
        return nx.lexicographical_topological_sort(tick, key=position.__getitem__)

    def loops(self, name: str) -> bool:
        """Whether a node feeds itself directly."""
        return any(e.dst == name for e in self.edges_from[name])

    def __repr__(self) -> str:
        return f"<Graph {shorten(self.name)} {self.stage.name}: {len(self.nodes)} nodes, {len(self.edges)} edges>"

    def _repr_svg_(self) -> str:
        """The drawing that a notebook shows. What draws it lies above the graph, and is looked up by name."""
        drawing: str = import_module("snncompile.report.graph_svg").to_svg(self)
        return drawing

    def __str__(self) -> str:
        from snncompile.ir.text import to_text

        return to_text(self)


def unused(name: str, taken: Collection[str], join: str = "_", first: int = 2) -> str:
    """The name itself, or with a number behind it, counted from `first`, so that it is not among those taken."""
    unique, i = name, first
    while unique in taken:
        unique, i = f"{name}{join}{i}", i + 1
    return unique
