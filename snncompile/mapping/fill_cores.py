"""Filling cores: each core takes the tiles of an ordered list until one of its resources is used up.

A resource is used by tiles on their own (neurons) and by things that several tiles of a core share and that count once
(kernels, in-axons).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

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
        place = np.full(len(resource.own), -1)
        place[order] = np.arange(len(order))
        mine = np.flatnonzero(place[resource.shared.tile] >= 0)
        by = mine[np.lexsort((place[resource.shared.tile[mine]], resource.shared.thing[mine]))]
        thing, at = resource.shared.thing[by], place[resource.shared.tile[by]]
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


FillCores: TypeAlias = Callable[[Sequence[Array], tuple[Resource, ...]], Array]
"""A function that gives tiles to cores, `core[tile]`: from queues of tiles, which hold each tile once."""


def fill(queues: Sequence[Array], resources: tuple[Resource, ...]) -> Array:
    """Give tiles to cores, `core[tile]`: each core takes tiles, queue after queue, until one does not fit.

    Four tiles of 3, 3, 3 and 2 neurons on cores of 7 neurons:

    >>> fill([np.arange(4)], (Resource("neurons", 7, np.array([3, 3, 3, 2])),)).tolist()
    [0, 0, 1, 1]

    If the second and the third tile share a kernel of 4 bits and a core has 5, they go together, and the first alone:

    >>> kernel = Shared(np.array([0, 0, 1]), np.array([1, 2, 0]), np.array([4, 4]))
    >>> fill([np.arange(3)], (Resource("bits", 5, np.zeros(3, int), kernel),)).tolist()
    [0, 1, 1]

    Args:
        queues: the tiles in the order in which cores take them.

    Raises:
        TileTooLarge: a tile is too much for a core of its own.
    """
    order = np.concatenate([np.zeros(0, np.int64), *queues])
    runs = [_Run(r, order) for r in resources if r.limit is not None]
    core = np.empty(len(order), np.int64)
    start, length, number = 0, 8, 0
    while start < len(order):
        end = _end(runs, start, min(start + 2 * length, len(order)), len(order), [run.limit for run in runs])
        if end == start:
            raise _too_large(runs, start, int(order[start]))
        core[order[start:end]] = number
        start, length, number = end, end - start, number + 1
    return core


def fill_mixed(queues: Sequence[Array], resources: tuple[Resource, ...], paired: bool = False) -> Array:
    """Give tiles to cores, `core[tile]`, such that layers which use up different resources share cores.

    Each core takes tiles of one layer after another, as many as fit. It begins with the layer of which a full core has
    the fewest neurons, since something else is scarce for that; then comes the layer that fills most of what is left.

    Two layers on cores of 8 neurons and 6 axons. Of the first, with 4 tiles of 1 neuron and 3 axons, two fill a core;
    the second has 4 tiles of 3 neurons and no axons, of which there is room for two beside them:

    >>> neurons, axons = np.array([1] * 4 + [3] * 4), np.array([3] * 4 + [0] * 4)
    >>> fill_mixed([np.arange(4), np.arange(4, 8)], (Resource("neurons", 8, neurons), Resource("axons", 6, axons)))
    array([0, 0, 1, 1, 0, 0, 1, 1])

    Args:
        queues: the tiles of each layer, in the order in which cores take them.
        resources: neurons first.
        paired: whether the first layer leaves room for a second one that uses up something else.

    Raises:
        TileTooLarge: a tile is too much for a core of its own.
    """
    def load(at: OpenCore) -> None:
        for line, count in _first(at.waiting, at.limits, paired):
            at.take(line, at.room, count)
        while at.waiting:
            takes = [line.fitting(at.room)[1] / at.limits for line in at.waiting]
            best = max(range(len(takes)), key=lambda i: float(takes[i].sum()))
            if not takes[best].any():
                break
            at.take(at.waiting[best], at.room)

    return fill_by_layers(queues, resources, load)


class OpenCore:
    """A core that is being filled with layers.

    Attributes:
        core, number: the cores of all tiles, `core[tile]`, and the number of this one.
        waiting: the layers of which it has no tiles yet.
        limits, room: `[resource]`, what an empty core has of each, and what is left of this one.
    """

    def __init__(self, core: Array, number: int, waiting: list[Line], limits: Array):
        self.core, self.number, self.waiting, self.limits, self.room = core, number, waiting, limits, limits

    def take(self, line: Line, room: Array, most: int | None = None) -> None:
        """Take the tiles of a layer that fit into a part of the room that is left, at most so many."""
        self.room = self.room - line.give(self.core, self.number, room, most)
        self.waiting.remove(line)


def fill_by_layers(queues: Sequence[Array], resources: tuple[Resource, ...], load: Callable[[OpenCore], None]) -> Array:
    """Give tiles to cores, `core[tile]`, by a function that fills one core after another with layers.

    Args:
        queues: the tiles of each layer, in the order in which cores take them.
        load: takes one tile at least.
    """
    limited = tuple(r for r in resources if r.limit is not None)
    lines = [Line(queue, limited) for queue in queues if len(queue)]
    core = np.empty(sum(len(line.order) for line in lines), np.int64)
    limits = np.array([r.limit for r in limited], np.float64)
    number = 0
    while lines:
        load(OpenCore(core, number, list(lines), limits))
        lines = [line for line in lines if line.start < len(line.order)]
        number += 1
    return core


def _first(lines: Sequence[Line], limits: Array, paired: bool) -> list[tuple[Line, int | None]]:
    """The layers that a core takes first, and how many tiles of each; None for as many as fit.

    That is the layer of which a full core has the fewest neurons. If `paired`, it leaves room for another layer, which
    uses up something else, such that with both nothing is left: of the other layers, the one that waits for most cores.

    Raises:
        TileTooLarge: a tile is too much for a core of its own.
    """
    full = [line.alone(limits) for line in lines]
    shares = [used / limits for _, used in full]
    scarcest = min(range(len(lines)), key=lambda i: shares[i][0])
    parts = {i: part for i, share in enumerate(shares) if (part := _part(shares[scarcest], share)) and paired}
    if not parts:
        return [(lines[scarcest], None)]
    other = max(parts, key=lambda i: (len(lines[i].order) - lines[i].start) / full[i][0])
    return [(lines[scarcest], max(1, int(parts[other] * full[scarcest][0]))), (lines[other], None)]


def _part(one: Array, other: Array) -> float:
    """Which part of a core of one layer leaves so much room that with another layer, both use up what they need most.

    A core full of one layer uses all of its axons and 20 % of its neurons, a core full of the other all of its neurons
    and 10 % of its axons. 0.9 / 0.98 of the one, and the rest filled with the other, use up both:

    >>> round(_part(np.array([0.2, 1.0]), np.array([1.0, 0.1])), 3)
    0.918

    Args:
        one, other: `[resource]`, which share of each resource a full core of a layer uses.

    Returns:
        The part; 0 where both use up the same resource, or no part does that.
    """
    a, b = int(np.argmax(one)), int(np.argmax(other))
    determinant = one[a] * other[b] - one[b] * other[a]
    part = (other[b] - other[a]) / determinant if a != b and determinant > 0 else 0.0
    return float(part) if part < 1 else 0.0


class Line:
    """The tiles of a layer that wait for a core."""

    def __init__(self, order: Array, resources: tuple[Resource, ...]):
        self.order, self.runs, self.start, self.length = order, [_Run(r, order) for r in resources], 0, 8
        self.resources = resources
        self.full: tuple[int, tuple[int, Array]] | None = None

    def fitting(self, room: Array, most: int | None = None) -> tuple[int, Array]:
        """How many tiles fit into the room that a core has left of each resource, and what they use of each."""
        last = min(len(self.order), self.start + (most or len(self.order)))
        end = _end(self.runs, self.start, min(self.start + 2 * self.length, last), last, room.tolist())
        if end == self.start:
            return 0, np.zeros(len(room))
        self.length = end - self.start
        return end - self.start, np.array([int(run.used(self.start, end)[-1]) for run in self.runs], np.float64)

    def alone(self, limits: Array) -> tuple[int, Array]:
        """How many tiles fit on an empty core, and what they use; it is remembered until the layer goes on.

        Raises:
            TileTooLarge: not even one fits.
        """
        if self.full is None or self.full[0] != self.start:
            self.full = self.start, self.fitting(limits)
        if not self.full[1][0]:
            raise _too_large(self.runs, self.start, int(self.order[self.start]))
        return self.full[1]

    def give(self, core: Array, number: int, room: Array, most: int | None = None) -> Array:
        """Give the tiles that fit to a core, and return what they use of each resource."""
        count, used = self.fitting(room, most)
        core[self.order[self.start:self.start + count]] = number
        self.start += count
        return used


def _too_large(runs: Sequence[_Run], start: int, tile: int) -> TileTooLarge:
    """The error for the tile at a place in the order, with the resource of which it uses the largest share."""
    used = [int(run.used(start, start + 1)[0]) for run in runs]
    worst = max(range(len(used)), key=lambda i: used[i] / max(runs[i].limit, 1))
    return TileTooLarge(tile, runs[worst].resource, used[worst])


def _end(runs: list[_Run], start: int, end: int, total: int, room: Sequence[float]) -> int:
    """Where the longest run of tiles that begins at `start` and fits into the room on a core ends.

    Only the tiles up to `end`, a first guess, are looked at; the guess is doubled while all of them fit.
    """
    while True:
        fits = end
        for run, left in zip(runs, room, strict=True):
            fits = start + int(np.searchsorted(run.used(start, fits), left, "right"))
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
