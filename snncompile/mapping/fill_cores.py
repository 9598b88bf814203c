"""Filling cores: each core takes the tiles of an ordered list until one of its resources is used up.

A resource is used by tiles on their own (neurons) and by things that several tiles of a core share and that count once
(kernels, in-axons).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array


def distinct(keys: Array) -> Array:
    """The different keys in increasing order. A stable sort is quick here, because keys are nearly in order."""
    keys = np.sort(keys, kind="stable")
    return np.asarray(keys[np.diff(keys, prepend=-1) > 0])


@dataclass(frozen=True)
class Shared:
    """Things that tiles use, and that a core holds once however many of its tiles use them.

    Attributes:
        thing, tile: `[pair]`, the pairs of a thing and a tile that uses it.
        size: `[thing]`, what each thing uses of the resource.
    """

    thing: Array
    tile: Array
    size: Array


@dataclass(frozen=True)
class Resource:
    """Something that a core has a limited amount of.

    Attributes:
        name: the word that diagnostics use for it.
        limit: the amount that each core has; None where it is not limited.
        own: `[tile]`, what each tile uses for itself.
        shared: what tiles use together; None where they share nothing.
    """

    name: str
    limit: int | None
    own: Array
    shared: Shared | None = None

    def used(self, core: Array, cores: int) -> Array:
        """What each core uses, `[core]`, if tile `t` lies on core `core[t]`.

        Two tiles of 5 and 7 share a thing of 10 on core 0; a third tile lies alone on core 1:

        >>> shared = Shared(np.array([0, 0]), np.array([0, 1]), np.array([10]))
        >>> Resource("bits", None, np.array([5, 7, 1]), shared).used(np.array([0, 0, 1]), 2).tolist()
        [22, 1]
        """
        used = np.bincount(core, self.own, cores)
        if self.shared:
            thing, at = np.divmod(distinct(self.shared.thing * cores + core[self.shared.tile]), cores)
            used += np.bincount(at, self.shared.size[thing], cores)
        return used.astype(np.int64)


class TileTooLarge(Exception):
    """A tile does not fit on a core of its own; `resource` is the one of which it uses `used`, which is too much."""

    def __init__(self, tile: int, resource: Resource, used: int):
        super().__init__(f"tile {tile}: {used} {resource.name}")
        self.tile, self.resource, self.used = tile, resource, used


class _Run:
    """How much of a resource is used by any run of successive tiles in a fixed order.

    For each pair of a thing and a tile, `before` is the place of the previous tile that uses the same thing. A run that
    begins at `start` pays for a thing at the pairs whose previous place lies before `start`.
    """

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
        """What the tiles `start .. i` use together, for each `i` from `start` to `end - 1`."""
        used = self.own[start + 1:end + 1] - self.own[start]
        if self.resource.shared is None:
            return np.asarray(used)
        first, last = self.starts[start], self.starts[end]
        fresh = np.where(self.before[first:last] < start, self.size[first:last], 0)
        total = np.concatenate(([0], np.cumsum(fresh)))
        return np.asarray(used + total[self.starts[start + 1:end + 1] - first])


def fill(order: Array, resources: tuple[Resource, ...]) -> Array:
    """Give tiles to cores, `core[tile]`: each core takes tiles in the given order until one does not fit.

    Four tiles of 3, 3, 3 and 2 neurons on cores of 7 neurons:

    >>> fill(np.arange(4), (Resource("neurons", 7, np.array([3, 3, 3, 2])),)).tolist()
    [0, 0, 1, 1]

    If the second and the third tile share a kernel of 4 bits and a core has 5, they go together, and the first alone:

    >>> kernel = Shared(np.array([0, 0, 1]), np.array([1, 2, 0]), np.array([4, 4]))
    >>> fill(np.arange(3), (Resource("bits", 5, np.zeros(3, int), kernel),)).tolist()
    [0, 1, 1]

    Args:
        order: the tiles in the order in which cores take them.

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
    """Where the longest run of tiles that begins at `start` and fits on a core ends.

    Only the tiles up to `end`, a first guess, are looked at; the guess is doubled while all of them fit.
    """
    while True:
        fits = end
        for run in runs:
            fits = start + int(np.searchsorted(run.used(start, fits), run.limit, "right"))
        if fits < end or end == total:
            return fits
        end = min(start + 2 * (end - start), total)


def halved(order: Array, core: Array, which: Array) -> Array:
    """New cores for tiles, `core[tile]`, after the cores named by `which` are cut in two halves of their tiles.

    Cores are numbered along the order again. Each core in `which` must hold more than one tile.

    >>> halved(np.arange(5), np.array([0, 0, 0, 0, 1]), np.array([0])).tolist()
    [0, 0, 1, 1, 2]
    """
    along = core[order]
    first, last = np.searchsorted(along, which, "left"), np.searchsorted(along, which, "right")
    begins = np.diff(along, prepend=-1) > 0
    begins[(first + last) // 2] = True
    cut = np.empty_like(core)
    cut[order] = np.cumsum(begins) - 1
    return cut


def merged(used: Array, limits: Array) -> Array:
    """Put cores together: each core that is at most half full goes into the fullest core that still has room for it.

    Cores of 6, 1 and 2 neurons of 8 become two, because the 1 goes to the 6:

    >>> merged(np.array([[6], [1], [2]]), np.array([8])).tolist()
    [0, 0, 1]

    Args:
        used: `[core, resource]`. Two cores together use at most the sum of both, and less where they share things.
        limits: `[resource]`.

    Returns:
        The new number of each core, `[core]`.
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
