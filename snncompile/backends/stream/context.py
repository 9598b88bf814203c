"""What printers of streaming hardware read: stages and the memories inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from snncompile.backends.names import comment
from snncompile.backends.stream.links import SETTLING, Link, Stream, bits_below
from snncompile.backends.stream.memory import DISTRIBUTED, XC7, MemoryUse, differing_bits
from snncompile.backends.stream.scatter import Axis
from snncompile.backends.stream.wires import NeuronUnit
from snncompile.ir.op import Op
from snncompile.ir.operations import bit_width, extent
from snncompile.ir.types import Array
from snncompile.targets.sections import Fabric

SMALL_MEMORY = 4096
"""The words of a weight memory whose rows are padded to a power of two of groups."""


@dataclass(frozen=True)
class Fold:
    """How much of a population is computed in a clock cycle.

    Attributes:
        lanes: how many weights are added.
        units: how many neurons are updated: a power of two that divides the lanes.
        queue: how many words can wait in front of it where a register, which is 1, would do.
        lines: whether it keeps the sums of a few rows only, and updates a row as soon as nothing more can reach it.
        memory: what its memories become: `BLOCK` or `DISTRIBUTED`; None for what suits their sizes.
    """

    lanes: int = 1
    units: int = 1
    queue: int = 1
    lines: bool = False
    memory: str | None = None

    @property
    def options(self) -> dict[str, Any]:
        """The options of a layer that ask for it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


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
    def can_line(self) -> bool:
        """Whether rows become complete in the course of a tick, of one projection that has no delay.

        Where sums may have to be kept for the next tick, all are.
        """
        link, *others = self.links
        return (not others and link.words is not None and not link.delay and not self.stands
                and link.rows.size == self.stream.image[1] > self._open_rows)

    @property
    def lines(self) -> bool:
        """Whether it keeps sums of the rows only that are not complete."""
        return self.fold.lines and self.can_line

    @property
    def kept_rows(self) -> int:
        """The rows whose sums have a place in memory."""
        return self._open_rows if self.lines else self.stream.image[1]

    @property
    def _open_rows(self) -> int:
        """Rows of sums that are enough: one that is swept is cleared before its place is read for a later row."""
        return max(self.links[0].open_rows, -(-SETTLING // self.row_groups))

    def rows_of(self, link: Link) -> Axis:
        """The rows of sums that the rows of the source of a link reach."""
        return link.rows.wrapped(self.kept_rows)

    @property
    def row_steps(self) -> int:
        """Steps of a sweep for each row."""
        return self.stream.image[2] * self.place_steps

    @property
    def row_groups(self) -> int:
        """Groups of a row."""
        return self.stream.image[2] * self.place_groups

    @property
    def stands(self) -> bool:
        """Whether it keeps its sums for the next tick where that has the same events."""
        return self.relayed is None and self.links[0].stream.stands

    @property
    def place_steps(self) -> int:
        """Steps of a sweep for each place."""
        return -(-self.stream.image[0] // self.units)

    @property
    def steps(self) -> int:
        """Steps of a sweep."""
        return self.stream.image[1] * self.row_steps

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
        return self.kept_rows * self.row_groups

    @property
    def constants(self) -> dict[str, tuple[Array, int]]:
        """What a sweep reads beside sums and states, and the bits of a value, by name.

        These are parameters, and where rows are swept before the end of a tick says whether the sample ends, the first
        values of states.
        """
        first = {f"FIRST_{s.name}": (s.initial, s.bits) for s in self.states if isinstance(s.initial, np.ndarray)}
        return {**{n: (v, bit_width(extent(v))) for n, v in self.params.items()}, **(first if self.lines else {})}

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
        if self.fold.memory == DISTRIBUTED:
            return self.weight_words
        return next((depth for width, depth in shapes if width >= self.lanes * self.weight_bits), shapes[-1][1])

    @property
    def banks(self) -> int:
        return -(-self.weight_words // self.bank_words)

    @cached_property
    def memories(self) -> tuple[MemoryUse, ...]:
        """The memories that are read behind a register, but for tables of its units."""
        deep = self.bank_words if self.banks > 1 else self.weight_words
        wanted = self.fold.memory
        weights = MemoryUse("weights", self.lanes * self.weight_bits, deep, tuple(
            differing_bits(self.stored[n * deep:(n + 1) * deep], self.weight_bits) for n in range(self.banks)), wanted)
        sums = (MemoryUse(f"sums{i}", self.lanes * bits, self.groups, wanted=wanted)
                for i, bits in enumerate(self.accumulators))
        states = (MemoryUse(f"kept_{s.name}", self.units * s.bits, self.steps, wanted=wanted) for s in self.states)
        constants = (MemoryUse(f"all_{n}", self.units * bits, self.steps, (differing_bits(self.by_step(v), bits),),
                               wanted) for n, (v, bits) in self.constants.items())
        return (weights, *sums, *states, *constants)

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
