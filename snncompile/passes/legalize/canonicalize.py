"""canonicalize: remove operators that change nothing, and nodes that no output depends on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Identity, Linear, Pad, Pool, Reshape, Scale, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Shape, Stage

UNLIKE = (Conv, Linear, Neuron)
"""The most frequent operators, which always do something."""


@dataclass(frozen=True)
class Canonicalize:
    """Remove operators that change nothing, and nodes that no output depends on (with a warning, SNN201).

    The edges into such an operator are joined with the edges out of it. An `Identity` that adds several edges for
    several readers stays, since joining would multiply the edges.
    """

    name: ClassVar[str] = "canonicalize"
    needs: ClassVar[Stage] = Stage.FLOAT
    ensures: ClassVar[Stage] = Stage.FLOAT

    def run(self, graph: Graph) -> Graph:
        graph = _drop_dead(graph)
        idle = [n for n, op in graph.nodes.items() if _does_nothing(op, graph, n)]
        return _dissolve(graph, idle) if idle else graph


def _drop_dead(graph: Graph) -> Graph:
    """The graph without the nodes that lead to no output; inputs stay."""
    live, pending = set(graph.inputs), list(graph.outputs)
    while pending:
        name = pending.pop()
        if name not in live:
            live.add(name)
            pending += [e.src for e in graph.edges_into[name]]
    dead = [n for n in graph.nodes if n not in live]
    if not dead:
        return graph
    named = ", ".join(shorten(n) for n in dead[:5]) + (", ..." if len(dead) > 5 else "")
    note = Diagnostic("SNN201", f"graph {shorten(graph.name)}", f"{len(dead)} nodes lead to no output: {named}",
                      help="they were removed; connect them to an output to keep them", severity="warning")
    return graph.replace(nodes={n: op for n, op in graph.nodes.items() if n in live},
                         edges=tuple(e for e in graph.edges if e.src in live and e.dst in live)).noting([note])


def _arriving(graph: Graph, name: str) -> Shape:
    """The shape that arrives at a node; () for one without edges into it."""
    edges = graph.edges_into[name]
    return graph.arriving(edges[0]) if edges else ()


def _does_nothing(op: Op, graph: Graph, name: str) -> bool:
    """Whether a node gives what it receives."""
    if isinstance(op, UNLIKE):
        return False
    match op:
        case Identity():
            return True
        case Reshape():
            return op.shape == _arriving(graph, name)
        case Scale():
            return op.bias is None and not isinstance(op.factor, np.ndarray) and op.factor == 1
        case Pool():
            return set(op.kernel) == {1} == set(op.stride) and not np.any(op.padding)
        case Upsample():
            return set(op.factor) == {1}
        case Pad():
            return not np.any(op.amounts)
    return False


def _dissolve(graph: Graph, names: list[str]) -> Graph:
    """Join the incoming and outgoing edges of nodes, where that does not multiply them."""
    nodes, edges = dict(graph.nodes), dict.fromkeys(graph.edges)
    if len(edges) < len(graph.edges):  # one object is in the graph twice: copies are two keys of the dictionary
        edges = dict.fromkeys(dataclasses.replace(e) for e in graph.edges)
    into: dict[str, dict[Edge, None]] = {n: {} for n in nodes}
    out: dict[str, dict[Edge, None]] = {n: {} for n in nodes}
    for edge in edges:
        into[edge.dst][edge] = out[edge.src][edge] = None
    for name in names:
        if min(len(into[name]), len(out[name])) != 1 or any(e.dst == name for e in out[name]):
            continue
        joined = [Edge(a.src, b.dst, a.delay + b.delay) for a in into[name] for b in out[name]]
        for edge in (*into[name], *out[name]):
            del edges[edge], into[edge.dst][edge], out[edge.src][edge]
        for edge in joined:
            edges[edge] = into[edge.dst][edge] = out[edge.src][edge] = None
        del nodes[name]
    if len(nodes) == len(graph.nodes):
        return graph
    return graph.replace(nodes=nodes, edges=tuple(edges)).with_shapes(graph.shapes)
