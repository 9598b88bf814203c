"""Lava computes what the integer interpreter computes: every spike and every membrane, later by the latency."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.artifact import Artifact
from snncompile.backends.lava.host import host
from snncompile.data import read_input
from snncompile.diagnostics import CompileError
from snncompile.inputs import integers
from snncompile.ir.graph import Edge
from snncompile.ir.interp import run
from snncompile.ir.loihi import LoihiLif, Periodic
from snncompile.ir.ops import Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array
from snncompile.model import inside_differences
from snncompile.saved_build import open_build
from tests.backends.exactness import random_case
from tests.frontends.netx.test_pilotnet import same_as_recorded
from tests.frontends.netx.test_pilotnet import spikes as recorded_input
from tests.lava.emitting import differences, network, package
from tests.lava.networks import LINKS, REGISTERS, loihi, random_loihi, spikes, u_net
from tests.nets import small
from tests.nets import spikes as small_spikes
from tests.passes.retimed import PATTERNS, wired
from tests.strategies import inputs_for, random_graph

pytestmark = pytest.mark.usefixtures("lava")


@pytest.mark.parametrize("seed", range(10))
def test_lava_equals_the_interpreter_on_random_graphs(seed: int) -> None:
    case = random_case(random_graph(seed), seed)
    assert differences(case.graph, case.x) == []


@pytest.mark.parametrize("seed", range(5))
def test_lava_equals_the_interpreter_on_random_graphs_in_loihis_registers(seed: int) -> None:
    assert differences(*random_loihi(seed)) == []


def test_lavas_own_neurons_have_loihis_registers():
    graph = loihi(REGISTERS, LINKS)
    assert differences(graph, spikes()) == []
    assert all(np.any(v) for v in run(graph, spikes(), record=True).emitted.values())


def test_wide_weights_reach_lavas_own_neurons_digit_by_digit():
    graph = loihi({"a": LoihiLif(300), "b": LoihiLif(500, 3000, 100)}, [("x", "a", 0), ("a", "b", 0), ("b", "y", 0)],
                  weights=(-150, 400))
    text = network(package(graph).files)
    assert (text.count(" = LIF("), text.count(" = Sparse("), text.count(" = Synapses(")) == (2, 4, 0)
    assert differences(graph, spikes()) == []


def test_generated_neurons_do_what_registers_cannot():
    odd = {"a": LoihiLif(100, bias=4097), "b": LoihiLif(90, 900, np.arange(8) * 100),
           "c": LoihiLif(80, resets=Periodic(5, 2))}
    graph = loihi(odd, [("x", "a", 0), ("a", "b", 0), ("b", "c", 0), ("a", "c", 0), ("c", "y", 0)])
    assert differences(graph, spikes()) == []


def test_a_current_wraps_once_as_lavas_does():
    wide: dict[str, Any] = {"values": "real", "low": -255, "high": 255}
    graph = loihi({"a": LoihiLif(30000, 200, 10)}, [("x", "a", 0), ("a", "y", 0)], weights=(-127, 127), **wide)
    x = {"x": np.random.default_rng(0).choice([-255, 0, 255], (2, 60, 8))}
    traces = run(graph, x, record=True, states=True)
    assert np.abs(traces.states["a"]["u"]).max() > 1 << 22
    assert differences(graph, x) == []


@pytest.mark.parametrize("pattern", PATTERNS)
def test_links_of_searched_networks(pattern: str) -> None:
    graph = wired(PATTERNS[pattern])
    assert differences(graph, inputs_for(graph, samples=1)) == []


def test_relays_delay_lines_and_dilated_time():
    graph = wired([*PATTERNS["residual"], ("e", "a", 1), ("x", "e", 0)])
    assert differences(graph, inputs_for(graph, samples=1), max_delay_ticks=2) == []


def test_fixed_neurons_with_an_always_on_source():
    graph = wired(PATTERNS["residual"], lambda: Neuron.of(
        "cubalif", Firing(), decay=0.75, decay_syn=0.5, threshold=1.0, bias=0.3))
    assert differences(graph, inputs_for(graph, samples=1), programmable=False) == []


def test_outputs_that_are_delayed_or_read_an_input():
    graph = wired(PATTERNS["residual"])
    nodes = {**graph.nodes, "seen": Output(), "late": Output()}
    graph = graph.replace(nodes=nodes, edges=(*graph.edges, Edge("x", "seen"), Edge("b", "late", 5)))
    assert differences(graph, inputs_for(graph, samples=1)) == []


@pytest.mark.parametrize("rule", ["llif", "slif"])
def test_adaptive_neurons_are_generated(rule: str) -> None:
    params = {"llif": {"decay": 0.5, "jump": 0.25}, "slif": {"tau": 2.0, "beta": 0.25}}[rule]
    graph = wired(PATTERNS["residual"], lambda: Neuron.of(rule, Firing(), threshold=1.0, **params))
    assert differences(graph, inputs_for(graph, samples=1)) == []


def traced(model: sc.CompiledModel, x: Any, ticks: int) -> None:
    """Lava and the interpreter agree in everything over the first ticks of the first sample."""
    given = {n: v[:1, :ticks] for n, v in integers(model.graph, x).items()}
    wanted = run(model.graph, given, record=True, states=True)
    assert model.host is not None
    got = model.host.trace(given)
    assert inside_differences(wanted, got) == []
    assert all(np.array_equal(got.outputs[n], v) for n, v in wanted.outputs.items())
    assert sum(bool(v.any()) for v in wanted.emitted.values()) >= len(wanted.emitted) - 1


# --- through the whole line ----------------------------------------------------------------------------------

@pytest.mark.parametrize("target", ["loihi1", "loihi2"])
def test_a_network_compiles_runs_verifies_and_is_kept(target: str, tmp_path: Path) -> None:
    graph = small()
    if target == "loihi1":
        nodes = {n: Neuron.of("lif", Firing(reset="value"), decay=0.75, threshold=1.0) if isinstance(op, Neuron) else op
                 for n, op in graph.nodes.items()}
        graph = graph.replace(nodes=nodes)
    model = sc.compile(graph, target, calibration=small_spikes())
    done: list[tuple[int, int]] = []
    result = model.run(small_spikes(2), lambda *step: done.append(step))
    assert result.backend == "lava"
    assert done == [(1, 2), (2, 2)]
    wanted = model.reference(small_spikes(2))
    assert np.array_equal(result.outputs, wanted.outputs)
    assert all(np.array_equal(v, wanted.spike_counts[n]) for n, v in result.spike_counts.items())
    assert model.report.latency_ticks == 2
    opened = open_build(model.save(tmp_path / "build"))
    assert opened.backend == "lava"
    assert opened.verify().ok


@pytest.mark.parametrize(("target", "reset", "lifs"), [("loihi1", "value", 5), ("loihi2", "subtract", 0)])
def test_a_convolutional_network_with_links_of_every_kind(target: str, reset: str, lifs: int) -> None:
    x = (np.random.default_rng(0).random((2, 20, 2, 8, 8)) < 0.4).astype(float)
    model = sc.compile(u_net(reset), target, calibration=x)
    text = network(model.artifact.files)
    assert text.count(" = LIF(") == lifs
    assert target != "loihi1" or " = Synapses(" not in text
    traced(model, x, 20)


def test_no_ticks_give_no_outputs():
    model = sc.compile(small(), "loihi2", calibration=small_spikes())
    assert model.run(small_spikes(2, 0)).outputs.shape == (2, 0, 3)


def test_a_package_checks_itself_and_notices_a_difference(lava: str, tmp_path: Path) -> None:
    graph = loihi(REGISTERS, LINKS)
    for name, content in package(graph, spikes(1, 9)).files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    good = subprocess.run([lava, tmp_path / "run.py"], capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    assert good.stdout.splitlines()[-1].startswith("the same: 1 samples of 9 ticks, 5 ticks of latency")
    np.savez(tmp_path / "wrong.npz", input0=np.zeros((1, 9, 7), np.int64))
    for name, why in (("wrong.npz", "not whole numbers ['sample', 'tick', 8]"), ("none.npz", "no such file")):
        refused = subprocess.run([lava, tmp_path / "run.py", "--input", tmp_path / name, "--output", "found.npz"],
                                 capture_output=True, text=True, check=False)
        assert refused.returncode == 2
        assert why in refused.stderr
    with np.load(tmp_path / "golden.npz") as arrays:
        changed = dict(arrays)
    changed["state0"] = changed["state0"] + 1
    np.savez(tmp_path / "golden.npz", **changed)
    bad = subprocess.run([lava, tmp_path / "run.py"], capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "a, v: 72 of 72 differ" in bad.stdout
    assert bad.stdout.splitlines()[-1].startswith("DIFFERENT")


def test_a_program_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = loihi(REGISTERS, LINKS)
    files = {**package(graph).files, "loihi_lava/network.py": "raise ValueError('not a network')\n"}
    with pytest.raises(CompileError, match=r"(?s)SNN606.*not a network"):
        host(graph, Artifact(files)).run(spikes(1, 3))


# --- networks that others trained ----------------------------------------------------------------------------

@pytest.fixture(scope="module")
def recordings(shared_data: Path) -> Array:
    return read_input(shared_data / "nmnist" / "test.csv", (2, 34, 34), ticks=310, tick_us=1000)[:4]


@pytest.mark.slow
@pytest.mark.parametrize(("target", "options"), [
    ("loihi2", {"max_spikes": 1, "v_min": None}), ("loihi2", {"v_min": -1.0}),
    ("loihi1", {"max_spikes": 1, "v_min": None, "reset": "zero"}),
], ids=str)
def test_the_nmnist_network_on_recordings(target: str, options: dict[str, Any], recordings: Array,
                                          shared_data: Path) -> None:
    graph = sc.load(shared_data / "nir" / "cnn_sinabs.nir", as_="sinabs", **options)
    traced(sc.compile(graph, target, calibration=recordings), recordings, 60)


@pytest.mark.slow
def test_the_recurrent_braille_network(shared_data: Path) -> None:
    graph = sc.load(shared_data / "nir" / "braille_noDelay_bias_zero.nir", as_="snntorch")
    x = (np.random.default_rng(0).random((2, 100, 12)) < 0.1).astype(np.uint8)
    traced(sc.compile(graph, "loihi2", calibration=x), x, 100)


@pytest.mark.slow
def test_pilotnet_in_lavas_own_processes(shared_data: Path) -> None:
    graph = sc.load(shared_data / "lava_dl" / "pilotnet_lif" / "network.net")
    model = sc.compile(graph, "loihi2")
    text = next(str(c) for n, c in model.artifact.files.items() if n.endswith("/network.py"))
    assert text.count(" = LIF(") == len(model.graph.populations) == 10
    traced(model, model.golden.inputs, 16)


@pytest.mark.slow
def test_pilotnet_in_lava_is_what_intel_recorded(shared_data: Path) -> None:
    """Spikes and membranes of three dense layers, tick for tick as a chip gave them."""
    folder = shared_data / "lava_dl" / "pilotnet_lif"
    resets = {"skip_layers": 1, "reset_interval": 17, "reset_offset": 1}
    model = sc.compile(folder / "network.net", "loihi2", load_options=resets)
    assert model.host is not None
    found = model.host.trace({"input": recorded_input(folder)})
    for layer in ("fc-0", "fc-1", "fc-2"):
        same_as_recorded(found, folder, layer)
