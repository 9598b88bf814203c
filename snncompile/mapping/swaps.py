"""Placements improved: a first one from the spectrum of the traffic, and swaps of two places at a time.

The problem is quadratic assignment. Its standard local search is Taillard's robust tabu search (1991): the best swap of
all, even if it makes things worse, but not one that was just undone.
"""

from __future__ import annotations

import numpy as np

from snncompile.ir.types import Array

MAX_SWAPS = 2000
PATIENCE = 100
"""Swaps without a better placement after which the search ends."""


def spectral(traffic: Array, points: Array, cores: int) -> Array:
    """The place of each core where the two slowest modes of the traffic put it, assigned to places of least distance.

    The modes span the rectangle of the first places, as many as there are cores.

    Args:
        traffic: `[place, place]`, symmetric; rows from `cores` on are empty.
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


def improved(traffic: Array, ways: Array, at: Array, cores: int) -> Array:
    """A better assignment of cores to places, one of fewer packets times hops; always the same one.

    Args:
        traffic: `[core, core]`, symmetric, filled up with empty cores to the number of places.
        ways: `[place, place]`, hops.
        at: the place of each core.
    """
    rng = np.random.default_rng(0)
    count, at = len(at), at.copy()
    ways = ways[at][:, at]                                  # from here on by core, wherever it is now
    reach = traffic @ ways                                  # of each core, if it were where another one is
    cost = float(np.trace(reach)) / 2
    best, least, since = at.copy(), cost, 0
    barred = np.zeros((count, count), np.int64)             # until when a core may not go where another one is
    for step in range(MAX_SWAPS):
        gain = reach - np.diag(reach)[:, None] + traffic * ways
        gain += gain.T
        closed = barred > step
        gain[closed & closed.T & (gain >= least - cost - 1e-9)] = np.inf
        np.fill_diagonal(gain, np.inf)
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
