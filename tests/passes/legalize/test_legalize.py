"""What a target lacks is rewritten into what it has, and the spikes stay the same."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Input, Linear, MaxPool, Output, Pad, Reshape, Scale, SumPool, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import ShapeOnly
from snncompile.passes.legalize.form_populations import FormPopulations
from snncompile.passes.legalize.merge_chains import MAX_WEIGHTS, MergeChains
from snncompile.passes.legalize.or_pools import OrPools
from snncompile.passes.legalize.unify_thresholds import UnifyThresholds
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.load import load_target
from snncompile.targets.target import Target
from tests.strategies import Features, random_graph
from tests.targets.test_rules import chain

RNG = np.random.default_rng(5)
LIF = Neuron.of("lif", Firing(">", "value"), decay=0.5, threshold=1.0)
POOLED = chain(Input((2, 6, 6)), MaxPool((2, 2), (2, 2)), Conv(RNG.normal(0.3, 0.6, (3, 2, 2, 2))), LIF,
               MaxPool((2, 2), (1, 1)), Reshape((3,)), Linear(RNG.normal(0.3, 0.6, (4, 3))), LIF)
ANY = Target("any", "Any")


def formed(graph: Graph) -> Graph:
    return run_passes(graph, (FormPopulations(),))


def spikes_into(graph: Graph, ticks: int = 12) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {n: (rng.random((3, ticks, *op.shape)) < 0.4).astype(float) for n, op in graph.inputs.items()}


def same_spikes(before: Graph, after: Graph) -> None:
    x = spikes_into(before)
    a, b = run(before, x, record=True), run(after, x, record=True)
    assert set(a.emitted) <= set(b.emitted)
    for name, emitted in a.emitted.items():
        assert np.array_equal(emitted, b.emitted[name]), name
    assert any(v.any() for v in a.emitted.values())


@pytest.mark.parametrize(("rule", "compare"), [("threshold", ">="), ("threshold", ">"), ("if", ">="), ("if", ">")])
def test_a_max_pool_of_single_spikes_becomes_a_population(rule, compare):
    before = formed(POOLED)
    after = run_passes(before, (OrPools(rule, compare),))
    same_spikes(before, after)
    assert not any(isinstance(o, MaxPool) for e in after.edges for o in e.chain)
    assert [n.code for n in after.notes] == ["SNN419"]
    assert all(isinstance(op, Neuron) and op.rule.name != "accumulator" for op in after.populations.values())


@pytest.mark.parametrize("source", [
    Input((2, 6, 6), high=3), Input((2, 6, 6), low=-1), Input((2, 6, 6), "real"),
])
def test_a_max_pool_of_anything_else_stays(source):
    graph = formed(chain(source, MaxPool((2, 2), (2, 2)), Conv(np.ones((3, 2, 2, 2))), LIF))
    assert run_passes(graph, (OrPools("if"),)) is graph


def test_a_max_pool_behind_several_spikes_a_tick_stays():
    many = Neuron.of("if", Firing(max_spikes=None), threshold=1.0)
    graph = formed(chain(Input((2, 6, 6)), Conv(np.ones((2, 2, 1, 1))), many, MaxPool((2, 2), (2, 2)), Reshape((18,)),
                         Linear(np.ones((2, 18))), LIF))
    assert run_passes(graph, (OrPools("if"),)) is graph


@pytest.mark.parametrize(("figures", "expected"), [
    ({}, OrPools()),
    ({"operators": ("linear", "maxpool")}, OrPools()),
    ({"operators": ("linear",)}, OrPools("threshold")),
    ({"operators": ("linear",), "rules": ("lif",)}, OrPools()),
    ({"operators": ("linear",), "rules": ("if",)}, OrPools("if")),
    ({"operators": ("linear",), "rules": ("if",), "compare": (">",)}, OrPools("if", ">")),
    ({"operators": ("linear",), "rules": ("if",), "resets": ("subtract",)}, OrPools()),
])
def test_the_population_for_a_max_pool_is_one_that_the_target_has(figures, expected):
    assert OrPools.of(ANY.with_(**figures)) == expected


def test_populations_that_read_the_same_pool_share_one():
    conv = Conv(np.ones((1, 2, 2, 2)))
    nodes = {"in": Input((2, 4, 4)), "pool": MaxPool((2, 2), (2, 2)), "a": conv, "b": conv, "x": LIF, "y": LIF,
             "out": Output(), "o": Output()}
    ends = [("in", "pool"), ("pool", "a"), ("pool", "b"), ("a", "x"), ("b", "y"), ("x", "out"), ("y", "o")]
    before = formed(Graph("g", nodes, tuple(Edge(*e) for e in ends)))
    after = run_passes(before, (OrPools("if"),))
    assert set(after.nodes) - set(before.nodes) == {"in.pool"}
    same_spikes(before, after)


def test_a_network_with_max_pools_runs_on_loihi():
    assert sc.check(POOLED, "loihi1").ok
    model = sc.compile(POOLED, "loihi1")
    assert model.float_graph is not None
    assert [d.code for d in model.notes if d.severity == "note"] == ["SNN419"]


def per_channel(rule: str, **params: object) -> Graph:
    thresholds = np.array([0.5, 2.0, 1.0]).reshape(3, 1, 1)
    neuron = Neuron.of(rule, Firing(">=", "subtract"), threshold=thresholds, **params)
    conv = Conv(RNG.normal(0.3, 0.6, (3, 2, 3, 3)), RNG.normal(0, 0.1, 3))
    return formed(chain(Input((2, 5, 5)), conv, neuron, Reshape((27,)), Linear(np.ones((2, 27)) / 9), LIF))


@pytest.mark.parametrize(("rule", "params"), [
    ("if", {}), ("lif", {"decay": 0.5}), ("lif", {"decay": 0.5, "v_min": -0.25, "v_reset": 0.25}),
    ("cubalif", {"decay": 0.5, "decay_syn": 0.25}), ("alif", {"decay": 0.5, "jump_b": 0.5, "decay_b": 0.5}),
    ("qlif", {"step": 0.25}),
])
def test_one_threshold_serves_a_population_whose_channels_are_scaled(rule, params):
    """Powers of two, so that scaling is exact."""
    before = per_channel(rule, **params)
    after = run_passes(before, (UnifyThresholds(1),))
    same_spikes(before, after)
    assert after.nodes["c"].params["threshold"] == 2.0
    assert [n.code for n in after.notes] == ["SNN419"]


def test_thresholds_that_may_differ_stay():
    graph = per_channel("lif", decay=0.5)
    assert run_passes(graph, (UnifyThresholds(None),)) is graph
    assert run_passes(graph, (UnifyThresholds(3),)) is graph


def test_thresholds_inside_a_channel_or_behind_a_curve_stay():
    inside = Neuron.of("lif", threshold=np.array([[[1.0, 2.0]]]))
    graph = formed(chain(Input((1, 1, 2)), inside))
    assert run_passes(graph, (UnifyThresholds(1),)) is graph
    graph = per_channel("llif", decay=0.5)
    assert run_passes(graph, (UnifyThresholds(1),)) is graph


def test_speck_takes_a_network_with_a_threshold_for_each_channel():
    graph = chain(Input((2, 5, 5)), Conv(np.ones((3, 2, 3, 3))),
                  Neuron.of("if", threshold=np.array([0.5, 2.0, 1.0]).reshape(3, 1, 1)))
    assert sc.check(graph, "speck2f").ok
    assert not sc.check(formed(graph), "speck2f").ok  # what is legal already is not rewritten


CHAINS = [
    ((2, 4, 4), (Pad(((0, 1), (1, 0), (0, 0))), Conv(RNG.normal(0, 1, (2, 3, 2, 2))))),
    ((2, 4, 4), (SumPool((2, 2), (2, 2)), Conv(RNG.normal(0, 1, (2, 2, 2, 2))), Upsample((2, 2)))),
    ((6,), (Pad(((2, 1),)),)),
    ((6,), (Reshape((1, 2, 3)), Conv(RNG.normal(0, 1, (2, 1, 2, 2))))),
]


@pytest.mark.parametrize(("shape", "ops"), CHAINS)
def test_operators_that_synapses_lack_become_weights(shape, ops):
    nodes = {"in": Input(shape), "n": LIF, "out": Output()}
    before = Graph("g", nodes, (Edge("in", "n", 1, ops), Edge("n", "out")), sc.ir.types.Stage.LEGAL)
    after = run_passes(before, (MergeChains(("linear", "reshape")),))
    assert {op.kind() for e in after.edges for op in e.chain} <= {"linear", "reshape"}
    assert [e.delay for e in after.edges] == [1, 0]
    x = spikes_into(before)
    a, b = (run(g, x, record=True, states=True) for g in (before, after))
    assert np.allclose(a.states["n"]["v"], b.states["n"]["v"], atol=1e-12)
    assert after.shapes == before.shapes


@pytest.mark.parametrize("step", [0.25, np.full((3, 1, 1), 0.25), np.array([0.25, 0.5, 0.125]).reshape(3, 1, 1)])
def test_a_convolution_of_integers_stays_one_where_the_hardware_has_no_scale(step):
    """The scale behind integer weights is what a code is worth: it is no operator that a matrix has to replace."""
    weights = RNG.integers(-3, 4, (3, 2, 2, 2)).astype(np.int16)
    nodes = {"in": Input((2, 4, 5)), "n": LIF, "out": Output()}
    edges = (Edge("in", "n", 0, (Conv(weights), Scale(step))), Edge("n", "out"))
    before = Graph("g", nodes, edges, sc.ir.types.Stage.LEGAL)
    after = run_passes(before, (MergeChains(("conv", "linear", "reshape")),))
    (conv,) = after.edges[0].chain
    assert np.allclose(conv.weight, weights * np.asarray(step).reshape(-1, 1, 1, 1))
    x = spikes_into(before)
    a, b = (run(g, x, record=True, states=True) for g in (before, after))
    assert np.allclose(a.states["n"]["v"], b.states["n"]["v"], atol=1e-6)
    assert run_passes(before, (MergeChains(("conv", "scale")),)) is before


def test_operators_that_synapses_have_stay():
    graph = formed(POOLED)
    assert run_passes(graph, (MergeChains(None),)) is graph
    assert run_passes(graph, (MergeChains(("conv", "reshape")),)) is graph


def test_a_pool_in_front_of_a_wide_layer_takes_little_memory():
    """131,072 elements are pooled, and read by ten neurons: no matrix is larger than the result."""
    weight = RNG.normal(0, 1, (10, 8192))
    ops = (SumPool((4, 4), (4, 4)), Scale(1 / 16), Reshape((8192,)), Linear(weight))
    nodes = {"in": Input((128, 32, 32)), "n": LIF, "out": Output()}
    graph = Graph("g", nodes, (Edge("in", "n", 0, ops), Edge("n", "out")), sc.ir.types.Stage.LEGAL)
    tracemalloc.start()
    (_, merged) = run_passes(graph, (MergeChains(("linear", "reshape")),)).edges[0].chain
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    pooled = np.repeat(np.repeat(weight.reshape(10, 128, 8, 8) / 16, 4, 2), 4, 3)
    assert np.allclose(merged.weight, pooled.reshape(10, -1))


def test_a_matrix_that_would_be_too_large_is_not_made():
    side = math.isqrt(math.isqrt(MAX_WEIGHTS)) + 1
    graph = formed(chain(Input((1, side, side)), Pad(((0, 0), (0, 0), (0, 0))), Upsample((1, 1)), LIF))
    graph = graph.replace(edges=tuple(e if e.dst != "d" else Edge("a", "d", 0, (Pad(((0, 0), (1, 0), (0, 0))),
                          Conv(np.ones((1, 1, 2, 1))))) for e in graph.edges))
    assert run_passes(graph, (MergeChains(("linear", "reshape")),)) is graph


def test_weights_without_numbers_merge_into_weights_without_numbers():
    ops = (Pad(((1, 0),)), Linear(ShapeOnly((4, 7))))
    nodes = {"in": Input((6,)), "n": LIF, "out": Output()}
    graph = Graph("g", nodes, (Edge("in", "n", 0, ops), Edge("n", "out")), sc.ir.types.Stage.LEGAL)
    (merged,) = run_passes(graph, (MergeChains(("linear", "reshape")),)).edges[0].chain
    assert merged.weight == ShapeOnly((4, 6))


def test_an_accumulator_without_a_pool_before_it_stays():
    graph = formed(chain(Input((3,)), Linear(np.eye(3) * 0.25), Neuron.of("accumulator"), Neuron.of("accumulator")))
    assert OrPools("threshold").run(graph) is graph


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_fire_the_same_spikes_in_their_legal_form(seed):
    graph = random_graph(seed, Features())
    target = load_target("c99").with_(operators=("linear", "conv", "reshape", "sumpool"), graded=True,
                                      rules=None, thresholds_per_population=None)
    plain, legal = (run_passes(graph, passes_of(Choices(t), "legalize")) for t in (load_target("c99"), target))
    x = {n: np.clip(v, op.low, op.high) for (n, v), op in zip(spikes_into(graph, 6).items(), graph.inputs.values(),
                                                              strict=True)}
    a, b = (run(g, x).outputs for g in (plain, legal))
    for name, values in a.items():
        close = np.isclose(values, b[name], rtol=1e-6, atol=1e-6)
        assert close.mean() > 0.99, name  # a sum in another order may tip a spike


@pytest.mark.parametrize("seed", range(25))
def test_legal_forms_are_exact_in_integers_and_in_what_is_emitted(seed):
    """The rewritten network is a network like any other: its program gives the interpreter's spikes."""
    target = load_target("c99").with_(operators=("linear", "conv", "reshape", "sumpool", "scale"))
    graph = random_graph(seed, Features())
    if not sc.check(graph, target).ok:
        pytest.skip("a maximum of graded values has no other form")
    x = {n: np.clip(v, op.low, op.high) for (n, v), op in zip(spikes_into(graph, 6).items(), graph.inputs.values(),
                                                              strict=True)}
    verification = sc.compile(graph, target, calibration=x).verify()
    assert verification.ok, verification.differences
