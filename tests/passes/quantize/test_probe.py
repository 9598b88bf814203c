"""Probing single populations on samples: behind real numbers, or behind the integers of those before them."""

from __future__ import annotations

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from snncompile.passes.quantize.calibrate import calibrate
from snncompile.passes.quantize.probe import PROBED, Probe
from snncompile.passes.quantize.quantize import Quantize
from snncompile.targets.arithmetic import Arithmetic
from tests.passes.chains import chain, legal


def network(threshold: float = 1.0) -> Graph:
    rng = np.random.default_rng(1)
    return legal(chain(Linear(rng.normal(0.2, 0.4, (8, 6))), Neuron.of("if", threshold=threshold),
                       Linear(rng.normal(0.2, 0.4, (5, 8))), Neuron.of("if"), shape=(6,)))


X = {"x": (np.random.default_rng(0).random((12, 20, 6)) < 0.4).astype(float)}
UNITS = {"x": 1.0, "b": 1.0, "d": 1.0}


def way(graph: Graph, name: str, threshold: float = 1.0) -> tuple[object, dict[Edge, Edge]]:
    """A population of a network in integers of 16 bits, and the projection that leads to it."""
    formed = network(threshold)
    whole = Quantize(Arithmetic(weight_bits=16), calibrate(formed, X)).run(formed)
    return whole.nodes[name], {graph.edges_into[name][0]: whole.edges_into[name][0]}


def test_a_population_as_good_as_exact_changes_nothing():
    formed = network()
    probe = Probe(calibrate(formed, X).recorded, UNITS)
    for name in ("b", "d"):
        found = probe.changed(name, way(formed, name))
        assert abs(found.rate - 1) < 0.01
        assert found.counts <= found.ticks <= 3


def test_readers_get_what_integers_send_where_they_are_followed():
    """The first population never fires in integers: its reader falls silent too, if it follows."""
    formed = network()
    recorded = calibrate(formed, X).recorded
    following, alone = Probe(recorded, UNITS, {}), Probe(recorded, UNITS)
    for probe in (following, alone):
        probe.keep("b", way(formed, "b", threshold=1e6))
    second = way(formed, "d")
    assert following.changed("d", second).rate == 0
    assert alone.changed("d", second).rate > 0.9


def test_so_many_samples_are_run_as_are_cheap():
    formed = network()
    assert Probe(calibrate(formed, X).recorded, UNITS).count == PROBED[1]
