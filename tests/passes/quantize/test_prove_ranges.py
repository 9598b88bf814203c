"""prove-ranges: what cannot act goes, what can stays, and no integer leaves 64 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.ir.expr import Expr, clip, flatten, maximum, minimum, select
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.operations import bit_width, width, within
from snncompile.ir.ops import Input, Linear, Output, Rectify, Scale
from snncompile.ir.populations import IntState, Neuron, Population
from snncompile.ir.ranges import intervals, population_ranges
from snncompile.ir.rules import Firing
from snncompile.ir.types import Stage
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.prove_ranges import ProveRanges
from snncompile.passes.quantize.quantize import Quantize
from tests.passes.chains import chain, integer, legal, ones, uncalibrated
from tests.strategies import Features, graphs, inputs_for

X, V, I = Expr("input"), Expr("state", (), "v"), Expr("state", (), "i")


def one(output: Expr, states: dict[str, Expr], bits: int = 16, low: int = 0, high: int = 1, chain: Any = (Scale(1),),
        initial: int = 0) -> Graph:
    """An INT graph of one population."""
    cell = Population(flatten(output, states), {}, {n: IntState(bits, initial) for n in states}, 1.0, -(1 << 30),
                      (1 << 30) - 1, True)
    nodes = {"x": Input((1,), "real", low=low, high=high), "n": cell, "y": Output()}
    return Graph("net", nodes, (Edge("x", "n", 0, chain), Edge("n", "y")), Stage.INT)


def proved(graph: Graph) -> Population:
    op = run_passes(graph, [ProveRanges()]).nodes["n"]
    assert isinstance(op, Population)
    return op


def kept(e: Expr, bits: int = 16) -> Expr:
    return clip(e, *width(bits))


def operations(op: Population) -> list[str]:
    return [s.op for s in op.program.steps]


# --- what goes -------------------------------------------------------------------------------------------

def test_a_loop_is_gone_round_again_when_what_it_brings_back_is_narrower():
    """`a` adds up what `b` sent it; `b`, which stands after it, turns out never to send anything."""
    v = kept(V + X, 24)
    a = Population(flatten(v, {"v": v}), {}, {"v": IntState(24)}, 1.0, -(1 << 23), 1 << 23, True)
    b = Population(flatten(minimum(maximum(X, 0), 0), {}), {}, {}, 1.0, -9, 9, True)
    nodes = {"x": Input((1,)), "a": a, "b": b, "y": Output()}
    graph = Graph("net", nodes, (Edge("x", "b"), Edge("a", "b"), Edge("b", "a", 1), Edge("b", "y")), Stage.INT)
    found = run_passes(graph, [ProveRanges()]).nodes["a"]
    assert isinstance(found, Population)
    assert found.states["v"].bits == 1
    assert (found.output_low, found.output_high) == (0, 0)


def test_a_clip_that_cannot_act_goes_and_the_state_narrows():
    """v' = v / 2 + x with x up to 10 never exceeds 20."""
    v = kept(Expr("shr", (V,), (1, "floor")) + X)
    found = proved(one(v, {"v": v}, high=10))
    assert operations(found) == ["state", "shr", "input", "add"]
    assert found.states["v"].bits == 6
    assert (found.output_low, found.output_high) == (0, 20)


def test_a_clip_that_can_act_stays():
    v = kept(V + X, 8)
    found = proved(one(v, {"v": v}, 8, low=-1))
    assert operations(found) == ["state", "input", "add", "const", "max", "const", "min"]
    assert found.states["v"].bits == 8
    v = kept(V + X, 8)
    one_sided = proved(one(v, {"v": v}, 8))
    assert operations(one_sided) == ["state", "input", "add", "const", "min"]


def test_a_wrap_goes_only_where_nothing_leaves_its_width():
    for high, left in ((60, False), (70, True)):
        v = Expr("wrap", (Expr("shr", (V,), (1, "zero")) + X,), 8)
        assert ("wrap" in operations(proved(one(v, {"v": v}, 8, high=high)))) == left


def test_choices_that_come_out_one_way_are_made():
    high = select(X >= 0, V, X)
    found = proved(one(high, {"v": kept(minimum(X, 5))}, high=9))
    assert "select" not in operations(found)
    low = select(X > 9, V, X)
    assert "select" not in operations(proved(one(low, {"v": kept(minimum(X, 5))}, high=9)))


def test_what_has_one_value_becomes_that_number():
    found = proved(one(maximum(X, 20) + X, {}, high=9))
    assert [s.value for s in found.program.steps if s.op == "const"] == [20]
    assert sorted(operations(found)) == ["add", "const", "input"]


def test_parameters_that_nothing_reads_go():
    graph = integer(chain(Linear(np.eye(4)), Neuron.of("if", v_min=-1000.0)), ones(1, 3, 4))
    assert set(graph.nodes["b"].params) == {"threshold"}


def test_a_first_value_outside_the_width_is_held_until_the_first_tick():
    v = kept(Expr("shr", (V,), (1, "floor")) + X, 8)
    found = proved(one(v, {"v": v}, 8, initial=1000))
    assert found.states["v"].bits == 11
    assert found.output_high == 127


# --- what is left proves itself -------------------------------------------------------------------------------

def coupled(high: int, first: int, second: int) -> Graph:
    """A filter before a membrane: the widths of both, together, may prove less than their ranges do."""
    i = kept(Expr("shr", (I * first,), (4, "floor")) + X)
    v = kept(Expr("shr", (V * second,), (4, "floor")) + i)
    return one(v, {"i": i, "v": v}, high=high)


