"""Loihi's neuron in integers: current-based leaky integrate and fire with a reset to 0.

The order of operations, the shifts and the roundings are those of Lava's bit-accurate LIF (lava-nc 0.10.0,
`lava/proc/lif/models.py`), and of NetX files. One tick, with the synaptic current `u` and the membrane `v`:

    u' = keep(u, current_decay) + (x << 6)      wraps where it leaves 24 bits
    v' = keep(v, voltage_decay) + u' + bias     saturates where it leaves 24 bits
    spike = v' > (threshold << 6)               and v' becomes 0

where `keep(a, d)` is `a (4096 - d) / 4096`, rounded toward zero. Lava's register `du` is `current_decay - 1`. The
widths of the registers differ between chips, and are figures of the targets (`targets.sections.Registers`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncompile.ir.expr import Expr, Operand, as_expr, clip, flatten, maximum, select
from snncompile.ir.populations import IntState, Population
from snncompile.ir.rules import BIAS, THRESHOLD
from snncompile.ir.types import Array

DECAY_BITS = 12
"""A decay is a whole number of parts of 1 / 2**12."""
NO_MEMORY = 1 << DECAY_BITS
"""The decay with which nothing is kept from one tick to the next."""
INPUT_SHIFT = 6
"""The step of a weight or threshold is 2**6 steps of a current or membrane."""
STATE_BITS = 24
"""The width of currents and membranes in bits, the sign included."""
MAX_STATE = (1 << (STATE_BITS - 1)) - 1
"""The largest membrane; the least one is its negative."""
LOIHI = "loihi"
"""The name of the rule of these populations. `library.RULES` does not have it, since it exists in integers only."""


@dataclass(frozen=True)
class Periodic:
    """A reset of all states at the start of the ticks `phase`, `phase + interval`, ... (Lava's LIFReset)."""

    interval: int
    phase: int = 0


@dataclass(frozen=True)
class LoihiLif:
    """The registers of a population: numbers, or arrays that broadcast against its shape.

    Attributes:
        threshold: the mantissa of the threshold; a neuron fires where its membrane exceeds `threshold << 6`. None for
            neurons that never fire, and emit their membrane instead (the readout of NetX).
        current_decay, voltage_decay: the share of the state that is lost in a tick, in parts of 1/4096: 0 for nothing,
            4096 for everything.
        bias: the value that is added to the membrane in every tick: the mantissa of the register, shifted left by its
            exponent.
        resets: the ticks in which all states return to 0 besides the resets by spikes; None for no such ticks.
    """

    threshold: int | Array | None
    current_decay: int | Array = NO_MEMORY
    voltage_decay: int | Array = 0
    bias: int | Array = 0
    resets: Periodic | None = None

    def population(self) -> Population:
        """The integer population whose program computes a tick of neurons with these registers; its unit is 1."""
        registers = _Registers()
        nexts: dict[str, Expr] = {}
        states: dict[str, IntState] = {}
        due = None
        if self.resets:
            due, nexts["ticks_left"] = _countdown(self.resets)
            bits = max(self.resets.interval, self.resets.phase).bit_length() + 1
            states["ticks_left"] = IntState(bits, self.resets.phase)
        before = registers.kept("u", self.current_decay, due)
        driven = Expr("input") * (1 << INPUT_SHIFT)
        u = wrapped(driven if before is None else before + driven)
        if before is not None:
            nexts["u"], states["u"] = u, IntState(STATE_BITS + 1)
        before = registers.kept("v", self.voltage_decay, due)
        v = u if before is None else before + u
        v = v + registers.named(BIAS, self.bias) if np.any(np.asarray(self.bias)) else v
        v = clip(v, -MAX_STATE, MAX_STATE)
        states["v"] = IntState(STATE_BITS)
        if self.threshold is None:
            nexts["v"] = v
            return Population(flatten(v, nexts), registers.values, states, output_low=-MAX_STATE, output_high=MAX_STATE,
                              graded=True, rule=LOIHI)
        spike = v > registers.named(THRESHOLD, np.asarray(self.threshold, np.int64) << INPUT_SHIFT)
        nexts["v"] = select(spike, 0, v)
        return Population(flatten(spike, nexts), registers.values, states, rule=LOIHI)


def kept(value: Expr, share: Operand) -> Expr:
    """`value * share / 4096`, rounded toward zero."""
    return Expr("shr", (value * share,), (DECAY_BITS, "zero"))


def wrapped(u: Expr) -> Expr:
    """A current that wraps into its 24 bits: from -2**23 + 1 to 2**23.

    Lava adds or subtracts 2**24 at most once a tick, so that in Lava a sum of magnitude above 3 * 2**23 stays outside
    of the range. The registers of Loihi cannot hold such a value; here every sum is wrapped into the range.
    """
    return Expr("wrap", (u - 1,), STATE_BITS) + 1


def _countdown(resets: Periodic) -> tuple[Expr, Expr]:
    """Whether a reset is due in this tick, and the number of ticks from the next tick to the next reset."""
    left = Expr("state", (), "ticks_left")
    due = as_expr(0) >= left
    return due, select(due, resets.interval - 1, maximum(left - 1, 0))


@dataclass
class _Registers:
    """The integer parameters of a program, int64 arrays by name, gathered while the program is built."""

    values: dict[str, Any] = field(default_factory=dict)

    def named(self, name: str, value: int | Array) -> Expr:
        """Add a parameter, and return the expression that reads it."""
        self.values[name] = np.asarray(value, np.int64)
        return Expr("param", (), name)

    def kept(self, state: str, decay: int | Array, due: Expr | None) -> Expr | None:
        """What the decay leaves of a state, 0 in the tick of a reset (`due`); None where it never leaves anything."""
        if np.all(np.asarray(decay) == NO_MEMORY):
            return None
        before = Expr("state", (), state)
        before = before if due is None else select(due, 0, before)
        if not np.any(np.asarray(decay)):
            return before
        return kept(before, self.named(f"keep_{state}", NO_MEMORY - np.asarray(decay, np.int64)))
