"""Cycles of a network that are too quick: their delays add up to less than hardware needs for their hops.

A loop of three projections with a delay of 1 in all needs three ticks where a hop takes one. Delays have to be
multiplied by 3 before there is time for it:

>>> loop = [Edge("a", "b"), Edge("b", "c"), Edge("c", "a", 1)]
>>> [cycle.dilation(1) for cycle in quickest_cycles(loop, 1)]
[3]
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.ir.graph import Edge
from snncompile.ir.types import Array


@dataclass(frozen=True)
class Cycle:
    """Projections that lead back to where the first one began. The one with the longest delay is last."""

    edges: tuple[Edge, ...]

    @property
    def delay(self) -> int:
        """The sum of the delays, in ticks of the network."""
        return sum(e.delay for e in self.edges)

    def dilation(self, hop_ticks: int) -> int:
        """The least whole number that delays must be multiplied by so that there is time for every hop.

        No cycle of a graph has a delay of 0.
        """
        return -(-hop_ticks * len(self.edges) // self.delay)


def quickest_cycles(edges: Iterable[Edge], hop_ticks: int) -> list[Cycle]:
    """One cycle for each part of the network that has any: the one that needs the largest dilation.

    Parts are strongly connected components. Every cycle that is too quick for a dilation gives the next dilation to
    try, until none is too quick. That is the minimum ratio of delay and hops by Lawler's method, with the ratio of the
    last cycle in place of bisection.
    """
    edges = tuple(edges)
    if hop_ticks == 0 or all(e.delay == 0 for e in edges):  # every cycle has a delay
        return []
    return [_quickest(part, hop_ticks) for part in _parts(edges)]


def _parts(edges: Sequence[Edge]) -> list[list[Edge]]:
    """The edges inside each strongly connected component that has any."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    number, (src, dst) = _numbered(edges)
    net = coo_array((np.ones(len(edges)), (src, dst)), (len(number), len(number)))
    part = connected_components(net, connection="strong")[1]
    parts: dict[int, list[Edge]] = {}
    for edge, a, b in zip(edges, src, dst, strict=True):
        if part[a] == part[b]:
            parts.setdefault(int(part[a]), []).append(edge)
    return list(parts.values())


def _numbered(edges: Sequence[Edge]) -> tuple[dict[str, int], tuple[Array, Array]]:
    """A number for each node, and the numbers of the sources and of the targets of the edges."""
    number: dict[str, int] = {}
    ends = [[number.setdefault(n, len(number)) for n in (e.src, e.dst)] for e in edges]
    src, dst = np.array(ends).T
    return number, (src, dst)


def _quickest(edges: Sequence[Edge], hop_ticks: int) -> Cycle:
    """The cycle that needs the largest dilation.

    With a cost of `dilation * delay - hop_ticks` for each edge, a cycle is too quick if its cost is negative.
    """
    number, (src, dst) = _numbered(edges)
    delay = np.array([e.delay for e in edges], np.int64)
    dilation, quickest = 0, Cycle(())
    while True:
        cycle = _negative_cycle(len(number), src, dst, dilation * delay - hop_ticks)
        if not cycle:
            return quickest
        quickest = _ended([edges[i] for i in cycle])
        dilation = quickest.dilation(hop_ticks)


def _ended(edges: list[Edge]) -> Cycle:
    """The edges as a cycle that ends with its longest delay."""
    last = max(range(len(edges)), key=lambda i: edges[i].delay)
    return Cycle((*edges[last + 1:], *edges[:last + 1]))


def _negative_cycle(nodes: int, src: Array, dst: Array, cost: Array) -> list[int]:
    """The positions of the edges of a cycle with a negative cost; empty where there is none.

    Bellman and Ford's relaxation, for all edges at a time. `parent` holds the edge that last made a node's distance
    shorter; these edges contain a cycle some time after distances around a negative cycle began to shrink. They are
    searched after 1, 2, 4, ... rounds.
    """
    order = np.argsort(dst, kind="stable")
    src, dst, cost = src[order], dst[order], cost[order]
    ends, starts = np.unique(dst, return_index=True)
    distance, parent = np.zeros(nodes, np.int64), np.full(nodes, -1)
    look = 1
    for k in range(1, nodes + 2):
        through = distance[src] + cost
        best = np.minimum.reduceat(through, starts)
        better = best < distance[ends]
        if not better.any():
            return []
        improved = ends[better]
        distance[improved] = best[better]
        shortest = np.flatnonzero(through == distance[dst])
        changed = shortest[np.isin(dst[shortest], improved)]
        parent[dst[changed]] = changed
        if k >= look or k > nodes:
            look = 2 * k
            cycle = _cycle_of(parent, src)
            if cycle:
                return [int(order[i]) for i in cycle]
    raise AssertionError("distances still shrink, and no cycle makes them")


def _cycle_of(parent: Array, src: Array) -> list[int]:
    """The edges of a cycle among the `parent` edges of the nodes, -1 standing for none; empty without a cycle."""
    visited = np.zeros(len(parent), np.int64)
    for root in range(len(parent)):
        node, walk = root, []
        while parent[node] >= 0 and not visited[node]:
            visited[node] = root + 1
            walk.append(node)
            node = int(src[parent[node]])
        if parent[node] >= 0 and visited[node] == root + 1:
            loop = walk[walk.index(node):]
            return [int(parent[n]) for n in reversed(loop)]
    return []
