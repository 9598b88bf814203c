"""Faults that are made on purpose: they are of many kinds, each is Python, and messages are left alone."""

import ast
from pathlib import Path

import pytest

import snncompile
from tests.mutations import mutations

PACKAGE = Path(snncompile.__file__).parent


@pytest.mark.parametrize(("code", "faults"), [
    ("a <= b < 3", ["a < b < 3", "a <= b <= 3", "a <= b < 4"]),
    ("a and b or not c", ["a or b or not c", "a and b and not c", "a and b or c"]),
    ("x = -n + 1 << 2", ["x = n + 1 << 2", "x = -n - 1 << 2", "x = -n + 2 << 2", "x = -n + 1 >> 2", "x = -n + 1 << 3"]),
    ("f(True, np.minimum(a, b), strict=True)", ["f(False, np.minimum(a, b), strict=True)",
                                               "f(True, np.maximum(a, b), strict=True)"]),
    ("k not in min(é, y)", ["k in min(é, y)", "k not in max(é, y)"]),
    ("(a) // (b - c)", ["(a) * (b - c)", "(a) // (b + c)"]),
    ("def f(n: Literal[1] = 2) -> int: fail('SNN404', f'{n + 1}', 3)", ["def f(n: Literal[1] = 3) -> int: "
                                                                         "fail('SNN404', f'{n + 1}', 3)"]),
    ("'text' + a", []),
    ('"""A docstring of 3 words."""', []),
])
def test_each_kind_of_fault_is_made(code, faults):
    assert [m.of(code) for m in mutations(code)] == faults


@pytest.mark.parametrize("file", ["ir/ranges.py", "targets/memory.py", "backends/c/weights.py"])
def test_every_fault_of_the_package_is_python_and_another_program(file):
    source = (PACKAGE / file).read_text()
    found = mutations(source)
    assert len(found) > 20
    trees = {ast.dump(ast.parse(m.of(source))) for m in found}
    assert ast.dump(ast.parse(source)) not in trees
    assert len(trees) == len(found)
