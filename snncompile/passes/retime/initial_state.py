"""Earlier initial states, from which a population that acts some ticks late comes to its own initial state by itself.

A membrane that starts at 3 and gets a bias of 1 in every tick, in a population that is two ticks late, starts at 1
instead: after two ticks without input it is 3, and the first input arrives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from snncompile.ir.expr import evaluate
from snncompile.ir.operations import bit_width, width
from snncompile.ir.populations import IntState, Population
from snncompile.ir.types import Array, Shape

States = Mapping[str, Array]


def with_earlier_initial_state(op: Population, shape: Shape, ticks: int, most_bits: int) -> Population | None:
    """The population with an initial state from which it comes to its own initial state by itself.

    It takes `ticks` ticks without input for that, and emits nothing in them. They are undone one at a time, for the one
    state that changes without input. The next value of that state grows with the value before, as long as the neuron
    does not fire, so that bisection finds the value before. The result is checked by running the population.

    Args:
        most_bits: the width that an initial state may have at most.

    Returns:
        None where there is no such initial state, or where more than one state changes.
    """
    first = {n: np.broadcast_to(np.asarray(s.initial, np.int64), shape) for n, s in op.states.items()}
    after = _tick(op, first)[1] if first else {}
    changing = [n for n, v in after.items() if not np.array_equal(v, first[n])]
    # A state that ends a tick where it began may have reached its threshold and been reset.
    for name in (changing or list(first)) if len(changing) < 2 else []:
        back: States = first
        for _ in range(ticks):
            back = {**back, name: _before(op, back, name, most_bits)}
        if _arrives(op, back, first, ticks):
            return _starting(op, name, back[name])
    return None


def _starting(op: Population, name: str, values: Array) -> Population:
    """The population with other initial values of one state."""
    state = op.states[name]
    bits = max(state.bits, bit_width((int(values.min()), int(values.max()))))
    return dataclasses.replace(op, states={**op.states, name: IntState(bits, values)})


def _tick(op: Population, states: States) -> tuple[Array, dict[str, Array]]:
    """What a tick without input emits, and the states after it."""
    return evaluate(op.program, op.params, states, np.zeros_like(next(iter(states.values()))))


def _before(op: Population, states: States, name: str, bits: int) -> Array:
    """The smallest value of a state that fires, or that is no less after a tick than the state is now."""
    low, high = (np.full(states[name].shape, end) for end in width(bits))
    while np.any(low < high):
        middle = (low + high) >> 1
        fires, after = _tick(op, {**states, name: middle})
        enough = (fires != 0) | (after[name] >= states[name])
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    return high


def _arrives(op: Population, states: States, first: States, ticks: int) -> bool:
    """Whether the population comes from these states to its first ones in so many ticks, and emits nothing in them."""
    for _ in range(ticks):
        fires, states = _tick(op, states)
        if fires.any():
            return False
    return all(np.array_equal(v, states[n]) for n, v in first.items())
