"""From an INT graph to the context of the C templates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

from snncompile.backends.c.context import (
    Accumulator,
    Net,
    PopulationCode,
    Port,
    Projection,
    Source,
)
from snncompile.backends.c.expressions import lines_of
from snncompile.backends.c.kernels import (
    ConvDense,
    ConvRuns,
    ConvTaps,
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
)
from snncompile.backends.c.leaves import Leaves
from snncompile.backends.c.projections import Builder, Signal, data_of, partial_sums, scale_factors
from snncompile.backends.names import comment, identifiers
from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Scale
from snncompile.ir.populations import Population
from snncompile.ir.ranges import population_ranges, source_range

CHUNK_BYTES = 1 << 18
MAX_CHUNK = 64


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
        always_on = self.graph.schedule.always_on
        steps = self._steps(always_on.get(name, 0), "a 1 for each tick" if name in always_on else "tick")
        return Port(f"in_{self.names[name]}", comment(name), self.sources[name], 0, op.shape, int(op.low), int(op.high),
                    steps)

    def _steps(self, first: int, what: str) -> str:
        """In which steps of the program, which are ticks of the hardware, the ticks t of the network stand."""
        schedule = self.graph.schedule
        step = f"{first} + {schedule.period} t" if schedule.period > 1 else f"{first} + t"
        return f"{what} t of the network in step {step}" if schedule else ""

    def _output(self, name: str) -> Port:
        edge, *others = self.graph.edges_into[name]
        if others or edge.chain:
            fail("SNN204", f"output {shorten(name)}", "a sum or an operator in front of it", "one population, as it is")
        low, high = source_range(self.graph, edge.src)
        return Port(f"out_{self.names[name]}", comment(name), self.sources[edge.src], edge.delay,
                    self.graph.shapes[name], low, high,
                    self._steps(self.graph.schedule.latency_ticks.get(name, 0), "tick"))

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
        printer = Leaves(self._symbol(name), op, self.graph.shapes[name], accumulators)
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


def _scan_types(populations: Iterable[PopulationCode]) -> tuple[tuple[str, str, str], ...]:
    """Source element and index types for which event lists are made, and how."""
    return tuple(sorted({(k.src.type, p.index_type, k.scan) for code in populations for p in code.projections
                         for k in p.kernels if isinstance(k, EventKernel)}))
