"""The C types of the buffers and constants of a plan."""

from __future__ import annotations

import numpy as np

from snncompile.backends.plan.buffers import Buffer, storage
from snncompile.ir.types import Array

DTYPES = {f"{u}int{b}_t": np.dtype(f"{u}int{b}") for u in ("", "u") for b in (8, 16, 32, 64)}
"""NumPy's type for each integer type of C."""


def c_type(low: int, high: int) -> str:
    """The narrowest standard integer type that holds a range; see `buffers.storage`."""
    return f"{storage(low, high)}_t"


def accumulator_type(low: int, high: int) -> str:
    """The narrowest of int16_t, int32_t and int64_t that holds a range."""
    kind = c_type(min(low, -1), max(high, 128))
    return kind if kind != "int8_t" else "int16_t"


def type_of(buffer: Buffer) -> str:
    """The type of a buffer's elements. Elements that are added to are signed integers of 16 bits or more."""
    return (accumulator_type if buffer.adds else c_type)(buffer.low, buffer.high)


def c_type_of(array: Array) -> str:
    """The C type of the elements of an integer array."""
    return f"{'u' if array.dtype.kind == 'u' else ''}int{array.dtype.itemsize * 8}_t"


def literal(value: int) -> str:
    """An integer constant that C reads as this value, in parentheses if it is negative.

    The smallest 32-bit integer has no constant of its own in C, since the sign is an operator; it is a difference.
    """
    if value == -(1 << 31):
        return "(-2147483647 - 1)"
    text = f"INT64_C({value})" if not -(1 << 31) <= value < 1 << 31 else str(value)
    return f"({text})" if value < 0 else text
