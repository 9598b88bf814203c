"""Whole ranges of a chain's candidates, by vectors: the way to look at all of a space of a hundred million.

The last layers of a chain are worked out once for each state that can enter them. For each combination of the layers
before them, its candidates then take one comparison of vectors for each sum. With 3 choices in each of 17 layers, the
last 11 have 177,147 combinations, and the first 6 have 729.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array
from snncompile.search.judged import Judged
from snncompile.search.layered import Layered, digits_of
from snncompile.search.space import numbers_of_candidates
from snncompile.search.terms import TIMING, Uses

MAX_TAIL = 1 << 18
"""The most combinations of the last layers, so that a vector of them stays in the processor's cache."""
MAX_KEPT = 1 << 22
"""The most of them for all states together."""


@dataclass(frozen=True)
class _Sum:
    """A sum of a rule: what it may be at most, and the bit of the rule."""

    most: int
    bit: int


@dataclass(frozen=True)
class _Tail:
    """The last layers behind one state.

    Attributes:
        reasons: the rules that their own rows break, and whether they are networks, `[combination]`.
        sums: `[sum, combination]`.
        low, high: the least and the largest of each sum, `[sum]`.
    """

    reasons: Array
    sums: Array
    low: Array
    high: Array


def judge_range(tables: Layered, numbers: range) -> Judged:
    """The reasons of candidates whose numbers follow each other."""
    split, size = _split(tables)
    sums, rules = _sums(tables), (*tables.limits.rules, *TIMING)
    heads = range(numbers.start // size, -(-numbers.stop // size))
    sizes = [step.choices for step in tables.steps]
    before_split = digits_of(numbers_of_candidates(heads), sizes[:split])
    uses, valid, states = tables.follow(before_split, tables.steps[:split], 0)
    before = _own_reasons(tables, rules, uses, valid)
    tails = {state: _tail(tables, rules, split, state, size) for state in set(states.tolist())}
    reasons = np.empty(len(numbers), before.dtype)
    for row, head in enumerate(heads):
        first, end = max(numbers.start - head * size, 0), min(numbers.stop - head * size, size)
        at = head * size - numbers.start
        _join(before[row], uses.parts.sums[row], tails[int(states[row])], sums, slice(first, end),
              reasons[at + first:at + end])
    invalid = reasons.dtype.type(1 << len(rules))
    reasons[reasons >= invalid] = invalid
    return Judged(rules, reasons)


def _split(tables: Layered) -> tuple[int, int]:
    """The first one of the last layers, and how many combinations these have."""
    split, size = len(tables.steps) - 1, tables.steps[-1].choices
    while split > 0:
        step = tables.steps[split - 1]
        states = len(step.leads) // step.choices
        if size * step.choices > MAX_TAIL or size * step.choices * states > MAX_KEPT:
            break
        split, size = split - 1, size * step.choices
    return split, size


def _sums(tables: Layered) -> list[_Sum]:
    """The sums of all rules. A rule is broken where `ceil((sum - free) / per) > limit` for one of its sums."""
    first = len(tables.limits.tops) + len(tables.limits.forbidden)
    return [_Sum(rule.limit * int(per) + int(free), 1 << first + place)
            for place, (_, _, rule) in enumerate(tables.limits.sums)
            for per, free in zip(rule.per, rule.free, strict=True)]


def _own_reasons(tables: Layered, rules: tuple[str, ...], uses: Uses, valid: Array) -> Array:
    """The rules that layers break whatever the other layers are, `[combination]`."""
    limits, (tops, counts, _) = tables.limits, uses.parts
    most = np.array([limit for _, limit in limits.tops], np.int64)
    broken = [tops > most, counts[:, :-len(TIMING)] > 0, np.zeros((len(valid), len(limits.sums)), bool),
              counts[:, -len(TIMING):] > 0]
    return Judged.of(rules, valid, np.concatenate(broken, 1)).reasons


def _tail(tables: Layered, rules: tuple[str, ...], split: int, state: int, size: int) -> _Tail:
    steps = tables.steps[split:]
    digits = digits_of(np.arange(size), [step.choices for step in steps])
    uses, valid, _ = tables.follow(digits, steps, state)
    sums = np.ascontiguousarray(uses.parts.sums.T)
    return _Tail(_own_reasons(tables, rules, uses, valid), sums, sums.min(1), sums.max(1))


def _join(reasons: Array, added: Array, tail: _Tail, sums: list[_Sum], part: slice, into: Array) -> None:
    """The reasons of the candidates that begin in one way and end with some of the tails, into an array."""
    np.bitwise_or(tail.reasons[part], reasons, out=into)
    for row, (most, bit) in enumerate((s.most, into.dtype.type(s.bit)) for s in sums):
        left = most - int(added[row])
        if tail.low[row] > left:
            into |= bit
        elif tail.high[row] > left:
            into |= np.multiply(tail.sums[row, part] > left, bit, dtype=into.dtype)
