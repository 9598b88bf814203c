"""Integer programs printed as C compute what the interpreter computes, with every operation over its whole range."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snncompile.backends.c.expressions import lines_of
from snncompile.backends.c.host import build, compiler
from snncompile.backends.c.lower import FAMILIES
from snncompile.backends.c.text import render
from snncompile.backends.c.types import c_type_of, literal
from snncompile.backends.plan.buffers import narrow
from snncompile.ir.expr import Program, Step
from snncompile.ir.operations import ROUNDINGS, Interval, width
from tests.backends.exactness import flags
from tests.programs import NEURONS, Case, random_program

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
PROGRAMS, SAMPLES = 120, 40


def helpers() -> str:
    """The integer helpers of an emitted network, without its kernels."""
    class Nothing:
        scalar = False
        prefix, helpers = "t", dict.fromkeys(FAMILIES, ())

    return render("snn.h.j2", net=Nothing())


def function(k: int, case: Case) -> str:
    """The C function `void run_k(x, a, b, values, n)`, which writes all steps of a program for n neurons.

    `values` is `[neuron][step]`.
    """
    def leaf(step: Step) -> str:
        key = step.value[0] if isinstance(step.value, tuple) else str(step.value)
        if step.op == "lut":
            return f"table{k}, {len(case.params['table'])}"
        return {"one": str(case.params["one"]), "each": f"each{k}[i % {NEURONS}]"}[key] if step.op == "param" else \
            f"{key}[i]" if step.op == "state" else "x[i]"

    lines, operands = lines_of(case.program, case.ranges, leaf)
    arrays = {name: narrow(np.asarray(case.params[name])) for name in ("each", "table")}
    text = [f"static const {c_type_of(v)} {n}{k}[] = {{ {', '.join(literal(int(e)) for e in v)} }};"
            for n, v in arrays.items()]
    text += [f"void run_{k}(const int64_t *x, const int64_t *a, const int64_t *b, int64_t *values, int n)", "{",
             f"    (void)each{k}; (void)table{k}; (void)x; (void)a; (void)b;", "    for (int i = 0; i < n; i++) {"]
    text += [f"        const {line.type} {line.name} = {line.text};" for line in lines]
    text += [f"        values[i * {len(operands)} + {j}] = {o};" for j, o in enumerate(operands)]
    return "\n".join([*text, "    }", "}", ""])


def library(cases: list[Case]) -> ctypes.CDLL:
    source = "\n".join(['#include "t_snn.h"', "", *(function(k, case) for k, case in enumerate(cases))])
    prototypes = "\n".join(f"void run_{k}(const int64_t *, const int64_t *, const int64_t *, int64_t *, int);"
                           for k in range(len(cases)))
    files = {"t_snn.h": f"{helpers()}\n{prototypes}\n", "t.c": source}
    unproven = (*(f.replace("-O1", "-O0") for f in flags()), "-Wno-type-limits")
    return ctypes.CDLL(str(build(files, unproven)))


def check(cases: list[Case], samples: Callable[[int, Case], tuple[np.ndarray, dict[str, np.ndarray]]]) -> None:
    """Build all programs into one library and compare every step with the interpreter, each on its samples."""
    loaded = library(cases)
    for k, case in enumerate(cases):
        x, states = samples(k, case)
        wanted = np.stack([v.reshape(-1) for v in case.values(x, states)], 1)
        values = np.empty(wanted.shape, np.int64)
        arrays = [np.ascontiguousarray(v, np.int64) for v in (x, states["a"], states["b"])]
        getattr(loaded, f"run_{k}")(*(v.ctypes.data_as(ctypes.c_void_p) for v in (*arrays, values)), len(values))
        for i, step in enumerate(case.program.steps):
            np.testing.assert_array_equal(values[:, i], wanted[:, i], f"program {k}, step {i}: {step}")


@needs_compiler
def test_random_programs_of_every_operation():
    cases = [random_program(seed) for seed in range(PROGRAMS)]
    assert {s.op for case in cases for s in case.program.steps} > {"and", "or", "not", "sign", "abs", "wrap", "lut"}
    check(cases, lambda k, case: case.samples(k, SAMPLES))


def alone(op: str, a: Interval, b: Interval, value: Any = None) -> Case:
    """A program of one operation on one or two states with these ranges."""
    args = (0, 1) if op not in ("shr", "wrap", "neg", "abs", "sign") else (0,)
    steps = (Step("state", (), "a"), Step("state", (), "b"), Step(op, args, value))
    return Case(Program(steps, 2, ()), {"one": 0, "each": np.zeros(NEURONS, int), "table": np.zeros(1, int)},
                {"a": a, "b": b}, (0, 0))


WIDTHS = [width(7), width(8), width(15), width(16), width(17), width(31), width(32), width(33), width(48), (0, 255),
          (-5, -3), (3, 40_000), (-(1 << 31), -(1 << 31))]


@needs_compiler
def test_shifts_of_every_width_by_every_amount_with_every_rounding():
    cases = [alone("shr", interval, (0, 0), (bits, rounding)) for interval in WIDTHS for rounding in ROUNDINGS
             for bits in (0, 1, 14, 15, 16, 24, 31, 32, 33, 47)]
    check(cases, lambda k, case: case.samples(k, 8))


@needs_compiler
def test_operations_at_the_ends_of_every_type():
    pairs = [(a, b) for a in WIDTHS for b in WIDTHS[::2]]
    cases = [alone(op, a, b) for op in ("add", "sub", "min", "ge") for a, b in pairs]
    cases += [alone("mul", a, b) for a, b in pairs if max(-a[0], a[1]) * max(-b[0], b[1]) < 1 << 62]
    cases += [alone("floordiv", a, (max(b[0], 1), b[1])) for a, b in pairs if b[1] > 0]
    cases += [alone(op, a, (0, 0)) for op in ("neg", "abs", "sign") for a in WIDTHS]
    cases += [alone("wrap", a, (0, 0), bits) for a in WIDTHS for bits in (1, 8, 16, 32, 33, 49)]
    check(cases, lambda k, case: case.samples(k, 6))


@pytest.mark.parametrize(("value", "text"), [
    (0, "0"), (-1, "(-1)"), (2147483647, "2147483647"), (-2147483648, "(-2147483647 - 1)"),
    (2147483648, "INT64_C(2147483648)"), (-2147483649, "(INT64_C(-2147483649))"),
])
def test_constants_of_every_size(value, text):
    assert literal(value) == text
