"""Signatures name every option, for people who ask at a prompt and for type checkers, and no other."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import snncompile as sc
from snncompile.frontends.netx.graph import Options
from snncompile.frontends.nir import conventions
from snncompile.signatures import OPTIONS
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.folding import Folding
from snncompile.targets.program import Program
from tests.nets import nir_file, small

ROOT = Path(__file__).parent.parent


def names(function) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    assert all(p.kind is not p.VAR_KEYWORD for p in parameters)
    return [p.name for p in parameters]


def fields(*groups) -> set[str]:
    return {f.name for group in groups for f in dataclasses.fields(group)}


def test_compile_and_its_kin_name_every_option_of_their_groups():
    assert fields(Arithmetic, Folding, Program) < set(names(sc.compile))
    assert fields(Arithmetic) < set(names(sc.losses))
    assert fields(Folding) < set(names(sc.explore))


@pytest.mark.parametrize("function", [sc.load, sc.check, sc.estimate])
def test_functions_that_read_name_every_option_of_every_reader(function):
    assert set(conventions.OPTIONS) | fields(Options) < set(names(function))


def test_options_of_packages_that_may_be_absent_are_those_that_these_readers_take():
    for package, module in (("torch", "snncompile.frontends.torch.load"), ("onnx", "snncompile.frontends.onnx.read")):
        pytest.importorskip(package)
        assert set(__import__(module, fromlist=["OPTIONS"]).OPTIONS) | {"example_input"} < set(names(sc.load))


@pytest.mark.parametrize("name", OPTIONS)
def test_no_name_stands_twice_and_what_is_not_given_is_none(name):
    found = inspect.signature(getattr(sc, name))
    assert len(set(found.parameters)) == len(found.parameters)
    options = [p for p in found.parameters.values() if p.name in OPTIONS[name]()]
    assert options
    written = getattr(sc, name).__kwdefaults__ or {}
    assert all(p.default in (None, ...) or p.name in written for p in options)


def test_none_stands_for_an_option_that_is_not_given(tmp_path):
    """So that a call with all defaults of the signature is the call without them."""
    path = nir_file(tmp_path)
    nir = [p for p in inspect.signature(sc.load).parameters.values() if p.name in conventions.OPTIONS]
    given = {p.name: p.default for p in nir if p.default is not ...}
    assert {p.name for p in nir} - set(given) == conventions.NONE_IS_AN_ANSWER
    assert str(sc.load(path, **given)) == str(sc.load(path))
    options = dict.fromkeys(OPTIONS["compile"]())
    assert sc.compile(small(), **options).artifact.files == sc.compile(small()).artifact.files


def test_the_package_says_that_it_has_types_and_type_checkers_see_each_option(tmp_path):
    assert (Path(sc.__file__).parent / "py.typed").exists()
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text("import snncompile as sc\n"
                       "g = sc.load('x.nir', as_='sinabs', dt=1e-3)\n"
                       "sc.compile(g, weight_bits={'a': 4}, membrane_bits='auto', rounding='floor', chunk=2)\n"
                       "sc.compile(g, weigth_bits=4)\n"
                       "sc.compile(g, rounding='up')\n"
                       "sc.check(g, 'loihi2', resett='none')\n"
                       "reveal_type(sc.compile(g).run({}).decisions)\n", encoding="utf-8")
    run = subprocess.run([sys.executable, "-m", "mypy", "--no-error-summary", "--follow-imports=silent",
                          "--cache-dir", tmp_path / "cache", program], cwd=ROOT, capture_output=True, text=True,
                         check=False)
    found = [line.partition("program.py:")[2] for line in run.stdout.splitlines() if "program.py:" in line]
    assert [line.partition(":")[0] for line in found if "error" in line] == ["4", "5", "6"], run.stdout
    assert any("ndarray" in line for line in found)
