"""Typing of neuron rules: what each operation may mix, and what it gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snncompile.diagnostics import CompileError
from snncompile.ir.dimensions import Typed, type_program
from snncompile.ir.expr import Expr, absolute, both, exp, floor, maximum, minimum, select, sign, tanh
from snncompile.ir.library import RULES
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Count, Firing, Membrane, Quantity, Real, neuron_rule
from snncompile.passes.quantize.neuron_program import typed_program

STATES: dict[str, Quantity] = {"m": Membrane(), "r": Real(), "c": Count()}


def typed(body: Callable[[Any, Expr, Any], Expr]) -> Typed:
    """The typed program of a body with a membrane, a real and a count among its states and parameters."""
    @neuron_rule(states=STATES, pm=Membrane(2.0), pr=Real(0.5), pc=Count(3))
    def rule(state: Any, x: Expr, p: Any) -> Expr:
        return body(state, x, p)

    neuron = Neuron(rule)
    return type_program(neuron.traced.program, neuron.params, rule.params, neuron.traced.states, "here")


def kind(body: Callable[[Any, Expr, Any], Expr]) -> str:
    found = typed(body)
    return found.kinds[found.program.output]


KINDS: list[tuple[str, Callable[[Any, Expr, Any], Expr]]] = [
    ("membrane", lambda s, x, p: x),
    ("membrane", lambda s, x, p: x + s.m - p.pm),
    ("membrane", lambda s, x, p: s.m + 1),
    ("membrane", lambda s, x, p: s.m * p.pr),
    ("membrane", lambda s, x, p: p.pr * s.m),
    ("membrane", lambda s, x, p: s.c * p.pm),
    ("membrane", lambda s, x, p: s.m / s.c),
    ("membrane", lambda s, x, p: s.m / p.pr),
    ("membrane", lambda s, x, p: maximum(s.m, 0)),
    ("membrane", lambda s, x, p: select(s.m >= p.pm, s.m, 0)),
    ("membrane", lambda s, x, p: -absolute(s.m)),
    ("real", lambda s, x, p: s.m / p.pm),
    ("real", lambda s, x, p: s.r * p.pr),
    ("real", lambda s, x, p: s.r + s.c),
    ("real", lambda s, x, p: s.r * s.c),
    ("real", lambda s, x, p: s.c / 2),
    ("real", lambda s, x, p: minimum(s.c, s.r)),
    ("real", lambda s, x, p: tanh(s.m)),
    ("real", lambda s, x, p: exp(-s.c)),
    ("count", lambda s, x, p: s.c + 1),
    ("count", lambda s, x, p: s.c * p.pc),
    ("count", lambda s, x, p: s.m >= p.pm),
    ("count", lambda s, x, p: s.m // p.pm),
    ("count", lambda s, x, p: both(s.m > 0, s.c > 0)),
    ("count", lambda s, x, p: sign(s.m)),
    ("count", lambda s, x, p: floor(s.r)),
    ("constant", lambda s, x, p: Expr("const", (), 2.0) * 3),
]


@pytest.mark.parametrize(("expected", "body"), KINDS)
def test_what_an_operation_gives(expected: str, body: Any) -> None:
    assert kind(body) == expected


REFUSED: list[tuple[str, Callable[[Any, Expr, Any], Expr]]] = [
    ("product of two membrane quantities", lambda s, x, p: x * s.m),
    ("product of two membrane quantities", lambda s, x, p: p.pm * s.m),
    ("real divided by a membrane quantity", lambda s, x, p: p.pr / s.m),
    ("count divided by a membrane quantity", lambda s, x, p: s.c / p.pm),
    ("constant divided by a membrane quantity", lambda s, x, p: 1 / s.m),
    ("add of a membrane and a real quantity", lambda s, x, p: x + p.pr),
    ("sub of a count and a membrane quantity", lambda s, x, p: s.c - s.m),
    ("ge of a membrane and a real quantity", lambda s, x, p: s.m >= s.r),
    ("gt of a count and a membrane quantity", lambda s, x, p: s.c > s.m),
    ("floordiv of a membrane and a real quantity", lambda s, x, p: s.m // p.pr),
    ("min of a membrane and a count quantity", lambda s, x, p: minimum(s.m, s.c)),
    ("select of a membrane and a count quantity", lambda s, x, p: select(s.m >= p.pm, s.m, s.c)),
    ("floor of a membrane and a real quantity", lambda s, x, p: floor(s.m)),
]


@pytest.mark.parametrize(("message", "body"), REFUSED)
def test_what_may_not_be_mixed(message: str, body: Any) -> None:
    with pytest.raises(CompileError, match=message) as caught:
        typed(body)
    (found,) = caught.value.diagnostics
    assert found.code == "SNN207"
    assert re.fullmatch(r"here, step %\d+ of its rule", found.place)


def test_what_depends_on_parameters_only_is_evaluated():
    found = typed(lambda s, x, p: x * ((1 - p.pr) * 3))
    _, factor = found.program.steps[found.program.output].args
    assert found.values[factor] == 1.5
    assert not found.static(found.program.output)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("when", ["same", "before-decay"])
@pytest.mark.parametrize("max_spikes", [1, None])
def test_every_library_rule_is_well_typed(name: str, when: Any, max_spikes: int | None) -> None:
    firing = Firing(when="same" if name == "qlif" else when, max_spikes=max_spikes)
    params = {"v_reset": 0.0, "v_min": -1.0} if "v_min" in RULES[name].params else {}
    found = typed_program(Neuron.of(name, firing, **params), "here")
    assert (found.kinds[found.program.output] == "count") == RULES[name].spiking


# --- what a rule declares ------------------------------------------------------------------------------------

def refused(rule: Any) -> str:
    with pytest.raises(CompileError) as caught:
        typed_program(Neuron(rule), "here")
    (found,) = caught.value.diagnostics
    assert found.code == "SNN207"
    return found.found


def test_a_state_keeps_what_it_is_declared_to_keep():
    @neuron_rule(states={"n": Count()}, decay=Real(0.5))
    def fraction(state: Any, x: Expr, p: Any) -> Expr:
        state.n = p.decay * state.n
        return x >= 1

    @neuron_rule()
    def undeclared(state: Any, x: Expr, p: Any) -> Expr:
        state.fired = x >= 1
        return x >= 1

    assert refused(fraction) == "a real quantity becomes the state 'n'"
    assert refused(undeclared) == "a count quantity becomes the state 'fired'"


def test_a_count_may_become_a_real_state():
    @neuron_rule(states={"r": Real()})
    def rule(state: Any, x: Expr, p: Any) -> Expr:
        state.r = x >= 1
        return x >= 1

    assert typed_program(Neuron(rule), "here").kinds[-1] == "count"


def test_a_rule_emits_what_it_is_declared_to_emit():
    @neuron_rule()
    def graded(state: Any, x: Expr, p: Any) -> Expr:
        return x + 0

    @neuron_rule(spiking=False)
    def spiking(state: Any, x: Expr, p: Any) -> Expr:
        return x >= 1

    @neuron_rule(spiking=False)
    def real(state: Any, x: Expr, p: Any) -> Expr:
        return tanh(x)

    assert refused(graded) == "the rule emits a membrane quantity"
    assert refused(spiking) == "the rule emits a count quantity"
    assert refused(real) == "the rule emits a real quantity"


def test_division_by_zero_among_parameters_is_no_traceback():
    with np.errstate(all="raise"):
        found = typed(lambda s, x, p: s.m * (p.pr / (p.pr - p.pr)))
    assert np.isinf(next(v for v in found.values if v is not None and np.isinf(v)))
