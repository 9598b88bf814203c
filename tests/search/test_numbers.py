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


def test_layers_fire():
    net = Net((20,))
    for _ in range(6):
        net.linear(50).norm().lif(0.5)
    x = (np.random.default_rng(0).random((8, 10, 20)) < 0.3).astype(float)
    rates = [float(v.mean()) for v in sc.run(with_random_numbers(net.graph()), x, record=True).emitted.values()]
    assert all(0.02 < r < 0.6 for r in rates), rates
