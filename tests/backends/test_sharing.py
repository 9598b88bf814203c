"""Rows that share memory: none is overwritten before it was read for the last time."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.backends.plan.plan import plan
from snncompile.backends.plan.sharing import lives, offsets
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.populations import Neuron
from tests.backends.exactness import random_case
from tests.passes.chains import integer, joined
from tests.strategies import random_graph

LIVES = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted).map(tuple)
ROWS = st.lists(st.tuples(LIVES, st.integers(1, 40), st.sampled_from([4, 8])), min_size=1, max_size=9)


@given(ROWS)
def test_what_is_needed_at_the_same_time_lies_apart(rows):
    alive = {f"r{i}": life for i, (life, _, _) in enumerate(rows)}
    sizes = {f"r{i}": (size, alignment) for i, (_, size, alignment) in enumerate(rows)}
    found = offsets(alive, sizes)
    assert found.keys() == sizes.keys()
    assert all(found[n] % sizes[n][1] == 0 for n in sizes)
    for a, b in combinations(sizes, 2):
        if set(range(alive[a][0], alive[a][1] + 1)) & set(range(alive[b][0], alive[b][1] + 1)):
            assert found[a] + sizes[a][0] <= found[b] or found[b] + sizes[b][0] <= found[a]


def test_a_chain_takes_the_largest_row():
    found = offsets({"x": (0, 2), "a": (3, 4), "b": (5, 6), "y": (7, math.inf)},
                    {"x": (64, 4), "a": (512, 4), "b": (256, 4), "y": (10, 4)})
    assert set(found.values()) == {0}


@pytest.mark.parametrize("seed", range(40))
def test_every_reader_finds_what_was_emitted_in_the_same_tick(seed):
    """A tick is played moment by moment: whoever reads finds the rows that it reads as they were written."""
    case = random_case(random_graph(5000 + seed), seed)
    found = plan(case.graph, case.rates, {}, max_lanes=0)
    sizes = {s.buffer.name: (s.buffer.size, 4) for s in found.sources}
    kept = {s.buffer.name for s in found.sources if s.history}
    at = offsets(lives(found), sizes)
    memory = [""] * sum(size + 8 for size, _ in sizes.values())
    for name in kept:
        memory[at[name]:at[name] + sizes[name][0]] = [name] * sizes[name][0]

    def write(name: str) -> None:
        memory[at[name]:at[name] + sizes[name][0]] = [name] * sizes[name][0]

    def read(name: str) -> None:
        assert set(memory[at[name]:at[name] + sizes[name][0]]) <= {name}, f"{name} is overwritten"

    for port in found.inputs:
        write(port.source.buffer.name)
    for population in found.populations:
        for projection in population.projections:
            read(projection.source.buffer.name)
        write(population.source.buffer.name)
    for name in (*(port.source.buffer.name for port in found.outputs), *kept):
        read(name)


def test_a_skip_keeps_what_it_reads():
    """x -> a -> b, and x -> b: what x sends is needed until b has read it; a and b may then lie in one place."""
    graph = joined({"a": Neuron.of("if"), "b": Neuron.of("if")}, Edge("x", "a"), Edge("a", "b"), Edge("x", "b"),
                   Edge("b", "y"))
    found: Graph = integer(graph)
    alive = lives(plan(found, {}, {}))
    assert alive == {"x": (0, 4), "a": (3, 4), "b": (5, math.inf)}
