"""A network on the cores of its chips: the result of `partition` and `place`, and what a report says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from snncompile.mapping.partitioned import Partition
from snncompile.mapping.place import Placement


class Chip(NamedTuple):
    """A partitioned network; `placement` is None where the cores of the target lie on no mesh."""

    partition: Partition
    placement: Placement | None


@dataclass(frozen=True)
class CoreUse:
    """The figures of a partitioned network that a report shows.

    Attributes:
        cores, chips: how many cores are used, and on how many chips they lie.
        least, binding: the lower bound on the number of cores, and the resource that it comes from.
        used: by resource, what the fullest core uses; resources without a limit are included.
        limits: by resource, what a core has; only those that are limited.
        packets, packets_between_chips: spikes from one core to another if every neuron fires once, and those of them
            that go to another chip.
        mean_hops, least_mean_hops: hops of a packet on average, and the lower bound; None without a mesh.
        methods: how the partition and the placement were found.
    """

    cores: int
    chips: int
    least: int
    binding: str
    used: Mapping[str, int]
    limits: Mapping[str, int]
    packets: int
    packets_between_chips: int
    mean_hops: float | None
    least_mean_hops: float | None
    methods: tuple[str, ...]

    @classmethod
    def of(cls, chip: Chip) -> CoreUse:
        partition, at = chip.partition, chip.placement
        least, binding = partition.lower_bound
        return cls(partition.cores, partition.chips, least, binding,
                   {n: int(v.max(initial=0)) for n, v in partition.used.items()}, dict(partition.limits),
                   partition.remote_packets, sum(partition.packets_between_chips.values()),
                   at.mean_hops if at else None, at.least_mean_hops if at else None,
                   (partition.method, *([at.method] if at else [])))
