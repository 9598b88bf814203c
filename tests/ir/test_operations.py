"""The table of operations: intervals hold what is computed, and no printer or reader lacks an operation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.backends.c import expressions as in_c
from snncompile.backends.lava import expressions as in_lava
from snncompile.ir.operations import INTEGER_OPERATIONS, LEAVES, OPERATIONS, ROUNDINGS, arity, shift_right, wrap

CONSTANTS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "": st.just(()),
    "bits, rounding": st.tuples(st.integers(0, 40), st.sampled_from(ROUNDINGS)),
    "bits": st.tuples(st.integers(1, 40)),
    "table, low, shift": st.tuples(st.lists(st.integers(-99, 99), min_size=1, max_size=9).map(np.array),
                                   st.integers(-50, 50), st.integers(0, 5)),
}


@st.composite
def drawn(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]], list[int], tuple[Any, ...]]:
    """An integer operation, a range for each argument, a value in each range, and constants."""
    name = draw(st.sampled_from(INTEGER_OPERATIONS))
    logic = name in ("and", "or", "not")
    ends = st.integers(0, 1) if logic else st.integers(-(1 << 28), 1 << 28)
    ranges = [tuple(sorted(draw(st.tuples(ends, ends)))) for _ in range(OPERATIONS[name].arity)]
    if name == "floordiv":
        ranges[1] = (max(ranges[1][0], 1), max(ranges[1][1], 1))
    values = [draw(st.integers(low, high)) for low, high in ranges]
    return name, ranges, values, draw(CONSTANTS[OPERATIONS[name].constant])


@given(drawn())
def test_what_an_operation_gives_lies_in_its_interval(case):
    name, ranges, values, constants = case
    operation = OPERATIONS[name]
    result = int(operation.apply(*(np.array([v], np.int64) for v in values), *constants)[0])
    low, high = operation.interval(*ranges, *constants)
    assert low <= result <= high, case


@given(st.integers(-(1 << 62), 1 << 62), st.integers(0, 40), st.sampled_from(ROUNDINGS))
def test_the_rounded_shift_is_the_same_for_arrays_and_for_pythons_integers(value, bits, rounding):
    short = value >> 1 if bits else value  # room for the addend in 64 bits
    expected = {"floor": short // 2**bits, "zero": abs(short) // 2**bits * (1 if short >= 0 else -1),
                "nearest": (2 * short + 2**bits) // 2 ** (bits + 1)}[rounding]
    assert shift_right(short, bits, rounding) == expected
    assert shift_right(np.array([short], np.int64), bits, rounding)[0] == expected


@given(st.integers(-(1 << 80), 1 << 80), st.integers(1, 40))
def test_wrapping_keeps_a_number_modulo_its_width(value, bits):
    wrapped = wrap(value, bits)
    assert (wrapped - value) % 2**bits == 0
    assert -(1 << (bits - 1)) <= wrapped < 1 << (bits - 1)


@pytest.mark.parametrize("printers", [in_c.PRINTERS, in_lava.PRINTERS], ids=["C", "Lava"])
def test_every_printer_knows_every_operation_of_integer_programs_and_no_other(printers):
    assert set(printers) == set(INTEGER_OPERATIONS)


def test_the_onnx_writer_knows_every_operation():
    pytest.importorskip("onnx")
    from snncompile.frontends.onnx.write_cells import WRITERS

    assert set(WRITERS) == set(OPERATIONS)


def test_only_operations_of_integer_programs_have_intervals():
    assert {n for n, o in OPERATIONS.items() if o.interval is not None} == set(INTEGER_OPERATIONS)


def test_leaves_read_nothing_and_unknown_names_are_none():
    assert [arity(name) for name in LEAVES] == [0] * len(LEAVES)
    assert arity("select") == 3
    assert arity("sqrt") is None
    assert not set(LEAVES) & set(OPERATIONS)