@given(st.integers(1, 4000), st.integers(0, 15), st.integers(0, 15))
def test_widths_alone_prove_the_program(high: int, first: int, second: int) -> None:
    found = proved(coupled(high, first, second))
    states = {n: width(s.bits) for n, s in found.states.items()}
    steps = intervals(found.program, found.params, states, (0, high))
    assert all(within(steps[i], states[n]) for n, i in found.program.next_state)


def test_where_ranges_prove_more_than_widths_the_clips_stay():
    """i stays below 5 and v below 8, but an i of 4 bits, up to 7, would let v grow to 14."""
    graph = coupled(2, 11, 9)
    assert population_ranges(graph, "n").states == {"i": (0, 4), "v": (0, 7)}
    found = proved(graph)
    assert {n: s.bits for n, s in found.states.items()} == {"i": 4, "v": 5}


def test_ranges_that_were_widened_too_far_come_back():
    """Leaps overshoot. A sum that stops at 1000, and a current that keeps 4095 parts of 4096, have narrower ranges."""
    assert population_ranges(one(V, {"v": minimum(V + X, 1000)}, 30, high=3), "n").states == {"v": (0, 1000)}
    slow = Expr("shr", (V * 4095,), (12, "floor")) + X
    low, high = population_ranges(one(V, {"v": slow}, 30, high=3), "n").states["v"]
    reached = 0
    for _ in range(100_000):
        reached = (reached * 4095 >> 12) + 3
    assert low == 0
    assert reached <= high < 1 << reached.bit_length()


@given(graphs(Features(layers=3)))
def test_proving_again_changes_nothing_that_is_computed(graph: Graph) -> None:
    once = integer(graph)
    twice = run_passes(once, [ProveRanges()])
    x = inputs_for(once)
    before, after = run(once, x, record=True), run(twice, x, record=True)
    for name, emitted in before.emitted.items():
        np.testing.assert_array_equal(emitted, after.emitted[name])


@given(graphs(Features(layers=3)))
def test_it_computes_what_the_quantized_graph_computes(graph: Graph) -> None:
    formed = legal(graph)
    raw = run_passes(formed, [Quantize()]) if _without_graded_loops(formed) else integer(graph)
    tight = run_passes(raw, [ProveRanges()])
    x = inputs_for(raw)
    before, after = run(raw, x, record=True, states=True), run(tight, x, record=True, states=True)
    for name, states in before.states.items():
        np.testing.assert_array_equal(before.emitted[name], after.emitted[name])
        for state, values in states.items():
            np.testing.assert_array_equal(values, after.states[name][state])


def _without_graded_loops(graph: Graph) -> bool:
    loops = [c for c in graph.components if len(c) > 1 or graph.loops(c[0])]
    return not any(isinstance(op, Neuron) and not op.rule.spiking for c in loops for op in map(graph.nodes.get, c))


# --- 64 bits ----------------------------------------------------------------------------------------------------

def refusal(graph: Graph) -> list[tuple[str, str]]:
    with pytest.raises(CompileError) as caught:
        proved(graph)
    return [(d.code, d.place) for d in caught.value.diagnostics]


HUGE = [("SNN402", 'population "n"')]


def test_an_intermediate_beyond_64_bits_is_refused():
    v = kept(X * X * X, 32)
    assert refusal(one(v, {}, high=1 << 25)) == HUGE
    assert "mul" in operations(proved(one(v, {}, high=1 << 20)))


def test_a_sum_of_synapses_beyond_64_bits_is_refused():
    wide = Linear(np.full((1, 1), 32767, np.int16))
    assert refusal(one(minimum(X, 0), {}, high=1 << 30, chain=(wide, wide, wide))) == HUGE


def test_a_value_beyond_64_bits_inside_a_projection_is_refused_though_little_of_it_arrives():
    wide = Linear(np.full((1, 1), -32767, np.int16))
    twice = Linear(np.full((1, 1), 32767, np.int16))
    assert refusal(one(minimum(X, 0), {}, high=1 << 30, chain=(wide, twice, twice, Rectify()))) == HUGE


def test_rounding_has_room_for_what_it_adds():
    v = kept(Expr("shr", (X * (1 << 31),), (20, "nearest")), 32)
    assert refusal(one(v, {}, high=1 << 31)) == HUGE
    assert proved(one(v, {}, high=(1 << 31) - 1)).output_high == (1 << 31) - 1


def test_a_state_without_a_clip_is_refused():
    assert refusal(one(V + X, {"v": V + X})) == HUGE


def test_every_population_that_overflows_is_named():
    cell = one(kept(X * X * X, 32), {}, high=1 << 25).nodes["n"]
    nodes = {"x": Input((1,), "real", low=0, high=1 << 25), "n": cell, "m": cell, "y": Output(), "z": Output()}
    edges = [Edge("x", n, 0, (Scale(1),)) for n in ("n", "m")] + [Edge("n", "y"), Edge("m", "z")]
    assert refusal(Graph("net", nodes, tuple(edges), Stage.INT)) == [*HUGE, ("SNN402", 'population "m"')]


def test_many_spikes_of_wide_weights_fit():
    graph = uncalibrated(chain(Linear(np.eye(4)), Neuron.of("lif", Firing(max_spikes=None), decay=0.999)),
                         weight_bits=16, spike_bits=16, membrane_bits=32, decay_bits=24)
    assert graph.stage == Stage.INT


@pytest.mark.parametrize(("interval", "bits"), [
    ((0, 0), 1), ((-1, 0), 1), ((0, 1), 2), ((-2, 1), 2), ((-3, 1), 3), ((0, 127), 8), ((-128, 127), 8),
    ((-129, 0), 9), ((3, 3), 3), ((4, 4), 4), ((-1, -1), 1),
])
def test_the_width_of_an_interval(interval, bits):
    assert bit_width(interval) == bits
    assert within(interval, width(bits))
    assert bits == 1 or not within(interval, width(bits - 1))
