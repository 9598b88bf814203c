"""The frozen context that the C templates print: buffers, populations, projections, and their order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from snncompile.backends.c.expressions import Line, lines_of, literal
from snncompile.backends.c.kernels import (
    ConvDense,
    ConvRuns,
    ConvTaps,
    Data,
    EventKernel,
    Kernel,
    LinearDense,
    LinearEvent,
    Packed,
    PoolKernel,
    Row,
)
from snncompile.backends.c.layout import (
    DTYPES,
    accumulator_type,
    as_image,
    c_type,
    c_type_of,
    channels_last,
    is_plain,
    narrow,
)
from snncompile.backends.c.projections import Builder, Signal, data_of, partial_sums, scale_factors
from snncompile.backends.names import comment, identifiers
from snncompile.ir.expr import Step
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Input, Op, Population, Scale
from snncompile.ir.ranges import population_ranges, source_range
from snncompile.ir.types import Shape

CHUNK_BYTES = 1 << 18
MAX_CHUNK = 64
MAX_LANES = 256


@dataclass(frozen=True)
class Source:
    """A node that others read: its rows of emitted values, `history` ticks of past first, then a chunk."""

    name: str
    label: str
    type: str
    size: int
    channels: int
    places: int
    history: int

    @property
    def plain(self) -> bool:
        """Whether memory order is the user's order."""
        return self.channels == 1 or self.places == 1


@dataclass(frozen=True)
class Projection:
    """One projection: the function that adds it to an accumulator.

    `scans` is how many elements an event list must hold, `bits` how many words the source's bit planes take.
    """

    name: str
    label: str
    source: Source
    delay: int
    kernels: tuple[Kernel, ...]
    scratch: tuple[Row, ...]
    accumulator: str
    accumulator_type: str
    scans: int
    bits: int

    @property
    def function(self) -> str:
        return f"project_{self.name}"

    @property
    def index_type(self) -> str:
        largest = max((k.src.size for k in self.kernels if isinstance(k, EventKernel)), default=0)
        return "uint16_t" if largest <= 1 << 16 else "uint32_t"


@dataclass(frozen=True)
class Accumulator:
    """Sums of synaptic input that share a multiplier."""

    name: str
    type: str
    factor: int | None
    factors: Data | None
    low: int
    high: int


@dataclass(frozen=True)
class StateArray:
    """A state of a population: one integer a neuron."""

    name: str
    type: str
    bits: int
    initial: int | None
    initials: Data | None


@dataclass(frozen=True)
class PopulationCode:
    """Everything printed for one population.

    `lanes` is the length of the update's inner loop. A population that `keeps` its sums reads real-valued inputs
    only: while a frame stands still, its synapses are not computed again.
    """

    source: Source
    rule: str
    accumulators: tuple[Accumulator, ...]
    projections: tuple[Projection, ...]
    states: tuple[StateArray, ...]
    lines: tuple[Line, ...]
    next_state: tuple[tuple[str, str, str], ...]
    output: str
    data: tuple[Data, ...]
    lanes: int
    keeps: bool

    @property
    def home(self) -> str:
        """The member of the network's state that holds the accumulators."""
        return "kept" if self.keeps else "acc"

    @property
    def blocks(self) -> int:
        """How often the update's inner loop, over `lanes` neurons, runs."""
        return self.source.size // self.lanes


@dataclass(frozen=True)
class Port:
    """An input or output of the network: the argument that carries it."""

    argument: str
    label: str
    source: Source
    delay: int
    shape: Shape
    low: int
    high: int


@dataclass(frozen=True)
class Net:
    """The whole network as the templates see it."""

    prefix: str
    label: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    sources: tuple[Source, ...]
    populations: tuple[PopulationCode, ...]
    groups: tuple[tuple[bool, tuple[PopulationCode, ...]], ...]
    data: tuple[Data, ...]
    add_types: tuple[tuple[str, str], ...]
    scan_types: tuple[tuple[str, str, bool], ...]
    pool_types: tuple[tuple[str, str, str], ...]
    dot_types: tuple[tuple[str, str, str], ...]
    chunk: int

    @property
    def projections(self) -> tuple[Projection, ...]:
        return tuple(p for pop in self.populations for p in pop.projections)

    @property
    def weight_bytes(self) -> int:
        return sum(d.values.nbytes for d in self.data)


