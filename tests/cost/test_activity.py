"""Activity: spikes and synaptic operations, counted in aggregate, against counting them one by one."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile as sc
from snncompile.cost.activity import REAL_BITS, measure
from snncompile.cost.estimate import assumed_cost
from snncompile.ir import interp
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Input, Linear, MaxPool, Output, SumPool
from snncompile.ir.populations import Neuron
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.types import Array
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.layer_table import layer_table
from snncompile.targets.load import load_target
from tests.nets import small, spikes, two_inputs
from tests.passes.retimed import SIZE, chain, leakless, retimed, wired
from tests.strategies import Features, random_graph


def legal(graph: Graph, target: str = "c99") -> Graph:
    return run_passes(graph, passes_of(Choices(load_target(target)), "legalize"))


def one(*chain, shape=(4,), delay: int = 0, values="spike", weight=None) -> Graph:
    """An input that reaches one population through a chain."""
    size = shape
    for op in chain:
        size = op.infer(size)
    nodes = {"in": Input(shape, values, low=-3, high=3), "lif": Neuron.of("lif", decay=0.5), "out": Output()}
    return Graph("one", nodes, (Edge("in", "lif", delay, chain), Edge("lif", "out")), sc.ir.types.Stage.LEGAL)


def counted(weight: Array, x: Array) -> tuple[int, int]:
    """Pairs of a weight and an input that are not 0, tick by tick, of spikes and of others."""
    binary = graded = 0
    for tick in x.reshape(-1, x.shape[-1]):
        pairs = int((weight[:, tick != 0] != 0).sum())
        if set(np.unique(np.abs(tick))) <= {0, 1}:
            binary += pairs
        else:
            graded += pairs
    return binary, graded


@pytest.mark.parametrize("delay", [0, 2, 99])
def test_operations_are_pairs_of_weights_and_inputs_that_are_not_zero(delay):
    rng = np.random.default_rng(3)
    weight = rng.integers(-1, 2, (5, 4)).astype(float)
    x = rng.integers(-1, 3, (3, 7, 4)) * (rng.random((3, 7, 1)) < 0.8)
    did = measure(one(Linear(weight), delay=delay), {"in": x}).projections[0]
    heard = x[:, : max(7 - delay, 0)]
    assert (did.accumulations, did.multiplications) == counted(weight, heard)
    assert did.dense == 5 * 4 * 3 * 7
    assert did.events == 5 * np.count_nonzero(heard)


def test_graded_events_are_those_of_ticks_with_other_values_than_spikes():
    x = np.array([[[1, 0, 0, -1], [2, 0, 0, 1], [0, 0, 0, 0]]])
    did = measure(one(Linear(np.ones((5, 4)))), {"in": x}).projections[0]
    assert (did.events, did.graded_events) == (20, 10)
    assert (did.accumulations, did.multiplications) == (10, 10)


def test_bits_weigh_operations():
    x = np.array([[[1, 0, 0, 1], [3, 0, 0, 1]]])
    whole = Linear(np.full((5, 4), 3, np.int8))
    assert measure(one(whole), {"in": x}).projections[0].bit_operations == (10 * 1 + 10 * 2) * 3
    assert measure(one(whole), {"in": -x}).projections[0].bit_operations == (10 * 1 + 10 * 3) * 3
    assert measure(one(whole, values="real"), {"in": x / 2}).projections[0].bit_operations == 20 * REAL_BITS * 3


def test_events_pass_through_pools_and_operations_begin_behind_them():
    x = np.ones((1, 1, 1, 4, 4))
    graph = one(SumPool((2, 2), (2, 2)), Conv(np.ones((3, 1, 1, 1))), shape=(1, 4, 4))
    did = measure(graph, {"in": x}).projections[0]
    assert did.events == 16 * 3
    assert (did.accumulations, did.multiplications) == (0, 4 * 3)


def test_projections_without_weights_have_events_and_no_operations():
    x = np.ones((1, 2, 1, 4, 4))
    did = measure(one(MaxPool((2, 2), (2, 2)), shape=(1, 4, 4)), {"in": x}).projections[0]
    assert (did.events, did.accumulations, did.dense) == (32, 0, 0)


def test_spikes_are_counted_in_chunks_as_at_once(monkeypatch):
    x = {"in": spikes(6)}
    graph = legal(small())
    whole = measure(graph, x)
    monkeypatch.setattr(interp, "CHUNK_VALUES", 1)
    assert measure(graph, x) == whole
    emitted = run(graph, x, record=True).emitted
    for name, firing in whole.populations.items():
        values = emitted.get(name, x.get(name))
        assert (firing.spikes, firing.updates) == (values.sum(), values.size)


@pytest.mark.parametrize("seed", range(40))
def test_what_comes_from_an_input_without_silence_reaches_every_synapse(seed):
    graph = legal(random_graph(seed, Features()))
    did = measure(graph, {n: np.ones((2, 5, *op.shape)) for n, op in graph.inputs.items()})
    edges = [e for e in graph.edges if e.dst in graph.populations]
    for projection, edge, reach in zip(did.projections, edges, layer_table(graph).reaches, strict=True):
        assert projection.label == edge.label
        assert projection.events >= projection.graded_events >= 0
        assert projection.accumulations + projection.multiplications <= projection.dense
        if edge.src in graph.inputs and not reach.scattered:
            assert projection.events >= reach.synapses * 2 * (5 - edge.delay)


def test_an_integer_graph_is_counted_by_its_integers():
    model = sc.compile(two_inputs())
    given = {"spikes": spikes(2, 5, 4).astype(int), "frame": np.full((2, 5, 5), 3)}
    did = measure(model.graph, given)
    assert sum(p.multiplications for p in did.projections) > 0
    assert "measured on 2 samples of 5 ticks" in did.basis


def test_ticks_are_those_of_the_network_whatever_the_hardware_takes():
    links = [*chain("x", "a", "b", "c", "y"), ("a", "c", 0)]
    graph = wired(links, leakless)
    x = {"x": (np.random.default_rng(0).random((2, 6, SIZE)) < 0.4).astype(np.int64)}
    whole, mapped = measure(graph, x), measure(retimed(graph, dilate=3), x)
    assert mapped.basis == whole.basis == "measured on 2 samples of 6 ticks"
    assert mapped.ticks == 6
    assert [s.dense for s in mapped.projections] == [s.dense for s in whole.projections] == [SIZE * SIZE * 12] * 4
    assert [s.accumulations for s in mapped.projections] == [s.accumulations for s in whole.projections]
    assert {n: f.spikes for n, f in mapped.populations.items()} == {n: f.spikes for n, f in whole.populations.items()}


def test_a_graded_value_is_one_spike_whatever_its_size():
    nodes = {"in": Input((3,), "real", low=-1, high=1), "n": Neuron.of("li", decay=0.5), "out": Output()}
    graph = Graph("graded", nodes, (Edge("in", "n", 0, (Linear(np.eye(3) * 9.0),)), Edge("n", "out")),
                  sc.ir.types.Stage.LEGAL)
    x = np.array([[[0.0, 0.5, -1.0]] * 2])
    fired = measure(graph, {"in": x}).populations
    assert (fired["in"].spikes, fired["n"].spikes) == (4, 4)


def test_an_assumed_rate_says_so_and_scales_everything():
    graph = legal(small())
    cost = assumed_cost(graph, layer_table(graph), sc.load_target("c99"), 10, 0.25)
    assert "assumed" in cost.basis
    assert cost.spikes == (8 + 3) * 10 * 0.25
    assert cost.events == cost.accumulations == (48 + 64 + 24) * 2.5
    assert cost.dense == (48 + 64 + 24) * 10


@pytest.mark.parametrize(("over", "left", "heads", "terms", "channels", "tokens"), [
    ("channels", 4, 2, 2, 8, 3), ("tokens", 4, 2, 3, 10, 3), ("nothing", 4, 1, 1, 8, 3)])
def test_operations_of_products_are_pairs_that_are_both_not_zero(over, left, heads, terms, channels, tokens):
    """Counted pair by pair; ticks with other values than 0, 1 and -1 multiply, and their bits count twice."""
    rng = np.random.default_rng(5)
    x = rng.integers(-1, 2, (2, 6, channels, tokens)) * (rng.random((2, 6, 1, 1)) < 0.8)
    x[:, ::3] *= 3
    op = SpikeProduct(left, terms, over, heads)
    did = measure(one(op, shape=(channels, tokens)), {"in": x}).projections[0]
    spikes = graded = 0
    for tick in x.reshape(-1, channels, tokens):
        active = (tick != 0).tolist()
        pairs = sum(active[a][s] and active[b][t]
                    for a in range(left) for b in range(left, channels) for s in range(tokens) for t in range(tokens)
                    if _multiplied(over, (a, s), (b - left, t), left // heads, (channels - left) // heads))
        spikes, graded = (spikes, graded + pairs) if np.abs(tick).max() > 1 else (spikes + pairs, graded)
    assert spikes > 0 < graded
    assert (did.accumulations, did.multiplications) == (spikes, graded)
    assert did.dense == op.synapses((channels, tokens)) * 12
    assert did.bit_operations == spikes + graded * 3 * 3  # -3 to 3 take 3 bits


def _multiplied(over: str, one: tuple[int, int], other: tuple[int, int], left: int, right: int) -> bool:
    """Whether an element of the left tensor, (channel, token), is multiplied with one of the right tensor."""
    if over == "nothing":
        return one == other
    if over == "channels":
        return one[0] == other[0]
    return one[0] // left == other[0] // right and one[1] == other[1]
