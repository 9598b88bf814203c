"""What interval analysis proves is true: nothing that the interpreter computes lies outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.ir import interp
from snncompile.ir.expr import Program, evaluate
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Population
from snncompile.ir.ranges import edge_range, input_range, intervals, population_ranges, source_range
from tests.backends.exactness import random_case
from tests.programs import random_program
from tests.strategies import random_graph


@pytest.mark.parametrize("seed", range(60))
def test_every_intermediate_stays_in_its_proven_range(seed, monkeypatch):
    case = random_case(random_graph(seed), seed)
    ranges = {id(op.program): population_ranges(case.graph, name) for name, op in case.graph.populations.items()
              if isinstance(op, Population)}
    seen = []

    def watched(program, params, states, x):
        proven = ranges[id(program)]
        assert proven.x[0] <= x.min()
        assert x.max() <= proven.x[1]
        for name, value in states.items():
            assert proven.states[name][0] <= value.min(), name
            assert value.max() <= proven.states[name][1], name
        for i, (low, high) in enumerate(proven.steps):
            value = evaluate(Program(program.steps, i, ()), params, states, x)[0]
            assert low <= value.min(), program.steps[i]
            assert value.max() <= high, program.steps[i]
            seen.append(i)
        return evaluate(program, params, states, x)

    monkeypatch.setattr(interp, "evaluate", watched)
    interp.run(case.graph, case.x)
    assert seen or not ranges


@pytest.mark.parametrize("seed", range(20))
def test_what_arrives_stays_in_its_proven_range(seed):
    case = random_case(random_graph(seed), seed)
    for name, emitted in case.wanted.emitted.items():
        low, high = source_range(case.graph, name)
        assert low <= emitted.min()
        assert emitted.max() <= high
        parts = [edge_range(case.graph, e) for e in case.graph.edges_into[name]]
        assert input_range(case.graph, name) == (sum(p[0] for p in parts), sum(p[1] for p in parts))


@pytest.mark.parametrize("seed", range(20))
def test_the_claim_holds_by_induction(seed):
    """The states' ranges hold the first values, and one step from inside leads inside."""
    case = random_case(random_graph(seed), seed)
    for name, op in case.graph.populations.items():
        assert isinstance(op, Population)
        proven = population_ranges(case.graph, name)
        steps = intervals(op.program, op.params, proven.states, proven.x)
        for state, i in op.program.next_state:
            assert proven.states[state][0] <= steps[i][0]
            assert steps[i][1] <= proven.states[state][1]


@given(st.integers(0, 1 << 20))
def test_every_operation_stays_in_its_interval(seed):
    case = random_program(seed)
    x, states = case.samples(seed, 12)
    for step, values, (low, high) in zip(case.program.steps, case.values(x, states), case.ranges, strict=True):
        assert low <= values.min(), step
        assert values.max() <= high, step


@given(st.integers(0, 1 << 20))
def test_an_interval_of_one_value_is_that_value(seed):
    """Where everything that is read is known, intervals are as exact as evaluation; but wraps are only bounded."""
    case = random_program(seed)
    x, states = case.samples(seed, 1)
    params = {**case.params, "each": int(case.params["each"][0])}
    known = {name: (int(v[0, 0]), int(v[0, 0])) for name, v in states.items()}
    found = intervals(case.program, params, known, (int(x[0, 0]), int(x[0, 0])))
    rough: set[int] = set()
    for i, (step, values) in enumerate(zip(case.program.steps, case.values(x, states), strict=True)):
        if step.op == "wrap" or rough & set(step.args):
            rough.add(i)
        else:
            assert found[i] == (values[0, 0], values[0, 0]), step


def test_bounds_of_wide_values_do_not_wrap_around():
    """Sums beyond 64 bits, of weights times a range of 60 bits, are still known exactly."""
    layer = Linear(np.array([[30000, 30000, 30000], [0, 1, 5]], np.int16))
    assert layer.bounds(-(1 << 40), 1 << 60) == (-90000 << 40, 90000 << 60)
