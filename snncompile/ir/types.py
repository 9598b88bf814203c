"""Types that the other modules share: arrays, shapes, the stages of a graph, and weights without numbers."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""Any NumPy array. `numpy.typing.NDArray` is a type alias from NumPy 2.5 on, which checks of attributes cannot read."""
Shape: TypeAlias = tuple[int, ...]
Json: TypeAlias = Any
"""A value that JSON can hold."""


class Stage(enum.IntEnum):
    """How far a graph is compiled. Each stage allows fewer operators than the one before; `verify` checks this.

    FLOAT: layers and neurons in real numbers, as a reader makes them. LEGAL: neurons and the projections between them,
    in forms that the target has. INT: populations and projections in integers. MAPPED: the same in ticks of hardware.
    """

    FLOAT = 0
    LEGAL = 1
    INT = 2
    MAPPED = 3


@dataclass(frozen=True)
class ShapeOnly:
    """A weight of which only the shape is known, such as that of a candidate of an architecture search.

    Attributes:
        dtype: the type of the numbers that are to come.
        bits: the width that the weights of this layer will be quantized to, 1 to 32; 1 for weights of -1 and 1. None
            for the width that is chosen for the whole network.
        density: the share of weights that will not be zero, above 0 and at most 1; None where nothing is known. They
            are taken to be spread evenly over the outputs.
    """

    shape: Shape
    dtype: str = "float32"
    bits: int | None = None
    density: float | None = None

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nonzero(self) -> int:
        """How many elements will not be zero, as far as that is known."""
        return self.size if self.density is None else math.ceil(self.density * self.size)

    @property
    def stored_bits(self) -> int | None:
        """The width of a stored weight, its sign included: 2 bits for -1 and 1."""
        return None if self.bits is None else max(self.bits, 2)


Weight: TypeAlias = Array | ShapeOnly
"""A weight array, or its shape."""


def frozen(values: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> Array:
    """The values as a read-only array. An array that is read-only already is returned itself, not copied."""
    array = np.asarray(values, dtype=dtype)
    if array.flags.writeable:
        array = array.copy() if array is values or array.base is not None else array
        array.flags.writeable = False
    return array


def freeze_arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a mapping of parameters in which arrays are read-only, and arrays of no axes are Python numbers."""
    return {k: v.item() if isinstance(v, np.ndarray) and v.ndim == 0 else frozen(v) if isinstance(v, np.ndarray) else v
            for k, v in values.items()}
