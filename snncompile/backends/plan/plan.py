"""From an integer graph to the plan of a program; see the package for what a program does with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from snncompile.backends.names import identifiers
from snncompile.backends.plan.buffers import Buffer, Constant, Lifetime
from snncompile.backends.plan.kernels.kernel import Kernel, Signal
from snncompile.backends.plan.layouts import as_image, channels_last
from snncompile.backends.plan.projections import Builder, chain_range, scale_factors
from snncompile.backends.plan.updates import MAX_LANES, Accumulator, Update
from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.operations import Interval
from snncompile.ir.ops import Input, Scale
from snncompile.ir.populations import Population
from snncompile.ir.ranges import intervals, population_ranges, simplified, source_range, source_unit
from snncompile.ir.types import Shape

UNKNOWN_RATE = 0.1
"""The share of active elements in a tick that is assumed of a source whose rate was not measured."""


@dataclass(frozen=True)
class Source:
    """An input or population, whose emitted values projections and outputs read.

    Attributes:
        label: the name of the node in the graph.
        buffer: what it emits in a tick; `buffer.name` is its identifier.
        channels, places: the shape of that tensor as it lies in memory, `[place, channel]`.
        history: for how many past ticks its values are kept, beside those of the tick itself: the longest delay with
            which they are read, and at least 1 where a frame is compared with the one before.
    """

    label: str
    buffer: Buffer
    channels: int
    places: int
    history: int

    @property
    def plain(self) -> bool:
        """Whether the values lie in the user's order, because there is one channel or one place."""
        return self.channels == 1 or self.places == 1


@dataclass(frozen=True)
class ProjectionPlan:
    """One projection: the kernels that add it to an accumulator, in the order in which they run.

    Attributes:
        name: its identifier, unique in the plan.
        label: its name for people, such as "input -> hidden".
        source: what its first kernel reads.
        delay: how many ticks ago the values were emitted that it reads; 0 for those of the same tick.
        accumulator: the synaptic sums that its last kernel adds to.
        scratch: the buffers between its kernels.
    """

    name: str
    label: str
    source: Source
    delay: int
    accumulator: Buffer
    kernels: tuple[Kernel, ...]
    scratch: tuple[Buffer, ...]


@dataclass(frozen=True)
class PopulationPlan:
    """One population: what it reads, and what it computes in a tick.

    Attributes:
        source: the values that it emits.
        update: the computation of each neuron.
        projections: in the order of the graph's edges.
        standing: whether it reads nothing but real-valued inputs of the same tick. While the frame of these inputs
            equals the one before, its synaptic sums are the same, and a program may keep them.
    """

    source: Source
    update: Update
    projections: tuple[ProjectionPlan, ...]
    standing: bool

    @property
    def constants(self) -> Iterator[Constant]:
        """The constants of its projections; those of its update are `update.constants`."""
        return (c for p in self.projections for k in p.kernels for c in k.constants)


@dataclass(frozen=True)
class Port:
    """An input or output of the network.

    Attributes:
        name, label: the identifier of the input or output node, and its name in the graph.
        source: the source that an input fills, or that an output reads.
        delay: how many ticks ago an output's values were emitted; 0 for an input.
        shape: of its values in one tick, in the user's order.
        low, high: the range of its values.
        unit: the real value of the integer 1.
    """

    name: str
    label: str
    source: Source
    delay: int
    shape: Shape
    low: int
    high: int
    unit: float