def lower(graph: Graph, prefix: str, rates: Mapping[str, float]) -> Net:
    """Lower an INT graph.

    Args:
        prefix: a C identifier in front of everything that the program exports.
        rates: share of active elements of inputs and populations, by name; decides event-driven or dense.
    """
    return _Lowering(graph, prefix, rates).net()


class _Lowering:
    def __init__(self, graph: Graph, prefix: str, rates: Mapping[str, float]):
        self.graph, self.prefix, self.rates = graph, prefix, rates
        self.names = identifiers(graph.nodes)
        self.sources = {n: self._source(n) for n in graph.nodes if n not in graph.outputs}

    def net(self) -> Net:
        order = [n for c in self.graph.components for n in c if isinstance(self.graph.nodes[n], Population)]
        populations = {n: self._population(n) for n in order}
        kernels = [k for p in populations.values() for j in p.projections for k in j.kernels]
        data = [d for p in populations.values() for d in p.data] + list(data_of(kernels))
        return Net(
            self.prefix, comment(self.graph.name),
            tuple(self._input(n, op) for n, op in self.graph.inputs.items()),
            tuple(self._output(n) for n in self.graph.outputs),
            tuple(self.sources.values()), tuple(populations.values()), self._groups(populations), tuple(data),
            _add_types(kernels), _scan_types(populations.values()), _pool_types(kernels), _dot_types(kernels),
            self._chunk(),
        )

    def _symbol(self, name: str) -> str:
        """What the names of a population's constants begin with.

        Identifiers have no capitals, so that the capitals around one keep the names of several networks, populations
        and constants apart.
        """
        return f"{self.prefix}_N_{self.names[name]}"

    def _source(self, name: str) -> Source:
        shape = self.graph.shapes[name]
        low, high = source_range(self.graph, name)
        history = max((e.delay for e in self.graph.edges_from[name]), default=0)
        if any(self._keeps(e.dst) for e in self.graph.edges_from[name]):
            history = max(history, 1)
        channels, height, width = as_image(shape)
        return Source(self.names[name], comment(name), c_type(low, high), math.prod(shape), channels, height * width,
                      history)

    def _keeps(self, name: str) -> bool:
        """Whether a population reads nothing but real-valued inputs of the same tick."""
        sources = [(self.graph.nodes[e.src], e.delay) for e in self.graph.edges_into[name]]
        return isinstance(self.graph.nodes[name], Population) and all(
            isinstance(op, Input) and op.values == "real" and delay == 0 for op, delay in sources)

    def _input(self, name: str, op: Input) -> Port:
        return Port(f"in_{self.names[name]}", comment(name), self.sources[name], 0, op.shape, int(op.low), int(op.high))

    def _output(self, name: str) -> Port:
        (edge,) = self.graph.edges_into[name]
        low, high = source_range(self.graph, edge.src)
        return Port(f"out_{self.names[name]}", comment(name), self.sources[edge.src], edge.delay,
                    self.graph.shapes[name], low, high)

    def _groups(self, populations: dict[str, PopulationCode]) -> tuple[tuple[bool, tuple[PopulationCode, ...]], ...]:
        """Populations in order of execution; a group that is a loop runs tick by tick."""
        found = []
        for component in self.graph.components:
            members = tuple(populations[n] for n in component if n in populations)
            if members:
                found.append((len(component) > 1 or self.graph.loops(component[0]), members))
        return tuple(found)

    def _chunk(self) -> int:
        """Ticks that run layer by layer: as many as keep the rows of all layers in a cache."""
        row = sum(s.size * DTYPES[s.type].itemsize for s in self.sources.values())
        return max(1, min(MAX_CHUNK, CHUNK_BYTES // max(row, 1)))

    def _population(self, name: str) -> PopulationCode:
        op = self.graph.nodes[name]
        assert isinstance(op, Population)
        projections, accumulators = self._projections(name)
        ranges = population_ranges(self.graph, name)
        printer = _Leaves(self._symbol(name), op, self.graph.shapes[name], accumulators)
        lines, operands = lines_of(op.program, ranges.steps, printer.leaf)
        states = tuple(printer.state(n, s.bits, s.initial) for n, s in op.states.items())
        types = {s.name: s.type for s in states}
        nexts = tuple((printer.states[n], types[printer.states[n]], operands[i]) for n, i in op.program.next_state)
        return PopulationCode(self.sources[name], comment(op.rule), tuple(accumulators), tuple(projections), states,
                              tuple(lines), nexts, operands[op.program.output], tuple(printer.data), printer.lanes,
                              self._keeps(name))

    def _projections(self, name: str) -> tuple[list[Projection], list[Accumulator]]:
        accumulators: list[Accumulator] = []
        found: list[Projection] = []
        for k, edge in enumerate(self.graph.edges_into[name]):
            chain, scale = (edge.chain[:-1], edge.chain[-1]) if edge.chain and isinstance(edge.chain[-1], Scale) \
                else (edge.chain, Scale(1))
            assert isinstance(scale, Scale)
            at = self._accumulator(name, accumulators, scale, partial_sums(chain, source_range(self.graph, edge.src)))
            found.append(self._projection(name, k, edge, chain, accumulators, at))
        typed = {a.name: a.type for a in accumulators}
        return [_retyped(p, typed) for p in found], accumulators

    def _accumulator(self, name: str, have: list[Accumulator], scale: Scale, sums: tuple[int, int]) -> int:
        """The accumulator for a multiplier: one that there is already, widened, or a new one."""
        label = f"{self._symbol(name)}_TIMES{len(have)}"
        factor, factors = scale_factors(scale, self.graph.shapes[name], label)
        for i, a in enumerate(have):
            if factor is not None and a.factor == factor:
                low, high = a.low + sums[0], a.high + sums[1]
                have[i] = dataclasses.replace(a, low=low, high=high, type=accumulator_type(low, high))
                return i
        have.append(Accumulator(f"acc{len(have)}", accumulator_type(*sums), factor, factors, *sums))
        return len(have) - 1

    def _projection(self, name: str, k: int, edge: Edge, chain: tuple[Op, ...], accumulators: list[Accumulator],
                    at: int) -> Projection:
        source = self.sources[edge.src]
        low, high = source_range(self.graph, edge.src)
        builder = Builder(f"{self.names[name]}_{k}", f"{self._symbol(name)}_{k}")
        shape = self.graph.shapes[edge.src]
        signal = Signal(Row("src", source.type, source.size), shape, channels_last(shape), low, high,
                        self.rates.get(edge.src, 0.1))
        target = Row("acc", accumulators[at].name, math.prod(self.graph.shapes[name]))
        builder.build(chain, signal, target, self.graph.shapes[name])
        scans = max((k.src.size * (4 if k.lists_repeats else 1) for k in builder.kernels
                     if isinstance(k, EventKernel)), default=0)
        bits = max((k.geometry.height * k.geometry.width * k.words for k in builder.kernels if isinstance(k, Packed)),
                   default=0)
        return Projection(builder.name, comment(edge.label), source, edge.delay, tuple(builder.kernels),
                          tuple(builder.scratch), accumulators[at].name, "", scans, bits)


def _retyped(projection: Projection, typed: Mapping[str, str]) -> Projection:
    """The projection with the type of its accumulator, which is known once all projections are."""
    kind = typed[projection.accumulator]
    kernels = tuple(dataclasses.replace(k, dst=dataclasses.replace(k.dst, type=kind)) if k.dst.text == "acc" else k
                    for k in projection.kernels)
    return dataclasses.replace(projection, kernels=kernels, accumulator_type=kind)


@dataclass
class _Leaves:
    """Prints the leaves of a population's program, and gathers the arrays they need."""

    symbol: str
    op: Population
    shape: Shape
    accumulators: list[Accumulator]
    data: list[Data] = field(default_factory=list)

    @cached_property
    def lanes(self) -> int:
        """Neurons in the update's inner loop: all, or whole places where constants differ between channels.

        Where there are few channels, their constants are repeated over several places, so that the loop is long
        enough for wide vectors.
        """
        channels, height, width = as_image(self.shape)
        constants = [a.factors.values for a in self.accumulators if a.factors] + list(self.op.params.values())
        if all(not isinstance(v, np.ndarray) or v.size == 1 or v.size == math.prod(self.shape) for v in constants):
            return math.prod(self.shape)
        return channels * max(r for r in range(1, height * width + 1)
                              if height * width % r == 0 and (r == 1 or channels * r <= MAX_LANES))

    @property
    def states(self) -> dict[str, str]:
        return identifiers(self.op.states)

    def leaf(self, step: Step) -> str:
        key = str(step.value[0] if isinstance(step.value, tuple) else step.value)
        match step.op:
            case "state":
                return f"s_{self.states[key]}[i]"
            case "lut":
                table = self._values(key, self.op.params[key])
                if all(d.name != table.name for d in self.data):
                    self.data.append(table)
                return f"{table.name}, {table.values.size}"
            case "param":
                return self._param(key)
        return self._input()

    def _input(self) -> str:
        if not self.accumulators:
            return "0"
        low, high = 0, 0
        parts = []
        for a in self.accumulators:
            factor = f" * {self._constant(a.factors)}" if a.factors else "" if a.factor == 1 else \
                f" * {literal(a.factor or 0)}"
            values = a.factors.values if a.factors else np.asarray(a.factor)
            ends = [end * int(f) for end in (a.low, a.high) for f in (values.min(), values.max())]
            low, high = low + min(0, *ends), high + max(0, *ends)
            parts.append(f"{a.name}[i]{factor}")
        kind = accumulator_type(low, high)
        return " + ".join(p if kind == "int16_t" else f"({kind}){p}" for p in parts)

    def _constant(self, data: Data) -> str:
        """The element of an array of constants that belongs to neuron i, lane c."""
        channels = as_image(self.shape)[0]
        if data.values.size == math.prod(self.shape) != self.lanes:
            index = "i"
        else:
            index = "c"
            data = Data(data.name, np.tile(data.values, self.lanes // channels) if data.values.size == channels
                        else data.values)
        if all(d.name != data.name for d in self.data):
            self.data.append(data)
        return f"{data.name}[{index}]"

    def _param(self, key: str) -> str:
        value: Any = self.op.params[key]
        if not isinstance(value, np.ndarray):
            return str(int(value))
        channels = as_image(self.shape)[0]
        full = value if value.size == value.shape[0] == channels else np.broadcast_to(value, self.shape)
        return self._constant(self._values(key, full))

    def _values(self, key: str, value: Any) -> Data:
        """A parameter as constants, channels last."""
        values = np.asarray(value)
        if values.shape == self.shape and not is_plain(self.shape):
            values = values.reshape(-1)[channels_last(self.shape)]
        return Data(f"{self.symbol}_P_{identifiers(self.op.params)[key]}", narrow(values.reshape(-1)))

    def state(self, name: str, bits: int, initial: Any) -> StateArray:
        kind = c_type(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        own = self.states[name]
        if not isinstance(initial, np.ndarray):
            return StateArray(own, kind, bits, int(initial), None)
        values = np.broadcast_to(initial, self.shape).reshape(-1)[channels_last(self.shape)]
        data = Data(f"{self.symbol}_INITIAL_{own}", narrow(values))
        self.data.append(data)
        return StateArray(own, kind, bits, None, data)


def _add_types(kernels: list[Kernel]) -> tuple[tuple[str, str], ...]:
    """Pairs of weight and accumulator type for which row additions are needed."""
    return tuple(sorted({(c_type_of(k.weight.values), k.dst.type) for k in kernels
                         if isinstance(k, (LinearEvent, ConvRuns, ConvTaps))}))


def _dot_types(kernels: list[Kernel]) -> tuple[tuple[str, str, str], ...]:
    """Source, weight and accumulator types for which dense products are needed."""
    return tuple(sorted({(k.src.type, c_type_of(k.weight.values), k.dst.type) for k in kernels
                         if isinstance(k, (ConvDense, LinearDense))}))


def _pool_types(kernels: list[Kernel]) -> tuple[tuple[str, str, str], ...]:
    """Modes, source and destination types of pools."""
    return tuple(sorted({(k.mode, k.src.type, k.dst.type) for k in kernels if isinstance(k, PoolKernel)}))


def _scan_types(populations: Iterable[PopulationCode]) -> tuple[tuple[str, str, bool], ...]:
    """Source element and index types for which event lists are made, and whether events repeat."""
    return tuple(sorted({(k.src.type, p.index_type, k.lists_repeats) for code in populations for p in code.projections
                         for k in p.kernels if isinstance(k, EventKernel)}))
