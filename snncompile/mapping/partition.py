"""Cut a network into pieces, one for each core of a target, and say how good that is.

Populations are cut into boxes, boxes are put in an order in which neighbours read the same axons, and cores take them
in that order until a limit is reached. Several such partitions are made; the one with the fewest packets between cores
is kept, among those that take hardly more cores than the least. No step needs the numbers of weights, and nothing is
done neuron by neuron or synapse by synapse.
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
from snncompile.mapping.lower_bounds import IN_AXONS, OUT_AXONS, least_cores, least_packets
from snncompile.mapping.tile_shapes import part, parts, refuse, whole_boxes
from snncompile.mapping.tiles import Cut, Link, Tiles, cut, links, measure
from snncompile.mapping.traffic import Axons, Traffic, axons, traffic
from snncompile.targets.layer_table import Table, layer_table
from snncompile.targets.memory import NEURONS, SYNAPSES, memory_model
from snncompile.targets.reach import Volume, volume
from snncompile.targets.target import Target

PARTS_OF_A_CORE = 16
"""Tiles that a core is made of, where memory allows them to be so small."""
PARTS_TO_CUT = 8
"""The same for a hypergraph, which takes the longer the more there are."""
MAX_SMALL_TILES = 30_000
"""Networks of more tiles are cut into as large ones as cores hold, and layer after layer."""
SLACK = 1.05
"""By how much more cores than the least a partition may take for having fewer packets."""
MAX_JOINED = 60_000
"""Small tiles times layers, up to which every two neighbouring layers are tried together."""
MAX_MERGED = 20_000
"""Cores among which emptier ones are looked for that go together."""


@dataclass(frozen=True)
class Partition:
    """Which core holds what.

    Attributes:
        populations: names, by row of the layer table; inputs are among them, and lie on no core.
        tiles: boxes of neurons.
        core: `[tile]`, numbered in the order in which neighbours are next to each other; where a core holds one layer,
            the number that it has on the chip.
        used: `[core]` by resource. `limits`: what a core has of it.
        traffic: between cores, if every neuron fires once.
        least_cores: lower bounds, by resource. `least_packets`: a lower bound.
        method: how it was found.
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
        """How many are used."""
        return len(np.unique(self.core))

    @cached_property
    def packets(self) -> dict[str, int]:
        """Spikes that leave their core for each other core they reach, if every neuron fires once, by population."""
        sums = np.bincount(self.traffic.population, self.traffic.packets, len(self.populations))
        return {name: int(n) for name, n in zip(self.populations, sums, strict=True)}

    @property
    def remote_packets(self) -> int:
        return int(self.traffic.packets.sum())

    @property
    def lower_bound(self) -> tuple[int, str]:
        """The least number of cores, and what makes it so."""
        name = max(self.least_cores, key=self.least_cores.__getitem__)
        return self.least_cores[name], name

    @property
    def margins(self) -> dict[str, float]:
        """`used / limit - 1` of the fullest core, by resource."""
        return {name: float(self.used[name].max(initial=0)) / limit - 1 for name, limit in self.limits.items()}


def has_cores(target: Target) -> bool:
    """Whether a target is made of cores that networks must be cut for."""
    most = target.limits
    return target.network.layer_per_core or any(n is not None for n in (
        most.neurons_per_core, most.synapse_bits_per_core, most.in_axons_per_core, most.out_axons_per_core))


def partition(graph: Graph, target: Target, weight_bits: int = 8, rates: Mapping[str, float] | None = None,
              hypergraph: bool = False) -> Partition:
    """Cut a LEGAL, INT or MAPPED graph for a target; its weights may be bare shapes.

    Args:
        weight_bits: assumed of weights that are not integers yet.
        rates: spikes a neuron and tick, by population: partitions are then compared by packets a tick.
        hypergraph: also try Mt-KaHyPar, if the extra `partition` is installed: some seconds, and fewer packets.

    Raises:
        CompileError: SNN413 and SNN416 for a neuron that needs more than a core has, SNN416 for more cores than there
            are.
    """
    found = _Search(graph, target, weight_bits, rates or {}).best(hypergraph and available())
    if target.limits.cores is not None and found.cores > target.limits.cores:
        least, binding = found.lower_bound
        _refuse_cores(graph.name, f"{found.cores:,} cores; at least {least:,} for {binding}", target.limits.cores)
    return found


def _refuse_cores(name: str, found: str, cores: int) -> NoReturn:
    fail("SNN416", f"graph {shorten(name)}, cores", found, f"{cores:,} cores",
         "use fewer neurons, weights or --weight-bits, or several chips: a variant of the target with more cores")


