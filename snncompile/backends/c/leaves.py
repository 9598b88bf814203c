"""What one population's update reads: its sums, states, parameters and tables, as C expressions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from snncompile.backends.c.context import Accumulator, StateArray
from snncompile.backends.c.expressions import literal
from snncompile.backends.c.kernels import Data
from snncompile.backends.c.layout import (
    accumulator_type,
    as_image,
    c_type,
    channels_last,
    is_plain,
    narrow,
    per_channel,
)
from snncompile.backends.names import identifiers
from snncompile.ir.expr import Step
from snncompile.ir.populations import Population
from snncompile.ir.types import Shape

MAX_LANES = 256


@dataclass
class Leaves:
    """Prints the leaves of a population's program, and gathers the arrays they need."""

    symbol: str
    op: Population
    shape: Shape
    accumulators: list[Accumulator]
    data: list[Data] = field(default_factory=list)

    @cached_property
    def lanes(self) -> int:
        """Neurons in the update's inner loop: all, or whole places where constants differ between channels.

        Where there are few channels, their constants are repeated over several places, so that the loop is long
        enough for wide vectors.
        """
        channels, height, width = as_image(self.shape)
        constants = [a.factors.values for a in self.accumulators if a.factors] + list(self.op.params.values())
        if all(not isinstance(v, np.ndarray) or v.size == 1 or v.size == math.prod(self.shape) for v in constants):
            return math.prod(self.shape)
        return channels * max(r for r in range(1, height * width + 1)
                              if height * width % r == 0 and (r == 1 or channels * r <= MAX_LANES))

    @property
    def states(self) -> dict[str, str]:
        return identifiers(self.op.states)

    def leaf(self, step: Step) -> str:
        key = str(step.value[0] if isinstance(step.value, tuple) else step.value)
        match step.op:
            case "state":
                return f"s_{self.states[key]}[i]"
            case "lut":
                table = self._values(key, self.op.params[key])
                if all(d.name != table.name for d in self.data):
                    self.data.append(table)
                return f"{table.name}, {table.values.size}"
            case "param":
                return self._param(key)
        return self._input()

    def _input(self) -> str:
        if not self.accumulators:
            return "0"
        low, high = 0, 0
        parts = []
        for a in self.accumulators:
            factor = f" * {self._constant(a.factors)}" if a.factors else "" if a.factor == 1 else \
                f" * {literal(a.factor or 0)}"
            values = a.factors.values if a.factors else np.asarray(a.factor)
            ends = [end * int(f) for end in (a.low, a.high) for f in (values.min(), values.max())]
            low, high = low + min(0, *ends), high + max(0, *ends)
            parts.append(f"{a.name}[i]{factor}")
        kind = accumulator_type(low, high)
        return " + ".join(p if kind == "int16_t" else f"({kind}){p}" for p in parts)

    def _constant(self, data: Data) -> str:
        """The element of an array of constants that belongs to neuron i, lane c."""
        channels = as_image(self.shape)[0]
        if data.values.size == math.prod(self.shape) != self.lanes:
            index = "i"
        else:
            index = "c"
            data = Data(data.name, np.tile(data.values, self.lanes // channels) if data.values.size == channels
                        else data.values)
        if all(d.name != data.name for d in self.data):
            self.data.append(data)
        return f"{data.name}[{index}]"

    def _param(self, key: str) -> str:
        value: Any = self.op.params[key]
        if not isinstance(value, np.ndarray):
            return str(int(value))
        full = value if per_channel(value, self.shape) else np.broadcast_to(value, self.shape)
        return self._constant(self._values(key, full))

    def _values(self, key: str, value: Any) -> Data:
        """A parameter as constants, channels last."""
        values = np.asarray(value)
        if values.shape == self.shape and not is_plain(self.shape):
            values = values.reshape(-1)[channels_last(self.shape)]
        return Data(f"{self.symbol}_P_{identifiers(self.op.params)[key]}", narrow(values.reshape(-1)))

    def state(self, name: str, bits: int, initial: Any) -> StateArray:
        kind = c_type(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        own = self.states[name]
        if not isinstance(initial, np.ndarray):
            return StateArray(own, kind, bits, int(initial), None)
        values = np.broadcast_to(initial, self.shape).reshape(-1)[channels_last(self.shape)]
        data = Data(f"{self.symbol}_INITIAL_{own}", narrow(values))
        self.data.append(data)
        return StateArray(own, kind, bits, None, data)
