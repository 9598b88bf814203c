"""Neurons of Loihi's form are recognised whatever rule they were written as, and no others."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.loihi import NO_MEMORY
from snncompile.ir.ops import Input, Linear, Output, Scale
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import Firing
from snncompile.passes.legalize.canonicalize import Canonicalize
from snncompile.passes.legalize.form_populations import FormPopulations
from snncompile.passes.legalize.prompt_resets import with_same_tick_reset
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.fixed_neuron import FIXED_NEURONS, fixed_neuron
from snncompile.passes.quantize.loihi_neuron import Fit, fit
from snncompile.passes.quantize.neuron_program import typed_program
from snncompile.passes.quantize.quantize import Quantize
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.load import load_target
from snncompile.targets.target import Target

HARD = Firing(">", "value", "same", 1)
LOIHI = Arithmetic(neuron="loihi", per="layer", decay_bits=12, membrane_bits=24)


def form(neuron: Neuron) -> Fit | None:
    neuron = with_same_tick_reset(neuron)
    return fit(neuron, typed_program(neuron, "here"))


def legal(neuron: Neuron, weight: np.ndarray) -> Graph:
    nodes = {"in": Input((weight.shape[1],)), "fc": Linear(weight), "n": neuron, "out": Output()}
    edges = (Edge("in", "fc"), Edge("fc", "n"), Edge("n", "out"))
    return run_passes(Graph("net", nodes, edges), (Canonicalize(), FormPopulations("accumulate")))


def quantized(neuron: Neuron, weight: np.ndarray, arithmetic: Arithmetic = LOIHI, target: str | Target = "loihi1"
              ) -> Graph:
    return Quantize(arithmetic, target=load_target(target)).run(legal(neuron, weight))


def population(graph: Graph) -> Population:
    op = graph.populations["n"]
    assert isinstance(op, Population)
    return op


@pytest.mark.parametrize(("neuron", "expected"), [
    (Neuron.of("if", HARD, threshold=0.5, gain=2.0), Fit(2.0, 0.0, 1.0, 0.0, 0.5, False)),
    (Neuron.of("lif", HARD, decay=0.75, gain=0.5), Fit(0.5, 0.0, 0.75, 0.0, 1.0, False)),
    (Neuron.of("lif", HARD, decay=0.75, bias=0.25, gain=2.0), Fit(2.0, 0.0, 0.75, 0.5, 1.0, False)),
    (Neuron.of("lif", Firing(">", "none", "same", 1), decay=0.75), Fit(1.0, 0.75, 0.0, 0.0, 1.0, False)),
    (Neuron.of("threshold", HARD, gain=2.0, threshold=0.5), Fit(2.0, 0.0, 0.0, 0.0, 0.5, False)),
    (Neuron.of("plif", HARD, w=0.0), Fit(0.5, 0.0, 0.5, 0.0, 1.0, False)),
    (Neuron.of("euler_lif", HARD, rate=0.25, rest=0.5), Fit(0.25, 0.0, 0.75, 0.125, 1.0, False)),
    (Neuron.of("euler_lif", HARD, {"input": "whole"}, tau=4.0), Fit(1.0, 0.0, 0.75, 0.0, 1.0, False)),
    (Neuron.of("euler_lif", HARD, rate=0.5, rate_syn=0.25), Fit(0.5, 0.75, 0.5, 0.0, 1.0, False)),
    (Neuron.of("euler_lif", HARD, rate=0.5, rate_syn=0.25, rest=0.5), Fit(0.5, 0.75, 0.5, 0.25, 1.0, False)),
    (Neuron.of("cubalif", HARD, {"filter": "add-first"}, decay=0.5, decay_syn=0.25, gain=2.0, gain_syn=3.0),
     Fit(6.0, 0.25, 0.5, 0.0, 1.0, False)),
    (Neuron.of("cubalif", HARD, {"filter": "decay-both"}, decay=0.5, decay_syn=0.25),
     Fit(0.25, 0.25, 0.5, 0.0, 1.0, False)),
    (Neuron.of("lif", Firing(">=", "value", "before-decay", 1), decay=0.5), Fit(1.0, 0.0, 0.5, 0.0, 1.0, True)),
    (Neuron.of("lif", Firing(">=", "value", "after-decay", 1), decay=0.5), Fit(1.0, 0.0, 0.5, 0.0, 1.0, True)),
])
def test_neurons_of_loihis_form(neuron: Neuron, expected: Fit) -> None:
    assert form(neuron) == expected


@pytest.mark.parametrize("neuron", [
    Neuron.of("lif", Firing(">", "subtract", "same", 1)),
    Neuron.of("lif", Firing(">", "value", "drop-input", 1)),
    Neuron.of("lif", Firing(">", "value", "same", 3)),
    Neuron.of("lif", HARD, v_reset=0.125),
    Neuron.of("lif", HARD, v_min=-1.0),
    Neuron.of("lif", HARD, initial={"v": 0.5}),
    Neuron.of("lif", HARD, decay=np.array([0.5, 0.25])),
    Neuron.of("lif", HARD, threshold=np.array([0.5, 0.25])),
    Neuron.of("lif", HARD, decay=-0.5),
    Neuron.of("lif", HARD, decay=1.5),
    Neuron.of("lif", HARD, gain=-1.0),
    Neuron.of("lif", HARD, threshold=0.0),
    Neuron.of("cubalif", HARD, bias=0.5),
    Neuron.of("euler_lif", Firing(">", "value", "after-decay", 1), rest=0.5),
    Neuron.of("alif", HARD),
    Neuron.of("slif", HARD),
    Neuron.of("llif", HARD),
    Neuron.of("li"),
])
def test_neurons_of_another_form(neuron: Neuron) -> None:
    assert form(neuron) is None


@given(st.integers(0, 2**32 - 1), st.sampled_from(["lif", "euler_lif", "cubalif"]),
       st.sampled_from(["same", "before-decay", "after-decay"]), st.sampled_from([">", ">="]))
def test_the_form_fires_as_the_neuron_does(seed: int, rule: str, when: Any, compare: Any) -> None:
    rng = np.random.default_rng(seed)
    options = {"filter": str(rng.choice(["add-first", "decay-first", "decay-both"]))} if rule == "cubalif" else {}
    share = {"rate" if rule == "euler_lif" else "decay": rng.random()}
    neuron = Neuron.of(rule, Firing(compare, "value", when, 1), options, **share)
    fitted = form(neuron)
    assert fitted is not None
    x = rng.normal(size=(1, 50, 1))
    graph = Graph("net", {"in": Input((1,), "real", -9, 9), "n": neuron, "out": Output()},
                  (Edge("in", "n"), Edge("n", "out")))
    current = membrane = 0.0
    spikes = []
    for value in x[0, :, 0]:
        current = fitted.keep_current * current + fitted.gain * value
        membrane = fitted.keep_voltage * membrane + current + fitted.drive
        spikes.append(membrane >= fitted.threshold if fitted.meets else membrane > fitted.threshold)
        membrane = 0.0 if spikes[-1] else membrane
    assert run(graph, x).outputs["out"][0, :, 0].tolist() == spikes


def test_weights_are_even_and_within_what_loihi_holds() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 7))
    chain = quantized(Neuron.of("lif", HARD), weight).edges_into["n"][0].chain
    assert isinstance(chain[0], Linear)
    assert isinstance(chain[1], Scale)
    assert chain[1].factor == 2
    assert 64 < np.abs(chain[0].weight).max() <= 127


def test_registers_of_a_leaky_neuron() -> None:
    op = population(quantized(Neuron.of("lif", HARD, decay=0.75, threshold=1.0), np.array([[1.0]])))
    assert op.rule == "loihi"
    assert int(op.params["keep_v"]) == NO_MEMORY * 3 // 4
    assert int(op.params["threshold"]) == 254 << 6
    assert float(op.unit) == pytest.approx(1 / (254 << 6))


def test_a_membrane_that_meets_its_threshold_fires_where_it_should() -> None:
    """Four inputs of a quarter: the membrane is the threshold exactly."""
    x = np.ones((1, 12, 1), np.int64)
    for compare in (">", ">="):
        neuron = Neuron.of("if", Firing(compare, "value", "same", 1), threshold=1.0)
        graph = quantized(neuron, np.array([[0.25]]))
        assert np.flatnonzero(run(graph, x).outputs["out"]).tolist() == ([4, 9] if compare == ">" else [3, 7, 11])


def test_biases_share_an_exponent() -> None:
    bias = np.array([1.0, 0.001, -0.5])
    values = population(quantized(Neuron.of("lif", HARD, bias=bias), np.ones((3, 1)))).params["bias"]
    exponent = 2
    assert np.abs(values).max() >> exponent <= 4095 < np.abs(values).max() >> (exponent - 1)
    assert not np.any(values % (1 << exponent))
    assert values[0] == -2 * values[2]


def test_a_bias_beyond_the_registers_is_lowered_as_any_program() -> None:
    neuron = Neuron.of("lif", HARD, bias=40.0)
    assert population(quantized(neuron, np.ones((3, 1)))).rule == "lif"


def test_small_weights_beside_a_large_threshold_stay_even() -> None:
    graph = quantized(Neuron.of("if", HARD, threshold=1e4), np.array([[0.01, -0.02]]))
    chain = graph.edges_into["n"][0].chain
    assert isinstance(chain[-1], Scale)
    assert int(chain[-1].factor) % 2 == 0
    assert int(population(graph).params["threshold"]) == 131071 << 6


def test_graded_sources_are_lowered_as_any_program() -> None:
    nodes = {"in": Input((1,), "real", -1, 1), "fc": Linear(np.ones((1, 1))), "n": Neuron.of("lif", HARD),
             "out": Output()}
    graph = run_passes(Graph("net", nodes, (Edge("in", "fc"), Edge("fc", "n"), Edge("n", "out"))),
                       (Canonicalize(), FormPopulations("accumulate")))
    assert population(Quantize(LOIHI).run(graph)).rule == "lif"


def test_other_arithmetics_leave_registers_alone() -> None:
    assert population(quantized(Neuron.of("lif", HARD), np.ones((1, 1)), Arithmetic())).rule == "lif"


def two_projections(first: float, second: float) -> Graph:
    """One neuron with a threshold of 1 and two inputs, each through one weight."""
    nodes = {"a": Input((1,)), "b": Input((1,)), "wa": Linear(np.array([[first]])), "wb": Linear(np.array([[second]])),
             "n": Neuron.of("if", HARD, threshold=1.0), "out": Output()}
    edges = (Edge("a", "wa"), Edge("b", "wb"), Edge("wa", "n"), Edge("wb", "n"), Edge("n", "out"))
    return run_passes(Graph("net", nodes, edges), (Canonicalize(), FormPopulations("accumulate")))


@pytest.mark.parametrize(("first", "second"), [(1.0, 0.25), (0.25, 1.0)])
def test_the_finest_projection_gives_the_unit(first: float, second: float) -> None:
    """A weight of 0.25 is 127 steps on 8 bits, a step is 2 units: the threshold of 1 is 4 * 127 * 2 of them."""
    graph = Quantize(LOIHI).run(two_projections(first, second))
    assert int(population(graph).params["threshold"]) == 1016 << 6
    weights = {}
    for edge in graph.edges_into["n"]:
        delivered = np.ones((1, 1), np.int64)
        for op in edge.chain:
            delivered = op.apply(delivered)
        weights[edge.src] = delivered.item()
    assert weights == {"a": 1016 * first, "b": 1016 * second}


@pytest.mark.parametrize(("figures", "threshold"), [
    ({}, 131071), ({"threshold_bits": 10}, 1023), ({"threshold_bits": 20}, 131071), ({"threshold_bits": None}, 131071),
], ids=str)
def test_thresholds_fit_the_register_of_the_target_and_stay_within_reach_of_a_membrane(
        figures: dict[str, Any], threshold: int) -> None:
    """A membrane has 24 bits and a threshold counts steps of 64: above 2**17 - 1 no membrane exceeds it."""
    graph = quantized(Neuron.of("if", HARD, threshold=1e4), np.array([[0.01, -0.02]]),
                      target=load_target("loihi1").with_(**figures))
    assert int(population(graph).params["threshold"]) == threshold << 6


@pytest.mark.parametrize(("figures", "held"), [
    ({}, True), ({"bias_exponent_bits": 2}, False), ({"bias_mantissa_bits": 11}, False),
    ({"bias_mantissa_bits": None, "bias_exponent_bits": 0}, True),
], ids=str)
def test_biases_fit_the_registers_of_the_target(figures: dict[str, Any], held: bool) -> None:
    """A bias of 30 thresholds of 254 * 64 units is 487,680: 119 * 2**12, or 3810 * 2**7."""
    graph = quantized(Neuron.of("lif", HARD, bias=30.0), np.ones((1, 1)),
                      target=load_target("loihi1").with_(**figures))
    assert (population(graph).rule == "loihi") is held
    if held:
        assert int(population(graph).params["bias"]) == 30 * 254 * 64


def test_weights_are_multiples_of_what_the_target_says() -> None:
    target = load_target("loihi1").with_(mixed_step=4)
    chain = quantized(Neuron.of("lif", HARD), np.array([[1.0, -1.0]]), target=target).edges_into["n"][0].chain
    assert isinstance(chain[-1], Scale)
    assert chain[-1].factor == 4


def test_a_target_without_registers_emulates_those_of_the_first_loihi() -> None:
    neuron, weight = Neuron.of("lif", HARD, bias=np.array([1.0, 0.001])), np.array([[0.3, -0.2], [1.0, 0.5]])
    here, there = (quantized(neuron, weight, target=target) for target in ("c99", "loihi1"))
    assert str(here) == str(there)


def test_every_word_for_a_neuron_has_an_entry_in_the_table() -> None:
    words = next(f.metadata["words"] for f in dataclasses.fields(Arithmetic) if f.name == "neuron")
    assert set(FIXED_NEURONS) == set(words)
    assert fixed_neuron("any", load_target("loihi1")) is None
