"""Cost: constants of a profile times counters, memory, ticks; and what was assumed is said."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import snncompile as sc
from snncompile.cost.activity import measure
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.mapping.partition import partition
from snncompile.mapping.place import place
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.report.html import figures
from snncompile.report.steps import line
from tests.candidates import bare
from tests.nets import small, spikes
from tests.targets.test_rules import CONV, PASSED, chain

X = spikes(4, 10)


def test_energy_is_the_constants_times_the_counters():
    target = sc.load_target("loihi1")
    constants = target.costs["davies2018"]
    cost = sc.estimate(small(), target, X)
    graph = run_passes(small(), passes_of(Choices(target), "legalize"))
    did = measure(graph, {"in": X})
    events = sum(p.events for p in did.projections) / 4
    fired = sum(did.populations[n].fired for n in graph.populations) / 4
    assert cost.energy_pj["synapses"] == pytest.approx(events * constants.dense_synop_pj, rel=1e-12)
    assert cost.energy_pj["neurons"] == pytest.approx((11 * 12 - fired) * 52 + fired * 81, rel=1e-12)
    assert cost.total_pj == sum(cost.energy_pj.values())
    work = events * 3.5 + (11 * 12 - fired) * 5.3 + fired * 8.4
    assert cost.time_ns == pytest.approx(work + 12 * 465, rel=1e-12)


def test_calibrated_loihi_charges_dense_synapses_as_sanafe_does():
    """784-800-10 with 1,624,680 synaptic events: SANA-FE 2.2.9 gives 57.676 uJ for synapses."""
    dense_pj = sc.load_target("loihi1").costs["sanafe-loihi"].dense_synop_pj
    assert dense_pj * 1_624_680 * 1e-6 == pytest.approx(57.676, 1e-5)
    cost = sc.estimate(small(), "loihi1", X, profile="sanafe-loihi")
    assert cost.energy_pj["synapses"] == pytest.approx(cost.events * 35.5)
    assert cost.energy_pj["spikes"] == pytest.approx(cost.spikes * 69.3)


def test_kernels_cost_what_kernels_cost():
    cost = sc.estimate(CONV, "loihi1", profile="sanafe-loihi")
    assert cost.energy_pj["synapses"] == pytest.approx(cost.events * 24.0)


def test_arithmetic_alone_tells_additions_from_multiplications():
    x = spikes(2, 5)
    binary = sc.estimate(small(), "c99", x, profile="cmos45")
    graded = sc.estimate(small(), "c99", 2 * x, profile="cmos45")
    assert binary.energy_pj["synapses"] == pytest.approx(0.9 * binary.accumulations)
    assert graded.multiplications > 0
    wanted = 0.9 * graded.accumulations + 4.6 * graded.multiplications
    assert graded.energy_pj["synapses"] == pytest.approx(wanted)


def test_what_a_profile_does_not_count_is_named():
    cost = sc.estimate(small(), "loihi1", X)
    assert cost.profile == "davies2018"
    assert set(cost.uncounted) == {"spikes", "messages", "hops"}
    assert sc.estimate(small(), "loihi2", X).energy_pj == {}
    assert sc.estimate(small(), "loihi2", X).total_pj is None


def test_messages_and_hops_of_a_placed_network_count():
    target = sc.load_target("loihi1").with_(neurons_per_core=2)
    graph = run_passes(small(), passes_of(Choices(target), "legalize"))
    found = partition(graph, target)
    placed = place(found, target)
    did = measure(graph, {"in": X})
    fired = {n: did.populations[n].fired / did.populations[n].updates * 10 for n in ("lif1", "lif2")}
    cost = sc.estimate(small(), target, X, profile="sanafe-loihi", placed=(found, placed))
    assert found.packets["lif1"] > 0
    assert cost.energy_pj["messages"] == pytest.approx(111 * sum(found.packets[n] * f for n, f in fired.items()))
    assert cost.energy_pj["hops"] == pytest.approx(
        sum((3.0 * placed.hops_x[n] + 4.2 * placed.hops_y[n]) * f for n, f in fired.items()))
    assert cost.uncounted == ()
    assert cost.cores == found.cores > sc.estimate(small(), "loihi1", X).cores


def test_memory_is_that_of_all_layers_or_of_the_largest():
    cost = sc.estimate(small(), sc.load_target("loihi1"), weight_bits=4)
    assert cost.weight_bits == (48 + 64 + 24) * 4
    assert cost.state_bits == 11 * 24
    assert cost.resident_bits == cost.weight_bits + cost.state_bits
    assert cost.peak_bits == (48 + 64) * 4 + 8 * 24
    assert sc.estimate(sc.compile(small()).graph, "c99").state_bits == 11 * 17


def test_bits_of_weights_that_are_no_integers_yet_are_those_that_were_asked_for():
    narrow, wide = (sc.estimate(small(), "c99", X, weight_bits=bits) for bits in (2, 8))
    assert wide.bit_operations == 4 * narrow.bit_operations == 8 * wide.accumulations


def test_neurons_that_fire_several_times_a_tick_are_updated_once():
    cost = sc.estimate(small(), "loihi1", rate=3, ticks=10)
    assert cost.energy_pj["neurons"] == 11 * (10 * 81 + 2 * 52)  # the latency's ticks bring nothing


def test_latency_is_a_hop_for_each_projection_on_the_longest_way():
    assert (sc.estimate(PASSED, "loihi1").latency_ticks, sc.estimate(PASSED, "c99").latency_ticks) == (3, 0)
    assert sc.estimate(PASSED, "loihi1", ticks=50).ticks == 53


def test_latency_of_a_retimed_network_is_its_schedule():
    from snncompile.passes.retime.retime import Retime

    integer = sc.compile(small()).graph
    mapped = run_passes(integer, (Retime(),))
    assert sc.estimate(mapped, "loihi1").latency_ticks == 2


def test_without_samples_the_rate_is_assumed_and_weights_are_not_needed():
    cost = sc.estimate(bare(small()), "loihi1", rate=0.5, ticks=20)
    assert "assumed: 0.5 spikes a neuron and tick" in cost.basis
    assert cost.accumulations == cost.events == 136 * 20 * 0.5
    assert cost.spikes == 11 * 20 * 0.5
    assert sc.check(small(), "loihi1", rate=0.5, ticks=20).cost == dataclasses.replace(
        cost, basis=cost.basis)


def test_rates_may_be_those_of_each_population():
    """As measured in another framework, or printed by a benchmark. Equal rates give the cost of one rate for all."""
    whole = sc.estimate(small(), "loihi1", rate=0.5, ticks=20)
    names = ["in", "lif1", "lif2"]
    equal = sc.estimate(small(), "loihi1", rate=dict.fromkeys(names, 0.5), ticks=20)
    assert equal.energy_pj == pytest.approx(whole.energy_pj, rel=1e-12)
    assert dataclasses.replace(equal, basis=whole.basis, energy_pj=whole.energy_pj) == whole
    assert equal == sc.check(small(), "loihi1", rate=dict.fromkeys(names, 0.5), ticks=20).cost
    assert f"the rates that were given for {len(names)}" in equal.basis
    silent = sc.estimate(small(), "loihi1", rate=dict.fromkeys(names, 0.0), ticks=20)
    assert silent.events == silent.spikes == 0
    assert silent.dense == whole.dense


def test_assumed_rates_cost_what_is_measured_at_these_rates():
    """With weights that are not zero and spikes that fill each layer evenly, counting gives the same."""
    nodes = {"in": Input((5,)), "lif": Neuron.of("if", threshold=2.0), "out": Output()}
    graph = Graph("even", nodes, (Edge("in", "lif", 0, (Linear(np.full((3, 5), 0.3)),)), Edge("lif", "out")),
                  sc.ir.types.Stage.LEGAL)
    x = np.tile(np.array([1.0, 0.0, 1.0, 0.0])[:, None], (1, 5))[None]
    measured = sc.estimate(graph, "loihi1", x)
    assumed = sc.estimate(graph, "loihi1", rate={"in": 0.5, "lif": 0.25}, ticks=4)
    assert measured.spikes == 3
    assert dataclasses.replace(assumed, basis=measured.basis) == measured


@pytest.mark.parametrize(("rate", "found"), [
    ({"nobody": 0.1}, "no population"), ({1: 0.1}, "no population"), ({"in": [1]}, "[1]"), ("x", "'x'"),
    ({"in": -0.1}, "-0.1"), ({"in": float("inf")}, "inf"), ({"in": "x"}, "'x'")])
def test_rates_of_nobody_and_impossible_rates_are_refused(rate, found):
    with pytest.raises(CompileError) as refused:
        sc.estimate(small(), "c99", rate=rate)
    assert "SNN404" in str(refused.value)
    assert found in str(refused.value)


def test_integers_are_measured_as_integers():
    model = sc.compile(small(), calibration=X)
    cost = sc.estimate(model.graph, "c99", X.astype(int))
    wanted = model.reference(X).spike_counts
    assert cost.spikes == sum(v.sum() for v in wanted.values()) / 4


def test_a_cost_is_plain_data_and_reads_well():
    cost = sc.estimate(small(), "loihi1", X)
    assert json.loads(json.dumps(cost.to_json()))["total_pj"] == cost.total_pj
    assert "davies2018" in str(cost)
    assert repr(cost).startswith('<Cost of "small" on loihi1: ')
    assert "<td>davies2018</td>" in cost._repr_html_()
    assert "<b>" not in sc.estimate(small("<b>"), "loihi1")._repr_html_()
    assert "measured on 4 samples of 10 ticks" in str(cost)


@pytest.mark.parametrize(("options", "code"), [
    ({"profile": "davies"}, "SNN404"), ({"rate": -1}, "SNN404"), ({"rate": float("nan")}, "SNN404"),
    ({"ticks": -1}, "SNN404"), ({"x": np.zeros((1, 3, 99))}, "SNN501"),
])
def test_what_cannot_be_estimated_is_refused(options, code):
    with pytest.raises(sc.CompileError) as caught:
        sc.estimate(small(), "loihi1", **options)
    assert caught.value.diagnostics[0].code == code


def test_integers_take_whole_numbers_and_cut_them_to_their_range():
    integer = sc.compile(small(), "loihi2").graph
    ones = np.ones((1, 3, *integer.inputs["in"].shape), int)
    assert integer.inputs["in"].high == 1
    assert sc.estimate(integer, "loihi2", x=2 * ones).to_json() == sc.estimate(integer, "loihi2", x=ones).to_json()
    with pytest.raises(sc.CompileError) as caught:
        sc.estimate(integer, "loihi2", x=0.5 * ones)
    assert [d.code for d in caught.value.diagnostics] == ["SNN501"]


def test_a_network_without_populations_costs_nothing():
    from snncompile.ir.ops import Input

    cost = sc.estimate(chain(Input((3,))), "loihi1")
    assert (cost.neurons, cost.synapses, cost.latency_ticks) == (0, 0, 0)


def test_a_compiled_model_reports_what_its_golden_vectors_cost_on_hardware_with_ticks():
    model = sc.compile(small(), "loihi2", calibration=X)
    cost = model.report.cost
    assert cost is not None
    # Early populations go on for the latency's ticks, while late ones do their last.
    assert cost.spikes >= sum(v.sum() for v in model.reference(X).spike_counts.values()) / 4
    assert (cost.latency_ticks, cost.ticks) == (2, 12)
    assert model.report.to_json()["cost"]["spikes"] == cost.spikes
    assert [s.name for s in line(model)].count("estimate") == 1
    assert "synaptic operations a sample" in figures(model.report)
    assert sc.compile(small(), "c99").report.cost is None
