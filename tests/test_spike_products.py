"""Products of spikes: what they compute, what they cost, and that hardware and backends refuse them by name."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.backend import Request
from snncompile.backends.c.backend import CBackend
from snncompile.backends.lava.backend import LavaBackend
from snncompile.cost.activity import measure
from snncompile.ir.graph import Graph
from snncompile.ir.ops import MaxPool, Reshape, Scale
from snncompile.ir.serde import dump, restore
from snncompile.ir.spike_product import SpikeProduct
from snncompile.lowering import legal_table
from snncompile.search.net import Net
from snncompile.search.numbers import with_random_numbers
from snncompile.search.screening import screen
from snncompile.search.space import Space
from snncompile.targets.load import NAMES, load_target
from snncompile.targets.reach import reach_of
from tests.naive import run_naive

HEADS, DIM, TOKENS = 2, 6, 5


def attention(dim: int = DIM, tokens: int = TOKENS, heads: int = HEADS) -> Graph:
    """Attention between spikes: three pointwise layers of neurons, and the products of queries, keys and values."""
    net = Net((dim, tokens))
    entry = net.tap()
    taps = [net.at(entry).conv(dim, 1, name=name).norm(name=f"{name}.norm").lif(0.5, name=f"{name}.lif").tap()
            for name in ("q", "k", "v")]
    match = net.at(taps[0]).multiply(taps[1], "channels", heads=heads, name="match").scale(0.25).tap()
    return net.at(taps[2]).multiply(match, "tokens", heads=heads, name="attend").lif(0.5, name="out").graph()


def spikes(samples: int = 3, ticks: int = 4) -> np.ndarray:
    return (np.random.default_rng(0).random((samples, ticks, DIM, TOKENS)) < 0.5).astype(float)


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("over", ["channels", "tokens"])
def test_products_are_matrix_products_of_each_head(over, kind):
    left, right = np.random.default_rng(0).integers(-3, 4, (2, 4, HEADS, 3, TOKENS)).astype(kind)
    x = np.concatenate([left.reshape(4, 6, TOKENS), right.reshape(4, 6, TOKENS)], 1)
    op = SpikeProduct(6, 3 if over == "channels" else TOKENS, over, HEADS)
    wanted = np.einsum("nhci,nhcj->nhij" if over == "channels" else "nhit,nhjt->nhij", left.astype(int),
                       right.astype(int))
    y = op.apply(x)
    assert y.shape == (4, *op.infer(x.shape[1:]))
    np.testing.assert_array_equal(y.reshape(wanted.shape), wanted)
    assert y.dtype == (kind if np.issubdtype(kind, np.floating) else np.int64)
    assert op.apply(x[:0]).shape == (0, *y.shape[1:])
    low, high = op.bounds(-3, 3)
    assert low <= y.min() <= y.max() <= high


def test_products_over_nothing_are_those_of_elements():
    left, right = np.random.default_rng(0).integers(-3, 4, (2, 4, 3, TOKENS))
    op = SpikeProduct(3, 1, "nothing")
    for kind in (np.int8, np.int64, np.float32):
        np.testing.assert_array_equal(op.apply(np.concatenate([left, right], 1).astype(kind)), left * right)
    assert op.synapses((6, TOKENS)) == 3 * TOKENS
    net = Net((3, TOKENS))
    entry = net.tap()
    graph = with_random_numbers(net.conv(3, 1).multiply(entry, "nothing").graph())
    x = np.ones((2, 3, 3, TOKENS))
    np.testing.assert_allclose(sc.run(graph, x).outputs["output"], run_naive(graph, {"input": x})["output"])


@pytest.mark.parametrize("peak", [1 << 11, 1 << 12, 1 << 26, (1 << 26) + 1, 1 << 30])
def test_integers_are_multiplied_exactly(peak):
    """At the edges of what float32 and float64 hold exactly."""
    x = np.array([[[peak, 1], [peak, -1]]])
    assert SpikeProduct(1, 2, "tokens").apply(x).tolist() == [[[peak * peak - 1]]]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (-3, 2), (2, 3), (-3, -2)])
def test_the_bounds_of_sums_of_products_are_reached(low, high):
    product = SpikeProduct(2, 3, "tokens")
    ends = [product.apply(np.concatenate([np.full((1, 2, 3), a), np.full((1, 2, 3), b)], 1))
            for a in (low, high) for b in (low, high)]
    assert product.bounds(low, high) == (np.min(ends), np.max(ends))


def test_both_interpreters_run_attention():
    graph = with_random_numbers(attention(), 2, gain=2)
    traces = sc.run(graph, spikes(), record=True)
    naive = run_naive(graph, {"input": spikes()})
    np.testing.assert_allclose(traces.outputs["output"], naive["output"], atol=1e-9)
    np.testing.assert_allclose(traces.emitted["q.lif"], naive["q.lif"], atol=1e-9)
    assert all(0 < v.mean() < 1 for v in traces.emitted.values())
    np.testing.assert_array_equal(sc.run(restore(*dump(graph)), spikes()).outputs["output"], traces.outputs["output"])


def test_a_projection_is_counted_by_its_pairs():
    """12 x 5 x 5 pairs of queries with keys of 2 heads, and as many of values with what came out."""
    match, attend = (op for op in attention().nodes.values() if isinstance(op, SpikeProduct))
    assert match.synapses((2 * DIM, TOKENS)) == attend.synapses((DIM + HEADS * TOKENS, TOKENS)) == DIM * TOKENS ** 2
    cost = sc.check(attention(), "c99").cost
    layers, moved = 3 * DIM * DIM * TOKENS, 3 * DIM * TOKENS
    assert cost.synapses == layers + 2 * DIM * TOKENS ** 2 + moved
    assert sum(sc.check(attention(), "loihi1").cost.energy_pj.values()) > 0


def test_measured_activity_counts_pairs_of_active_elements():
    graph, table, _ = legal_table(with_random_numbers(attention()), load_target("c99"), {}, None, {})
    found = {s.label: s.events for s in measure(graph, {"input": spikes()}, table).projections}
    queries = sc.run(graph, spikes(), record=["q.lif"]).emitted["q.lif"]
    assert found["q.lif -> match.sum"] == queries.sum()
    assert found["match.sum -> attend.sum"] == queries.sum() * TOKENS > 0


@pytest.mark.parametrize("target", NAMES)
def test_no_target_has_products_and_each_says_so_by_name(target):
    broken = {v.rule: v.diagnostic for v in sc.check(attention(), target, cost=False).violations}
    assert broken["operators"].code == "SNN410"
    assert "spikeproduct, a product of spikes with spikes" in broken["operators"].found
    assert broken["operators"].expected
    assert "operators" not in {v.rule for v in sc.check(
        attention(), load_target(target).with_(operators=("conv", "linear", "reshape", "sumpool", "pad", "scale",
                                                         "spikeproduct")), cost=False).violations}


def test_the_number_of_broken_places_is_that_of_the_products():
    assert sc.check(attention(), "c99").forbidden["operators"] == 2


@pytest.mark.parametrize(("target", "backend"), [("c99", CBackend()), ("loihi2", LavaBackend())])
def test_backends_refuse_products_by_name_even_where_a_target_claims_them(target, backend):
    able = load_target(target).with_(operators=("conv", "pad", "scale", "spikeproduct"))
    graph = with_random_numbers(attention())
    for chosen in (target, able):
        with pytest.raises(sc.CompileError) as e:
            sc.compile(graph, chosen)
        assert {d.code for d in e.value.diagnostics} == {"SNN410"}
        assert [d.place for d in e.value.diagnostics] == ['node "match"', 'node "attend"']
        assert "product of spikes" in e.value.diagnostics[0].found
    legal, _, _ = legal_table(graph, able, {}, None, {})
    with pytest.raises(sc.CompileError, match="SNN410"):
        backend.emit(Request(legal, able))


@pytest.mark.parametrize(("shape", "before", "count", "least"), [
    ((12, 5), (), 3, 3), ((12, 10), (MaxPool((2,), (2,), ((0, 0),)),), 6, 1), ((60,), (Reshape((12, 5)),), 3, 1)])
def test_a_connection_is_a_pair_of_what_is_read(shape, before, count, least):
    """An output multiplies 3 pairs; maxima of two before that make it 6, and only one input is certain then."""
    reach = reach_of((*before, SpikeProduct(6, 3, "channels", 2)), shape)
    assert (reach.fan_in, reach.synapses) == (count, count * 2 * 5 * 5)
    assert (reach.least_axons, reach.least_synapses) == (least, least * 2 * 5 * 5)
    assert not reach.differs


def test_a_product_that_several_read_is_computed_once_where_hardware_carries_its_value():
    net = Net((4, 3))
    product = net.multiply(net.tap(), "nothing").tap()
    first = net.conv(4, 1).lif(0.5).tap()
    net.at(product).conv(4, 1).lif(0.5).add(first).flatten().linear(2).lif(0.5)
    assert sc.check(net.graph(), "c99").forbidden["operators"] == 1
    assert sc.check(net.graph(), "loihi1").forbidden["operators"] == 2


def test_the_rule_is_the_same_in_bulk():
    space = Space("attention", {"heads": (1, 2, 3)}, lambda heads: attention(heads=heads))
    judged = screen(space, ["c99", "loihi2"], sample=3).targets
    assert all("operators" in v.reasons_of(i) for v in judged.values() for i in range(3))


def test_scales_stay_where_they_are_beside_products():
    """A factor before a product of a tensor with itself would count twice behind it."""
    net = Net((2, 3))
    entry = net.lif(0.5).tap()
    graph = net.scale(0.5).multiply(entry, "tokens").scale(3.0).lif(0.5).graph()
    legal, _, _ = legal_table(graph, load_target("c99"), {}, None, {})
    x = (np.random.default_rng(1).random((2, 5, 2, 3)) < 0.6).astype(float)
    np.testing.assert_array_equal(sc.run(legal, x).outputs["output"], sc.run(graph, x).outputs["output"])
    assert any(isinstance(op, Scale) for e in legal.edges for op in e.chain)


@pytest.mark.parametrize(("build", "code", "found"), [
    (lambda net: net.multiply(net.tap(), "rows"), "SNN404", '"rows"'),
    (lambda net: net.multiply(net.tap(), "channels", heads=0), "SNN404", "0"),
    (lambda net: net.multiply(net.tap(), "channels", heads=4), "SNN202", "[6, 5] and [6, 5]"),
    (lambda net: net.multiply(net.conv(4, 1).tap(), "channels"), None, ""),
    (lambda net: net.multiply(net.tap(), "nothing", heads=2), "SNN404", "2 heads"),
    (lambda net: _narrowed(net, "nothing"), "SNN202", "[4, 5]"),
    (lambda net: _narrowed(net, "channels"), "SNN202", "[4, 5]"),
    (lambda net: net.flatten().multiply(net.tap(), "tokens"), "SNN202", "[30]"),
])
def test_what_cannot_be_multiplied_is_refused(build, code, found):
    if code is None:
        assert build(Net((6, 5))).shape == (5, 5)
        return
    with pytest.raises(sc.CompileError) as e:
        build(Net((6, 5)))
    assert e.value.diagnostics[0].code == code
    assert found in e.value.diagnostics[0].found


def _narrowed(net, over):
    """Four channels times the six that they were made of."""
    wide = net.tap()
    return net.conv(4, 1).multiply(wide, over)
