"""A network cut into tiles, and how its tiles become partitions: orders, resources, and what keeps within out-axons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.fill_cores import FillCores, Resource, Shared, TileTooLarge, halved, merged
from snncompile.mapping.hilbert import normalised_key
from snncompile.mapping.hypergraph import cut_hypergraph
from snncompile.mapping.lower_bounds import OUT_AXONS
from snncompile.mapping.partitioned import Partition
from snncompile.mapping.tiles import Tiles
from snncompile.mapping.traffic import Axons, out_axons, traffic
from snncompile.targets.memory import IN_AXONS, NEURONS, SYNAPSES
from snncompile.targets.target import Target

REFILLED = 8
"""How often cores are filled again with the out-axons of the partition before."""
MAX_MERGED = 20_000
"""Up to so many cores, nearly empty ones are put together."""


@dataclass(frozen=True)
class Pieces:
    """A network cut into tiles, and the partitions that arise when these are given to cores.

    Attributes:
        names: of the populations and inputs, by row of the layer table.
        least: the lower bounds on cores by resource, and on packets.
    """

    target: Target
    names: tuple[str, ...]
    tiles: Tiles
    axons: Axons
    least: tuple[Mapping[str, int], int]

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What tiles use of a core, except for out-axons, which depend on where all other tiles lie."""
        limits, tiles = self.target.limits, self.tiles
        none = np.zeros(len(tiles), np.int64)
        return (
            Resource(NEURONS, limits.neurons_per_core, tiles.neurons),
            Resource(SYNAPSES, limits.synapse_bits_per_core, tiles.synapse_bits,
                     Shared(tiles.kernel, tiles.kernel_tile, tiles.kernel_bits)),
            Resource(IN_AXONS, limits.in_axons_per_core, none, Shared(self.axons.row, self.axons.reader,
                                                                      self.axons.neurons)),
        )

    def order(self, groups: Array) -> Array:
        """The order in which cores take tiles: group after group of populations.

        Tiles of a group of several populations go along a Hilbert curve over the frame, so that layers which read each
        other share cores. Tiles of a single population go by blocks of channels, and inside of each along the curve.
        """
        rows, channel, key = self.tiles.population, self.tiles.low[:, 0], normalised_key(*self.tiles.middle.T)
        mixed = np.bincount(groups[np.unique(rows)], minlength=len(groups))[groups[rows]] > 1
        return np.lexsort((np.where(mixed, channel, 0), np.where(mixed, rows, key), np.where(mixed, key, channel),
                           groups[rows]))

    def queues(self, groups: Array) -> list[Array]:
        """The tiles of each group of populations, in their order."""
        order = self.order(groups)
        return np.split(order, np.flatnonzero(np.diff(groups[self.tiles.population[order]])) + 1)

    def partition(self, queues: Sequence[Array], method: str, filled: FillCores) -> Partition:
        """The partition in which cores take tiles from these queues, and nearly empty cores are put together.

        Raises:
            TileTooLarge: a tile does not fit on a core of its own.
        """
        core = filled(queues, self.resources)
        if self.target.limits.out_axons_per_core is not None:
            limit = self.target.limits.out_axons_per_core
            ways = core, self._filled_again(queues, filled, core, limit)
            core = min((self._halved(np.concatenate(queues), way, limit) for way in ways), key=np.max)
        whole = self.result(core, method)
        if len(whole.limits) == 0 or whole.cores > MAX_MERGED:
            return whole
        used = np.stack([whole.used[name] for name in whole.limits], 1)
        into = merged(used, np.array(list(whole.limits.values())))
        return self.result(into[core], method) if int(into.max(initial=0)) + 1 < whole.cores else whole

    def by_hypergraph(self, cores: int) -> list[Partition]:
        """The cut by Mt-KaHyPar, with cores numbered along the curve; an empty list if it breaks a limit.

        Args:
            cores: how many cores the smallest other partition uses.
        """
        most = self.target.limits.neurons_per_core or int(self.tiles.neurons.sum())
        core = cut_hypergraph(self.axons, self.tiles.neurons, cores, most)
        if core is None:
            return []
        order = self.order(np.zeros(len(self.names), np.int64))
        _, first, at = np.unique(core[order], return_index=True, return_inverse=True)
        core[order] = np.argsort(np.argsort(first))[at]
        candidate = self.result(core, "hypergraph of tiles")
        return [candidate] if all(margin <= 0 for margin in candidate.margins.values()) else []

    def _filled_again(self, queues: Sequence[Array], filled: FillCores, core: Array, limit: int) -> Array:
        """New cores for tiles, `core[tile]`, which too many axons leave less often.

        How many axons leave a tile depends on where all others lie. So cores are filled again, with what leaves the
        tiles in the partition before as one more resource, several times.

        Args:
            limit: the out-axons of a core.
        """
        need = np.zeros(len(core), np.int64)
        for _ in range(REFILLED):
            leaving = out_axons(self.axons, core, len(core))
            need = np.maximum(need, leaving)
            if (np.bincount(core, leaving) <= limit).all() or (need > limit).any():
                break
            core = filled(queues, (*self.resources, Resource(OUT_AXONS, limit, need)))
        return core

    def _halved(self, order: Array, core: Array, limit: int) -> Array:
        """New cores for tiles, `core[tile]`: those that too many axons leave are halved until none is left.

        Half of a core has fewer out-axons, but the neurons that it reads get more, so that this may take several
        rounds.

        Args:
            limit: the out-axons of a core.

        Raises:
            TileTooLarge: too many axons leave a core that holds a single tile.
        """
        order = order[np.argsort(core[order], kind="stable")]
        while True:
            cores = int(core.max(initial=-1)) + 1
            out = traffic(self.axons, core, cores, len(self.names)).out_axons
            over = np.flatnonzero(out > limit)
            single = np.bincount(core, minlength=cores)[over] == 1
            if single.any():
                worst = over[single][0]
                raise TileTooLarge(int(np.flatnonzero(core == worst)[0]), Resource(OUT_AXONS, limit, core),
                                   int(out[worst]))
            if not len(over):
                return core
            core = halved(order, core, over)

    def result(self, core: Array, method: str) -> Partition:
        """The partition in which tile `t` lies on core `core[t]`, with all of its figures."""
        cores = int(core.max(initial=-1)) + 1
        flows = traffic(self.axons, core, cores, len(self.names))
        used = {r.name: r.used(core, cores) for r in self.resources[:2]}
        used |= {IN_AXONS: flows.in_axons, OUT_AXONS: flows.out_axons}
        limits = {r.name: r.limit for r in self.resources if r.limit is not None}
        if self.target.limits.out_axons_per_core is not None:
            limits[OUT_AXONS] = self.target.limits.out_axons_per_core
        return Partition(self.names, self.tiles, core, used, limits, flows, *self.least, method,
                         np.zeros(cores, np.int64))
