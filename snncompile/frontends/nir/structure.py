"""From nested NIR graphs to one flat list of delayed connections.

Three steps: `flatten` opens nested graphs, `contract` replaces pass-through nodes (the ends of nested graphs,
and delays) by connections, and `recur` gives every loop its delay. `data_order` sorts the nodes for the reader.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import networkx as nx

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.frontends.nir.file import MAX_EDGES, NirGraph, NirNode
from snncompile.ir.graph import unused


@dataclass(frozen=True)
class Wire:
    """A connection between two nodes that stay; `timed` when a Delay node of the file says its delay."""

    src: str
    dst: str
    delay: int = 0
    timed: bool = False


# --- nested graphs ---------------------------------------------------------------------------------------


@dataclass
class Scope:
    """One graph of the file while nested graphs are opened: its members, and where connections to it end."""

    path: str
    entries: dict[str, str | Scope] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Flat:
    """All nodes of a file under their full names, and the connections between them."""

    nodes: Mapping[str, NirNode]
    edges: tuple[tuple[str, str], ...]
    ends: frozenset[str]


def flatten(top: NirGraph, found: Collector) -> Flat:
    """Open all nested graphs. A member `lif` of a nested graph `rnn` becomes `rnn.lif`.

    Endpoints of edges may be members, `nested.member` in the parent, or full names inside a nested graph. Files
    exist in which one edge name and one unconnected node differ; these two are taken for the same, with a warning.
    """
    flattener = _Flattener(found)
    flattener.open(top, "")
    ends = frozenset(n for n, node in flattener.nodes.items()
                     if n in flattener.nested and node.type in ("Input", "Output"))
    return Flat(flattener.nodes, tuple(flattener.edges), ends)


class _Flattener:
    def __init__(self, found: Collector):
        self.found = found
        self.nodes: dict[str, NirNode] = {}
        self.nested: set[str] = set()
        self.edges: list[tuple[str, str]] = []

    def open(self, graph: NirGraph, path: str) -> Scope:
        scope = Scope(path)
        for name, node in graph.nodes.items():
            full = name if not path or name.startswith(path + ".") else f"{path}.{name}"
            if isinstance(node, NirGraph):
                scope.entries[name] = self.open(node, full)
                continue
            full = unused(full, self.nodes, first=1)
            self.nodes[full] = node
            if path:
                self.nested.add(full)
            scope.entries[name] = full
            if node.type in ("Input", "Output"):
                (scope.inputs if node.type == "Input" else scope.outputs).append(full)
        self.connect(graph, scope)
        return scope

    def connect(self, graph: NirGraph, scope: Scope) -> None:
        place = f"nested graph {shorten(scope.path)}" if scope.path else "the graph"
        for twice in sorted(e for e, n in _counts(graph.edges).items() if n > 1)[:5]:
            self.found.error("SNN201", _edge(*twice), "stands twice in the file", "one edge between two nodes")
        names = {end: _resolve(scope, end) for edge in graph.edges for end in edge}
        self.repair(names, scope, place)
        before = len(self.edges)
        for src, dst in graph.edges:
            sources = self.port(names[src], "outputs", src, _edge(src, dst))
            targets = self.port(names[dst], "inputs", dst, _edge(src, dst))
            self.edges += [(s, t) for s in sources for t in targets]
        if len(self.edges) > MAX_EDGES:
            fail("SNN205", place, f"more than {MAX_EDGES} connections")
        inside = self.edges[before:]
        scope.inputs = scope.inputs or _loose(scope, {dst for _, dst in inside})
        scope.outputs = scope.outputs or _loose(scope, {src for src, _ in inside})

    def repair(self, names: dict[str, str | Scope | None], scope: Scope, place: str) -> None:
        unknown = [n for n, entry in names.items() if entry is None]
        touched = {id(entry) if isinstance(entry, Scope) else entry for entry in names.values()}
        left = [n for n, e in scope.entries.items() if (id(e) if isinstance(e, Scope) else e) not in touched]
        if len(unknown) == len(left) == 1:
            names[unknown[0]] = scope.entries[left[0]]
            self.found.warn("SNN102", place, f"its edges name {shorten(unknown[0])}, which is not there, and none "
                            f"names its node {shorten(left[0])}", help="they were taken for the same node")
            return
        for name in unknown[:5]:
            self.found.error("SNN201", place, f"an edge names {shorten(name)}, which does not exist")

    def port(self, entry: str | Scope | None, side: str, name: str, place: str) -> list[str]:
        """The nodes at which a connection to or from an endpoint really ends."""
        if entry is None or isinstance(entry, str):
            return [] if entry is None else [entry]
        ports: list[str] = getattr(entry, side)
        if len(ports) != 1:
            self.found.error("SNN201", place, f"the nested graph {shorten(name)} has {len(ports)} {side}",
                             "exactly one, or an edge that names which", f"name one as {shorten(name + '.port')}")
            return []
        return ports


def _loose(scope: Scope, used: Collection[str]) -> list[str]:
    """The plain members of a graph that are not among those used."""
    return [n for n in scope.entries.values() if isinstance(n, str) and n not in used]


def _resolve(scope: Scope, name: str, full: bool = True) -> str | Scope | None:
    """What an endpoint of an edge names, seen from inside a graph; `full` allows it to be a full name."""
    if name in scope.entries:
        return scope.entries[name]
    for dot in (m.start() for m in re.finditer(r"\.", name)):
        inner = scope.entries.get(name[:dot])
        if isinstance(inner, Scope) and (entry := _resolve(inner, name[dot + 1:])) is not None:
            return entry
    if full and scope.path and name.startswith(scope.path + "."):
        return _resolve(scope, name[len(scope.path) + 1:], False)
    return None


def _counts(edges: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for edge in edges:
        counts[edge] = counts.get(edge, 0) + 1
    return counts


def _edge(src: str, dst: str) -> str:
    return f"edge {shorten(src)} -> {shorten(dst)}"


# --- pass-through nodes ----------------------------------------------------------------------------------


def contract(edges: Iterable[tuple[str, str]], passing: Mapping[str, int | None]) -> tuple[Wire, ...]:
    """Replace nodes that only pass on what they get by connections.

    Args:
        passing: the nodes to replace; the ticks that a Delay node holds back, None for the ends of nested graphs.

    Raises:
        CompileError: SNN301 for a loop of such nodes alone, SNN205 where the connections would multiply.
    """
    edges = tuple(edges)
    follow: dict[str, list[str]] = {name: [] for name in passing}
    for src, dst in edges:
        if src in follow:
            follow[src].append(dst)
    beyond: dict[str, list[Wire]] = {}
    total = 0
    for name in _inner_first(follow):
        ticks = passing[name]
        ends = [w for dst in follow[name] for w in beyond.get(dst) or ([] if dst in passing else [Wire("", dst)])]
        beyond[name] = [replace(w, delay=w.delay + (ticks or 0), timed=w.timed or ticks is not None) for w in ends]
        total += len(ends)
        if total > MAX_EDGES:
            fail("SNN205", f"node {shorten(name)}", f"more than {MAX_EDGES} connections lead through it")
    wires: list[Wire] = []
    for src, dst in edges:
        if src not in passing:
            wires += [replace(w, src=src) for w in beyond[dst]] if dst in passing else [Wire(src, dst)]
        if len(wires) > MAX_EDGES:
            fail("SNN205", _edge(src, dst), f"more than {MAX_EDGES} connections")
    return tuple(wires)


def _inner_first(follow: Mapping[str, list[str]]) -> list[str]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(follow)
    graph.add_edges_from((a, b) for a, after in follow.items() for b in after if b in follow)
    try:
        return list(nx.topological_sort(graph))[::-1]
    except nx.NetworkXUnfeasible:
        loop = next(c for c in nx.strongly_connected_components(graph) if len(c) > 1 or graph.has_edge(*list(c) * 2))
        fail("SNN301", f"node {shorten(min(loop))}", "a loop that holds nothing but delays and ends of nested graphs")


# --- loops -----------------------------------------------------------------------------------------------


def recur(wires: tuple[Wire, ...], names: Iterable[str], inputs: Collection[str],
          stateful: Collection[str]) -> tuple[Wire, ...]:
    """Give every loop without a Delay node one tick, where a recurrent layer has it.

    A depth-first walk from the inputs finds the backward connections. The tick goes not on those themselves but
    to the beginning of the way back: the connection that leaves the last neuron, so that the recurrent weights
    see the spikes of the step before, and their bias acts from the first step on.

    Raises:
        CompileError: SNN301 where a Delay node of no delay lies in a loop that has no other.
    """
    instant = [w for w in wires if w.delay == 0]
    names = sorted(names, key=natural)
    loops = _loop_of(instant, names)
    inside = [w for w in instant if loops[w.src] == loops[w.dst]]
    for wire in inside:
        if wire.timed:
            fail("SNN301", _edge(wire.src, wire.dst), "its Delay node says 0 ticks, and it lies in a loop",
                 "a loop must hold at least one delay of 1 tick or more")
    if not inside:
        return wires
    backward, finished = _walk(instant, [n for n in names if n in inputs] + names)
    late = _late(wires, loops, backward, finished, set(stateful) | {dst for _, dst in backward})
    return tuple(replace(w, delay=1) if w.delay == 0 and (w.src, w.dst) in late else w for w in wires)


def _loop_of(wires: Iterable[Wire], names: Iterable[str]) -> dict[str, int]:
    """A number for the loop that each node lies in, shared by nobody where it lies in none."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((w.src, w.dst) for w in wires)
    return {name: i for i, c in enumerate(nx.strongly_connected_components(graph)) for name in c}


