"""Partition: which core of a target holds which neurons of a network, and how good that is.

Populations are cut into boxes, boxes are put in an order in which neighbours read the same axons, and cores take them
in that order until a limit is reached. Several such partitions are tried. Of those that use at most 5 % more cores than
the smallest, the one with the fewest packets between cores is kept. No step needs the numbers of weights, and no step
works neuron by neuron or synapse by synapse.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array
from snncompile.mapping.fill_cores import Resource, Shared, TileTooLarge, fill, halved, merged
from snncompile.mapping.hilbert import normalised_key
from snncompile.mapping.hypergraph import available, cut_hypergraph
from snncompile.mapping.lower_bounds import OUT_AXONS, least_cores, least_packets
from snncompile.mapping.tile_shapes import part, parts, refuse, whole_boxes
from snncompile.mapping.tiles import Cut, Link, Tiles, cut, links, measure
from snncompile.mapping.traffic import Axons, Traffic, axons, traffic
from snncompile.targets.layer_table import LayerTable, layer_table
from snncompile.targets.memory import IN_AXONS, NEURONS, SYNAPSES, core_needs, memory_model
from snncompile.targets.reach import Volume, volume
from snncompile.targets.target import Target

PARTS_OF_A_CORE = 16
"""Cores are filled from tiles of about this fraction of a core, where smaller tiles take no more memory."""
PARTS_TO_CUT = 8
"""The same for a hypergraph: its cut takes longer the more tiles there are."""
MAX_SMALL_TILES = 30_000
"""A network of more small tiles than this is only cut into the largest tiles, and filled layer after layer."""
SLACK = 1.05
"""A partition with fewer packets may use so many times the cores of the smallest one."""
MAX_JOINED = 60_000
"""Up to this product of small tiles and layers, interleaving is tried for every two neighbouring layers."""
MAX_MERGED = 20_000
"""Up to so many cores, nearly empty ones are put together."""


@dataclass(frozen=True)
class Partition:
    """Which core holds which neurons.

    Attributes:
        populations: the names of populations and inputs, by row of the layer table; inputs lie on no core.
        tiles: the boxes of neurons into which populations are cut.
        core: `[tile]`, the core of each tile. Cores that exchange packets have numbers close to each other; where a
            core holds one layer, it has the number that it has on the chip.
        used: by resource, what each core uses, `[core]`.
        limits: by resource, what a core has; only those that are limited.
        traffic: the packets between cores if every neuron fires once.
        least_cores: by resource, a lower bound on the number of cores.
        least_packets: a lower bound on the packets between cores.
        method: how the partition was found.
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

    @cached_property
    def cores(self) -> int:
        """How many cores are used."""
        return len(np.unique(self.core))

    @cached_property
    def packets(self) -> dict[str, int]:
        """By population, the packets that leave their core if every neuron fires once: one for each other core that
        reads the neuron."""
        sums = np.bincount(self.traffic.population, self.traffic.packets, len(self.populations))
        return {name: int(n) for name, n in zip(self.populations, sums, strict=True)}

    @property
    def remote_packets(self) -> int:
        """All packets between cores if every neuron fires once."""
        return int(self.traffic.packets.sum())

    @property
    def lower_bound(self) -> tuple[int, str]:
        """The largest lower bound on the number of cores, and the resource that it comes from."""
        name = max(self.least_cores, key=self.least_cores.__getitem__)
        return self.least_cores[name], name

    @property
    def margins(self) -> dict[str, float]:
        """By resource, `used / limit - 1` of the fullest core: -0.25 leaves a quarter."""
        return {name: float(self.used[name].max(initial=0)) / limit - 1 for name, limit in self.limits.items()}


def has_cores(target: Target) -> bool:
    """Whether a target has cores with limits, for which a network has to be cut."""
    most = target.limits
    return target.network.layer_per_core or any(n is not None for n in (
        most.neurons_per_core, most.synapse_bits_per_core, most.in_axons_per_core, most.out_axons_per_core))


