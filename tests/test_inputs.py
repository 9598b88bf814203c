"""Data at run time: what fits, what is cut, what is refused; for counts and real values, in Python and in C."""

from __future__ import annotations

import ctypes
import itertools
import warnings
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.c.host import build, compiler
from snncompile.inputs import integers, taken
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from tests.cli.running import answer, snnc
from tests.nets import small, spikes

needs_c = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")


def network(values: Any = "spike", low: float = 0.0) -> Graph:
    """Three inputs and two neurons, with a bias so that something happens."""
    nodes = {"in": Input((3,), values, low=low), "fc": Linear(np.array([[0.5, -0.25, 1.0], [1.0, 0.5, 0.25]])),
             "n": Neuron.of("lif", decay=0.5, threshold=1.0), "out": Output()}
    names = list(nodes)
    return Graph("cut", nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))


def samples(values: Any, most: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (4, 6, 3)) if values == "spike" else rng.uniform(-1, 1, (4, 6, 3))
    return np.where(x == x.max(), most, x)


@pytest.mark.parametrize(("values", "low", "most", "limit"), [("spike", 0, 2, 3), ("real", -1, 1, 1)])
def test_values_outside_are_cut_counted_and_told(values: Any, low: float, most: float, limit: float) -> None:
    model = sc.compile(network(values, low), calibration=samples(values, most))
    x = samples(values, most).astype(float)
    x[1, 2] = [9, 7, 0]
    x[3, 0, 1] = 9
    with pytest.warns(UserWarning, match="3 values outside of .*input_high"):
        result = model.run(x)
    assert result.cut == {"in": 3}
    assert np.array_equal(result.outputs, model.run(np.minimum(x, limit)).outputs)
    with pytest.raises(sc.CompileError) as caught:
        model.run(x, outside="error")
    (problem,) = caught.value.diagnostics
    assert problem.code == "SNN501"
    assert problem.found.endswith(" to 9")
    with pytest.warns(UserWarning, match="3 values"):
        assert model.reference(x).cut == {"in": 3}
    with pytest.warns(UserWarning, match="3 values"):
        assert np.array_equal(model.trace(x).outputs["out"], result.outputs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.run(samples(values, most), outside="error").cut == {}


@pytest.mark.parametrize(("values", "low", "most"), [("spike", 0, 2), ("real", -1, 1)])
def test_ranges_can_be_widened_ahead(values: Any, low: float, most: float) -> None:
    model = sc.compile(network(values, low), calibration=samples(values, most), input_high=9)
    op = model.graph.inputs["in"]
    assert op.high * op.unit == pytest.approx(15 if values == "spike" else 9)
    x = samples(values, most).astype(float)
    x[1, 2] = [9, 7, 0]
    assert model.run(x, outside="error").cut == {}
    assert model.verify().ok or compiler() is None


def test_samples_of_a_network_in_integers_are_not_cut_unseen() -> None:
    """Golden vectors would else be recorded for other samples than were given."""
    graph = sc.compile(small(), calibration=spikes()).graph
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(graph, calibration=spikes() * 3)
    assert caught.value.diagnostics[0].code == "SNN501"


def test_what_outside_says_is_one_of_two() -> None:
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(small(), calibration=spikes()).run(spikes(), outside="saturate")  # type: ignore[arg-type]
    assert caught.value.diagnostics[0].code == "SNN404"


@needs_c
@pytest.mark.parametrize(("values", "low", "most"), [
    ("spike", 0, 2), ("spike", 0, 300), ("real", -1, 1), ("real", 0, 1)])
def test_emitted_c_cuts_the_same(values: Any, low: float, most: float) -> None:
    """Each value that the type of the input holds is cut to the range that the interpreter has."""
    x = np.abs(samples(values, most)) if low == 0 else samples(values, most)
    model = sc.compile(network(values, low), calibration=x)
    op = model.graph.inputs["in"]
    library = ctypes.CDLL(str(build(model.artifact.files)))
    library.cut_cut.restype = ctypes.c_uint32
    kind = np.uint8 if op.low >= 0 and op.high < 256 else np.int8 if op.high < 128 else np.uint16
    info = np.iinfo(kind)
    frames = np.random.default_rng(1).integers(info.min, info.max + 1, (40, 3)).astype(kind)
    frames[:2] = [[info.min, info.max, 0], [op.low, op.high, 0]]
    wanted = np.clip(frames, op.low, op.high)
    given = frames.copy()
    count = library.cut_cut(ctypes.c_uint32(len(given)), given.ctypes.data_as(ctypes.c_void_p))
    assert np.array_equal(given, wanted)
    assert count == np.count_nonzero(frames != wanted)


@needs_c
def test_the_command_tells_what_was_cut(tmp_path) -> None:
    model = sc.compile(small(), calibration=spikes())
    model.save(tmp_path / "build")
    x = spikes()
    x[0, 0, :2] = 3
    np.savez(tmp_path / "data.npz", x=x)
    found = answer("run", tmp_path / "build", tmp_path / "data.npz")
    assert found["cut"] == {"in": 2}
    assert [d["code"] for d in found["diagnostics"]] == ["SNN501"]
    shown = snnc("run", tmp_path / "build", tmp_path / "data.npz")
    assert "2 values outside, which were cut" in shown.stderr
    assert "--input-high" in shown.stderr
    refused = snnc("run", tmp_path / "build", tmp_path / "data.npz", "--outside", "error", code=2)
    assert "values from 0 to 3" in refused.stderr


def test_integers_are_rounded_to_the_nearest_step() -> None:
    graph = Graph("g", {"in": Input((2,), "real", low=-4, high=4, unit=0.5)}, ())
    found, cut = taken(graph, np.array([[[0.25, 0.75], [-0.74, 1.99]]]))
    assert found["in"].tolist() == [[[0, 2], [-1, 4]]]
    assert cut == {}
    assert integers(graph, np.array([[[9.0, -9.0]]]))["in"].tolist() == [[[4, -4]]]


@pytest.mark.parametrize(("x", "found"), [
    (np.zeros((5, 6)), "shape [5, 6]"), ({"other": np.zeros((1, 5, 6))}, "inputs ['other']"),
    (np.full((1, 5, 6), np.nan), "NaN or infinite"), (np.full((1, 5, 6), 2), "integers from 2 to 2"),
    (np.full((1, 5, 6), 0.5), "fractions"), (np.array([["a"]]), "values of type")])
def test_the_interpreter_checks_its_data_as_a_model_does(x: Any, found: str) -> None:
    graph = sc.compile(small(), calibration=spikes()).graph
    with pytest.raises(sc.CompileError) as caught:
        sc.run(graph, x)
    assert caught.value.diagnostics[0].code == "SNN501"
    assert caught.value.diagnostics[0].found.startswith(found)


def test_the_interpreter_knows_the_populations_to_record() -> None:
    with pytest.raises(sc.CompileError) as caught:
        sc.run(small(), spikes(), record=["nobody"])
    assert caught.value.diagnostics[0].code == "SNN404"
    assert set(sc.run(small(), spikes(), record="lif1").emitted) == {"lif1"}
