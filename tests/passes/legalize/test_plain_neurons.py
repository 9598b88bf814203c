"""plain-neurons: the same spikes from neurons of the form that hardware has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.passes.legalize.plain_neurons import PlainNeurons
from tests.strategies import Features, inputs_for, random_graph


def after(neuron: Neuron) -> Neuron:
    graph = Graph("one", {"x": Input((2,), "real"), "n": neuron, "y": Output()}, (Edge("x", "n"), Edge("n", "y")))
    found = PlainNeurons().run(graph).nodes["n"]
    assert isinstance(found, Neuron)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_spikes_and_readouts_stay_the_same(seed):
    graph = random_graph(seed, Features(rules=("euler_lif", "if"), graded=("euler_li",), layers=3))
    x = inputs_for(graph, seed)
    plain = PlainNeurons().run(graph)
    for name, wanted in run(graph, x).outputs.items():
        np.testing.assert_allclose(run(plain, x).outputs[name], wanted, rtol=0, atol=1e-12)


def test_a_graph_without_such_neurons_is_left_alone():
    graph = random_graph(1, Features(rules=("lif",), graded=("li",)))
    assert PlainNeurons().run(graph) is graph


def params(**options: Any) -> tuple[str, dict[str, Any]]:
    found = after(Neuron.of("euler_lif", Firing(">", "value"), threshold=2.0, **options))
    return found.rule.name, dict(found.params)


def test_the_rate_becomes_a_decay_and_a_gain():
    assert params(rate=0.25) == ("lif", {"decay": 0.75, "gain": 0.25, "threshold": 2.0})
    assert params(rate=0.25, tau=2.0) == ("lif", {"decay": 0.5, "gain": 0.5, "threshold": 2.0})


def test_a_rest_becomes_a_bias():
    assert params(rate=0.25, rest=0.5, bias=1.0) == (
        "lif", {"decay": 0.75, "gain": 0.25, "threshold": 2.0, "bias": 1.5})


def test_behind_a_current_the_membrane_is_counted_from_its_rest():
    name, found = params(rate=0.25, rest=0.5, rate_syn=0.5)
    assert (name, found["threshold"], found["v_reset"], found["decay_syn"]) == ("cubalif", 1.5, -0.5, 0.5)


def test_a_subtraction_behind_a_current_with_a_rest_has_no_plain_form():
    neuron = Neuron.of("euler_lif", Firing(), rate=0.25, rest=0.5, rate_syn=0.5)
    assert after(neuron) is neuron
