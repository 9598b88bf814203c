"""Weights that arrive as integers: their codes stay, whatever else is quantized around them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snncompile as sc
from snncompile.backends.c.host import compiler
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import AvgPool, Conv, Input, Linear, Output, Reshape, Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.given_weights import given_bits, is_given, narrowest
from snncompile.passes.table import Choices, passes_of
from snncompile.report.report import weight_bits
from snncompile.targets.load import load_target
from tests.backends.exactness import differences, random_case
from tests.passes.chains import both, chain, integer, joined, legal
from tests.strategies import Features, graphs, random_graph

GIVEN = Features(given=True, odd_names=False)
IF = Neuron.of("if")
CODES: dict[Any, Array] = {
    1: np.array([[1, -1, 1, 1], [-1, 1, 1, -1], [1, 1, -1, 1]]),
    "ternary": np.array([[1, 0, 1, -1], [0, 1, 1, -1], [1, 1, 0, 0]]),
    3: np.array([[3, -3, 2, 1], [2, 2, 1, -1], [1, 3, 0, 0]]),
    8: np.array([[127, -128, 2, 1], [20, 20, 11, -1], [90, 30, 0, 0]]),
    16: np.array([[32767, -32768, 2, 1], [20, 2000, 11, -1], [9000, 30, 0, 0]]),
}


def codes(graph: Graph) -> list[Array]:
    """All codes of a graph, by node and by chain."""
    ops = [*graph.nodes.values(), *(op for e in graph.edges for op in e.chain)]
    return [np.asarray(op.weight) for op in ops if is_given(op)]


def spikes(*shape: int, seed: int = 0, ticks: int = 20) -> dict[str, Array]:
    return {"x": (np.random.default_rng(seed).random((2, ticks, *shape)) < 0.4).astype(float)}


@pytest.mark.parametrize("bits", CODES)
@pytest.mark.parametrize("dtype", [np.int16, np.int64])
def test_codes_of_any_width_stay(bits: Any, dtype: Any) -> None:
    """In a network quantized to 4 bits otherwise, and counted in the report."""
    graph = chain(Linear(CODES[bits].astype(dtype)), Scale(0.37 / np.abs(CODES[bits]).max()), IF)
    whole = integer(graph, spikes(4), weight_bits=4)
    (kept,) = codes(whole)
    assert np.array_equal(kept, CODES[bits])
    assert kept.dtype == (np.int16 if bits == 16 else np.int8)
    assert given_bits(kept) == bits
    assert weight_bits(whole, "c") == {"ternary": 2}.get(bits, bits)


def test_the_compiled_model_says_so() -> None:
    graph = chain(Linear(CODES[1].astype(np.int8)), Scale(0.5), IF, Linear(CODES[8].T[:, :3].astype(np.int16)), IF)
    found = [n for n in sc.compile(graph, weight_bits=4).notes if n.code == "SNN406"]
    assert [n.severity for n in found] == ["note"]
    assert '"c" (1 bit)' in found[0].found
    assert '"e" (8 bits)' in found[0].found
    assert "weight_bits = 4" in found[0].help


FIRINGS = [Firing(compare, reset, when) for compare in (">=", ">") for reset in ("subtract", "value")
           for when in ("same", "before-decay")]


@pytest.mark.parametrize("firing", FIRINGS, ids=lambda f: f"{f.compare}{f.reset}-{f.when}")
@pytest.mark.parametrize("scale", [1 / 128, [1 / 128, 1 / 64, 3 / 256]])
def test_spikes_are_the_same_where_steps_are_representable(firing: Firing, scale: Any) -> None:
    graph = chain(Linear(CODES[8].astype(np.int8)), Scale(np.array(scale)),
                  Neuron.of("lif", firing, decay=0.5, threshold=0.75, bias=1 / 64))
    wanted, got, _ = both(graph, spikes(4))
    assert wanted.outputs["y"].any()
    np.testing.assert_array_equal(wanted.outputs["y"], got.outputs["y"])


@given(st.integers(0, 10_000), st.sampled_from(list(CODES)))
def test_integrators_with_hard_reset_lose_nothing_to_real_steps(seed: int, bits: Any) -> None:
    """Sums of codes are compared with a threshold that is right to one in a million."""
    rng = np.random.default_rng(seed)
    steps = rng.uniform(0.2, 0.9, 3) / np.abs(CODES[bits]).max()
    firing = Firing(">=", "value")
    graph = chain(Linear(CODES[bits].astype(np.int16)), Scale(steps), Neuron.of("if", firing, threshold=1.0))
    wanted, got, _ = both(graph, spikes(4, seed=seed))
    np.testing.assert_array_equal(wanted.outputs["y"], got.outputs["y"])


@pytest.mark.parametrize("bits", [1, "ternary", 3])
def test_narrow_codes_stay_narrow_where_the_neuron_is_that_of_loihi(bits):
    """A layer with few bits takes few bits of a core, and its threshold is finer than its step."""
    nodes = {"x": Input((4,)), "fc": Linear(CODES[bits].astype(np.int16)), "step": Scale(np.full(3, 0.17)),
             "n": Neuron.of("lif", Firing(reset="value"), decay=0.5), "y": Output()}
    graph = Graph("net", nodes, tuple(Edge(*pair) for pair in pairwise(nodes)))
    model = sc.compile(graph, "loihi1", calibration=spikes(4))
    (layer,) = (op for op in model.graph.edges_into["n"][0].chain if is_given(op))
    assert np.array_equal(layer.weight, CODES[bits])
    assert model.report.agreement is not None
    assert model.graph.nodes["n"].rule == "loihi"
    assert model.report.populations[0].weight_bits == (2 if bits == "ternary" else bits)


def test_scales_around_given_codes_join_their_step() -> None:
    """Average pools before and after, a batch norm: one multiplier a channel is left, and no code changes."""
    weight = np.random.default_rng(0).integers(-7, 8, (3, 2, 2, 2)).astype(np.int8)
    norm = np.array([0.5, 0.25, 1.5]).reshape(3, 1, 1)
    graph = chain(AvgPool((2, 2), (2, 2)), Conv(weight), AvgPool((2, 2), (1, 1)), Scale(np.full((3, 1, 1), 0.125)),
                  Scale(norm, norm / 64), IF, shape=(2, 8, 8))
    (edge,) = legal(graph).edges_into["f"]
    assert [op.kind() for op in edge.chain] == ["sumpool", "conv", "scale", "sumpool"]
    scale = edge.chain[2]
    assert isinstance(scale, Scale)
    np.testing.assert_array_equal(np.asarray(scale.factor), norm * 0.125 / 16)
    wanted, got, whole = both(graph, spikes(2, 8, 8))
    np.testing.assert_array_equal(codes(whole)[0], weight)
    np.testing.assert_array_equal(wanted.outputs["y"], got.outputs["y"])


def test_a_real_layer_behind_takes_the_step_along() -> None:
    graph = chain(Conv(np.ones((2, 1, 1, 1), np.int8)), Scale(np.array([0.5, 0.25]).reshape(2, 1, 1)), Reshape((8,)),
                  Linear(np.full((1, 8), 0.125)), IF, shape=(1, 2, 2))
    wanted, got, whole = both(graph, spikes(1, 2, 2))
    assert wanted.outputs["y"].any()
    np.testing.assert_array_equal(codes(whole)[0], np.ones((2, 1, 1, 1)))
    assert np.mean(wanted.outputs["y"] == got.outputs["y"]) > 0.9


def test_several_given_projections_meet_in_one_population() -> None:
    """Steps that are no multiples of each other, one of them negative."""
    graph = joined({"a": Linear(CODES[3].astype(np.int8)), "b": Scale(0.3), "c": Linear(CODES[1].astype(np.int8)),
                    "d": Scale(np.array([-0.17, 0.2, 0.0])), "e": Neuron.of("if", Firing(">=", "value"))},
                   Edge("x", "a"), Edge("a", "b"), Edge("b", "e"), Edge("x", "c"), Edge("c", "d"), Edge("d", "e"),
                   Edge("e", "y"))
    wanted, got, whole = both(graph, spikes(4))
    assert wanted.outputs["y"].any()
    assert [c.tolist() for c in codes(whole)] == [CODES[3].tolist(), CODES[1].tolist()]
    np.testing.assert_array_equal(wanted.outputs["y"], got.outputs["y"])


@pytest.mark.parametrize("scale", [0.37, [0.37, 0.11, 0.2]])
def test_readouts_of_given_codes_are_near(scale: Any) -> None:
    graph = chain(Linear(CODES[8].astype(np.int8)), Scale(np.array(scale) / 127), Neuron.of("li", decay=0.875))
    wanted, got, whole = both(graph, spikes(4))
    op = whole.populations["c"]
    read = got.outputs["y"] * getattr(op, "unit", 0.0)
    assert np.abs(read - wanted.outputs["y"]).max() < 0.01 * np.abs(wanted.outputs["y"]).max()


def test_a_narrow_membrane_still_keeps_the_codes() -> None:
    graph = chain(Linear(CODES[8].astype(np.int8)), Scale(1 / 127), Neuron.of("lif", decay=0.5))
    wanted, got, whole = both(graph, spikes(4), membrane_bits=8)
    np.testing.assert_array_equal(codes(whole)[0], CODES[8])
    assert np.mean(wanted.outputs["y"] == got.outputs["y"]) > 0.8


@given(graphs(GIVEN))
def test_folding_scales_changes_no_code_and_no_value(graph: Graph) -> None:
    x = {n: np.random.default_rng(0).integers(0, 2, (1, 5, *op.shape)).astype(float) for n, op in graph.inputs.items()}
    formed = run_passes(graph, passes_of(Choices(load_target("c99")), "legalize"))
    before = sorted(c.tobytes() for c in codes(graph))
    assert {c.tobytes() for c in codes(formed)} <= set(before)
    plain, after = run(graph, x), run(formed, x)
    for name, value in plain.outputs.items():
        np.testing.assert_allclose(value, after.outputs[name], rtol=1e-9, atol=1e-9)


@pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_with_given_codes_are_exact_in_c(seed: int) -> None:
    graph = random_graph(seed, GIVEN)
    assert differences(random_case(graph, seed)) == []


@pytest.mark.parametrize(("weights", "kind"), [
    ([-128, 127], np.int8), ([-128, 128], np.int16), ([-129, 127], np.int16), ([-5, 200], np.int16),
    ([-200, 5], np.int16),
])
def test_codes_keep_their_values_in_the_narrowest_type(weights, kind):
    found = narrowest(np.array([weights], np.float64))
    assert found.dtype == kind
    assert found.tolist() == [weights]
