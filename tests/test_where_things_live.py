"""Each thing of docs/where-things-live.md is added here from outside the package, and works everywhere."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import snncompile as sc
from snncompile import frontends
from snncompile.backends.c.host import compiler
from snncompile.diagnostics import CompileError, fail
from snncompile.diagnostics.codes import CODES, Code
from snncompile.frontends import READERS
from snncompile.ir.expr import both, maximum, select
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.operators import OPERATORS
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Count, Firing, Membrane, Real, neuron_rule
from snncompile.ir.serde import dump, restore
from snncompile.ir.types import Array, Shape, Stage
from snncompile.ir.windows import Window
from snncompile.passes.table import PASSES, PassEntry
from snncompile.report.figures import FIGURES, figures
from snncompile.report.html import page
from snncompile.report.report import Report
from snncompile.targets.hardware_rule import Measured, at_most, rule
from snncompile.targets.hardware_rules import HARDWARE_RULES
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.target import Target
from tests.cli.running import snnc
from tests.nets import small, spikes, weights

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "where-things-live.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \|$", PAGE, re.M)[1:11]
compiled = pytest.mark.skipif(compiler() is None, reason="no C compiler")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_file_that_the_page_names_is_there(row):
    named = [p for cell in row[1:] for p in re.findall(r"`([\w/.-]+/[\w/.-]+)`", cell)]
    assert len(named) >= 2
    assert [p for p in named if not (ROOT / p).exists()] == []


def test_the_page_has_ten_things():
    assert len(ROWS) == 10


def exact(graph: Graph, x: Array) -> None:
    """The emitted C has the spikes of the integers, and the graph read back from its text form gives the same."""
    model = sc.compile(graph, "c99", calibration=x)
    assert model.verify().ok
    assert model.run(x).outputs.any()
    again = sc.compile(restore(*dump(graph)), "c99", calibration=x)
    np.testing.assert_array_equal(again.run(x).outputs, model.run(x).outputs)


# A neuron.

@neuron_rule(states={"rest": Count(0)}, decay=Real(0.9), threshold=Membrane(1.0), period=Count(2))
def refractory(state, x, p):
    """A leaky neuron that rests for `period` ticks after a spike."""
    awake = state.rest <= 0
    v = select(awake, p.decay * state.v + x, 0)
    spike = both(awake, v >= p.threshold)
    state.v = select(spike, 0, v)
    state.rest = select(spike, p.period, maximum(state.rest - 1, 0))
    return spike


@compiled
def test_a_neuron_is_one_function():
    graph = small()
    exact(graph.replace(nodes={**graph.nodes, "lif1": Neuron(refractory, {"decay": 0.875})}), spikes())


# An operator.

@dataclass(frozen=True, eq=False)
class Crop(Op):
    """Drops the first values along the last axis."""

    moves: ClassVar[bool] = True
    first: int

    def infer(self, shape: Shape) -> Shape:
        return (*shape[:-1], shape[-1] - self.first)

    def apply(self, x: Array) -> Array:
        return x[..., self.first:]

    def windows(self, shape: Shape) -> tuple[Window, ...]:
        *others, last = shape
        return *map(Window.same, others), Window(last, last - self.first, before=-self.first)


@pytest.fixture
def crop(monkeypatch: pytest.MonkeyPatch) -> Graph:
    monkeypatch.setitem(OPERATORS, Crop.kind(), Crop)
    names = ("in", "crop", "fc", "lif", "out")
    ops = (Input((6,)), Crop(2), Linear(weights(3, 4, 1)), Neuron.of("lif", Firing(), decay=0.75), Output())
    return Graph("cropped", dict(zip(names, ops, strict=True)),
                 tuple(Edge(a, b) for a, b in pairwise(names)))


@compiled
def test_an_operator_is_one_class(crop):
    exact(crop, spikes())
    assert sc.estimate(crop, "c99").synapses == 4 * 3
    assert sc.check(crop, "loihi2").ok  # where it becomes a part of the matrix behind it


def test_an_operator_that_a_target_does_not_name_is_refused_there(crop, tmp_path):
    (tmp_path / "plain.toml").write_text('title = "Plain"\nbackend = "c"\n[network]\noperators = ["linear"]\n')
    (problem,) = sc.check(crop, tmp_path / "plain.toml").diagnostics
    assert (problem.code, problem.found) == ("SNN410", "crop")


# A pass.

@dataclass(frozen=True)
class PruneWeights:
    """Sets weights whose magnitude is below `below` to zero."""

    below: float = 0.1
    name: ClassVar[str] = "prune-weights"
    needs: ClassVar[Stage] = Stage.LEGAL
    ensures: ClassVar[Stage] = Stage.LEGAL

    def run(self, graph: Graph) -> Graph:
        return graph.replace(edges=tuple(
            dataclasses.replace(e, chain=tuple(self._pruned(op) for op in e.chain)) for e in graph.edges))

    def _pruned(self, op: Op) -> Op:
        if not isinstance(op, Linear):
            return op
        return dataclasses.replace(op, weight=np.where(np.abs(op.weight) < self.below, 0, op.weight))


@pytest.fixture
def pruning() -> Iterator[None]:
    entry = PassEntry(PruneWeights, "legalize", lambda choices: PruneWeights(0.5), "sets small weights to zero")
    PASSES.insert(next(i for i, e in enumerate(PASSES) if e.step == "quantize"), entry)
    yield
    PASSES.remove(entry)


def test_a_pass_is_one_entry(pruning):
    model = sc.compile(small(), "c99", calibration=spikes())
    (first,) = (e.chain[0] for e in model.graph.edges if (e.src, e.dst) == ("in", "lif1"))
    assert np.count_nonzero(first.weight) == np.count_nonzero(np.abs(weights(8, 6, 1)) >= 0.5)


def test_the_command_line_knows_the_pass(pruning, tmp_path):
    (tmp_path / "small.snn").write_text(dump(small())[0])
    (tmp_path / "small.safetensors").write_bytes(dump(small())[1])
    shown = snnc("inspect", tmp_path / "small.snn", "--passes", "form-populations,prune-weights{below=0.25}")
    assert "prune-weights{below=0.25}" in shown.output


# A hardware rule.

@rule("SNN416", "population", "limits.cores", "neurons in a population, whose number must be even")
def even(layers: LayerTable, target: Target) -> Measured:
    return at_most(layers.populations.neurons % 2, None if target.limits.cores is None else 0)


def test_a_hardware_rule_is_one_function(monkeypatch, tmp_path):
    monkeypatch.setitem(HARDWARE_RULES, even.name, even)
    (tmp_path / "pairs.toml").write_text('title = "Pairs"\nbackend = "c"\n[limits]\ncores = 4\n')
    (problem,) = sc.check(small(), tmp_path / "pairs.toml").diagnostics
    assert problem.place == 'population "lif2"'
    assert "must be even" in problem.found


# A target.

@compiled
def test_a_target_is_one_file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text('title = "Tiny"\nbackend = "c"\n[arithmetic]\nweight_bits = 4\n[weights]\nweight_bits = 4\n')
    model = sc.compile(small(), path, calibration=spikes())
    assert max(np.abs(op.weight).max() for e in model.graph.edges for op in e.chain if isinstance(op, Linear)) <= 8
    assert model.verify().ok


# A kernel: tests/backends/plan/test_kernel_from_outside.py. A backend: tests/backends/test_third_backend.py.

# A source format.

def test_a_source_format_is_one_reader(monkeypatch, tmp_path):
    monkeypatch.setitem(READERS, ".tiny", lambda path, options: small(path.read_text()))
    (tmp_path / "net.tiny").write_text("tiny")
    assert frontends.load(tmp_path / "net.tiny").name == "tiny"
    with pytest.raises(CompileError, match=r"\.tiny"):
        frontends.load(tmp_path / "net.unknown")


# A diagnostic.

@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(CODES, "SNN299", Code("the network is too small", "It needs one neuron or more."))
    return "SNN299"


def test_a_diagnostic_is_one_entry(code):
    with pytest.raises(CompileError, match="SNN299"):
        fail(code, "network", "0 neurons", "1 or more")
    assert "It needs one neuron or more." in snnc("explain", code).output


# A figure of the report.

def widest(report: Report) -> Iterator[tuple[str, str]]:
    yield "widest population", f"{max(p.neurons for p in report.populations):,}"


def test_a_figure_of_the_report_is_one_function(monkeypatch):
    model = sc.compile(small(), "c99", calibration=spikes())
    monkeypatch.setattr("snncompile.report.figures.FIGURES", [*FIGURES, widest])
    assert figures(model.report)["widest population"] == "8"
    assert "widest population" in page(model)
