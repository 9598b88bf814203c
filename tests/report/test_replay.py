"""What the golden vectors show: counts, and the first difference, as one finds them by looking at every tick."""

from __future__ import annotations

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from snncompile.report import replay as module
from snncompile.report.replay import Replay
from tests.nets import small, spikes, two_inputs
from tests.passes.chains import chain


@pytest.fixture(scope="module")
def model() -> sc.CompiledModel:
    return sc.compile(small(), calibration=spikes(), weight_bits=2)


def replayed(model: sc.CompiledModel) -> Replay:
    return Replay.of(model.graph, model.float_graph, model.golden.inputs)


def test_the_first_difference_is_the_earliest_one(model):
    inputs = model.golden.inputs["in"]
    exact = sc.run(model.float_graph, inputs, record=True, dtype=np.float32).emitted
    integer = sc.run(model.graph, inputs, record=True).emitted
    wanted = next((sample, tick, name) for sample in range(len(inputs)) for tick in range(inputs.shape[1])
                  for name in ("lif1", "lif2") if (exact[name][sample, tick] != integer[name][sample, tick]).any())
    found = replayed(model).first_difference
    assert (found.sample, found.tick, found.population) == wanted
    a, b = (emitted[found.population][found.sample, found.tick] for emitted in (exact, integer))
    assert found.neurons == (a != b).sum()
    assert found.neuron == (int(np.flatnonzero(a != b)[0]),)
    assert (found.exact, found.integer) == (a[found.neuron], b[found.neuron])


def test_the_membrane_is_that_of_the_neuron_that_differs_first(model):
    first, curve = replayed(model).first_difference, replayed(model).curve()
    assert (curve.population, curve.neuron) == (first.population, first.neuron)
    given = model.golden.inputs["in"][first.sample:first.sample + 1]
    exact = sc.run(model.float_graph, given, record=True, states=True, dtype=np.float32)
    integer = sc.run(model.graph, given, record=True, states=True)
    unit = np.broadcast_to(model.graph.population(first.population).unit, model.graph.shapes[first.population])
    at = (0, slice(None), *first.neuron)
    assert np.allclose(curve.exact, exact.states[first.population]["v"][at], atol=1e-5)
    assert np.allclose(curve.integer, integer.states[first.population]["v"][at] * unit[first.neuron])
    assert curve.threshold == 1.0
    assert np.abs(curve.exact - curve.integer)[:first.tick].max(initial=0) < 1
    assert np.array_equal(curve.fired[:first.tick], curve.exact_fired[:first.tick])


def test_without_a_difference_there_is_none_and_the_busiest_neuron_is_shown():
    replay = replayed(sc.compile(small(), calibration=spikes(), weight_bits=16))
    assert replay.first_difference is None
    counts = replay.integer.emitted["lif2"][0].sum(0)
    assert replay.curve().population == "lif2"
    assert counts[replay.curve().neuron] == counts.max()


def test_a_state_that_counts_is_no_membrane():
    graph = chain(Linear(np.eye(3) * 0.7, None), Neuron.of("qlif", decay=0.5, step=0.25), shape=(3,))
    x = (np.random.default_rng(0).random((2, 8, 3)) < 0.6).astype(float)
    curve = replayed(sc.compile(graph, calibration=x)).curve()
    assert curve.what == "state q"
    assert curve.threshold is None
    assert np.array_equal(curve.integer, curve.exact)
    assert np.array_equal(curve.exact, np.rint(curve.exact))
    assert curve.exact.any()


def test_a_network_in_integers_has_no_float_network(model, tmp_path):
    opened = sc.open_build(model.save(tmp_path / "build"))
    replay = replayed(opened)
    assert replay.exact is None
    assert replay.first_difference is None
    assert replay.curve().exact is None
    assert replay.curve().threshold == pytest.approx(1.0, rel=0.01)


def test_operations_rates_and_memory_are_those_that_one_counts_by_hand(model):
    replay = replayed(model)
    fired = replay.integer.emitted
    back = fired["lif1"][:, :-1]
    arriving = {"lif1": [(replay.inputs["in"], "in"), (back, "lif1")], "lif2": [(fired["lif1"], "lif1")]}
    for name, sources in arriving.items():
        edges = {e.src: np.asarray(e.chain[0].weight) for e in model.graph.edges_into[name]}
        pairs = sum((values != 0).reshape(-1, values.shape[-1]).sum(0) @ (edges[src] != 0).sum(0)
                    for values, src in sources)
        assert replay.operations[name] == pytest.approx(pairs / len(fired[name]))
        assert replay.rates[name] == pytest.approx(fired[name].mean())
        weights, states = replay.bytes_of[name]
        # Codes of 2 bits are -1, 0 and 1: a sign and a bit.
        assert weights == sum(w.size for w in edges.values()) * 2 / 8
        assert states == sum(s.bits for s in model.graph.population(name).states.values()) * edges["lif1"].shape[0] / 8


def test_values_are_not_compared_as_spikes():
    rng = np.random.default_rng(0)
    x = {"spikes": (rng.random((3, 12, 4)) < 0.4).astype(float), "frame": rng.uniform(-1, 1, (3, 12, 5))}
    replay = replayed(sc.compile(two_inputs(), calibration=x, weight_bits=16))
    assert [replay.graded(n) for n in ("spikes", "frame", "lif", "li")] == [False, True, False, True]
    assert not replay.differing("li").any()


def test_a_long_or_large_network_is_replayed_in_part(model, monkeypatch):
    monkeypatch.setattr(module, "MAX_TICKS", 5)
    assert replayed(model).ticks == 5
    synapses = 6 * 8 + 8 * 8 + 8 * 3
    monkeypatch.setattr(module, "OPERATIONS", 2 * 5 * synapses)
    assert replayed(model).inputs["in"].shape[:2] == (2, 5)
    monkeypatch.setattr(module, "OPERATIONS", 1)
    assert replayed(model).inputs["in"].shape[:2] == (1, module.FEWEST_TICKS)
    monkeypatch.undo()
    monkeypatch.setattr(module, "VALUES", 3 * 9 * (6 + 8 + 3 + 3))
    assert replayed(model).inputs["in"].shape[:2] == (3, 9)
