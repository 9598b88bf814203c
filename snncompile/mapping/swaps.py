"""Improving a placement: a start from the spectrum of the traffic, then swaps of two cores at a time.

The problem is quadratic assignment. Its standard local search is the robust tabu search of Taillard (1991): each step
makes the best of all swaps, even one that raises the cost, unless it brings back a placement that was left recently.
"""

from __future__ import annotations

import numpy as np

from snncompile.ir.types import Array

MAX_SWAPS = 2000
PATIENCE = 100
"""The search ends after so many swaps without a better placement."""


def spectral(traffic: Array, points: Array, cores: int) -> Array:
    """A first placement: two eigenvectors of the traffic's Laplacian are the coordinates that cores wish for.

    They are the ones of the smallest eigenvalues above 0, in which cores that exchange much are close. Ranks along each
    of them are stretched over the rectangle of the first `cores` places; cores then get places by the assignment of
    least squared distance to what they wish for.

    Args:
        traffic: `[core, core]`, symmetric, filled up with empty cores to the number of places.
        points: `[place, (column, row)]`.

    Returns:
        The place of each core, `[core]`; the empty cores have those that are left.
    """
    from scipy.optimize import linear_sum_assignment

    among = traffic[:cores, :cores]
    degree = among.sum(1) + 1e-9 * max(among.max(), 1)
    scale = 1 / np.sqrt(degree)
    _, modes = np.linalg.eigh(np.diag(degree) * scale[:, None] * scale - among * scale[:, None] * scale)
    low, wide = points[:cores].min(0), np.ptp(points[:cores], 0) + 1
    first = int(wide[1] > wide[0])
    wish = np.empty((cores, 2))
    for mode, axis in ((1, first), (2, 1 - first)):
        sign = np.sign(modes[np.argmax(np.abs(modes[:, mode])), mode])  # the solver leaves it open
        rank = np.argsort(np.argsort(sign * modes[:, mode] * scale, kind="stable"))
        wish[:, axis] = low[axis] + (rank + 0.5) / cores * wide[axis] - 0.5
    distance = ((wish[:, None] - points) ** 2).sum(2)
    _, place = linear_sum_assignment(distance)
    return np.concatenate([place, np.setdiff1d(np.arange(len(points)), place)])


def improved(traffic: Array, ways: Array, at: Array, cores: int, chip: Array) -> Array:
    """A placement with fewer packets times hops, by tabu search. The same arguments give the same placement.

    Args:
        traffic: `[core, core]`, packets between two cores, symmetric, filled up with empty cores to the number of
            places.
        ways: `[place, place]`, hops between two places.
        at: `[core]`, the place of each core to start from.
        cores: how many cores are not empty.
        chip: `[core]`, the chip of each core, empty ones included; only cores of the same chip change places.
    """
    rng = np.random.default_rng(0)
    apart = (chip[:, None] != chip) | np.eye(len(chip), dtype=bool)
    count, at = len(at), at.copy()
    ways = ways[at][:, at]                                  # from here on `[core, core]`: it moves along with the cores
    reach = traffic @ ways                                  # `[a, b]`: what core a would cost in the place of core b
    cost = float(np.trace(reach)) / 2
    best, least, since = at.copy(), cost, 0
    barred = np.zeros((count, count), np.int64)             # `[a, b]`: until when a may not go where b is
    for step in range(MAX_SWAPS):
        gain = reach - np.diag(reach)[:, None] + traffic * ways
        gain += gain.T
        closed = barred > step
        gain[closed & closed.T & (gain >= least - cost - 1e-9)] = np.inf
        gain[apart] = np.inf
        a, b = divmod(int(np.argmin(gain[:cores])), count)
        if since == PATIENCE or not np.isfinite(gain[a, b]):
            break
        cost, since = cost + float(gain[a, b]), since + 1
        reach += np.outer(traffic[:, a] - traffic[:, b], ways[b] - ways[a])
        for table in (at, reach.T, ways, ways.T, barred.T):
            table[[a, b]] = table[[b, a]]
        barred[[a, b], [b, a]] = step + rng.integers(count // 2, 2 * count, 2)
        if cost < least - 1e-9:
            best, least, since = at.copy(), cost, 0
    return best
