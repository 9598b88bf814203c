"""Emptying cores: tiles of nearly empty cores move to others, until a partition has as few cores as a chip.

This is ruin and recreate (Schrimpf et al., "Record breaking optimization results using the ruin and recreate
principle", Journal of Computational Physics 159(2), 2000). The tiles of the core that uses least, and some of other
cores, are taken off and put back, one after another, each where it needs least. The emptiest core takes only what fits
nowhere else. The new state is kept if that core became emptier or fewer axons are used in all, and now and then, less
and less often, if not.
"""

from __future__ import annotations

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.loads import AWAY, INTO, NEURONS, OUT, Loads

MAX_MOVES = 60_000
"""How often a tile is taken off a core, at most."""
MAX_ENTRIES = 1 << 23
"""The largest product of cores and rows of axons for which cores are emptied."""
MAX_ABOVE = 1.4
"""Cores are emptied where there are at most so many times as many as there may be."""
PATIENCE = 20_000
"""The search ends after so many moves without one core fewer."""
RUINED = 4
"""Of fewer cores than this, beside the emptiest one, tiles are taken off."""
NEAR = 12
"""Cores with axons in common among which most of those are chosen."""
AXONS = 1.0
"""What the axons of all cores count beside what the emptiest core uses."""
HEAT = 0.02
"""How much worse a state may be on average that is kept in the beginning, in parts of a core."""


def worthwhile(cores: int, most: int, rows: int) -> bool:
    """Whether so many cores, which read so many rows of axons, may become `most` cores."""
    return cores <= MAX_ABOVE * most and cores * rows <= MAX_ENTRIES


def emptied(loads: Loads, most: int) -> Array | None:
    """New cores for tiles, `core[tile]`, at most `most`; None where these were not found. `loads` changes.

    The same tiles on the same cores give the same answer.
    """
    search = _Search(loads)
    while len(search.open) > most and search.moves < MAX_MOVES:
        before = search.moves
        if not search.emptied_one(min(before + PATIENCE, MAX_MOVES)):
            return None
    return loads.core if len(search.open) <= most else None


class _Search:
    """The search for partitions with fewer cores.

    Attributes:
        open: the cores that are in use.
        moves: how often a tile was taken off a core so far, or none in vain.
    """

    def __init__(self, loads: Loads):
        self.loads, self.moves = loads, 0
        self.open = list(range(loads.used.shape[1]))
        self._draw = np.random.default_rng(0)
        self._limits = loads.limits[:, None]

    def emptied_one(self, last: int) -> bool:
        """Whether the core that uses least could be emptied before so many moves were made in all."""
        shares = self.loads.used / self._limits
        least = min(self.open, key=lambda core: float(shares[:, core].sum()))
        mean = shares[:, self.open].mean(1)
        weights = (mean / mean.max())[:, None] ** 2 / self._limits  # what is scarce counts most
        others = np.zeros(shares.shape[1], bool)
        others[self.open] = True
        others[least] = False
        while (mine := np.flatnonzero(self.loads.core == least)).size:
            if self.moves >= last:
                return False
            self._ruin_and_recreate(least, mine, others, weights)
        self.open.remove(least)
        return True

    def _ruin_and_recreate(self, least: int, mine: Array, others: Array, weights: Array) -> None:
        loads = self.loads
        before = self._cost(least)
        some = mine[self._draw.random(len(mine)) < self._draw.random()]
        moved = np.concatenate([some, *self._ruined(mine, others)])
        old = loads.core[moved]
        self.moves += len(moved) + 1
        for tile in moved.tolist():
            loads.take(tile)
        size = loads.axons[moved] / loads.limits[INTO] + loads.neurons[moved] / loads.limits[NEURONS]
        order = moved[np.argsort(-size * self._draw.uniform(0.6, 1.4, len(moved)), kind="stable")]
        only = np.zeros_like(others)
        only[least] = True
        fits = all(self._placed(tile, others, weights) or self._placed(tile, only, weights) for tile in order.tolist())
        slack = HEAT * max(0.0, 1 - self.moves / MAX_MOVES) * float(self._draw.exponential())
        if not (fits and self._cost(least) < before + slack):
            for tile in moved[loads.core[moved] != AWAY].tolist():
                loads.take(tile)
            for tile, core in zip(moved.tolist(), old.tolist(), strict=True):
                loads.put(tile, core)

    def _cost(self, least: int) -> float:
        """What the emptiest core uses, and the axons of all cores, in parts of a core."""
        shares = self.loads.used / self._limits
        return float(shares[:, least].sum() + AXONS * shares[[INTO, OUT]].sum())

    def _ruined(self, mine: Array, others: Array) -> list[Array]:
        """Tiles of some other cores, most of which have axons in common with one tile: all of each core, or half."""
        draw, loads = self._draw, self.loads
        tile = int(draw.choice(mine)) if draw.random() < 0.5 else int(draw.integers(len(loads.core)))
        near = np.argsort(-np.where(others, loads.shared(tile), -1), kind="stable")[:min(NEAR, int(others.sum()))]
        every = np.flatnonzero(others)
        cores = {int(draw.choice(near if draw.random() < 0.7 else every)) for _ in range(int(draw.integers(RUINED)))}
        tiles = [np.flatnonzero(loads.core == core) for core in sorted(cores)]
        return tiles if draw.random() < 0.5 else [t[draw.random(len(t)) < 0.5] for t in tiles]

    def _placed(self, tile: int, among: Array, weights: Array) -> bool:
        """Put a tile on the core where it needs least, if it fits on one of some cores."""
        loads = self.loads
        more = loads.more(tile)
        after = loads.used + more
        fits = among & (after <= self._limits).all(0)
        fullest = (after / self._limits).max(0)
        cost = np.where(fits, (weights * more).sum(0) - 1e-3 * fullest, np.inf)
        for core in np.argsort(cost, kind="stable")[:int(fits.sum())].tolist():
            if loads.leaves_room(tile, core):
                loads.put(tile, core)
                return True
        return False
