"""Turns nested NIR graphs into one flat list of delayed connections.

There are three steps. `nested.flatten` replaces nested graphs by their nodes. `contract` replaces nodes that only pass
values on (Delay nodes, and the Input and Output nodes of nested graphs) by connections. `recur` gives loops a delay.
`data_order` sorts the nodes, so that a graph is listed from its inputs to its outputs.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import networkx as nx

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.nir.file import MAX_EDGES
from snncompile.frontends.nir.nested import edge_name


@dataclass(frozen=True)
class Wire:
    """A connection between two nodes.

    Attributes:
        delay: in ticks.
        timed: whether a Delay node of the file gives the delay.
    """

    src: str
    dst: str
    delay: int = 0
    timed: bool = False


# --- pass-through nodes ----------------------------------------------------------------------------------


def contract(edges: Iterable[tuple[str, str]], passing: Mapping[str, int | None]) -> tuple[Wire, ...]:
    """Replace nodes that only pass values on by connections.

    For edges a -> d and d -> b, where d delays by 3 ticks, the result is one connection a -> b of delay 3.

    Args:
        passing: the nodes to replace. The value is the delay of a Delay node in ticks, and None for an Input or Output
            node of a nested graph.

    Raises:
        CompileError: SNN301 for a loop of such nodes alone, SNN205 where there would be too many connections.
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
            fail("SNN205", edge_name(src, dst), f"more than {MAX_EDGES} connections")
    return tuple(wires)


def _inner_first(follow: Mapping[str, list[str]]) -> list[str]:
    """The keys in an order in which each comes after the keys that follow it. Raises SNN301 for loops."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(follow)
    graph.add_edges_from((a, b) for a, after in follow.items() for b in after if b in follow)
    try:
        return list(nx.topological_sort(graph))[::-1]
    except nx.NetworkXUnfeasible:
        loop = next(c for c in nx.strongly_connected_components(graph) if len(c) > 1 or graph.has_edge(*list(c) * 2))
        fail("SNN301", f"node {shorten(min(loop))}", "it lies in a loop of nothing but Delay, Input and Output nodes")


# --- loops -----------------------------------------------------------------------------------------------


def recur(wires: tuple[Wire, ...], names: Iterable[str], inputs: Collection[str],
          stateful: Collection[str]) -> tuple[Wire, ...]:
    """Give every loop without a delay a delay of one tick, at the place where recurrent layers have it.

    A depth-first walk from the inputs finds the backward connections. The delay is not put on these, but on the
    connection behind the last neuron, at which the way back begins: in the loop lif -> w -> lif, entered at lif, not on
    w -> lif but on lif -> w. So the recurrent weights see the spikes of the tick before, and their bias acts from the
    first tick on.

    Args:
        names: all nodes.
        inputs: the nodes at which the walk begins.
        stateful: the neurons.

    Raises:
        CompileError: SNN301 where a Delay node of 0 ticks lies in a loop without another delay.
    """
    instant = [w for w in wires if w.delay == 0]
    names = sorted(names, key=natural)
    loops = _loop_of(instant, names)
    inside = [w for w in instant if loops[w.src] == loops[w.dst]]
    for wire in inside:
        if wire.timed:
            fail("SNN301", edge_name(wire.src, wire.dst), "its Delay node has 0 ticks, and its loop no other delay",
                 "at least one delay of 1 tick or more in every loop")
    if not inside:
        return wires
    backward, finished = _walk(instant, [n for n in names if n in inputs] + names)
    late = _late(wires, loops, backward, finished, set(stateful) | {dst for _, dst in backward})
    return tuple(replace(w, delay=1) if w.delay == 0 and (w.src, w.dst) in late else w for w in wires)


def loops_of(wires: Iterable[Wire], names: Iterable[str]) -> list[set[str]]:
    """The nodes of each loop, of connections of any delay; nodes that lie in several loops join them to one."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((w.src, w.dst) for w in wires)
    return [c for c in nx.strongly_connected_components(graph) if len(c) > 1 or all(graph.has_edge(n, n) for n in c)]


def _loop_of(wires: Iterable[Wire], names: Iterable[str]) -> dict[str, int]:
    """A number for each node, which two nodes share if and only if they lie in a loop together."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((w.src, w.dst) for w in wires)
    return {name: i for i, c in enumerate(nx.strongly_connected_components(graph)) for name in c}


def _walk(wires: Iterable[Wire], roots: Iterable[str]) -> tuple[set[tuple[str, str]], list[str]]:
    """The backward connections of a depth-first walk, and the nodes in the order in which the walk left them."""
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
    """The connections to delay.

    They are the backward connections, moved upstream past every node all of whose outgoing connections lead back.

    Args:
        loops: the number of each node's loop.
        backward: the backward connections.
        finished: the nodes in the order in which the walk left them.
        keeping: nodes past which nothing is moved.
    """
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
    """The nodes in an order in which a tick can compute them; where that leaves a choice, nodes near an input first."""
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
    """For every node that an input reaches, the number of connections on the shortest path."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(inputs)
    graph.add_edges_from((w.src, w.dst) for w in wires)
    distance: dict[str, int] = {}
    for steps, layer in enumerate(nx.bfs_layers(graph, list(inputs))):
        distance.update(dict.fromkeys(layer, steps))
    return distance
