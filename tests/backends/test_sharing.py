"""Rows that share memory: none is overwritten before it was read for the last time."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.backends.plan.plan import plan
from snncompile.backends.plan.sharing import lives, offsets
from snncompile.ir.graph import Edge
from snncompile.ir.populations import Neuron
from tests.backends.exactness import random_case
from tests.passes.chains import integer, joined
from tests.strategies import random_graph

LIVES = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted).map(tuple)
ROWS = st.lists(st.tuples(LIVES, st.integers(1, 40), st.sampled_from([4, 8])), min_size=1, max_size=9)


@given(ROWS)
def test_what_is_needed_at_the_same_time_lies_apart(rows):
    alive = {("rows", f"r{i}"): life for i, (life, _, _) in enumerate(rows)}
    sizes = {("rows", f"r{i}"): (size, alignment) for i, (_, size, alignment) in enumerate(rows)}
    found = offsets(alive, sizes)
    assert found.keys() == sizes.keys()
    assert all(found[n] % sizes[n][1] == 0 for n in sizes)
    for a, b in combinations(sizes, 2):
        if set(range(alive[a][0], alive[a][1] + 1)) & set(range(alive[b][0], alive[b][1] + 1)):
            assert found[a] + sizes[a][0] <= found[b] or found[b] + sizes[b][0] <= found[a]


def test_a_chain_takes_the_largest_part():
    x, a, b, y = (("rows", name) for name in "xaby")
    found = offsets({x: (0, 2), a: (3, 4), b: (5, 6), y: (7, math.inf)},
                    {x: (64, 4), a: (512, 4), b: (256, 4), y: (10, 4)})
    assert set(found.values()) == {0}


@pytest.mark.parametrize("seed", range(40))
def test_every_reader_finds_what_was_written_in_the_same_tick(seed):
    """A tick is played, part by part: all that a projection or update reads is still as it was written."""
    case = random_case(random_graph(5000 + seed), seed)
    found = plan(case.graph, case.rates, {}, max_lanes=0)
    sizes = {part: (3 + len(part[1]) * 5 % 7, 4) for part in lives(found)}
    at = offsets(lives(found), sizes)
    memory: list[object] = [None] * (max(at[p] + sizes[p][0] for p in sizes) + 1)

    def place(part: tuple[str, str]) -> slice:
        return slice(at[part], at[part] + sizes[part][0])

    def write(*part: str) -> None:
        memory[place(part)] = [part] * sizes[part][0]

    def read(*part: str) -> None:
        assert set(memory[place(part)]) == {part}, f"{part} is overwritten"

    kept = [s.buffer.name for s in found.sources if s.history]
    for name in [*kept, *(port.source.buffer.name for port in found.inputs)]:
        write("rows", name)
    for population in found.populations:
        own = population.source.buffer.name
        moving = ["sums"] * (not population.standing)
        for part in moving:
            write(part, own)
        for projection in population.projections:
            write("scratch", projection.name)
            read("rows", projection.source.buffer.name)
            read("scratch", projection.name)
            for part in moving:
                read(part, own)
        write("rows", own)
        for part in moving:
            read(part, own)
    for name in [*kept, *(port.source.buffer.name for port in found.outputs)]:
        read("rows", name)


def test_a_skip_keeps_what_it_reads():
    """x -> a -> b, and x -> b: what x sends is needed until b has read it. Then b may lie there."""
    graph = joined({"a": Neuron.of("if"), "b": Neuron.of("if")}, Edge("x", "a"), Edge("a", "b"), Edge("x", "b"),
                   Edge("b", "y"))
    found = plan(integer(graph), {}, {})
    alive = lives(found)
    assert {name: life for (kind, name), life in alive.items() if kind == "rows"} == {
        "x": (0, 4), "a": (2, 3), "b": (5, math.inf)}
    assert {name: life for (kind, name), life in alive.items() if kind == "sums"} == {"a": (1, 2), "b": (3, 5)}
    (scratch,) = (life for (kind, name), life in alive.items() if (kind, name[0]) == ("scratch", "a"))
    assert scratch == (1, 1)
