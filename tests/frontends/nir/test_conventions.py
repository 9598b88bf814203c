"""What NIR leaves open is answered by options, metadata, presets and defaults, in this order; defaults are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snncompile.diagnostics import CompileError
from snncompile.frontends import load
from snncompile.frontends.nir.conventions import DEFAULTS, OPTIONS, PRESETS, check_options
from snncompile.ir.interp import run
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from tests.frontends.nir.files import chain, codes, if_, lif, node, refusal


def neuron(path: Path, **options: Any) -> Neuron:
    op = load(path, **options).nodes["n0"]
    assert isinstance(op, Neuron)
    return op


def notes_of(path: Path, **options: Any) -> list[str]:
    return [n.found for n in load(path, **options).notes]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """One LIF neuron of a file without metadata, which answers no question."""
    return chain(tmp_path / "bare.nir", (1,), lif(v_threshold=2.0))


# --- precedence ------------------------------------------------------------------------------------------


def test_defaults(bare: Path) -> None:
    op = neuron(bare)
    assert op.firing == Firing(">=", "value", "same", 1)
    assert op.params["decay"] == pytest.approx(0.9)


@pytest.mark.parametrize(("option", "attribute", "value", "expected"), [
    ("compare", "compare", ">", ">"), ("reset", "reset", "subtract", "subtract"), ("reset", "reset", "zero", "value"),
    ("reset", "reset", "none", "none"), ("reset_when", "when", "after-decay", "after-decay"),
    ("max_spikes", "max_spikes", 3, 3), ("max_spikes", "max_spikes", None, None),
    ("max_spikes", "max_spikes", "unlimited", None), ("max_spikes", "max_spikes", "7", 7),
])
def test_options_fix_how_a_neuron_fires(bare: Path, option: str, attribute: str, value: Any, expected: Any) -> None:
    assert getattr(neuron(bare, **{option: value}).firing, attribute) == expected


def test_an_option_beats_the_file_and_the_file_beats_the_preset(tmp_path: Path) -> None:
    said = {"metadata": {"snncompile": {"compare": ">=", "max_spikes": 5}}}
    of_graph = {"snncompile": {"max_spikes": 6, "reset": "none"}}
    path = chain(tmp_path / "x.nir", (1,), {**lif(), **said}, metadata=of_graph)
    assert neuron(path, as_="norse").firing == Firing(">=", "none", "same", 5)
    assert neuron(path, as_="norse", compare=">", max_spikes=2, reset="subtract").firing == Firing(
        ">", "subtract", "same", 2)


def test_metadata_of_the_graph_speak_for_all_nodes(tmp_path: Path) -> None:
    said = {"dt": 1e-5, "discretization": "exp", "reset": "subtract", "compare": ">", "max_spikes": "unlimited",
            "v_min": -0.5}
    path = chain(tmp_path / "x.nir", (1,), lif(), metadata={"snncompile": said})
    graph = load(path)
    assert not graph.notes
    assert graph.meta == {"dt": 1e-5}
    op = neuron(path)
    assert op.firing == Firing(">", "subtract", "same", None)
    assert op.params["decay"] == pytest.approx(np.exp(-0.01))
    assert op.params["v_min"] == -0.5


# --- notes -----------------------------------------------------------------------------------------------


def test_every_assumption_is_reported_once_with_the_option_that_sets_it(bare: Path) -> None:
    graph = load(bare)
    assert all(n.code == "SNN105" and n.severity == "warning" and '"n0"' in n.place for n in graph.notes)
    flags = [n.help.split()[0] for n in graph.notes]
    assert flags == ["--dt", "--discretization", "--reset", "--compare", "--max-spikes", "--v-min"]
    assert not load(bare, dt=1e-4, discretization="euler", reset="zero", compare=">=", max_spikes=1, v_min=None).notes


def test_a_note_names_a_few_nodes_and_counts_the_rest(tmp_path: Path) -> None:
    graph = load(chain(tmp_path / "x.nir", (1,), *[lif() for _ in range(9)]))
    assert len(graph.notes) == 6
    assert graph.notes[0].place == 'nodes "n0", "n1", "n2", "n3" and 5 more'


def test_the_time_step_is_not_asked_for_where_nothing_is_timed(tmp_path: Path) -> None:
    graph = load(chain(tmp_path / "x.nir", (1,), if_(1)))
    assert "--dt" not in "".join(n.help for n in graph.notes)
    assert graph.meta == {}


def test_a_gain_in_units_of_time_asks_for_the_time_step(tmp_path: Path) -> None:
    assert any("time step" in f for f in notes_of(chain(tmp_path / "x.nir", (1,), if_(1, r=500.0))))


def test_a_reset_potential_in_the_file_answers_the_question(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", (1,), lif(v_reset=-0.5))
    assert not any("reset of the membrane" in f for f in notes_of(path))
    assert neuron(path).params["v_reset"] == -0.5
    assert "v_reset" not in neuron(path, reset="zero").params
    assert "v_reset" not in neuron(chain(tmp_path / "x.nir", (1,), lif(v_reset=0.0))).params


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_leaves_only_the_time_step_open(tmp_path: Path, bare: Path, preset: str) -> None:
    cuba = node("CubaLIF", tau_syn=[2.0], tau_mem=[3.0], r=[1.0], v_leak=[0.0], v_threshold=[1.0])
    open_ = {"norse", "rockpool"}
    notes = notes_of(chain(tmp_path / "x.nir", (1,), cuba), as_=preset, **({} if preset == "sinabs" else {"dt": 1.0}))
    assert [n for n in notes if "assumed" in n] == []
    assert any("time step" in n for n in notes_of(bare, as_=preset, discretization="exp")) == (preset in open_)


def test_snntorch_files_may_have_lost_their_reset(bare: Path) -> None:
    notes = load(bare, as_="snntorch").notes
    assert len(notes) == 1
    assert "reset_mechanism" in notes[0].expected
    assert not load(bare, as_="snntorch", reset="subtract").notes


# --- what the answers mean -------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "decay", "gain", "threshold"), [
    ({}, 0.9, 0.2, 2), ({"discretization": "exp"}, np.exp(-0.1), 2 * (1 - np.exp(-0.1)), 2),
    ({"discretization": "exp", "gain": "euler"}, np.exp(-0.1), 0.2, 2),
    ({"discretization": "exp", "gain": "rockpool"}, np.exp(-0.1), 0.2 * np.exp(0.1), 2),
    ({"gain": "unit"}, 0.9, 1, 10), ({"dt": 5e-4}, 0.5, 1, 2),
])
def test_gains(tmp_path: Path, options: Any, decay: float, gain: float, threshold: float) -> None:
    op = neuron(chain(tmp_path / "x.nir", (1,), lif(v_threshold=2.0, r=2.0)), **options)
    assert dict(op.params) == pytest.approx({"decay": decay, "gain": gain, "threshold": threshold})


def test_unit_gain_changes_the_unit_of_the_membrane_and_no_spike(tmp_path: Path) -> None:
    path = chain(tmp_path / "x.nir", (1,), lif(v_threshold=0.35, r=2.0, v_leak=0.25, v_reset=-0.125))
    x = np.random.default_rng(0).random((1, 200, 1)) * 4
    plain, scaled = (run(load(path, gain=g, v_min=-0.2, v_init=0.1), x, record=True, states=True)
                     for g in ("ode", "unit"))
    assert 10 < plain.emitted["n0"].sum() < 200
    assert np.array_equal(plain.emitted["n0"], scaled.emitted["n0"])
    assert np.allclose(plain.states["n0"]["v"], scaled.states["n0"]["v"] * 0.2)


def test_unit_gain_needs_a_gain(tmp_path: Path) -> None:
    assert codes(chain(tmp_path / "x.nir", (1,), lif(r=-1.0)), gain="unit") == ["SNN203"]


@pytest.mark.parametrize(("given", "expected"), [(-0.5, -0.5), ("-0.5", -0.5), ("-threshold", -2.0), ("none", None),
                                                 (None, None)])
def test_lowest_membrane(bare: Path, given: Any, expected: Any) -> None:
    assert neuron(bare, v_min=given).params.get("v_min") == expected


@pytest.mark.parametrize(("given", "expected"), [("reset", -0.5), ("leak", 0.25), (0.75, 0.75), (0, None)])
def test_first_membrane(tmp_path: Path, given: Any, expected: Any) -> None:
    path = chain(tmp_path / "x.nir", (1,), lif(v_leak=0.25, v_reset=-0.5))
    assert neuron(path, v_init=given).initial.get("v") == expected
    assert any("starts at 0" in f for f in notes_of(path))


def test_values_and_decoding(bare: Path) -> None:
    graph = load(bare, values="real", decode="max")
    assert graph.inputs["input"].values == "real"
    assert graph.outputs["output"].decode == "max"


def test_the_order_of_the_synaptic_filter(tmp_path: Path) -> None:
    cuba = node("CubaLIF", tau_syn=[1.0], tau_mem=[1.0], r=[1.0], v_leak=[0.0], v_threshold=[1.0])
    path = chain(tmp_path / "x.nir", (1,), cuba)
    assert any("synaptic current" in f for f in notes_of(path))
    assert neuron(path, filter="add-first").options == {"filter": "add-first"}


# --- presets ---------------------------------------------------------------------------------------------


def test_sinabs_preset(tmp_path: Path) -> None:
    op = neuron(chain(tmp_path / "x.nir", (1,), if_(1, threshold=2.0)), as_="sinabs")
    assert op.firing == Firing(">=", "subtract", "same", None)
    assert dict(op.params) == {"gain": 1, "threshold": 2, "v_min": -2}
    op = neuron(chain(tmp_path / "x.nir", (1,), lif(tau=20.0)), as_="sinabs")
    assert dict(op.params) == pytest.approx({"decay": np.exp(-1 / 20), "gain": 1 / 20, "threshold": 1})


def test_snntorch_preset_on_its_own_export(tmp_path: Path) -> None:
    """beta = 0.75 is written as tau = dt / (1 - beta) and r = tau / dt."""
    path = chain(tmp_path / "x.nir", (1,), lif(tau=4e-4, r=4.0, v_threshold=0.5, v_reset=0.0))
    op = neuron(path, as_="snntorch")
    assert op.firing == Firing(">", "value", "same", 1)
    assert dict(op.params) == pytest.approx({"decay": 0.75, "gain": 1, "threshold": 0.5})


@pytest.mark.parametrize(("r", "gain"), [(1.0, 0.5), (2.0, 1.0)])
def test_spikingjelly_preset_on_its_own_export(tmp_path: Path, r: float, gain: float) -> None:
    """tau = 2 is written as 2 dt, and r as 1 where the input decays and as tau where it does not."""
    path = chain(tmp_path / "x.nir", (1,), lif(tau=2e-4, r=r, v_leak=0.25, v_reset=0.25))
    op = neuron(path, as_="spikingjelly")
    assert op.firing == Firing(">=", "value", "same", 1)
    assert op.initial == {"v": 0.25}
    assert op.params["decay"] == pytest.approx(0.5)
    assert op.params["gain"] == pytest.approx(gain)


def test_norse_preset(tmp_path: Path) -> None:
    op = neuron(chain(tmp_path / "x.nir", (1,), lif(tau=1e-2, v_leak=0.5)), as_="norse", dt=1e-3)
    assert op.firing == Firing(">", "value", "same", 1)
    assert op.initial == {"v": 0.5}
    assert op.params["decay"] == pytest.approx(0.9)


def test_rockpool_preset_on_its_own_export(tmp_path: Path) -> None:
    """r is written as tau exp(-dt / tau) / dt, and an input is added as it is."""
    r = 1e-2 * np.exp(-0.1) / 1e-3
    op = neuron(chain(tmp_path / "x.nir", (1,), lif(tau=1e-2, r=r)), as_="rockpool", dt=1e-3)
    assert op.firing == Firing(">=", "subtract", "same", None)
    assert dict(op.params) == pytest.approx({"decay": np.exp(-0.1), "gain": 1, "threshold": 1})


def test_rockpool_filters_as_it_does_itself(tmp_path: Path) -> None:
    """isyn += x; vmem *= alpha; isyn *= beta; vmem += isyn (rockpool.nn.modules.LIFTorch)."""
    dt, tau_syn, tau_mem = 1e-3, 5e-3, 2e-2
    alpha, beta = np.exp(-dt / tau_mem), np.exp(-dt / tau_syn)
    cuba = node("CubaLIF", tau_syn=[tau_syn], tau_mem=[tau_mem], r=[tau_mem * alpha / dt], v_leak=[0.0],
                v_threshold=[1.5])
    x = np.random.default_rng(3).integers(0, 2, (1, 50, 1)).astype(float)
    graph = load(chain(tmp_path / "x.nir", (1,), cuba), as_="rockpool", dt=dt)
    v = i = 0.0
    expected = []
    for value in x[0, :, 0]:
        i = (i + value) * beta
        v = v * alpha + i
        expected.append(np.floor(v / 1.5) if v >= 1.5 else 0.0)
        v -= expected[-1] * 1.5
    assert max(expected) > 1
    assert run(graph, x).outputs["output"][0, :, 0].tolist() == expected


# --- bad options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {"dt": 0}, {"dt": -1}, {"dt": "fast"}, {"dt": float("nan")}, {"dt": float("inf")}, {"dt": True}, {"dt": []},
    {"compare": "=="}, {"reset": "soft"}, {"reset": 0}, {"max_spikes": 0}, {"max_spikes": 1.5},
    {"max_spikes": "many"}, {"max_spikes": 1e300}, {"v_min": "low"}, {"as_": "brian"}, {"discretization": "zoh"},
    {"filter": None, "v_init": "rest"}, {"decode": "median"}, {"values": "int"}, {"gain": 2},
])
def test_values_that_are_no_answer(bare: Path, options: Any) -> None:
    assert codes(bare, **options) == ["SNN404"]


def test_a_misspelt_option_is_not_dropped(bare: Path) -> None:
    text = refusal(bare, max_spike=2)
    assert "SNN404" in text
    assert "did you mean max_spikes?" in text


def test_bad_options_are_found_before_the_file_is_opened(tmp_path: Path) -> None:
    assert codes(tmp_path / "missing.nir", dt=-1) == ["SNN404"]


def test_options_and_defaults_agree() -> None:
    assert set(DEFAULTS) - {"recurrent_delay"} == set(OPTIONS) - {"as_"}
    for preset in PRESETS.values():
        assert check_options({k: v for k, v in preset.items() if v is not None}) == {
            k: v for k, v in preset.items() if v is not None}
    with pytest.raises(CompileError):
        check_options({"recurrent_delay": 2})
