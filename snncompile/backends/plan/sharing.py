"""What can lie in the same memory: rows, sums and scratch memory that are never needed at the same time."""

from __future__ import annotations

import math
from collections.abc import Mapping

from snncompile.backends.plan.plan import Plan

Part = tuple[str, str]
"""A part of memory: "rows" and a node, "sums" and a population, or "scratch" and a projection, by their identifiers."""
Life = tuple[float, float]
"""The first and the last moment of a tick in which a part of memory is needed."""


def lives(plan: Plan) -> dict[Part, Life]:
    """When each part of memory is needed, in a program that runs one tick at a time.

    Inputs are copied at moment 0. Behind that, each projection of each population has a moment, in which it reads the
    rows of its source and adds to the sums of the population. Then the population has a moment, in which it reads its
    sums and writes its rows. Outputs are copied at the end, at infinity. What is read with a delay is needed at all
    moments. Sums that stand still from tick to tick are left out.
    """
    found: dict[Part, Life] = {("rows", port.source.buffer.name): (0, 0) for port in plan.inputs}
    now = 0
    for population in plan.populations:
        first = now + 1
        for projection in population.projections:
            now += 1
            found["scratch", projection.name] = now, now
            _needed(found, projection.source.buffer.name, now)
        now += 1
        name = population.source.buffer.name
        found["rows", name] = now, now
        if not population.standing:
            found["sums", name] = first, now
    for port in plan.outputs:
        _needed(found, port.source.buffer.name, math.inf)
    return found | {("rows", s.buffer.name): (0, math.inf) for s in plan.sources if s.history}


def _needed(found: dict[Part, Life], source: str, moment: float) -> None:
    """Note that the rows of a source are read; those that are written later are read with a delay."""
    if ("rows", source) in found:
        found["rows", source] = found["rows", source][0], moment


def offsets(lives: Mapping[Part, Life], sizes: Mapping[Part, tuple[int, int]]) -> dict[Part, int]:
    """Where each part begins in memory that all share, in bytes.

    The largest is placed first, and each further one at the lowest place that is free all the time it is needed.
    The rows of an input x of 10 bytes are read before those of a population a are written, so that both begin at 0.
    Where they are read later too, by a skip, they lie behind:

    >>> x, a = ("rows", "x"), ("rows", "a")
    >>> offsets({x: (0, 1), a: (2, 3)}, {x: (10, 4), a: (30, 4)})
    {('rows', 'x'): 0, ('rows', 'a'): 0}
    >>> offsets({x: (0, 3), a: (2, 3)}, {x: (10, 4), a: (30, 4)})
    {('rows', 'x'): 32, ('rows', 'a'): 0}

    Args:
        lives: see `lives`.
        sizes: the size and the alignment of each part, in bytes.
    """
    placed: dict[Part, int] = {}
    for part in sorted(sizes, key=lambda p: -sizes[p][0]):
        size, alignment = sizes[part]
        taken = sorted((placed[p], placed[p] + sizes[p][0]) for p in placed if _meet(lives[p], lives[part]))
        at = 0
        for begin, end in taken:
            if begin - at >= size:
                break
            at = max(at, -(-end // alignment) * alignment)
        placed[part] = at
    return {part: placed[part] for part in sizes}


def _meet(one: Life, other: Life) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