def _walk(wires: Iterable[Wire], roots: Iterable[str]) -> tuple[set[tuple[str, str]], list[str]]:
    """Backward connections of a depth-first walk, and the nodes in the order in which it left them."""
    follow: dict[str, list[str]] = {}
    for wire in wires:
        follow.setdefault(wire.src, []).append(wire.dst)
    for followers in follow.values():
        followers.sort(key=natural)
    backward: set[tuple[str, str]] = set()
    finished: dict[str, None] = {}
    open_: set[str] = set()
    for root in roots:
        stack = [] if root in finished else [(root, iter(follow.get(root, ())))]
        while stack:
            node, rest = stack[-1]
            open_.add(node)
            after = next(rest, None)
            if after is None:
                stack.pop()
                open_.discard(node)
                finished[node] = None
            elif after in open_:
                backward.add((node, after))
            elif after not in finished:
                stack.append((after, iter(follow.get(after, ()))))
    return backward, list(finished)


def _late(wires: Iterable[Wire], loops: Mapping[str, int], backward: set[tuple[str, str]], finished: list[str],
          keeping: Collection[str]) -> set[tuple[str, str]]:
    """The connections to delay: backward ones, moved upstream through nodes that lead nowhere but back."""
    follow: dict[str, list[Wire]] = {}
    for wire in wires:
        follow.setdefault(wire.src, []).append(wire)
    returning: set[str] = set()

    def leads_back(wire: Wire) -> bool:
        return (wire.delay == 0 and loops[wire.src] == loops[wire.dst]
                and ((wire.src, wire.dst) in backward or wire.dst in returning))

    for node in finished:
        if node in follow and node not in keeping and all(map(leads_back, follow[node])):
            returning.add(node)
    return {(w.src, w.dst) for after in follow.values() for w in after if w.src not in returning and leads_back(w)}


