"""The dimensions of parameters and states are inferred from the program alone."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("onnx")

from snncompile.frontends.onnx.infer_dimensions import measure
from snncompile.ir.expr import Expr, flatten, tanh
from snncompile.ir.rules import Quantity, fixed_rule
from snncompile.passes.quantize.neuron_program import typed_program
from tests.random_neurons import readout, spiking
from tests.strategies import Choices, Dice, Features

STATE, X = Expr("state", (), "s"), Expr("input")


def param(name: str) -> Expr:
    return Expr("param", (), name)


@pytest.mark.parametrize("make", [spiking, readout])
def test_every_rule_is_well_typed_with_the_inferred_dimensions(make):
    """Rules of the library and random rules, without the dimensions that they declare."""
    for seed in range(150):
        neuron = make(Choices(Dice(seed)), (3,), Features())
        program, params = neuron.traced.program, neuron.params
        measured = measure(program, params)
        assert measured is not None, (seed, neuron.rule.name)
        dimensions, is_spiking = measured
        assert is_spiking == neuron.rule.spiking
        rule = fixed_rule("again", program, {n: Quantity(dimensions.get(f"param.{n}", "real")) for n in params},
                          {n: Quantity(dimensions.get(f"state.{n}", "membrane")) for n in neuron.traced.states},
                          spiking=is_spiking)
        typed_program(dataclasses.replace(neuron, rule=rule, params={**params}), f"seed {seed}")


@pytest.mark.parametrize(("step", "wanted"), [
    (STATE + param("p") * X, {"state.s": "membrane", "param.p": "real"}),
    (param("p") * STATE + X, {"state.s": "membrane", "param.p": "real"}),
    (STATE + X - param("p"), {"state.s": "membrane", "param.p": "membrane"}),
    (STATE + X / param("p"), {"state.s": "membrane", "param.p": "real"}),
    (STATE + (X + STATE) // param("p") * param("q"), {"state.s": "membrane", "param.p": "membrane",
                                                      "param.q": "membrane"}),
    (STATE + param("p") * tanh(X), {"state.s": "membrane", "param.p": "membrane"}),
])
def test_sums_and_products_say_what_is_what(step, wanted):
    program = flatten(step, {"s": step})
    measured = measure(program, {"p": 0.3, "q": 0.7})
    assert measured is not None
    assert measured[0] == wanted


def test_a_trace_of_spikes_is_a_number_and_a_countdown_a_count():
    spike = param("theta") <= X
    trace = flatten(spike, {"s": param("fade") * STATE + spike})
    assert measure(trace, {"theta": 0.5, "fade": 0.9})[0]["state.s"] == "real"
    countdown = flatten(spike, {"s": STATE - spike})
    assert measure(countdown, {"theta": 0.5})[0]["state.s"] == "count"


def test_a_product_of_two_membranes_measures_nothing():
    assert measure(flatten(param("p") <= X * X, {}), {"p": 0.5}) is None