@dataclass(frozen=True)
class Plan:
    """A program before it is text; the package says what it does in a tick.

    Attributes:
        name: of the network; free text.
        inputs, outputs: in the order of the graph.
        sources: inputs and populations, in the order of the graph.
        populations: in the order in which they are updated in a tick: a population that reads values of the same tick
            stands behind the population that emits them.
        loops: all populations again, in the same order, in groups: a flag and the members. Where the flag is true, the
            members depend on each other from tick to tick, and all of them must run before the next tick begins. A
            population that stands alone with a false flag may run many ticks at once, before the next group begins.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    sources: tuple[Source, ...]
    populations: tuple[PopulationPlan, ...]
    loops: tuple[tuple[bool, tuple[PopulationPlan, ...]], ...]

    @property
    def projections(self) -> tuple[ProjectionPlan, ...]:
        """The projections of all populations, in their order."""
        return tuple(p for pop in self.populations for p in pop.projections)

    @cached_property
    def constants(self) -> tuple[Constant, ...]:
        """The constants of all updates, population by population, then those of all projections."""
        return (*(c for p in self.populations for c in p.update.constants),
                *(c for p in self.populations for c in p.constants))


def plan(graph: Graph, rates: Mapping[str, float], costs: Mapping[str, float], max_lanes: int = MAX_LANES) -> Plan:
    """Plan the program of an INT or MAPPED graph.

    Args:
        graph: what is computed in each tick of the hardware.
        rates: the mean share of elements that are not 0 in a tick, 0 to 1, of inputs and populations by name, where it
            was measured. Rates choose between kernels and never change a result.
        costs: what a synapse costs with each kernel, by the kernel's name; see `kernels.table.choose`.
        max_lanes: see `updates.Update`; 0 repeats no constant, for processors without vector registers.

    Raises:
        CompileError: SNN204 for an output that reads a sum or an operator.
    """
    return _Planner(graph, rates, costs, max_lanes).plan()


class _Planner:
    """Builds the plan of one graph; the arguments are those of `plan`."""

    def __init__(self, graph: Graph, rates: Mapping[str, float], costs: Mapping[str, float], max_lanes: int):
        self.graph, self.rates, self.costs, self.max_lanes = graph, rates, costs, max_lanes
        self.names = identifiers(graph.nodes)
        self.sources = {n: self._source(n) for n in graph.nodes if n not in graph.outputs}

    def plan(self) -> Plan:
        order = [n for c in self.graph.components for n in c if isinstance(self.graph.nodes[n], Population)]
        populations = {n: self._population(n) for n in order}
        return Plan(self.graph.name, tuple(self._input(n, op) for n, op in self.graph.inputs.items()),
                    tuple(self._output(n) for n in self.graph.outputs), tuple(self.sources.values()),
                    tuple(populations.values()), self._loops(populations))

    def _source(self, name: str) -> Source:
        shape = self.graph.shapes[name]
        history = max((e.delay for e in self.graph.edges_from[name]), default=0)
        if any(self._stands(e.dst) for e in self.graph.edges_from[name]):
            history = max(history, 1)  # the frame before is kept, to see whether it changed
        channels, height, width = as_image(shape)
        own = self.names[name]
        buffer = Buffer(own, own, math.prod(shape), *source_range(self.graph, name), Lifetime.HISTORY)
        return Source(name, buffer, channels, height * width, history)

    def _stands(self, name: str) -> bool:
        """Whether a population reads nothing but real-valued inputs of the same tick."""
        sources = [(self.graph.nodes[e.src], e.delay) for e in self.graph.edges_into[name]]
        return isinstance(self.graph.nodes[name], Population) and all(
            isinstance(op, Input) and op.values == "real" and delay == 0 for op, delay in sources)

    def _input(self, name: str, op: Input) -> Port:
        return Port(self.names[name], name, self.sources[name], 0, op.shape, int(op.low), int(op.high),
                    source_unit(self.graph, name))

    def _output(self, name: str) -> Port:
        edge, *others = self.graph.edges_into[name]
        if others or edge.chain:
            fail("SNN204", f"output {shorten(name)}", "a sum or an operator in front of it",
                 "the unchanged values of one population")
        return Port(self.names[name], name, self.sources[edge.src], edge.delay, self.graph.shapes[name],
                    *source_range(self.graph, edge.src), source_unit(self.graph, edge.src))

    def _loops(self, populations: dict[str, PopulationPlan]) -> tuple[tuple[bool, tuple[PopulationPlan, ...]], ...]:
        groups = []
        for component in self.graph.components:
            members = tuple(populations[n] for n in component if n in populations)
            if members:
                groups.append((len(component) > 1 or self.graph.loops(component[0]), members))
        return tuple(groups)

    def _population(self, name: str) -> PopulationPlan:
        chains = [split(e) for e in self.graph.edges_into[name]]
        accumulators, places = self._accumulators(name, chains)
        projections = tuple(self._projection(name, k, edge, chain, accumulators[at]) for k, (edge, (chain, _), at) in
                            enumerate(zip(self.graph.edges_into[name], chains, places, strict=True)))
        return PopulationPlan(self.sources[name], self._update(name, tuple(accumulators)), projections,
                              self._stands(name))

    def _update(self, name: str, accumulators: tuple[Accumulator, ...]) -> Update:
        """The update of a population, without the clips that never act on the states that it reaches.

        The graph keeps them where states that are anywhere in their widths would need them. A C compiler would warn of
        comparisons that are always true.
        """
        op, ranges = self.graph.population(name), population_ranges(self.graph, name)
        program = simplified(op.program, ranges.steps)
        return Update(self.names[name], replace(op, program=program), self.graph.shapes[name],
                      accumulators, intervals(program, op.params, ranges.states, ranges.x), self.max_lanes)

    def _accumulators(self, name: str, chains: list[tuple[tuple[Op, ...], Scale]]
                      ) -> tuple[list[Accumulator], list[int]]:
        """The accumulators of a population, and for each of its projections the position of its own among them.

        Projections with the same factor, a number, share an accumulator, whose range holds the sum of all of them.

        Args:
            chains: the chain of each projection, and the factor behind it; see `_split`.
        """
        sums: list[tuple[int | None, Constant | None, Interval]] = []
        places = []
        for edge, (chain, scale) in zip(self.graph.edges_into[name], chains, strict=True):
            low, high = chain_range(chain, source_range(self.graph, edge.src))
            label = f"{self.names[name]}_TIMES{len(sums)}"
            factor, factors = scale_factors(scale, self.graph.shapes[name], label)
            at = next((i for i, s in enumerate(sums) if factor is not None and s[0] == factor), len(sums))
            if at == len(sums):
                sums.append((factor, factors, (low, high)))
            else:
                sums[at] = (factor, factors, (sums[at][2][0] + low, sums[at][2][1] + high))
            places.append(at)
        lifetime = Lifetime.STANDING if self._stands(name) else Lifetime.POPULATION
        size, own = math.prod(self.graph.shapes[name]), self.names[name]
        return [Accumulator(Buffer(f"acc{i}", own, size, *ends, lifetime, True), factor, factors)
                for i, (factor, factors, ends) in enumerate(sums)], places

    def _projection(self, name: str, k: int, edge: Edge, chain: tuple[Op, ...], into: Accumulator) -> ProjectionPlan:
        source, shape = self.sources[edge.src], self.graph.shapes[edge.src]
        builder = Builder(f"{self.names[name]}_{k}", self.costs)
        signal = Signal(source.buffer, shape, channels_last(shape), self.rates.get(edge.src, UNKNOWN_RATE))
        builder.build(chain, signal, into.buffer, self.graph.shapes[name])
        return ProjectionPlan(builder.name, edge.label, source, edge.delay, into.buffer, tuple(builder.kernels),
                              tuple(builder.scratch))


def split(edge: Edge) -> tuple[tuple[Op, ...], Scale]:
    """The chain of a projection without the factor at its end, and that factor, which multiplies the complete sum."""
    if edge.chain and isinstance(edge.chain[-1], Scale):
        return edge.chain[:-1], edge.chain[-1]
    return edge.chain, Scale(1)
