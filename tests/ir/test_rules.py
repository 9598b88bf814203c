"""Neuron rules: what each library rule computes, what each firing does, and what a rule's author may rely on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.ir.expr import evaluate
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import Traces, run
from snncompile.ir.library import RULES
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Count, Firing, Membrane, Real, charge, discharge, neuron_rule
from snncompile.ir.types import Array


def simulate(neuron: Neuron, x: Any) -> Traces:
    """One neuron on one input sequence."""
    values = np.asarray(x, float).reshape(1, -1, 1)
    graph = Graph("one", {"x": Input((1,), "real", -99, 99), "n": neuron, "y": Output()},
                  (Edge("x", "n"), Edge("n", "y")))
    return run(graph, values, record=True, states=True)


def spikes(neuron: Neuron, x: Any) -> list[int]:
    return [int(s) for s in simulate(neuron, x).emitted["n"].ravel()]


def membrane(neuron: Neuron, x: Any, state: str = "v") -> list[float]:
    return [float(v) for v in simulate(neuron, x).states["n"][state].ravel()]


def pulse(height: float, ticks: int = 4) -> list[float]:
    return [height, *[0.0] * (ticks - 1)]


# --- what a firing fixes ---------------------------------------------------------------------------------

def test_soft_reset_pays_out_a_large_input_over_several_ticks():
    """The sequence SpikingJelly's IFNode(v_reset=None) gives."""
    assert spikes(Neuron.of("if"), pulse(3.5)) == [1, 1, 1, 0]


def test_hard_reset_forgets_what_was_above_the_threshold():
    """The sequence SpikingJelly's IFNode(v_reset=0.0) gives."""
    assert spikes(Neuron.of("if", Firing(reset="value")), pulse(3.5)) == [1, 0, 0, 0]


def test_without_reset_a_neuron_keeps_firing():
    neuron = Neuron.of("if", Firing(reset="none"))
    assert spikes(neuron, pulse(1.5)) == [1, 1, 1, 1]
    assert membrane(neuron, pulse(1.5)) == [1.5] * 4


@pytest.mark.parametrize(("compare", "expected"), [(">=", [1, 0]), (">", [0, 0])])
def test_the_comparison_decides_at_the_threshold_itself(compare, expected):
    assert spikes(Neuron.of("if", Firing(compare)), pulse(1.0, 2)) == expected


def test_a_reset_to_a_value_goes_to_that_value():
    assert membrane(Neuron.of("if", Firing(reset="value"), v_reset=-0.25), pulse(2.0)) == [-0.25] * 4


def test_next_step_reset_before_decay_keeps_the_input():
    """snnTorch's Leaky with reset_mechanism="zero" on a constant 1.2."""
    neuron = Neuron.of("lif", Firing(">", "value", "before-decay"), decay=0.9)
    assert spikes(neuron, [1.2] * 4) == [1, 1, 1, 1]
    assert membrane(neuron, [1.2] * 4) == [1.2] * 4


def test_next_step_reset_that_drops_the_input_loses_every_second_spike():
    """snnTorch's Synaptic(alpha=0) with reset_mechanism="zero" on a constant 1.2."""
    neuron = Neuron.of("cubalif", Firing(">", "value", "drop-input"), decay=0.9, decay_syn=0.0)
    assert spikes(neuron, [1.2] * 4) == [1, 0, 1, 0]


def test_snntorch_leaky_subtracts_one_tick_late_and_after_the_decay():
    """`m' = beta m + x - r threshold` with `r` the last tick's spike."""
    x = [2.0, 2.0, 0.0, 0.0]
    assert membrane(Neuron.of("lif", Firing(">", "subtract", "after-decay"), decay=0.5), x) == [2, 2, 0, 0]


def test_a_subtraction_before_the_decay_is_itself_decayed():
    x = [2.0, 2.0, 0.0, 0.0]
    assert membrane(Neuron.of("lif", Firing(">", "subtract", "before-decay"), decay=0.5), x) == [2, 2.5, 0.75, 0.375]


def test_a_reset_to_a_value_after_the_decay_is_not_decayed():
    firing = Firing(">", "value", "after-decay")
    assert membrane(Neuron.of("lif", firing, decay=0.5, v_reset=0.5), pulse(2.0)) == [2, 0.5, 0.25, 0.125]


