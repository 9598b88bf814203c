"""prove-ranges: bound every integer by interval analysis, and drop operations that cannot act."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from snncompile.diagnostics import Collector, shorten
from snncompile.ir.expr import Program, Step, prune
from snncompile.ir.graph import Graph
from snncompile.ir.op import Op
from snncompile.ir.operations import Interval, bit_width, join, width, within
from snncompile.ir.populations import Population
from snncompile.ir.ranges import PopulationRanges, chain_ranges, intervals, population_ranges
from snncompile.ir.types import Stage

WIDEST_BITS = 64
ROUNDS = 8
"""How often the populations of a loop are bounded again, at most, while the ranges of their outputs become narrower."""


@dataclass(frozen=True)
class ProveRanges:
    """Bound every state and intermediate; narrow states and outputs to what can occur.

    Raises SNN402 where an intermediate could leave 64 bits.
    """

    name: ClassVar[str] = "prove-ranges"
    needs: ClassVar[Stage] = Stage.INT
    ensures: ClassVar[Stage] = Stage.INT

    def run(self, graph: Graph) -> Graph:
        problems = Collector()
        for component in graph.components:
            names = [n for n in component if isinstance(graph.nodes[n], Population)]
            graph = _tightened(graph, names, problems)
            for _ in range(ROUNDS if len(component) > 1 else 0):
                before = graph
                graph = _tightened(graph, names, Collector())  # a narrower output comes back as a narrower input
                if all(_emits(before, n) == _emits(graph, n) for n in names):
                    break
        problems.finish()
        return graph


def _tightened(graph: Graph, names: Iterable[str], problems: Collector) -> Graph:
    """The graph with these populations bounded, one after the other."""
    for name in names:
        ranges = population_ranges(graph, name)
        chains = [r for e in graph.edges_into[name] for r in chain_ranges(graph, e)]
        _check(name, (*ranges.steps, ranges.x, *chains), problems)
        graph = graph.replace(nodes={**graph.nodes, name: tightened(graph.nodes[name], ranges)})
    return graph


def _emits(graph: Graph, name: str) -> Interval:
    """The range of what a population emits."""
    op = graph.nodes[name]
    assert isinstance(op, Population)
    return op.output_low, op.output_high


def _check(name: str, ranges: tuple[Interval, ...], problems: Collector) -> None:
    """An error (SNN402) for a population with an intermediate that could leave 64 bits."""
    widest = max(max(-low, high) for low, high in ranges)
    if widest.bit_length() + 1 >= WIDEST_BITS:  # one bit is for what rounding adds
        problems.error("SNN402", f"population {shorten(name)}", f"an intermediate of {widest.bit_length() + 1} bits",
                       f"{WIDEST_BITS} bits", "fewer membrane, weight or spike bits, or a limit on spikes a step")


def tightened(op: Op, ranges: PopulationRanges) -> Op:
    """The population with states as wide as their ranges, and a program without steps that these decide."""
    assert isinstance(op, Population)
    program = _simplified(op.program, ranges.steps)
    bits = {n: bit_width(interval) for n, interval in ranges.states.items()}
    if not _closed(program, op, bits, ranges.x):
        ranges = _rounded(op, ranges)
        program = _simplified(op.program, ranges.steps)
        bits = {n: bit_width(interval) for n, interval in ranges.states.items()}
    low, high = ranges.steps[op.program.output]
    states = {n: dataclasses.replace(s, bits=bits[n]) for n, s in op.states.items()}
    tighter = dataclasses.replace(op, program=program, states=states, output_low=low, output_high=high)
    params = {n: v for n, v in op.params.items() if n in program.names("param") or n in tighter.tables}
    return dataclasses.replace(tighter, params=params)


def _closed(program: Program, op: Population, bits: Mapping[str, int], x: Interval) -> bool:
    """Whether states that are anywhere in their widths stay in them, so that the widths alone prove the program."""
    steps = intervals(program, op.params, {n: width(b) for n, b in bits.items()}, x)
    return all(within(steps[i], width(bits[n])) for n, i in program.next_state)


def _rounded(op: Population, ranges: PopulationRanges) -> PopulationRanges:
    """The narrowest ranges around those given in which every state takes all of a width and does not leave it."""
    states = dict(ranges.states)
    while True:
        states = {n: width(bit_width(interval)) for n, interval in states.items()}
        steps = intervals(op.program, op.params, states, ranges.x)
        after = {n: join(states[n], steps[i]) for n, i in op.program.next_state}
        if after == states:
            return PopulationRanges(ranges.x, steps, states)
        states = after


def _simplified(program: Program, ranges: tuple[Interval, ...]) -> Program:
    """The program without steps that have one value only, and without clips and choices that never act."""
    moved: list[int] = []
    steps: list[Step] = []
    for step, (low, high) in zip(program.steps, ranges, strict=True):
        keeps = decided(step, ranges)
        if keeps is not None:
            moved.append(moved[keeps])
            continue
        constant = low == high and step.op not in ("param", "const")
        steps.append(Step("const", (), low) if constant else
                     Step(step.op, tuple(moved[a] for a in step.args), step.value))
        moved.append(len(steps) - 1)
    return prune(Program(tuple(steps), moved[program.output], tuple((n, moved[i]) for n, i in program.next_state)))


def decided(step: Step, ranges: tuple[Interval, ...]) -> int | None:
    """The position of the argument that a step always gives, where ranges prove that; else None."""
    value: Any = step.value
    if step.op not in ("min", "max", "wrap", "select"):
        return None
    a = ranges[step.args[0]]
    if step.op == "select":
        return step.args[1] if a[0] > 0 else step.args[2] if a == (0, 0) else None
    if step.op == "wrap":
        half = 1 << (int(value) - 1)
        return step.args[0] if -half <= a[0] and a[1] < half else None
    b = ranges[step.args[1]]
    first = a[1] <= b[0] if step.op == "min" else a[0] >= b[1]
    second = b[1] <= a[0] if step.op == "min" else b[0] >= a[1]
    return step.args[0] if first else step.args[1] if second else None
