"""Which rows can lie in the same memory: those of nodes that are never needed at the same time."""

from __future__ import annotations

import math
from collections.abc import Mapping

from snncompile.backends.plan.plan import Plan

Life = tuple[float, float]
"""The first and the last moment of a tick in which what a node emits is needed. Inputs are copied at moment 0. The k-th
population, counted from 1, reads at moment 2 k and writes at 2 k + 1. Outputs are copied at the end, at infinity."""


def lives(plan: Plan) -> dict[str, Life]:
    """When what each node emits is needed, by its identifier, in a program that runs one tick at a time.

    What is read with a delay is needed at all moments.
    """
    found = {port.source.buffer.name: (0.0, 0.0) for port in plan.inputs}
    for k, population in enumerate(plan.populations, start=1):
        found[population.source.buffer.name] = 2.0 * k + 1, 2.0 * k + 1
        for projection in population.projections:
            name = projection.source.buffer.name
            if name in found:
                found[name] = found[name][0], max(found[name][1], 2.0 * k)
    found |= {port.source.buffer.name: (found[port.source.buffer.name][0], math.inf) for port in plan.outputs}
    return found | {s.buffer.name: (0.0, math.inf) for s in plan.sources if s.history}


def offsets(lives: Mapping[str, Life], sizes: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Where the row of each node begins in memory that all share, in bytes.

    The largest row is placed first, and each further one at the lowest place that is free all the time it is needed.
    Three layers behind each other, the second of which is the largest, take as much as the larger pair of neighbours
    or less: here the third may overwrite the first.

    >>> offsets({"x": (0, 2), "a": (3, 4), "y": (5, 5)}, {"x": (10, 1), "a": (30, 1), "y": (8, 4)})
    {'x': 0, 'a': 0, 'y': 0}
    >>> offsets({"x": (0, 4), "a": (3, 6), "y": (5, 6)}, {"x": (10, 1), "a": (30, 1), "y": (8, 4)})
    {'x': 30, 'a': 0, 'y': 32}

    Args:
        lives: see `lives`.
        sizes: the size and the alignment of each row, in bytes.
    """
    placed: dict[str, int] = {}
    for name in sorted(sizes, key=lambda n: -sizes[n][0]):
        size, alignment = sizes[name]
        taken = sorted((placed[n], placed[n] + sizes[n][0]) for n in placed if _meet(lives[n], lives[name]))
        at = 0
        for begin, end in taken:
            if begin - at >= size:
                break
            at = max(at, -(-end // alignment) * alignment)
        placed[name] = at
    return {name: placed[name] for name in sizes}


def _meet(one: Life, other: Life) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
