"""Cycles of a network that are too quick: with less delay than hardware needs for their hops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.ir.graph import Edge
from snncompile.ir.types import Array


@dataclass(frozen=True)
class Cycle:
    """Projections that lead back to where they began, a backward link last."""

    edges: tuple[Edge, ...]

    @property
    def delay(self) -> int:
        return sum(e.delay for e in self.edges)

    def dilation(self, hop_ticks: int) -> int:
        """By how much delays must be multiplied until there is time for every hop; no cycle has a delay of 0."""
        return -(-hop_ticks * len(self.edges) // self.delay)


def quickest_cycles(edges: Iterable[Edge], hop_ticks: int) -> list[Cycle]:
    """Of every part of the network that holds a cycle, one that needs the most dilation.

    Starting from a dilation of 1, each cycle that is still too quick gives the next dilation to try: a minimum
    ratio by Lawler's method, with the found ratio in place of bisection.
    """
    return [_quickest(part, hop_ticks) for part in _parts(tuple(edges))] if hop_ticks else []


def _parts(edges: Sequence[Edge]) -> list[list[Edge]]:
    """The edges inside each strongly connected part that has any."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not edges:
        return []
    number, (src, dst) = _numbered(edges)
    net = coo_array((np.ones(len(edges)), (src, dst)), (len(number), len(number)))
    part = connected_components(net, connection="strong")[1]
    found: dict[int, list[Edge]] = {}
    for edge, a, b in zip(edges, src, dst, strict=True):
        if part[a] == part[b]:
            found.setdefault(int(part[a]), []).append(edge)
    return list(found.values())


def _numbered(edges: Sequence[Edge]) -> tuple[dict[str, int], tuple[Array, Array]]:
    number: dict[str, int] = {}
    ends = [[number.setdefault(n, len(number)) for n in (e.src, e.dst)] for e in edges]
    src, dst = np.array(ends).T
    return number, (src, dst)


def _quickest(edges: Sequence[Edge], hop_ticks: int) -> Cycle:
    number, (src, dst) = _numbered(edges)
    delay = np.array([e.delay for e in edges], np.int64)
    dilation, found = 0, Cycle(())
    while True:
        cycle = _negative_cycle(len(number), src, dst, dilation * delay - hop_ticks)
        if not cycle:
            return found
        found = _ended([edges[i] for i in cycle])
        dilation = found.dilation(hop_ticks)


def _ended(edges: list[Edge]) -> Cycle:
    """The cycle from where its longest delay leads to."""
    last = max(range(len(edges)), key=lambda i: edges[i].delay)
    return Cycle((*edges[last + 1:], *edges[:last + 1]))


def _negative_cycle(nodes: int, src: Array, dst: Array, cost: Array) -> list[int]:
    """The edges of a cycle of negative cost, or nothing: Bellman and Ford's relaxation, all edges at a time."""
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
    """The edges of a cycle among those that each node was last reached by."""
    seen = np.zeros(len(parent), np.int64)
    for root in range(len(parent)):
        node, walk = root, []
        while parent[node] >= 0 and not seen[node]:
            seen[node] = root + 1
            walk.append(node)
            node = int(src[parent[node]])
        if parent[node] >= 0 and seen[node] == root + 1:
            loop = walk[walk.index(node):]
            return [int(parent[n]) for n in reversed(loop)]
    return []
