"""From a plan to the context of the C templates: types, names and expressions of C are chosen here."""

from __future__ import annotations

from collections.abc import Iterator

from snncompile.backends.c.bodies import cleared, constant_name, index_type, kernel_body, scratch_of, update_body
from snncompile.backends.c.context import (
    AccumulatorCode,
    Data,
    KernelCall,
    Net,
    PopulationCode,
    PortCode,
    Projection,
    Row,
    SourceCode,
    StateArray,
)
from snncompile.backends.c.functions import Body, functions
from snncompile.backends.c.structs import Field, by_words, scratch, sums
from snncompile.backends.c.types import DTYPES, c_type_of, type_of
from snncompile.backends.names import comment
from snncompile.backends.plan import plan as planned
from snncompile.backends.plan.buffers import Buffer, Constant
from snncompile.backends.plan.kernels.kernel import EVENT_INDEX, Helper
from snncompile.backends.plan.plan import Plan, PopulationPlan, ProjectionPlan
from snncompile.backends.plan.sharing import Part, lives, offsets
from snncompile.ir.schedule import Schedule

CHUNK_BYTES = 1 << 18
"""The most bytes of the rows of all inputs and populations in a chunk, so that they stay in a processor's cache."""
MAX_CHUNK = 64
"""The most ticks in a chunk."""
FAMILIES = ("add", "bits", "dot", "pairs", "pool", "rows", "scan", "words")
"""The families of helper functions that the template `snn.h.j2` prints."""


def lower(plan: Plan, prefix: str, schedule: Schedule | None = None, chunk: int | None = None) -> Net:
    """Lower a plan to the context of the C templates.

    Args:
        prefix: a C identifier with which the names of everything that the program exports begin.
        schedule: in which steps of the program the ticks of the network are, for comments in the header. Without it
            they are the steps of the same number.
        chunk: the number of ticks that run layer by layer; as many as CHUNK_BYTES hold, from 1 to MAX_CHUNK, if none is
            given.
    """
    return _Lowering(plan, prefix, schedule or Schedule(), chunk).net()