def test_a_reset_to_a_value_before_the_decay_is_decayed():
    firing = Firing(">", "value", "before-decay")
    assert membrane(Neuron.of("lif", firing, decay=0.5, v_reset=0.5), pulse(2.0)) == [2, 0.25, 0.125, 0.0625]


@pytest.mark.parametrize(("limit", "expected"), [(1, [1, 1, 1, 1]), (3, [3, 2, 0, 0]), (None, [5, 0, 0, 0])])
def test_spikes_per_step_are_limited_and_the_rest_waits(limit, expected):
    assert spikes(Neuron.of("if", Firing(max_spikes=limit)), pulse(5.25)) == expected


def test_several_spikes_count_strict_crossings_under_strict_comparison():
    assert spikes(Neuron.of("if", Firing(">", max_spikes=None)), pulse(3.0)) == [2, 0, 0, 0]
    assert spikes(Neuron.of("if", Firing(">=", max_spikes=None)), pulse(3.0)) == [3, 0, 0, 0]


def test_a_negative_membrane_never_gives_a_negative_count():
    assert spikes(Neuron.of("if", Firing(max_spikes=None)), pulse(-3.5)) == [0, 0, 0, 0]


def test_v_min_holds_the_membrane_up():
    assert membrane(Neuron.of("if", v_min=-1.0), [-5.0, 0.5]) == [-1.0, -0.5]


def test_initial_states_and_bias_act_from_the_first_tick():
    assert membrane(Neuron.of("if", initial={"v": 0.5}, bias=0.125), [0.0, 0.0]) == [0.625, 0.75]


def test_a_remembered_spike_can_be_an_initial_state():
    neuron = Neuron.of("if", Firing(">", "subtract", "after-decay"), initial={"v": 1.5, "spike": 1})
    assert membrane(neuron, [0.0, 0.0]) == [0.5, 0.5]


@given(st.lists(st.integers(-64, 192), min_size=1, max_size=12), st.sampled_from([1, 3, None]))
def test_soft_reset_without_leak_loses_no_charge(x, limit):
    """Input in, threshold times spikes out, and the rest on the membrane."""
    traces = simulate(Neuron.of("if", Firing(max_spikes=limit)), [n / 64 for n in x])
    assert sum(x) / 64 == traces.emitted["n"].sum() + traces.states["n"]["v"][0, -1, 0]


# --- the library's formulas ------------------------------------------------------------------------------

@pytest.fixture
def drive() -> Array:
    return np.random.default_rng(7).uniform(-0.6, 1.4, 60)


def test_lif_leaks_before_it_adds(drive):
    v, expected = 0.0, []
    for x in drive:
        v = 0.75 * v + 1.5 * x
        expected.append(v >= 1)
        v -= v >= 1
    assert spikes(Neuron.of("lif", decay=0.75, gain=1.5), drive) == expected


def test_plif_learns_its_time_constant_through_a_sigmoid(drive):
    """SpikingJelly's ParametricLIFNode: `h = v + (x - v) sigmoid(w)`, hard reset to 0."""
    rate = 1 / (1 + np.exp(-0.4))
    v, expected = 0.0, []
    for x in drive * 2:
        v = v + (x - v) * rate
        expected.append(v >= 1)
        v = 0.0 if v >= 1 else v
    assert sum(expected) > 3
    assert spikes(Neuron.of("plif", Firing(reset="value"), w=0.4), drive * 2) == expected


def test_plif_with_a_gain_does_not_scale_its_input_by_the_rate():
    assert membrane(Neuron.of("plif", w=0.0, gain=1.0), [0.5, 0.5]) == [0.5, 0.75]


def test_cubalif_filters_its_input_first(drive):
    i = v = 0.0
    expected = []
    for x in drive:
        i = 0.5 * i + x
        v = 0.75 * v + i
        expected.append(v >= 1.5)
        v = 0.0 if v >= 1.5 else v
    neuron = Neuron.of("cubalif", Firing(reset="value"), decay=0.75, decay_syn=0.5, threshold=1.5)
    assert spikes(neuron, drive) == expected


def test_cubalif_can_decay_its_current_after_adding(drive):
    """norse's LIFCell: the membrane sees the sum before it decays."""
    i = v = 0.0
    expected = []
    for x in drive:
        jump = i + 2 * x
        v = 0.5 * v + 0.25 * jump
        i = 0.75 * jump
        expected.append(v > 1)
        v = 0.0 if v > 1 else v
    neuron = Neuron.of("cubalif", Firing(">", "value"), {"filter": "add-first"}, decay=0.5, decay_syn=0.75, gain=0.25,
                       gain_syn=2.0)
    assert spikes(neuron, drive) == expected


