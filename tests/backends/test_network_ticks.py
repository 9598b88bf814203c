"""Programs for hardware on which a hop takes ticks give what the network gives, in ticks of the network."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.c.host import compiler
from snncompile.diagnostics import CompileError
from snncompile.inputs import integers
from snncompile.ir.schedule import Schedule
from snncompile.ir.types import Stage
from snncompile.model import inside_differences
from tests.passes.retimed import BACKWARD, CELL, RESIDUAL, SIZE, chain, wired
from tests.strategies import Features, inputs_for, random_graph

needs_c = pytest.mark.skipif(compiler() is None, reason="no C compiler")
PATTERNS = {
    "chain": chain("x", "a", "b", "c", "y"),
    "residual": RESIDUAL,
    "delays": [("x", "a", 2), ("a", "b", 3), ("b", "y", 1), ("x", "b", 1)],
    "backward": BACKWARD,
    "cell": CELL,
    "itself": [*chain("x", "a", "y"), ("a", "a", 2)],
}


def spikes(seed: int = 0, samples: int = 3, ticks: int = 12):
    return (np.random.default_rng(seed).random((samples, ticks, SIZE)) < 0.5).astype(np.int64)


def target(hop_ticks: int, **figures):
    return sc.load_target("c99").with_(hop_ticks=hop_ticks, dilation=True, **figures)


def same(model: sc.CompiledModel, x) -> None:
    """The emitted program against the interpreter: outputs, counts, spikes and states."""
    emitted, expected = model.run(x), model.reference(x)
    assert emitted.backend == "c"
    for name, values in expected.all_outputs.items():
        np.testing.assert_array_equal(emitted.all_outputs[name], values)
    for name, counts in expected.spike_counts.items():
        np.testing.assert_array_equal(emitted.spike_counts[name], counts)
    assert list(emitted.spike_counts) == list(expected.spike_counts)
    wanted = sc.run(model.graph, integers(model.graph, x), record=True, states=True)
    assert inside_differences(wanted, model.trace(x)) == []
    assert model.verify().ok


@needs_c
@pytest.mark.parametrize("hop_ticks", [1, 2])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_c_gives_the_networks_spikes_whatever_a_hop_takes(pattern, hop_ticks):
    model = sc.compile(wired(PATTERNS[pattern]), target(hop_ticks), dilate="auto")
    assert model.mapped.stage == Stage.MAPPED
    same(model, spikes())


@needs_c
@pytest.mark.parametrize("dilate", [2, 3])
def test_dilated_time_gives_the_same_spikes(dilate):
    model = sc.compile(wired(PATTERNS["itself"]), target(1), dilate=dilate)
    assert model.mapped.schedule.period == dilate
    same(model, spikes(1))


@needs_c
def test_relays_stay_out_of_sight():
    model = sc.compile(wired(PATTERNS["residual"]), target(2, max_delay_ticks=3))
    assert set(model.mapped.populations) > set(model.graph.populations)
    same(model, spikes(2))


@needs_c
@pytest.mark.parametrize("seed", range(12))
def test_random_networks_give_their_spikes_in_hardware_ticks(seed):
    """Biases, leaks, initial membranes, graded values and loops act in the ticks of the network only."""
    model = sc.compile(random_graph(seed, Features(delays=True)), target(1 + seed % 2), dilate="auto")
    same(model, inputs_for(model.graph, seed))


@needs_c
def test_a_build_is_opened_with_its_schedule(tmp_path):
    model = sc.compile(wired(PATTERNS["delays"]), target(2))
    again = sc.open_build(model.save(tmp_path / "build"))
    assert again.mapped.schedule == model.mapped.schedule
    same(again, spikes(3))


@needs_c
def test_the_self_test_and_the_header_know_hardware_ticks(tmp_path):
    model = sc.compile(wired(PATTERNS["chain"]), target(1))
    folder = model.save(tmp_path / "build") / "c"
    header = next(text for name, text in model.artifact.files.items() if name.endswith(".h") and "_" not in name)
    assert "tick t of the network in step 3 + t" in str(header)
    done = subprocess.run(["make", "-C", folder, "test"], capture_output=True, text=True, check=False)
    assert "exact" in done.stdout, done.stdout + done.stderr


def test_the_empty_schedule_changes_nothing():
    x = {"x": spikes()}
    assert not Schedule()
    assert Schedule().present(x)["x"] is x["x"]
    np.testing.assert_array_equal(Schedule().collect(x["x"], "any", 12), x["x"])


@pytest.mark.parametrize("data", [
    3, {}, {"latency_ticks": {"a": -1}, "period": 1, "always_on": {}},
    {"latency_ticks": {}, "period": 0, "always_on": {}},
    {"latency_ticks": {}, "period": 1, "always_on": {"a": 1.5}}, {"latency_ticks": [], "period": 1, "always_on": {}},
])
def test_a_schedule_from_a_damaged_file_is_refused(data):
    with pytest.raises(ValueError, match=r"schedule|whole numbers"):
        Schedule.from_json(data)


def test_lava_without_ticks_for_a_hop_is_refused_before_anything_is_quantized():
    with pytest.raises(CompileError) as caught:
        sc.compile(wired(PATTERNS["chain"]), sc.load_target("loihi2").with_(hop_ticks=0))
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.place) == ("SNN404", 'target "loihi2", timing.hop_ticks')
