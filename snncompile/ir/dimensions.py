"""Typing of neuron programs: which steps are membrane quantities, real numbers, or counts.

Only a well-typed rule has an integer form: membrane quantities scale with the unit of their population,
real numbers become fixed-point factors, counts stay what they are. A bare constant takes the kind of
what it meets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from snncompile.diagnostics import fail
from snncompile.ir.expr import FUNCTIONS, Program, Step
from snncompile.ir.rules import Quantity

Kind: TypeAlias = Literal["membrane", "real", "count", "constant"]


@dataclass(frozen=True)
class Typed:
    """A program with what is known of each step.

    Attributes:
        kinds: what each step measures.
        values: real value of the steps that depend on parameters only; None for the others.
    """

    program: Program
    kinds: tuple[Kind, ...]
    values: tuple[Any, ...]

    def static(self, i: int) -> bool:
        return self.values[i] is not None


def type_program(program: Program, params: Mapping[str, Any], quantities: Mapping[str, Quantity],
                 states: Mapping[str, Quantity], place: str) -> Typed:
    """Type every step and evaluate those that depend on parameters only.

    Raises:
        CompileError: SNN207, with the step, where membrane quantities are multiplied, rounded or mixed with numbers.
    """
    kinds: list[Kind] = []
    values: list[Any] = []
    for i, step in enumerate(program.steps):
        at = f"{place}, step %{i} of its rule"
        kinds.append(_kind(step, [kinds[a] for a in step.args], quantities, states, at))
        values.append(_value(step, [values[a] for a in step.args], params))
    return Typed(program, tuple(kinds), tuple(values))


def _value(step: Step, args: list[Any], params: Mapping[str, Any]) -> Any:
    constant: Any = step.value
    if step.op == "const":
        return np.float64(constant)
    if step.op == "param":
        return np.asarray(params[str(step.value)], np.float64)
    if step.op in ("state", "input") or any(a is None for a in args):
        return None
    with np.errstate(all="ignore"):
        return FUNCTIONS[step.op](*args)


def _kind(step: Step, args: list[Kind], quantities: Mapping[str, Quantity], states: Mapping[str, Quantity],
          place: str) -> Kind:
    match step.op:
        case "const":
            return "constant"
        case "input":
            return "membrane"
        case "param":
            return "membrane" if step.value == "bias" else quantities[str(step.value)].dimension
        case "state":
            return states[str(step.value)].dimension
        case "add" | "sub" | "min" | "max":
            return unify(args[0], args[1], step.op, place)
        case "select":
            return unify(args[1], args[2], step.op, place)
        case "neg" | "abs":
            return args[0]
        case "mul" | "div":
            return _product(step.op, args[0], args[1], place)
        case "exp" | "tanh":
            return "constant" if args[0] == "constant" else "real"
        case "floor":
            unify(args[0], "real", step.op, place)
            return "count"
        case "ge" | "gt" | "floordiv":
            unify(args[0], args[1], step.op, place)
            return "count"
    return "count"


def unify(a: Kind, b: Kind, op: str, place: str) -> Kind:
    """The kind of a sum, comparison or choice between two kinds."""
    if a == b or b == "constant":
        return a
    if a == "constant":
        return b
    if {a, b} == {"real", "count"}:
        return "real"
    fail("SNN207", place, f"{op} of a {a} and a {b} quantity", "operands of one kind",
         "declare the parameter or state as Membrane, Real or Count, whichever it is")


def _product(op: str, a: Kind, b: Kind, place: str) -> Kind:
    if a == b == "membrane":
        if op == "div":
            return "real"
        fail("SNN207", place, "a product of two membrane quantities", "a membrane quantity times a real or a count")
    if b == "membrane" and op == "div":
        fail("SNN207", place, f"a {a} divided by a membrane quantity", "a membrane quantity as the divisor of another")
    if "membrane" in (a, b):
        return "membrane"
    if "real" in (a, b) or op == "div":
        return "real"
    return "count" if "count" in (a, b) else "constant"
