"""Small types that everything else shares."""

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


class Stage(enum.IntEnum):
    """How far a graph has come; each stage is a stricter table of what may stand in it (`verify`)."""

    FLOAT = 0
    LEGAL = 1
    INT = 2
    MAPPED = 3


@dataclass(frozen=True)
class ShapeOnly:
    """A weight of which only the shape is known: candidates of a search have no numbers."""

    shape: Shape
    dtype: str = "float32"

    @property
    def size(self) -> int:
        return math.prod(self.shape)


Weight: TypeAlias = Array | ShapeOnly


def frozen(values: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> Array:
    """The values as a read-only array; arrays that are already read-only are shared, not copied."""
    array = np.asarray(values, dtype=dtype)
    if array.flags.writeable:
        array = array.copy() if array is values or array.base is not None else array
        array.flags.writeable = False
    return array


def freeze_arrays(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a parameter mapping whose arrays are read-only and whose 0-d arrays are Python scalars."""
    return {k: v.item() if isinstance(v, np.ndarray) and v.ndim == 0 else frozen(v) if isinstance(v, np.ndarray) else v
            for k, v in values.items()}
