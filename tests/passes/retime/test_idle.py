"""Which populations neither change nor fire without input, and how a counter lets the others wait."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.ranges import input_range
from snncompile.ir.rules import Firing
from snncompile.passes.retime.idle import holds_still, starts_idle, with_wait_counter, without_bias
from tests.passes.chains import integer
from tests.passes.retimed import SIZE, chain, wired
from tests.strategies import graphs


def one(neuron: Neuron) -> tuple[Graph, Population]:
    graph = wired(chain("x", "n", "y"), lambda: neuron)
    op = graph.nodes["n"]
    assert isinstance(op, Population)
    return graph, op


def still(neuron: Neuron) -> bool:
    graph, op = one(neuron)
    return holds_still(op, (SIZE,), input_range(graph, "n"))


VALUE, SUBTRACT = Firing(reset="value"), Firing()


@pytest.mark.parametrize(("neuron", "expected"), [
    (Neuron.of("if", VALUE, threshold=1.0), True),
    (Neuron.of("if", Firing(">", "value"), threshold=1.0), True),
    (Neuron.of("if", VALUE, threshold=np.linspace(0.5, 2, SIZE)), True),
    (Neuron.of("if", VALUE, threshold=1.0, v_reset=0.25), True),
    (Neuron.of("if", VALUE, threshold=1.0, v_reset=1.5), False),
    (Neuron.of("if", VALUE, threshold=1.0, bias=0.25), False),
    (Neuron.of("if", VALUE, threshold=-1.0), False),
    (Neuron.of("if", SUBTRACT, threshold=0.25), False),
    (Neuron.of("if", Firing(reset="value", when="before-decay"), threshold=1.0), False),
    (Neuron.of("lif", VALUE, decay=0.75, threshold=1.0), False),
    (Neuron.of("threshold", threshold=1.0), True),
    (Neuron.of("threshold", threshold=-1.0), False),
    (Neuron.of("accumulator"), True),
    (Neuron.of("integrator"), False),
], ids=str)
def test_a_population_holds_still_where_nothing_leaks_fires_or_waits(neuron: Neuron, expected: bool) -> None:
    assert still(neuron) is expected


@settings(max_examples=60)
@given(graphs(), st.integers(0, 9))
def test_what_is_said_to_hold_still_does(graph: Graph, seed: int) -> None:
    """Whatever state random input leads to, a tick without input changes and emits nothing."""
    whole = integer(graph)
    rng = np.random.default_rng(seed)
    x = {n: rng.integers(int(op.low), int(op.high) + 1, (2, 6, *op.shape)) for n, op in whole.inputs.items()}
    traces = run(whole, x, record=True, states=True)
    for name, op in whole.populations.items():
        assert isinstance(op, Population)
        if holds_still(op, whole.shapes[name], input_range(whole, name)):
            assert starts_idle(op, whole.shapes[name])
            for t in range(6):
                _unchanged(op, {n: v[:, t] for n, v in traces.states.get(name, {}).items()}, whole.shapes[name])


def _unchanged(op: Population, states: dict[str, Any], shape: tuple[int, ...]) -> None:
    from snncompile.ir.expr import evaluate

    output, after = evaluate(op.program, op.params, states, np.zeros((2, *shape), np.int64))
    assert not output.any()
    assert all(np.array_equal(after[n], v) for n, v in states.items())


@pytest.mark.parametrize(("neuron", "expected"), [
    (Neuron.of("lif", decay=0.75, threshold=1.0), True),
    (Neuron.of("lif", initial={"v": 0.5}, decay=0.75, threshold=1.0), False),
    (Neuron.of("if", initial={"v": 0.5}, threshold=1.0), True),
    (Neuron.of("if", initial={"v": 1.5}, threshold=1.0), False),
    (Neuron.of("lif", decay=0.75, threshold=1.0, bias=0.5), False),
], ids=str)
def test_a_population_starts_idle_where_its_first_state_stays(neuron: Neuron, expected: bool) -> None:
    assert starts_idle(one(neuron)[1], (SIZE,)) is expected


def test_a_waiting_population_acts_in_its_ticks_only():
    graph, op = one(Neuron.of("lif", initial={"v": 0.5}, decay=0.75, threshold=1.0, bias=0.5))
    late = graph.replace(nodes={**graph.nodes, "n": with_wait_counter(op, 2, 3)})
    x = np.random.default_rng(0).integers(0, 2, (2, 5, SIZE))
    spread = np.zeros((2, 15, SIZE), np.int64)
    spread[:, 2::3] = x
    wanted, waited = (run(g, v, record=True, states=True) for g, v in ((graph, x), (late, spread)))
    assert np.array_equal(waited.emitted["n"][:, 2::3], wanted.emitted["n"])
    assert np.array_equal(waited.states["n"]["v"][:, 2::3], wanted.states["n"]["v"])
    assert np.count_nonzero(waited.emitted["n"]) == np.count_nonzero(wanted.emitted["n"]) > 0


@pytest.mark.parametrize(("first", "period"), [(200, 3), (2, 201)])
def test_the_counter_is_wide_enough_for_the_first_wait_and_for_every_later_one(first: int, period: int) -> None:
    """200 takes 8 bits and a sign."""
    _, op = one(Neuron.of("lif", decay=0.75, threshold=1.0))
    assert with_wait_counter(op, first, period).states["wait"].bits == 9


def test_the_counter_takes_a_name_of_its_own():
    _, op = one(Neuron.of("lif", decay=0.75, threshold=1.0))
    assert set(with_wait_counter(with_wait_counter(op, 1, 1), 1, 1).states) == {"v", "wait", "wait_"}


def test_a_bias_comes_out_of_the_program_with_its_values():
    bias = np.linspace(0.25, 1, SIZE)
    graph, op = one(Neuron.of("lif", decay=0.75, threshold=1.0, bias=bias))
    parts = without_bias(op, (SIZE,))
    assert parts is not None
    bare, constant = parts
    assert np.array_equal(constant, op.params["bias"])
    assert "bias" not in bare.params
    x = np.random.default_rng(0).integers(0, 2, (2, 5, SIZE))
    assert not np.array_equal(run(graph.replace(nodes={**graph.nodes, "n": bare}), x).outputs["y"],
                              run(graph, x).outputs["y"])


def test_a_population_without_a_bias_has_none_to_give():
    assert without_bias(one(Neuron.of("lif", decay=0.75, threshold=1.0))[1], (SIZE,)) is None
    assert without_bias(one(Neuron.of("accumulator"))[1], (SIZE,)) is None
