"""`model.py:build`: the user's file is run, and its errors are reported with file and line."""

from __future__ import annotations

import sys

import numpy as np
import pytest

pytest.importorskip("torch")

import snncompile as sc
from tests.cli.running import answer, snnc

HEAD = """
import torch
from torch import nn
import snncompile as sc
from snncompile.ir.populations import Neuron
from sizes import WIDTH

class Leak(nn.Module):
    def __init__(self):
        super().__init__()
        self.v = 0.0

    def forward(self, x):
        self.v = 0.5 * self.v + x
        return self.v

@sc.neuron_module(Leak)
def leak(module, shape):
    return Neuron.of("lif", decay=0.5)

def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, WIDTH), Leak(), nn.Linear(WIDTH, 2), Leak())

"""
BUILD = "def build():\n    print('a word of mine')\n    return make(), torch.ones(2, 4)\n"


@pytest.fixture
def model(tmp_path):
    (tmp_path / "sizes.py").write_text("WIDTH = 3\n")

    def write(text):
        (tmp_path / "model.py").write_text(HEAD + text)
        return f"{tmp_path / 'model.py'}:build"

    yield write
    sys.modules.pop("sizes", None)


def test_a_function_that_makes_a_network_is_a_source(model):
    before = list(sys.path)
    graph = sc.load(model(BUILD))
    assert list(graph.populations) == ["1", "3"]
    assert sys.path == before


def test_an_example_may_be_given_from_outside(model):
    source = model("def build():\n    return make()\n")
    assert sc.load(source, example_input=(1, 4)).inputs["input"].shape == (4,)
    with pytest.raises(sc.CompileError, match="example_input"):
        sc.load(source)


def test_the_command_line_takes_it(model, tmp_path):
    """What the file prints does not mix with the output of the command."""
    source = model(BUILD)
    result = snnc("inspect", source, "--json")
    assert '"ok": true' in result.stdout
    assert "a word of mine" not in result.stdout
    snnc("compile", source, "-o", tmp_path / "out", "--values", "spike")
    assert sc.open_build(tmp_path / "out").verify().ok


def test_a_module_compiles_and_the_report_names_the_example_by_its_shape(model):
    compiled = sc.compile(model("def build():\n    return make()\n"), load_options={"example_input": np.ones((2, 4))})
    assert compiled.report.to_json()["options"]["example_input"] == "[2, 4]"
    assert list(compiled.graph.populations) == ["1", "3"]


@pytest.mark.parametrize(("text", "words"), [
    ("def build():\n    raise ValueError('no\\nweights')\n", ["SNN109", "ValueError: no weights", "model.py line 26"]),
    ("def build(:\n", ["SNN109", "SyntaxError", "model.py line 25"]),
    ("import sys\nsys.exit(1)\n", ["SNN109", "SystemExit", "model.py line 26"]),
    ("def other():\n    return make()\n", ["SNN107", '"build"']),
    ("build = 3\n", ["SNN107", '"build"']),
    ("def build(size):\n    return make()\n", ["SNN109", "TypeError"]),
    ("def build():\n    return 3\n", ["SNN107", '"int"']),
    ("def build():\n    return make(), 'x'\n", ["SNN404", "example-input"]),
    ("def build():\n    return build()\n", ["SNN109", "RecursionError"]),
])
def test_errors_of_a_file_are_reported(model, text, words):
    answered = answer("inspect", model(text), code=2)
    for word in words:
        assert word in str(answered)


@pytest.mark.parametrize(("name", "words"), [
    ("net.pt", ["SNN107", "model.py:build"]), ("net.pth", ["SNN107", "model.py:build"]),
    ("net.py", ["SNN107", "model.py:build"]), ("missing.py:build", ["SNN101"]), (":build", ["SNN107"]),
])
def test_other_files_of_pytorch_are_refused_with_help(tmp_path, name, words):
    (tmp_path / "net.pt").write_bytes(b"\x80\x02}q\x00.")
    answered = answer("inspect", tmp_path / name, code=2)
    for word in words:
        assert word in str(answered)


def test_other_objects_are_refused(tmp_path):
    with pytest.raises(sc.CompileError, match="SNN107"):
        sc.load(object())
