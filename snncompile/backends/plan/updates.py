"""The update of a population, once its sums are complete: its program with proved ranges, and what its leaves read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from snncompile.backends.names import identifiers
from snncompile.backends.plan.buffers import Buffer, Constant, Lifetime, narrow
from snncompile.backends.plan.layouts import as_image, channels_last, is_plain, per_channel
from snncompile.ir.expr import Program, Step
from snncompile.ir.operations import Interval, width
from snncompile.ir.populations import Population
from snncompile.ir.types import Shape

MAX_LANES = 256
"""Neurons of an inner loop up to which the constants of few channels are repeated, so that it suits wide vectors."""


@dataclass(frozen=True)
class Accumulator:
    """Sums of synaptic input that share a multiplier: a number, or one for each channel or neuron."""

    buffer: Buffer
    factor: int | None
    factors: Constant | None

    @property
    def range(self) -> Interval:
        """What the sum times its multiplier can be; always holds 0."""
        values = self.factors.values if self.factors else np.asarray(self.factor)
        ends = [end * int(f) for end in self.buffer.range for f in (values.min(), values.max())]
        return min(0, *ends), max(0, *ends)


@dataclass(frozen=True)
class StateBuffer:
    """A state of a population: one integer a neuron, its width, and where it starts: a number or one a neuron."""

    buffer: Buffer
    bits: int
    initial: int | None
    initials: Constant | None


@dataclass(frozen=True)
class Operand:
    """A constant that an update reads: one number, a table, or the entry of a neuron or of a lane of the inner loop."""

    number: int | None = None
    constant: Constant | None = None
    index: Literal["neuron", "lane", "table"] = "lane"


@dataclass(frozen=True)
class Update:
    """What happens to the neurons of one population in a tick.

    Attributes:
        name: the population's identifier, which begins the names of its constants.
        op: the population. `shape`: of its neurons.
        accumulators: the sums that its program reads together as its input.
        ranges: of every step of the program, proved.
    """

    name: str
    op: Population
    shape: Shape
    accumulators: tuple[Accumulator, ...]
    ranges: tuple[Interval, ...]

    @property
    def program(self) -> Program:
        return self.op.program

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @cached_property
    def lanes(self) -> int:
        """Neurons in the update's inner loop: all, or whole places where constants differ between channels.

        Where there are few channels, their constants are repeated over several places: 4 channels of 8 x 8 places give
        256 lanes, which is 64 places at once.
        """
        channels, height, width_ = as_image(self.shape)
        arrays = [a.factors.values for a in self.accumulators if a.factors] + list(self.op.params.values())
        if all(not isinstance(v, np.ndarray) or v.size in (1, self.size) for v in arrays):
            return self.size
        return channels * max(r for r in range(1, height * width_ + 1)
                              if height * width_ % r == 0 and (r == 1 or channels * r <= MAX_LANES))

    @cached_property
    def states(self) -> tuple[StateBuffer, ...]:
        return tuple(self._state(name) for name in self.op.states)

    @cached_property
    def state_names(self) -> dict[str, str]:
        """The identifier of each state."""
        return identifiers(self.op.states)

    def _state(self, name: str) -> StateBuffer:
        state, own = self.op.states[name], self.state_names[name]
        buffer = Buffer(own, self.name, self.size, *width(state.bits), Lifetime.STATE)
        if not isinstance(state.initial, np.ndarray):
            return StateBuffer(buffer, state.bits, int(state.initial), None)
        values = np.broadcast_to(state.initial, self.shape).reshape(-1)[channels_last(self.shape)]
        return StateBuffer(buffer, state.bits, None, Constant(f"{self.name}_INITIAL_{own}", narrow(values)))

    @cached_property
    def input_range(self) -> Interval:
        """What the sums, each times its multiplier, add up to, partial sums included."""
        ranges = [a.range for a in self.accumulators]
        return sum(low for low, _ in ranges), sum(high for _, high in ranges)

    @cached_property
    def factors(self) -> tuple[Operand, ...]:
        """The multiplier of each accumulator, as the update reads it."""
        return tuple(self._entry(a.factors) if a.factors else Operand(a.factor) for a in self.accumulators)

    @cached_property
    def operands(self) -> Mapping[Step, Operand]:
        """What the `param` and `lut` steps of the program read."""
        return {step: self._table(step) if step.op == "lut" else self._param(str(step.value))
                for step in self.program.steps if step.op in ("param", "lut")}

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """All constants that the update reads, and first states, each once, in the order of their use."""
        found = {c.name: c for c in self._constants()}
        return tuple(found.values())

    def _constants(self) -> Iterator[Constant]:
        for step in self.program.steps:
            operands = self.factors if step.op == "input" else (
                [self.operands[step]] if step in self.operands else [])
            yield from (o.constant for o in operands if o.constant is not None)
        yield from (s.initials for s in self.states if s.initials is not None)

    def _param(self, key: str) -> Operand:
        value: Any = self.op.params[key]
        if not isinstance(value, np.ndarray):
            return Operand(int(value))
        full = value if per_channel(value, self.shape) else np.broadcast_to(value, self.shape)
        return self._entry(self._values(key, full))

    def _table(self, step: Step) -> Operand:
        value: Any = step.value
        return Operand(constant=self._values(value[0], self.op.params[value[0]]), index="table")

    def _entry(self, constant: Constant) -> Operand:
        """An array of constants that is read at each neuron, or at each lane of the inner loop."""
        channels = as_image(self.shape)[0]
        values = constant.values
        if values.size == self.size != self.lanes:
            return Operand(constant=constant, index="neuron")
        if values.size == channels:
            constant = Constant(constant.name, np.tile(values, self.lanes // channels))
        return Operand(constant=constant)

    def _values(self, key: str, value: Any) -> Constant:
        """A parameter as constants, channels last."""
        values = np.asarray(value)
        if values.shape == self.shape and not is_plain(self.shape):
            values = values.reshape(-1)[channels_last(self.shape)]
        return Constant(f"{self.name}_P_{identifiers(self.op.params)[key]}", narrow(values.reshape(-1)))
