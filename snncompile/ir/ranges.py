"""Interval analysis: what integers can occur, proved from the graph alone.

Inputs stay in their declared range; every population's output range is an attribute of the graph, which
its program's clips guarantee. From those follow the range of every sum of synaptic inputs, and, by
induction over ticks, of every state and intermediate of every population.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.expr import Program, Step
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Input
from snncompile.ir.populations import Population

Interval = tuple[int, int]

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
    states = {n: _extent(s.initial) for n, s in op.states.items()}
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


def _extent(values: Any) -> Interval:
    return int(np.min(values)), int(np.max(values))


def bit_width(interval: Interval) -> int:
    """Bits of the narrowest signed integer that holds an interval; at least 1."""
    return max(n.bit_length() if n >= 0 else (-n - 1).bit_length() for n in interval) + 1


def width(bits: int) -> Interval:
    """The range of a signed integer of that many bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def within(a: Interval, b: Interval) -> bool:
    return b[0] <= a[0] and a[1] <= b[1]


def join(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), max(a[1], b[1])


def intervals(program: Program, params: Mapping[str, Any], states: Mapping[str, Interval], x: Interval
              ) -> tuple[Interval, ...]:
    """The range of every step, given those of the states and the input."""
    found: list[Interval] = []
    for step in program.steps:
        match step.op:
            case "param":
                found.append(_extent(params[str(step.value)]))
            case "state":
                found.append(states[str(step.value)])
            case "input":
                found.append(x)
            case "select":
                found.append(_select(program, found, step))
            case _:
                found.append(_transfer(step, [found[a] for a in step.args], params))
    return tuple(found)


def _transfer(step: Step, args: list[Interval], params: Mapping[str, Any]) -> Interval:
    value: Any = step.value
    (a, b) = ([*args, (0, 0), (0, 0)])[:2]
    match step.op:
        case "const":
            return int(value), int(value)
        case "add":
            return a[0] + b[0], a[1] + b[1]
        case "sub":
            return a[0] - b[1], a[1] - b[0]
        case "mul" | "and":
            products = [p * q for p in a for q in b]
            return min(products), max(products)
        case "neg":
            return -a[1], -a[0]
        case "abs":
            return (0 if a[0] <= 0 <= a[1] else min(abs(a[0]), abs(a[1]))), max(abs(a[0]), abs(a[1]))
        case "min":
            return min(a[0], b[0]), min(a[1], b[1])
        case "max" | "or":
            return max(a[0], b[0]), max(a[1], b[1])
        case "sign":
            return _sign(a[0]), _sign(a[1])
        case "ge":
            return int(a[0] >= b[1]), int(a[1] >= b[0])
        case "gt":
            return int(a[0] > b[1]), int(a[1] > b[0])
        case "not":
            return 1 - a[1], 1 - a[0]
        case "floordiv":
            quotients = [p // q for p in a for q in (max(b[0], 1), max(b[1], 1))]
            return min(quotients), max(quotients)
        case "shr":
            return _shifted(a[0], *value), _shifted(a[1], *value)
        case "wrap":
            return a if within(a, width(value)) else width(value)
        case "lut":
            table = params[value[0]]
            first, last = (min(max((end - value[1]) >> value[2], 0), len(table) - 1) for end in a)
            return _extent(table[first:last + 1])
    raise AssertionError(f"no interval for {step.op}")


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _shifted(value: int, bits: int, rounding: str) -> int:
    if bits == 0:
        return value
    if rounding == "zero":
        return value >> bits if value >= 0 else -(-value >> bits)
    return (value + (1 << (bits - 1)) if rounding == "nearest" else value) >> bits


def _select(program: Program, found: list[Interval], step: Step) -> Interval:
    """The branch that is taken, or the join of both, each seen under what the condition says of it."""
    condition = program.steps[step.args[0]]
    decided, then, other = (found[a] for a in step.args)
    if decided[0] > 0 or decided[1] < 0:
        return then
    if decided == (0, 0):
        return other
    if condition.op in ("ge", "gt"):
        a, b = condition.args
        strict = int(condition.op == "gt")
        if program.steps[step.args[1]] == Step("sub", (a, b)):
            then = (max(then[0], strict), max(then[1], strict))
        if step.args[2] == a:
            other = _clip_high(other, found[b][1] - 1 + strict)
    return join(then, other)


def _clip_high(a: Interval, high: int) -> Interval:
    return min(a[0], high), min(a[1], high)
