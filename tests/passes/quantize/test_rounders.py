"""Rounders in the line: several projections together, biases that make errors good, and what stays to the nearest."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.inputs import integers
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Linear
from snncompile.ir.populations import Neuron
from snncompile.passes.quantize.calibrate import calibrate
from snncompile.passes.quantize.compensate import errors
from snncompile.passes.quantize.moments import Moments
from snncompile.passes.quantize.neuron_program import typed_program
from snncompile.passes.quantize.population import PopulationQuantizer, _Layout, _Real
from snncompile.passes.quantize.rounders import codes_together
from snncompile.passes.quantize.weight_grid import WeightGrid
from snncompile.targets.arithmetic import Arithmetic
from tests.passes.chains import both, chain, integer, joined, legal

RNG = np.random.default_rng(0)


def spikes(samples: int, ticks: int, *shape: int) -> dict[str, np.ndarray]:
    """Spikes that go together: three causes behind all inputs."""
    causes = RNG.random((samples, ticks, 3)) < 0.3
    mixed = causes @ (RNG.random((3, int(np.prod(shape)))) < 0.4)
    return {"x": (mixed > 0).reshape(samples, ticks, *shape).astype(float)}


def counts_apart(graph: Graph, x: dict[str, np.ndarray], **options: object) -> float:
    wanted, got, _ = both(graph, x, **options)
    return float(np.abs(wanted.outputs["y"].sum(1) - got.outputs["y"].sum(1)).sum() / wanted.outputs["y"].sum())


GRAPHS = {
    "linear": (chain(Linear(RNG.normal(0.1, 0.4, (12, 40))), Neuron.of("lif", decay=0.8), shape=(40,)), (40,)),
    "convolution": (chain(Conv(RNG.normal(0.1, 0.4, (6, 4, 3, 3)), padding=((1, 1), (1, 1))), Neuron.of("if"),
                          shape=(4, 5, 5)), (4, 5, 5)),
    "groups": (chain(Conv(RNG.normal(0.1, 0.4, (6, 2, 3, 3)), groups=2), Neuron.of("if"), shape=(4, 6, 6)), (4, 6, 6)),
    "bias": (chain(Linear(RNG.normal(0.05, 0.4, (12, 40)), RNG.normal(0.1, 0.1, 12)), Neuron.of("lif", decay=0.8),
                   shape=(40,)), (40,)),
    "recurrent": (joined({"fc": Linear(RNG.normal(0.1, 0.4, (12, 40))), "n": Neuron.of("lif", decay=0.8),
                          "back": Linear(RNG.normal(0, 0.3, (12, 12)))}, Edge("x", "fc"), Edge("fc", "n"),
                         Edge("n", "back"), Edge("back", "n", 1), Edge("n", "y"), shape=(40,)), (40,)),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_fewer_spikes_change_at_few_bits(name):
    graph, shape = GRAPHS[name]
    x = spikes(12, 40, *shape)
    apart = {rounding: np.mean([counts_apart(graph, x, weight_bits=bits, weight_rounding=rounding)
                                for bits in (2, 3, 4)]) for rounding in ("nearest", "calibrated")}
    assert apart["calibrated"] < 0.7 * apart["nearest"]


def test_projections_into_one_population_are_rounded_together():
    """Both read the same input, so that errors of the one can be made good by the other."""
    z = RNG.normal(size=(200, 6))
    second = np.block([[z.T @ z, z.T @ z], [z.T @ z, z.T @ z]]) / 200 + 0.01 * np.eye(12)
    moments = Moments(second[None], np.zeros((1, 12)), np.zeros((1, 12)), 200)
    weights, grid = [RNG.normal(size=(5, 6)) for _ in range(2)], WeightGrid(3)
    steps = [np.full(5, 0.8), np.full(5, 0.5)]
    joint = codes_together(list(zip(weights, steps, strict=True)), grid, moments)
    alone = [codes_together([(w, s)], grid, Moments(second[None, :6, :6], *np.zeros((2, 1, 6)), 200))[0]
             for w, s in zip(weights, steps, strict=True)]
    whole, wide = np.concatenate(weights, 1), np.repeat(np.stack(steps, 1), 6, 1)
    changed = [errors(whole, np.concatenate(codes, 1), wide, second).sum() for codes in (joint, alone)]
    assert changed[0] < 0.5 * changed[1]
    assert [c.shape for c in joint] == [(5, 6), (5, 6)]


def test_a_network_rounds_projections_together(monkeypatch):
    rng = np.random.default_rng(1)
    graph = joined({"one": Linear(rng.normal(0.1, 0.4, (12, 20))), "two": Linear(rng.normal(0.1, 0.2, (12, 20))),
                    "n": Neuron.of("lif", decay=0.8)},
                   Edge("x", "one"), Edge("x", "two", 1), Edge("one", "n"), Edge("two", "n"), Edge("n", "y"),
                   shape=(20,))
    x = spikes(12, 40, 20)
    together = counts_apart(graph, x, weight_bits=3)
    monkeypatch.setattr(PopulationQuantizer, "_joint", lambda *_: None)
    assert together < 0.9 * counts_apart(graph, x, weight_bits=3)


def test_headroom_of_narrow_membranes_is_chosen_by_spikes(monkeypatch):
    graph, shape = GRAPHS["linear"]
    x = spikes(12, 40, *shape)
    chosen = counts_apart(graph, x, membrane_bits=8)
    monkeypatch.setattr("snncompile.passes.quantize.population.HEADROOMS", (0,))
    assert chosen < 0.9 * counts_apart(graph, x, membrane_bits=8)


def test_a_bias_makes_good_what_errors_change_in_the_mean():
    graph, shape = GRAPHS["bias"]
    x = spikes(12, 40, *shape)
    whole = integer(graph, x, weight_bits=2)
    exact = legal(graph)
    sums = []
    for one, given in ((exact, x), (whole, integers(whole, x))):
        (edge, _), node = one.edges, one.nodes["b"]
        y = given["x"].reshape(-1, *shape)
        for op in edge.chain:
            y = op.apply(y)
        unit = np.ravel(node.unit) if one is whole else 1.0
        sums.append((y + np.ravel(node.bias)).mean(0) * unit)
    scale = sums[0] @ sums[1] / (sums[1] @ sums[1])  # by which rates are matched
    assert abs(scale - 1) < 0.05
    assert np.abs(sums[0] - scale * sums[1]).max() < 0.02


@pytest.mark.parametrize("ticks", [1, 4])
def test_samples_that_stand_still_give_codes_too(ticks):
    """What differs from the mean is rounding errors only, where one static sample was seen and there is a bias."""
    rng = np.random.default_rng(ticks)
    x = {"x": np.repeat(rng.random((1, 1, 20)), ticks, 1)}
    graph = chain(Linear(rng.normal(0, 0.3, (3, 20)), None), Neuron.of("lif", decay=0.001, bias=0.1), shape=(20,),
                  values="real")
    assert np.asarray(integer(graph, x, weight_bits=4).edges[0].chain[0].weight).any()


def test_rates_that_rounding_changes_are_matched(monkeypatch):
    """Weights of which few are large leave few codes that are not 0, so that neurons fire at another rate."""
    rng = np.random.default_rng(0)
    graph = chain(Linear(0.15 * rng.normal(0, 1, (12, 60)) ** 3), Neuron.of("if"), shape=(60,))
    causes = (rng.random((24, 40, 3)) < 0.3) @ (rng.random((3, 60)) < 0.4) > 0
    x = {"x": (causes & (rng.random(causes.shape) < 0.5)).astype(float)}
    matched = counts_apart(graph, x, weight_bits=2)
    monkeypatch.setattr("snncompile.passes.quantize.population.RATE_POWERS", ())
    assert matched < 0.98 * counts_apart(graph, x, weight_bits=2)


def test_weights_that_are_worth_more_move_neither_threshold_nor_bias():
    """What rates are matched with: in real values, all but the weights stays."""
    graph, shape = GRAPHS["bias"]
    formed, x = legal(graph), spikes(12, 20, *shape)
    seen = calibrate(formed, x)
    (edge,) = formed.edges_into["b"]
    neuron = formed.populations["b"]
    quantizer = PopulationQuantizer(formed, "b", neuron, Arithmetic(weight_bits=8), seen, {"x": 1.0}, None, None)
    population, projections = quantizer.run()
    layout = _Layout(np.asarray(population.unit), 0, dict(projections), [np.zeros(())])
    typed = typed_program(neuron, "b")
    real = _Real(neuron, typed, None, np.ones(()), None, {}, None)
    for scale in (1.0, 1.25):
        scaled, _ = quantizer._in_units(real, layout, scale)
        np.testing.assert_allclose(scaled.unit, np.asarray(population.unit) * scale)
        for name in ("threshold", "bias"):
            found = np.asarray(scaled.params[name]) * np.asarray(scaled.unit)
            np.testing.assert_allclose(found, np.broadcast_to(neuron.params[name], found.shape), atol=0.002)
    assert edge in projections


def test_without_samples_weights_are_rounded_to_the_nearest():
    from tests.passes.chains import uncalibrated

    graph, _ = GRAPHS["linear"]
    one, two = (uncalibrated(graph, weight_bits=3, weight_rounding=r) for r in ("nearest", "calibrated"))
    np.testing.assert_array_equal(one.edges[0].chain[0].weight, two.edges[0].chain[0].weight)


def test_the_same_samples_give_the_same_codes():
    graph, shape = GRAPHS["convolution"]
    x = spikes(6, 20, *shape)
    one, two = (integer(graph, x, weight_bits=3) for _ in range(2))
    np.testing.assert_array_equal(one.edges[0].chain[0].weight, two.edges[0].chain[0].weight)
    assert run(one, integers(one, x)).outputs["y"].any()
