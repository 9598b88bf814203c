"""The update of a population in a tick: its integer program with proved ranges, and the constants that it reads."""

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
"""The longest inner loop, in neurons, for which constants of channels are repeated. A loop suits wide vector registers
better the longer it is, and repeated constants take memory."""


@dataclass(frozen=True)
class Accumulator:
    """Synaptic sums of a population, one for each neuron, that are multiplied by the same factor.

    Attributes:
        buffer: the sums, before they are multiplied.
        factor: the factor of all neurons; None where it differs between them.
        factors: a factor for each channel or each neuron, in the order of the buffer; None where there is one number.
    """

    buffer: Buffer
    factor: int | None
    factors: Constant | None

    @property
    def range(self) -> Interval:
        """The range of a sum times its factor; it always holds 0."""
        values = self.factors.values if self.factors else np.asarray(self.factor)
        ends = [end * int(f) for end in self.buffer.range for f in (values.min(), values.max())]
        return min(0, *ends), max(0, *ends)


@dataclass(frozen=True)
class StateBuffer:
    """A state of a population, one integer for each neuron.

    Attributes:
        buffer: the state of each neuron, from one tick to the next.
        bits: the width of the state as a signed integer.
        initial: the value of all neurons after a reset; None where it differs between them.
        initials: the value of each neuron after a reset, in the order of the buffer; None where there is one number.
    """

    buffer: Buffer
    bits: int
    initial: int | None
    initials: Constant | None


@dataclass(frozen=True)
class Operand:
    """A constant that an update reads.

    Attributes:
        number: the value for all neurons; None where `constant` holds it.
        constant: the values, in the order in which the update walks through them.
        index: which entry of `constant` a neuron reads. "neuron": the entry of the neuron's number. "lane": that of its
            position in the inner loop (see `Update.lanes`). "table": the whole table is read by look-ups.
    """

    number: int | None = None
    constant: Constant | None = None
    index: Literal["neuron", "lane", "table"] = "lane"


@dataclass(frozen=True)
class Update:
    """What is computed for each neuron of one population in a tick, when its synaptic sums are complete.

    For neuron `i` the `input` of the program is the sum over all accumulators of `buffer[i]` times its factor. The
    program's steps are computed in their order; then the states are overwritten by `program.next_state`, and the neuron
    emits step `program.output`.

    Attributes:
        name: the population's identifier, with which the names of its constants begin.
        op: the population with its integer program, parameters and states.
        shape: of its neurons, `[channel, *space]`.
        accumulators: its synaptic sums; empty for a population without projections, whose input is 0.
        ranges: the proved range of each step of `program`, which a temporary of that step must hold.
        max_lanes: the longest inner loop for which constants of channels are repeated.
    """

    name: str
    op: Population
    shape: Shape
    accumulators: tuple[Accumulator, ...]
    ranges: tuple[Interval, ...]
    max_lanes: int = MAX_LANES

    @property
    def scalar(self) -> bool:
        """Whether it is for a processor without vector registers, for which no constant is repeated."""
        return self.max_lanes == 0

    @property
    def program(self) -> Program:
        """The integer program of one neuron; see `ir.operations` for what each operation computes."""
        return self.op.program

    @property
    def size(self) -> int:
        """The number of neurons."""
        return math.prod(self.shape)

    @cached_property
    def lanes(self) -> int:
        """Neurons in the inner loop of the update, a divisor of `size`: neuron `i` is lane `i % lanes`.

        Where no constant differs between channels, these are all neurons. Otherwise they are whole places, so that the
        constants of a lane are the same in each round of the loop. Constants of few channels are repeated over several
        places, up to `max_lanes` neurons: 4 channels of 8 x 8 places give 256 lanes, which is all 64 places.
        """
        channels, height, width_ = as_image(self.shape)
        arrays = [a.factors.values for a in self.accumulators if a.factors] + list(self.op.params.values())
        if all(not isinstance(v, np.ndarray) or v.size in (1, self.size) for v in arrays):
            return self.size
        return channels * max(r for r in range(1, height * width_ + 1)
                              if height * width_ % r == 0 and (r == 1 or channels * r <= self.max_lanes))

    @cached_property
    def states(self) -> tuple[StateBuffer, ...]:
        """The states in the order of the population."""
        return tuple(self._state(name) for name in self.op.states)

    @cached_property
    def state_names(self) -> dict[str, str]:
        """The identifier of each state, which is the name of its buffer, by its name in the program."""
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
        """The range of the sum of all accumulators times their factors, partial sums included."""
        ranges = [a.range for a in self.accumulators]
        return sum(low for low, _ in ranges), sum(high for _, high in ranges)

    @cached_property
    def factors(self) -> tuple[Operand, ...]:
        """The factor of each accumulator, as the update reads it."""
        return tuple(self._indexed(a.factors) if a.factors else Operand(a.factor) for a in self.accumulators)

    @cached_property
    def operands(self) -> Mapping[Step, Operand]:
        """What each `param` and `lut` step of the program reads, by step."""
        return {step: self._table(step) if step.op == "lut" else self._param(str(step.value))
                for step in self.program.steps if step.op in ("param", "lut")}

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """The constants that the update reads, then those of first states; each once, in the order of their use."""
        by_name = {c.name: c for c in self._constants()}
        return tuple(by_name.values())

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
        return self._indexed(self._values(key, full))

    def _table(self, step: Step) -> Operand:
        value: Any = step.value
        return Operand(constant=self._values(value[0], self.op.params[value[0]]), index="table")

    def _indexed(self, constant: Constant) -> Operand:
        """A constant of one value for each neuron or channel, as it is read: by neuron, or by lane."""
        channels = as_image(self.shape)[0]
        values = constant.values
        if values.size == self.size != self.lanes:
            return Operand(constant=constant, index="neuron")
        if values.size == channels:
            constant = Constant(constant.name, np.tile(values, self.lanes // channels))
        return Operand(constant=constant)

    def _values(self, key: str, value: Any) -> Constant:
        """A parameter as a constant in the order of the buffers, channels last."""
        values = np.asarray(value)
        if values.shape == self.shape and not is_plain(self.shape):
            values = values.reshape(-1)[channels_last(self.shape)]
        return Constant(f"{self.name}_P_{identifiers(self.op.params)[key]}", narrow(values.reshape(-1)))
