"""The reference interpreter: against the naive one, and in what it promises about time, chunks and dtypes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile import reference
from snncompile.ir.expr import Expr, evaluate, flatten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run, with_bias
from snncompile.ir.ops import Identity, Input, Linear, Output, SumPool
from snncompile.ir.populations import IntState, Neuron, Population
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array, Stage
from tests.naive import run_naive
from tests.strategies import LIBRARY, graphs, inputs_for, random_graphs


def frames(*ticks: Any) -> Array:
    """One sample of the given ticks."""
    return np.asarray(ticks, float)[None]


def chain(*nodes: tuple[str, Any], **options: Any) -> Graph:
    """A line from `x` through the nodes to `y`."""
    names = ["x", *(n for n, _ in nodes), "y"]
    edges = tuple(Edge(a, b) for a, b in pairwise(names))
    return Graph("g", {"x": Input((1,), "real"), **dict(nodes), "y": Output()}, edges, **options)


@settings(max_examples=150)
@given(graphs(LIBRARY), st.integers(0, 1000))
def test_every_node_gives_what_the_naive_interpreter_gives(graph, seed):
    _agrees(graph, seed)


@pytest.mark.parametrize("rule", LIBRARY.rules)
def test_each_rule_with_all_its_options_gives_what_the_naive_interpreter_gives(rule):
    for seed, graph in random_graphs(0, 40, features=replace(LIBRARY, rules=(rule,), layers=3)):
        _agrees(graph, seed)


def _agrees(graph: Graph, seed: int) -> None:
    x = inputs_for(graph, seed, samples=2, ticks=6)
    traces = run(graph, x, record=graph.nodes)
    for name, expected in run_naive(graph, x).items():
        found = traces.emitted[name]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=name)


@settings(max_examples=50)
@given(graphs())
def test_samples_do_not_see_each_other(graph):
    x = inputs_for(graph, samples=3, ticks=5)
    together = run(graph, x, record=True, states=True)
    for i in range(3):
        alone = run(graph, {n: v[i:i + 1] for n, v in x.items()}, record=True, states=True)
        for name in graph.outputs:
            np.testing.assert_allclose(alone.outputs[name][0], together.outputs[name][i], rtol=1e-12, atol=1e-12)
        for name, states in alone.states.items():
            for state, values in states.items():
                np.testing.assert_allclose(values[0], together.states[name][state][i], rtol=1e-12, atol=1e-12)


@settings(max_examples=50)
@given(graphs())
def test_the_past_does_not_depend_on_the_future(graph):
    x = inputs_for(graph, samples=2, ticks=6)
    whole = run(graph, x)
    for ticks in (0, 1, 4):
        part = run(graph, {n: v[:, :ticks] for n, v in x.items()})
        for name in graph.outputs:
            np.testing.assert_allclose(part.outputs[name], whole.outputs[name][:, :ticks], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("delay", [0, 1, 3, 9])
def test_a_delayed_edge_yields_zeros_at_first(delay):
    graph = Graph("g", {"x": Input((1,), "real"), "y": Output()}, (Edge("x", "y", delay),))
    out = run(graph, frames([1], [2], [3], [4])).outputs["y"].ravel()
    assert out.tolist() == [0] * min(delay, 4) + [1, 2, 3, 4][:max(4 - delay, 0)]


@pytest.mark.parametrize("loop", [False, True])
def test_a_bias_in_a_projection_is_delayed_with_it(loop):
    """The zeros of the first ticks come after the operators, not before them."""
    biased = (Linear(np.array([[1.0]]), np.array([10.0])),)
    edges = [Edge("x", "n", 2, biased), Edge("n", "y")] + ([Edge("n", "n", 1, (Linear(np.zeros((1, 1))),))] * loop)
    graph = Graph("g", {"x": Input((1,), "real"), "n": Neuron.of("accumulator"), "y": Output()}, tuple(edges),
                  Stage.LEGAL)
    assert run(graph, frames([1], [2], [3], [4])).outputs["y"].ravel().tolist() == [0, 0, 11, 12]


def test_a_bias_of_an_operator_node_acts_from_the_first_tick():
    graph = Graph("g", {"x": Input((1,), "real"), "fc": Linear(np.array([[1.0]]), np.array([10.0])), "y": Output()},
                  (Edge("x", "fc", 2), Edge("fc", "y")))
    assert run(graph, frames([1], [2], [3])).outputs["y"].ravel().tolist() == [10, 10, 11]


@pytest.mark.parametrize("delay", [1, 2])
def test_a_neuron_that_feeds_itself_hears_itself_later(delay):
    graph = Graph("g", {"x": Input((1,)), "n": Neuron.of("threshold"), "y": Output()},
                  (Edge("x", "n"), Edge("n", "n", delay), Edge("n", "y")))
    x = frames([1], [0], [0], [0], [0])
    assert run(graph, x).outputs["y"].ravel().tolist() == [int(t % delay == 0) for t in range(5)]


def test_a_spike_circles_a_loop_of_several_nodes():
    """x -> a -> b -> c -> a, one delay of 2 in all: the spike passes every node at every second tick."""
    nodes = {"x": Input((1,)), "a": Neuron.of("threshold"), "b": Identity(), "c": Neuron.of("if"), "y": Output()}
    graph = Graph("g", nodes, (Edge("x", "a"), Edge("a", "b"), Edge("b", "c"), Edge("c", "a", 2), Edge("c", "y")))
    assert run(graph, frames([1], [0], [0], [0])).outputs["y"].ravel().tolist() == [1, 0, 1, 0]


def test_edges_into_a_node_are_summed_even_twice_from_the_same_source():
    graph = Graph("g", {"x": Input((1,), "real"), "y": Output()}, (Edge("x", "y"), Edge("x", "y"), Edge("x", "y", 1)))
    assert run(graph, frames([1], [10])).outputs["y"].ravel().tolist() == [2, 21]


def test_a_single_array_feeds_every_input():
    graph = Graph("g", {"a": Input((1,)), "b": Input((1,)), "y": Output()}, (Edge("a", "y"), Edge("b", "y", 1)))
    assert run(graph, frames([1], [0])).outputs["y"].ravel().tolist() == [1, 1]


def test_only_what_was_asked_for_is_recorded():
    graph = chain(("a", Neuron.of("if")), ("b", Neuron.of("lif")))
    x = frames([1], [1])
    assert set(run(graph, x).emitted) == set()
    assert reference.run(graph, x).emitted == run(graph, x).emitted == {}
    assert set(run(graph, x, record=True).emitted) == {"a", "b"}
    assert set(run(graph, x, record=["b"]).emitted) == {"b"}
    assert run(graph, x, record=True).states == {}
    assert set(run(graph, x, record=["b"], states=True).states) == {"b"}


def test_states_are_those_after_each_tick():
    graph = chain(("n", Neuron.of("if")))
    traces = run(graph, frames([0.5], [0.75], [0]), record=True, states=True)
    assert traces.states["n"]["v"].ravel().tolist() == [0.5, 0.25, 0.25]


@pytest.mark.parametrize("loop", [False, True])
def test_no_ticks_give_empty_results_of_the_right_shape(loop):
    edges = (Edge("x", "n"), Edge("n", "y"), *((Edge("n", "n", 1),) if loop else ()))
    graph = Graph("g", {"x": Input((2, 3)), "n": Neuron.of("lif"), "y": Output()}, edges)
    traces = run(graph, np.zeros((4, 0, 2, 3)), record=True, states=True)
    assert traces.outputs["y"].shape == traces.emitted["n"].shape == traces.states["n"]["v"].shape == (4, 0, 2, 3)


def test_no_samples_give_empty_results():
    graph = chain(("n", Neuron.of("lif")))
    assert run(graph, np.zeros((0, 5, 1))).outputs["y"].shape == (0, 5, 1)


def test_arithmetic_is_in_the_dtype_asked_for():
    graph = chain(("n", Neuron.of("li", decay=0.1)))
    x = frames([1.0], [0.0], [0.0])
    single = run(graph, x, dtype=np.float32).outputs["y"]
    assert single.dtype == np.float32
    assert single[0, 1, 0] == np.float32(0.1)
    assert run(graph, x).outputs["y"][0, 1, 0] == 0.1


def test_inputs_are_not_changed_by_a_run():
    graph = Graph("g", {"x": Input((2,), "real"), "y": Output()}, (Edge("x", "y"), Edge("x", "y")))
    x = np.ones((1, 3, 2))
    run(graph, x)
    assert (x == 1).all()


def counter(low: int, high: int) -> Population:
    """Adds its input to a state and emits the state."""
    total = Expr("state", (), "v") + Expr("input")
    return Population(flatten(total, {"v": total}), {}, {"v": IntState(16, 2)}, output_low=low, output_high=high)


def test_integer_graphs_run_in_integers():
    graph = Graph("g", {"x": Input((2,)), "n": counter(0, 99), "y": Output()},
                  (Edge("x", "n", chain=(Linear(np.array([[3, -1], [1, 1]], np.int8)),)), Edge("n", "y")), Stage.INT)
    out = run(graph, np.array([[[1, 0], [1, 1]]], np.int8), record=True, states=True)
    assert out.outputs["y"].tolist() == [[[5, 3], [7, 5]]]
    assert out.outputs["y"].dtype.kind in "iu"
    assert out.states["n"]["v"].tolist() == [[[5, 3], [7, 5]]]


def test_what_a_population_emits_is_wide_enough_when_it_is_summed():
    """Outputs are kept in few bits between ticks; sums over them are not."""
    graph = Graph("g", {"x": Input((1, 4)), "n": counter(0, 200), "y": Output()},
                  (Edge("x", "n"), Edge("n", "y", chain=(SumPool((4,), (4,), ((0, 0),)),)), Edge("n", "y", 1, (
                      SumPool((4,), (4,), ((0, 0),)),))), Stage.INT)
    assert run(graph, np.full((1, 2, 1, 4), 90)).outputs["y"].ravel().tolist() == [368, 368 + 728]


def test_adding_a_bias_to_a_program_shifts_its_input():
    x = Expr("input")
    program = with_bias(flatten(x * x, {"last": x}))
    out, states = evaluate(program, {"bias": 2}, {}, np.array([3.0]))
    assert (out[0], states["last"][0]) == (25, 5)


def test_per_channel_parameters_reach_their_channel():
    neuron = Neuron.of("if", Firing(reset="none"), threshold=np.array([1.0, 2.0]).reshape(2, 1))
    graph = Graph("g", {"x": Input((2, 2), "real"), "n": neuron, "y": Output()}, (Edge("x", "n"), Edge("n", "y")))
    assert run(graph, np.full((1, 1, 2, 2), 1.5)).outputs["y"].tolist() == [[[[1, 1], [0, 0]]]]