def partition(graph: Graph, target: Target, weight_bits: int = 8, rates: Mapping[str, float] | None = None,
              hypergraph: bool = False) -> Partition:
    """Cut a LEGAL, INT or MAPPED graph for a target; its weights may be bare shapes.

    Args:
        weight_bits: the width that is assumed for weights which are not integers yet.
        rates: spikes per neuron and tick, by population: partitions are then compared by packets per tick, and not by
            packets if every neuron fires once.
        hypergraph: also try a cut by Mt-KaHyPar, if the extra `partition` is installed. It takes some seconds and often
            leaves fewer packets.

    Raises:
        CompileError: SNN413 and SNN416 for a neuron that needs more than a core has, SNN416 for a network that needs
            more cores than there are, or one with too many single synapses behind a reshape.
    """
    best = _Search(graph, target, weight_bits, rates or {}).best(hypergraph and available())
    if target.limits.cores is not None and best.cores > target.limits.cores:
        least, binding = best.lower_bound
        _refuse_cores(graph.name, f"{best.cores:,} cores; at least {least:,} for {binding}", target.limits.cores)
    return best


def _refuse_cores(name: str, needed: str, cores: int) -> NoReturn:
    fail("SNN416", f"graph {shorten(name)}, cores", needed, f"{cores:,} cores",
         "use fewer neurons, weights or --weight-bits, or several chips: a variant of the target with more cores")


