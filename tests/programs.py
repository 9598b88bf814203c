"""Random integer programs of every operation, with the intervals of what they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.ir.expr import Program, Step, evaluate
from snncompile.ir.operations import INTEGER_OPERATIONS, ROUNDINGS, Interval, arity
from snncompile.ir.ranges import intervals
from snncompile.ir.types import Array

LARGEST = 1 << 50
NEURONS = 6


@dataclass(frozen=True)
class Case:
    """A program, its parameters, and what its states `a` and `b` and its input can be."""

    program: Program
    params: Mapping[str, Any]
    states: Mapping[str, Interval]
    x: Interval

    @property
    def ranges(self) -> tuple[Interval, ...]:
        return intervals(self.program, self.params, self.states, self.x)

    def samples(self, seed: int, count: int) -> tuple[Array, dict[str, Array]]:
        """Input and states `[count, NEURONS]` inside their intervals, the ends among them."""
        rng = np.random.default_rng(seed)
        found = [_draw(rng, i, (count, NEURONS)) for i in (self.x, *self.states.values())]
        return found[0], dict(zip(self.states, found[1:], strict=True))

    def values(self, x: Array, states: Mapping[str, Array]) -> list[Array]:
        """What every step gives."""
        return [evaluate(Program(self.program.steps, i, ()), self.params, states, x)[0]
                for i in range(len(self.program.steps))]


def _draw(rng: np.random.Generator, interval: Interval, shape: tuple[int, ...]) -> Array:
    low, high = interval
    drawn = rng.integers(low, high, shape, endpoint=True)
    ends = np.clip(rng.choice([low, high, 0, -1, 1, low + 1, high - 1], shape), low, high)
    return np.where(rng.random(shape) < 0.5, ends, drawn)


def _interval(rng: np.random.Generator) -> Interval:
    """Around zero or away from it, of any width up to 40 bits."""
    size = 1 << int(rng.integers(1, 41 if rng.random() < 0.3 else 18))
    low, high = sorted(int(v) for v in rng.integers(-size, size, 2))
    return (0, high) if high > 0 and rng.random() < 0.3 else (low, high)


def random_program(seed: int, steps: int = 12) -> Case:
    """A program whose every step stays below 2**50, by its intervals."""
    rng = np.random.default_rng(seed)
    states = {"a": _interval(rng), "b": _interval(rng)}
    x = _interval(rng)
    params = {"one": int(rng.integers(-300, 300)), "each": rng.integers(-40000, 40000, NEURONS),
              "table": rng.integers(-(1 << 20), 1 << 20, int(rng.integers(1, 40)))}
    found = [Step("input"), Step("state", (), "a"), Step("state", (), "b"), Step("param", (), "one"),
             Step("param", (), "each"), Step("const", (), int(rng.choice([0, 1, -1, 7, -4096, 1 << 33, -(1 << 31)])))]
    while len(found) < 6 + steps:
        new = _step(rng, found)
        grown = intervals(Program((*found, *new), 0, ()), params, states, x)
        if all(max(-low, high) < LARGEST for low, high in grown):
            found += new
    return Case(Program(tuple(found), len(found) - 1, ()), params, states, x)


def _step(rng: np.random.Generator, before: list[Step]) -> list[Step]:
    """A random operation on earlier steps; what divides is made positive first."""
    op = str(rng.choice(INTEGER_OPERATIONS))
    args = [int(a) for a in rng.integers(0, len(before), arity(op))]
    if op == "floordiv":
        n = len(before)
        return [Step("const", (), 1), Step("max", (args[1], n)), Step(op, (args[0], n + 1))]
    value: Any = None
    if op == "shr":
        value = (int(rng.integers(0, 41)), ROUNDINGS[rng.integers(3)])
    elif op == "wrap":
        value = int(rng.integers(1, 50))
    elif op == "lut":
        value = ("table", int(rng.integers(-1000, 1000)), int(rng.integers(0, 12)))
    return [Step(op, tuple(args), value)]
