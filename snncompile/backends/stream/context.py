"""What printers of streaming hardware read: stages, the streams between them, and the memories inside.

A stream carries words. An event word has the index of an element, channels last, and its value; an end word closes a
tick, and says whether the tick is the last of its sample. Values that are 1 where they are not 0 take no bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from snncompile.backends.names import comment
from snncompile.backends.plan.layouts import as_image
from snncompile.backends.stream.memory import XC7, MemoryUse, differing_bits
from snncompile.backends.stream.scatter import Axis
from snncompile.backends.stream.wires import NeuronUnit
from snncompile.ir.op import Op
from snncompile.ir.operations import Interval, bit_width, extent
from snncompile.ir.types import Array, Shape
from snncompile.targets.sections import Fabric

SMALL_MEMORY = 4096
"""The words of a weight memory whose rows are padded to a power of two of groups."""
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
    """

    name: str
    label: str
    shape: Shape
    range: Interval
    whole: bool = False

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

    @property
    def hold(self) -> int:
        """Idle cycles between the taps of an event, where two of them can reach the same place."""
        return max(0, SETTLING - self.reach) if self.rows.repeats or self.columns.repeats else 0


@dataclass(frozen=True)
class Fold:
    """How much of a population is computed in a clock cycle.

    Attributes:
        lanes: how many weights are added.
        units: how many neurons are updated: a power of two that divides the lanes.
        queue: how many words can wait in front of it where a register, which is 1, would do.
    """

    lanes: int = 1
    units: int = 1
    queue: int = 1


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
    """A population, or an operator that needs complete sums, as hardware.

    Sums lie in groups of `lanes` channels of a place; the last group of a place may have lanes to spare. A sweep takes
    one step for `units` neurons of a group.

    Attributes:
        stream: what it sends.
        links: the projections into it, in the order in which they are read in a tick. The first one has no delay, so
            that its ends of ticks say which is the last of a sample.
        accumulators: the width of each accumulator, in bits.
        unit: its neuron unit.
        states: its states.
        params: parameters that differ between neurons, by name, each `[neuron]`, channels last.
        tables: look-up tables, by name.
        fold: how many weights are added, and how many neurons are updated, in a cycle.
        floor: where the largest value is kept and not the sum, the number that none is below; None for sums.
        relayed: the operators between what it reads and what it sends, where it is no population; else None.
        fabric: the FPGA, by which memories are chosen.
    """

    stream: Stream
    links: tuple[Link, ...]
    accumulators: tuple[int, ...]
    unit: NeuronUnit
    states: tuple[State, ...] = ()
    params: Mapping[str, Array] = field(default_factory=dict)
    tables: Mapping[str, Array] = field(default_factory=dict)
    fold: Fold = Fold()
    floor: int | None = None
    relayed: tuple[Op, ...] | None = None
    fabric: Fabric = XC7

    @property
    def lanes(self) -> int:
        return self.fold.lanes

    @property
    def units(self) -> int:
        return self.fold.units

    @property
    def place_steps(self) -> int:
        """Steps of a sweep for each place."""
        return -(-self.stream.image[0] // self.units)

    @property
    def steps(self) -> int:
        """Steps of a sweep."""
        return self.stream.image[1] * self.stream.image[2] * self.place_steps

    def by_step(self, values: Array) -> Array:
        """Values of neurons, channels last, as `[step, unit]`; units to spare have those of the last channel."""
        channels, rows, columns = self.stream.image
        places = np.asarray(values).reshape(rows * columns, channels)
        full = np.pad(places, ((0, 0), (0, self.place_steps * self.units - channels)), mode="edge")
        return full.reshape(self.steps, self.units)

    @property
    def comment(self) -> str:
        """Its name for people, safe in comments and pages."""
        return comment(self.stream.label)

    @property
    def place_groups(self) -> int:
        """Groups of a place."""
        return -(-self.stream.image[0] // self.lanes)

    @property
    def groups(self) -> int:
        """Words of an accumulator memory, each of `lanes` sums."""
        return self.stream.image[1] * self.stream.image[2] * self.place_groups

    @cached_property
    def words(self) -> Array:
        """The words of the weight memory, `[address, lane]`, link after link."""
        parts = [k.words for k in self.links if k.words is not None]
        return np.concatenate(parts) if parts else np.zeros((1, self.lanes), np.int64)

    @cached_property
    def weight_bits(self) -> int:
        return bit_width((int(self.words.min()), int(self.words.max())))

    @property
    def joined(self) -> int:
        """The bits of a group where the address of a weight is its row and its group, one behind the other; 0 where it
        is counted, since too much memory would be lost.
        """
        link, *others = self.links
        if others or link.words is None or not link.plain or link.reach < self.groups or self.groups < 2:
            return 0
        padded = (1 << bits_below(self.groups)) / self.groups
        return bits_below(self.groups) if padded == 1 or len(self.words) * padded <= SMALL_MEMORY else 0

    @cached_property
    def stored(self) -> Array:
        """The words of the weight memory as it is stored: rows are padded where addresses are joined."""
        if not self.joined:
            return self.words
        rows = self.words.reshape(-1, self.groups, self.lanes)
        return np.pad(rows, ((0, 0), (0, (1 << self.joined) - self.groups), (0, 0))).reshape(-1, self.lanes)

    @property
    def weight_words(self) -> int:
        """The words of the weight memory as it is stored."""
        return len(self.words) // self.groups << self.joined if self.joined else len(self.words)

    @property
    def bank_words(self) -> int:
        """The words of a bank of weights: as many as a block of their width has."""
        shapes = self.fabric.bank_shapes
        return next((depth for width, depth in shapes if width >= self.lanes * self.weight_bits), shapes[-1][1])

    @property
    def banks(self) -> int:
        return -(-self.weight_words // self.bank_words)

    @cached_property
    def memories(self) -> tuple[MemoryUse, ...]:
        """The memories that are read behind a register, but for tables of its units."""
        deep = self.bank_words if self.banks > 1 else self.weight_words
        weights = MemoryUse("weights", self.lanes * self.weight_bits, deep, tuple(
            differing_bits(self.stored[n * deep:(n + 1) * deep], self.weight_bits) for n in range(self.banks)))
        sums = (MemoryUse(f"sums{i}", self.lanes * bits, self.groups) for i, bits in enumerate(self.accumulators))
        states = (MemoryUse(f"kept_{s.name}", self.units * s.bits, self.steps) for s in self.states)
        params = (MemoryUse(f"all_{n}", self.units * bit_width(extent(v)), self.steps,
                            (differing_bits(self.by_step(v), bit_width(extent(v))),)) for n, v in self.params.items())
        return (weights, *sums, *states, *params)

    @property
    def styles(self) -> dict[str, str]:
        """What each of its memories becomes, by name."""
        return {m.name: m.style(self.fabric) for m in self.memories}

    @property
    def selects(self) -> bool:
        """Whether a step of the sweep takes some of the lanes only."""
        return self.lanes > self.units

    @property
    def extra(self) -> int:
        """Registers of what a neuron keeps, until its sum is there too."""
        return self.selects + (self.banks > 1)

    @property
    def latency(self) -> int:
        """Clock cycles from the issue of a neuron to what it emits."""
        return self.unit.levels + 1 + self.extra

    @property
    def bases(self) -> tuple[int, ...]:
        """The address of the first word of each link."""
        counts = [0 if k.words is None else len(k.words) for k in self.links]
        return tuple(int(n) for n in np.cumsum([0, *counts])[:-1])