def test_alif_raises_its_threshold_with_every_spike(drive):
    v = b = 0.0
    expected = []
    for x in drive:
        v = 0.9 * v + x
        s = v >= 0.5 + b
        v -= s * (0.5 + b)
        b = 0.75 * b + 0.4 * s
        expected.append(s)
    neuron = Neuron.of("alif", decay=0.9, decay_b=0.75, jump_b=0.4, threshold=0.5)
    assert spikes(neuron, drive) == expected


@pytest.mark.parametrize("when", ["before-decay", "after-decay", "drop-input"])
def test_a_late_subtraction_takes_the_adapted_threshold_of_its_own_step(when, drive):
    v = b = s = 0.0
    expected = []
    for x in drive:
        threshold = 0.5 + b
        taken = s * threshold
        v = 0.5 * (v - taken) + x if when == "before-decay" else 0.5 * v + x - taken
        s = float(v > threshold)
        b = 0.75 * b + 0.25 * s
        expected.append(s)
    neuron = Neuron.of("alif", Firing(">", "subtract", when), decay=0.5, decay_b=0.75, jump_b=0.25, threshold=0.5)
    assert sum(expected) > 5
    assert spikes(neuron, drive) == expected


def test_llif_threshold_follows_the_negative_input_of_the_step_before(drive):
    """`V_th[t] = V_th[t-1] + g tanh(I[t-1])` with `I = relu(x) - x`; hard reset."""
    v, i, th = 0.0, 0.0, 1.0
    expected = []
    for x in drive:
        th += 0.1 * np.tanh(i)
        v = 0.6 * v + x
        expected.append(v >= th)
        v = 0.0 if v >= th else v
        i = max(x, 0) - x
    assert spikes(Neuron.of("llif", Firing(reset="value"), decay=0.6, jump=0.1), drive) == expected


def test_slif_slows_its_decay_after_an_overshoot(drive):
    """`tau[t] = max(1.05, tau0 - b tanh(V_p[t-1]))`, `V_p = s (v - threshold)`; soft reset."""
    v = excess = 0.0
    expected = []
    for x in drive:
        tau = max(1.05, 1.5 - 0.9 * np.tanh(excess))
        v = np.exp(-1 / tau) * v + x
        s = v >= 1
        excess = s * (v - 1)
        v -= s
        expected.append(s)
    assert sum(expected) > 3
    assert spikes(Neuron.of("slif", tau=1.5, beta=0.9), drive) == expected


def test_qlif_membrane_stands_on_its_grid(drive):
    """Q-SNN: integrate, quantize, compare, reset; 3 levels of 0.25 each side."""
    q, expected = 0, []
    for x in drive:
        q = int(np.clip(np.floor((0.5 * q * 0.25 + x) / 0.25 + 0.5), -3, 3))
        s = q * 0.25 >= 0.5
        q = 0 if s else q
        expected.append(s)
    neuron = Neuron.of("qlif", Firing(reset="value"), decay=0.5, step=0.25, levels=3, threshold=0.5)
    assert spikes(neuron, drive) == expected
    assert set(membrane(neuron, drive, "q")) <= set(range(-3, 4))


def test_qlif_may_round_after_the_comparison(drive):
    """The authors' code: integrate, compare, reset, quantize; the spike is of the membrane that is not rounded."""
    q, expected = 0.0, []
    for x in drive:
        v = 0.5 * q * 0.25 + x
        s = v > 0.5
        q = np.clip(np.floor(v * (not s) / 0.25 + 0.5), -3, 3)
        expected.append(s)
    params = {"decay": 0.5, "step": 0.25, "levels": 3, "threshold": 0.5}
    neuron = Neuron.of("qlif", Firing(">", "value"), {"grid": "after"}, **params)
    assert spikes(neuron, drive) == expected
    assert spikes(neuron, pulse(0.45)) != spikes(Neuron.of("qlif", Firing(">=", "value"), **params), pulse(0.45))


def test_qlif_may_round_the_tanh_of_its_membrane(drive):
    q, expected = 0.0, []
    for x in drive:
        v = 0.5 * q * 0.125 + x
        s = v > 0.5
        q = np.clip(np.floor(0.5 * np.tanh(v * (not s) / 0.5) / 0.125 + 0.5), -3, 3)
        expected.append(s)
    neuron = Neuron.of("qlif", Firing(">", "value"), {"grid": "after-tanh"}, decay=0.5, step=0.125, levels=3,
                       threshold=0.5)
    assert spikes(neuron, drive) == expected


