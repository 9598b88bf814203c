"""Multipliers behind weights: part of the weight where neurons do not multiply, and no weight of their own."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Linear, Output, Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.passes.quantize.wide_weights import effective_bits, wide_weights


def lif() -> Neuron:
    return Neuron.of("lif", Firing(reset="value"), decay=0.75, threshold=1.0)


def layers(count: int) -> Graph:
    """Linear layers with nothing in between, whose weights are one product on a chip."""
    rng = np.random.default_rng(0)
    weights = {f"w{i}": Linear(rng.normal(0.2, 0.4, (4, 4))) for i in range(count)}
    nodes: dict[str, Op] = {"x": Input((4,)), **weights, "n": lif(), "y": Output()}
    return Graph("layers", nodes, tuple(Edge(a, b) for a, b in pairwise(nodes)))


def notes(graph: Graph, target: str) -> list[str]:
    model = sc.compile(graph, target, calibration={n: np.ones((1, 4, 4)) for n in graph.inputs})
    return [n.place for n in model.notes if n.code == "SNN412"]


@pytest.mark.parametrize("target", ["loihi1", "loihi2"])
def test_weights_that_take_several_synapses_are_noted(target: str) -> None:
    assert notes(layers(2), target) == ['projection "x -> n"']
    assert notes(layers(1), target) == []


def test_a_neuron_that_is_programmed_multiplies_its_sums_itself() -> None:
    factor = Graph("factor", {"x": Input((1,)), "n": lif(), "y": Output()}, (
        Edge("x", "n", 0, (Linear(np.array([[3]])), Scale(1001))), Edge("n", "y")))
    found = {t: len(wide_weights(factor, sc.load_target(t))) for t in ("loihi1", "loihi2", "c99")}
    assert found == {"loihi1": 1, "loihi2": 0, "c99": 0}


@pytest.mark.parametrize(("values", "bits"), [
    ([[255, 1]], 9), ([[256, 1]], 10), ([[-127, 1]], 9), ([[-129, 1]], 10), ([[-256, -1]], 9), ([[512, 256]], 3),
])
def test_a_power_of_two_is_no_width_and_both_signs_cost_a_bit(values: Any, bits: int) -> None:
    layer = Linear(np.array(values, np.int64))
    assert effective_bits((layer,), 2) == effective_bits((layer, Scale(64)), 2) == bits


def test_a_compiled_network_is_judged_as_it_was_before() -> None:
    nodes: dict[str, Op] = {"x": Input((3,)), "w": Linear(np.eye(3) * 0.37), "a": lif(), "b": lif(), "y": Output()}
    links = [("x", "w"), ("w", "a"), ("x", "b"), ("a", "b"), ("b", "y")]
    graph = sc.compile(Graph("skip", nodes, tuple(Edge(*link) for link in links)), "loihi2").graph
    assert [op.factor for e in graph.edges if e.dst == "b" for op in e.chain if isinstance(op, Scale)] == [254, 254]
    assert sc.check(graph, "loihi2").ok
