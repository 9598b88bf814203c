"""Targets: those that come with the compiler, and the user's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

import snncompile as sc
from snncompile.passes.arithmetic import Arithmetic
from snncompile.targets import target as module
from snncompile.targets.target import MAX_BYTES, NAMES, Target, load_target
from tests.nets import small

MINE = """
title = "My chip"
backend = "c"
graded = false

[arithmetic]
rounding = "floor"
membrane_bits = 24
"""


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(source):
    with pytest.raises(sc.CompileError) as caught:
        load_target(source)
    (found,) = caught.value.diagnostics
    return found


def test_every_description_beside_the_module_is_listed():
    present = {p.stem for p in Path(module.__file__).parent.glob("*.toml")} - {"ruff"}
    assert set(NAMES) == present


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_of_a_target_are_options_that_exist(name):
    target = load_target(name)
    assert target.name == name
    Arithmetic(**target.arithmetic)


def test_a_target_passes_through():
    target = Target("mine", "Mine", "c")
    assert load_target(target) is target


def test_a_file_of_the_users_own_is_a_target(tmp_path):
    path = written(tmp_path, MINE)
    target = load_target(path)
    assert target == Target("mine", "My chip", "c", False, {"rounding": "floor", "membrane_bits": 24})
    assert load_target(str(path)) == target
    model = sc.compile(small(), path)
    assert model.report.target == "mine"
    assert (model.report.options["rounding"], model.report.options["membrane_bits"]) == ("floor", 24)


def test_the_users_options_win_over_the_targets(tmp_path):
    model = sc.compile(small(), written(tmp_path, MINE), rounding="nearest")
    assert model.report.options["rounding"] == "nearest"


@pytest.mark.parametrize(("text", "code", "place"), [
    ("title = ", "SNN102", 'target "mine"'),
    ('title = "x"\n', "SNN102", 'target "mine"'),
    ('title = "x"\nbackend = 3\n', "SNN102", 'target "mine", "backend"'),
    ('title = "x"\nbackend = "c"\ngraded = "yes"\n', "SNN102", 'target "mine", "graded"'),
    ('title = "x"\nbackend = "c"\narithmetic = 8\n', "SNN102", 'target "mine", "arithmetic"'),
    ('title = "x"\nbackend = "c"\ncores = 4\n', "SNN102", 'target "mine", "cores"'),
    (b'title = "\xff"\n', "SNN101", "file"),
    ("x = " + "[" * 100_000, "SNN102", 'target "mine"'),
    ("#" * (MAX_BYTES + 1), "SNN103", "file"),
])
def test_a_description_that_is_wrong_is_refused(tmp_path, text, code, place):
    found = refusal(written(tmp_path, text))
    assert found.code == code
    assert place in found.place


def test_a_target_that_is_not_there_is_refused(tmp_path):
    assert refusal("loihi9").code == "SNN404"
    assert refusal("ruff").code == "SNN404"
    assert refusal(tmp_path / "none.toml").code == "SNN101"
    assert refusal("a\0b.toml").code == "SNN101"
    (tmp_path / "folder.toml").mkdir()
    assert refusal(tmp_path / "folder.toml").code == "SNN101"


@pytest.mark.parametrize(("change", "place"), [
    ('backend = "c"', "backend"), ("membrane_bits = 24", "option membrane_bits"), ("rounding", "option roundness"),
])
def test_what_only_the_line_can_judge_is_refused_by_the_line(tmp_path, change, place):
    wrong = {'backend = "c"': 'backend = "vhdl"', "membrane_bits = 24": "membrane_bits = 99", "rounding": "roundness"}
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(small(), written(tmp_path, MINE.replace(change, wrong[change])))
    (found,) = caught.value.diagnostics
    assert found.code == "SNN404"
    assert place in found.place


def test_a_target_without_graded_values_flattens_sums(tmp_path):
    from snncompile.ir.cells import Neuron
    from snncompile.ir.ops import Identity, Input, Output

    nodes = {"in": Input((4,)), "sum": Identity(), "a": Neuron.of("if", threshold=1.0),
             "b": Neuron.of("if", threshold=2.0), "out a": Output(), "out b": Output()}
    ends = [("in", "sum"), ("sum", "a"), ("sum", "b"), ("a", "out a"), ("b", "out b")]
    graph = sc.Graph("g", nodes, tuple(sc.Edge(*e) for e in ends))
    assert set(sc.compile(graph, written(tmp_path, MINE)).graph.populations) == {"a", "b"}
