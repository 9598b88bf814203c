"""prove-ranges: bound every integer by interval analysis, and drop operations that cannot act."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from snncompile.diagnostics import Collector, shorten
from snncompile.ir.expr import Program
from snncompile.ir.graph import Graph
from snncompile.ir.op import Op
from snncompile.ir.operations import Interval, bit_width, join, width, within
from snncompile.ir.populations import Population
from snncompile.ir.ranges import PopulationRanges, chain_ranges, intervals, population_ranges, simplified
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
    program = simplified(op.program, ranges.steps)
    bits = {n: bit_width(interval) for n, interval in ranges.states.items()}
    if not _closed(program, op, bits, ranges.x):
        ranges = _rounded(op, ranges)
        program = simplified(op.program, ranges.steps)
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
