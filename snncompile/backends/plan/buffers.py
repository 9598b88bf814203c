"""What a program keeps in memory: buffers of integers, and constants."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from snncompile.ir.operations import Interval, bit_width
from snncompile.ir.types import Array


class Lifetime(enum.Enum):
    """How long the integers of a buffer are needed."""

    HISTORY = "emitted values: for as many ticks as the longest delay that reads them"
    STATE = "a state of a population: from one tick to the next"
    STANDING = "sums of a frame that stands still: until the frame changes"
    POPULATION = "sums of synaptic input: while one population is updated"
    PROJECTION = "values inside a chain of operators: while one projection is added"


@dataclass(frozen=True)
class Buffer:
    """Integers, one for each element of a tensor that lies channels last.

    Attributes:
        name: unique among the buffers of its lifetime and owner.
        owner: the population or projection that it belongs to, by its identifier.
        low, high: the range that is proved to hold all of them, partial sums included.
        adds: whether values are added into it one after another, rather than written once.
    """

    name: str
    owner: str
    size: int
    low: int
    high: int
    lifetime: Lifetime
    adds: bool = False

    @property
    def range(self) -> Interval:
        return self.low, self.high

    @property
    def bits(self) -> int:
        """Bits of the narrowest signed integer that holds every value."""
        return bit_width(self.range)


@dataclass(frozen=True, eq=False)
class Constant:
    """Integers that never change: weights, factors, parameters, tables of indices."""

    name: str
    values: Array


def storage(low: int, high: int) -> np.dtype[np.integer]:
    """The narrowest of NumPy's integer types that holds a range; unsigned ones up to 16 bits."""
    if low >= 0:
        for bits in (8, 16):
            if high < 1 << bits:
                return np.dtype(f"uint{bits}")
    for bits in (8, 16, 32):
        if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1):
            return np.dtype(f"int{bits}")
    return np.dtype("int64")


def narrow(array: Array) -> Array:
    """The array in the narrowest integer type that holds its values."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    return array.astype(storage(low, high))
