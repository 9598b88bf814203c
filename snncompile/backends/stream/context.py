"""What printers of streaming hardware read: stages, the streams between them, and the memories inside.

A stream carries words. An event word has the index of an element, channels last, and its value; an end word closes a
tick, and says whether the tick is the last of its sample. Values that are 1 where they are not 0 take no bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from snncompile.backends.stream.neuron_unit import NeuronUnit
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
        size: the number of its elements.
        range: of its values, 0 included.
    """

    name: str
    label: str
    shape: Shape
    size: int
    range: Interval

    @property
    def index_bits(self) -> int:
        return max(1, (self.size - 1).bit_length())

    @property
    def value_bits(self) -> int:
        return 0 if self.range[0] >= 0 and self.range[1] <= 1 else bit_width(self.range)

    @property
    def bits(self) -> int:
        """The width of a word: last, end, index, value."""
        return 2 + self.index_bits + self.value_bits


@dataclass(frozen=True)
class Link:
    """A projection into a stage: each event adds a row of weights to an accumulator.

    Attributes:
        name: its identifier; label: its name for people.
        stream: what it reads.
        delay: how many ticks ago its events were sent.
        accumulator: the position of the accumulator that it adds to.
        weights: `[input, neuron]`, channels last on both sides; None for a link that brings only the ends of ticks.
    """

    name: str
    label: str
    stream: Stream
    delay: int
    accumulator: int
    weights: Array | None

    @property
    def depth(self) -> int:
        """Words that the buffer in front of the link holds.

        All elements of a tick, and its end, fit, so that its source can finish a tick whatever else the stage waits
        for; with a delay, so many ticks more.
        """
        return (self.delay + 1) * (self.stream.size + 1) if self.weights is not None else self.delay + 2


@dataclass(frozen=True)
class State:
    """A state of a population: a memory of one word a neuron.

    Attributes:
        name: its identifier; label: its name in the program.
        bits: its width, signed.
        initial: the value of each neuron at the start of a sample, channels last; one number where all are equal.
    """

    name: str
    label: str
    bits: int
    initial: int | Array


@dataclass(frozen=True)
class Stage:
    """A population as hardware.

    Attributes:
        stream: what it sends.
        links: the projections into it, in the order in which they are read in a tick. The first one has no delay, so
            that its ends of ticks say which is the last of a sample.
        accumulators: the width of each accumulator, in bits.
        unit: its neuron unit.
        states: its states.
        params: parameters that differ between neurons, by name, each `[neuron]`, channels last.
        tables: look-up tables, by name.
        lanes: how many weights are added in a cycle.
    """

    stream: Stream
    links: tuple[Link, ...]
    accumulators: tuple[int, ...]
    unit: NeuronUnit
    states: tuple[State, ...]
    params: dict[str, Array]
    tables: dict[str, Array]
    lanes: int

    @property
    def groups(self) -> int:
        """Words of an accumulator memory, each of `lanes` sums."""
        return -(-self.stream.size // self.lanes)

    @property
    def pause(self) -> int:
        """Idle cycles behind an event, so that the next one finds its sums written."""
        return max(0, SETTLING - self.groups)

    @property
    def weight_bits(self) -> int:
        return max((bit_width((int(k.weights.min(initial=0)), int(k.weights.max(initial=0))))
                    for k in self.links if k.weights is not None), default=1)

    @cached_property
    def rows(self) -> Array:
        """The words of the weight memory, `[address, lane]`: for each link, input and group."""
        parts = [np.pad(k.weights, ((0, 0), (0, self.groups * self.lanes - self.stream.size))).reshape(-1, self.lanes)
                 for k in self.links if k.weights is not None]
        return np.concatenate(parts) if parts else np.zeros((1, self.lanes), np.int64)

    @property
    def bases(self) -> tuple[int, ...]:
        """The address of the first word of each link."""
        counts = [0 if k.weights is None else len(k.weights) * self.groups for k in self.links]
        return tuple(int(n) for n in np.cumsum([0, *counts])[:-1])


@dataclass(frozen=True)
class Port:
    """An input or output of the hardware: the stream that it carries."""

    name: str
    label: str
    stream: Stream


@dataclass(frozen=True)
class Hardware:
    """A network as hardware.

    Attributes:
        name: an identifier.
        inputs, outputs: in the order of the graph.
        stages: its populations.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    stages: tuple[Stage, ...]
