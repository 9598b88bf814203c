"""Cycles that are too quick: found, and the worst of them."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.ir.graph import Edge
from snncompile.passes.retime.cycles import quickest_cycles

LINKS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 4)), max_size=14)


def worst(edges: list[Edge], hop: int) -> int:
    """The dilation that the worst simple cycle needs, by trying all of them."""
    net: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    for i, e in enumerate(edges):
        net.add_edge(e.src, e.dst, key=i, delay=e.delay)
    quickest: nx.DiGraph[str] = nx.DiGraph()
    for a, b in {(e.src, e.dst) for e in edges}:
        quickest.add_edge(a, b, delay=min(d["delay"] for d in net[a][b].values()))
    found = 0
    for nodes in nx.simple_cycles(quickest):
        delay = sum(quickest[a][b]["delay"] for a, b in zip(nodes, [*nodes[1:], nodes[0]], strict=True))
        found = max(found, -(-hop * len(nodes) // delay))
    return found


@given(LINKS, st.integers(1, 3))
def test_the_worst_cycle_is_the_one_that_trying_all_of_them_finds(links: list[tuple[int, int, int]], hop: int) -> None:
    edges = [Edge(str(a), str(b), d) for a, b, d in links]
    found = quickest_cycles(edges, hop)
    assert max((c.dilation(hop) for c in found), default=0) == worst(edges, hop)
    for cycle in found:
        ends = [(e.src, e.dst) for e in cycle.edges]
        assert all(a[1] == b[0] for a, b in itertools.pairwise([*ends, ends[0]]))
        assert len({a for a, _ in ends}) == len(ends)


def test_networks_without_cycles_have_none():
    assert quickest_cycles([], 1) == []
    assert quickest_cycles([Edge("a", "b"), Edge("b", "c"), Edge("a", "c")], 1) == []


def test_each_part_gives_one_cycle():
    loops = [Edge("a", "b"), Edge("b", "a", 2), Edge("b", "c"), Edge("c", "c", 1)]
    assert [[e.label for e in c.edges] for c in quickest_cycles(loops, 1)] in (
        [["a -> b", "b -> a"], ["c -> c"]], [["b -> a", "a -> b"], ["c -> c"]])


@pytest.mark.parametrize("nodes", [2000])
def test_a_long_cycle_among_thousands_of_nodes_is_found(nodes: int) -> None:
    rng = np.random.default_rng(0)
    edges = [Edge(str(i), str((i + 1) % nodes), int(i == nodes - 1)) for i in range(nodes)]
    edges += [Edge(str(i), str(j), 3) for i, j in rng.integers(0, nodes, (nodes, 2)) if i > j]
    cycle, = quickest_cycles(edges, 1)
    assert cycle.dilation(1) == nodes
