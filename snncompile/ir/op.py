"""What every operator is: a small frozen class that owns its rules.

Tensors of one tick are `[*shape]`; `apply` takes arrays with one leading axis (samples, ticks or both)
and computes in the dtype it is given: floats in floats, integers exactly in integers. Several edges into
one operator are summed before it sees them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from snncompile.ir.types import Array, Shape, ShapeOnly, Weight, frozen
from snncompile.ir.windows import Window


class ShapeError(ValueError):
    """A tensor of this shape cannot enter the operator; `expected` says what could, `place` where in a graph."""

    def __init__(self, expected: str, place: str = "", found: str = ""):
        super().__init__(f"{place}: {found}; {expected}" if place else expected)
        self.expected, self.place, self.found = expected, place, found


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise ShapeError(message)


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    """The names of a dataclass's fields."""
    return tuple(f.name for f in dataclasses.fields(kind))


@dataclass(frozen=True, eq=False)
class Op:
    """What stands at a node, or in the chain of a projection.

    Attributes:
        linear: whether the output is a linear function of the input.
        moves: whether the operator only moves, repeats and drops values, and puts zeros between them: what it makes of
            the numbers 1 to n then says all of it.
    """

    linear: ClassVar[bool] = True
    moves: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, value in self.attributes():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, frozen(value))

    @classmethod
    def kind(cls) -> str:
        """The operator's word in the text form."""
        return cls.__name__.lower()

    def attributes(self) -> Iterator[tuple[str, Any]]:
        kind: Any = type(self)
        for name in _fields(kind):
            yield name, getattr(self, name)

    def arrays(self) -> dict[str, Weight]:
        """The attributes that are weights, by name."""
        return {n: v for n, v in self.attributes() if isinstance(v, (np.ndarray, ShapeOnly))}

    def infer(self, shape: Shape) -> Shape:
        """The output shape for an input shape; raises `ShapeError`."""
        raise AssertionError(f"{type(self).__name__} does not infer shapes")

    def apply(self, x: Array) -> Array:
        """The output `[n, *shape]` for an input `[n, *shape]`."""
        raise AssertionError(f"{type(self).__name__} is not evaluated by itself")

    def synapses(self, shape: Shape) -> int:
        """Connections of this operator, borders counted exactly, for an input of this shape."""
        return 0

    def windows(self, shape: Shape) -> tuple[Window, ...]:
        """What its outputs read of an input of this shape, one window for each axis; element by element by default."""
        return tuple(Window.same(size) for size in shape)

    def tap_weights(self, shape: Shape) -> Any:
        """The weight of each tap of its windows, as it broadcasts to `[*output, *taps]`; 1 by default."""
        return 1

    def kept_taps(self) -> Array | None:
        """Which taps are synapses, `[output, tap]`; None where all are, whatever their weights."""
        return None

    def bounds(self, low: int, high: int) -> tuple[int, int]:
        """The range of integer outputs, and of all partial sums on the way, for inputs in a range that holds 0."""
        return low, high


def broadcasts(value: Any, shape: Shape) -> None:
    """Raise `ShapeError` unless the value broadcasts against the shape without growing it."""
    if isinstance(value, (np.ndarray, ShapeOnly)):
        try:
            fits = np.broadcast_shapes(value.shape, shape) == shape
        except ValueError:
            fits = False
        expect(fits, f"a parameter of shape {list(value.shape)} does not broadcast to it")
