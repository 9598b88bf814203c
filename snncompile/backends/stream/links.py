"""Streams between stages, and the projections that read them.

A stream carries words. An event word has the index of an element, channels last, and its value; an end word closes a
tick, and says whether the tick is the last of its sample. Values that are 1 where they are not 0 take no bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from snncompile.backends.plan.layouts import as_image
from snncompile.backends.stream.scatter import Axis
from snncompile.ir.operations import Interval, bit_width
from snncompile.ir.types import Array, Shape

SETTLING = 3
"""Clock cycles from one reading of an accumulator to the next that sees what was added after the first."""


@dataclass(frozen=True)
class Stream:
    """What an input or population sends.

    Attributes:
        name: its identifier; label: the name of the node in the graph.
        shape: of the tensor, in the user's order.
        range: of its values, 0 included.
        whole: whether each tick brings every element, zeros too.
        stands: whether the end of a tick can say that the next tick has the same events, which are then left out. Its
            readers keep their sums meanwhile. The lowest bit of the index says so.
    """

    name: str
    label: str
    shape: Shape
    range: Interval
    whole: bool = False
    stands: bool = False

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, rows and columns."""
        return as_image(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def channel_bits(self) -> int:
        return bits_below(self.image[0])

    @property
    def row_bits(self) -> int:
        return bits_below(self.image[1])

    @property
    def column_bits(self) -> int:
        return bits_below(self.image[2])

    @property
    def index_bits(self) -> int:
        """Row, column and channel, one behind another; a bit of 0 for a tensor of one element."""
        return max(1, self.row_bits + self.column_bits + self.channel_bits)

    @property
    def value_bits(self) -> int:
        return 0 if self.range[0] >= 0 and self.range[1] <= 1 and not self.whole else bit_width(self.range)

    @property
    def bits(self) -> int:
        """The width of a word: last, end, index, value."""
        return 2 + self.index_bits + self.value_bits


def bits_below(count: int) -> int:
    """The bits of the numbers below a count: 0 for 1, 3 for 8."""
    return (count - 1).bit_length()


@dataclass(frozen=True, eq=False)
class Link:
    """A projection into a stage: each event adds rows of weights to an accumulator.

    Attributes:
        name: its identifier; label: its name for people.
        stream: what it reads.
        delay: how many ticks ago its events were sent.
        accumulator: the position of the accumulator that it adds to.
        rows, columns: the places that an event reaches, and its taps; see `scatter`.
        starts: for each source channel, the first group of a place that it adds to.
        reach: how many groups it adds to at each place.
        words: the weights, `[address, lane]`, for each row tap, column tap, source channel, and group; None for a link
            that brings only the ends of ticks.
    """

    name: str
    label: str
    stream: Stream
    delay: int
    accumulator: int
    rows: Axis
    columns: Axis
    starts: Array
    reach: int
    words: Array | None

    @property
    def depth(self) -> int:
        """Words that the buffer in front of the link holds.

        All elements of a tick, and its end, fit, so that its source can finish a tick whatever else the stage waits
        for; with a delay, so many ticks more.
        """
        return (self.delay + 1) * (self.stream.size + 1) if self.words is not None else self.delay + 2

    @property
    def single(self) -> bool:
        """Whether every event reaches the same groups once."""
        return self.rows.meets and self.columns.meets and not self.starts.any()

    @property
    def plain(self) -> bool:
        """Whether the channel of an event alone says which weights it adds, and all events reach the same groups."""
        return self.single and self.rows.taps == self.columns.taps == 1

    @property
    def pause(self) -> int:
        """Idle cycles behind an event, so that the next one finds its sums written."""
        return max(0, SETTLING - self.reach) if self.single else SETTLING - 1

    @cached_property
    def complete(self) -> tuple[int, ...]:
        """For each row of the source, how many rows behind are complete before it: neither it nor a later one reaches
        them.
        """
        least = [min((place for place, _ in each), default=self.rows.size) for each in self.rows.reached]
        return tuple(min(least[row:]) for row in range(len(least)))

    @property
    def open_rows(self) -> int:
        """The most rows behind that events have reached and that are not complete, at any time of a tick.

        A kernel of three rows reaches rows y - 1 to y + 1 from row y, and the rows before those are complete.
        """
        most = np.maximum.accumulate([max((place for place, _ in each), default=0) for each in self.rows.reached])
        return max(1, *(int(far) + 1 - done for far, done in zip(most, self.complete, strict=True)))

    @property
    def hold(self) -> int:
        """Idle cycles between the taps of an event, where two of them can reach the same place."""
        return max(0, SETTLING - self.reach) if self.rows.repeats or self.columns.repeats else 0
