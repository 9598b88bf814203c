"""From a plan to the context of the C templates: types, names and expressions of C are chosen here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from snncompile.backends.c.context import (
    AccumulatorCode,
    Data,
    KernelView,
    Net,
    PopulationCode,
    PortCode,
    Projection,
    Row,
    SourceCode,
    StateArray,
)
from snncompile.backends.c.expressions import lines_of
from snncompile.backends.c.types import DTYPES, accumulator_type, c_type_of, literal, type_of
from snncompile.backends.names import comment
from snncompile.backends.plan import plan as planned
from snncompile.backends.plan.buffers import Buffer, Constant, Lifetime
from snncompile.backends.plan.kernels.kernel import EVENT_INDEX, Helper, Kernel, Scratch
from snncompile.backends.plan.plan import Plan, PopulationPlan, ProjectionPlan
from snncompile.backends.plan.updates import Operand, Update
from snncompile.ir.expr import Step
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
        self.plan, self.prefix, self.schedule, self.chunk = plan, prefix, schedule, chunk
        self.sources = {s.buffer.name: _source(s) for s in plan.sources}

    def net(self) -> Net:
        populations = {p.source.buffer.name: self._population(p) for p in self.plan.populations}
        groups = tuple((loops, tuple(populations[p.source.buffer.name] for p in members))
                       for loops, members in self.plan.loops)
        return Net(self.prefix, comment(self.plan.name), tuple(map(self._input, self.plan.inputs)),
                   tuple(map(self._output, self.plan.outputs)), tuple(self.sources.values()),
                   tuple(populations.values()), groups, tuple(map(self._data, self.plan.constants)),
                   self._helpers(populations), self.chunk or self._chunk())

    def _data(self, constant: Constant) -> Data:
        """A constant with its name in C: the prefix of the network, `_N_`, and the name in the plan.

        Identifiers of networks and populations have no capitals. The capitals between them therefore show where each
        ends, so that no two constants of several networks have the same name.
        """
        return Data(f"{self.prefix}_N_{constant.name}", constant.values)

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
        row = sum(s.size * DTYPES[s.type].itemsize for s in self.sources.values())
        return max(1, min(MAX_CHUNK, CHUNK_BYTES // max(row, 1)))

    def _population(self, population: PopulationPlan) -> PopulationCode:
        update = population.update
        lines, operands = lines_of(update.program, update.ranges, self._leaves(update), update.scalar)
        states = tuple(StateArray(s.buffer.name, type_of(s.buffer), s.initial,
                                  None if s.initials is None else self._data(s.initials)) for s in update.states)
        types = {s.name: s.type for s in states}
        nexts = tuple((update.state_names[n], types[update.state_names[n]], operands[i])
                      for n, i in update.program.next_state)
        return PopulationCode(
            self.sources[population.source.buffer.name], comment(update.op.rule),
            tuple(AccumulatorCode(a.buffer.name, type_of(a.buffer)) for a in update.accumulators),
            tuple(map(self._projection, population.projections)), states, tuple(lines), nexts,
            operands[update.program.output], update.lanes, population.standing, update.scalar)

    def _leaves(self, update: Update) -> Callable[[Step], str]:
        """A function that prints the leaves of an update, in a loop where `i` is the neuron and `c` the lane."""
        def text(operand: Operand) -> str:
            if operand.constant is None:
                return str(operand.number)
            name = self._data(operand.constant).name
            return f"{name}, {operand.constant.values.size}" if operand.index == "table" else \
                f"{name}[{'i' if operand.index == 'neuron' else 'c'}]"

        def leaf(step: Step) -> str:
            if step.op == "state":
                return f"s_{update.state_names[str(step.value)]}[i]"
            return _input_sum(update, text) if step.op == "input" else text(update.operands[step])

        return leaf

    def _projection(self, projection: ProjectionPlan) -> Projection:
        views = tuple(self._view(k) for k in projection.kernels)
        scratch = [k.scratch for k in projection.kernels]
        together = Scratch(*(max((getattr(s, n) for s in scratch), default=0)
                             for n in ("events", "index_limit", "bit_words")))
        return Projection(projection.name, comment(projection.label), self.sources[projection.source.buffer.name],
                          projection.delay, views, tuple(map(_row, projection.scratch)), projection.accumulator.name,
                          type_of(projection.accumulator), together)

    def _view(self, kernel: Kernel) -> KernelView:
        words: dict[int, Row | Data] = {id(b): _row(b) for b in (kernel.src, kernel.dst)}
        return KernelView(kernel, words | {id(c): self._data(c) for c in kernel.constants})

    def _helpers(self, populations: Mapping[str, PopulationCode]) -> dict[str, tuple[tuple[str, ...], ...]]:
        """The types and words for which helper functions are needed, by family."""
        needed: dict[str, set[tuple[str, ...]]] = {family: set() for family in FAMILIES}
        for projection in (j for p in populations.values() for j in p.projections):
            for helper in (h for view in projection.kernels for h in view.kernel.helpers):
                needed.setdefault(helper.family, set()).add(_types(helper, projection.index_type))
        return {family: tuple(sorted(types)) for family, types in needed.items()}


def _source(source: planned.Source) -> SourceCode:
    buffer = source.buffer
    return SourceCode(buffer.name, comment(source.label), type_of(buffer), buffer.size, source.channels, source.places,
                  source.history, source.plain)


def _row(buffer: Buffer) -> Row:
    """A buffer as the function of a projection reaches it: its argument, scratch memory, or the accumulator."""
    text = {Lifetime.HISTORY: "src", Lifetime.PROJECTION: f"net->scratch.{buffer.owner}.{buffer.name}"}
    return Row(text.get(buffer.lifetime, "acc"), type_of(buffer), buffer.size)


def _types(helper: Helper, index_type: str) -> tuple[str, ...]:
    """The parts of a helper, with the C types of buffers, constants and indices of events."""
    return tuple(type_of(part) if isinstance(part, Buffer) else c_type_of(part.values) if isinstance(part, Constant)
                 else index_type if part == EVENT_INDEX else part for part in helper.parts)


def _input_sum(update: Update, text: Callable[[Operand], str]) -> str:
    """The C expression of a neuron's input: the sum of all accumulators times their factors."""
    if not update.accumulators:
        return "0"
    kind = accumulator_type(*update.input_range)
    parts = []
    for accumulator, factor in zip(update.accumulators, update.factors, strict=True):
        times = f" * {text(factor)}" if factor.constant else "" if factor.number == 1 else \
            f" * {literal(factor.number or 0)}"
        cast = "" if kind == "int16_t" else f"({kind})"
        parts.append(f"{cast}{accumulator.buffer.name}[i]{times}")
    return " + ".join(parts)
