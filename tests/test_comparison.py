"""The float and the integer network on the same samples: interpreted, in emitted C, and from what was recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest

import snncompile as sc
from snncompile import comparison, integer_runs
from snncompile.backends.c.host import compiler
from snncompile.comparison import compare
from snncompile.diagnostics import CompileError
from snncompile.integer_runs import IntegerRuns
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array
from snncompile.passes.quantize import calibrate as calibration
from snncompile.passes.quantize.calibrate import calibrate
from snncompile.report.report import Agreement
from tests.nets import spikes, weights
from tests.passes.chains import chain
from tests.strategies import inputs_for, random_graph

X = {"x": spikes(9, 12, 6)}
LABELS = np.arange(9) % 3
compiled = pytest.mark.skipif(compiler() is None, reason="no C compiler")


def networks() -> tuple[Graph, Graph]:
    """A network with spikes and a graded population, in real numbers, and in 3 bits, so that it differs."""
    model = sc.compile(layers(0.8), "c99", calibration=X["x"], weight_bits=3)
    assert model.float_graph is not None
    return model.float_graph, model.graph


def layers(decay: float) -> Graph:
    last = weights(3, 8, 3)
    return chain(Linear(weights(8, 6, 1)), Neuron.of("lif", decay=decay), Linear(last - last.mean(0)),
                 Neuron.of("li", decay=0.9), shape=(6,))


def by_hand(legal: Graph, integer: Graph) -> Mapping[str, float]:
    """The figures of both networks, each interpreted once on all samples."""
    exact, found = run(legal, X, record=True, dtype=np.float32), run(integer, X, record=True)
    a, b = exact.emitted["b"], found.emitted["b"].astype(float)
    decided = [t.outputs["y"].sum(1).argmax(-1) for t in (exact, found)]
    return {"same": int((a == b).sum()), "apart": float(np.abs(a - b).sum()), "fired": float(np.maximum(a, b).sum()),
            "counts_apart": float(np.abs(a.sum(1) - b.sum(1)).sum()),
            "alike": int((decided[0] == decided[1]).sum()),
            "float": int((decided[0] == LABELS).sum()), "integer": int((decided[1] == LABELS).sum())}


def in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let emitted C run everything."""
    monkeypatch.setattr(integer_runs, "WORTH_BUILDING", 0)
    monkeypatch.setattr(integer_runs, "LEAST_SAMPLES", 1)


def figures(agreement: Agreement) -> Mapping[str, float]:
    return {"same": agreement.same["b"], "apart": agreement.apart["b"], "fired": agreement.fired["b"],
            "counts_apart": agreement.counts_apart["b"], "alike": agreement.decisions_equal,
            "float": agreement.float_correct or 0, "integer": agreement.integer_correct or 0}


@pytest.mark.parametrize("by", ["interpreter", pytest.param("C", marks=compiled)])
@pytest.mark.parametrize("recorded", [False, True])
def test_every_way_gives_what_counting_by_hand_gives(by, recorded, monkeypatch):
    legal, integer = networks()
    in_c(monkeypatch) if by == "C" else monkeypatch.setattr(integer_runs, "WORTH_BUILDING", 1e18)
    seen = calibrate(legal, X) if recorded else None
    found = compare(legal, integer, X, LABELS, seen=seen)
    assert figures(found) == by_hand(legal, integer)
    assert found.apart["b"] > 0
    assert found.samples == 9
    assert (IntegerRuns.of(integer, X).host is None) == (by == "interpreter")


def test_the_float_network_does_not_run_again_on_what_was_seen(monkeypatch):
    legal, integer = networks()
    seen = calibrate(legal, X)
    assert seen.decided is not None
    assert len(set(seen.decided.tolist())) > 1
    monkeypatch.setattr(comparison, "run", None)
    assert figures(compare(legal, integer, X, LABELS, seen=seen)) == by_hand(legal, integer)


def test_the_float_network_runs_again_on_samples_that_were_not_recorded(monkeypatch):
    """Three samples a part, and room for the first part only."""
    legal, integer = networks()
    monkeypatch.setattr("snncompile.ir.interp.CHUNK_VALUES", 3 * 12 * 3 * sum(
        int(np.prod(shape)) for shape in legal.shapes.values()))
    monkeypatch.setattr(calibration, "MAX_RECORDED_BYTES", 0)
    seen = calibrate(legal, X)
    assert seen.recorded is not None
    assert seen.recorded.samples == 3
    assert figures(compare(legal, integer, X, LABELS, seen=seen)) == by_hand(legal, integer)


def test_decisions_alone_compare_nothing_inside():
    legal, integer = networks()
    found = compare(legal, integer, X, LABELS, inside=False)
    assert not found.outputs
    assert found.decisions_equal == by_hand(legal, integer)["alike"]


@compiled
def test_c_that_computes_something_else_is_found(monkeypatch):
    """Each sample is interpreted too."""
    _, integer = networks()
    in_c(monkeypatch)
    monkeypatch.setattr(integer_runs, "CHECKED_OF", 1)
    x: dict[str, Array] = {"x": X["x"].astype(np.int64)}
    other = IntegerRuns.of(sc.compile(layers(0.2), "c99", calibration=X["x"]).graph, x)
    with pytest.raises(CompileError, match="SNN603"):
        dataclasses.replace(IntegerRuns.of(integer, x), host=other.host).run(x)


def test_as_many_samples_as_said_are_interpreted_too(monkeypatch):
    _, integer = networks()
    in_c(monkeypatch)
    monkeypatch.setattr(integer_runs, "CHECKED_OF", 4)
    runs = IntegerRuns.of(integer, X)
    assert len(runs.checked) == 3
    assert runs.checked <= set(range(9))


def test_without_a_compiler_the_interpreter_runs_all(monkeypatch):
    _, integer = networks()
    in_c(monkeypatch)
    monkeypatch.setenv("CC", "a-compiler-that-is-not-there")
    assert IntegerRuns.of(integer, X).host is None


@compiled
def test_few_samples_are_interpreted(monkeypatch):
    _, integer = networks()
    monkeypatch.setattr(integer_runs, "WORTH_BUILDING", 0)
    assert IntegerRuns.of(integer, X).host is None
    assert IntegerRuns.of(integer, {"x": np.repeat(X["x"], 4, 0)}).host is not None


@compiled
@pytest.mark.parametrize("seed", range(600, 612))
def test_a_report_is_the_same_with_and_without_a_compiler(seed, monkeypatch):
    """Sums of graded values are added up in the same order."""
    graph = random_graph(seed)
    x = inputs_for(graph)
    monkeypatch.setattr(integer_runs, "WORTH_BUILDING", 1e18)
    interpreted = sc.compile(graph, "c99", calibration=x, validation=x).report.to_json()
    in_c(monkeypatch)
    assert sc.compile(graph, "c99", calibration=x, validation=x).report.to_json() == interpreted


def test_differences_of_small_integers_have_room():
    """100 and -100 differ by 200, which no signed byte holds; the magnitude of -128 is 128."""
    found = Agreement()
    found._count("n", np.array([[[100, -128]]], np.int8), np.array([[[-100, 0]]], np.int8), graded=False)
    assert (found.apart["n"], found.fired["n"], found.emitted["n"]) == (328, 228, (228, 100))