def test_readouts_emit_their_membrane():
    assert simulate(Neuron.of("li", decay=0.5), [1, 0, 1]).outputs["y"].ravel().tolist() == [1, 0.5, 1.25]
    assert simulate(Neuron.of("integrator"), [1, 0, 1]).outputs["y"].ravel().tolist() == [1, 1, 2]
    cubali = Neuron.of("cubali", decay=0.5, decay_syn=0.5)
    assert simulate(cubali, [1, 0, 0]).outputs["y"].ravel().tolist() == [1, 1, 0.75]


def test_stateless_rules_look_at_one_step_only():
    assert spikes(Neuron.of("threshold", threshold=0.5), [0.5, 0.4, 0.6]) == [1, 0, 1]
    assert simulate(Neuron.of("accumulator"), [0.5, -2]).outputs["y"].ravel().tolist() == [0.5, -2]
    assert not Neuron.of("threshold").traced.states
    assert not Neuron.of("accumulator").traced.states


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_library_rule_has_a_docstring_and_traces_with_its_defaults(name):
    assert RULES[name].function.__doc__
    assert RULES[name].name == name
    traced = Neuron.of(name).traced
    out, _ = evaluate(traced.program, Neuron.of(name).params,
                      {n: np.zeros(2) for n in traced.states}, np.array([0.0, 9.0]))
    assert np.isfinite(out).all()


# --- what an author of a rule may rely on ----------------------------------------------------------------

def test_a_rule_is_one_function():
    @neuron_rule(decay=Real(0.5), threshold=Membrane(1.0), v_min=Membrane(None))
    def leaky(state: Any, x: Any, p: Any) -> Any:
        return discharge(state, charge(state, p, lambda v: p.decay * v, x), p)

    assert leaky.name == "leaky"
    assert spikes(Neuron(leaky), pulse(3.0)) == spikes(Neuron.of("lif", decay=0.5), pulse(3.0)) == [1, 1, 0, 0]


def test_a_state_reads_as_it_was_before_the_step_even_after_it_was_set():
    @neuron_rule(spiking=False)
    def lagging(state: Any, x: Any, p: Any) -> Any:
        state.last = x
        return state.last

    assert simulate(Neuron(lagging), [1, 2, 3]).outputs["y"].ravel().tolist() == [0, 1, 2]


def test_a_state_may_be_set_to_a_plain_number():
    @neuron_rule(spiking=False, states={"n": Count(5)})
    def constant(state: Any, x: Any, p: Any) -> Any:
        state.n = 2
        return state.n * x

    assert simulate(Neuron(constant), [1, 1]).outputs["y"].ravel().tolist() == [5, 2]


def test_states_are_membranes_unless_declared():
    @neuron_rule(states={"n": Count(0)})
    def two(state: Any, x: Any, p: Any) -> Any:
        state.n = state.n + 1
        state.u = state.u + x
        return state.u >= 1

    assert {n: q.dimension for n, q in Neuron(two).traced.states.items()} == {"n": "count", "u": "membrane"}


def test_a_misspelt_parameter_is_named():
    @neuron_rule(decay=Real())
    def misspelt(state: Any, x: Any, p: Any) -> Any:
        return p.decai * x

    with pytest.raises(AttributeError, match="decai"):
        Neuron(misspelt).traced  # noqa: B018


def test_an_absent_optional_parameter_reads_as_none():
    seen = []

    @neuron_rule(offset=Membrane(None))
    def optional(state: Any, x: Any, p: Any) -> Any:
        seen.append(p.offset)
        return x >= 1

    Neuron(optional).traced  # noqa: B018
    Neuron(optional, {"offset": 1.0}).traced  # noqa: B018
    assert seen[0] is None
    assert seen[1] is not None


def test_options_are_fixed_while_tracing_and_default_to_the_first():
    @neuron_rule(options={"sign": ("plus", "minus")}, spiking=False)
    def signed(state: Any, x: Any, p: Any) -> Any:
        return x if p.options["sign"] == "plus" else -x

    assert simulate(Neuron(signed), [1]).outputs["y"].item() == 1
    assert simulate(Neuron(signed, options={"sign": "minus"}), [1]).outputs["y"].item() == -1