class _Search:
    """The partitions of one network."""

    def __init__(self, graph: Graph, target: Target, weight_bits: int, rates: Mapping[str, float]):
        self.target, self.memory = target, memory_model(target)
        self.table: Table = layer_table(graph, weight_bits)
        self.shapes: list[Volume] = [volume(graph.shapes[n]) for n in self.table.names]
        self.inputs = self.table.populations.is_input
        self._expect_room(graph.name)
        self.links: list[Link] = links(graph, self.table, self.memory)
        self.weights = np.array([rates.get(n, 0.0 if rates else 1.0) for n in self.table.names])
        self.least: tuple[dict[str, int], int] | None = None
        self.pieces: dict[tuple[Volume, ...], _Pieces] = {}

    def _expect_room(self, name: str) -> None:
        """Refuse what is far too large before it is cut into as many tiles."""
        cores, each = self.target.limits.cores, self.target.limits.neurons_per_core
        neurons = int(self.table.populations.neurons @ (1 - self.inputs))
        if cores is not None and each is not None and neurons > cores * each:
            _refuse_cores(name, f"at least {-(-neurons // each):,} for neurons", cores)

    def best(self, hypergraph: bool) -> Partition:
        if self.target.network.layer_per_core:
            return self._layers()
        made = list(self._partitions())
        if hypergraph:
            made += self._by_hypergraph(min(p.cores for p in made))
        few = min(p.cores for p in made) * SLACK
        return min((p for p in made if p.cores <= few), key=lambda p: (self._packets(p), p.cores))

    def _packets(self, found: Partition) -> float:
        """Packets, weighted by the rates of their populations."""
        return float(found.traffic.packets @ self.weights[found.traffic.population])

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
        """Neighbouring layers interleaved wherever that saves packets and takes no more cores."""
        best = apart
        for row in range(1, len(groups)):
            joined = groups - (np.arange(len(groups)) >= row)
            found = self._filled(boxes, joined)
            if found.cores <= best.cores and self._packets(found) < self._packets(best):
                best, groups = found, joined
        return best

    def _filled(self, boxes: Sequence[Volume], groups: Array, remark: str = "") -> Partition:
        """A partition; boxes that turn out to be too large for a core are cut further.

        Args:
            groups: of populations whose tiles are interleaved, in order, by row of the layer table.
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
        """The largest boxes, by row of the layer table."""
        return whole_boxes(self.shapes, self.links, self.table, self.memory)

    def _parts(self, parts_of_a_core: int) -> list[Volume]:
        """Smaller boxes, of which a core holds about so many."""
        all_neurons = int(self.table.populations.neurons @ (1 - self.inputs))
        per_core = self.target.limits.neurons_per_core or -(-all_neurons // (self.target.limits.cores or 1))
        return parts(self.boxes, self.links, self.memory, max(1, per_core // parts_of_a_core))

    def _cuts(self, boxes: Sequence[Volume]) -> tuple[Cut | None, ...]:
        return cut([None if given else s for s, given in zip(self.shapes, self.inputs, strict=True)], boxes)

    def bounds(self, found: Axons) -> tuple[dict[str, int], int]:
        """Least cores and packets, which are the same for all cuts."""
        if self.least is None:
            network = self.shapes, self.inputs, self.links
            self.least = (least_cores(*network, found, self.memory), least_packets(*network, self.memory))
        return self.least

    def _count(self, boxes: Sequence[Volume]) -> int:
        """How many tiles such boxes make."""
        return sum(len(c) for c in self._cuts(boxes) if c)

    def _cut(self, boxes: Sequence[Volume]) -> _Pieces:
        key = tuple(boxes)
        if key not in self.pieces:
            cuts = self._cuts(boxes)
            self.pieces[key] = _Pieces(self, measure(cuts, self.links, self.memory), axons(
                cuts, self.shapes, self.links, delays_apart=self.memory.delays_take_axons))
        return self.pieces[key]

    def _layers(self) -> Partition:
        """One population a core: a matching of populations with the cores that are large enough."""
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
    """A network in tiles."""

    search: _Search
    tiles: Tiles
    axons: Axons

    @property
    def resources(self) -> tuple[Resource, ...]:
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
        """Tiles group after group of populations. Those of several populations go along a curve over the frame, so that
        layers which read each other share cores; those of one go by blocks of channels, and each along the curve.
        """
        rows, channel, key = self.tiles.population, self.tiles.low[:, 0], normalised_key(*self.tiles.middle.T)
        mixed = np.bincount(groups[np.unique(rows)], minlength=len(groups))[groups[rows]] > 1
        return np.lexsort((np.where(mixed, channel, 0), np.where(mixed, rows, key), np.where(mixed, key, channel),
                           groups[rows]))

    def partition(self, order: Array, method: str) -> Partition:
        """Raises `TileTooLarge`."""
        core = self._within_out_axons(order, fill(order, self.resources))
        found = self.result(core, method)
        if len(found.limits) == 0 or found.cores > MAX_MERGED:
            return found
        used = np.stack([found.used[name] for name in found.limits], 1)
        into = merged(used, np.array(list(found.limits.values())))
        return self.result(into[core], method) if int(into.max(initial=0)) + 1 < found.cores else found

    def by_hypergraph(self, cores: int) -> list[Partition]:
        """The cut of Mt-KaHyPar, if it is within all limits, with cores numbered along the curve."""
        most = self.search.target.limits.neurons_per_core or int(self.tiles.neurons.sum())
        core = cut_hypergraph(self.axons, self.tiles.neurons, cores, most)
        if core is None:
            return []
        order = self.order(np.zeros(len(self.search.shapes), np.int64))
        _, first, at = np.unique(core[order], return_index=True, return_inverse=True)
        core[order] = np.argsort(np.argsort(first))[at]
        found = self.result(core, "hypergraph of tiles")
        return [found] if all(margin <= 0 for margin in found.margins.values()) else []

    def _within_out_axons(self, order: Array, core: Array) -> Array:
        """Cores of which too many axons leave are halved: their neurons then have fewer, those that they read more."""
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
        search, cores = self.search, int(core.max(initial=-1)) + 1
        flows = traffic(self.axons, core, cores, len(search.shapes))
        used = {r.name: r.used(core, cores) for r in self.resources[:2]}
        used |= {IN_AXONS: flows.in_axons, OUT_AXONS: flows.out_axons}
        limits = {r.name: r.limit for r in self.resources if r.limit is not None}
        if search.target.limits.out_axons_per_core is not None:
            limits[OUT_AXONS] = search.target.limits.out_axons_per_core
        return Partition(search.table.names, self.tiles, core, used, limits, flows, *search.bounds(self.axons), method)
