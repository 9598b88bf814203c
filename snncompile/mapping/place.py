"""Put the cores of a partition on a target's mesh, so that spikes have short ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncompile.diagnostics import fail
from snncompile.ir.types import Array
from snncompile.mapping.hilbert import curve, normalised_key
from snncompile.mapping.partition import Partition
from snncompile.mapping.swaps import improved, spectral
from snncompile.targets.target import Target

MAX_SWAPPED = 1024
"""Cores of a mesh that is improved by swaps; on larger ones they lie along the curve."""


@dataclass(frozen=True)
class Placement:
    """Where cores lie, in tiles of a mesh; cores of one tile are no hop apart.

    Attributes:
        column, row: `[core]`.
        columns, rows, cores_per_tile: of the mesh.
        hops_x, hops_y: along rows and columns, of all packets if every neuron fires once, by population.
        mean_hops: of a packet, weighted as the partition was.
        least_mean_hops: a lower bound: the traffic of every core sorted onto the rings around it.
        method: how it was found.
    """

    column: Array
    row: Array
    columns: int
    rows: int
    cores_per_tile: int
    hops_x: Mapping[str, int]
    hops_y: Mapping[str, int]
    mean_hops: float
    least_mean_hops: float
    method: str


def place(found: Partition, target: Target, rates: Mapping[str, float] | None = None) -> Placement | None:
    """Cores on the mesh of a target; None if it has none, or cores that are not alike.

    Args:
        rates: spikes a neuron and tick, by population, to weigh the ways of packets with.

    Raises:
        CompileError: SNN416 for more cores than the mesh has.
    """
    columns, rows, each = target.mesh.columns, target.mesh.rows, target.mesh.cores_per_tile
    if columns is None or rows is None or target.network.layer_per_core:
        return None
    if found.cores > columns * rows * each:
        fail("SNN416", "mesh", f"{found.cores:,} cores", f"{columns * rows * each:,}: {columns} columns, {rows} rows",
             "a variant of the target with more columns and rows")
    flows, points = found.traffic, np.repeat(curve(columns, rows), each, 0)
    weights = np.array([(rates or {}).get(n, 0.0 if rates else 1.0) for n in found.populations])
    packets = flows.packets * weights[flows.population]
    at, method = _best(found, packets, points)
    ways = np.abs(points[at[flows.source]] - points[at[flows.target]])
    x, y = (_by_population(found, along) for along in ways.T)
    total = max(float(packets.sum()), 1e-300)
    least = least_hops(flows.source, flows.target, packets, found.cores, each)
    return Placement(points[at, 0], points[at, 1], columns, rows, each, x, y,
                     float(packets @ ways.sum(1)) / total, least / total, method)


def _by_population(found: Partition, each: Array) -> dict[str, int]:
    """Sums over the packets of each population."""
    flows = found.traffic
    sums = np.bincount(flows.population, flows.packets * each, len(found.populations))
    return {name: int(n) for name, n in zip(found.populations, sums, strict=True)}


def _best(found: Partition, packets: Array, points: Array) -> tuple[Array, str]:
    """The place of each core, as a row of the mesh's points, and how it was found."""
    source, target = found.traffic.source, found.traffic.target
    along = np.arange(len(points))
    by_frame = along.copy()
    by_frame[_by_frame(found)] = along[:found.cores]
    starts = {"Hilbert curve": along, "Hilbert curve by place in the frame": by_frame}
    swaps = found.cores >= 3 and len(points) <= MAX_SWAPPED and packets.any()
    if swaps:
        traffic = np.zeros((len(points), len(points)))
        np.add.at(traffic, (source, target), packets)
        traffic += traffic.T
        starts["spectral"] = spectral(traffic, points, found.cores)
    cost = {n: float(packets @ np.abs(points[at[source]] - points[at[target]]).sum(1)) for n, at in starts.items()}
    best = min(cost, key=cost.__getitem__)
    if not swaps:
        return starts[best][:found.cores], best
    ways = np.abs(points[:, None] - points).sum(2).astype(float)
    return improved(traffic, ways, starts[best], found.cores)[:found.cores], f"{best}, swaps"


def _by_frame(found: Partition) -> Array:
    """Cores along the curve over the frame: all layers of one place are next to each other."""
    weights = found.tiles.neurons
    y, x = (np.bincount(found.core, weights * at) / np.bincount(found.core, weights) for at in found.tiles.middle.T)
    return np.asarray(np.lexsort((np.arange(found.cores), normalised_key(y, x))))


def least_hops(source: Array, target: Array, packets: Array, cores: int, each: int) -> float:
    """Hops of all packets, at least: around a core there are 4 tiles at 1 hop, 8 at 2, and so on.

    Three bounds, of which the largest is taken: each core's packets sorted onto its rings as it sends them, as it
    receives them, and half of both together.
    """
    ends = np.concatenate([source, target]), np.concatenate([target, source])
    both = _on_rings(*ends, np.concatenate([packets, packets]), cores, each) / 2
    return max(both, _on_rings(source, target, packets, cores, each), _on_rings(target, source, packets, cores, each))


def _on_rings(core: Array, other: Array, packets: Array, cores: int, each: int) -> float:
    pairs, place = np.unique(core * cores + other, return_inverse=True)
    if not len(pairs):
        return 0.0
    many = np.bincount(place, packets)
    order = np.lexsort((-many, pairs // cores))
    of = (pairs // cores)[order]
    rank = np.arange(len(of)) - np.searchsorted(of, of)
    rings = np.arange(1, 2 + int(np.sqrt(len(of))))
    room = each - 1 + np.concatenate(([0], np.cumsum(4 * rings * each)))
    return float(many[order] @ np.searchsorted(room, rank, "right"))
