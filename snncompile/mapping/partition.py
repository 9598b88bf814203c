"""Partition: which core of a target holds which neurons of a network, and how good that is.

Populations are cut into boxes, boxes are put in an order in which neighbours read the same axons, and cores take them
in that order until a limit is reached. Several such partitions are tried. Of those that use at most 5 % more cores than
the smallest, the one with the fewest packets between cores is kept. No step needs the numbers of weights, and no step
works neuron by neuron or synapse by synapse.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import NoReturn

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array, Stage
from snncompile.mapping.emptied import emptied, worthwhile
from snncompile.mapping.fill_cores import FillCores, TileTooLarge, fill, fill_mixed
from snncompile.mapping.hypergraph import available
from snncompile.mapping.loads import Loads
from snncompile.mapping.lower_bounds import least_cores, least_packets
from snncompile.mapping.partitioned import Partition
from snncompile.mapping.patterns import fewest_cores, fill_by_patterns
from snncompile.mapping.pieces import Pieces
from snncompile.mapping.spread import spread
from snncompile.mapping.strips import by_strips
from snncompile.mapping.tile_shapes import box_options, part, parts, refuse, whole_boxes
from snncompile.mapping.tiles import Cut, Link, cut, links, measure
from snncompile.mapping.traffic import Axons, axons
from snncompile.targets.advice import more_chips
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.hardware_rules import cores_in_words
from snncompile.targets.layer_table import LayerTable, layer_table
from snncompile.targets.memory import COLUMNS, ROWS, core_needs, memory_model
from snncompile.targets.reach import Axis, Volume, volume
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

MAX_QUICKLY_MIXED, MAX_MIXED = 2_000, 20_000
"""Up to these products of cores and layers, layers are mixed: in any search, and in one that is thorough, or whose
network would be refused otherwise."""


def has_cores(target: Target) -> bool:
    """Whether a target has cores with limits, for which a network has to be cut."""
    most = target.limits
    return target.network.layer_per_core or any(n is not None for n in (
        most.neurons_per_core, most.synapse_bits_per_core, most.in_axons_per_core, most.out_axons_per_core))


def partition(graph: Graph, target: Target, weight_bits: int = 8, rates: Mapping[str, float] | None = None,
              hypergraph: bool = False, thorough: bool = False, own: Mapping[str, Arithmetic] | None = None
              ) -> Partition:
    """Cut a LEGAL, INT or MAPPED graph for a target; its weights may be bare shapes.

    Args:
        weight_bits: the width that is assumed for weights which are not integers yet.
        rates: spikes per neuron and tick, by population: partitions are then compared by packets per tick, and not by
            packets if every neuron fires once.
        hypergraph: also try a cut by Mt-KaHyPar, if the extra `partition` is installed. It takes some seconds and often
            leaves fewer packets.
        thorough: look for the fewest cores, however many packets they send: layers that use up different resources of
            a core are put together. It takes some seconds, and is done in any case before a network is refused.
        own: see `layer_table`.

    Raises:
        CompileError: SNN413 and SNN416 for a neuron that needs more than a core has, SNN416 for a network that needs
            more cores than there are, or one with too many single synapses behind a reshape.
    """
    search = _Search(graph, target, layer_table(graph, weight_bits, own=own), rates or {})
    best = search.best(hypergraph and available(), thorough)
    if search.most is not None and best.cores > search.most:
        least, binding = best.lower_bound
        _refuse_cores(graph, f"{best.cores:,} cores; at least {least:,} for {binding}", target)
    return spread(best, target, search.weighted(best))


def _refuse_cores(graph: Graph, needed: str, target: Target) -> NoReturn:
    fail("SNN416", f"graph {shorten(graph.name)}, cores", needed, cores_in_words(target),
         more_chips(target, graph.stage >= Stage.INT))


class _Search:
    """The search for a partition of one network."""

    def __init__(self, graph: Graph, target: Target, table: LayerTable, rates: Mapping[str, float]):
        self.target, self.memory, self.most = target, memory_model(target), target.limits.on_all_chips("cores")
        self.table = table
        self.shapes: list[Volume] = [volume(graph.shapes[n]) for n in self.table.names]
        self.inputs = self.table.populations.is_input
        self._expect_room(graph)
        self.links: list[Link] = links(graph, self.table, self.memory)
        self.weights = np.array([rates.get(n, 0.0 if rates else 1.0) for n in self.table.names])
        self.least: tuple[dict[str, int], int] | None = None
        self.pieces: dict[tuple[Volume, ...], Pieces] = {}

    def _expect_room(self, graph: Graph) -> None:
        """Refuse a network with too many neurons for the chip before it is cut into as many tiles."""
        each = self.target.limits.neurons_per_core
        neurons = int(self.table.populations.neurons @ (1 - self.inputs))
        if self.most is not None and each is not None and neurons > self.most * each:
            _refuse_cores(graph, f"at least {-(-neurons // each):,} for neurons", self.target)

    def best(self, hypergraph: bool, thorough: bool) -> Partition:
        if self.target.network.layer_per_core:
            return self._layers()
        tried = list(self._partitions())
        fewest, layers = min(p.cores for p in tried), int((1 - self.inputs).sum())
        most = MAX_MIXED if thorough or self._too_many(tried) else MAX_QUICKLY_MIXED
        if fewest > SLACK * tried[0].lower_bound[0] and fewest * layers <= most:
            tried += self._mixed()
        if thorough or self._too_many(tried):
            tried += self._by_strips()
        if thorough or self._too_many(tried):
            tried.append(self._by_patterns())
        if self._too_many(tried):
            tried += self._emptied(min(tried, key=lambda p: p.cores))
        if hypergraph:
            tried += self._by_hypergraph(min(p.cores for p in tried))
        fewest = min(p.cores for p in tried)
        few = max(fewest, min(fewest * (1 if thorough else SLACK), self.most or math.inf))
        return min((p for p in tried if p.cores <= few), key=lambda p: (self._packets(p), p.cores))

    def _too_many(self, tried: Sequence[Partition]) -> bool:
        """Whether all partitions need more cores than there are."""
        return self.most is not None and all(p.cores > self.most for p in tried)

    def weighted(self, candidate: Partition) -> Array:
        """The packets of each flow between cores, weighted by the rate of its population."""
        return np.asarray(candidate.traffic.packets * self.weights[candidate.traffic.population])

    def _packets(self, candidate: Partition) -> float:
        """The packets between cores, weighted by the rates of their populations."""
        return float(self.weighted(candidate).sum())

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
        """The partition that results from filling one core after another, group after group.

        Args:
            boxes: the box of each row of the layer table.
            groups: the group of each row. The tiles of populations of one group are interleaved, group after group.
            remark: what is added to the name of the method.
        """
        many = len(np.unique(groups[self.inputs == 0]))
        words = {1: "layers interleaved", int((1 - self.inputs).sum()): "layer after layer"}
        method = words.get(many, f"layers interleaved in {many} groups") + remark
        return self._cut_until_it_fits(boxes, groups, method, fill)

    def _mixed(self) -> list[Partition]:
        """Partitions in which cores hold tiles of several layers that use up different resources."""
        each = np.arange(len(self.shapes))
        cuts = [(self._parts(PARTS_OF_A_CORE), "layers mixed"), (self.boxes, "layers mixed, in whole boxes")]
        return [self._cut_until_it_fits(boxes, each, method, filled) for boxes, method in cuts
                if self._count(boxes) <= MAX_SMALL_TILES for filled in (fill_mixed, partial(fill_mixed, paired=True))]

    def _by_strips(self) -> list[Partition]:
        """Partitions along strips of the frame, where axons are limited; see `strips`."""
        boxes, frames = self._parts(PARTS_OF_A_CORE), self._frames()
        boxes = [box if frame is None else (box[0], 1, 1) for box, frame in zip(boxes, frames, strict=True)]
        if self.target.limits.in_axons_per_core is None or self._count(boxes) > MAX_SMALL_TILES:
            return []
        return list(by_strips(boxes, frames, self._cut))

    def _frames(self) -> list[tuple[Axis, Axis] | None]:
        """What rows and columns read, by row of the layer table; None for inputs, and where pixels take memory."""
        frames: list[tuple[Axis, Axis] | None] = [None] * len(self.shapes)
        for row in range(len(frames)):
            into = [i for i, link in enumerate(self.links) if link.target == row]
            if {ROWS, COLUMNS} <= set(self.memory.free_axes({self.links[i].listing for i in into})) and into:
                _, rows, columns = self.table.reaches[into[0]].axes
                frames[row] = rows, columns
        return frames

    def _by_patterns(self) -> Partition:
        """The partition by patterns of tiles, for the cuts that take the fewest cores together."""
        boxes = list(self.shapes)
        for row, box in fewest_cores(box_options(self.shapes, self.links, self.table, self.memory), self.shapes,
                                     self.target.limits).items():
            boxes[row] = box
        return self._cut_until_it_fits(boxes, np.arange(len(self.shapes)), "patterns of tiles", fill_by_patterns)

    def _emptied(self, found: Partition) -> list[Partition]:
        """The partition with as few cores as there are that comes from moving tiles of another; see `emptied`."""
        pieces = next((p for p in self.pieces.values() if p.tiles is found.tiles), None)
        most = self.most or 0
        if pieces is None or not worthwhile(found.cores, most, len(pieces.axons)):
            return []
        core = emptied(Loads(pieces, np.unique(found.core, return_inverse=True)[1]), most)
        return [] if core is None else [pieces.result(np.unique(core, return_inverse=True)[1],
                                                      found.method + ", then cores emptied")]

    def _cut_until_it_fits(self, boxes: Sequence[Volume], groups: Array, method: str, filled: FillCores) -> Partition:
        """The partition of tiles of these boxes; boxes that are too large for a core are cut further.

        Args:
            groups: the group of each row of the layer table; the tiles of a group wait in one queue.
            filled: how cores take tiles from the queues.
        """
        boxes = list(boxes)
        while True:
            pieces = self._cut(boxes)
            try:
                return pieces.partition(pieces.queues(groups), method, filled)
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
        per_core = self.target.limits.neurons_per_core or -(-all_neurons // (self.most or 1))
        return parts(self.boxes, self.links, self.memory, max(1, per_core // parts_of_a_core))

    def _cuts(self, boxes: Sequence[Volume]) -> tuple[Cut | None, ...]:
        return cut([None if given else s for s, given in zip(self.shapes, self.inputs, strict=True)], boxes)

    def bounds(self, all_axons: Axons) -> tuple[dict[str, int], int]:
        """The lower bounds on cores and packets, which are the same for all cuts."""
        if self.least is None:
            network = self.shapes, self.inputs, self.links
            cores = least_cores(*network, all_axons, self.memory)
            checked = {name: -(-int(needs.sum()) // per_core)
                       for name, (needs, per_core) in core_needs(self.table, self.target).items()}
            self.least = ({name: max(cores.get(name, 0), checked.get(name, 0)) for name in {**cores, **checked}},
                          least_packets(*network, self.memory))
        return self.least

    def _count(self, boxes: Sequence[Volume]) -> int:
        """How many tiles a cut into these boxes has."""
        return sum(len(c) for c in self._cuts(boxes) if c)

    def _cut(self, boxes: Sequence[Volume]) -> Pieces:
        key = tuple(boxes)
        if key not in self.pieces:
            cuts = self._cuts(boxes)
            all_axons = axons(cuts, self.shapes, self.links, delays_apart=self.memory.delays_take_axons)
            self.pieces[key] = Pieces(self.target, self.table.names, measure(cuts, self.links, self.memory), all_axons,
                                      self.bounds(all_axons))
        return self.pieces[key]

    def _layers(self) -> Partition:
        """The partition of chips whose cores hold one layer each: a matching of layers with cores that they fit, on as
        few chips as there is one.

        Raises:
            CompileError: SNN416 where the largest matching leaves layers without a core.
        """
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import maximum_bipartite_matching

        fits = self.memory.fitting_cores(self.table)[self.inputs == 0]
        layers, each = fits.shape
        most = self.target.limits.chips or max(layers, 1)
        for chips in range(min(max(-(-layers // each), 1), most), most + 1):
            core = maximum_bipartite_matching(csr_array(np.tile(fits, (1, chips))), "column")
            if (core >= 0).all():
                break
        else:
            lost = np.flatnonzero(self.inputs == 0)[core < 0]
            names = ", ".join(shorten(self.table.names[row]) for row in lost[:8])
            fail("SNN416", f"population {names}", "layers without a core that is large enough and free",
                 f"{most * each} cores, one layer each", "use fewer channels, smaller kernels or smaller frames")
        found = self._cut(self.shapes).result(core.astype(np.int64), "one layer a core")
        return dataclasses.replace(found, chip=np.arange(len(found.chip)) // each)

