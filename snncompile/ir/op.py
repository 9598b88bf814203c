"""`Op`, the base class of all operators: frozen classes with their shape inference, evaluation and synapse counts.

`infer` and `synapses` take the shape of a tensor of one tick. `apply` takes arrays `[n, *shape]`, whose first axis runs
over samples, ticks or both, and computes in the dtype that it is given: floats in floats, integers exactly.
Where several edges lead into a node, its operator is applied to their sum.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np

from snncompile.ir.types import Array, Shape, ShapeOnly, Weight, frozen
from snncompile.ir.windows import Window

SMALL = 1 << 10
"""The most numbers of an operator that is remembered with what is known of it."""


class ShapeError(ValueError):
    """A tensor has a shape that an operator does not take.

    Attributes:
        expected: the shapes that it takes, in words.
        place: the node or edge of the graph; empty where an operator was asked by itself.
        found: the shape that arrives, in words; empty without a place.
    """

    def __init__(self, expected: str, place: str = "", found: str = ""):
        super().__init__(f"{place}: {found}; {expected}" if place else expected)
        self.expected, self.place, self.found = expected, place, found


def expect(condition: bool, message: str) -> None:
    """Raise a `ShapeError` with a message unless a condition holds."""
    if not condition:
        raise ShapeError(message)


@cache
def _fields(kind: Any) -> tuple[str, ...]:
    """The names of a dataclass's fields."""
    return tuple(f.name for f in dataclasses.fields(kind))


@dataclass(frozen=True, eq=False)
class Op:
    """An operator: the content of a node, or a part of the chain of a projection.

    Attributes:
        linear: whether the output is a linear function of the input, or a linear function plus a bias.
        moves: whether each element of the output is an element of the input or 0. Applying such an operator to the
            numbers 1 to n then shows where each element comes from.
    """

    linear: ClassVar[bool] = True
    moves: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, value in self.attributes():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, frozen(value))

    def __reduce__(self) -> Any:
        """An operator travels to another process as its fields, without what is remembered of it."""
        return type(self), tuple(value for _, value in self.attributes())

    @classmethod
    def kind(cls) -> str:
        """The word that stands for the operator in the text form, such as `conv`."""
        return cls.__name__.lower()

    def attributes(self) -> Iterator[tuple[str, Any]]:
        """The fields of the operator, by name."""
        kind: Any = type(self)
        for name in _fields(kind):
            yield name, getattr(self, name)

    def numbers(self) -> Iterator[tuple[str, Any]]:
        """The values, by name, among which its numbers and arrays are: its fields, or what these hold."""
        return self.attributes()

    @cached_property
    def arrays(self) -> Mapping[str, Weight]:
        """The arrays, or shapes in place of arrays, among its numbers, by name."""
        return {n: v for n, v in self.numbers() if isinstance(v, (np.ndarray, ShapeOnly))}

    @cached_property
    def is_small(self) -> bool:
        """Whether its arrays have few numbers, so that what is known of it can be kept."""
        return sum(v.size for v in self.arrays.values() if isinstance(v, np.ndarray)) <= SMALL

    def infer(self, shape: Shape) -> Shape:
        """The shape of the output for the shape of an input, without the axis of samples. Raises `ShapeError`."""
        raise AssertionError(f"{type(self).__name__} does not infer shapes")

    def shape_behind(self, shape: Shape) -> Shape:
        """What `infer` gives, remembered: each pass asks for the same shapes, and so do the candidates of a search."""
        known = self._known_shapes
        if shape not in known:
            known[shape] = self.infer(shape)
        return known[shape]

    @cached_property
    def _known_shapes(self) -> dict[Shape, Shape]:
        return {}

    def apply(self, x: Array) -> Array:
        """The output `[n, *output shape]` for an input `[n, *shape]`, in the dtype of the input."""
        raise AssertionError(f"{type(self).__name__} is not evaluated by itself")

    def synapses(self, shape: Shape) -> int:
        """The number of connections between elements of the input and of the output, for an input of this shape.

        A convolution does not count connections to the zeros of its padding. 0 for operators that only move values.
        """
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

    def kept_per_output(self) -> Array | None:
        """How many taps of each output are synapses, `[output]`, where only their number is known; else None."""
        return None

    def bounds(self, low: int, high: int) -> tuple[int, int]:
        """The least and the largest integer that an output, or a partial sum of one, can be.

        Args:
            low, high: the least and the largest input, with `low <= 0 <= high`.
        """
        return low, high


def broadcasts(value: Any, shape: Shape) -> None:
    """Raise a `ShapeError` unless a parameter broadcasts to a shape. Numbers always do."""
    if isinstance(value, (np.ndarray, ShapeOnly)):
        try:
            fits = np.broadcast_shapes(value.shape, shape) == shape
        except ValueError:
            fits = False
        expect(fits, f"a parameter of shape {list(value.shape)} does not broadcast to it")
