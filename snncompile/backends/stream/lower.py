"""From an INT graph to stages and streams."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from snncompile.backends.names import comment, identifiers, prefix
from snncompile.backends.plan.layouts import as_image, channels_last
from snncompile.backends.plan.plan import Plan, PopulationPlan, plan, split
from snncompile.backends.plan.plan import Port as PlannedPort
from snncompile.backends.plan.projections import chain_range
from snncompile.backends.plan.updates import Update
from snncompile.backends.stream.context import Fold, Stage, State
from snncompile.backends.stream.hardware import Hardware, Port
from snncompile.backends.stream.links import Link, Stream
from snncompile.backends.stream.memory import XC7
from snncompile.backends.stream.neuron_unit import unit_of
from snncompile.backends.stream.scatter import DENSE_WEIGHTS, Axis, Scatter, scatter
from snncompile.backends.stream.wires import NeuronUnit
from snncompile.diagnostics import Collector
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.operations import Interval, bit_width
from snncompile.ir.ops import MaxPool, Rectify, SumPool
from snncompile.ir.types import Array, Shape
from snncompile.targets.sections import Fabric


def parts(graph: Graph, edge: Edge) -> list[tuple[list[Op], Shape, Shape]]:
    """The linear operators of a chain, cut at those that need complete sums, each part with its shapes.

    An operator that needs them begins the part behind it; `Rectify` and `MaxPool` do.
    """
    shape = graph.shapes[edge.src]
    found: list[tuple[list[Op], Shape, Shape]] = []
    linear: list[Op] = []
    first = shape
    for op in split(edge)[0] if edge.dst in graph.populations else edge.chain:
        if not op.linear:
            found.append((linear, first, shape))
            linear, first = [], op.infer(shape)
        else:
            linear.append(op)
        shape = op.infer(shape)
    return [*found, (linear, first, graph.shapes[edge.dst])]


def lower(graph: Graph, folds: Mapping[str, Fold] | None = None, chains: int = 1, fabric: Fabric = XC7) -> Hardware:
    """The hardware of an INT or MAPPED graph; for the arguments see `Lowering`.

    Raises:
        CompileError: SNN410 for projections that have no form as a stream.
    """
    return Lowering(graph, chains, fabric).hardware(folds or {})


class Lowering:
    """Makes hardware of a graph, for one folding after another.

    Attributes:
        graph: an INT or MAPPED graph.
        chains: how many carry chains a value passes between registers of a neuron unit.
        fabric: the FPGA, by which memories are chosen.
    """

    def __init__(self, graph: Graph, chains: int = 1, fabric: Fabric = XC7):
        self.graph, self.chains, self.fabric = graph, chains, fabric
        self.plan: Plan = plan(graph, {}, {})
        self.sources = {s.label: Stream(s.buffer.name, s.label, graph.shapes[s.label],
                                        (min(0, s.buffer.low), max(0, s.buffer.high)), stands=self._stands(s.label))
                        for s in self.plan.sources}
        self.scatters: dict[str, Scatter | None] = {}
        self.units: dict[str, NeuronUnit] = {}

    def hardware(self, folds: Mapping[str, Fold]) -> Hardware:
        """The hardware with a folding.

        Args:
            folds: how each population is folded, by its name in the graph; one lane and one unit otherwise.

        Raises:
            CompileError: SNN410 for projections that have no form as a stream.
        """
        return _Folded(self, folds).hardware()

    @cached_property
    def lineable(self) -> frozenset[str]:
        """The populations that can keep the sums of a few rows only, or where an operator in front of them can."""
        folded = _Folded(self, {})
        folded.hardware()
        return frozenset(name for name, stages in folded.stages.items() if any(s.can_line for s in stages))

    def _stands(self, name: str) -> bool:
        """Whether sums of all that read an input can be kept while it stands still: it alone is what they read."""
        standing = {p.source.label for p in self.plan.populations if p.standing}
        readers = {e.dst for e in self.graph.edges_from[name]}
        return name in self.graph.inputs and bool(readers) and readers <= standing and all(
            e.src == name for reader in readers for e in self.graph.edges_into[reader])


class _Folded:
    def __init__(self, lowering: Lowering, folds: Mapping[str, Fold]):
        self.lowering, self.graph, self.plan = lowering, lowering.graph, lowering.plan
        self.folds, self.fabric = folds, lowering.fabric
        self.streams = dict(lowering.sources)
        self.stages: dict[str, list[Stage]] = {name: [] for name in self.graph.populations}
        self.relays: list[Stage] = []
        self.problems = Collector()

    def hardware(self) -> Hardware:
        populations = []
        for population in self.plan.populations:
            before = len(self.relays)
            populations.append(self._stage(population))
            self.stages[population.source.label] = [populations[-1], *self.relays[before:]]
        outputs = tuple(Port(p.name, p.label, self._output(p)) for p in self.plan.outputs)
        self.problems.finish()
        return Hardware(prefix(self.graph.name), comment(self.graph.name),
                        tuple(Port(p.name, p.label, self.streams[p.source.label]) for p in self.plan.inputs), outputs,
                        (*populations, *self.relays), self.fabric)

    def _output(self, port: PlannedPort) -> Stream:
        """What an output carries: the stream that it reads, or a copy that is late."""
        stream = self.streams[port.source.label]
        if not port.delay:
            return stream
        link = self._link(f"{port.name}_LATE_0", port.label, stream, port.delay, 0, [], stream.shape, 1)
        return self._relay(f"{port.name}_LATE", port.label, (link,), stream.range, (), stream.shape, Fold())

    def _stage(self, population: PopulationPlan) -> Stage:
        update, name = population.update, population.source.label
        numbers = {a.buffer.name: k for k, a in enumerate(update.accumulators)}
        fold = self.folds.get(name, Fold())
        links = [self._projection(edge, p.name, numbers[p.accumulator.name], fold)
                 for edge, p in zip(self.graph.edges_into[name], population.projections, strict=True)]
        states = tuple(State(s.buffer.name, label, s.bits, s.initials.values if s.initials else int(s.initial or 0))
                       for label, s in zip(update.op.states, update.states, strict=True))
        units = self.lowering.units
        unit = units[name] = units.get(name) or unit_of(update, self.lowering.chains)
        names = identifiers(update.op.params)
        values = {**{names[n]: _channels_last(update, v) for n, v in update.op.params.items()
                     if n not in update.op.tables},
                  **{f"FACTOR{k}": np.tile(a.factors.values, update.size // len(a.factors.values))
                     for k, a in enumerate(update.accumulators) if a.factors}}
        params = {str(w.value): values[w.value] for w in unit.wires if w.op == "param"}
        tables = {names[n]: np.ravel(update.op.params[n]) for n in update.op.tables}
        return Stage(self.streams[name], self._timed(update.name, links),
                     tuple(a.buffer.bits for a in update.accumulators), unit, states, params, tables, fold,
                     fabric=self.fabric)

    def _timed(self, name: str, links: list[Link]) -> tuple[Link, ...]:
        """The links, those without a delay first; where all have one, the ends of ticks of an input stand first."""
        links = sorted(links, key=lambda k: k.delay > 0)
        if not links or links[0].delay:
            first = self.streams[self.plan.inputs[0].source.label]
            links.insert(0, Link(f"{name}_TICKS", f"ticks of {first.label}", first, 0, 0, Axis.same(1), Axis.same(1),
                                 np.zeros(1, np.int64), 1, None))
        return tuple(links)

    def _projection(self, edge: Edge, name: str, accumulator: int, fold: Fold) -> Link:
        """The link of a projection, with a stage for each operator of its chain that needs complete sums."""
        stream, (first, *later) = self.streams[edge.src], parts(self.graph, edge)
        cuts = [op for op in split(edge)[0] if not op.linear]
        chain, delay = first[0], edge.delay
        for k, (op, (behind, shape, _)) in enumerate(zip(cuts, later, strict=True)):
            into = Fold(lines=fold.lines, memory=fold.memory)
            stream, delay = self._cut(f"{name}_RELAY{k}", edge.label, stream, delay, chain, op, shape, into), 0
            chain = behind
        return self._link(name, edge.label, stream, delay, accumulator, chain, self.graph.shapes[edge.dst], fold.lanes)

    def _cut(self, name: str, label: str, stream: Stream, delay: int, chain: list[Op], op: Op, shape: Shape, fold: Fold
             ) -> Stream:
        """What a stage sends that adds up a chain and applies an operator to the complete sums.

        A maximum of values that may be negative needs every element, silent ones too.
        """
        low, high = chain_range(tuple(chain), stream.range)
        into = stream.shape
        for one in chain:
            into = one.infer(into)
        if isinstance(op, Rectify):
            link = self._link(f"{name}_0", label, stream, delay, 0, chain, into, 1)
            return self._relay(name, label, (link,), (low, high), (*chain, op), into, fold)
        assert isinstance(op, MaxPool)
        if chain or delay or low < 0:
            link = self._link(f"{name}_SUM_0", label, stream, delay, 0, chain, into, 1)
            stream = self._relay(f"{name}_SUM", label, (link,), (low, high), tuple(chain), into, fold, low < 0)
        pool = SumPool(op.kernel, op.stride, op.padding)
        link = self._link(f"{name}_0", label, stream, 0, 0, [pool], shape, 1)
        return self._relay(name, label, (link,), stream.range, (op,), shape, fold, floor=low)

    def _relay(self, name: str, label: str, links: tuple[Link, ...], interval: Interval, relayed: tuple[Op, ...],
               shape: Shape, fold: Fold, whole: bool = False, floor: int | None = None) -> Stream:
        """What a stage without states sends: its sums or largest values, or the part of them with a sign."""
        low, high = min(0, interval[0]), max(0, interval[1])
        sign = next((op.sign for op in relayed if isinstance(op, Rectify)), None)
        unit = NeuronUnit.passing((low, high), sign)
        low, high = (max(low, 0) if sign == 1 else low), (min(high, 0) if sign == -1 else high)
        stream = Stream(name, label, shape, (low, high), whole, links[0].stream.stands)
        self.relays.append(Stage(stream, self._timed(name, list(links)), (bit_width(interval),), unit, fold=fold,
                                 floor=floor, relayed=relayed, fabric=self.fabric))
        return stream

    def _link(self, name: str, label: str, stream: Stream, delay: int, accumulator: int, chain: list[Op], into: Shape,
              lanes: int) -> Link:
        known = self.lowering.scatters
        found = known[name] = known[name] if name in known else scatter(chain, stream.shape, into)
        if found is None:
            self.problems.error("SNN410", f"projection {label}", f"{chain[0].kind()} to {list(into)}",
                                f"at most {DENSE_WEIGHTS:,} weights of a projection of no simpler form")
            return Link(name, label, stream, delay, accumulator, Axis.same(1), Axis.same(1), np.zeros(1, np.int64), 1,
                        None)
        channels, height, width = as_image(into)
        groups = -(-channels // lanes)
        if found.channels == channels:
            starts = np.array([low // lanes for low, _ in found.spans])
            reach = max(high // lanes - low // lanes + 1 for low, high in found.spans)
            starts = np.minimum(starts, groups - reach)
            padded = np.pad(found.weights, ((0, 0), (0, 0), (0, 0), (0, groups * lanes - channels)))
            at = starts[:, None] * lanes + np.arange(reach * lanes)
            words = padded[:, :, np.arange(len(starts))[:, None], at]
        else:  # one matrix: all places of the target are one row
            starts, reach = np.zeros(len(found.spans), np.int64), height * width * groups
            by_place = found.weights.reshape(*found.weights.shape[:3], height * width, channels)
            words = np.pad(by_place, ((0, 0),) * 4 + ((0, groups * lanes - channels),))
        return Link(name, label, stream, delay, accumulator, found.rows, found.columns, starts, reach,
                    np.ascontiguousarray(words).reshape(-1, lanes))


def _channels_last(update: Update, value: Any) -> Array:
    """A parameter of each neuron, channels last."""
    full = np.broadcast_to(np.asarray(value), update.shape)
    return np.asarray(full.reshape(-1)[channels_last(update.shape)])
