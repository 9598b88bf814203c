"""Look-up tables: near the real function everywhere, as long as asked for, and refused where they cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.ir.dimensions import Typed
from snncompile.ir.expr import Expr, absolute, clip, exp, select, tanh
from snncompile.ir.operations import width
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Membrane, Real, neuron_rule
from snncompile.passes.quantize.lookup_tables import find_curves, tabulate
from snncompile.passes.quantize.neuron_program import typed_program
from tests.passes.chains import both, chain, ones, uncalibrated

ONE = 1 << 14  # a real 1 in integers
Body = Callable[[Any, Expr, Any], Any]


def typed(body: Body, **params: Any) -> Typed:
    """The typed program of a body that gives a membrane quantity."""
    @neuron_rule(states={"r": Real(), "q": Real()}, spiking=False, scale=Real(1.0), ref=Membrane(1.0))
    def rule(state: Any, x: Expr, p: Any) -> Any:
        state.v = x + state.v * 0.5
        return body(state, x, p)

    return typed_program(Neuron(rule, params), "here")


def curved_step(found: Typed, op: str) -> int:
    return next(i for i, s in enumerate(found.program.steps) if s.op == op)


# --- which steps are curved ----------------------------------------------------------------------------------

CURVED: list[tuple[str, int, Body]] = [
    ("tanh", 1, lambda s, x, p: p.ref * tanh(s.v)),
    ("tanh", 1, lambda s, x, p: p.ref * tanh((s.v + x) * p.scale)),
    ("exp", 1, lambda s, x, p: p.ref * exp(-s.r)),
    ("div", 1, lambda s, x, p: p.ref * (1 / (2 + s.r))),
    ("mul", 2, lambda s, x, p: x * tanh(s.v)),
    ("exp", 2, lambda s, x, p: p.ref * exp(tanh(s.r) + tanh(s.q))),
]


@pytest.mark.parametrize(("op", "arguments", "body"), CURVED)
def test_a_curved_step_and_how_many_quantities_it_depends_on(op: str, arguments: int, body: Body) -> None:
    found = typed(body)
    step = found.program.output if op == "mul" else curved_step(found, op)
    assert len(find_curves(found).arguments[step]) == arguments
    assert find_curves(found).tabulable(step) == (arguments == 1)


def test_what_depends_on_parameters_only_is_not_curved():
    assert not find_curves(typed(lambda s, x, p: x * exp(p.scale) + x / (1 + p.scale))).arguments


# --- how near a table is -----------------------------------------------------------------------------------------

def look_up(table: Any, index: np.ndarray) -> np.ndarray:
    return table.values[np.clip((index - table.low) >> table.shift, 0, len(table.values) - 1)]


def error(op: str, real: Callable[[np.ndarray], np.ndarray], unit: float, bits: int, argument_bits: int) -> float:
    """The largest error of a table of tanh or of a bell, in units of its result, beyond what it changes in a cell."""
    found = typed(lambda s, x, p: p.ref * (tanh(s.v) if op == "tanh" else exp(-tanh(s.v) * tanh(s.v))))
    step = curved_step(found, op)
    (argument,) = find_curves(found).arguments[step]
    half = 1 << (argument_bits - 1)
    table = tabulate(found, step, argument, unit, (-half, half - 1), 1 / ONE, bits, "here")
    assert len(table.values) <= 1 << bits
    spread = np.unique(np.concatenate([s * np.geomspace(1, half - 1, 400).astype(int) for s in (-1, 1)]))
    index = np.unique(np.concatenate([spread, np.arange(-min(half, 2000), min(half, 2000)), [0, half - 1, -half]]))
    wanted = real(index * unit) * ONE
    cell = 1 << table.shift
    rise = [np.abs(real((index + sign * cell) * unit) * ONE - wanted) for sign in (-1, 1)] if cell > 1 else [0, 0]
    return float(np.max(np.abs(look_up(table, index) - wanted) - np.maximum(*rise)))


@pytest.mark.parametrize("bits", [6, 10, 14])
@given(exponent=st.integers(-14, 4))
def test_a_table_is_right_to_half_a_unit_and_a_cell(bits: int, exponent: int) -> None:
    """From steps so fine that a cell holds many integers to steps that leap over all of the curve."""
    assert error("tanh", np.tanh, 2.0**exponent, bits, 16) <= 0.5


@pytest.mark.parametrize("scale", [0.5, 3.0, 8.0, 20.0, 1000.0])
def test_a_steep_function_comes_to_rest_inside_its_table(scale: float) -> None:
    """Steps between neighbouring integers are seen, however few of them the curve spans."""
    assert error("tanh", np.tanh, scale, 10, 16) <= 0.5


def test_a_function_with_a_maximum_in_the_middle():
    assert error("exp", lambda x: np.exp(-np.tanh(x) ** 2), 2.0**-9, 10, 16) <= 0.5


@pytest.mark.parametrize(("low", "high"), [(32768, 49152), (20000, 20000), (-49152, -32768), (0, 5), (-5, 0), (-3, 9)])
def test_a_table_spans_what_its_argument_can_be(low: int, high: int) -> None:
    found = typed(lambda s, x, p: p.ref * exp(s.r))
    step = curved_step(found, "exp")
    (argument,) = find_curves(found).arguments[step]
    table = tabulate(found, step, argument, 1 / ONE, (low, high), 1 / ONE, 10, "here")
    index = np.arange(low, high + 1)
    relative = look_up(table, index) / (np.exp(index / ONE) * ONE) - 1
    assert np.abs(relative).max() < 1 / 900
    assert len(table.values) << table.shift <= high - low + (2 << table.shift)


def test_a_clip_around_the_argument_makes_a_division_precise():
    @neuron_rule(spiking=False, states={"r": Real()}, ref=Membrane(1.0))
    def rule(state: Any, x: Expr, p: Any) -> Any:
        state.r = 0.5 * state.r + x / p.ref
        return p.ref / (1 + clip(state.r, 0, 3))

    wanted, got, graph = both(chain(Neuron(rule)), ones(1, 6, 4))
    assert np.abs(got.outputs["y"] * graph.nodes["a"].unit - wanted.outputs["y"]).max() < 0.01


@pytest.mark.parametrize("bits", [2, 6, 10])
def test_what_rests_at_zero_stays_there(bits: int) -> None:
    """However wide the cells are, tanh(0) is 0: a silent neuron's threshold must not creep."""
    found = typed(lambda s, x, p: p.ref * tanh(s.v))
    step = curved_step(found, "tanh")
    (argument,) = find_curves(found).arguments[step]
    table = tabulate(found, step, argument, 2.0**-14, width(20), 1 / ONE, bits, "here")
    assert look_up(table, np.array([0])) == 0


