"""The table of passes: what follows from it, and what the choices make of the options of its passes."""

from __future__ import annotations

import dataclasses
import re
from itertools import pairwise
from pathlib import Path

import pytest

from snncompile.diagnostics import CompileError
from snncompile.ir.types import Stage
from snncompile.passes.legalize.form_populations import FormPopulations
from snncompile.passes.quantize.calibrate import Calibration
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.retime.retime import Retime
from snncompile.passes.table import PASSES, Choices, names_of, passes_of
from snncompile.report.steps import GRAPHS, PARTS
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.load import load_target

ROOT = Path(__file__).parents[2]
STEPS = tuple(dict.fromkeys(entry.step for entry in PASSES))


def test_the_passes_lead_from_a_float_graph_to_a_mapped_one():
    assert PASSES[0].kind.needs == Stage.FLOAT
    assert PASSES[-1].kind.ensures == Stage.MAPPED
    for one, following in pairwise(PASSES):
        assert one.kind.ensures == following.kind.needs


def test_names_are_words_joined_by_dashes_and_each_stands_once():
    names = [entry.name for entry in PASSES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)
    assert all(dataclasses.is_dataclass(entry.kind) and entry.kind.__doc__ for entry in PASSES)


def test_steps_and_graphs_of_a_compilation_follow_from_the_table():
    assert {step: tuple(names_of(step)) for step in STEPS} == {step: PARTS[step] for step in STEPS}
    assert ("read", *(entry.name for entry in PASSES)) == GRAPHS
    page = (ROOT / "docs" / "line.md").read_text(encoding="utf-8")
    assert set(PARTS) <= set(re.findall(r"\w+", page))


def test_options_follow_from_the_target_and_the_choices():
    seen = Calibration({"x": -1.0})
    choices = Choices(load_target("loihi2"), Arithmetic(per="layer"), seen, "auto")
    assert passes_of(choices, "quantize", "retime") == (
        Quantize(Arithmetic(per="layer"), seen, choices.target), Retime(1, 62, dilate="auto", state_bits=24))
    assert FormPopulations("flatten") in passes_of(Choices(load_target("loihi1")), "legalize")


def test_a_target_that_needs_no_pass_has_none():
    assert passes_of(Choices(load_target("c99")), "retime") == ()


def test_time_cannot_be_dilated_where_the_target_takes_an_input_every_tick():
    with pytest.raises(CompileError, match="SNN404"):
        passes_of(Choices(load_target("c99"), dilate=2), "retime")
