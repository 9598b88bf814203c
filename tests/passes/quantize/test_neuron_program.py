"""Neuron rules in integers: factors, roundings, widths, and rules of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.ir.expr import Expr, clip, either, evaluate, floor, maximum, select, sign
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Count, Firing, Membrane, Real, fires, neuron_rule, reset
from snncompile.passes.quantize.neuron_program import (
    MAX_FACTOR,
    InputEntry,
    Lowered,
    fixed_point,
    input_gain,
    lower,
    typed_program,
)
from snncompile.targets.arithmetic import Arithmetic
from tests.passes.chains import both, chain, uncalibrated


def lowered(neuron: Neuron, unit: float = 2.0**-6, bits: int = 24, **options: Any) -> Lowered:
    typed = typed_program(neuron, "here")
    return lower(neuron, typed, unit, InputEntry(), bits, Arithmetic(**options), "here")


def step(found: Lowered, x: Any, **states: Any) -> tuple[list[int], dict[str, list[int]]]:
    """One tick of a lowered rule: what it emits, and its next states."""
    values = np.asarray(x, np.int64)
    given = {n: np.broadcast_to(np.asarray(states.get(n, s.initial), np.int64), values.shape)
             for n, s in found.states.items()}
    out, after = evaluate(found.program, found.params, given, values)
    return out.tolist(), {n: v.tolist() for n, v in after.items()}


def refusal(neuron: Neuron, **options: Any) -> tuple[str, str]:
    with pytest.raises(CompileError) as caught:
        lowered(neuron, **options)
    (found,) = caught.value.diagnostics
    assert found.place == "here"
    return found.code, found.found


# --- factors -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("factor", "found"), [
    (0.5, (1, 1)), (1.0, (1, 0)), (0.0, (0, 0)), (-0.75, (-3, 2)), (3.0, (3, 0)), (0.9, (1843, 11)),
])
def test_a_factor_is_reduced_to_as_few_bits_as_it_needs(factor, found):
    assert fixed_point(factor, None) == found


@given(st.floats(-4, 4), st.integers(1, 24))
def test_a_factor_is_the_nearest_of_so_many_bits(factor, bits):
    m, n = fixed_point(factor, bits)
    assert n <= bits
    assert abs(m / 2**n - factor) <= 2.0 ** -(bits + 1)


@given(st.floats(1e-6, 1) | st.floats(0, 1e-5).map(lambda d: 1 - d))
def test_slow_leaks_and_small_gains_take_the_bits_they_need(factor):
    m, n = fixed_point(factor, None)
    short = min(factor, 1 - factor)
    assert abs(m / 2**n - factor) <= max(short / 16, 2.0**-25)


def test_factors_that_differ_share_their_bits():
    m, n = fixed_point(np.array([0.5, 0.75]), None)
    assert (m.tolist(), n) == ([2, 3], 2)


def test_a_vanishing_factor_does_not_take_bits_from_the_others():
    assert fixed_point(np.array([0.5, 1e-30]), None)[1] == 1


@pytest.mark.parametrize("factor", [1e30, -1e30, np.inf, np.nan])
def test_a_factor_that_no_integer_holds_is_refused(factor):
    assert abs(fixed_point(factor, None)[0]) == MAX_FACTOR
    assert refusal(Neuron.of("lif", decay=factor))[0] == "SNN401"


@pytest.mark.parametrize(("rounding", "halved"), [("zero", [-1, 1]), ("floor", [-2, 1]), ("nearest", [-1, 2])])
def test_products_with_a_decay_are_rounded_as_asked(rounding, halved):
    leak = lowered(Neuron.of("li", decay=0.5), rounding=rounding)
    assert step(leak, [0, 0], v=[-3, 3])[0] == halved


# --- widths --------------------------------------------------------------------------------------------------

IDLE = Neuron.of("if", Firing(reset="none"), threshold=100.0)


@pytest.mark.parametrize(("overflow", "after"), [("saturate", [127, -128]), ("wrap", [-56, 56])])
def test_a_membrane_that_leaves_its_width(overflow, after):
    assert step(lowered(IDLE, bits=8, overflow=overflow), [100, -100], v=[100, -100])[1]["v"] == after


def test_a_count_of_spikes_is_cut_to_its_width_and_the_rest_stays_in_the_membrane():
    neuron = Neuron.of("if", Firing(max_spikes=None), threshold=1.0)
    wanted, got, graph = both(chain(neuron, shape=(1,), values="real", high=9), {"x": np.full((1, 1, 1), 9.0)},
                              spike_bits=2)
    assert (wanted.outputs["y"].item(), got.outputs["y"].item()) == (9, 3)
    assert got.states["a"]["v"].item() * graph.nodes["a"].unit.item() == pytest.approx(6, rel=0.01)


def test_counts_may_be_negative():
    @neuron_rule()
    def delta(state: Any, x: Expr, p: Any) -> Expr:
        return sign(x)

    found = lowered(Neuron(delta), spike_bits=4)
    assert found.output == (-15, 15)
    assert step(found, [-3, 0, 3])[0] == [-1, 0, 1]


def test_graded_outputs_are_cut_to_theirs():
    found = lowered(Neuron.of("li", decay=1.0), graded_bits=8)
    assert found.graded
    assert step(found, [1000, -1000])[0] == [127, -128]


# --- constants -----------------------------------------------------------------------------------------------

def test_membrane_quantities_are_counted_in_units():
    found = lowered(Neuron.of("if", Firing(reset="value"), threshold=1.5, v_reset=-0.25, v_min=-1.0), unit=0.25)
    assert found.params == {"threshold": 6, "v_reset": -1, "v_min": -4}
    assert step(found, [5, 6, -9])[0] == [0, 1, 0]
    assert step(found, [5, 6, -9])[1]["v"] == [5, -1, -4]


def test_thresholds_that_differ_stay_a_parameter():
    found = lowered(Neuron.of("if", threshold=np.array([1.0, 2.0])), unit=0.5)
    assert found.params["threshold"].tolist() == [2, 4]


@pytest.mark.parametrize(("params", "found"), [
    ({"threshold": 1e20}, "membrane steps"), ({"threshold": 1.0, "v_reset": -1e20}, "membrane steps"),
])
def test_a_constant_beyond_the_integers_is_refused(params, found):
    code, text = refusal(Neuron.of("if", Firing(reset="value"), **params))
    assert code == "SNN401"
    assert found in text


def test_a_count_must_be_whole():
    code, text = refusal(Neuron.of("qlif", levels=2.5))
    assert (code, text) == ("SNN207", "the constant -2.5 where a count is expected")


def test_parameters_named_like_the_compilers_own_keep_their_values():
    names = ("bias_", "k3", "m0", "m1", "m2", "table2", "table5")

    @neuron_rule(threshold=Membrane(1.0), **{n: Membrane(k + 1.0) for k, n in enumerate(names)})
    def rule(state: Any, x: Expr, p: Any) -> Expr:
        total = x + state.v * 0.9 + state.w * 0.8
        for name in names:
            total = total + getattr(p, name)
        state.v, state.w = total, x
        return total >= p.threshold

    found = lowered(Neuron(rule, {n: np.array([k + 1.0, 2]) for k, n in enumerate(names)}), unit=1.0)
    assert step(found, [0, 0])[1]["v"] == [28, 14]


# --- input gains ------------------------------------------------------------------------------------------------

def gain_of(neuron: Neuron) -> Any:
    return input_gain(typed_program(neuron, "here"))


def test_a_gain_that_multiplies_the_input_alone_can_join_the_synapses():
    assert gain_of(Neuron.of("lif", gain=3.0))[1] == 3.0
    assert gain_of(Neuron.of("cubalif", gain_syn=0.5))[1] == 0.5
    assert gain_of(Neuron.of("accumulator")) is None


def test_a_gain_stays_where_something_else_reads_the_input():
    @neuron_rule(spiking=False, gain=Real(2.0))
    def twice(state: Any, x: Expr, p: Any) -> Expr:
        state.v = p.gain * x
        return x + state.v

    @neuron_rule(gain=Real(2.0), threshold=Membrane(1.0))
    def kept(state: Any, x: Expr, p: Any) -> Expr:
        state.last = x
        return p.gain * x >= p.threshold

    assert gain_of(Neuron(twice)) is None
    assert gain_of(Neuron(kept)) is None


# --- rules of the user's own --------------------------------------------------------------------------------------

@neuron_rule(states={"rest": Count(0)}, decay=Real(0.5), threshold=Membrane(1.0), period=Count(2))
def refractory(state: Any, x: Expr, p: Any) -> Expr:
    """Rests for `period` ticks after a spike."""
    awake = state.rest <= 0
    v = select(awake, p.decay * state.v + x, 0)
    spike = fires(v, p)
    state.v = reset(v, spike, p)
    state.rest = select(spike, p.period, maximum(state.rest - 1, 0))
    return spike


@neuron_rule(states={"level": Real(0)}, threshold=Membrane(1.0), decay=Real(0.75))
def relative(state: Any, x: Expr, p: Any) -> Expr:
    """Keeps its membrane as a share of the threshold."""
    level = p.decay * state.level + x / p.threshold
    spike = level >= 1
    state.level = select(spike, level - 1, level)
    return spike


@neuron_rule(states={"n": Count(0), "mean": Real(0)}, threshold=Membrane(1.0), v_reset=Membrane(None))
def adaptive(state: Any, x: Expr, p: Any) -> Expr:
    """A mean of its own spikes, in halves, raises the threshold; whole steps of it are counted."""
    threshold = p.threshold * (1 + state.mean / 4)
    spike = either(state.v + x >= threshold, state.v + x >= 4 * p.threshold)
    state.v = select(spike, 0, state.v + x)
    state.mean = (state.mean + spike) / 2
    state.n = clip(state.n + floor(state.mean * 4), 0, 100)
    return spike


@neuron_rule(states={"n": Count(0)}, threshold=Membrane(1.0), every=Count(3))
def packets(state: Any, x: Expr, p: Any) -> Expr:
    """Emits one for every `every` thresholds that its input crossed."""
    total = state.n + maximum((state.v + x) // p.threshold, 0)
    state.v = state.v + x - p.threshold * maximum((state.v + x) // p.threshold, 0)
    sent = floor(total / p.every)
    state.n = total - sent * p.every
    return sent


def user_states(rule: Any) -> Mapping[str, float]:
    """Real value of an integer of each state that is no membrane."""
    return {n: 2.0**-14 if q.dimension == "real" else 1.0 for n, q in rule.states.items() if q.dimension != "membrane"}


@pytest.mark.parametrize("rule", [refractory, relative, adaptive, packets], ids=lambda r: r.name)
@given(seed=st.integers(0, 255))
def test_a_rule_of_the_users_own_computes_in_integers_what_it_computes_in_reals(rule: Any, seed: int) -> None:
    """Inputs are multiples of 1/8 and so are thresholds, so that no comparison is a matter of rounding."""
    x = {"x": np.random.default_rng(seed).integers(0, 17, (1, 12, 3)) / 8.0}
    graph = chain(Neuron(rule, {"threshold": 2.0}), shape=(3,), values="real", high=255 / 8)
    x["x"][0, 0, 0] = 255 / 8
    wanted, got, _ = both(graph, x, weight_bits=16)
    np.testing.assert_array_equal(wanted.outputs["y"], got.outputs["y"])
    for name, unit in user_states(rule).items():
        np.testing.assert_allclose(got.states["a"][name] * unit, wanted.states["a"][name], atol=2e-3)


def test_real_parameters_that_differ_between_neurons():
    found = lowered(Neuron.of("cubalif", decay=np.array([0.5, 0.75]), decay_syn=np.array([0.25, 0.5]), threshold=9.0))
    assert step(found, [16, 16], v=[64, 64], i=[32, 32])[1] == {"i": [24, 32], "v": [56, 80]}


# --- divisors ------------------------------------------------------------------------------------------------------

@neuron_rule(by=Membrane(1.0))
def quotient(state: Any, x: Expr, p: Any) -> Expr:
    return x // p.by


@neuron_rule(spiking=False, by=Membrane(1.0), ref=Membrane(1.0))
def share(state: Any, x: Expr, p: Any) -> Expr:
    return (x / p.by) * p.ref


@pytest.mark.parametrize("rule", [quotient, share], ids=lambda r: r.name)
@pytest.mark.parametrize("by", [0.0, -1.0, np.array([1.0, -1.0, 2.0])])
def test_a_divisor_of_zero_or_less_is_refused(rule: Any, by: Any) -> None:
    code, text = refusal(Neuron(rule, {"by": by}))
    assert code == "SNN401"
    assert text.startswith("a division by")


def test_a_divisor_below_a_unit_counts_as_one():
    assert step(lowered(Neuron(quotient, {"by": 1e-6})), [-3, 3])[0] == [-3, 3]


def test_a_threshold_that_falls_to_nothing_divides_by_a_unit():
    falling = Neuron.of("alif", Firing(max_spikes=None), jump_b=-4.0, decay_b=1.0, threshold=1.0)
    assert step(lowered(falling), [10, 1000], b=[-64, -1000])[0] == [10, 255]


def test_a_count_divided_by_numbers_that_differ():
    @neuron_rule(states={"n": Count(0)}, threshold=Membrane(1.0), by=Count(2))
    def rule(state: Any, x: Expr, p: Any) -> Expr:
        state.n = state.n + (x >= p.threshold)
        return floor(state.n / p.by)

    assert step(lowered(Neuron(rule, {"by": np.array([2, 4])})), [0, 0], n=[6, 6])[0] == [3, 1]


def test_no_range_is_assumed_of_an_uncalibrated_rule():
    graph = uncalibrated(chain(Neuron(refractory)))
    assert graph.nodes["a"].states["rest"].bits == 3


def test_a_lowest_membrane_is_one_comparison_in_integers():
    """In floats it is held up by `relu(v - v_min) + v_min`, as frameworks round it."""
    readout = lowered(Neuron.of("li", decay=0.5, v_min=-1.0))
    assert [s.op for s in readout.program.steps].count("sub") == 0
    assert step(readout, [-100, -10], v=0)[1] == {"v": [-64, -10]}