# --- what is refused -----------------------------------------------------------------------------------------------

def refused(body: Body, **params: Any) -> tuple[str, str]:
    @neuron_rule(states={"r": Real(), "q": Real()}, spiking=False, scale=Real(1.0), ref=Membrane(1.0))
    def rule(state: Any, x: Expr, p: Any) -> Any:
        state.v = x + state.v * 0.5
        state.r = 0.5 * state.r + x / p.ref
        state.q = 0.5 * state.q + x / p.ref
        return body(state, x, p)

    with pytest.raises(CompileError) as caught:
        uncalibrated(chain(Neuron(rule, params)))
    (found,) = caught.value.diagnostics
    assert found.place == 'population "a"'
    return found.code, found.found


@pytest.mark.parametrize(("message", "body"), [
    ("tanh of a quantity that depends on several states", lambda s, x, p: p.ref * tanh(s.v + x * (1 + tanh(s.v)))),
    ("exp of a quantity that depends on several states", lambda s, x, p: p.ref * exp(-s.r * (1 + exp(-absolute(s.q))))),
    ("a division by a quantity that depends on several states", lambda s, x, p: p.ref * (s.r / (2 + tanh(s.q)))),
])
def test_a_function_of_two_changing_quantities_is_refused(message: str, body: Body) -> None:
    assert refused(body) == ("SNN403", message)


def test_a_parameter_that_differs_between_neurons_cannot_be_inside_a_table():
    code, found = refused(lambda s, x, p: p.ref * (tanh(s.v) * p.scale), scale=np.array([1.0, 2, 3, 4]))
    assert (code, found) == ("SNN401", "a parameter that differs between neurons, inside a curved function")


@pytest.mark.parametrize("body", [
    lambda s, x, p: p.ref * exp(s.v * 1000),
    lambda s, x, p: p.ref * exp(-s.r),
    lambda s, x, p: p.ref * (1 / clip(s.r, -1 / 64, 1 / 64)),
    lambda s, x, p: p.ref * (clip(s.r, 0, 1 / 64) / clip(s.r, 0, 1 / 64)),
])
def test_a_function_without_bounds_is_refused(body: Body) -> None:
    code, found = refused(body)
    assert code == "SNN401"
    assert found.endswith("leaves the range of a table")


def test_a_curved_function_of_a_choice_is_tabulated_on_both_sides():
    """`select` of two functions of different states: each has a table of its own."""
    @neuron_rule(spiking=False, ref=Membrane(4.0))
    def rule(state: Any, x: Expr, p: Any) -> Any:
        state.v = 0.5 * state.v + x
        state.w = 0.25 * state.w + x
        return p.ref * select(x >= 1, tanh(state.v), -tanh(state.w))

    wanted, got, graph = both(chain(Neuron(rule)), ones(1, 6, 4))
    assert np.abs(got.outputs["y"] * graph.nodes["a"].unit - wanted.outputs["y"]).max() < 0.02
