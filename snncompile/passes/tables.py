"""Functions of one integer become look-up tables: exp, tanh and divisions by changing quantities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.diagnostics import fail
from snncompile.ir.expr import FUNCTIONS
from snncompile.ir.types import Array
from snncompile.passes.dimensions import Typed

CURVED = {"exp", "tanh", "div"}


@dataclass(frozen=True)
class Curves:
    """Which steps of a program are curved functions, and of what.

    A step is curved when it is, or contains, exp, tanh or a division by something that changes;
    `arguments` holds, for each curved step, the largest uncurved steps that it depends on.
    """

    arguments: dict[int, frozenset[int]]

    def tabulable(self, i: int) -> bool:
        return len(self.arguments.get(i, ())) == 1


def find_curves(typed: Typed) -> Curves:
    found: dict[int, frozenset[int]] = {}
    for i, step in enumerate(typed.program.steps):
        if typed.static(i):
            continue
        changing = [a for a in step.args if not typed.static(a)]
        bends = step.op in ("exp", "tanh") or (step.op == "div" and step.args[1] in changing)
        if bends or any(a in found for a in changing):
            found[i] = frozenset().union(*(found.get(a, frozenset({a})) for a in changing))
    return Curves(found)


@dataclass(frozen=True)
class Table:
    """`values[clip((index - low) >> shift)]`, integers."""

    values: Array
    low: int
    shift: int


def tabulate(typed: Typed, i: int, argument: int, argument_unit: float, argument_bits: int, result_unit: float,
             table_bits: int, place: str) -> Table:
    """The table of step `i` as a function of the integer at step `argument`.

    The table spans the integers up to where the function no longer changes by half a unit of its result,
    in at most `2**table_bits` cells; each holds the function at its middle. Beyond, its ends go on: there a steep
    function has come to rest, since it gets a cell an integer and twice that span, if there is room.
    """
    def function(index: Array) -> Array:
        return np.asarray(_evaluate(typed, i, argument, index * argument_unit, place) / result_unit)

    ends = np.array([2.0**j for j in range(argument_bits)])
    far = np.maximum(np.abs(function(ends) - function(ends[-1:])), np.abs(function(-ends) - function(-ends[-1:])))
    reach = int(np.max(np.nonzero(far >= 0.5)[0], initial=-1)) + 1
    reach += reach + 2 <= table_bits
    shift = max(0, reach + 1 - table_bits)
    low = -(1 << reach)
    middles = low + (np.arange(1 << (reach + 1 - shift)) << shift) + ((1 << shift) - 1) / 2
    values = np.rint(function(middles))
    if not np.isfinite(values).all() or np.abs(values).max() >= 2**31:
        fail("SNN401", place, f"{typed.program.steps[i].op} leaves the range of a table", "32-bit values")
    return Table(values.astype(np.int32), low, shift)


def _evaluate(typed: Typed, i: int, argument: int, values: Array, place: str) -> Array:
    """Step `i` in reals, as a function of the step `argument`."""
    known: dict[int, Any] = {argument: values}

    def value(j: int) -> Any:
        if j not in known:
            static = typed.values[j]
            if static is not None and np.size(static) != 1:
                fail("SNN401", place, "a parameter that differs between neurons, inside a curved function",
                     "one value for the layer", "exp and tanh become one table a population")
            step = typed.program.steps[j]
            known[j] = np.asarray(static).reshape(()) if static is not None else \
                FUNCTIONS[step.op](*(value(a) for a in step.args))
        return known[j]

    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return np.broadcast_to(np.asarray(value(i), np.float64), values.shape)
