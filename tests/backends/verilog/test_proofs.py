"""Printed neuron units are proved to compute their programs, and broken ones are refuted."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.plan.plan import plan
from snncompile.backends.plan.updates import Update
from snncompile.backends.render import render
from snncompile.backends.stream.lower import lower
from snncompile.backends.verilog.context import StageCode
from snncompile.backends.verilog.lower import lower_stage
from snncompile.ir.library import RULES
from snncompile.ir.rules import Firing
from tests.long_proofs import WIDTHS, unit_of

pytest.importorskip("pyosys", reason="no pyosys on this machine")
pytest.importorskip("z3", reason="no z3 on this machine")
SLOW = ("cubalif", "alif", "slif", "qlif")
DIGITS = Path(__file__).parents[3] / "examples" / "digits" / "digits.nir"


@cache
def units(chains: int) -> dict[str, tuple[StageCode, dict[str, str], Update]]:
    """The units of the digits network, with 4-bit weights, by the name of their population."""
    x = (np.random.default_rng(0).random((8, 8, 1, 8, 8)) < 0.3).astype(float)
    graph = sc.compile(sc.load(DIGITS), calibration=x, weight_bits=4, membrane_bits=10).graph
    hardware = lower(graph, chains=chains)
    updates = {p.source.label: p.update for p in plan(graph, {}, {}).populations}
    found = {}
    for number, stage in enumerate(hardware.stages):
        code, memories = lower_stage(hardware.name, number, stage)
        text = render("verilog/unit.v.j2", s=code)
        found[stage.stream.label] = code, {**memories, f"{code.module}_UNIT.v": text}, updates[stage.stream.label]
    return found


@pytest.mark.parametrize("chains", [1, 3])
@pytest.mark.parametrize("name", ["lif1", "lif3"])
def test_a_unit_is_proved(name, chains):
    from tests.backends.verilog.proofs import prove

    assert prove(*units(chains)[name]).proved


@pytest.mark.parametrize("rule", [r for r in RULES if r not in SLOW])
def test_the_unit_of_a_rule_is_proved(rule):
    """With the widths of 784-128-10; `python -m tests.long_proofs` proves the others too."""
    from tests.backends.verilog.proofs import prove

    assert prove(*unit_of(rule, WIDTHS["784-128-10"], Firing())).proved


@pytest.mark.parametrize(("written", "broken"), [(" >= ", " > "), (" - ", " + "), ("[9:0]", "[8:0]")])
def test_a_broken_unit_is_refuted(written, broken):
    from tests.backends.verilog.proofs import prove

    code, files, update = units(1)["lif3"]
    path = f"{code.module}_UNIT.v"
    body = files[path].split("assign", 1)
    changed = body[0] + "assign" + body[1].replace(written, broken, 1)
    assert changed != files[path]
    found = prove(code, {**files, path: changed}, update)
    assert not found.proved
    assert found.counterexample
