"""The operations of a rule program, each defined once: its arguments, NumPy function, interval and dimension.

A neuron rule becomes a program of steps, each of which names one of these operations. Everything that reads programs
looks the operation of each step up here: the interpreter (`apply`), interval analysis (`interval`), the typing of
membrane quantities (`dimension`), and the checks of files (`arity`, `domain`, `constant`). Emitters of programs in
another language have a table from these names to the text that they emit; tests check that it is complete.

Besides operations, programs have leaves: `const`, `param`, `state` and `input`.

Real and integer   add sub mul neg abs sign min max floordiv(a, b)
Logic on 0 and 1   ge gt and or not select(condition, a, b)
Real only          div exp tanh floor
Integer only       shr(a; bits, rounding)  wrap(a; bits)  lut(a; table, low, shift)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from snncompile.diagnostics import fail
from snncompile.ir.types import Array

Rounding: TypeAlias = Literal["floor", "zero", "nearest"]
ROUNDINGS: tuple[Rounding, ...] = ("floor", "zero", "nearest")
Interval: TypeAlias = tuple[int, int]
"""The least and the largest integer of a range."""
Kind: TypeAlias = Literal["membrane", "real", "count", "constant"]
"""What a step measures. A constant takes the kind of the operand that it is combined with."""
LEAVES = ("const", "param", "state", "input")


@dataclass(frozen=True)
class Operation:
    """One operation of a rule program.

    Attributes:
        arity: the number of its arguments, which are earlier steps.
        apply: computes its value from the values of its arguments, arrays of floats or int64, and its constants.
        interval: computes the interval of its integer values from the intervals of its arguments, and its constants;
            None for an operation that integer programs do not have.
        dimension: gives its kind for the kinds of its arguments. It takes these kinds, the name of the operation, and
            the place for diagnostics, and raises SNN207 for kinds that do not go together.
        domain: whether real programs, integer programs or both may hold it.
        constant: the constants that stand in the step itself; empty for an operation without any.
    """

    name: str
    arity: int
    apply: Callable[..., Any]
    interval: Callable[..., Interval] | None
    dimension: Callable[[Sequence[Kind], str, str], Kind]
    domain: Literal["both", "real", "integer"] = "both"
    constant: Literal["", "bits, rounding", "bits", "table, low, shift"] = ""


# --- what operations compute ----------------------------------------------------------------------------------------

def shift_right(a: Any, bits: int, rounding: Rounding) -> Any:
    """`a / 2**bits`, rounded down, toward zero, or to the nearest integer (halves up).

    `a` is an int64 array or a Python integer. The example gives -5 / 2 rounded in each way.

    >>> [shift_right(-5, 1, rounding) for rounding in ROUNDINGS]
    [-3, -2, -2]
    """
    if bits == 0:
        return a
    if rounding == "zero":
        a = a + (a < 0) * ((1 << bits) - 1)
    elif rounding == "nearest":
        a = a + (1 << (bits - 1))
    return a >> bits


def wrap(a: Any, bits: int) -> Any:
    """The signed number of `bits` bits that equals `a` modulo `2**bits`: `wrap(130, 8)` is -126."""
    half = 1 << (bits - 1)
    return ((a + half) & ((1 << bits) - 1)) - half


def look_up(a: Array, table: Array, low: int, shift: int) -> Array:
    """The entries of a 1-d table at the indices `(a - low) >> shift`, which are clipped to those of the table."""
    entries = np.asarray(table, np.int64)
    return np.asarray(entries[np.clip((a - low) >> shift, 0, len(entries) - 1)])


def _floor_divide(a: Array, b: Array) -> Array:
    return np.asarray(np.floor_divide(a, b) if np.asarray(a).dtype.kind in "iub" else np.floor(a / b))


def _as_numbers(compare: Callable[..., Any]) -> Callable[..., Any]:
    """A comparison that gives 1 and 0 in the dtype of its operands instead of True and False."""
    return lambda a, b: compare(a, b).astype(a.dtype)


# --- which integers can result --------------------------------------------------------------------------------------

def bit_width(interval: Interval) -> int:
    """The bits of the narrowest signed integer that holds an interval, at least 1: 8 for (-128, 127)."""
    return max(n.bit_length() if n >= 0 else (-n - 1).bit_length() for n in interval) + 1


def width(bits: int) -> Interval:
    """The interval of a signed integer of so many bits: (-128, 127) for 8."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def within(a: Interval, b: Interval) -> bool:
    """Whether interval `a` lies inside interval `b`."""
    return b[0] <= a[0] and a[1] <= b[1]


def join(a: Interval, b: Interval) -> Interval:
    """The narrowest interval that holds two intervals."""
    return min(a[0], b[0]), max(a[1], b[1])


def extent(values: Any) -> Interval:
    """The narrowest interval that holds an integer, or all elements of an array of integers."""
    return (int(values.min()), int(values.max())) if isinstance(values, np.ndarray) else (int(values), int(values))


def _at_ends(function: Callable[[int], int]) -> Callable[[Interval], Interval]:
    """The interval function of a function that never decreases: it takes its ends at the ends of the argument."""
    return lambda a: (function(a[0]), function(a[1]))


def _product_interval(a: Interval, b: Interval) -> Interval:
    products = [p * q for p in a for q in b]
    return min(products), max(products)


def _magnitude_interval(a: Interval) -> Interval:
    sizes = abs(a[0]), abs(a[1])
    return 0 if a[0] <= 0 <= a[1] else min(sizes), max(sizes)


