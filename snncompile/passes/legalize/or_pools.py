"""or-pools: max pools of single spikes become populations, for hardware that has no max pools."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, MaxPool, Pad, Reshape, SumPool, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Compare, Firing
from snncompile.ir.types import Stage
from snncompile.passes.legalize.form_populations import fresh
from snncompile.targets.target import Target

KEEPS_SPIKES = (MaxPool, Pad, Reshape, Upsample)
OrRule: TypeAlias = Literal["threshold", "if"]


@dataclass(frozen=True)
class OrPools:
    """Make max pools of single spikes populations that fire when any input in their window does.

    Of inputs that are 0 or 1, the largest is 1 exactly where their sum is at least 1. A threshold without state decides
    that. So does an integrate-and-fire neuron with a reset to 0, which keeps nothing from one tick to the next: a sum
    below the threshold is 0.

    Attributes:
        rule: the neuron that the hardware has for this purpose; None leaves max pools as they are.
        compare: the comparison that this neuron makes. With ">" the threshold is 0.5, with ">=" it is 1.
    """

    rule: OrRule | None = None
    compare: Compare = ">="
    name: ClassVar[str] = "or-pools"
    needs: ClassVar[Stage] = Stage.LEGAL
    ensures: ClassVar[Stage] = Stage.LEGAL

    @classmethod
    def of(cls, target: Target) -> OrPools:
        """The pass for a target: it does nothing where the target has max pools, or no neuron that can replace them."""
        neurons, operators = target.neurons, target.network.operators
        rules: tuple[OrRule, ...] = ("threshold", "if")
        able = [r for r in rules if neurons.rules is None or r in neurons.rules]
        if operators is None or "maxpool" in operators or not able:
            return cls()
        resets = neurons.resets is None or "value" in neurons.resets
        exact = neurons.compare is None or ">=" in neurons.compare
        return cls(able[0] if able[0] == "threshold" or resets else None, ">=" if exact else ">")

    def run(self, graph: Graph) -> Graph:
        if self.rule is None or not any(isinstance(op, MaxPool) for e in graph.edges for op in e.chain):
            return graph
        whole = [n for n in graph.populations if _is_or(graph, n)]
        parts = {e: at for e in graph.edges if e.dst not in whole and (at := _pool_ends(graph, e))}
        if not whole and not parts:
            return graph
        threshold = 1.0 if self.compare == ">=" else 0.5
        neuron = Neuron.of(self.rule, Firing(self.compare, "value"), threshold=threshold)
        nodes, edges = _split(graph, parts, neuron)
        pools = [*whole, *(n for n in nodes if n not in graph.nodes)]
        note = Diagnostic("SNN419", f"graph {shorten(graph.name)}", f"max pools: {', '.join(map(shorten, pools))}",
                          help="each is a population now, which fires when a spike reaches its window", severity="note")
        return graph.replace(nodes={n: neuron if n in whole else op for n, op in nodes.items()},
                             edges=tuple(_summing(e) if e.dst in pools else e for e in edges)).noting([note])


def _is_or(graph: Graph, name: str) -> bool:
    """Whether a population only passes on the largest of single spikes."""
    op, edges = graph.nodes[name], graph.edges_into[name]
    return isinstance(op, Neuron) and op.rule.name == "accumulator" and op.bias is None and len(edges) == 1 \
        and 0 < len(edges[0].chain) == _pool_ends(graph, edges[0])


def _pool_ends(graph: Graph, edge: Edge) -> int:
    """The number of operators up to the last max pool that is fed with single spikes; 0 without such a pool."""
    if not _is_binary(graph.nodes[edge.src]):
        return 0
    kept = next((i for i, op in enumerate(edge.chain) if not isinstance(op, KEEPS_SPIKES)), len(edge.chain))
    return max((i + 1 for i, op in enumerate(edge.chain[:kept]) if isinstance(op, MaxPool)), default=0)


def _split(graph: Graph, parts: Mapping[Edge, int], neuron: Neuron) -> tuple[dict[str, Op], list[Edge]]:
    """The nodes and edges with a population behind the max pools that begin a projection. Equal pools share one."""
    nodes: dict[str, Op] = dict(graph.nodes)
    edges: list[Edge] = []
    pooled: dict[tuple[str, int, tuple[Op, ...]], str] = {}
    for edge in graph.edges:
        first = edge.chain[:parts.get(edge, 0)]
        if not first:
            edges.append(edge)
            continue
        key = (edge.src, edge.delay, first)
        if key not in pooled:
            pooled[key] = fresh(f"{edge.src}.pool", nodes)
            nodes[pooled[key]] = neuron
            edges.append(Edge(edge.src, pooled[key], edge.delay, first))
        edges.append(Edge(pooled[key], edge.dst, 0, edge.chain[len(first):]))
    return nodes, edges


def _is_binary(source: Op) -> bool:
    """Whether a source sends 0 or 1 only."""
    if isinstance(source, Input):
        return source.values == "spike" and source.low >= 0 and source.high <= 1
    return isinstance(source, Neuron) and source.rule.spiking and source.firing.max_spikes == 1


def _summing(edge: Edge) -> Edge:
    """The edge with sum pools in place of max pools."""
    return dataclasses.replace(edge, chain=tuple(
        SumPool(o.kernel, o.stride, o.padding) if isinstance(o, MaxPool) else o for o in edge.chain))
