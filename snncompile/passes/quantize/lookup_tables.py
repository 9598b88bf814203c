"""Look-up tables for curved functions of one integer: exp, tanh, and divisions by something that changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.diagnostics import fail
from snncompile.ir.dimensions import Typed
from snncompile.ir.operations import OPERATIONS, Interval
from snncompile.ir.types import Array

CURVED = {"exp", "tanh", "div"}


@dataclass(frozen=True)
class Curves:
    """The steps of a program that are curved functions, and what they are functions of.

    A step is curved when it is, or contains, exp, tanh or a division by something that changes.

    Attributes:
        arguments: for each curved step, by its position, the steps that it depends on and that are not curved
            themselves. For `exp(v / 2) + 1` that is the step `v / 2`, for the exp and for the sum alike.
    """

    arguments: dict[int, frozenset[int]]

    def tabulable(self, i: int) -> bool:
        """Whether a step is a curved function of one quantity, so that a table can hold it."""
        return len(self.arguments.get(i, ())) == 1


def find_curves(typed: Typed) -> Curves:
    """The curved steps of a program."""
    arguments: dict[int, frozenset[int]] = {}
    for i, step in enumerate(typed.program.steps):
        if typed.static(i):
            continue
        changing = [a for a in step.args if not typed.static(a)]
        bends = step.op in ("exp", "tanh") or (step.op == "div" and step.args[1] in changing)
        if bends or any(a in arguments for a in changing):
            arguments[i] = frozenset().union(*(arguments.get(a, frozenset({a})) for a in changing))
    return Curves(arguments)


@dataclass(frozen=True)
class LookupTable:
    """The function `values[(index - low) >> shift]` of an integer, the position being held inside the table.

    Attributes:
        values: `[cell]`, int32.
        low: the first integer of the first cell.
        shift: a cell spans `2**shift` integers.
    """

    values: Array
    low: int
    shift: int


def tabulate(typed: Typed, i: int, argument: int, argument_unit: float, interval: Interval, result_unit: float,
             table_bits: int, place: str) -> LookupTable:
    """The table of step `i` as a function of the integer that step `argument` gives.

    The table has at most `2**table_bits` cells of equal length. It spans the interval, or a part of it that ends at
    powers of two, where the function changes by less than half a unit of its result beyond that part; the outermost
    cells then serve all that lies beyond. A cell holds the value of the function at its middle. The middle of one cell
    is 0, so that a state that rests at 0 stays there.

    Args:
        argument_unit, result_unit: the real value of 1 of the argument, and of the result.
        interval: the integers that the argument can be.
        place: what errors name.

    Raises:
        CompileError: SNN401 where a value does not fit 32 bits, or where a parameter inside the function differs
            between neurons.
    """
    def function(index: Array) -> Array:
        return np.asarray(_evaluate(typed, i, argument, index * argument_unit, place) / result_unit)

    low, high = interval
    last = high if high <= 0 else _rest(function, low, high)
    first = low if low >= 0 else -_rest(lambda index: function(-index), -high, -low)
    shift = max(0, (last - first - 1).bit_length() - table_bits)
    half = 1 << shift >> 1
    first = first >> shift << shift
    cells = min(1 << table_bits, (last - first + half >> shift) + 1)
    values = np.rint(function(np.clip(first + (np.arange(cells) << shift), low, high).astype(np.float64)))
    if not np.isfinite(values).all() or np.abs(values).max() >= 2**31:
        fail("SNN401", place, f"{typed.program.steps[i].op} leaves the range of a table", "32-bit values",
             "a clip around its argument says which values occur")
    return LookupTable(values.astype(np.int32), first - half, shift)


def _rest(function: Callable[[Array], Array], low: int, high: int) -> int:
    """Where a function has come to rest: the first power of two from which on it changes by less than 0.5, or `high`.

    Only powers of two from `low` (or 0) to `high` are looked at.
    """
    start = max(low, 0)
    points = np.array([start, *(1 << j for j in range(high.bit_length()) if start < 1 << j < high), high], np.float64)
    with np.errstate(invalid="ignore"):
        moving = ~(np.abs(function(points) - function(points[-1:])) < 0.5)
    moving[-1] = False
    return int(points[np.max(np.nonzero(moving)[0], initial=-1) + 1])


def _evaluate(typed: Typed, i: int, argument: int, values: Array, place: str) -> Array:
    """The real values of step `i` where step `argument` has these values, in the same shape."""
    known: dict[int, Any] = {argument: values}

    def value(j: int) -> Any:
        if j not in known:
            static = typed.values[j]
            if static is not None and np.size(static) != 1:
                fail("SNN401", place, "a parameter that differs between neurons, inside a curved function",
                     "one value for the layer", "exp and tanh become one table a population")
            step = typed.program.steps[j]
            known[j] = np.asarray(static).reshape(()) if static is not None else \
                OPERATIONS[step.op].apply(*(value(a) for a in step.args))
        return known[j]

    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return np.broadcast_to(np.asarray(value(i), np.float64), values.shape)
