"""form-populations: from a graph of operators to populations joined by projections."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import networkx as nx
import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.library import RULES
from snncompile.ir.ops import Conv, Identity, Input, Linear, Neuron, Op, Output, Scale
from snncompile.ir.types import Array, Shape, ShapeOnly, Stage

MAX_PROJECTIONS = 100_000


@dataclass(frozen=True)
class FormPopulations:
    """Turn every path of operators between two populations into a projection.

    Biases become a constant input of the population they reach. A sum that cannot be spread over its
    readers (or, with `shared="accumulate"`, that several read) becomes an accumulator: a stateless
    population that emits its graded value. With `shared="flatten"`, shared sums are spread all the
    same, for targets that carry spikes only.
    """

    shared: Literal["accumulate", "flatten"] = "accumulate"
    name: ClassVar[str] = "form-populations"
    needs: ClassVar[Stage] = Stage.FLOAT
    ensures: ClassVar[Stage] = Stage.LEGAL

    def run(self, graph: Graph) -> Graph:
        graph = _separate_sums(graph)
        cuts = _cuts(graph, self.shared == "accumulate")
        former = _Former(graph, cuts)
        nodes = {n: former.population(n) for n, op in graph.nodes.items() if former.stands(n, op)}
        edges = tuple(e for n in nodes for e in former.projections(n))
        if len(edges) > MAX_PROJECTIONS:
            fail("SNN205", f"graph {shorten(graph.name)}", f"{len(edges)} projections", f"at most {MAX_PROJECTIONS}",
                 "keep shared sums as accumulators")
        return graph.replace(nodes=nodes, edges=edges, stage=Stage.LEGAL)


def _separate_sums(graph: Graph) -> Graph:
    """Put an `Identity` in front of every non-linear operator and output that sums or that delays a bias."""
    nodes, edges = dict(graph.nodes), list(graph.edges)
    for name, op in graph.nodes.items():
        stateless = not isinstance(op, (Neuron, Input))
        if stateless and not (op.linear and not isinstance(op, Output)) and len(graph.edges_into[name]) > 1:
            fresh = _fresh(f"{name}.sum", nodes)
            nodes[fresh] = Identity()
            edges = [dataclasses.replace(e, dst=fresh) if e.dst == name else e for e in edges]
            edges.append(Edge(fresh, name))
    return graph if len(nodes) == len(graph.nodes) else graph.replace(nodes=nodes, edges=tuple(edges))


def _fresh(name: str, taken: dict[str, Op]) -> str:
    while name in taken:
        name += "_"
    return name


def _operates(op: Op) -> bool:
    return not isinstance(op, (Input, Output, Neuron))


def _cuts(graph: Graph, accumulate: bool) -> set[str]:
    """The operators that must emit their own value."""
    cuts: set[str] = set()
    for name, op in graph.nodes.items():
        if not _operates(op):
            continue
        readers = graph.edges_from[name]
        weighty = bool(op.arrays()) or len(graph.edges_into[name]) > 1
        if any(isinstance(graph.nodes[e.dst], Output) for e in readers) \
                or (op.linear and any(_nonlinear(graph.nodes[e.dst]) for e in readers)) \
                or (accumulate and weighty and len(readers) > 1) \
                or (_has_constant(graph, name) and any(e.delay for e in readers)):
            cuts.add(name)
    return cuts | _loop_cuts(graph, cuts)


def _nonlinear(op: Op) -> bool:
    return _operates(op) and not op.linear


def _has_constant(graph: Graph, name: str) -> bool:
    """Whether a bias, here or upstream before any population, is part of this operator's value."""
    seen, stack = set(), [name]
    while stack:
        node = stack.pop()
        op = graph.nodes[node]
        if node in seen or not _operates(op):
            continue
        seen.add(node)
        if getattr(op, "bias", None) is not None:
            return True
        stack += [e.src for e in graph.edges_into[node]]
    return False


