"""What cores use while tiles move between them one by one.

A tile that moves changes the in-axons of two cores, and the out-axons of these and of all cores whose neurons it reads.
`Loads` keeps all of them up to date, so that a search can try thousands of moves.
"""

from __future__ import annotations

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.pieces import Pieces

AWAY = -1
"""The core of a tile that lies on none."""
NEURONS, BITS, INTO, OUT = range(4)
"""The rows of what cores use: neurons, bits of synapses, in-axons and out-axons."""


class Loads:
    """Tiles on cores, and what each core uses.

    Attributes:
        core: `[tile]`, the core of each tile; AWAY for those that were taken off.
        used: `[resource, core]`, what each core uses, see NEURONS and the others.
        limits: `[resource]`, what a core has; infinite where nothing limits it.
        axons, neurons: `[tile]`, the axons that a tile needs alone on a core, and its neurons.
    """

    def __init__(self, pieces: Pieces, core: Array):
        sources, tiles, most = pieces.axons, pieces.tiles, pieces.target.limits
        limits = (most.neurons_per_core, most.synapse_bits_per_core, most.in_axons_per_core, most.out_axons_per_core)
        self.limits = np.array([np.inf if n is None else n for n in limits])
        count, cores = len(tiles), int(core.max()) + 1
        self.core = np.full(count, AWAY)
        self.used = np.zeros((4, cores))
        self._size = sources.neurons.astype(np.float64)
        self._reads = _by_tile(sources.reader, sources.row, count)
        self._emits = _by_tile(sources.tile[sources.tile >= 0], np.flatnonzero(sources.tile >= 0), count)
        self._kernels = _by_tile(tiles.kernel_tile, tiles.kernel, count)
        self._kernel_bits = tiles.kernel_bits.astype(np.float64)
        self._bits = tiles.synapse_bits
        self.neurons = tiles.neurons
        self.axons = np.array([self._size[rows].sum() for rows in self._reads])
        self._home = np.full(len(sources), AWAY)
        self._cores_of = np.zeros(len(sources))  # cores that read each row of axons
        self._readers = np.zeros((len(sources), cores), np.int32)
        self._absent = np.ones((len(sources), cores))  # 1 where a core does not read a row of axons
        self._holders = np.zeros((len(self._kernel_bits), cores), np.int32)
        for tile, place in enumerate(core.tolist()):
            self.put(tile, place)

    def put(self, tile: int, core: int) -> None:
        """Put a tile that lies nowhere on a core."""
        rows, kernels, own = self._reads[tile], self._kernels[tile], self._emits[tile]
        new = rows[self._readers[rows, core] == 0]
        self._readers[rows, core] += 1
        self._absent[new, core] = 0
        self._cores_of[new] += 1
        self._read(new, core, 1)
        stored = kernels[self._holders[kernels, core] == 0]
        self._holders[kernels, core] += 1
        self._home[own] = core
        self.used[:, core] += (self.neurons[tile], self._bits[tile] + self._kernel_bits[stored].sum(), 0,
                               self._sent(own, core))
        self.core[tile] = core

    def take(self, tile: int) -> None:
        """Take a tile off its core."""
        core = int(self.core[tile])
        rows, kernels, own = self._reads[tile], self._kernels[tile], self._emits[tile]
        self._holders[kernels, core] -= 1
        stored = kernels[self._holders[kernels, core] == 0]
        self.used[:, core] -= (self.neurons[tile], self._bits[tile] + self._kernel_bits[stored].sum(), 0,
                               self._sent(own, core))
        self._home[own] = AWAY
        self._readers[rows, core] -= 1
        old = rows[self._readers[rows, core] == 0]
        self._absent[old, core] = 1
        self._cores_of[old] -= 1
        self._read(old, core, -1)
        self.core[tile] = AWAY

    def _read(self, rows: Array, core: int, sign: int) -> None:
        """Count the axons of rows that a core begins to read, or with -1 ceases to."""
        size, home = self._size[rows], self._home[rows]
        self.used[INTO, core] += sign * size.sum()
        away = (home != core) & (home != AWAY)
        np.add.at(self.used[OUT], home[away], sign * size[away])

    def _sent(self, own: Array, core: int) -> float:
        """The out-axons of rows of axons whose neurons lie on a core."""
        return float(self._size[own] @ (self._cores_of[own] - 1 + self._absent[own, core]))

    def more(self, tile: int) -> Array:
        """What each core would use more with this tile, which lies nowhere, `[resource, core]`."""
        rows, kernels, own = self._reads[tile], self._kernels[tile], self._emits[tile]
        extra = np.empty_like(self.used)
        extra[NEURONS] = self.neurons[tile]
        extra[BITS] = self._bits[tile] + self._kernel_bits[kernels] @ (self._holders[kernels] == 0)
        extra[INTO] = self._size[rows] @ self._absent[rows]
        extra[OUT] = self._size[own] @ (self._cores_of[own] - 1) + self._size[own] @ self._absent[own]
        return extra

    def leaves_room(self, tile: int, core: int) -> bool:
        """Whether the cores that the tile reads have out-axons left to reach this core too."""
        rows = self._reads[tile]
        new = rows[self._readers[rows, core] == 0]
        home = self._home[new]
        away = (home != core) & (home != AWAY)
        more = np.bincount(home[away], self._size[new[away]], self.used.shape[1])
        return bool((self.used[OUT] + more <= self.limits[OUT]).all())

    def shared(self, tile: int) -> Array:
        """How many of the axons that a tile reads each core has, `[core]`."""
        rows = self._reads[tile]
        return np.asarray(self._size[rows] @ (1 - self._absent[rows]))


def _by_tile(tile: Array, value: Array, count: int) -> list[Array]:
    """The values of each tile, as pairs of a tile and a value list them."""
    order = np.argsort(tile, kind="stable")
    return np.split(value[order], np.cumsum(np.bincount(tile, minlength=count))[:-1])
