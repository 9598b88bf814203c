"""`Partition`: which core of a target holds which neurons of a network, and how good that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.hilbert import normalised_key
from snncompile.mapping.tiles import Tiles
from snncompile.mapping.traffic import Traffic


@dataclass(frozen=True)
class Partition:
    """Which core holds which neurons.

    Attributes:
        populations: the names of populations and inputs, by row of the layer table; inputs lie on no core.
        tiles: the boxes of neurons into which populations are cut.
        core: `[tile]`, the core of each tile. Cores that exchange packets have numbers close to each other; where a
            core holds one layer, it has the number that it has on the chip, those of a second chip following.
        used: by resource, what each core uses, `[core]`.
        limits: by resource, what a core has; only those that are limited.
        traffic: the packets between cores if every neuron fires once.
        least_cores: by resource, a lower bound on the number of cores.
        least_packets: a lower bound on the packets between cores.
        method: how the partition was found.
        chip: `[core]`, the chip of each core; all 0 on a target of one chip.
    """

    populations: tuple[str, ...]
    tiles: Tiles
    core: Array
    used: Mapping[str, Array]
    limits: Mapping[str, int]
    traffic: Traffic
    least_cores: Mapping[str, int]
    least_packets: int
    method: str
    chip: Array

    @cached_property
    def cores(self) -> int:
        """How many cores are used."""
        return len(np.unique(self.core))

    @cached_property
    def packets(self) -> dict[str, int]:
        """By population, the packets that leave their core if every neuron fires once: one for each other core that
        reads the neuron."""
        return self.by_population(self.traffic.packets)

    def by_population(self, each: Array) -> dict[str, int]:
        """The sum of whole numbers `[flow]` over the flows of each population."""
        sums = np.bincount(self.traffic.population, each, len(self.populations))
        return {name: int(n) for name, n in zip(self.populations, sums, strict=True)}

    @property
    def remote_packets(self) -> int:
        """All packets between cores if every neuron fires once."""
        return int(self.traffic.packets.sum())

    @cached_property
    def chips(self) -> int:
        """How many chips are used."""
        return max(1, len(np.unique(self.chip[np.unique(self.core)])))

    @cached_property
    def packets_between_chips(self) -> dict[str, int]:
        """By population, the packets of `packets` whose cores lie on different chips."""
        flows = self.traffic
        return self.by_population(flows.packets * (self.chip[flows.source] != self.chip[flows.target]))

    @cached_property
    def along_frame(self) -> Array:
        """Cores along a Hilbert curve over the frame, on which layers of the same part of it are neighbours."""
        neurons = self.tiles.neurons
        y, x = (np.bincount(self.core, neurons * at) / np.bincount(self.core, neurons) for at in self.tiles.middle.T)
        return np.asarray(np.lexsort((np.arange(self.cores), normalised_key(y, x))))

    @property
    def lower_bound(self) -> tuple[int, str]:
        """The largest lower bound on the number of cores, and the resource that it comes from."""
        name = max(self.least_cores, key=self.least_cores.__getitem__)
        return self.least_cores[name], name

    @property
    def margins(self) -> dict[str, float]:
        """By resource, `used / limit - 1` of the fullest core: -0.25 leaves a quarter."""
        return {name: float(self.used[name].max(initial=0)) / limit - 1 for name, limit in self.limits.items()}
