"""Typing of neuron programs: which steps are membrane quantities, real numbers, or counts.

Only a well-typed rule has an integer form: membrane quantities are divided by the unit of their population, real
numbers become fixed-point factors, and counts keep their value. A constant written as a number, such as the 0.5 in
`0.5 * v`, takes the kind of the operand that it is combined with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.ir.expr import Program, Step
from snncompile.ir.operations import OPERATIONS, Kind
from snncompile.ir.rules import BIAS, Quantity


@dataclass(frozen=True)
class Typed:
    """A program with the kind of every step, and the values of the steps that no input or state changes.

    Attributes:
        kinds: what each step measures, in the order of the steps.
        values: the value of each step that depends on parameters and constants only, a float64 number or array; None
            for the other steps.
    """

    program: Program
    kinds: tuple[Kind, ...]
    values: tuple[Any, ...]

    def static(self, i: int) -> bool:
        """Whether step `i` depends on parameters and constants only."""
        return self.values[i] is not None


def type_program(program: Program, params: Mapping[str, Any], quantities: Mapping[str, Quantity],
                 states: Mapping[str, Quantity], place: str) -> Typed:
    """Give every step its kind, and evaluate the steps that depend on parameters only.

    Args:
        params: the values of the parameters by name, numbers or arrays.
        quantities: what each parameter measures, by name.
        states: what each state measures, by name.
        place: the neuron as diagnostics name it.

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
        return OPERATIONS[step.op].apply(*args)


def _kind(step: Step, args: list[Kind], quantities: Mapping[str, Quantity], states: Mapping[str, Quantity],
          place: str) -> Kind:
    match step.op:
        case "const":
            return "constant"
        case "input":
            return "membrane"
        case "param":
            return "membrane" if step.value == BIAS else quantities[str(step.value)].dimension
        case "state":
            return states[str(step.value)].dimension
    return OPERATIONS[step.op].dimension(args, step.op, place)
