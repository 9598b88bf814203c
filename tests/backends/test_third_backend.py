"""A backend from outside needs no change of the compiler: here one that emits the text form and interprets it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Progress, Request
from snncompile.backends.network_ticks import magnitudes
from snncompile.backends.table import BACKENDS
from snncompile.diagnostics import CompileError, Diagnostic
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, run
from snncompile.ir.serde import dump, restore
from snncompile.ir.types import Array
from snncompile.targets.target import Target
from tests.cli.running import snnc
from tests.nets import nir_file, small, spikes

TARGET = """
title = "The text form, interpreted"
backend = "text"
[timing]
hop_ticks = {hop_ticks}
dilation = true
"""


class Interpreted:
    """Runs the emitted text, from the emitted files alone."""

    def __init__(self, files: Mapping[str, str | bytes]):
        text, weights = files["net.snn"], files["net.safetensors"]
        assert isinstance(weights, bytes)
        self.graph = restore(text if isinstance(text, str) else text.decode(), weights)

    def run(self, x: Mapping[str, Array], progress: Progress | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        traces = self.trace(x, False, progress)
        return dict(traces.outputs), {n: magnitudes(v) for n, v in traces.emitted.items()}

    def trace(self, x: Mapping[str, Array], states: bool = True, progress: Progress | None = None) -> Traces:
        return run(self.graph, x, record=True, states=states)


class TextBackend:
    name = "text"
    title = "the text form"
    tools = "nothing"

    def check(self, graph: Graph, target: Target) -> tuple[Diagnostic, ...]:
        return (Diagnostic("SNN205", "graph", "a name that this backend refuses"),) if graph.name == "refused" else ()

    def emit(self, request: Request) -> Artifact:
        text, weights = dump(request.graph)
        return Artifact({"net.snn": text, "net.safetensors": weights}, {"weights": len(weights)})

    def host(self, graph: Graph, artifact: Artifact) -> Interpreted:
        return Interpreted(artifact.files)

    def start(self, folder: str) -> str:
        return f"cat {folder}/{self.name}/net.snn"


@pytest.fixture(params=[0, 1])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(BACKENDS, "text", TextBackend())
    path = tmp_path / "text.toml"
    path.write_text(TARGET.format(hop_ticks=request.param))
    return path


def test_it_compiles_runs_verifies_and_opens(target, tmp_path):
    x = spikes()
    model = sc.compile(small(), target, calibration=x)
    result = model.run(x)
    assert result.backend == "text"
    np.testing.assert_array_equal(result.outputs, model.reference(x).outputs)
    assert model.verify().ok
    again = sc.open_build(model.save(tmp_path / "build"))
    np.testing.assert_array_equal(again.run(x).outputs, result.outputs)
    assert again.verify().backend == "text"


def test_a_changed_program_is_noticed(target):
    model = sc.compile(small(), target, calibration=spikes())
    files = {**model.artifact.files, "net.snn": re.sub(r"out %\d+", "out %0", str(model.artifact.files["net.snn"]))}
    assert not dataclasses.replace(model, artifact=Artifact(files)).verify().ok


def test_the_command_line_knows_it(target, tmp_path):
    compiled = snnc("compile", nir_file(tmp_path), "--target", target, "-o", tmp_path / "build")
    assert f"cat {tmp_path}/build/text/net.snn" in compiled.output
    verified = snnc("verify", tmp_path / "build")
    assert "the text form = reference" in verified.output


def test_what_it_cannot_take_is_refused_before_anything_is_done(target):
    with pytest.raises(CompileError) as caught:
        sc.compile(small("refused"), target)
    assert [d.code for d in caught.value.diagnostics] == ["SNN205"]
