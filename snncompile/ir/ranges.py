"""Interval analysis: what integers can occur, proved from the graph alone.

Inputs stay in their declared range; every population's output range is an attribute of the graph, which
its program's clips guarantee. From those follow the range of every sum of synaptic inputs, and, by
induction over ticks, of every state and intermediate of every population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snncompile.diagnostics import fail, shorten
from snncompile.ir.expr import Program, Step, constants
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.operations import OPERATIONS, Interval, extent, join, width, within
from snncompile.ir.ops import Input
from snncompile.ir.populations import Population

MAX_STEPS = 80


@dataclass(frozen=True)
class PopulationRanges:
    """Proven ranges of one population: its summed input, every step of its program, every state."""

    x: Interval
    steps: tuple[Interval, ...]
    states: Mapping[str, Interval]


def source_range(graph: Graph, name: str) -> Interval:
    """What a node can emit; always holds 0, which a delayed edge delivers at first."""
    op = graph.nodes[name]
    if isinstance(op, Input):
        return min(0, int(op.low)), max(0, int(op.high))
    assert isinstance(op, Population)
    return min(0, op.output_low), max(0, op.output_high)


def chain_ranges(graph: Graph, edge: Edge) -> list[Interval]:
    """What leaves the source of a projection and each of its operators, partial sums included."""
    found = [source_range(graph, edge.src)]
    for op in edge.chain:
        low, high = op.bounds(*found[-1])
        found.append((min(0, low), max(0, high)))
    return found


def edge_range(graph: Graph, edge: Edge) -> Interval:
    """What a projection can deliver, partial sums included."""
    return chain_ranges(graph, edge)[-1]


def input_range(graph: Graph, name: str) -> Interval:
    """The sum of all projections into a population, partial sums included."""
    parts = [edge_range(graph, e) for e in graph.edges_into[name]]
    return sum(p[0] for p in parts), sum(p[1] for p in parts)


def population_ranges(graph: Graph, name: str) -> PopulationRanges:
    """Prove the ranges of a population by induction over ticks. Raises SNN402; see `cell_ranges`."""
    op = graph.nodes[name]
    assert isinstance(op, Population)
    return cell_ranges(op, input_range(graph, name), f"population {shorten(name)}")


def cell_ranges(op: Population, x: Interval, place: str) -> PopulationRanges:
    """Prove the ranges of a population whose summed input stays in an interval.

    Raises:
        CompileError: SNN402 where a state can leave its width, which a program of the compiler never does.
    """
    states = {n: extent(s.initial) for n, s in op.states.items()}
    widest = {n: join(width(s.bits), states[n]) for n, s in op.states.items()}
    for k in range(MAX_STEPS):
        states = widest if k == MAX_STEPS - 1 else states
        steps = intervals(op.program, op.params, states, x)
        after = {n: steps[i] for n, i in op.program.next_state}
        if all(within(after[n], states[n]) for n in states):
            return PopulationRanges(x, steps, states)
        leap = 1 << min(k, 40)
        states = {n: _grow(states[n], after[n], leap, widest[n]) for n in states}
    fail("SNN402", place, "a state that can leave its width", "a clip or wrap of every state")


def _grow(old: Interval, new: Interval, leap: int, widest: Interval) -> Interval:
    """Overshoot in the direction of growth, so that slow convergence ends, but never past the state's width."""
    low = min(old[0], max(old[0] - leap * max(old[0] - new[0], 0), min(widest[0], new[0])))
    high = max(old[1], min(old[1] + leap * max(new[1] - old[1], 0), max(widest[1], new[1])))
    return low, high


def intervals(program: Program, params: Mapping[str, Any], states: Mapping[str, Interval], x: Interval
              ) -> tuple[Interval, ...]:
    """The range of every step, given those of the states and the input."""
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
    """The ranges of what a step reads; those of a choice under what its condition says of them.

    In `select(v >= threshold, v - threshold, v)` the difference is at least 0 where it is chosen, and `v` is below the
    largest threshold where it is.
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