def _loop_cuts(graph: Graph, cuts: set[str]) -> set[str]:
    """One operator of every loop that no population and no other cut interrupts."""
    net: nx.DiGraph[str] = nx.DiGraph()
    free = {n for n, op in graph.nodes.items() if _operates(op) and n not in cuts}
    net.add_edges_from((e.src, e.dst) for e in graph.edges if e.src in free and e.dst in free)
    found: set[str] = set()
    while True:
        loops = [c for c in nx.strongly_connected_components(net) if len(c) > 1 or any(net.has_edge(n, n) for n in c)]
        if not loops:
            return found
        for loop in loops:
            cut = next(n for n in graph.nodes if n in loop)
            found.add(cut)
            net.remove_node(cut)


@dataclass(frozen=True)
class _Former:
    graph: Graph
    cuts: set[str]

    def stands(self, name: str, op: Op) -> bool:
        """Whether a node of the old graph is a node of the new one."""
        return name in self.cuts or not _operates(op)

    def population(self, name: str) -> Op:
        op = self.graph.nodes[name]
        if isinstance(op, (Input, Output)):
            return op
        constant = self._constant(name)
        if not isinstance(op, Neuron):
            return Neuron(RULES["accumulator"], {} if constant is None else {"bias": constant})
        if constant is None:
            return op
        others = {n: v for n, v in op.params.items() if n != "bias"}
        bias = collapse(np.broadcast_to(op.params.get("bias", 0.0) + np.asarray(constant), self.graph.shapes[name]))
        return dataclasses.replace(op, params=others if bias is None else {**others, "bias": bias})

    def projections(self, name: str) -> Iterator[Edge]:
        own = _operators(self.graph.nodes[name]) if name in self.cuts else ()
        for edge in self.graph.edges_into[name]:
            for src, delay, chain in self._paths(edge):
                yield Edge(src, name, delay, chain + own)

    def _paths(self, edge: Edge) -> Iterator[tuple[str, int, tuple[Op, ...]]]:
        op = self.graph.nodes[edge.src]
        if self.stands(edge.src, op):
            yield edge.src, edge.delay, edge.chain
            return
        for before in self.graph.edges_into[edge.src]:
            for src, delay, chain in self._paths(before):
                yield src, delay + edge.delay, (*chain, *_operators(op), *edge.chain)

    def _constant(self, name: str) -> Array | float | None:
        """What the biases between the sources and this node add to its input, every tick."""
        total = self._sum_constants(name)
        op = self.graph.nodes[name]
        if name in self.cuts:
            total = _through(op, total, self.graph.shapes[name])
        return None if total is None else collapse(total)

    def _sum_constants(self, name: str) -> Array | None:
        total: Array | None = None
        for edge in self.graph.edges_into[name]:
            op = self.graph.nodes[edge.src]
            if self.stands(edge.src, op):
                continue
            part = _through(op, self._sum_constants(edge.src), self.graph.shapes[edge.src])
            if part is not None:
                total = part if total is None else total + part
        return total


def _operators(op: Op) -> tuple[Op, ...]:
    """What an operator leaves in a chain, its bias being counted apart."""
    return () if isinstance(op, Identity) else (_unbiased(op),)


def _unbiased(op: Op) -> Op:
    return dataclasses.replace(op, bias=None) if isinstance(op, (Linear, Conv, Scale)) and op.bias is not None else op


def _through(op: Op, constant: Array | None, shape: Shape) -> Array | None:
    """The constant part of an operator's output, given that of its input."""
    moved = None if constant is None else _unbiased(op).apply(constant[None])[0]
    bias = getattr(op, "bias", None)
    if bias is None or isinstance(bias, ShapeOnly):
        return moved
    own = np.asarray(bias, np.float64)
    if isinstance(op, (Linear, Conv)):
        own = own.reshape(-1, *(1,) * (len(shape) - 1))
    own = np.broadcast_to(own, shape)
    return own if moved is None else own + moved


def collapse(values: Array) -> Array | float | None:
    """An array, or what it repeats: one value for each channel, or for all; None for zeros."""
    flat = values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)
    if not np.any(values):
        return None
    if np.all(flat == flat[0, 0]):
        return float(flat[0, 0])
    if values.ndim > 1 and np.all(flat == flat[:, :1]):
        return np.ascontiguousarray(flat[:, 0]).reshape(-1, *(1,) * (values.ndim - 1))
    return values
