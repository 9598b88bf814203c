"""Put the cores of a partition on a target's mesh, so that spikes take few hops.

Several chips lie side by side on a board, a rectangle that is as square as it can be, and a spike crosses from the last
tile of one to the first tile of the next in one hop. Three chips lie on a board of four, one of which holds no neurons
and only passes spikes on. That is provisional: boards differ, and what they look like is not public.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncompile.diagnostics import fail
from snncompile.ir.types import Array
from snncompile.mapping.hilbert import curve
from snncompile.mapping.partitioned import Partition
from snncompile.mapping.swaps import improved, spectral
from snncompile.targets.target import Target

MAX_SWAPPED = 1024
"""Placements on meshes of at most so many cores are improved by swaps; on larger ones cores lie along the curve."""


@dataclass(frozen=True)
class Placement:
    """Where cores lie on a mesh of tiles. Cores of the same tile are 0 hops apart.

    Attributes:
        column, row: `[core]`, the tile of each core, counted over all chips.
        columns, rows, cores_per_tile: the size of the mesh of one chip.
        corners: `[chip, (column, row)]`, the first tile of each chip of the board, those without neurons last.
        hops_x, hops_y: by population, the hops along rows and along columns of all packets if every neuron fires once.
        mean_hops: hops of a packet on average, weighted by the rates if those were given.
        least_mean_hops: a lower bound on `mean_hops`, see `least_hops`.
        method: how the placement was found.
    """

    column: Array
    row: Array
    columns: int
    rows: int
    cores_per_tile: int
    corners: Array
    hops_x: Mapping[str, int]
    hops_y: Mapping[str, int]
    mean_hops: float
    least_mean_hops: float
    method: str

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the tiles of all chips together."""
        column, row = self.corners.max(0).tolist()
        return column + self.columns, row + self.rows


def expect_places(partition: Partition, target: Target) -> tuple[int, int] | None:
    """The columns and rows of the mesh of a chip; None where it has none, or where its cores differ.

    Raises:
        CompileError: SNN416 for more cores on a chip than its mesh has.
    """
    columns, rows, each = target.mesh.columns, target.mesh.rows, target.mesh.cores_per_tile
    if columns is None or rows is None or target.network.layer_per_core:
        return None
    fullest = int(np.bincount(partition.chip).max(initial=0))
    if fullest > columns * rows * each:
        fail("SNN416", "mesh", f"{fullest:,} cores",
             f"{columns * rows * each:,}: {columns} columns, {rows} rows",
             "a variant of the target with more columns and rows")
    return columns, rows


def place(partition: Partition, target: Target, rates: Mapping[str, float] | None = None) -> Placement | None:
    """The cores of a partition on the mesh of a target; None where it has no mesh, or where its cores differ.

    Args:
        rates: spikes per neuron and tick, by population: packets then count as often as they are sent. Every
            population fires once where no rates are given, and not at all where only its own is missing.

    Raises:
        CompileError: SNN416 for more cores on a chip than its mesh has.
    """
    mesh, each = expect_places(partition, target), target.mesh.cores_per_tile
    if mesh is None:
        return None
    columns, rows = mesh
    corners = _corners(partition.chips, columns, rows)
    points = (corners[:partition.chips, None] + np.repeat(curve(columns, rows), each, 0)).reshape(-1, 2)
    flows = partition.traffic
    weights = np.array([(rates or {}).get(n, 0.0 if rates else 1.0) for n in partition.populations])
    packets = flows.packets * weights[flows.population]
    at, method = _best(partition, packets, points)
    ways = np.abs(points[at[flows.source]] - points[at[flows.target]])
    x, y = (partition.by_population(flows.packets * along) for along in ways.T)
    total = max(float(packets.sum()), 1e-300)
    least = least_hops(flows.source, flows.target, packets, partition.cores, each)
    return Placement(points[at, 0], points[at, 1], columns, rows, each, corners, x, y,
                     float(packets @ ways.sum(1)) / total, least / total, method)


def _corners(chips: int, columns: int, rows: int) -> Array:
    """The column and the row of the first tile of each chip of a board with room for so many chips, along a Hilbert
    curve over the board.

    >>> _corners(3, columns=8, rows=4).tolist()
    [[0, 0], [0, 4], [8, 4], [8, 0]]
    """
    wide = math.ceil(math.sqrt(chips))
    return np.asarray(curve(wide, -(-chips // wide)) * (columns, rows))


def _best(partition: Partition, packets: Array, points: Array) -> tuple[Array, str]:
    """The place of each core, as a row of `points`, and the name of the method.

    The best of several starts is taken: cores along the Hilbert curve in the order of the partition, cores along it in
    the order of their place in the frame, and, on one chip, the spectral start. On small meshes, swaps then improve it,
    among the cores of a chip.
    """
    source, target = partition.traffic.source, partition.traffic.target
    starts = {"Hilbert curve": _along(np.arange(partition.cores), partition, len(points)),
              "Hilbert curve by place in the frame": _along(partition.along_frame, partition, len(points))}
    swaps = partition.cores >= 3 and len(points) <= MAX_SWAPPED and packets.any()
    if swaps:
        traffic = np.zeros((len(points), len(points)))
        np.add.at(traffic, (source, target), packets)
        traffic += traffic.T
    if swaps and partition.chips == 1:
        starts["spectral"] = spectral(traffic, points, partition.cores)
    cost = {n: float(packets @ np.abs(points[at[source]] - points[at[target]]).sum(1)) for n, at in starts.items()}
    best = min(cost, key=cost.__getitem__)
    if not swaps:
        return starts[best][:partition.cores], best
    ways = np.abs(points[:, None] - points).sum(2).astype(float)
    chip = starts[best] // (len(points) // partition.chips)
    return improved(traffic, ways, starts[best], partition.cores, chip)[:partition.cores], f"{best}, swaps"


def _along(order: Array, partition: Partition, places: int) -> Array:
    """A start: the place of each core, and then of empty cores, if each chip takes its cores in an order.

    Args:
        order: all cores.
        places: on all chips together.
    """
    chip = partition.chip[order]
    by_chip = np.argsort(chip, kind="stable")
    rank = np.arange(len(order)) - np.searchsorted(chip[by_chip], chip[by_chip])
    taken = chip[by_chip] * (places // partition.chips) + rank
    at = np.empty(places, np.int64)
    at[order[by_chip]] = taken
    at[len(order):] = np.setdiff1d(np.arange(places), taken)
    return at


def least_hops(source: Array, target: Array, packets: Array, cores: int, each: int) -> float:
    """A lower bound on the hops of all packets together.

    Around a core there are 4 tiles at 1 hop, 8 at 2 hops, and so on. The traffic of a core takes the fewest hops if its
    busiest partners are nearest. The bound is the largest of three: the packets that each core sends, those that it
    receives, and half of both together.

    A core that sends 9 packets to each of 5 others, one core per tile, has four of them 1 hop away and one 2 hops away:

    >>> five = np.arange(1, 6)
    >>> least_hops(np.zeros(5, int), five, np.full(5, 9), cores=6, each=1)
    54.0

    Args:
        source, target, packets: `[flow]`, how many packets go from core to core.
        each: cores of a tile.
    """
    ends = np.concatenate([source, target]), np.concatenate([target, source])
    both = _on_rings(*ends, np.concatenate([packets, packets]), cores, each) / 2
    return max(both, _on_rings(source, target, packets, cores, each), _on_rings(target, source, packets, cores, each))


def _on_rings(core: Array, other: Array, packets: Array, cores: int, each: int) -> float:
    """Hops of all packets if the busiest partners of each core were nearest to it."""
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
