"""First membranes set back, so that what a neuron does by itself carries them to where they are to start."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from snncompile.ir.expr import evaluate
from snncompile.ir.operations import bit_width, width
from snncompile.ir.populations import IntState, Population
from snncompile.ir.types import Array, Shape

States = Mapping[str, Array]


def rewound(op: Population, shape: Shape, ticks: int, most_bits: int) -> Population | None:
    """The population with a first state from which, silently and without input, it comes to its own in some ticks.

    A bias and a leak are undone one tick at a time, for the one state that does not stay as it is: its next value
    grows with it as far as the neuron does not fire, so that the value before is found by bisection.

    Args:
        most_bits: width of the widest state that may be used.

    Returns:
        None where there is no such state, or more than one state changes.
    """
    first = {n: np.broadcast_to(np.asarray(s.initial, np.int64), shape) for n, s in op.states.items()}
    after = _tick(op, first)[1] if first else {}
    changing = [n for n, v in after.items() if not np.array_equal(v, first[n])]
    # A state that does not change may be one that reaches its threshold and returns.
    for name in (changing or list(first)) if len(changing) < 2 else []:
        back: States = first
        for _ in range(ticks):
            back = {**back, name: _before(op, back, name, most_bits)}
        if _arrives(op, back, first, ticks):
            return _starting(op, name, back[name])
    return None


def _starting(op: Population, name: str, values: Array) -> Population:
    state = op.states[name]
    bits = max(state.bits, bit_width((int(values.min()), int(values.max()))))
    return dataclasses.replace(op, states={**op.states, name: IntState(bits, values)})


def _tick(op: Population, states: States) -> tuple[Array, dict[str, Array]]:
    return evaluate(op.program, op.params, states, np.zeros_like(next(iter(states.values()))))


def _before(op: Population, states: States, name: str, bits: int) -> Array:
    """The smallest value of a state that fires, or after a tick is no less than it is now."""
    low, high = (np.full(states[name].shape, end) for end in width(bits))
    while np.any(low < high):
        middle = (low + high) >> 1
        fires, after = _tick(op, {**states, name: middle})
        enough = (fires != 0) | (after[name] >= states[name])
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    return high


def _arrives(op: Population, states: States, first: States, ticks: int) -> bool:
    """Whether the population comes from these states to its first ones, and emits nothing on the way."""
    for _ in range(ticks):
        fires, states = _tick(op, states)
        if fires.any():
            return False
    return all(np.array_equal(v, states[n]) for n, v in first.items())
