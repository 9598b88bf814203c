"""What a tensor of the recorded pass is in the graph: a node, and which of its axes are time, batch and features."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

from snncompile.ir.types import Shape

Axis: TypeAlias = str
"""`T`ime, `B`atch, both in one axis as `TB` or `BT` (the first of the two is the slower), or a `F`eature."""

Decode: TypeAlias = Literal["rate", "last", "max"]


@dataclass(frozen=True)
class Value:
    """A tensor that depends on the input.

    Attributes:
        node: the node whose output it is.
        shape: the features of one tick, as the module lays them out; the node may have them under another shape.
        axes: one letter a dimension of the tensor.
        via: where its shape was last changed, which names the Reshape should one be needed.
        tick: for one tick out of a loop over time, which.
        summed: for the sum of the first ticks of such a loop, how many.
        decode: how the ticks became one, where they did.
        total: whether `decode="rate"` is a sum, which constants may not be added to, or a mean.
        state: the neuron whose state this is, no output.
    """

    node: str
    shape: Shape
    axes: tuple[Axis, ...]
    via: str = ""
    tick: int | None = None
    summed: int | None = None
    decode: Decode | None = None
    total: bool = False
    state: str = ""

    @property
    def leading(self) -> tuple[Axis, ...]:
        """The axes before the first feature."""
        return self.axes[:next((i for i, a in enumerate(self.axes) if a == "F"), len(self.axes))]

    @property
    def regular(self) -> bool:
        """Whether all features come after time and batch."""
        return all(a == "F" for a in self.axes[len(self.leading):])

    def decided_as(self, other: Value) -> bool:
        """Whether both are of the same ticks, made one in the same way."""
        return (self.tick, self.summed, self.decode, self.total) == (
            other.tick, other.summed, other.decode, other.total)

    def sizes(self, extent: Mapping[str, int]) -> Shape:
        """The shape of the tensor, given the extent of time and batch."""
        features = iter(self.shape)
        return tuple(next(features) if a == "F" else long(a, extent) for a in self.axes)


Named = TypeVar("Named")


def closure(start: Iterable[Named], follow: Callable[[Named], Iterable[Named]]) -> set[Named]:
    """Everything that is reached from the start."""
    found: set[Named] = set()
    todo = list(start)
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += follow(one)
    return found


def in_order(values: Sequence[Any]) -> bool:
    """Whether these are ticks of one value, from the first on in order."""
    return len(values) > 1 and all(isinstance(v, Value) and v == replace(values[0], tick=t)
                                   for t, v in enumerate(values))


def long(axis: Axis, extent: Mapping[str, int]) -> int:
    """How long an axis of time or batch is; of one that came merged, the parts may be unknown."""
    return extent[axis] if axis in extent else math.prod(extent[letter] for letter in axis)


def regroup(axes: Sequence[Axis], old: Shape, new: Shape, extent: Mapping[str, int]) -> tuple[Axis, ...] | None:
    """The axes of a tensor under a new shape, None where time or batch would mix with features.

    Args:
        axes, old: the letters and sizes of the tensor.
        new: the sizes it is given, of equal product, its numbers staying in order.
        extent: how long time and batch are.
    """
    if not axes:
        return ("F",) * len(new) if math.prod(new) == 1 else None
    for used, taken, letters in _steps(axes, old, new, extent):
        rest = regroup(axes[used:], old[used:], new[taken:], extent)
        if rest is not None:
            return letters + rest
    return None


def _steps(axes: Sequence[Axis], old: Shape, new: Shape,
           extent: Mapping[str, int]) -> Iterator[tuple[int, int, tuple[Axis, ...]]]:
    """Ways to account for the first axes: how many are used up, by how many new ones, and the letters of those."""
    first = axes[0]
    if first != "F":
        whole = "".join(axes[:2]) if len(axes) > 1 and {*axes[:2]} == {"T", "B"} else ""
        if len(first) == 2 and new[:2] == tuple(extent.get(letter) for letter in first):
            yield 1, 2, tuple(first)
        if new and new[0] == old[0]:
            yield 1, 1, (first,)
        if whole and new and new[0] == old[0] * old[1]:
            yield 2, 1, (whole,)
        if len(first) == 2 and math.prod(new[:2]) == old[0] and all(
                extent.get(letter, size) == size for letter, size in zip(first, new, strict=False)):
            yield 1, 2, tuple(first)
        if new and new[0] == 1:
            yield 0, 1, ("F",)
        return
    run = next((i for i, a in enumerate(axes) if a != "F"), len(axes))
    features = math.prod(old[:run])
    for taken in range(len(new), -1, -1):
        if math.prod(new[:taken]) == features:
            yield run, taken, ("F",) * taken