class _Search:
    """The search for a partition of one network."""

    def __init__(self, graph: Graph, target: Target, weight_bits: int, rates: Mapping[str, float]):
        self.target, self.memory = target, memory_model(target)
        self.table: LayerTable = layer_table(graph, weight_bits)
        self.shapes: list[Volume] = [volume(graph.shapes[n]) for n in self.table.names]
        self.inputs = self.table.populations.is_input
        self._expect_room(graph.name)
        self.links: list[Link] = links(graph, self.table, self.memory)
        self.weights = np.array([rates.get(n, 0.0 if rates else 1.0) for n in self.table.names])
        self.least: tuple[dict[str, int], int] | None = None
        self.pieces: dict[tuple[Volume, ...], _Pieces] = {}

    def _expect_room(self, name: str) -> None:
        """Refuse a network with too many neurons for the chip before it is cut into as many tiles."""
        cores, each = self.target.limits.cores, self.target.limits.neurons_per_core
        neurons = int(self.table.populations.neurons @ (1 - self.inputs))
        if cores is not None and each is not None and neurons > cores * each:
            _refuse_cores(name, f"at least {-(-neurons // each):,} for neurons", cores)

    def best(self, hypergraph: bool) -> Partition:
        if self.target.network.layer_per_core:
            return self._layers()
        tried = list(self._partitions())
        if hypergraph:
            tried += self._by_hypergraph(min(p.cores for p in tried))
        few = min(p.cores for p in tried) * SLACK
        return min((p for p in tried if p.cores <= few), key=lambda p: (self._packets(p), p.cores))

    def _packets(self, candidate: Partition) -> float:
        """The packets between cores, weighted by the rates of their populations."""
        return float(candidate.traffic.packets @ self.weights[candidate.traffic.population])

    def _partitions(self) -> Iterator[Partition]:
        boxes, small = self.boxes, self._parts(PARTS_OF_A_CORE)
        tiles = self._count(small)
        if tiles <= MAX_SMALL_TILES:
            each = np.arange(len(self.shapes))
            together, apart = self._filled(small, 0 * each), self._filled(small, each)
            yield from (together, apart)
            if together.cores > SLACK * apart.cores and tiles * len(each) <= MAX_JOINED:
                yield self._joined(small, apart, each)
        if tiles > MAX_SMALL_TILES or boxes != small:
            yield self._filled(boxes, np.arange(len(self.shapes)), ", in whole boxes")

    def _joined(self, boxes: Sequence[Volume], apart: Partition, groups: Array) -> Partition:
        """A partition with neighbouring layers interleaved wherever that saves packets and uses no more cores.

        Args:
            apart: the partition that fills cores layer after layer, from which the search starts.
            groups: the group of each row of the layer table in that partition.
        """
        best = apart
        for row in range(1, len(groups)):
            joined = groups - (np.arange(len(groups)) >= row)
            candidate = self._filled(boxes, joined)
            if candidate.cores <= best.cores and self._packets(candidate) < self._packets(best):
                best, groups = candidate, joined
        return best

    def _filled(self, boxes: Sequence[Volume], groups: Array, remark: str = "") -> Partition:
        """The partition that results from filling cores; boxes that are too large for a core are cut further.

        Args:
            boxes: the box of each row of the layer table.
            groups: the group of each row. The tiles of populations of one group are interleaved, group after group.
            remark: what is added to the name of the method.
        """
        many = len(np.unique(groups[self.inputs == 0]))
        words = {1: "layers interleaved", int((1 - self.inputs).sum()): "layer after layer"}
        method = words.get(many, f"layers interleaved in {many} groups") + remark
        boxes = list(boxes)
        while True:
            pieces = self._cut(boxes)
            try:
                return pieces.partition(pieces.order(groups), method)
            except TileTooLarge as e:
                row = int(pieces.tiles.population[e.tile])
                if boxes[row] == (1, 1, 1):
                    refuse(self.table.names[row], e.resource.name, e.used, e.resource.limit or 0)
                boxes[row] = part(boxes[row], math.prod(boxes[row]) // 2)

    def _by_hypergraph(self, cores: int) -> list[Partition]:
        boxes = self._parts(PARTS_TO_CUT)
        return self._cut(boxes).by_hypergraph(cores) if self._count(boxes) <= MAX_SMALL_TILES else []

    @cached_property
    def boxes(self) -> list[Volume]:
        """The largest boxes that fit on a core, by row of the layer table."""
        return whole_boxes(self.shapes, self.links, self.table, self.memory)

    def _parts(self, parts_of_a_core: int) -> list[Volume]:
        """Smaller boxes, of which a core holds about the given number."""
        all_neurons = int(self.table.populations.neurons @ (1 - self.inputs))
        per_core = self.target.limits.neurons_per_core or -(-all_neurons // (self.target.limits.cores or 1))
        return parts(self.boxes, self.links, self.memory, max(1, per_core // parts_of_a_core))

    def _cuts(self, boxes: Sequence[Volume]) -> tuple[Cut | None, ...]:
        return cut([None if given else s for s, given in zip(self.shapes, self.inputs, strict=True)], boxes)

    def bounds(self, all_axons: Axons) -> tuple[dict[str, int], int]:
        """The lower bounds on cores and packets, which are the same for all cuts."""
        if self.least is None:
            network = self.shapes, self.inputs, self.links
            least = least_cores(*network, all_axons, self.memory)
            checked = core_needs(self.table, self.target)
            self.least = ({name: max(cores, -(-int(checked[name][0].sum()) // checked[name][1])) if name in checked
                           else cores for name, cores in least.items()}, least_packets(*network, self.memory))
        return self.least

    def _count(self, boxes: Sequence[Volume]) -> int:
        """How many tiles a cut into these boxes has."""
        return sum(len(c) for c in self._cuts(boxes) if c)

    def _cut(self, boxes: Sequence[Volume]) -> _Pieces:
        key = tuple(boxes)
        if key not in self.pieces:
            cuts = self._cuts(boxes)
            self.pieces[key] = _Pieces(self, measure(cuts, self.links, self.memory), axons(
                cuts, self.shapes, self.links, delays_apart=self.memory.delays_take_axons))
        return self.pieces[key]

    def _layers(self) -> Partition:
        """The partition of a chip whose cores hold one layer each: a matching of layers with cores that they fit.

        Raises:
            CompileError: SNN416 where the largest matching leaves layers without a core.
        """
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import maximum_bipartite_matching

        fits = self.memory.fitting_cores(self.table)[self.inputs == 0]
        core = maximum_bipartite_matching(csr_array(fits), "column")
        if (core < 0).any():
            lost = np.flatnonzero(self.inputs == 0)[core < 0]
            names = ", ".join(shorten(self.table.names[row]) for row in lost[:8])
            fail("SNN416", f"population {names}", "layers without a core that is large enough and free",
                 f"{fits.shape[1]} cores, one layer each", "use fewer channels, smaller kernels or smaller frames")
        return self._cut(self.shapes).result(core.astype(np.int64), "one layer a core")


@dataclass(frozen=True)
class _Pieces:
    """A network cut into tiles."""

    search: _Search
    tiles: Tiles
    axons: Axons

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What tiles use of a core, except for out-axons, which depend on where all other tiles lie."""
        limits, tiles = self.search.target.limits, self.tiles
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

    def partition(self, order: Array, method: str) -> Partition:
        """The partition in which cores take tiles in this order, and nearly empty cores are put together.

        Raises:
            TileTooLarge: a tile does not fit on a core of its own.
        """
        core = self._within_out_axons(order, fill(order, self.resources))
        filled = self.result(core, method)
        if len(filled.limits) == 0 or filled.cores > MAX_MERGED:
            return filled
        used = np.stack([filled.used[name] for name in filled.limits], 1)
        into = merged(used, np.array(list(filled.limits.values())))
        return self.result(into[core], method) if int(into.max(initial=0)) + 1 < filled.cores else filled

    def by_hypergraph(self, cores: int) -> list[Partition]:
        """The cut by Mt-KaHyPar, with cores numbered along the curve; an empty list if it breaks a limit.

        Args:
            cores: how many cores the smallest other partition uses.
        """
        most = self.search.target.limits.neurons_per_core or int(self.tiles.neurons.sum())
        core = cut_hypergraph(self.axons, self.tiles.neurons, cores, most)
        if core is None:
            return []
        order = self.order(np.zeros(len(self.search.shapes), np.int64))
        _, first, at = np.unique(core[order], return_index=True, return_inverse=True)
        core[order] = np.argsort(np.argsort(first))[at]
        candidate = self.result(core, "hypergraph of tiles")
        return [candidate] if all(margin <= 0 for margin in candidate.margins.values()) else []

    def _within_out_axons(self, order: Array, core: Array) -> Array:
        """New cores for tiles, `core[tile]`: those that too many axons leave are halved until none is left.

        Half of a core has fewer out-axons, but the neurons that it reads get more, so that this may take several
        rounds.

        Raises:
            TileTooLarge: too many axons leave a core that holds a single tile.
        """
        limit = self.search.target.limits.out_axons_per_core
        while limit is not None:
            cores = int(core.max(initial=-1)) + 1
            out = traffic(self.axons, core, cores, len(self.search.shapes)).out_axons
            over = np.flatnonzero(out > limit)
            single = np.bincount(core, minlength=cores)[over] == 1
            if single.any():
                worst = over[single][0]
                raise TileTooLarge(int(np.flatnonzero(core == worst)[0]), Resource(OUT_AXONS, limit, core),
                                   int(out[worst]))
            if not len(over):
                break
            core = halved(order, core, over)
        return core

    def result(self, core: Array, method: str) -> Partition:
        """The partition in which tile `t` lies on core `core[t]`, with all of its figures."""
        search, cores = self.search, int(core.max(initial=-1)) + 1
        flows = traffic(self.axons, core, cores, len(search.shapes))
        used = {r.name: r.used(core, cores) for r in self.resources[:2]}
        used |= {IN_AXONS: flows.in_axons, OUT_AXONS: flows.out_axons}
        limits = {r.name: r.limit for r in self.resources if r.limit is not None}
        if search.target.limits.out_axons_per_core is not None:
            limits[OUT_AXONS] = search.target.limits.out_axons_per_core
        return Partition(search.table.names, self.tiles, core, used, limits, flows, *search.bounds(self.axons), method)
