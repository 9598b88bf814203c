"""Allocation: one width for each population, so that what they cost together is least: a small integer programme.

Two layers of 1000 weights, and 9000 bits for both. Four bits change 1 % of the outputs in the first layer and 20 % in
the second, two bits 9 % and 60 %; six bits change nothing. Four bits for both would take 8000 bits and cost 21 %. Two
and six bits take 8000 bits too, and cost 9 %:

>>> first = [Choice("a", "weight_bits", width, 1000 * width, cost) for width, cost in ((6, 0), (4, 0.01), (2, 0.09))]
>>> second = [Choice("b", "weight_bits", width, 1000 * width, cost) for width, cost in ((6, 0), (4, 0.20), (2, 0.60))]
>>> [choice.width for choice in cheapest([first, second], {("weight_bits",): 9000})]
[2, 6]
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

TIE = 1e-6
"""What the whole memory counts beside costs, so that of equal costs the smallest memory is chosen."""


class Choice(NamedTuple):
    """A width that an option of a population can have.

    Attributes:
        width: in bits; None for one that follows from the samples.
        bits: the memory of weights, or of states, with it.
        cost: by how much more it changes the outputs than the widest choice does.
    """

    population: str
    option: str
    width: int | None
    bits: int
    cost: float


def cheapest(groups: Sequence[Sequence[Choice]], most: Mapping[tuple[str, ...], float], most_cost: float | None = None
             ) -> list[Choice] | None:
    """One choice of each group, so that costs together are least and memory is within limits; None where none is.

    Args:
        most: the most bits of the choices for some options together, by these options.
        most_cost: where it is given, memory is made least, with costs of at most that much together.
    """
    every = [choice for group in groups for choice in group]
    bits, costs = (np.array(column, np.float64) for column in zip(*((c.bits, c.cost) for c in every), strict=True))
    member = np.repeat(np.eye(len(groups)), [len(group) for group in groups], axis=1)
    limits = [LinearConstraint(member, 1, 1)]
    for options, limit in most.items():
        limits.append(LinearConstraint(np.where([c.option in options for c in every], bits, 0), -np.inf, limit))
    if most_cost is None:
        least = costs + TIE * bits / max(bits.sum(), 1)
    else:
        least = bits
        limits.append(LinearConstraint(costs, -np.inf, most_cost))
    with _stdout_kept():
        found = milp(least, constraints=limits, integrality=np.ones(len(every), np.int64), bounds=Bounds(0, 1))
    if found.x is None:
        return None
    chosen = [c for c, taken in zip(every, found.x, strict=True) if taken > 0.5]
    over = {options: sum(c.bits for c in chosen if c.option in options) - limit for options, limit in most.items()}
    if max(over.values(), default=0) > 0:  # the solver keeps limits up to a tolerance only
        tighter = {options: limit - max(over[options], 0) - 1 for options, limit in most.items()}
        return cheapest(groups, tighter, most_cost)
    return chosen


@contextmanager
def _stdout_kept() -> Iterator[None]:
    """Let what a library prints by itself go to stderr: the solver at times prints a line of its own to stdout, where
    commands print their results."""
    kept = None
    with suppress(OSError):  # without a stdout there is nothing to keep
        kept = os.dup(1)
        os.dup2(2, 1)
    try:
        yield
    finally:
        if kept is not None:
            with suppress(AttributeError, OSError, TypeError):  # not on every system; then the line may come late
                ctypes.CDLL(None).fflush(None)
            os.dup2(kept, 1)
            os.close(kept)
