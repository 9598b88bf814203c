"""Networks that others trained and recorded give the recorded membranes and spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snncompile.frontends import load
from snncompile.frontends.nir.export import export_nir
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array
from tests.frontends.nir.files import affine, canonical, chain, codes, lif, refusal

TICKS = 310
SOFT = {"as_": "sinabs", "max_spikes": 1, "v_min": None}


def trace(shared_data: Path, platform: str) -> tuple[Array, Array, Array]:
    """The input spikes `[1, tick, 1]` of a recording, the membranes, and the ticks of the spikes."""
    x, v, s = np.loadtxt(shared_data / "nir" / "lif_traces" / f"lif_{platform}.csv", delimiter=",").T
    return (x > 0).astype(float)[None, :, None], v, np.flatnonzero(s)


def simulate(graph: Graph, x: Array, dtype: Any) -> tuple[Array, Array]:
    name, = graph.populations
    traces = run(graph, x, record=True, states=True, dtype=dtype)
    return traces.states[name]["v"][0, :, 0], np.flatnonzero(traces.emitted[name][0, :, 0])


@pytest.mark.parametrize(("platform", "options"), [
    ("norse", {"as_": "norse"}), ("snntorch", {"as_": "snntorch"}), ("sinabs", {"as_": "sinabs"}),
    ("exact", {"discretization": "exp", "reset": "subtract"}), ("rockpool", {"as_": "rockpool", "gain": "euler"}),
])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_neuron_fires_when_the_platform_recorded_it(shared_data: Path, platform: str, options: Any,
                                                        dtype: Any) -> None:
    x, v, ticks = trace(shared_data, platform)
    membrane, fired = simulate(load(shared_data / "nir" / "lif_norse.nir", dt=1e-4, **options), x, dtype)
    assert fired.tolist() == ticks.tolist()
    assert len(ticks) == 4
    # The exact solution resets between two ticks, which a network that computes in ticks cannot.
    compared = slice(ticks[0] if platform == "exact" else None)
    assert np.allclose(membrane[compared], v[compared], atol=2e-6)


@pytest.mark.parametrize("platform", ["snntorch", "sinabs"])
def test_in_32_bits_the_membrane_is_that_of_the_framework_to_the_last_bit(shared_data: Path, platform: str) -> None:
    x, v, _ = trace(shared_data, platform)
    membrane, _ = simulate(load(shared_data / "nir" / "lif_norse.nir", dt=1e-4, as_=platform), x, np.float32)
    assert np.array_equal(membrane, v)


def test_a_neuron_as_rockpool_exports_it(shared_data: Path, tmp_path: Path) -> None:
    """Rockpool writes a weight of 0.04 and r = tau exp(-dt / tau) / dt."""
    x, v, ticks = trace(shared_data, "rockpool")
    path = chain(tmp_path / "x.nir", (1,), affine([[0.04]]), lif(tau=2.5e-3, r=25 * np.exp(-0.04), v_threshold=0.1))
    membrane, fired = simulate(load(path, dt=1e-4, as_="rockpool"), x, np.float64)
    assert fired.tolist() == ticks.tolist()
    assert np.allclose(membrane, v, atol=1e-6)


def test_a_flat_and_a_nested_recurrent_network_are_the_same(shared_data: Path) -> None:
    flat = load(shared_data / "nir" / "braille_noDelay_bias_zero.nir")
    nested = load(shared_data / "nir" / "braille_noDelay_bias_zero_subgraph.nir")
    assert canonical(flat) == canonical(nested)
    assert {(e.src, e.dst): e.delay for e in flat.edges}["lif1.lif", "lif1.w_rec"] == 1
    assert sum(e.delay for e in flat.edges) == 1
    for graph in (flat, nested):
        for op in graph.populations.values():
            assert (op.params["gain"], op.params["gain_syn"]) == (1, 1)
    x = (np.random.default_rng(0).random((2, 60, 12)) < 0.2).astype(float)
    assert np.array_equal(run(flat, x).outputs["output"], run(nested, x).outputs["output"])


def test_two_neurons_with_a_leak_potential(shared_data: Path) -> None:
    graph = load(shared_data / "nir" / "two_lif_neurons.nir")
    fired = run(graph, np.zeros((1, 2000, 1)), record=True).emitted["lif1"].sum()
    # 1.2 (1 - 0.99^n) reaches 1 in 179 steps.
    assert fired == 2000 // 179


def test_a_file_with_batch_axes_is_the_same_network_as_its_successor(shared_data: Path) -> None:
    old = load(shared_data / "nir" / "hist_scnn_mnist_669f.nir")
    new = load(shared_data / "nir" / "cnn_sinabs.nir")
    assert canonical(old) == canonical(new)
    assert [n.severity for n in old.notes].count("note") == 1


def test_a_pickle_called_nir_is_refused(shared_data: Path) -> None:
    path = shared_data / "nir" / "hist_Braille_snntorch.nir"
    assert codes(path) == ["SNN101"]
    assert "nir.write" in refusal(path)


def test_constant_parameters_become_numbers(shared_data: Path) -> None:
    graph = load(shared_data / "nir" / "cnn_sinabs.nir", as_="sinabs")
    assert not graph.notes
    for op in graph.populations.values():
        assert isinstance(op, Neuron)
        assert dict(op.params) == {"gain": 1, "threshold": 1, "v_min": -1}
        assert op.firing.max_spikes is None


@pytest.mark.parametrize("name", ["braille_noDelay_bias_zero", "braille_noDelay_bias_zero_subgraph", "cnn_sinabs",
                                  "hist_scnn_mnist_669f", "lif_norse", "two_lif_neurons"])
@pytest.mark.parametrize("preset", [None, "snntorch", "norse"])
def test_real_networks_survive_the_round_trip(shared_data: Path, tmp_path: Path, name: str, preset: str | None) -> None:
    graph = load(shared_data / "nir" / f"{name}.nir", as_=preset)
    assert str(load(export_nir(graph, tmp_path / "x.nir"))) == str(graph)


# --- N-MNIST ---------------------------------------------------------------------------------------------


def recording(shared_data: Path, name: str) -> Array:
    """One recording as counts `[1, tick, polarity, y, x]`; events after the last tick are counted in the last tick."""
    raw = np.fromfile(shared_data / "nmnist" / name, np.uint8).reshape(-1, 5).astype(np.int64)
    micros = (raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]
    counts = np.zeros((1, TICKS, 2, 34, 34), np.float32)
    np.add.at(counts[0], (np.minimum(micros // 1000, TICKS - 1), raw[:, 2] >> 7, raw[:, 1], raw[:, 0]), 1)
    return counts


def listed(shared_data: Path) -> list[tuple[str, int]]:
    lines = (shared_data / "nmnist" / "test.csv").read_text().split()[1:]
    return [(name, int(label)) for name, label in (line.split(",") for line in lines)]


def fired(graph: Graph, x: Array) -> tuple[list[int], int]:
    """The number of spikes of every population in one sample, and the decision."""
    traces = run(graph, x, record=True, dtype=np.float32)
    return [int(traces.emitted[n].sum()) for n in graph.populations], int(traces.outputs["output"][0].sum(0).argmax())


@pytest.mark.parametrize(("options", "counts"), [
    (SOFT, [[4690, 10527, 9970, 7332, 317], [6944, 14889, 13054, 9195, 376]]),
    ({"as_": "sinabs"}, [[7714, 20404, 22430, 23785, 2130], [11933, 29646, 30538, 32177, 2293]]),
])
def test_spikes_of_two_recordings(shared_data: Path, options: Any, counts: list[list[int]]) -> None:
    graph = load(shared_data / "nir" / "cnn_sinabs.nir", **options)
    for (name, label), expected in zip(listed(shared_data), counts, strict=False):
        assert fired(graph, recording(shared_data, name)) == (expected, label)


@pytest.mark.slow
def test_mean_spikes_and_accuracy_of_all_recordings(shared_data: Path) -> None:
    """The neurons subtract the threshold at `>=`, give one spike per step, and have no lowest membrane."""
    graph = load(shared_data / "nir" / "cnn_sinabs.nir", **SOFT)
    results = [(*fired(graph, recording(shared_data, name)), label) for name, label in listed(shared_data)]
    means = np.mean([counts for counts, _, _ in results], 0)
    assert np.round(means).astype(int).tolist() == [5375, 11810, 9436, 7374, 359]
    assert sum(decision == label for _, decision, label in results) >= 38
