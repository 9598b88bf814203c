"""Interval analysis: the integers that can occur in an INT graph, proved from the graph alone.

Two things are given: inputs stay in their range, and populations emit values in the output range that the graph says,
which the clips of their programs guarantee. From these follows the range of the summed input of each population, and by
induction over ticks the range of each state and step of its program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snncompile.diagnostics import fail, shorten
from snncompile.ir.expr import Program, Step, constants, prune
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.operations import OPERATIONS, Interval, bit_width, extent, join, width, within
from snncompile.ir.ops import Input
from snncompile.ir.populations import Population

MAX_NARROWINGS = 8
"""How often proved ranges are replaced by what they lead to, at most."""
MAX_STEPS = 80
"""The number of rounds in which the ranges of the states of a population are widened."""


@dataclass(frozen=True)
class PopulationRanges:
    """The proved ranges of a population.

    Attributes:
        x: of its summed input.
        steps: of each step of its program.
        states: of each state, by name.
    """

    x: Interval
    steps: tuple[Interval, ...]
    states: Mapping[str, Interval]


def source_unit(graph: Graph, name: str) -> float:
    """The real value of the integer 1 of what an input or population of an INT graph emits; 1 for spikes."""
    op = graph.nodes[name]
    if isinstance(op, Population):
        return float(op.unit) if op.graded else 1.0
    return op.unit if isinstance(op, Input) else 1.0


def source_range(graph: Graph, name: str) -> Interval:
    """The range of what an input or population emits. It holds 0, which delayed edges deliver in their first ticks."""
    op = graph.nodes[name]
    if isinstance(op, Input):
        return min(0, int(op.low)), max(0, int(op.high))
    assert isinstance(op, Population)
    return min(0, op.output_low), max(0, op.output_high)


def chain_ranges(graph: Graph, edge: Edge) -> list[Interval]:
    """The ranges of what the source of a projection emits, and of the result of each operator of its chain in turn.

    Each range holds 0 and all partial sums.
    """
    ranges = [source_range(graph, edge.src)]
    for op in edge.chain:
        low, high = op.bounds(*ranges[-1])
        ranges.append((min(0, low), max(0, high)))
    return ranges


def edge_range(graph: Graph, edge: Edge) -> Interval:
    """The range of what a projection delivers, with all partial sums of its last operator."""
    return chain_ranges(graph, edge)[-1]


def input_range(graph: Graph, name: str) -> Interval:
    """The range of the sum of all projections into a population, with all partial sums."""
    parts = [edge_range(graph, e) for e in graph.edges_into[name]]
    return sum(p[0] for p in parts), sum(p[1] for p in parts)


def population_ranges(graph: Graph, name: str) -> PopulationRanges:
    """Prove the ranges of a population of a graph, which is given by name. Raises SNN402; see `cell_ranges`."""
    op = graph.nodes[name]
    assert isinstance(op, Population)
    return cell_ranges(op, input_range(graph, name), f"population {shorten(name)}")


def cell_ranges(op: Population, x: Interval, place: str) -> PopulationRanges:
    """Prove the ranges of a population whose summed input stays in an interval, by induction over ticks.

    The ranges of the states start as those of their initial values. In each round the program is evaluated on
    intervals, and where the next value of a state may lie outside of its range, the range is widened. It ends when no
    range has to be widened; in the last of MAX_STEPS rounds, the ranges are those of the widths.

    Args:
        x: the interval of the summed input.
        place: the population as diagnostics name it.

    Raises:
        CompileError: SNN402 where a state can leave its width. Programs that the compiler makes keep states within it.
    """
    states = {n: extent(s.initial) for n, s in op.states.items()}
    widest = {n: join(width(s.bits), states[n]) for n, s in op.states.items()}
    for k in range(MAX_STEPS):
        states = widest if k == MAX_STEPS - 1 else states
        steps = intervals(op.program, op.params, states, x)
        after = {n: steps[i] for n, i in op.program.next_state}
        if _holds(after, states):
            return _narrowed(op, x, PopulationRanges(x, steps, states))
        leap = 1 << min(k, 40)
        states = {n: _grow(states[n], after[n], leap, widest[n]) for n in states}
    fail("SNN402", place, "a state that can leave its width", "a clip or wrap of every state")


def _holds(after: Mapping[str, Interval], states: Mapping[str, Interval]) -> bool:
    """Whether states do not leave their ranges in a tick."""
    return all(within(after[n], states[n]) for n in states)


def _narrowed(op: Population, x: Interval, proved: PopulationRanges) -> PopulationRanges:
    """The narrowest widths of the states that can be proved in this way, below ranges that are proved.

    Ranges were widened in leaps, which can go too far: a counter that stops at 10 may have been given 0 to 15, and a
    membrane with a slow decay far more. Each state in turn is tried with the fewest bits that keep the proof.
    """
    first = {n: extent(s.initial) for n, s in op.states.items()}
    for name in op.states:
        low, high = max(bit_width(first[name]), 1), bit_width(proved.states[name])
        while low < high:
            bits = (low + high) // 2
            least, most = width(bits)
            wide = proved.states[name]
            states = {**proved.states, name: (max(wide[0], least), min(wide[1], most))}
            steps = intervals(op.program, op.params, states, x)
            if _holds({n: steps[i] for n, i in op.program.next_state}, states):
                proved, high = PopulationRanges(x, steps, states), bits
            else:
                low = bits + 1
    for _ in range(MAX_NARROWINGS):
        states = {n: join(first[n], proved.steps[i]) for n, i in op.program.next_state}
        if states == proved.states:
            break
        proved = PopulationRanges(x, intervals(op.program, op.params, states, x), states)
    return proved


def _grow(old: Interval, new: Interval, leap: int, widest: Interval) -> Interval:
    """Widen the range of a state toward its next values.

    A bound that moves is moved by `leap` times as far, so that a state that grows by 1 in each tick does not take as
    many rounds as it takes ticks. The bound stops at that of the width of the state (`widest`), unless a next value
    lies beyond.
    """
    low = min(old[0], max(old[0] - leap * max(old[0] - new[0], 0), min(widest[0], new[0])))
    high = max(old[1], min(old[1] + leap * max(new[1] - old[1], 0), max(widest[1], new[1])))
    return low, high


def intervals(program: Program, params: Mapping[str, Any], states: Mapping[str, Interval], x: Interval
              ) -> tuple[Interval, ...]:
    """The interval of every step of an integer program.

    Args:
        params: integers, arrays of integers and look-up tables, by name.
        states: the interval of each state, by name.
        x: the interval of the summed input.
    """
    ranges: list[Interval] = []
    for step in program.steps:
        match step.op:
            case "const":
                ranges.append(extent(step.value))
            case "param":
                ranges.append(extent(params[str(step.value)]))
            case "state":
                ranges.append(states[str(step.value)])
            case "input":
                ranges.append(x)
            case _:
                interval = OPERATIONS[step.op].interval
                assert interval is not None, f"integer programs have no {step.op}"
                ranges.append(interval(*_arguments(program, step, ranges), *constants(step, params)))
    return tuple(ranges)


def _arguments(program: Program, step: Step, ranges: list[Interval]) -> list[Interval]:
    """The intervals of the arguments of a step. Those of a `select` are narrowed by its condition.

    In `select(v >= threshold, v - threshold, v)`, the difference is at least 0 where it is selected, and `v` is below
    the largest threshold where `v` is selected.
    """
    arguments = [ranges[a] for a in step.args]
    condition = program.steps[step.args[0]] if step.op == "select" else step
    if condition.op not in ("ge", "gt") or step.op != "select":
        return arguments
    a, b = condition.args
    strict = int(condition.op == "gt")
    chosen, then, otherwise = arguments
    if program.steps[step.args[1]] == Step("sub", (a, b)):
        then = max(then[0], strict), max(then[1], strict)
    if step.args[2] == a:
        most = ranges[b][1] - 1 + strict
        otherwise = min(otherwise[0], most), min(otherwise[1], most)
    return [chosen, then, otherwise]


def simplified(program: Program, ranges: tuple[Interval, ...]) -> Program:
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
