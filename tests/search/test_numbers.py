"""Random numbers in place of bare shapes: seeded, with the bits and the density that a candidate names."""

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.types import ShapeOnly
from snncompile.passes.quantize.given_weights import given_bits
from snncompile.search.net import Net
from snncompile.search.numbers import with_random_numbers


def test_no_bare_shape_is_left_and_a_seed_gives_the_same_numbers():
    graph = Net((2, 6, 6)).conv(4, 3).norm().neuron("plif", w=ShapeOnly((1,))).linear(3, bias=True).graph()
    one, same, other = (with_random_numbers(graph, seed) for seed in (1, 1, 2))
    assert not any(isinstance(v, ShapeOnly) for op in one.nodes.values() for v in op.arrays.values())
    assert str(one) == str(same) != str(other)
    assert np.array_equal(one.nodes["conv1"].weight, same.nodes["conv1"].weight)
    assert not np.array_equal(one.nodes["conv1"].weight, other.nodes["conv1"].weight)


def test_what_has_numbers_keeps_them():
    graph = with_random_numbers(Net((3,)).linear(3).lif(0.5, np.array([1.0, 2.0, 3.0])).graph())
    assert with_random_numbers(graph, 5).nodes["linear1"] is graph.nodes["linear1"]
    assert graph.nodes["lif1"].threshold.tolist() == [1, 2, 3]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_few_bits_are_integers_with_a_step(bits):
    graph = with_random_numbers(Net((40,)).linear(30, bits=bits, bias=True).lif(0.5).graph())
    assert given_bits(graph.nodes["linear1"].weight) == ("ternary" if bits == 2 else bits)
    assert graph.nodes["linear1"].bias is None
    assert graph.nodes["linear1.step"].bias.shape == (30,)
    model = sc.compile(graph, "c99")
    assert [p.weight_bits for p in model.report.populations] == [bits]


def test_a_density_is_the_share_of_weights_that_are_not_zero():
    for bits in (None, 4):
        graph = with_random_numbers(Net((10, 4, 4)).conv(20, 3, density=0.2, bits=bits).lif(0.5).graph())
        assert np.count_nonzero(graph.nodes["conv1"].weight) == 360


@pytest.mark.parametrize("bits", [None, 1, 4])
def test_deep_networks_fire(bits):
    """The pools alone would leave no spikes behind the third layer."""
    net = Net((2, 16, 16))
    for layer in range(10):
        net.conv(12, 3, bits=bits).norm().lif(0.5)
        if layer < 3:
            net.pool(2)
    net.linear(20, bits=bits, bias=True).lif(0.5).linear(20).lif(0.5)
    x = (np.random.default_rng(0).random((8, 6, 2, 16, 16)) < 0.3).astype(float)
    rates = [float(v.mean()) for v in sc.run(with_random_numbers(net.graph()), x, record=True).emitted.values()]
    assert all(0.05 < r < 0.5 for r in rates), rates


@pytest.mark.parametrize("bits", [None, 1, 4])
def test_mixed_tokens_fire_with_any_bits(bits):
    net = Net((4, 9)).token_mix(heads=2, bits=bits, bias=True, density=None if bits == 1 else 0.5).lif(0.5)
    graph = with_random_numbers(net.graph())
    mix = graph.nodes["tokenmix1"]
    assert mix.weight.shape == (2, 9, 9)
    assert np.count_nonzero(mix.weight) == (162 if bits == 1 else 81)
    if bits:
        assert mix.bias is None
        assert np.unique(graph.nodes["tokenmix1.step"].bias, axis=0).shape == (2, 9)
    x = (np.random.default_rng(0).random((8, 6, 4, 9)) < 0.3).astype(float)
    assert 0.05 < sc.run(graph, x, record=True).emitted["lif1"].mean() < 0.5
    model = sc.compile(graph, "c99")
    assert bits is None or [p.weight_bits for p in model.report.populations] == [bits]


def test_a_larger_gain_makes_more_spikes():
    net = Net((2, 8, 8)).conv(8, 3).norm().lif(0.5).conv(8, 3).lif(0.5)
    x = (np.random.default_rng(0).random((8, 6, 2, 8, 8)) < 0.3).astype(float)
    quiet, loud = (sc.run(with_random_numbers(net.graph(), gain=gain), x, record=True).emitted for gain in (0.7, 1.4))
    assert all(quiet[name].mean() < loud[name].mean() for name in quiet)


def test_outputs_of_norms_are_centered_and_have_the_same_spread():
    graph = Net((6,), values="real", low=-1).linear(40).norm().graph()
    x = np.random.default_rng(1).uniform(-1, 1, (500, 1, 6))
    y = sc.run(with_random_numbers(graph), x).outputs["output"][:, 0]
    assert 0.3 < np.median(y.std(0)) < 3
    assert abs(float(y.mean())) < 0.7


def test_links_of_the_last_tick_get_numbers_too():
    net = Net((3,))
    entry = net.tap()
    net.linear(4).norm().lif(0.5)
    net.at(net.tap()).late().linear(3).norm().back(entry)
    graph = with_random_numbers(net.graph())
    assert np.abs(graph.nodes["linear2"].weight).max() > 0.1
    assert np.isfinite(graph.nodes["norm2"].factor).all()


def test_a_graph_that_is_wrong_is_refused():
    net = Net((3,))
    with pytest.raises(sc.CompileError):
        with_random_numbers(net.at(net.place((3,))).lif(0.5).graph())