class _Lowering:
    """Lowers one plan; the arguments are those of `lower`."""

    def __init__(self, plan: Plan, prefix: str, schedule: Schedule, chunk: int | None):
        self.plan, self.prefix, self.schedule = plan, prefix, schedule
        self.chunk = chunk or self._chunk()
        self.shares = self.chunk == 1 and any(p.update.scalar for p in plan.populations)
        self.memory = "shared." if self.shares else ""
        self.sources = {s.buffer.name: _source(s, self.shares) for s in plan.sources}

    def net(self) -> Net:
        bodies = [body for p in self.plan.populations for body in self._bodies(p)]
        made, texts = functions(bodies, self.prefix)
        calls = iter(texts)
        populations = {p.source.buffer.name: self._population(p, calls) for p in self.plan.populations}
        groups = tuple((loops, tuple(populations[p.source.buffer.name] for p in members))
                       for loops, members in self.plan.loops)
        return Net(self.prefix, comment(self.plan.name), tuple(map(self._input, self.plan.inputs)),
                   tuple(map(self._output, self.plan.outputs)), tuple(self.sources.values()),
                   tuple(populations.values()), groups, made, tuple(map(self._data, self.plan.constants)),
                   self._helpers(), self.chunk, self._offsets(tuple(populations.values())))

    def _data(self, constant: Constant) -> Data:
        return Data(constant_name(self.prefix, constant), constant.values)

    def _input(self, port: planned.Port) -> PortCode:
        always_on = self.schedule.always_on
        steps = self._steps(always_on.get(port.label, 0), "a 1 for each tick" if port.label in always_on else "tick")
        return self._port("in", port, steps)

    def _output(self, port: planned.Port) -> PortCode:
        return self._port("out", port, self._steps(self.schedule.latency_ticks.get(port.label, 0), "tick"))

    def _port(self, word: str, port: planned.Port, steps: str) -> PortCode:
        return PortCode(f"{word}_{port.name}", comment(port.label), self.sources[port.source.buffer.name], port.delay,
                    port.shape, port.low, port.high, port.unit, steps)

    def _steps(self, first: int, value: str) -> str:
        """Says in which steps of the program, which are ticks of the hardware, a port carries the network's tick t."""
        period = self.schedule.period
        step = f"{first} + {period} t" if period > 1 else f"{first} + t"
        return f"{value} t of the network in step {step}" if self.schedule else ""

    def _chunk(self) -> int:
        """As many ticks as CHUNK_BYTES hold, from 1 to MAX_CHUNK."""
        row = sum(s.buffer.size * DTYPES[type_of(s.buffer)].itemsize for s in self.plan.sources)
        return max(1, min(MAX_CHUNK, CHUNK_BYTES // max(row, 1)))

    def _offsets(self, populations: tuple[PopulationCode, ...]) -> dict[Part, int]:
        """Where each part of the memory begins that all share; nothing where they do not."""
        if not self.shares:
            return {}
        sizes: dict[Part, Field] = {("rows", s.name): (s.row_bytes(1), DTYPES[s.type].itemsize)
                                    for s in self.sources.values()}
        for p in populations:
            sizes |= {("scratch", j.name): scratch(j) for j in p.projections}
            sizes |= {} if p.standing else {("sums", p.source.name): sums(p.accumulators, p.source.size)}
        return offsets(lives(self.plan), {part: by_words(size) for part, size in sizes.items()})

    def _bodies(self, population: PopulationPlan) -> Iterator[Body]:
        """The bodies of the kernels of a population and of its update, in the order in which they run."""
        own = f"net->{self._home(population)}.{population.source.buffer.name}"
        for projection in population.projections:
            source = self.sources[projection.source.buffer.name]
            row = f"row_{source.name}" if population.standing else source.row(projection.delay)
            for kernel in projection.kernels:
                yield kernel_body(projection, kernel, row, own, self._scratch(projection), self.prefix)
        out = self.sources[population.source.buffer.name].row(0)
        yield update_body(population, self._states(population), own, out, self.prefix)

    def _states(self, population: PopulationPlan) -> tuple[StateArray, ...]:
        return tuple(StateArray(s.buffer.name, type_of(s.buffer), s.initial,
                                None if s.initials is None else self._data(s.initials))
                     for s in population.update.states)

    def _population(self, population: PopulationPlan, calls: Iterator[str]) -> PopulationCode:
        """A population; its calls are the next ones of all, in the order of `_bodies`."""
        update = population.update
        projections = tuple(self._projection(p, calls) for p in population.projections)
        return PopulationCode(
            self.sources[population.source.buffer.name], comment(update.op.rule),
            tuple(AccumulatorCode(a.buffer.name, type_of(a.buffer)) for a in update.accumulators), projections,
            self._states(population), next(calls), self._home(population), population.standing, update.scalar)

    def _projection(self, projection: ProjectionPlan, calls: Iterator[str]) -> Projection:
        needed = scratch_of(projection)
        rows = tuple(Row(b.name, type_of(b), b.size) for b in projection.scratch)
        return Projection(projection.name, comment(projection.label), self.sources[projection.source.buffer.name],
                          projection.delay, tuple(KernelCall(cleared(k, self._scratch(projection)), next(calls))
                                                  for k in projection.kernels), rows, needed, index_type(needed))

    def _home(self, population: PopulationPlan) -> str:
        """The member of the network's struct that holds the sums of a population."""
        return "kept" if population.standing else f"{self.memory}acc"

    def _scratch(self, projection: ProjectionPlan) -> str:
        """The C expression of the scratch memory of a projection."""
        return f"net->{self.memory}scratch.{projection.name}"

    def _helpers(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """The types and words for which helper functions are needed, by family."""
        needed: dict[str, set[tuple[str, ...]]] = {family: set() for family in FAMILIES}
        for projection in self.plan.projections:
            index = index_type(scratch_of(projection))
            for helper in (h for kernel in projection.kernels for h in kernel.helpers):
                needed.setdefault(helper.family, set()).add(_types(helper, index))
        return {family: tuple(sorted(types)) for family, types in needed.items()}


def _source(source: planned.Source, shared: bool) -> SourceCode:
    buffer = source.buffer
    return SourceCode(buffer.name, comment(source.label), type_of(buffer), buffer.size, source.channels, source.places,
                  source.history, source.plain, shared)


def _types(helper: Helper, index_type: str) -> tuple[str, ...]:
    """The parts of a helper, with the C types of buffers, constants and indices of events."""
    return tuple(type_of(part) if isinstance(part, Buffer) else c_type_of(part.values) if isinstance(part, Constant)
                 else index_type if part == EVENT_INDEX else part for part in helper.parts)
