"""Resets that wait for the next tick, in the tick of the spike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Input, Linear
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.passes.legalize.form_populations import FormPopulations
from snncompile.passes.legalize.prompt_resets import PromptResets
from snncompile.passes.pipeline import run_passes
from tests.targets.test_rules import chain

NEURONS: dict[str, dict[str, Any]] = {
    "if": {}, "lif": {"decay": 0.75, "bias": 0.1}, "cubalif": {"decay": 0.75, "decay_syn": 0.5},
    "plif": {"w": 0.5}, "alif": {"decay": 0.75, "decay_b": 0.5, "jump_b": 0.25},
    "euler_lif": {"rate": 0.25, "rest": 0.125},
}


def net(rule: str, when: Any, reset: Any = "value", **more: Any) -> Graph:
    weight = Linear(np.random.default_rng(0).normal(0.3, 0.6, (6, 5)))
    params = {"threshold": 1.0, **NEURONS[rule], **more}
    return run_passes(chain(Input((5,)), weight, Neuron.of(rule, Firing(reset=reset, when=when), **params)),
                      (FormPopulations(),))


def spikes() -> dict[str, Any]:
    return {"n0": (np.random.default_rng(1).random((4, 30, 5)) < 0.5).astype(float)}


def with_resets_of_the_target(graph: Graph) -> Graph:
    return run_passes(graph, (PromptResets(("same",)),))


@pytest.mark.parametrize("rule", NEURONS)
@pytest.mark.parametrize("more", [{}, {"v_reset": -0.25}])
def test_a_late_reset_to_a_value_gives_the_same_spikes_in_its_own_tick(rule: str, more: dict[str, Any]) -> None:
    graph = net(rule, "before-decay", **more)
    changed = with_resets_of_the_target(graph)
    assert [op.firing.when for op in changed.nodes.values() if isinstance(op, Neuron)] == ["same"]
    assert [n.code for n in changed.notes] == ["SNN419"]
    (name,) = graph.inputs
    x = {name: spikes()["n0"]}
    wanted, outputs = run(graph, x).outputs, run(changed, x).outputs
    assert all(v.any() and np.array_equal(v, outputs[n]) for n, v in wanted.items())


@pytest.mark.parametrize(("when", "more"), [
    ("drop-input", {}), ("after-decay", {"v_reset": -0.25}), ("before-decay", {"v_min": -0.5}),
    ("before-decay", {"reset": "subtract"}),
])
def test_resets_that_do_something_else_stay(when: str, more: dict[str, Any]) -> None:
    graph = net("lif", when, **more)
    assert with_resets_of_the_target(graph) is graph


def test_a_network_with_late_resets_runs_on_loihi() -> None:
    neuron = Neuron.of("lif", Firing(reset="value", when="before-decay"), decay=0.75, threshold=1.0)
    graph = chain(Input((5,)), Linear(np.full((6, 5), 0.3)), neuron)
    assert sc.check(graph, "loihi1").ok
    assert "late resets" in " ".join(n.found for n in sc.compile(graph, "loihi1").notes)


def test_targets_that_know_late_resets_keep_them() -> None:
    graph = net("lif", "before-decay")
    assert run_passes(graph, (PromptResets(None),)) is graph
    assert run_passes(graph, (PromptResets(("same", "before-decay")),)) is graph
