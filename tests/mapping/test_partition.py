"""Partitions: closed forms against counting by hand, legality, and bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import Conv, Input, Linear, Output, Pad, Reshape, SumPool, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Shape, ShapeOnly, Stage
from snncompile.mapping.partition import has_cores, partition
from snncompile.mapping.partitioned import Partition
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.load import load_target
from snncompile.targets.target import Target
from tests.passes.by_hand import ByHand
from tests.random_graphs import Features
from tests.strategies import random_graph

LISTS = load_target("loihi1").with_(neurons_per_core=24, synapse_bits_per_core=60_000, in_axons_per_core=400,
                                    out_axons_per_core=300, cores=4096)
FLAT = load_target("loihi1").with_(model="flat", neurons_per_core=10, synapse_bits_per_core=None,
                                   in_axons_per_core=None, out_axons_per_core=None, cores=4096)
CROSSBAR = load_target("truenorth").with_(neurons_per_core=24, in_axons_per_core=300)
OWN_LISTS = LISTS.with_(shared_kernels=False, synapse_bits_per_core=200_000)
TARGETS = {"lists": LISTS, "flat": FLAT, "crossbar": CROSSBAR, "own lists": OWN_LISTS}


def neuron() -> Neuron:
    return Neuron.of("if", threshold=1.0)


def chain_net(shape: Shape, *chains: tuple[Op, ...], delay: int = 0) -> Graph:
    """Populations one after another, each behind a chain of operators."""
    nodes: dict[str, Op] = {"x": Input(shape)}
    edges = []
    for i, ops in enumerate(chains):
        nodes[f"p{i}"] = neuron()
        edges.append(Edge("x" if i == 0 else f"p{i - 1}", f"p{i}", delay * (i > 0), ops))
    nodes["y"] = Output()
    return Graph("net", nodes, (*edges, Edge(f"p{len(chains) - 1}", "y")), Stage.LEGAL)


def conv(out: int, into: int, kernel: int = 3, stride: int = 1, pad: int = 1, groups: int = 1, dilation: int = 1
         ) -> Conv:
    return Conv(ShapeOnly((out, into // groups, kernel, kernel)), None, (stride, stride), ((pad, pad), (pad, pad)),
                (dilation, dilation), groups)


def assert_counted(graph: Graph, target: Target, cut: Partition) -> None:
    """Every figure of a partition is what one counts by hand, and no core is above a limit."""
    by_hand = ByHand(graph, target, cut)
    flows = cut.traffic
    assert np.array_equal(cut.used["neurons"], by_hand.neurons())
    assert np.array_equal(cut.used["in-axons"], by_hand.in_axons())
    assert np.array_equal(cut.used["out-axons"], by_hand.out_axons())
    assert np.array_equal(cut.used["synapse memory"], by_hand.synapse_bits())
    assert by_hand.flows() == {(cut.populations[p], s, t): n for p, s, t, n in zip(
        flows.population, flows.source, flows.target, flows.packets, strict=True)}
    assert cut.remote_packets >= cut.least_packets
    assert cut.cores >= cut.lower_bound[0]
    assert set(cut.core) == set(range(cut.cores))
    for name, limit in cut.limits.items():
        assert cut.used[name].max(initial=0) <= limit
    assert cut.tiles.synapses.sum() == sum(m.sum() for m in by_hand.matrices)


@pytest.mark.parametrize("model", TARGETS)
@pytest.mark.parametrize("seed", range(8))
def test_random_networks_are_counted_as_by_hand(seed, model):
    graph = run_passes(random_graph(seed, Features(delays=True)), passes_of(Choices(TARGETS[model]), "legalize"))
    assert_counted(graph, TARGETS[model], partition(graph, TARGETS[model]))


@st.composite
def convolutions(draw: st.DrawFn) -> Graph:
    """Two convolutions with strides, pads, groups and dilations, and what may stand around them."""
    groups = draw(st.sampled_from([1, 2]))
    first = conv(4, 2, draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2, 3])), draw(st.integers(0, 2)))
    second = conv(2 * groups, 4, draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 2])), draw(st.integers(1, 2)),
                  groups, draw(st.sampled_from([1, 2])))
    around: list[Op] = draw(st.sampled_from([[], [SumPool((2, 2), (2, 2))], [Upsample((2, 2))],
                                             [SumPool((1, 1), (2, 2))], [Pad(((0, 0), (1, 0), (0, 2)))]]))
    graph = chain_net((2, draw(st.integers(5, 7)), draw(st.integers(5, 7))), (first,), (*around, second), delay=1)
    try:
        size = int(np.prod(graph.shapes["p1"]))
    except ShapeError:
        reject()
    return Graph("net", {**graph.nodes, "p2": neuron()}, (
        *graph.edges, Edge("p1", "p2", 0, (Reshape((size,)), Linear(ShapeOnly((5, size))))), Edge("p1", "p1", 2),
        Edge("p0", "p2", 1, (Reshape((int(np.prod(graph.shapes["p0"])),)), Linear(ShapeOnly(
            (5, int(np.prod(graph.shapes["p0"])))))))), Stage.LEGAL)


@settings(max_examples=25, deadline=None)
@given(convolutions(), st.sampled_from(list(TARGETS)))
def test_convolutions_are_counted_as_by_hand(graph, model):
    target = TARGETS[model].with_(in_axons_per_core=None, out_axons_per_core=None, fan_in=None)
    assert_counted(graph, target, partition(graph, target))


@pytest.mark.parametrize("model", ["lists", "own lists"])
@settings(max_examples=15, deadline=None)
@given(graph=convolutions())
def test_thorough_partitions_are_counted_as_by_hand(graph, model):
    target = TARGETS[model].with_(cores=1 << 14)
    try:
        quick = partition(graph, target)
    except CompileError:
        return
    thorough = partition(graph, target, thorough=True)
    assert_counted(graph, target, thorough)
    assert thorough.cores <= quick.cores


# Layers of many neurons and small kernels, and layers of few neurons and large kernels.
UNLIKE = chain_net((4, 32, 32), (conv(128, 4),), (conv(128, 128),), (conv(512, 128, stride=4),), (conv(512, 512),),
                   (conv(512, 512),))


def test_thorough_partitions_mix_layers_that_use_up_different_things():
    target = load_target("loihi2")
    quick, thorough = partition(UNLIKE, target), partition(UNLIKE, target, thorough=True)
    assert thorough.method == "patterns of tiles"
    assert thorough.lower_bound[0] <= thorough.cores < 0.95 * quick.cores


def test_a_thorough_search_comes_before_a_refusal():
    few = load_target("loihi2").with_(cores=partition(UNLIKE, load_target("loihi2"), thorough=True).cores)
    assert partition(UNLIKE, few).cores == few.limits.cores


def test_weights_that_are_mostly_zero_are_single_synapses():
    rng = np.random.default_rng(0)
    weight = (rng.random((30, 40)) < 0.1).astype(float)
    graph = chain_net((40,), (Linear(weight),), (Linear(np.ones((20, 30))),))
    cut = partition(graph, FLAT)
    assert cut.tiles.synapses.sum() == np.count_nonzero(weight) + 600
    assert_counted(graph, FLAT, cut)
    assert_counted(graph, OWN_LISTS, partition(graph, OWN_LISTS))


def test_a_kernel_behind_a_reshape_that_mixes_the_axes_is_not_shared():
    graph = chain_net((1, 1, 1), (Upsample((4, 4)), Reshape((4, 2, 2)), conv(4, 4)))
    assert_counted(graph, LISTS, partition(graph, LISTS))


def test_pools_over_three_axes_are_cut_and_counted():
    first = SumPool((2, 2, 2), (2, 1, 2), ((0, 0), (1, 0), (0, 1)))
    graph = chain_net((2, 4, 4, 6), (first,), (SumPool((2, 1, 1), (1, 1, 1), ((0, 0),) * 3),))
    for target in (FLAT, OWN_LISTS):
        assert_counted(graph, target, partition(graph, target))


def test_axons_that_differ_in_delay_are_apart_only_on_a_crossbar():
    edges = (Edge("x", "a"), Edge("a", "b"), Edge("a", "b", 1), Edge("b", "y"))
    graph = Graph("net", {"x": Input((4,)), "a": neuron(), "b": neuron(), "y": Output()}, edges, Stage.LEGAL)
    assert partition(graph, FLAT).used["in-axons"].sum() == 8
    assert partition(graph, CROSSBAR).used["in-axons"].sum() == 12


def test_an_order_along_the_curve_saves_packets():
    """Of two layers side by side, a core holds the same part of the frame."""
    graph = chain_net((2, 16, 16), (), (conv(2, 2),))
    cut = partition(graph, FLAT.with_(neurons_per_core=64))
    assert (cut.cores, cut.method) == (16, "layers interleaved")
    assert cut.remote_packets < 512


def test_neighbouring_layers_share_cores_where_that_costs_none():
    """All layers together would have every kernel on every core; two by two they fit as well as one by one."""
    layers = [(conv(8, 8),)] * 8
    graph = chain_net((8, 32, 32), *layers)
    kernels = 72 * 192  # bits: a list of 8 synapses for each input channel and tap
    cut = partition(graph, LISTS.with_(neurons_per_core=1024, in_axons_per_core=None, out_axons_per_core=None,
                                         synapse_bits_per_core=2 * kernels))
    assert (cut.cores, cut.lower_bound[0]) == (64, 64)
    assert "groups" in cut.method
    assert cut.used["synapse memory"].max() == 2 * kernels


def test_the_same_network_has_the_same_partition():
    graph = chain_net((2, 12, 12), (conv(4, 2),), (conv(4, 4, stride=2),))
    first, second = (partition(graph, LISTS) for _ in range(2))
    assert np.array_equal(first.core, second.core)
    assert first.packets == second.packets


def test_rates_choose_between_partitions_and_leave_their_figures_alone():
    graph = chain_net((2, 12, 12), (conv(4, 2),), (conv(4, 4, stride=2),))
    quiet = partition(graph, FLAT, rates={"p0": 0.0, "p1": 0.5})
    assert_counted(graph, FLAT, quiet)


def test_cores_of_which_too_many_axons_leave_are_cut():
    graph = chain_net((24,), (Linear(ShapeOnly((24, 24))),), (Linear(ShapeOnly((240, 24))),))
    free = FLAT.with_(neurons_per_core=24)
    tight = free.with_(out_axons_per_core=120)
    assert partition(graph, free).used["out-axons"].max() == 24 * 10
    cut = partition(graph, tight)
    assert cut.used["out-axons"].max() <= 120
    assert_counted(graph, tight, cut)


@pytest.mark.parametrize(("widths", "fewer"), [((64, 32), True), ((16, 64, 16), False)])
def test_cores_are_filled_again_with_the_axons_that_leave_them_where_that_saves_any(widths, fewer, monkeypatch):
    convolutions = [(conv(out, into, 5, stride, 2),) for into, out, stride in zip((2, *widths), widths, (1, 2, 1),
                                                                                 strict=False)]
    graph, target = chain_net((2, 16, 16), *convolutions), load_target("loihi1").with_(out_axons_per_core=900)
    again = partition(graph, target).cores
    monkeypatch.setattr("snncompile.mapping.pieces.REFILLED", 0)
    only_halved = partition(graph, target).cores
    assert again < only_halved if fewer else again <= only_halved


@pytest.mark.parametrize(("limit", "name", "code"), [
    ("in_axons_per_core", "in-axons", "SNN413"), ("synapse_bits_per_core", "synapse memory", "SNN416"),
    ("out_axons_per_core", "out-axons", "SNN413")])
def test_a_neuron_that_needs_more_than_a_core_has_is_named(limit, name, code):
    graph = chain_net((50,), (Linear(ShapeOnly((30, 50))),), (Linear(ShapeOnly((40, 30))),))
    roomy = LISTS.with_(in_axons_per_core=50, out_axons_per_core=40, synapse_bits_per_core=50 * 64,
                        neurons_per_core=1)
    assert_counted(graph, roomy, partition(graph, roomy))
    tight = {"in_axons_per_core": 49, "synapse_bits_per_core": 50 * 64 - 1, "out_axons_per_core": 39}[limit]
    with pytest.raises(CompileError) as e:
        partition(graph, roomy.with_(**{limit: tight}))
    diagnostic, = e.value.diagnostics
    assert (diagnostic.code, diagnostic.expected) == (code, f"{tight:,} a core")
    assert name in diagnostic.place
    assert "population" in diagnostic.place


def test_two_projections_from_one_source_share_its_axons():
    twice = (Linear(ShapeOnly((6, 50))),)
    graph = Graph("net", {"x": Input((50,)), "p0": neuron(), "y": Output()},
                  (Edge("x", "p0", 0, twice), Edge("x", "p0", 2, twice), Edge("p0", "y")), Stage.LEGAL)
    tight = FLAT.with_(in_axons_per_core=50)
    cut = partition(graph, tight)
    assert cut.used["in-axons"].max() == 50
    assert_counted(graph, tight, cut)
    with pytest.raises(CompileError, match="50 for one neuron"):
        partition(graph, FLAT.with_(in_axons_per_core=49))


def test_more_cores_than_there_are_name_the_bound():
    graph = chain_net((40,), ())
    assert partition(graph, FLAT.with_(cores=4)).cores == 4
    with pytest.raises(CompileError) as e:
        partition(graph, FLAT.with_(cores=3))
    diagnostic, = e.value.diagnostics
    assert (diagnostic.code, diagnostic.found, diagnostic.expected) == ("SNN416", "at least 4 for neurons", "3 cores")


def test_a_partition_that_needs_more_cores_than_the_bound_says_both():
    graph = chain_net((30,), (Linear(ShapeOnly((40, 30))),))
    target = LISTS.with_(in_axons_per_core=None, synapse_bits_per_core=30 * 128, neurons_per_core=40, cores=2)
    with pytest.raises(CompileError, match="3 cores; at least 3 for synapse memory"):
        partition(graph, target)


def test_what_is_far_too_large_is_refused_before_it_is_cut():
    graph = chain_net((4096, 1 << 20, 1 << 20), ())
    with pytest.raises(CompileError, match="for neurons"):
        partition(graph, FLAT)


def test_layers_get_cores_of_their_own_where_a_core_holds_one():
    speck = load_target("speck2f")
    graph = chain_net((2, 32, 32), (conv(8, 2),), (conv(8, 8, stride=2),), (conv(4, 8),))
    cut = partition(graph, speck)
    assert len(set(cut.core)) == cut.cores == 3
    assert cut.lower_bound == (3, "populations")
    with pytest.raises(CompileError, match="without a core"):
        partition(chain_net((2, 16, 16), (conv(2, 2),), *[(conv(2, 2),)] * 9), speck)


def test_emptier_cores_go_together():
    """Ten small layers that read nothing in common fit one core."""
    graph = chain_net((2,), *[(Linear(ShapeOnly((2, 2))),)] * 10)
    assert partition(graph, FLAT.with_(neurons_per_core=20)).cores == 1


@pytest.mark.parametrize(("name", "cores"), [("loihi1", True), ("truenorth", True), ("speck2f", True), ("c99", False),
                                             ("xylo-a2", False)])
def test_targets_with_cores_to_fill(name, cores):
    assert has_cores(load_target(name)) == cores


def test_a_hypergraph_is_cut_within_the_limits_and_always_alike():
    pytest.importorskip("mtkahypar")
    graph = chain_net((8, 16, 16), (), (conv(8, 8),), (conv(8, 8, stride=2),))
    target = FLAT.with_(neurons_per_core=256)
    plain = partition(graph, target)
    first, second = (partition(graph, target, hypergraph=True) for _ in range(2))
    assert first.remote_packets <= plain.remote_packets
    assert np.array_equal(first.core, second.core)
    assert first.used["neurons"].max() <= 256


def test_margins_are_shares_of_the_limit_by_which_the_fullest_core_is_above_it():
    """25 neurons on cores of 10: the fullest core is full; on cores of 8 the same cut is a quarter too much."""
    cut = partition(chain_net((5,), (Linear(ShapeOnly((25, 5))),)), FLAT)
    assert cut.used["neurons"].max() == 10
    assert cut.margins["neurons"] == 0
    assert replace(cut, limits={"neurons": 8}).margins == {"neurons": 0.25}
    assert replace(cut, limits={"neurons": 20}).margins == {"neurons": -0.5}
