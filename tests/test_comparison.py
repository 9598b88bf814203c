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

X = {"x": spikes(9, 12, 6)}
LABELS = np.arange(9) % 3
compiled = pytest.mark.skipif(compiler() is None, reason="no C compiler")


def networks() -> tuple[Graph, Graph]:
    """A network with spikes and a graded population, in real numbers, and in 3 bits, so that it differs."""
    model = sc.compile(layers(0.8), "c99", calibration=X["x"], weight_bits=3)
    assert model.float_graph is not None
    return model.float_graph, model.graph


def layers(decay: float) -> Graph:
    return chain(Linear(weights(8, 6, 1)), Neuron.of("lif", decay=decay), Linear(weights(3, 8, 2)),
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


def figures(agreement: Agreement) -> Mapping[str, float]:
    return {"same": agreement.same["b"], "apart": agreement.apart["b"], "fired": agreement.fired["b"],
            "counts_apart": agreement.counts_apart["b"], "alike": agreement.decisions_equal,
            "float": agreement.float_correct or 0, "integer": agreement.integer_correct or 0}


@pytest.mark.parametrize("by", ["interpreter", pytest.param("C", marks=compiled)])
@pytest.mark.parametrize("recorded", [False, True])
def test_every_way_gives_what_counting_by_hand_gives(by, recorded, monkeypatch):
    legal, integer = networks()
    monkeypatch.setattr(integer_runs, "WORTH_BUILDING", 0 if by == "C" else 1e18)
    seen = calibrate(legal, X) if recorded else None
    found = compare(legal, integer, X, LABELS, seen=seen)
    assert figures(found) == by_hand(legal, integer)
    assert found.apart["b"] > 0
    assert found.samples == 9
    assert (IntegerRuns.of(integer, X).host is None) == (by == "interpreter")


def test_the_float_network_does_not_run_again_on_what_was_seen(monkeypatch):
    legal, integer = networks()
    seen = calibrate(legal, X)
    monkeypatch.setattr(comparison, "run", None)
    assert figures(compare(legal, integer, X, LABELS, seen=seen)) == by_hand(legal, integer)


def test_samples_that_were_not_recorded_are_decided_only(monkeypatch):
    """Three samples a part, and room for the first part only."""
    legal, integer = networks()
    monkeypatch.setattr("snncompile.ir.interp.CHUNK_VALUES", 3 * 12 * 3 * sum(
        int(np.prod(shape)) for shape in legal.shapes.values()))
    monkeypatch.setattr(calibration, "MAX_RECORDED_BYTES", 0)
    found = compare(legal, integer, X, LABELS, seen=calibrate(legal, X))
    assert found.outputs["b"] == 3 * 12 * 8
    assert {n: figures(found)[n] for n in ("alike", "float", "integer")} == {
        n: by_hand(legal, integer)[n] for n in ("alike", "float", "integer")}


def test_decisions_alone_compare_nothing_inside():
    legal, integer = networks()
    found = compare(legal, integer, X, LABELS, inside=False)
    assert not found.outputs
    assert found.decisions_equal == by_hand(legal, integer)["alike"]


@compiled
def test_c_that_computes_something_else_is_found(monkeypatch):
    """A sample of each kind of run is interpreted too: those with and those without what populations emit."""
    _, integer = networks()
    monkeypatch.setattr(integer_runs, "WORTH_BUILDING", 0)
    monkeypatch.setattr(integer_runs, "CHECKED_OF", 1)
    x: dict[str, Array] = {"x": X["x"].astype(np.int64)}
    other = IntegerRuns.of(sc.compile(layers(0.2), "c99", calibration=X["x"]).graph, x)
    for record in (False, True):
        runs = dataclasses.replace(IntegerRuns.of(integer, x), host=other.host)
        with pytest.raises(CompileError, match="SNN603"):
            runs.run(x, record)


def test_as_many_samples_as_said_are_interpreted_too(monkeypatch):
    _, integer = networks()
    monkeypatch.setattr(integer_runs, "CHECKED_OF", 4)
    runs = IntegerRuns.of(integer, X)
    assert len(runs.checked) == 3
    assert runs.checked <= set(range(9))


def test_without_a_compiler_the_interpreter_runs_all(monkeypatch):
    _, integer = networks()
    monkeypatch.setattr(integer_runs, "WORTH_BUILDING", 0)
    monkeypatch.setenv("CC", "a-compiler-that-is-not-there")
    assert IntegerRuns.of(integer, X).host is None
