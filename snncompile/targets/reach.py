"""Reach: what a projection reads, as an interval of input positions for each output position along each axis.

Operators treat channels, rows and columns apart (`ir.windows`), so a projection is described by short vectors for each
of the three axes rather than by its synapses. Of a reshape that mixes the axes, only counts are known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TypeAlias

import numpy as np

from snncompile.ir.op import Op
from snncompile.ir.ops import Reshape
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.types import Array, Shape
from snncompile.ir.windows import Window, places

Volume: TypeAlias = tuple[int, int, int]
"""Channels, rows and columns."""
CACHED = 256
"""Axes that are kept: networks repeat the same windows."""


def volume(shape: Shape) -> Volume:
    """A shape as channels, rows and columns. A single axis behind the channels counts as columns, and so do further
    axes behind the rows.

    >>> volume((5,)), volume((5, 7)), volume((5, 7, 9, 2))
    ((5, 1, 1), (5, 1, 7), (5, 7, 18))
    """
    channels, *rest = shape or (1,)
    return (channels, rest[0], math.prod(rest[1:])) if len(rest) > 1 else (channels, 1, math.prod(rest))


def by_axis(windows: Sequence[Window]) -> tuple[Sequence[Window], Sequence[Window], Sequence[Window]]:
    """The windows of a tensor's axes as those of its channels, of its rows and of its columns; see `volume`."""
    none = (Window.same(1),)
    if len(windows) < 3:
        return windows[:1] or none, none, windows[1:] or none
    return windows[:1], windows[1:2], windows[2:]


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of a projection: output `i` reads inputs between `low[i]` and `high[i]`, both included.

    `low` and `high` never decrease. Where an output reads nothing, they are such that no input lies between them. A
    kernel of 3 with a padding of 1 behind sums of 2 positions:

    >>> pooled = Axis.same(8).through([Window(8, 4, taps=2, stride=2)])
    >>> behind = pooled.through([Window(4, 4, taps=3, before=1)])
    >>> behind.low.tolist(), behind.high.tolist(), behind.count.tolist()
    ([0, 0, 2, 4], [3, 5, 7, 7], [4, 6, 6, 4])

    Attributes:
        low, high: `[output]`.
        count: `[output]`, how many inputs it reads; more than that where windows overlap in a way that is not tracked.
        least: `[output]`, how many inputs it reads at least; the same as `count` where that is exact.
        inputs: the number of input positions.
    """

    low: Array
    high: Array
    count: Array
    least: Array
    inputs: int

    def __len__(self) -> int:
        return len(self.low)

    @classmethod
    @lru_cache(CACHED)
    def same(cls, size: int) -> Axis:
        """Every output reads the input at its own place."""
        every, ones = np.arange(size), np.ones(size, np.int64)
        return cls(every, every, ones, ones, size)

    @cached_property
    def total(self) -> int:
        """The sum of `count`."""
        return int(self.count.sum())

    @cached_property
    def least_total(self) -> int:
        """The sum of `least`."""
        return int(self.least.sum())

    @cached_property
    def fewest_certain(self) -> int:
        """How many inputs every output reads at least."""
        return int(self.least.min())

    @cached_property
    def most_certain(self) -> int:
        """How many inputs the output that reads most of them reads at least."""
        return int(self.least.max(initial=0))

    @cached_property
    def most(self) -> int:
        """How many inputs one output reads, at most."""
        return int(self.count.max(initial=0))

    @cached_property
    def differs(self) -> bool:
        """Whether it is certain that not all outputs read the same inputs."""
        return self.is_plain and bool(np.ptp(self.low) or np.ptp(self.high))

    @cached_property
    def is_plain(self) -> bool:
        """Whether every output reads its whole interval, or nothing."""
        return bool(((self.least == self.high - self.low + 1) | (self.count == 0)).all())

    @cached_property
    def most_readers(self) -> int:
        """How many outputs read one input, at most."""
        first, last = self.readers()
        return max(int((last - first + 1).max(initial=0)), 0)

    @property
    def sources(self) -> int:
        """How many inputs are read by some output, at least."""
        return int(self._reading(np.arange(len(self))[None], None).least[0])

    def readers(self) -> tuple[Array, Array]:
        """The first and the last output that may read each input, `[input]`; last < first where none does."""
        every = np.arange(self.inputs)
        return np.searchsorted(self.high, every, "left"), np.searchsorted(self.low, every, "right") - 1

    def through(self, windows: Sequence[Window], most: int | None = None) -> Axis:
        """The axis behind an operator.

        Args:
            windows: of the axes that are laid out as this one; mostly a single one.
            most: where a reshape has mixed the axes, how many inputs an output can read; None elsewhere.
        """
        if all(w.is_same for w in windows):
            return self
        if len(windows) > 1:
            return self._reading(places(windows), most)
        return _first(windows[0]) if self is Axis.same(self.inputs) and most is None else self._behind(windows[0], most)

    def _behind(self, window: Window, most: int | None) -> Axis:
        """The axis behind a single window."""
        once = self._reading(window.different(), most)
        low, high, count, least = (np.repeat(values, window.repeat)[:window.outputs]
                                   for values in (once.low, once.high, once.count, once.least))
        return Axis(low, high, count, least, self.inputs)

    def keeping(self, before: Axis, kept: Array) -> Axis:
        """This axis where only some taps of a full window over the axis before are synapses: what is certain changes.

        Args:
            kept: `[output, tap]`.
        """
        apart = bool((before.low[1:] > before.high[:-1]).all())
        each = kept * before.least
        return replace(self, least=each.sum(1) if apart else each.max(1))

    def _reading(self, at: Array, most: int | None) -> Axis:
        """The axis behind outputs that read these positions of it, `[output, tap]`, in increasing order; -1 for none.

        The union of intervals is counted from left to right: each adds what lies beyond the end of those before it.
        """
        inside = (at >= 0) & (self.count[at] > 0)
        low, high = np.where(inside, self.low[at], self.inputs), np.where(inside, self.high[at], -1)
        first, last = low.min(1), high.max(1)
        count, least = np.where(inside, self.count[at], 0).sum(1), np.where(inside, self.least[at], 0).max(1)
        if most is not None:
            count = np.minimum(count, most)
        elif self.is_plain:
            ends = np.maximum.accumulate(np.pad(high[:, :-1], ((0, 0), (1, 0)), constant_values=-1), 1)
            count = least = np.maximum(high - np.maximum(low, ends + 1) + 1, 0).sum(1)
        else:
            count = np.minimum(count, np.maximum(last - first + 1, 0))
        # A dilated kernel that hangs over the border starts further in than the next one: widen, to stay ordered.
        return Axis(np.minimum.accumulate(first[::-1])[::-1], np.maximum.accumulate(last), count, least, self.inputs)


@lru_cache(CACHED)
def _first(window: Window) -> Axis:
    """What the first window of a projection reads."""
    return Axis.same(window.inputs)._behind(window, None)


@dataclass(frozen=True)
class Reach:
    """What a projection reads.

    Attributes:
        axes: channels, rows and columns.
        scattered: whether a reshape mixes them: intervals are then wide, and only the counts of whole outputs, which
            are products over the axes, have a meaning.
        read: where it is scattered, how many inputs are read by some output, at least.
    """

    axes: tuple[Axis, Axis, Axis]
    scattered: bool = False
    read: int = 0

    @property
    def inputs(self) -> int:
        return math.prod(a.inputs for a in self.axes)

    @property
    def synapses(self) -> int:
        """Connections between inputs and outputs, borders counted exactly."""
        return math.prod(a.total for a in self.axes)

    @property
    def least_synapses(self) -> int:
        """Connections at least: less than `synapses` where those are not known exactly, or where a layer's weights are
        mostly zeros."""
        return math.prod(a.least_total for a in self.axes)

    @property
    def least_axons(self) -> int:
        """How many inputs the output that reads most of them reads at least."""
        return math.prod(a.most_certain for a in self.axes)

    @property
    def is_full(self) -> bool:
        """Whether it is certain that every output reads every input."""
        return bool(self.inputs == math.prod(a.fewest_certain for a in self.axes))

    @property
    def fan_in(self) -> int:
        """The most inputs that one output reads."""
        return math.prod(a.most for a in self.axes)

    @property
    def differs(self) -> bool:
        """Whether it is certain that not all outputs read the same inputs."""
        return not self.scattered and any(a.differs for a in self.axes)

    def through(self, op: Op, shape: Shape) -> Reach:
        """The reach behind one more operator, which is entered by a tensor of `shape`."""
        if isinstance(op, Reshape):
            return self._reshaped(volume(shape), volume(op.shape))
        if isinstance(op, SpikeProduct):
            return self._multiplied(op, volume(op.infer(shape)))
        windows = op.windows(shape)
        channels, rows, columns = (axis.through(along, self.inputs if self.scattered else None)
                                   for axis, along in zip(self.axes, by_axis(windows), strict=True))
        if (some := op.kept_per_output()) is not None:
            channels = replace(channels, least=some * self.axes[0].fewest_certain)
        elif (kept := op.kept_taps()) is not None:
            channels = channels.keeping(self.axes[0], kept)
        elif self.scattered and all(w.is_full for w in windows):
            return Reach((replace(channels, least=np.full(len(channels), self.read)), rows, columns), True, self.read)
        behind = channels, rows, columns
        if self.scattered and not all(w.is_same for w in windows):
            return Reach(behind, True, math.prod(a.most_certain for a in behind))
        return Reach(behind, self.scattered, self.read)

    def _multiplied(self, op: SpikeProduct, new: Volume) -> Reach:
        """What outputs read that add up pairs of inputs. A pair that is multiplied counts as one connection."""
        direct = not self.scattered and all(a.most == a.most_readers == 1 for a in self.axes)
        terms = op.terms * math.prod(a.most for a in self.axes)
        counts = [np.full(new[0], terms), *(np.ones(n, np.int64) for n in new[1:])]
        leasts = [np.full(new[0], op.terms if direct else 1), *counts[1:]]
        axes = [Axis(np.zeros(n, np.int64), np.full(n, a.inputs - 1), count, least, a.inputs)
                for a, n, count, least in zip(self.axes, new, counts, leasts, strict=True)]
        return Reach((axes[0], axes[1], axes[2]), True, 1)

    def _reshaped(self, old: Volume, new: Volume) -> Reach:
        """The same elements under another shape: what an output reads may lie anywhere."""
        if old == new:
            return self
        counts = [np.full(n, a.most) for a, n in zip(self.axes, new, strict=True)]
        least = math.prod(a.fewest_certain for a in self.axes)
        leasts = [np.full(new[0], least), *(np.ones(n, np.int64) for n in new[1:])]
        if new[1:] == (1, 1):
            counts[0], leasts[0] = (_product(values) for values in zip(*((a.count, a.least) for a in self.axes),
                                                                        strict=True))
            counts[1:] = leasts[1:]
        read = self.read if self.scattered else math.prod(a.sources for a in self.axes)
        axes = [Axis(np.full(n, min(int(a.low.min()), a.inputs - 1)), np.full(n, max(int(a.high.max()), 0)), count,
                     at_least, a.inputs)
                for a, n, count, at_least in zip(self.axes, new, counts, leasts, strict=True)]
        return Reach((axes[0], axes[1], axes[2]), True, read)


def most_of_a_neuron(parts: Sequence[tuple[int, Sequence[Array]]]) -> int:
    """The most that one neuron of a population needs, of something that it needs for each projection into it.

    Two projections into 2 channels of 3 pixels in a row, of which the second reaches only the last pixel:

    >>> one, ends, last = np.ones(1, int), np.array([2, 3, 2]), np.array([0, 0, 5])
    >>> first, second = (np.array([4, 4]), one, ends), (np.array([1, 1]), one, last)
    >>> most_of_a_neuron([(0, first), (1, second)]), most_of_a_neuron([(0, first), (0, second)])
    (13, 12)

    Args:
        parts: for each projection a key, and `[channel]`, `[row]` and `[column]`, whose product is what a neuron needs.
            Of projections with the same key, a neuron only needs the largest.
    """
    if len(parts) < 2:
        return sum(math.prod(int(a.max(initial=0)) for a in along) for _, along in parts)
    # Positions with the same numbers along an axis are looked at once.
    c, y, x = (np.unique(np.stack([along[axis] for _, along in parts]), axis=1) for axis in range(3))
    needs: dict[int, Array] = {}
    for i, (key, _) in enumerate(parts):
        need = c[i][:, None, None] * y[i][:, None] * x[i]
        needs[key] = np.maximum(needs[key], need) if key in needs else need
    return int(np.max(sum(needs.values(), np.zeros((), np.int64))))


def _product(axes: Sequence[Array]) -> Array:
    """The product of numbers along three axes, for every element in C order."""
    c, y, x = axes
    return np.asarray((c[:, None, None] * y[:, None] * x).reshape(-1))


def reach_of(chain: tuple[Op, ...], shape: Shape) -> Reach:
    """The reach of a chain of operators that a tensor of `shape` enters."""
    channels, rows, columns = volume(shape)
    reach = Reach((Axis.same(channels), Axis.same(rows), Axis.same(columns)))
    for op in chain:
        reach, shape = reach.through(op, shape), op.infer(shape)
    return reach
