"""Rules and firings in the frameworks' own arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array
from tests.ir.test_rules import membrane, simulate, spikes


@pytest.fixture
def drive() -> Array:
    return np.random.default_rng(7).uniform(-0.6, 2.4, 60)


def test_a_carried_reset_is_given_back_when_the_neuron_does_not_fire():
    """snnTorch's Leaky(1.0, reset_delay=False): 1.5 remains of 3.5, above the threshold, and there it stays."""
    neuron = Neuron.of("lif", Firing(">", "subtract", "carried"), decay=1.0)
    assert spikes(neuron, [3.5, 0, 0, 0]) == [1, 1, 0, 0]
    assert membrane(neuron, [3.5, 0, 0, 0]) == [2.5, 1.5, 1.5, 1.5]


def test_a_carried_reset_of_a_membrane_that_falls_below_its_threshold_is_one_in_the_same_step(drive):
    carried, same = (Neuron.of("lif", Firing(">", "subtract", when), decay=0.5, threshold=2.0)
                     for when in ("carried", "same"))
    assert sum(spikes(same, drive)) > 5
    assert membrane(carried, drive) == membrane(same, drive)


def test_a_carried_reset_to_a_value_is_one_in_the_same_step(drive):
    carried, same = (Neuron.of("lif", Firing(">", "value", when), decay=0.5) for when in ("carried", "same"))
    assert membrane(carried, drive) == membrane(same, drive)


@pytest.mark.parametrize("divides", [False, True])
def test_euler_lif_moves_a_share_of_the_way_to_its_input(divides, drive):
    """SpikingJelly's LIFNode: `h = v + (x - (v - rest)) / tau`, to the last bit."""
    v, expected = 0.1, []
    time = {"rate": 1 / 3, "tau": 3.0} if divides else {"rate": 1 / 3}
    for x in drive:
        gap = x - (v - 0.1)
        v = v + (gap / 3.0 if divides else gap * (1 / 3))
        v = 0.1 if v >= 1 else v
        expected.append(v)
    neuron = Neuron.of("euler_lif", Firing(">=", "value"), {}, {"v": 0.1}, **time, rest=0.1, v_reset=0.1)
    assert membrane(neuron, drive) == expected


def test_euler_lif_may_add_its_input_whole(drive):
    v, expected = 0.0, []
    for x in drive:
        v = v - (v - 0.1) / 3.0 + x
        v = v - 1 if v >= 1 else v
        expected.append(v)
    neuron = Neuron.of("euler_lif", options={"input": "whole"}, rate=1 / 3, tau=3.0, rest=0.1)
    assert membrane(neuron, drive) == expected


def test_euler_lif_with_a_current_sees_it_before_it_decays(drive):
    """Norse's LIFCell."""
    v = i = 0.0
    expected = []
    for x in drive:
        i = i + x
        v = v + 0.3 * (i - v)
        i = i - 0.7 * i
        v = 0.0 if v > 1 else v
        expected.append(v)
    assert membrane(Neuron.of("euler_lif", Firing(">", "value"), rate=0.3, rate_syn=0.7), drive) == expected


def test_euler_li_emits_its_membrane():
    assert simulate(Neuron.of("euler_li", rate=0.5, rest=1.0), [0, 1, 1]).outputs["y"].ravel().tolist() == [
        0.5, 1.25, 1.625]


def test_alpha_empties_both_currents_one_step_after_a_spike():
    neuron = Neuron.of("alpha", Firing(">", "value"), decay=0.5, decay_inh=0.25, gain=4.0)
    assert membrane(neuron, [1, 1, 0, 1, 1]) == [0, 1.0, 1.75, 0, 0]
    assert spikes(neuron, [1, 1, 0, 1, 1]) == [0, 0, 1, 0, 0]


def test_cubalif_can_let_the_input_of_the_step_decay_too(drive):
    """sinabs' LIF with `tau_syn`."""
    v = i = 0.0
    expected = []
    for x in drive:
        i = 0.75 * (i + x)
        v = 0.5 * v + i
        v = v - 1 if v >= 1 else v
        expected.append(v)
    assert membrane(Neuron.of("cubalif", options={"filter": "decay-both"}, decay=0.5, decay_syn=0.75),
                    drive) == expected


def test_the_adaptation_of_alif_can_be_scaled_and_its_input_filtered(drive):
    """sinabs' ALIF with `tau_syn`: it keeps the current that the gain has scaled."""
    v = b = i = 0.0
    expected = []
    for x in drive:
        i = 0.5 * (0.75 * (i + x))
        v = 0.5 * v + i
        threshold = 0.25 + 1.5 * b
        s = v >= threshold
        v = v - threshold if s else v
        b = 0.75 * b + 0.25 * s
        expected.append(v)
    neuron = Neuron.of("alif", decay=0.5, gain=0.5, decay_syn=0.75, threshold=0.25, scale_b=1.5, decay_b=0.75,
                       jump_b=0.25)
    assert membrane(neuron, drive) == expected


@pytest.mark.parametrize("rule", ["li", "cubali"])
def test_the_lowest_membrane_of_a_readout_holds_up_what_it_keeps_and_not_what_it_emits(rule):
    traces = simulate(Neuron.of(rule, decay=0.5, v_min=-1.0), [-3.0, 0.0])
    assert traces.outputs["y"].ravel().tolist()[0] == -3.0
    assert traces.states["n"]["v"].ravel().tolist()[0] == -1.0
