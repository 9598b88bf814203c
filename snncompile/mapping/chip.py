"""partition and place: a network on the cores of a chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from snncompile.mapping.partition import Partition
from snncompile.mapping.place import Placement


class Chip(NamedTuple):
    """A network on a chip; `placement` is None where cores lie on no mesh."""

    partition: Partition
    placement: Placement | None


@dataclass(frozen=True)
class CoreUse:
    """What a report says of a chip.

    Attributes:
        least: cores at least, and `binding`, what makes it so.
        used, limits: of the fullest core, by resource; all that is counted, and what is limited.
        packets: from core to core if every neuron fires once.
        mean_hops, least_mean_hops: of a packet; None without a mesh.
    """

    cores: int
    least: int
    binding: str
    used: Mapping[str, int]
    limits: Mapping[str, int]
    packets: int
    mean_hops: float | None
    least_mean_hops: float | None
    methods: tuple[str, ...]

    @classmethod
    def of(cls, chip: Chip) -> CoreUse:
        found, at = chip.partition, chip.placement
        least, binding = found.lower_bound
        return cls(found.cores, least, binding, {n: int(v.max(initial=0)) for n, v in found.used.items()},
                   dict(found.limits), found.remote_packets, at.mean_hops if at else None,
                   at.least_mean_hops if at else None, (found.method, *([at.method] if at else [])))
