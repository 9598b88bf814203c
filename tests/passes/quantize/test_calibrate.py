"""Calibration: ranges, peaks and rates of what a network does on samples, and networks that run away."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.diagnostics import CompileError
from snncompile.ir import interp
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import sample_chunks
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.passes.quantize.calibrate import calibrate
from tests.passes.chains import chain, joined, legal, ones


def test_the_range_of_every_input_is_noted_with_zero_in_it():
    nodes = {"x": Input((2,)), "z": Input((1,), "real", low=-1), "n": Neuron.of("if"), "m": Neuron.of("if"),
             "y": Output(), "w": Output()}
    graph = legal(Graph("g", nodes, (Edge("x", "n"), Edge("n", "y"), Edge("z", "m"), Edge("m", "w"))))
    calibration = calibrate(graph, {"x": np.full((1, 2, 2), 3.0), "z": np.full((1, 2, 1), -0.25)})
    assert calibration.input_low == {"x": 0.0, "z": -0.25}
    assert calibration.input_high == {"x": 3.0, "z": 0.0}


def test_peaks_are_magnitudes_of_states_and_outputs():
    """A membrane that falls by 0.5 a tick, and is read out."""
    graph = legal(chain(Linear(np.array([[-0.5]])), Neuron.of("integrator"), shape=(1,)))
    activity = calibrate(graph, ones(1, 4, 1)).activity["b"]
    assert (activity.peak_state, activity.peak_output) == (2.0, 2.0)


def test_the_rate_is_spikes_a_neuron_and_tick():
    """Of two neurons one fires at every second of eight ticks."""
    graph = legal(chain(Linear(np.array([[0.5], [0.0]])), Neuron.of("if"), shape=(1,)))
    activity = calibrate(graph, ones(3, 8, 1)).activity["b"]
    assert (activity.emitted, activity.opportunities, activity.rate) == (12, 48, 0.25)


def test_no_ticks_give_no_rate():
    activity = calibrate(legal(chain(Neuron.of("if"))), ones(1, 0, 4)).activity["a"]
    assert (activity.rate, activity.peak_state) == (0.0, 0.0)


@pytest.mark.parametrize(("neuron", "ticks"), [
    (Neuron.of("li", decay=1e6), 20),                                  # inf at the end
    (Neuron.of("cubali", decay=-1e6, decay_syn=1e6), 40),              # inf - inf on the way
])
def test_a_population_that_runs_away_is_named(neuron: Neuron, ticks: int) -> None:
    with pytest.raises(CompileError) as caught:
        calibrate(legal(chain(neuron)), ones(1, ticks, 4))
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.place) == ("SNN401", 'population "a"')


def test_samples_in_parts_give_what_they_give_at_once(monkeypatch):
    graph = legal(chain(Linear(np.eye(4)), Neuron.of("lif", threshold=1.5)))
    x = {"x": (np.random.default_rng(0).random((7, 5, 4)) < 0.6).astype(float)}
    whole = calibrate(graph, x)
    monkeypatch.setattr(interp, "CHUNK_VALUES", 300)
    done: list[tuple[int, int]] = []
    parts = calibrate(graph, x, lambda *progress: done.append(progress))
    assert parts == whole
    for name, values in whole.recorded.values.items():
        np.testing.assert_array_equal(parts.recorded.values[name][:], values[:])
    assert len(done) > 1
    assert done[-1] == (7, 7)


def test_chunks_cover_all_samples_once(monkeypatch):
    monkeypatch.setattr(interp, "CHUNK_VALUES", 1000)
    graph = joined({"n": Neuron.of("if")}, Edge("x", "n"), Edge("n", "y"))
    covered = [i for part in sample_chunks(graph, 11, 9) for i in range(part.start, part.stop)]
    assert covered == list(range(11))
