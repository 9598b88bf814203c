"""Moments: what a layer reads, how membranes add it up, and H by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Input, Linear, Output, SumPool
from snncompile.ir.packed import Packed
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Stage
from snncompile.passes.quantize.moments import ROWS, Reader, Recorded, Taps, added_up, response

RNG = np.random.default_rng(0)
LAYERS = [
    (Linear(RNG.normal(size=(3, 5))), (5,)),
    (Conv(RNG.normal(size=(4, 2, 3, 3)), padding=((1, 1), (1, 1))), (2, 5, 6)),
    (Conv(RNG.normal(size=(4, 1, 3, 2)), stride=(2, 1), padding=((0, 1), (2, 0)), dilation=(1, 2), groups=2),
     (2, 7, 6)),
    (Conv(RNG.normal(size=(6, 2, 3)), stride=(2,), padding=((1, 0),), dilation=(2,), groups=3), (6, 9)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_rows_times_weights_are_the_sums_of_the_layer(layer, shape):
    x = RNG.normal(size=(2, 3, *shape))
    taps = Taps.of(layer, shape)
    out = layer.apply(x.reshape(6, *shape))
    seen = taps.read(x, np.arange(6 * taps.positions))
    weights = layer.rows().reshape(taps.groups, -1, taps.each)
    sums = np.einsum("rgt,got->rgo", seen, weights).reshape(6, taps.positions, -1)
    np.testing.assert_allclose(sums.transpose(0, 2, 1).reshape(out.shape), out)


NEURONS = [
    Neuron.of("lif", decay=0.5, gain=3.0, threshold=2.0), Neuron.of("if", threshold=1.0),
    Neuron.of("lif", decay=np.array([0.8, 0.9]).reshape(2, 1), threshold=1.0), Neuron.of("li", decay=0.7),
    Neuron.of("cubalif", decay=0.9, decay_syn=0.6, threshold=1.0), Neuron.of("integrator"),
    Neuron.of("euler_lif", tau=4.0, threshold=1.0),
]


@pytest.mark.parametrize("neuron", NEURONS)
def test_a_response_is_the_membrane_of_a_neuron_that_never_fires(neuron):
    by = response(neuron, 12)
    assert by.max() == 1
    calm = Neuron(neuron.rule, {n: np.mean(v) if n != "threshold" else 1e9 for n, v in neuron.params.items()},
                  neuron.firing, neuron.options)
    graph = Graph("one", {"x": Input((1,)), "n": calm, "y": Output()}, (Edge("x", "n"), Edge("n", "y")), Stage.LEGAL)
    x = RNG.random((2, 12, 1))
    wanted = run(graph, x, record=True, states=True).states["n"]["v"]
    scale = float(np.max(run(graph, np.eye(1, 12)[..., None], record=True, states=True).states["n"]["v"]))
    np.testing.assert_allclose(added_up(x, by) * scale, wanted, rtol=1e-4)


@pytest.mark.parametrize("rule", ["threshold", "accumulator"])
def test_without_a_membrane_nothing_is_added_up(rule):
    x = RNG.random((1, 5, 2))
    by = response(Neuron.of(rule), 5)
    np.testing.assert_allclose(added_up(x, by), x, rtol=1e-6)


@pytest.mark.parametrize("rule", ["alif", "llif", "slif", "qlif", "plif", "alpha"])
def test_every_rule_has_a_response(rule):
    by = response(Neuron.of(rule), 20)
    assert np.isfinite(by).all()
    assert by.max() == 1
    assert by[-1] < 1


def test_moments_by_hand():
    """Two inputs, three ticks, a LIF with a decay of 0.5, one tick late."""
    sent = np.array([[[1, 0], [0, 1], [1, 1]]], np.int8)
    layer, neuron = Linear(np.ones((1, 2))), Neuron.of("lif", decay=0.5, threshold=1.0)
    found = Recorded({"x": Packed.of(sent)}).moments([Reader("x", 1, (), layer)], response(neuron, 3))
    z = np.array([[0, 0], [1, 0], [0.5, 1]])
    np.testing.assert_allclose(found.second[0], z.T @ z / 3)
    np.testing.assert_allclose(found.added[0], z.mean(0))
    np.testing.assert_allclose(found.mean[0], [1 / 3, 1 / 3])
    np.testing.assert_allclose(found.centred().second[0], np.cov(z.T, bias=True), atol=1e-9)
    assert found.rows == 3


def test_operators_before_the_layer_are_applied():
    sent = RNG.integers(0, 2, (2, 4, 1, 4, 4)).astype(np.int8)
    layer = Conv(np.ones((1, 1, 1, 1)))
    reader = Reader("x", 0, (SumPool((2, 2), (2, 2)),), layer)
    found = Recorded({"x": Packed.of(sent)}).moments([reader], np.eye(1, 4)[0])
    pooled = sent.reshape(2, 4, 1, 2, 2, 2, 2).sum((4, 6))
    assert float(found.second[0, 0, 0]) == pytest.approx(np.mean(pooled.astype(float) ** 2))


def test_large_layers_are_looked_at_in_part_and_the_same_in_every_run():
    sent = RNG.integers(0, 2, (80, 20, 2, 8, 8)).astype(np.int8)
    layer = Conv(np.ones((1, 2, 3, 3)), padding=((1, 1), (1, 1)))
    one, two = (Recorded({"x": Packed.of(sent)}).moments([Reader("x", 0, (), layer)], np.ones(20)) for _ in range(2))
    assert one.rows <= ROWS < math.prod(sent.shape[:2]) * 64
    np.testing.assert_array_equal(one.second, two.second)


def test_few_rows_for_many_weights_are_damped_more():
    sent = RNG.integers(0, 2, (1, 2, 100)).astype(np.int8)
    found = Recorded({"x": Packed.of(sent)}).moments([Reader("x", 0, (), Linear(np.ones((1, 100))))], np.ones(2))
    added = np.diag(found.damped().second[0] - found.second[0])
    mean = np.trace(found.second[0]) / 100
    np.testing.assert_allclose(added, 0.02 * 100 / 2 * mean)
    assert np.linalg.eigvalsh(found.damped().second[0]).min() > 0


def test_what_was_not_recorded_has_no_moments():
    assert Recorded({}).moments([Reader("x", 0, (), Linear(np.ones((1, 1))))], np.ones(1)) is None
