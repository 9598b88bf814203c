"""`verify`: checks that a graph is well-formed and keeps the rules of its stage. It runs after every pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from snncompile.diagnostics import Collector, Diagnostic, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import AvgPool, Input, Output
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import BIAS
from snncompile.ir.types import Stage
from snncompile.ir.wellformed import faults

MAX_NODES = 100_000
MAX_NEURONS = 1 << 31
"""The largest sum of the sizes of all nodes: values in a tick."""
MAX_DELAY = 1 << 16
"""The longest delay of an edge in ticks."""


def findings(graph: Graph) -> tuple[Diagnostic, ...]:
    """The problems of a graph; empty where there are none.

    A check that relies on others is made only where these show no problem: attributes are not checked while edges are
    wrong, and shapes are not checked while there is any other problem.
    """
    problems = Collector()
    if len(graph.nodes) > MAX_NODES:
        problems.error("SNN205", f"graph {shorten(graph.name)}", f"{len(graph.nodes)} nodes", f"at most {MAX_NODES}")
        return problems.errors
    _check_edges(graph, problems)
    if problems.errors:
        return problems.errors
    new = list(_unchecked(graph))
    _check_attributes(new, problems)
    if problems.errors:
        return problems.errors
    _check_cycles(graph, problems)
    _check_stage(graph, problems)
    _check_numbers(new, problems)
    if not problems.errors:
        _check_shapes(graph, problems)
    return problems.errors


def verify(graph: Graph) -> Graph:
    """Check a graph and return it. Raises `CompileError` with all its problems."""
    Collector(list(findings(graph))).finish()
    return graph


def _check_edges(graph: Graph, problems: Collector) -> None:
    nodes = graph.nodes
    if not _joins_nodes(graph):
        _add_wrong_edges(graph, problems)
    if problems.errors:
        return
    for name, edges in graph.edges_into.items():
        if bool(edges) is not isinstance(nodes[name], Input):
            continue
        if edges:
            problems.error("SNN201", f"input {shorten(name)}", "edges lead into it")
        else:
            problems.error("SNN201", f"node {shorten(name)}", "nothing leads into it", help="remove it, or connect it")
    for name in graph.outputs:
        if graph.edges_from[name]:
            problems.error("SNN201", f"output {shorten(name)}", "edges lead out of it")
    for what, ends in (("input", graph.inputs), ("output", graph.outputs)):
        if not ends:
            problems.error("SNN201", f"graph {shorten(graph.name)}", f"it has no {what}", "at least one")


def _joins_nodes(graph: Graph) -> bool:
    """Whether names are ASCII text, and edges join nodes with delays that are allowed: quick, and nearly always so."""
    nodes, edges = graph.nodes, graph.edges
    delays = {e.delay for e in edges if type(e.delay) is int}
    return all(type(n) is str for n in nodes) and "".join(nodes).isascii() and all(
        type(e.chain) is tuple and type(e.delay) is int for e in edges) and {
        e.src for e in edges}.union(e.dst for e in edges) <= nodes.keys() and (
        not delays or 0 <= min(delays) <= max(delays) <= MAX_DELAY)


def _add_wrong_edges(graph: Graph, problems: Collector) -> None:
    nodes = graph.nodes
    for name in nodes:
        if not _is_text(name):
            problems.error("SNN201", f"node {shorten(name)}", "a name that is not text")
    for edge in graph.edges:
        if not isinstance(edge.delay, int | np.integer) or not isinstance(edge.chain, tuple):
            problems.error("SNN201", f"edge {shorten(edge.label)}", f"delay {shorten(edge.delay)}, chain of type "
                           f"{type(edge.chain).__name__}", "a whole number of ticks, and a tuple of operators")
            continue
        if edge.src in nodes and edge.dst in nodes and 0 <= edge.delay <= MAX_DELAY:
            continue
        for end in (edge.src, edge.dst):
            if end not in nodes:
                problems.error("SNN201", f"edge {shorten(edge.label)}", f"node {shorten(end)} does not exist")
        if not 0 <= edge.delay <= MAX_DELAY:
            problems.error("SNN201", f"edge {shorten(edge.label)}", f"delay {edge.delay}", f"0 to {MAX_DELAY} ticks")


def _is_text(name: object) -> bool:
    return isinstance(name, str) and (name.isascii() or name.encode("utf-8", "replace").decode() == name)


_Placed = tuple[str, str, Op]
"""An operator behind its place: "node" or "edge", and the name of that."""
_SOUND = "_sound"
"""What an operator remembers once it was checked and is right. It never changes, and need not be checked again."""


def _check_attributes(new: Iterable[_Placed], problems: Collector) -> None:
    for kind, name, op in new:
        _add_faults(op, f"{kind} {shorten(name)}", problems)


def expect_attributes(op: Op, net: str) -> None:
    """Refuse an operator of a net whose attributes are wrong, before it is asked for a shape.

    Raises:
        CompileError: SNN203 with each wrong attribute.
    """
    if getattr(op, _SOUND, False):
        return
    problems = Collector()
    _add_faults(op, f"net {shorten(net)}, {op.kind()}", problems)
    problems.finish()


def _add_faults(op: Op, place: str, problems: Collector) -> None:
    for fault in faults(op):
        problems.error("SNN203", f"{place}, {fault.attribute}", fault.found, fault.expected)


def _unchecked(graph: Graph) -> Iterator[_Placed]:
    """The operators that were not checked before."""
    for name, op in graph.nodes.items():
        if not getattr(op, _SOUND, False):
            yield "node", name, op
    for edge in graph.edges:
        for op in edge.chain:
            if not getattr(op, _SOUND, False):
                yield "edge", edge.label, op


def _check_cycles(graph: Graph, problems: Collector) -> None:
    if len(graph.tick_order) < len(graph.nodes):
        cycle = instant_cycle(graph)
        path = " -> ".join(shorten(n, 30) for n in [*cycle, cycle[0]])
        problems.error("SNN301", path, f"{len(cycle)} edges of delay 0 form a loop",
                    "a loop must hold at least one edge of delay 1 or more",
                    "give the backward edge a delay of 1: what a recurrent layer means")


def instant_cycle(graph: Graph) -> list[str]:
    """The names of the nodes of a loop of edges with delay 0, in its order; an empty list where there is none.

    It is found by a depth-first search, without recursion, since loops may be long. A node has color 1 while it is on
    the path of the search, and 2 when everything behind it was searched.
    """
    follow = {n: [e.dst for e in graph.edges_from[n] if e.delay == 0] for n in graph.nodes}
    color: dict[str, int] = {}
    for root in follow:
        path: list[str] = []
        stack = [(root, iter(follow[root]))] if root not in color else []
        while stack:
            node, rest = stack[-1]
            if color.get(node, 0) == 0:
                color[node] = 1
                path.append(node)
            following = next(rest, None)
            if following is None:
                color[node] = 2
                path.pop()
                stack.pop()
            elif color.get(following, 0) == 1:
                return path[path.index(following):]
            elif color.get(following, 0) == 0:
                stack.append((following, iter(follow[following])))
    return []


ENDS = (Input, Output)
ALLOWED: dict[Stage, tuple[type[Op], ...]] = {
    Stage.LEGAL: (*ENDS, Neuron),
    Stage.INT: (*ENDS, Population),
    Stage.MAPPED: (*ENDS, Population),
}


def _check_stage(graph: Graph, problems: Collector) -> None:
    for edge in graph.edges:
        for op in edge.chain:
            if isinstance(op, (*ENDS, Neuron, Population)):
                problems.error("SNN204", f"edge {shorten(edge.label)}", f"{op.kind()} in a projection",
                            "operators without a state of their own")
            elif graph.stage == Stage.FLOAT:
                problems.error("SNN204", f"edge {shorten(edge.label)}", f"{op.kind()} on an edge of a FLOAT graph",
                            "operators are nodes until populations are formed")
            elif getattr(op, "bias", None) is not None:
                problems.error("SNN204", f"edge {shorten(edge.label)}", f"{op.kind()} with a bias in a projection",
                            "biases belong to the population that they reach")
    if graph.stage == Stage.FLOAT:
        for name, op in graph.nodes.items():
            if isinstance(op, Population):
                problems.error("SNN204", f"node {shorten(name)}", "an integer population in a FLOAT graph")
        return
    for name, op in graph.nodes.items():
        if not isinstance(op, ALLOWED[graph.stage]):
            problems.error("SNN204", f"node {shorten(name)}", f"operator {op.kind()} in a graph of stage "
                        f"{graph.stage.name}", "inputs, populations and outputs; operators stand in projections")
    if graph.stage >= Stage.INT:
        for edge in graph.edges:
            for op in edge.chain:
                if _is_real(op):
                    problems.error("SNN204", f"edge {shorten(edge.label)}",
                                f"{op.kind()} with real numbers in an INT graph")


def _is_real(op: Op) -> bool:
    """Whether an operator holds or makes real numbers."""
    values = [value for _, value in op.attributes()]
    return isinstance(op, AvgPool) or any(isinstance(v, float) for v in values) or any(
        isinstance(v, np.ndarray) and v.dtype.kind == "f" for v in values)


def _check_numbers(new: Iterable[_Placed], problems: Collector) -> None:
    for kind, name, op in new:
        before = len(problems.found)
        for attribute, value in op.numbers():
            if isinstance(value, float) and not math.isfinite(value):
                problems.error("SNN203", f"{kind} {shorten(name)}, {attribute}", str(value), "a finite number")
            elif isinstance(value, np.ndarray) and value.dtype.kind == "f" and not np.isfinite(value).all():
                problems.error("SNN203", f"{kind} {shorten(name)}, {attribute}",
                               f"{int((~np.isfinite(value)).sum())} of {value.size} values are NaN or infinite",
                               "finite numbers")
        if isinstance(op, Neuron):
            _check_neuron(f"{kind} {shorten(name)}", op, problems)
        if len(problems.found) == before:
            op.__dict__[_SOUND] = True


def _check_neuron(place: str, op: Neuron, problems: Collector) -> None:
    unknown = set(op.params) - set(op.rule.params) - {BIAS}
    if unknown:
        problems.error("SNN203", place, f"parameters {sorted(unknown)}", f"{op.rule.name} has {sorted(op.rule.params)}")
    missing = {n for n, q in op.rule.params.items() if q.default is not None} - set(op.params)
    if missing:
        problems.error("SNN203", place, f"no value for {sorted(missing)}")
    late = op.rule.spiking and op.firing.waits
    if late and not (unknown or missing) and op.traced.states and "spike" not in op.traced.states:
        problems.error("SNN203", place, f"reset {op.firing.when!r}", f"{op.rule.name} resets in the same step only")
    several = op.rule.spiking and op.firing.max_spikes != 1
    threshold = op.threshold
    if several and threshold is not None and isinstance(threshold, (int, float, np.ndarray)) and np.min(threshold) <= 0:
        problems.error("SNN203", f"{place}, threshold", f"{np.min(threshold)}",
                    "above 0, since several spikes a step are allowed")


def _check_shapes(graph: Graph, problems: Collector) -> None:
    try:
        shapes = graph.infer_shapes()
        for name, edges in graph.edges_into.items():
            if len(edges) == 1:  # its shape is that of the node, or nothing reaches it
                continue
            arriving = {graph.arriving(e) for e in edges if e.src in shapes}
            if len(arriving) > 1:
                problems.error("SNN202", f"node {shorten(name)}", f"edges deliver {sorted(map(list, arriving))}",
                            "edges into one node are summed, so their shapes must be equal")
    except ShapeError as e:
        problems.error("SNN202", e.place, e.found, e.expected)
        return
    for name in graph.nodes:
        if name not in shapes:
            problems.error("SNN201", f"node {shorten(name)}", "no input reaches it")
    if sum(math.prod(shape) for shape in shapes.values()) > MAX_NEURONS:
        problems.error("SNN205", f"graph {shorten(graph.name)}", "too many values a tick", f"at most {MAX_NEURONS}")
