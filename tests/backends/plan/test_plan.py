"""The plan of a program: exact ranges, lifetimes, sums that share a factor, and no syntax of any language."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import snncompile.backends.plan as package
from snncompile.backends.c.emit import emit, memory
from snncompile.backends.c.host import Host, compiler
from snncompile.backends.c.lower import lower
from snncompile.backends.plan.buffers import Buffer, Lifetime, storage
from snncompile.backends.plan.plan import plan
from snncompile.ir.interp import run
from snncompile.ir.ranges import input_range, population_ranges, simplified
from tests.backends.exactness import Case, random_case
from tests.strategies import random_graph

C_WORDS = re.compile(r"\b(int\d+_t|uint\d+_t|size_t|restrict|sizeof|memset|net->)")


def case_of(seed: int) -> Case:
    return random_case(random_graph(seed), seed)


@pytest.mark.parametrize("path", sorted(Path(package.__file__).parent.rglob("*.py")), ids=lambda p: p.name)
def test_no_syntax_of_c_stands_in_the_plan(path):
    assert not C_WORDS.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("seed", range(12))
def test_sums_stay_in_the_ranges_of_their_buffers(seed):
    graph = case_of(seed).graph
    planned = plan(graph, {}, {})
    names = {p.source.label: p for p in planned.populations}
    for name in graph.populations:
        update = names[name].update
        low, high = input_range(graph, name)
        assert update.input_range[0] <= low
        assert high <= update.input_range[1]


@pytest.mark.parametrize("seed", range(12))
def test_programs_have_the_proved_ranges_and_no_clip_that_never_acts(seed):
    graph = case_of(seed).graph
    for population in plan(graph, {}, {}).populations:
        update, name = population.update, population.source.label
        program, proved = graph.population(name).program, population_ranges(graph, name)
        assert update.ranges[update.program.output] == proved.steps[program.output]
        assert [(n, update.ranges[i]) for n, i in update.program.next_state] == [
            (n, proved.steps[i]) for n, i in program.next_state]
        assert set(update.ranges) <= set(proved.steps)
        assert simplified(update.program, update.ranges) == update.program


def test_a_buffer_knows_its_exact_bits():
    assert [Buffer("b", "o", 1, low, high, Lifetime.STATE).bits for low, high in
            [(0, 1), (-1, 0), (-8, 7), (0, 255), (-300, 5)]] == [2, 1, 4, 9, 10]
    assert storage(-300, 5) == np.int16


def test_projections_with_the_same_multiplier_share_their_sums():
    graph = case_of(3).graph
    for population in plan(graph, {}, {}).populations:
        numbers = [a.factor for a in population.update.accumulators if a.factors is None]
        assert len(numbers) == len(set(numbers))


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("seed", range(4))
def test_the_memory_that_is_told_is_that_of_the_emitted_struct(seed):
    """For a chunk of one tick the struct holds states, sums, scratch and rows, and what alignment adds."""
    case = case_of(seed)
    net = lower(plan(case.graph, case.rates, {}), "t")
    told = memory(net)["total_one_tick"]
    host = Host.of(case.graph, case.rates, ("-std=c99", "-O0", "-fPIC", "-shared", "-DSNN_COUNT"), chunk=1)
    size = getattr(host.library, f"{host.interface.prefix}_size")()
    counters = 8 * max(len(net.populations), 1)
    members = 4 * (len(net.sources) + sum(len(p.states) + len(p.accumulators) for p in net.populations) + 4)
    assert told <= size - counters <= told + 8 * members
    assert emit(case.graph, rates=case.rates).sizes_bytes["total_one_tick"] == told


def test_the_interpreter_is_what_a_plan_must_match():
    case = case_of(0)
    assert run(case.graph, case.x).outputs.keys() == {p.label for p in plan(case.graph, {}, {}).outputs}
