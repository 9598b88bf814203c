"""What the functions of an emitted program compute: the kernels of its projections and the updates of its populations.

A body names its parameters and nothing else of the network, so that equal bodies need one function; see `functions`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from snncompile.backends.c.context import Data, KernelView, Row, StateArray, UpdateView
from snncompile.backends.c.expressions import lines_of
from snncompile.backends.c.functions import Body, Number, Parameter
from snncompile.backends.c.text import kernel_text, render
from snncompile.backends.c.types import accumulator_type, c_type_of, type_of
from snncompile.backends.names import comment
from snncompile.backends.plan.buffers import Buffer, Constant, Lifetime
from snncompile.backends.plan.kernels.kernel import Kernel, Scratch
from snncompile.backends.plan.plan import PopulationPlan, ProjectionPlan
from snncompile.backends.plan.updates import Operand
from snncompile.ir.expr import Step


def constant_name(prefix: str, constant: Constant) -> str:
    """The name of a constant in C: the prefix of the network, `_N_`, and the name in the plan.

    Identifiers of networks and populations have no capitals. The capitals between them therefore show where each ends,
    so that no two constants of several networks have the same name.
    """
    return f"{prefix}_N_{constant.name}"


def scratch_of(projection: ProjectionPlan) -> Scratch:
    """For each kind of scratch memory, as much as the kernel of a projection needs that needs most."""
    scratch = [k.scratch for k in projection.kernels]
    return Scratch(*(max((getattr(s, f.name) for s in scratch), default=0) for f in dataclasses.fields(Scratch)))


def index_type(scratch: Scratch) -> str:
    """The type of the indices in a list of events."""
    return "uint16_t" if scratch.index_limit <= 1 << 16 else "uint32_t"


def cleared(kernel: Kernel, scratch: str) -> str:
    """The C expression of the row that must be set to 0 before a kernel adds to it; empty where there is none.

    Args:
        scratch: the C expression of the scratch memory of its projection.
    """
    between = kernel.dst.lifetime is Lifetime.PROJECTION
    return f"{scratch}.{kernel.dst.name}" if between and kernel.accumulates else ""


def kernel_body(projection: ProjectionPlan, kernel: Kernel, source: str, sums: str, own: str, prefix: str) -> Body:
    """What a kernel computes.

    Args:
        source: the C expression of the row that the projection reads.
        sums: the C expression of the sums of its population, without the name of the accumulator.
        own: that of the scratch memory of the projection.
        prefix: with which names of constants begin.
    """
    scratch = scratch_of(projection)
    rows = {"src": kernel.src, "dst": kernel.dst}
    named = {f.name: getattr(kernel, f.name) for f in dataclasses.fields(kernel)}
    constants = {f"{n}_values": v for n, v in named.items() if isinstance(v, Constant)}
    in_c: dict[int, Row | Data] = {id(b): Row(n, type_of(b), b.size) for n, b in rows.items()}
    in_c |= {id(c): Data(n, c.values) for n, c in constants.items()}
    parameters = [Parameter(f"{'const ' if n == 'src' else ''}{type_of(b)} *restrict ", n,
                            _row(b, source, sums, own)) for n, b in rows.items()]
    parameters += [Parameter(f"const {c_type_of(c.values)} *restrict ", n, constant_name(prefix, c))
                   for n, c in constants.items()]
    parameters += [Parameter(f"{kind} *restrict ", name, f"{own}.{member}")
                   for kind, name, member in ((index_type(scratch), "found", "events"), ("uint32_t", "bits", "bits"))]
    view = KernelView(kernel, in_c)
    return Body("kernel", kernel.name, tuple(parameters), kernel_text(view, index_type(scratch)), content=view)


def _row(buffer: Buffer, source: str, sums: str, own: str) -> str:
    """A buffer as a C expression: what a projection reads, a row between two kernels, or the sums that it adds to."""
    if buffer.lifetime is Lifetime.HISTORY:
        return source
    return f"{own if buffer.lifetime is Lifetime.PROJECTION else sums}.{buffer.name}"


def update_body(population: PopulationPlan, states: tuple[StateArray, ...], sums: str, out: str, prefix: str) -> Body:
    """What an update computes; for the arguments see `kernel_body`. `out` is the row that it writes."""
    return _Update(population, prefix).body(states, sums, out)


class _Update:
    """Prints the update of one population, with marks for its numbers."""

    def __init__(self, population: PopulationPlan, prefix: str):
        self.population, self.prefix, self.numbers = population, prefix, list[Number]()
        self.update = population.update
        constants = self.update.constants
        self.names = {c.name: f"p{i}" for i, c in enumerate(constants)}
        self.constants = constants

    def body(self, states: tuple[StateArray, ...], sums: str, out: str) -> Body:
        update, source = self.update, self.population.source.buffer
        blocks, lanes = self._extent(source.size // update.lanes), self._extent(update.lanes)
        lines, operands = lines_of(update.program, update.ranges, self._leaf, self._number, update.scalar)
        types = {s.name: s.type for s in states}
        nexts = [(update.state_names[n], types[update.state_names[n]], operands[i])
                 for n, i in update.program.next_state]
        text = render("update.c.j2", blocks=blocks, lanes=lanes, lines=lines, nexts=nexts, type=type_of(source),
                      output=operands[update.program.output])
        own = f"net->state.{source.name}"
        parameters = [
            *(Parameter(f"const {type_of(a.buffer)} *restrict ", a.buffer.name, f"{sums}.{a.buffer.name}")
              for a in update.accumulators),
            *(Parameter(f"const {c_type_of(c.values)} *restrict ", self.names[c.name], constant_name(self.prefix, c))
              for c in self.constants),
            *(Parameter(f"{s.type} *restrict ", f"s_{s.name}", f"{own}.{s.name}") for s in states),
            Parameter(f"{type_of(source)} *restrict ", "out", out)]
        content = UpdateView(tuple(lines), len(states), update.lanes < source.size)
        return Body("update", comment(update.op.rule), tuple(parameters), text, tuple(self.numbers), content)

    def _extent(self, size: int) -> str:
        return self._mark(Number("int", size))

    def _number(self, value: int) -> str:
        return self._mark(Number(accumulator_type(value, value), value))

    def _mark(self, number: Number) -> str:
        self.numbers.append(number)
        return f"@{len(self.numbers) - 1}@"

    def _leaf(self, step: Step) -> str:
        """A leaf of the program, in a loop where `i` is the neuron and `c` the lane."""
        if step.op == "state":
            return f"s_{self.update.state_names[str(step.value)]}[i]"
        return self._input_sum() if step.op == "input" else self._operand(self.update.operands[step], str)

    def _operand(self, operand: Operand, number: Callable[[int], str]) -> str:
        if operand.constant is None:
            return number(operand.number or 0)
        name = self.names[operand.constant.name]
        return f"{name}, {operand.constant.values.size}" if operand.index == "table" else \
            f"{name}[{'i' if operand.index == 'neuron' else 'c'}]"

    def _input_sum(self) -> str:
        """The C expression of a neuron's input: the sum of all accumulators times their factors."""
        kind = accumulator_type(*self.update.input_range)
        parts = []
        for accumulator, factor in zip(self.update.accumulators, self.update.factors, strict=True):
            times = "" if factor.number == 1 else f" * {self._operand(factor, self._number)}"
            cast = "" if kind == "int16_t" else f"({kind})"
            parts.append(f"{cast}{accumulator.buffer.name}[i]{times}")
        return f"({' + '.join(parts) or '0'})"
