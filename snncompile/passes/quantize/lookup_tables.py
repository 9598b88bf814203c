"""Functions of one integer become look-up tables: exp, tanh and divisions by changing quantities."""

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


def tabulate(typed: Typed, i: int, argument: int, argument_unit: float, interval: Interval, result_unit: float,
             table_bits: int, place: str) -> Table:
    """The table of step `i` as a function of the integer at step `argument`, which lies in an interval.

    The table spans the interval, or what lies between the first and the last power of two beyond which the function
    changes by less than half a unit of its result, in at most `2**table_bits` cells. Each holds the function at its
    middle, one of them at 0, so that what rests at 0 stays there. Beyond, the outermost cells go on.
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
    return Table(values.astype(np.int32), first - half, shift)


def _rest(function: Callable[[Array], Array], low: int, high: int) -> int:
    """Where, from `low` or 0 upward, a function has come to rest: the first power of two at which it has, or `high`."""
    start = max(low, 0)
    points = np.array([start, *(1 << j for j in range(high.bit_length()) if start < 1 << j < high), high], np.float64)
    with np.errstate(invalid="ignore"):
        moving = ~(np.abs(function(points) - function(points[-1:])) < 0.5)
    moving[-1] = False
    return int(points[np.max(np.nonzero(moving)[0], initial=-1) + 1])


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
                OPERATIONS[step.op].apply(*(value(a) for a in step.args))
        return known[j]

    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return np.broadcast_to(np.asarray(value(i), np.float64), values.shape)
