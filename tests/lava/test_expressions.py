"""Printed NumPy computes what the interpreter computes, for programs of every operation."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from snncompile.backends.lava.expressions import statements
from snncompile.ir.expr import Step
from tests.programs import Case, random_program


def printed(case: Case, folder: Path) -> str:
    """A file with a function that evaluates every step of a program."""
    leaves = {s: {"input": "x", "lut": "table"}.get(s.op) or str(s.value) for s in case.program.steps}
    lines, operands = statements(case.program, leaves)
    body = "".join(f"    {name} = {value}\n" for name, value in lines)
    text = f"import numpy as np\n\n\ndef run(x, a, b, one, each, table):\n{body}    return [{', '.join(operands)}]\n"
    path = folder / "printed.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("seed", range(80))
def test_printed_steps_are_evaluated_steps(seed: int, tmp_path: Path) -> None:
    case = random_program(seed)
    x, states = case.samples(seed, 40)
    run = runpy.run_path(printed(case, tmp_path))["run"]
    found = run(x, states["a"], states["b"], np.array([case.params["one"]]), case.params["each"], case.params["table"])
    for step, mine, wanted in zip(case.program.steps, found, case.values(x, states), strict=True):
        assert np.array_equal(np.broadcast_to(mine, wanted.shape), wanted), step
        assert np.asarray(mine).dtype == np.int64


def test_leaves_are_called_what_they_are_told():
    from snncompile.ir.expr import Program

    program = Program((Step("input"), Step("param", (), "p"), Step("add", (0, 1))), 2, ())
    lines, operands = statements(program, {Step("input"): "x", Step("param", (), "p"): "self.p"})
    assert lines == [("t2", "x + self.p")]
    assert operands == ["x", "self.p", "t2"]