def _quotient_interval(a: Interval, b: Interval) -> Interval:
    """The interval of `a // b`. A divisor counts as at least 1, since programs limit divisors to that with a `max`."""
    quotients = [p // q for p in a for q in (max(b[0], 1), max(b[1], 1))]
    return min(quotients), max(quotients)


def _choice_interval(condition: Interval, then: Interval, otherwise: Interval) -> Interval:
    if condition[0] > 0 or condition[1] < 0:
        return then
    return otherwise if condition == (0, 0) else join(then, otherwise)


def _shifted_interval(a: Interval, bits: int, rounding: Rounding) -> Interval:
    return shift_right(a[0], bits, rounding), shift_right(a[1], bits, rounding)


def _wrapped_interval(a: Interval, bits: int) -> Interval:
    return a if within(a, width(bits)) else width(bits)


def _entry_interval(a: Interval, table: Array, low: int, shift: int) -> Interval:
    first, last = (min(max((end - low) >> shift, 0), len(table) - 1) for end in a)
    return extent(table[first:last + 1])


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


# --- what is measured -----------------------------------------------------------------------------------------------

def unify(a: Kind, b: Kind, name: str, place: str) -> Kind:
    """The kind that two operands of a sum, comparison or selection have in common.

    Args:
        name: the operation, for the diagnostic.
        place: the step, for the diagnostic.

    Raises:
        CompileError: SNN207 where one of them is a membrane quantity and the other a real number or a count.
    """
    if a == b or b == "constant":
        return a
    if a == "constant":
        return b
    if {a, b} == {"real", "count"}:
        return "real"
    fail("SNN207", place, f"{name} of a {a} and a {b} quantity", "operands of one kind",
         "declare the parameter or state as Membrane, Real or Count, whichever it is")


def _alike(kinds: Sequence[Kind], name: str, place: str) -> Kind:
    return unify(kinds[-2], kinds[-1], name, place)


def _compared(kinds: Sequence[Kind], name: str, place: str) -> Kind:
    unify(kinds[0], kinds[1], name, place)
    return "count"


def _kept(kinds: Sequence[Kind], name: str, place: str) -> Kind:
    return kinds[0]


def _counted(kinds: Sequence[Kind], name: str, place: str) -> Kind:
    return "count"


def _floored(kinds: Sequence[Kind], name: str, place: str) -> Kind:
    unify(kinds[0], "real", name, place)
    return "count"


def _curved(kinds: Sequence[Kind], name: str, place: str) -> Kind:
    return "constant" if kinds[0] == "constant" else "real"


def _multiplied(kinds: Sequence[Kind], name: str, place: str) -> Kind:
    a, b = kinds
    if a == b == "membrane":
        if name == "div":
            return "real"
        fail("SNN207", place, "a product of two membrane quantities", "a membrane quantity times a real or a count")
    if b == "membrane" and name == "div":
        fail("SNN207", place, f"a {a} divided by a membrane quantity", "a membrane quantity as the divisor of another")
    if "membrane" in (a, b):
        return "membrane"
    if "real" in (a, b) or name == "div":
        return "real"
    return "count" if "count" in (a, b) else "constant"


# --- the table ------------------------------------------------------------------------------------------------------

OPERATIONS: dict[str, Operation] = {o.name: o for o in (
    Operation("add", 2, np.add, lambda a, b: (a[0] + b[0], a[1] + b[1]), _alike),
    Operation("sub", 2, np.subtract, lambda a, b: (a[0] - b[1], a[1] - b[0]), _alike),
    Operation("mul", 2, np.multiply, _product_interval, _multiplied),
    Operation("neg", 1, np.negative, lambda a: (-a[1], -a[0]), _kept),
    Operation("abs", 1, np.abs, _magnitude_interval, _kept),
    Operation("sign", 1, np.sign, _at_ends(_sign), _counted),
    Operation("min", 2, np.minimum, lambda a, b: (min(a[0], b[0]), min(a[1], b[1])), _alike),
    Operation("max", 2, np.maximum, lambda a, b: (max(a[0], b[0]), max(a[1], b[1])), _alike),
    Operation("div", 2, np.divide, None, _multiplied, "real"),
    Operation("exp", 1, np.exp, None, _curved, "real"),
    Operation("tanh", 1, np.tanh, None, _curved, "real"),
    Operation("floor", 1, np.floor, None, _floored, "real"),
    Operation("floordiv", 2, _floor_divide, _quotient_interval, _compared),
    Operation("ge", 2, _as_numbers(np.greater_equal), lambda a, b: (int(a[0] >= b[1]), int(a[1] >= b[0])), _compared),
    Operation("gt", 2, _as_numbers(np.greater), lambda a, b: (int(a[0] > b[1]), int(a[1] > b[0])), _compared),
    Operation("and", 2, np.multiply, _product_interval, _counted),
    Operation("or", 2, np.maximum, lambda a, b: (max(a[0], b[0]), max(a[1], b[1])), _counted),
    Operation("not", 1, lambda a: 1 - a, lambda a: (1 - a[1], 1 - a[0]), _counted),
    Operation("select", 3, lambda c, a, b: np.where(c != 0, a, b), _choice_interval, _alike),
    Operation("shr", 1, shift_right, _shifted_interval, _counted, "integer", "bits, rounding"),
    Operation("wrap", 1, wrap, _wrapped_interval, _counted, "integer", "bits"),
    Operation("lut", 1, look_up, _entry_interval, _counted, "integer", "table, low, shift"),
)}
INTEGER_OPERATIONS = tuple(name for name, o in OPERATIONS.items() if o.domain != "real")
"""The operations that an integer program may hold; every emitter of programs has to know them all."""


def arity(name: str) -> int | None:
    """The number of arguments of a leaf or operation, 0 for a leaf; None for a name that is neither."""
    return 0 if name in LEAVES else OPERATIONS[name].arity if name in OPERATIONS else None