# --- order -----------------------------------------------------------------------------------------------

_DIGITS = re.compile(r"([0-9]{1,15})")


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts `conv2` before `conv10`."""
    return tuple((0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p) for p in _DIGITS.split(name) if p)


def data_order(wires: Iterable[Wire], names: Iterable[str], inputs: Collection[str]) -> list[str]:
    """The nodes in the order of a tick; among equals, those nearer to an input first."""
    wires = tuple(wires)
    distance = _distances(wires, inputs)
    key = {n: (distance.get(n, len(wires) + 1), natural(n), n) for n in names}
    missing = dict.fromkeys(key, 0)
    follow: dict[str, list[str]] = {n: [] for n in key}
    for wire in wires:
        if wire.delay == 0:
            follow[wire.src].append(wire.dst)
            missing[wire.dst] += 1
    ready = [key[n] for n, count in missing.items() if count == 0]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        order.append(heapq.heappop(ready)[2])
        for after in follow[order[-1]]:
            missing[after] -= 1
            if missing[after] == 0:
                heapq.heappush(ready, key[after])
    return order


def _distances(wires: Iterable[Wire], inputs: Collection[str]) -> dict[str, int]:
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(inputs)
    graph.add_edges_from((w.src, w.dst) for w in wires)
    distance: dict[str, int] = {}
    for steps, layer in enumerate(nx.bfs_layers(graph, list(inputs))):
        distance.update(dict.fromkeys(layer, steps))
    return distance
