"""Cores filled one after another, under all limits at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array


def distinct(keys: Array) -> Array:
    """Keys in order, each once; quick where they are nearly in order."""
    keys = np.sort(keys, kind="stable")
    return np.asarray(keys[np.diff(keys, prepend=-1) > 0])


@dataclass(frozen=True)
class Shared:
    """Things that several tiles of a core use together, each counted once: `[pair]` thing and tile, size of things."""

    thing: Array
    tile: Array
    size: Array


@dataclass(frozen=True)
class Resource:
    """What cores have so much of.

    Attributes:
        name: in the words of diagnostics.
        limit: None where there is as much as one wants.
        own: `[tile]`, what each tile uses for itself.
    """

    name: str
    limit: int | None
    own: Array
    shared: Shared | None = None

    def used(self, core: Array, cores: int) -> Array:
        """`[core]`, what is used there by tiles that lie on `core[tile]`."""
        used = np.bincount(core, self.own, cores)
        if self.shared:
            thing, at = np.divmod(distinct(self.shared.thing * cores + core[self.shared.tile]), cores)
            used += np.bincount(at, self.shared.size[thing], cores)
        return used.astype(np.int64)


class TileTooLarge(Exception):
    """A tile that fits on no core; `resource` is what it uses too much of."""

    def __init__(self, tile: int, resource: Resource, used: int):
        super().__init__(f"tile {tile}: {used} {resource.name}")
        self.tile, self.resource, self.used = tile, resource, used


class _Run:
    """What runs of tiles in a fixed order use of a resource."""

    def __init__(self, resource: Resource, order: Array):
        self.resource, self.limit = resource, resource.limit or 0
        self.own = np.concatenate(([0], np.cumsum(resource.own[order])))
        if resource.shared is None:
            return
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        by = np.lexsort((place[resource.shared.tile], resource.shared.thing))
        thing, at = resource.shared.thing[by], place[resource.shared.tile][by]
        before = np.where(np.diff(thing, prepend=-1) == 0, np.roll(at, 1), -1)
        along = np.argsort(at, kind="stable")
        self.before, self.size = before[along], resource.shared.size[thing[along]]
        self.starts = np.searchsorted(at[along], np.arange(len(order) + 1))

    def used(self, start: int, end: int) -> Array:
        """What `start .. i` use, for every `i` before the end."""
        used = self.own[start + 1:end + 1] - self.own[start]
        if self.resource.shared is None:
            return np.asarray(used)
        first, last = self.starts[start], self.starts[end]
        fresh = np.where(self.before[first:last] < start, self.size[first:last], 0)
        total = np.concatenate(([0], np.cumsum(fresh)))
        return np.asarray(used + total[self.starts[start + 1:end + 1] - first])


def fill(order: Array, resources: tuple[Resource, ...]) -> Array:
    """Cores for tiles, `core[tile]`: each core takes the tiles of an order until one does not fit.

    Raises:
        TileTooLarge: a tile is too much for a core of its own.
    """
    runs = [_Run(r, order) for r in resources if r.limit is not None]
    core = np.empty(len(order), np.int64)
    start, length, number = 0, 8, 0
    while start < len(order):
        end = _end(runs, start, min(start + 2 * length, len(order)), len(order))
        if end == start:
            run = max(runs, key=lambda r: int(r.used(start, start + 1)[0]) / max(r.limit, 1))
            raise TileTooLarge(int(order[start]), run.resource, int(run.used(start, start + 1)[0]))
        core[order[start:end]] = number
        start, length, number = end, end - start, number + 1
    return core


def _end(runs: list[_Run], start: int, end: int, total: int) -> int:
    """The end of the longest run from a start that fits; the given end is a first guess."""
    while True:
        fits = end
        for run in runs:
            fits = start + int(np.searchsorted(run.used(start, fits), run.limit, "right"))
        if fits < end or end == total:
            return fits
        end = min(start + 2 * (end - start), total)


def halved(order: Array, core: Array, which: Array) -> Array:
    """The cores of an order, with those named cut in two; each must hold several tiles."""
    along = core[order]
    first, last = np.searchsorted(along, which, "left"), np.searchsorted(along, which, "right")
    begins = np.diff(along, prepend=-1) > 0
    begins[(first + last) // 2] = True
    cut = np.empty_like(core)
    cut[order] = np.cumsum(begins) - 1
    return cut


def merged(used: Array, limits: Array) -> Array:
    """New numbers for cores, `[core]`, of which some go together: the emptiest each into the fullest that holds it.

    Args:
        used: `[core, resource]`; the use of cores together is at most the sum.
        limits: `[resource]`.
    """
    used, into = used.astype(np.int64), np.arange(len(used))
    share = (used / limits).max(1, initial=0)
    open_cores = np.flatnonzero(share <= 1 - share.min(initial=1))
    for core in open_cores[np.argsort(share[open_cores], kind="stable")].tolist():
        fits = (used[open_cores] + used[core] <= limits).all(1) & (open_cores != core)
        if share[core] > 0.5 or not fits.any():
            continue
        host = open_cores[fits][np.argmax(share[open_cores[fits]])]
        into[into == core] = host
        used[host] += used[core]
        share[host] = (used[host] / limits).max()
        open_cores = open_cores[open_cores != core]
    return np.asarray(np.unique(into, return_inverse=True)[1])
