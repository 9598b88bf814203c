"""`load` recognises what it is given, and says what it knows where it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snncompile.diagnostics import CompileError
from snncompile.frontends import load
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.serde import dump
from tests.frontends.nir.files import chain, if_


@pytest.fixture
def graph() -> Graph:
    nodes = {"i": Input((2,)), "w": Linear(np.eye(2)), "n": Neuron.of("if"), "o": Output()}
    return Graph("net", nodes, (Edge("i", "w"), Edge("w", "n"), Edge("n", "o")))


def stored(graph: Graph, folder: Path, name: str = "net.snn") -> Path:
    text, weights = dump(graph)
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).with_suffix(".safetensors").write_bytes(weights)
    return folder / name


def refused(source: Any, **options: Any) -> list[str]:
    with pytest.raises(CompileError) as e:
        load(source, **options)
    return [d.code for d in e.value.diagnostics]


def test_a_graph_passes_through(graph: Graph) -> None:
    assert load(graph) is graph


@pytest.mark.parametrize("name", ["net.snn", "NET.SNN"])
def test_the_text_form_with_weights_beside_it(graph: Graph, tmp_path: Path, name: str) -> None:
    path = stored(graph, tmp_path, name)
    assert str(load(path)) == str(graph) == str(load(str(path)))


def test_the_text_form_without_weights(tmp_path: Path) -> None:
    graph = Graph("n", {"i": Input((2,)), "o": Output()}, (Edge("i", "o"),))
    path = stored(graph, tmp_path)
    path.with_suffix(".safetensors").unlink()
    assert str(load(path)) == str(graph)


def test_text_or_weights_that_are_missing_damaged_or_no_text(graph: Graph, tmp_path: Path) -> None:
    path = stored(graph, tmp_path)
    assert refused(tmp_path / "none.snn") == ["SNN101"]
    path.with_suffix(".safetensors").write_bytes(b"\0" * 20)
    assert refused(path) == ["SNN102"]
    path.with_suffix(".safetensors").unlink()
    assert refused(path) == ["SNN102"]
    path.write_bytes(b"\xff\xfe\x00")
    assert refused(path) == ["SNN101"]


def test_the_text_form_is_verified(tmp_path: Path) -> None:
    (tmp_path / "x.snn").write_text('snnc 1\ngraph "n" float\ninput "i" shape=[2]\n')
    assert refused(tmp_path / "x.snn") == ["SNN201"]


def test_nir_files(tmp_path: Path) -> None:
    path = chain(tmp_path / "net.nir", (2,), if_(2))
    assert load(str(path)).name == "net"
    op = load(path, reset="subtract").nodes["n0"]
    assert isinstance(op, Neuron)
    assert op.firing.reset == "subtract"


@pytest.mark.parametrize("source", ["net.tflite", "net", "", Path("x.pt"), 5, None, b"net.nir", ["net.nir"]])
def test_other_sources_are_refused(source: Any) -> None:
    assert refused(source) == ["SNN107"]


def test_sources_that_leave_nothing_open_take_no_options(graph: Graph, tmp_path: Path) -> None:
    assert refused(graph, dt=1e-3) == ["SNN404"]
    assert refused(stored(graph, tmp_path), dt=1e-3) == ["SNN404"]


@pytest.mark.parametrize("name", ["a\0b.nir", "x" * 300 + ".nir", "a\0b.snn", "x" * 300 + ".snn"])
def test_names_that_no_file_can_have(name: str) -> None:
    assert refused(name) == ["SNN101"]


def test_importing_the_frontends_does_not_import_what_reads_files() -> None:
    code = "import sys, snncompile.frontends; print(sorted({'h5py', 'safetensors', 'scipy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
