"""Spreading the cores of a partition over several chips, so that few packets go from one chip to another.

    spread(partition, target, packets)      # the same partition, with the chip of each core

Chips take cores in an order in which cores that exchange packets are close to each other: that of their numbers, or
that of their place in the frame. Then cores move to other chips, or two cores change places, as long as that saves
packets between chips. The better of both results is kept.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from snncompile.diagnostics import fail
from snncompile.ir.types import Array
from snncompile.mapping.partitioned import Partition
from snncompile.targets.memory import NEURONS
from snncompile.targets.target import Target

ROUNDS = 200
"""The search for fewer packets between chips ends after so many rounds of moves and swaps."""


def spread(partition: Partition, target: Target, packets: Array) -> Partition:
    """The partition with the chip of each core. Where a core holds one layer, it lies on a chip already.

    Args:
        packets: `[flow]`, how much each flow of the partition's traffic counts.

    Raises:
        CompileError: SNN416 where the cores take more chips than there are, or one of them is too much for a chip.
    """
    most = target.limits.chips
    use, room = _used(partition, target)
    if not len(room) or most == 1 or target.network.layer_per_core:
        return partition
    orders = np.arange(len(use)), partition.along_frame
    starts = [filled(use[order], room)[np.argsort(order)] for order in orders]
    many = [int(chip.max(initial=0)) + 1 for chip in starts]
    if most is not None and min(many) > most:
        fail("SNN416", "chips", f"{partition.cores:,} cores that fill {min(many):,} chips", f"{most:,} chips",
             "a smaller network, or a variant of the target with more chips")
    if min(many) == 1:
        return partition
    traffic = _both_ways(partition, packets)
    found = [_Crossings(traffic, chip, use, room).improved()
             for chip, n in zip(starts, many, strict=True) if n == min(many)]
    return dataclasses.replace(partition, chip=min(found, key=lambda search: search.packets).chip)


def _used(partition: Partition, target: Target) -> tuple[Array, Array]:
    """What each core uses of a chip, `[core, figure]`, and what a chip has, for the figures that are limited."""
    neurons = partition.used[NEURONS]
    synapses = np.bincount(partition.core, partition.tiles.synapses, len(neurons)).astype(np.int64)
    limits = target.limits
    known = [(use, limit) for use, limit in ((np.ones_like(neurons), limits.cores), (neurons, limits.neurons),
                                             (synapses, limits.synapses)) if limit is not None]
    return (np.array([use for use, _ in known], np.int64).reshape(len(known), len(neurons)).T,
            np.array([limit for _, limit in known], np.int64))


def filled(use: Array, room: Array) -> Array:
    """The chip of each core, `[core]`, if chips take cores one after another until nothing more fits.

    Chips of 3 cores and 100 neurons:

    >>> filled(np.array([[1, 40], [1, 50], [1, 30], [1, 10], [1, 10], [1, 10]]), np.array([3, 100])).tolist()
    [0, 0, 1, 1, 1, 2]

    Args:
        use: `[core, figure]`, what each core uses.
        room: `[figure]`, what a chip has.

    Raises:
        CompileError: SNN416 for a core that is too much for a chip of its own.
    """
    if (use > room).any():
        fail("SNN416", "chips", "a core that holds more neurons or synapses than a chip may have",
             "cores that fit on a chip", "a target whose chips have the neurons and synapses of one core at least")
    before = np.concatenate([np.zeros((1, len(room)), np.int64), np.cumsum(use, 0)])
    chip, start, number = np.zeros(len(use), np.int64), 0, 0
    while start < len(use):
        end = min(int(np.searchsorted(b, b[start] + most, "right")) - 1
                  for b, most in zip(before.T, room.tolist(), strict=True))
        chip[start:end] = number
        start, number = end, number + 1
    return chip


class _Crossings:
    """The search for the chips of cores with few packets between chips.

    Attributes:
        traffic: `[core, core]`, packets between two cores in both directions, sparse.
        chip: `[core]`, so far.
        use: `[core, figure]`, what each core uses of a chip.
        free: `[chip, figure]`, what is left of each chip.
        sent: `[core, chip]`, packets between a core and all cores of a chip.
    """

    def __init__(self, traffic: Any, chip: Array, use: Array, room: Array):
        member = np.eye(int(chip.max()) + 1)[chip]
        self.traffic, self.chip, self.use = traffic, chip.copy(), use
        self.free = room - member.T.astype(np.int64) @ use
        self.sent: Array = np.asarray(traffic @ member)

    @property
    def packets(self) -> float:
        """Packets between chips."""
        return float(self.sent.sum() - self.sent[np.arange(len(self.chip)), self.chip].sum()) / 2

    def improved(self) -> _Crossings:
        """The same after rounds of moves and swaps, each of which saves packets, until a round finds none."""
        for _ in range(ROUNDS):
            if not self._moves() + self._swaps():
                break
        return self

    def _saved(self) -> Array:
        """Packets that each core saves by going to each chip if all others stay, `[core, chip]`."""
        saved = self.sent - np.take_along_axis(self.sent, self.chip[:, None], 1)
        saved[np.arange(len(saved)), self.chip] = -np.inf
        return np.asarray(saved)

    def _moves(self) -> int:
        """Move cores to chips that have room for them, and count these moves."""
        saved, moves = self._saved(), 0
        for core in np.argsort(-saved.max(1), kind="stable")[:np.count_nonzero(saved.max(1) > 0)].tolist():
            to = int(np.argmax(saved[core]))
            if (self.use[core] <= self.free[to]).all() and self._gain(core, to) > 0:
                self._move(core, to)
                moves += 1
        return moves

    def _swaps(self) -> int:
        """Let the two cores of each two chips change places that save most, and count these swaps."""
        saved, swaps = self._saved(), 0
        members = (np.flatnonzero(self.chip == a) for a in range(saved.shape[1]))
        best = np.stack([m[np.argmax(saved[m], 0)] for m in members])
        most = np.take_along_axis(saved, best, 0)
        pairs = np.argwhere(np.triu(most + most.T, 1) > 0)
        for a, b in pairs[np.argsort(-(most + most.T)[tuple(pairs.T)], kind="stable")].tolist():
            one, other = int(best[a, b]), int(best[b, a])
            change = self.use[one] - self.use[other]
            gain = self._gain(one, b) + self._gain(other, a) - 2 * self._between(one, other)
            here = (self.chip[one], self.chip[other]) == (a, b)
            if here and gain > 0 and (change <= self.free[b]).all() and (-change <= self.free[a]).all():
                self._move(one, b)
                self._move(other, a)
                swaps += 1
        return swaps

    def _gain(self, core: int, to: int) -> float:
        return float(self.sent[core, to] - self.sent[core, self.chip[core]])

    def _between(self, one: int, other: int) -> float:
        """Packets between two cores in both directions."""
        begin, end = self.traffic.indptr[one:one + 2]
        return float(self.traffic.data[begin:end][self.traffic.indices[begin:end] == other].sum())

    def _move(self, core: int, to: int) -> None:
        begin, end = self.traffic.indptr[core:core + 2]
        others, many = self.traffic.indices[begin:end], self.traffic.data[begin:end]
        self.sent[others, self.chip[core]] -= many
        self.sent[others, to] += many
        self.free[self.chip[core]] += self.use[core]
        self.free[to] -= self.use[core]
        self.chip[core] = to


def _both_ways(partition: Partition, packets: Array) -> Any:
    """`[core, core]`, the packets between two cores in both directions, a `csr_array`."""
    from scipy.sparse import csr_array

    flows, cores = partition.traffic, len(partition.chip)
    one_way = csr_array((packets.astype(np.float64), (flows.source, flows.target)), (cores, cores))
    return csr_array(one_way + one_way.T)
