"""What a program keeps in memory: buffers of integers with proved ranges, and constants."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from snncompile.ir.operations import Interval, bit_width
from snncompile.ir.types import Array


class Lifetime(enum.Enum):
    """How long the integers of a buffer are needed.

    Buffers of the last two kinds may share memory, and those of the first kind that no delay reaches.
    """

    HISTORY = "what a node emitted, for as many ticks as the longest delay of a projection that reads it"
    STATE = "a state of a population, from one tick to the next"
    STANDING = "synaptic sums of a population that reads real-valued inputs only, until the input frame changes"
    POPULATION = "synaptic sums of a population, while it is updated"
    PROJECTION = "values between two kernels of a projection, while the projection is added to its sums"


@dataclass(frozen=True)
class Buffer:
    """Integers in memory, one for each element of a tensor that lies channels last (see `layouts`).

    Attributes:
        name: unique among the buffers of the same lifetime and owner.
        owner: the identifier of the population or projection that the buffer belongs to.
        size: the number of elements, for one tick.
        low, high: the range that is proved to hold every element at any time, partial sums included. A backend may
            choose any type that holds this range.
        lifetime: how long the elements are needed.
        adds: whether values are added to the elements one after another; False where each element is written once.
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
        """`(low, high)`."""
        return self.low, self.high

    @property
    def bits(self) -> int:
        """Bits of the narrowest signed integer that holds the range: 2 for 0 to 1, 8 for -128 to 127."""
        return bit_width(self.range)


@dataclass(frozen=True, eq=False)
class Constant:
    """Integers that never change: weights, factors, parameters, first states, or indices.

    Attributes:
        name: unique in the plan; an identifier followed by a word in capitals, such as `hidden_0_WEIGHT0`.
        values: an array in the order in which the program reads it, of the type in which it is stored.
    """

    name: str
    values: Array


def storage(low: int, high: int) -> np.dtype[np.integer]:
    """The narrowest NumPy integer type that holds a range, of 8, 16, 32 or 64 bits.

    A range without negative values takes an unsigned type of 8 or 16 bits where one holds it: 0 to 65535 gives uint16,
    0 to 65536 gives int32. Wider unsigned types are not used, because C computes in unsigned integers wherever one of
    them meets a signed integer.
    """
    if low >= 0:
        for bits in (8, 16):
            if high < 1 << bits:
                return np.dtype(f"uint{bits}")
    for bits in (8, 16, 32):
        if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1):
            return np.dtype(f"int{bits}")
    return np.dtype("int64")


def narrow(array: Array) -> Array:
    """A copy of an integer array in the narrowest type that holds its values; see `storage`."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    return array.astype(storage(low, high))
