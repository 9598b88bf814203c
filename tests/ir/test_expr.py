"""The expression language: tracing, flattening, evaluation, and the integer operations against Python's integers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.ir import expr
from snncompile.ir.expr import Expr, Program, Step, evaluate, flatten, prune, select
from snncompile.ir.operations import OPERATIONS, shift_right, wrap

X = Expr("input")
INT64 = st.integers(-(1 << 62), (1 << 62) - 1)


def value(e: Expr, x: float, params: dict[str, Any] | None = None, kind: Any = np.float64) -> Any:
    out, _ = evaluate(flatten(e, {}), params or {}, {}, np.array([x], kind))
    return out[0]


def test_python_operators_build_the_operations_they_look_like():
    assert value(1 + X, 3) == 4
    assert value(X - 1, 3) == 2
    assert value(1 - X, 3) == -2
    assert value(2 * X, 3) == 6
    assert value(X / 2, 3) == 1.5
    assert value(6 / X, 3) == 2
    assert value(X // 2, 3) == 1
    assert value(-X, 3) == -3


@pytest.mark.parametrize(("x", "ge", "gt"), [(0.5, 0, 0), (1.0, 1, 0), (1.5, 1, 1)])
def test_comparisons_give_zero_or_one_and_differ_at_equality(x, ge, gt):
    assert value(X >= 1, x) == ge
    assert value(X > 1, x) == gt
    assert value(X <= 1, x) == 1 - gt
    assert value(X < 1, x) == 1 - ge


def test_named_functions_compute_what_their_names_say():
    assert value(expr.minimum(X, 2), 3) == 2
    assert value(expr.maximum(X, 2), 3) == 3
    assert value(expr.clip(X, -1, 1), -3) == -1
    assert value(expr.exp(X), 1.0) == pytest.approx(math.e)
    assert value(expr.tanh(X), 0.5) == pytest.approx(math.tanh(0.5))
    assert value(expr.floor(X), -0.5) == -1
    assert value(expr.absolute(X), -2) == 2
    assert value(expr.sign(X), -2) == -1


def test_logic_joins_conditions():
    inside = expr.both(X > 0, X < 2)
    outside = expr.either(X <= 0, X >= 2)
    assert [value(inside, x) for x in (-1, 1, 3)] == [0, 1, 0]
    assert [value(outside, x) for x in (-1, 1, 3)] == [1, 0, 1]
    assert value(Expr("not", (X > 0,)), 1) == 0


def test_select_takes_the_first_branch_where_the_condition_holds():
    assert [value(select(X > 0, X * 10, -1), x) for x in (2, -2)] == [20, -1]


def test_select_on_a_count_takes_the_first_branch_for_any_count_but_zero():
    assert [value(select(X, 7, 8), x, kind=np.int64) for x in (0, 1, 5)] == [8, 7, 7]


def test_a_branch_on_a_symbolic_value_is_refused():
    with pytest.raises(TypeError, match="use select"):
        bool(X > 0)


@pytest.mark.parametrize("thing", [True, "0.5", None, np.ones(2)])
def test_only_numbers_and_expressions_may_stand_in_a_rule(thing):
    with pytest.raises(TypeError, match="cannot stand in a neuron rule"):
        expr.binary("add", X, thing)


def test_flatten_computes_a_repeated_expression_once():
    product = Expr("param", (), "a") * X
    twin = Expr("param", (), "a") * Expr("input")
    program = flatten(product + twin, {})
    assert [s.op for s in program.steps] == ["param", "input", "mul", "add"]
    assert program.steps[program.output] == Step("add", (2, 2))


def test_flatten_copes_with_expressions_far_deeper_than_the_call_stack():
    e = X
    for _ in range(50_000):
        e = e + 1
    assert value(e, 0) == 50_000


def test_names_lists_each_leaf_once_in_order_of_use():
    p, q = Expr("param", (), "p"), Expr("param", (), "q")
    assert flatten(q + p * q, {"v": p}).names("param") == ("p", "q")


def test_states_keep_their_value_before_the_step():
    v = Expr("state", (), "v")
    program = flatten(v, {"v": v + X})
    out, states = evaluate(program, {}, {"v": np.array([5.0])}, np.array([2.0]))
    assert (out[0], states["v"][0]) == (5, 7)


def test_constant_results_are_spread_over_the_input_shape():
    out, states = evaluate(flatten(Expr("const", (), 3), {"v": Expr("const", (), 1)}), {}, {}, np.zeros((2, 3)))
    assert out.shape == states["v"].shape == (2, 3)


@st.composite
def expressions(draw: st.DrawFn) -> Expr:
    """Random integer expressions over the input, two parameters and small constants."""
    pool = [X, Expr("param", (), "a"), Expr("param", (), "b"), Expr("const", (), draw(st.integers(-3, 3)))]
    for _ in range(draw(st.integers(1, 12))):
        op = draw(st.sampled_from(["add", "sub", "mul", "min", "max", "neg", "abs", "ge", "gt", "select"]))
        pool.append(Expr(op, tuple(draw(st.sampled_from(pool)) for _ in range(OPERATIONS[op].arity))))
        if op == "mul":
            pool[-1] = expr.clip(pool[-1], -50, 50)
    return pool[-1]


def by_hand(e: Expr, env: dict[str, int]) -> int:
    """A recursive evaluation on Python integers."""
    a = [by_hand(arg, env) for arg in e.args]
    match e.op:
        case "input" | "param":
            return env[str(e.value or "x")]
        case "const":
            return int(e.value)
        case "select":
            return a[1] if a[0] else a[2]
        case "ge" | "gt":
            return int(a[0] >= a[1] if e.op == "ge" else a[0] > a[1])
        case "neg" | "abs":
            return -a[0] if e.op == "neg" else abs(a[0])
    return {"add": sum(a), "sub": a[0] - a[-1], "mul": a[0] * a[-1], "min": min(a), "max": max(a)}[e.op]


@given(expressions(), st.integers(-9, 9), st.integers(-9, 9), st.integers(-9, 9))
def test_a_flattened_expression_evaluates_like_the_tree(e, x, a, b):
    assert value(e, x, {"a": a, "b": b}, np.int64) == by_hand(e, {"x": x, "a": a, "b": b})


@given(expressions(), expressions(), st.integers(-9, 9))
def test_pruning_drops_what_nothing_reads_and_changes_no_value(e, dead, x):
    whole = flatten(e, {"v": dead})
    cut = prune(Program(whole.steps, whole.output, ()))
    assert len(cut.steps) <= len(whole.steps)
    read = {cut.output} | {i for s in cut.steps for i in s.args}
    assert read == set(range(len(cut.steps)))
    arguments: Any = ({"a": 2, "b": -3}, {}, np.array([x]))
    np.testing.assert_array_equal(evaluate(cut, *arguments)[0], evaluate(flatten(e, {}), *arguments)[0])


@given(INT64, st.integers(0, 40))
def test_shifts_round_as_they_say(a, bits):
    quotient, rest = divmod(a, 1 << bits)
    toward_zero = quotient + (1 if a < 0 and rest else 0)
    nearest = quotient + (1 if bits and rest >= 1 << (bits - 1) else 0)
    array = np.array([a])
    assert shift_right(array, bits, "floor")[0] == quotient
    assert shift_right(array, bits, "zero")[0] == toward_zero
    assert shift_right(array, bits, "nearest")[0] == nearest


@given(INT64, st.integers(2, 48))
def test_wrapping_keeps_the_low_bits_as_a_signed_number(a, bits):
    wrapped = int(wrap(np.array([a]), bits)[0])
    assert -(1 << (bits - 1)) <= wrapped < 1 << (bits - 1)
    assert (wrapped - a) % (1 << bits) == 0


@given(INT64, st.integers(1, 1 << 40))
def test_floor_division_of_integers_is_exact(a, b):
    assert value(X // b, a, kind=np.int64) == a // b


@given(st.floats(-100, 100), st.floats(0.01, 10))
def test_floor_division_of_reals_rounds_the_quotient_down(a, b):
    assert value(X // b, a) == math.floor(a / b)


def test_a_table_is_read_in_steps_and_held_at_its_ends():
    steps = Expr("lut", (X,), ("t", -4, 2))
    found = [value(steps, x, {"t": np.array([10, 20, 30])}, np.int64) for x in (-99, -4, -1, 0, 3, 4, 7, 99)]
    assert found == [10, 10, 10, 20, 20, 30, 30, 30]


def test_integer_programs_keep_to_integers():
    e = select(X >= 2, Expr("shr", (X * 3,), (1, "zero")), Expr("wrap", (X,), 4))
    out, _ = evaluate(flatten(e, {}), {}, {}, np.array([-9, 1, 5], np.int64))
    assert out.dtype == np.int64
    np.testing.assert_array_equal(out, [7, 1, 7])
