"""What a tensor of the recorded pass is in the graph: a node, and which of its axes are time, batch and features."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

from snncompile.ir.types import Shape

Axis: TypeAlias = str
"""`T` for time, `B` for the batch, `F` for a feature; `TB` or `BT` for time and batch merged into one axis.

In a merged axis the first letter is the outer one: entry `t * batch + b` of a `TB` axis is tick t of sample b.
"""

Decode: TypeAlias = Literal["rate", "last", "max"]


@dataclass(frozen=True)
class Value:
    """A tensor of the recorded pass that depends on the input.

    Attributes:
        node: the node whose output the tensor holds.
        shape: sizes of the feature axes in the tensor. The node may hold the same features in another shape.
        axes: one axis letter for each dimension of the tensor.
        reshape_name: name for the Reshape node, should one be needed: where the shape was last changed.
        tick: for the tensor of a single tick of a loop over time, the tick.
        summed: for the sum of the first ticks of values of a loop over time, these values and how many of their ticks.
        decode: where the ticks were reduced to one tensor, how.
        is_sum: for `decode="rate"`, whether the ticks were summed. Otherwise their mean was taken.
        state: for the state of a neuron module, the module's path; empty for an output.
        left_out: the function that was left out at the end of the network, such as `softmax`; empty for none. The
            value is what the function was given.
        classes: the feature axes of what a left out function was given.
    """

    node: str
    shape: Shape
    axes: tuple[Axis, ...]
    reshape_name: str = ""
    tick: int | None = None
    summed: tuple[tuple[Value, int], ...] = ()
    decode: Decode | None = None
    is_sum: bool = False
    state: str = ""
    left_out: str = ""
    classes: Shape = ()

    @property
    def leading(self) -> tuple[Axis, ...]:
        """The axes before the first feature axis."""
        return self.axes[:next((i for i, a in enumerate(self.axes) if a == "F"), len(self.axes))]

    @property
    def features_last(self) -> bool:
        """Whether no axis of time or batch stands behind a feature axis."""
        return all(a == "F" for a in self.axes[len(self.leading):])

    def same_ticks_as(self, other: Value) -> bool:
        """Whether both values hold the same ticks, reduced in the same way if they were reduced."""
        return (self.tick, self.summed, self.decode, self.is_sum) == (
            other.tick, other.summed, other.decode, other.is_sum)

    def sizes(self, axis_sizes: Mapping[str, int]) -> Shape:
        """The shape of the tensor, given the sizes of the axes of time and batch."""
        features = iter(self.shape)
        return tuple(next(features) if a == "F" else axis_length(a, axis_sizes) for a in self.axes)


Item = TypeVar("Item")


def reachable(start: Iterable[Item], follow: Callable[[Item], Iterable[Item]]) -> set[Item]:
    """The items of `start`, and everything that can be reached from them by `follow`."""
    reached: set[Item] = set()
    todo = list(start)
    while todo:
        item = todo.pop()
        if item not in reached:
            reached.add(item)
            todo += follow(item)
    return reached


def are_ticks_in_order(values: Sequence[Any]) -> bool:
    """Whether these are the ticks 0, 1, 2, ... of one value, at least two."""
    return len(values) > 1 and all(isinstance(v, Value) and v == replace(values[0], tick=t)
                                   for t, v in enumerate(values))


def axis_length(axis: Axis, axis_sizes: Mapping[str, int]) -> int:
    """The size of an axis of time or batch. The size of a merged axis may be known without those of its parts."""
    return axis_sizes[axis] if axis in axis_sizes else math.prod(axis_sizes[letter] for letter in axis)


def reshaped_axes(axes: Sequence[Axis], old: Shape, new: Shape,
                  axis_sizes: Mapping[str, int]) -> tuple[Axis, ...] | None:
    """The axes of a tensor after a reshape.

    For example `[T, B, F]` of sizes (3, 2, 4) becomes `[TB, F]` under the shape (6, 4).

    Args:
        axes, old: letter and size of each axis before the reshape.
        new: the shape after it, with the same number of entries.
        axis_sizes: sizes of the axes of time and batch.

    Returns:
        A letter for each axis of the new shape; None where time or batch would be mixed with features.
    """
    if not axes:
        return ("F",) * len(new) if math.prod(new) == 1 else None
    for used, taken, letters in _first_matches(axes, old, new, axis_sizes):
        rest = reshaped_axes(axes[used:], old[used:], new[taken:], axis_sizes)
        if rest is not None:
            return letters + rest
    return None


def _first_matches(axes: Sequence[Axis], old: Shape, new: Shape,
                   axis_sizes: Mapping[str, int]) -> Iterator[tuple[int, int, tuple[Axis, ...]]]:
    """Ways in which the first old axes can become the first new axes.

    Yields:
        How many old axes are used, how many new axes they become, and the letters of the new axes.
    """
    first = axes[0]
    if first != "F":
        merged = "".join(axes[:2]) if len(axes) > 1 and {*axes[:2]} == {"T", "B"} else ""
        if len(first) == 2 and new[:2] == tuple(axis_sizes.get(letter) for letter in first):
            yield 1, 2, tuple(first)
        if new and new[0] == old[0]:
            yield 1, 1, (first,)
        if merged and new and new[0] == old[0] * old[1]:
            yield 2, 1, (merged,)
        if len(first) == 2 and math.prod(new[:2]) == old[0] and all(
                axis_sizes.get(letter, size) == size for letter, size in zip(first, new, strict=False)):
            yield 1, 2, tuple(first)
        if new and new[0] == 1:
            yield 0, 1, ("F",)
        return
    run = next((i for i, a in enumerate(axes) if a != "F"), len(axes))
    features = math.prod(old[:run])
    for taken in range(len(new), -1, -1):
        if math.prod(new[:taken]) == features:
            yield run, taken, ("F",) * taken
