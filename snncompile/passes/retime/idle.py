"""Whether a population stays as it is while nothing arrives, and how to make it wait where it does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snncompile.ir.expr import Expr, Program, Step, evaluate, flatten, maximum, prune, select
from snncompile.ir.operations import Interval, bit_width, join
from snncompile.ir.populations import IntState, Population
from snncompile.ir.ranges import cell_ranges, intervals
from snncompile.ir.types import Array, Shape
from snncompile.passes.quantize.prove_ranges import decided

MAX_KINDS = 4096
NARROWINGS = 2


def starts_idle(op: Population, shape: Shape) -> bool:
    """Whether the population, from its first states and without input, emits nothing and changes nothing."""
    states = {n: np.broadcast_to(np.asarray(s.initial, np.int64), shape) for n, s in op.states.items()}
    output, after = evaluate(op.program, op.params, states, np.zeros(shape, np.int64))
    return not output.any() and all(np.array_equal(after[n], v) for n, v in states.items())


def holds_still(op: Population, shape: Shape, x: Interval) -> bool:
    """Whether the population, in every state it can be in, without input emits nothing and changes nothing.

    Proved by intervals, for each distinct set of parameters that a neuron has.

    Args:
        x: the range of what arrives in the ticks between which it is to hold still.
    """
    kinds = list(_kinds(op, shape))
    return len(kinds) <= MAX_KINDS and all(_proved(kind, x) for kind in kinds)


def _kinds(op: Population, shape: Shape) -> Iterator[Population]:
    """The population once for each distinct neuron in it."""
    arrays = {n: v for n, v in op.params.items() if isinstance(v, np.ndarray) and n not in op.tables}
    arrays |= {f"initial.{n}": s.initial for n, s in op.states.items() if isinstance(s.initial, np.ndarray)}
    if not arrays:
        yield op
        return
    rows = np.unique(np.stack([np.broadcast_to(v, shape).reshape(-1) for v in arrays.values()], 1), axis=0)
    for row in rows[:MAX_KINDS + 1]:
        own = dict(zip(arrays, map(int, row), strict=True))
        states = {n: dataclasses.replace(s, initial=own.get(f"initial.{n}", s.initial)) for n, s in op.states.items()}
        yield dataclasses.replace(op, params={n: own.get(n, v) for n, v in op.params.items()}, states=states, unit=1.0)


def _proved(op: Population, x: Interval) -> bool:
    states = _narrowed(op, x)
    idle = intervals(op.program, op.params, states, (0, 0))
    if idle[op.program.output] != (0, 0):
        return False
    return all(op.program.steps[_source(op.program, idle, i)] == Step("state", (), n)
               or idle[i] == states[n] == (idle[i][0], idle[i][0]) for n, i in op.program.next_state)


def _narrowed(op: Population, x: Interval) -> Mapping[str, Interval]:
    """The range of every state; the proof by induction overshoots, and each tick from its answer leaves less."""
    x = join(x, (0, 0))
    states = cell_ranges(op, x, "population").states
    first = {n: (int(np.min(s.initial)), int(np.max(s.initial))) for n, s in op.states.items()}
    for _ in range(NARROWINGS):
        steps = intervals(op.program, op.params, states, x)
        states = {n: join(first[n], steps[i]) for n, i in op.program.next_state}
    return states


def _source(program: Program, ranges: tuple[Interval, ...], i: int) -> int:
    """The step whose value another one only passes on."""
    while True:
        step = program.steps[i]
        keeps = decided(step, ranges)
        if keeps is None and step.op in ("add", "sub", "mul"):
            nothing = (1, 1) if step.op == "mul" else (0, 0)
            a, b = step.args
            keeps = a if ranges[b] == nothing else b if ranges[a] == nothing and step.op != "sub" else None
        if keeps is None:
            return i
        i = keeps


def waiting(op: Population, first: int, period: int) -> Population:
    """The population with a counter that lets it act in tick `first`, and then in every `period`-th only."""
    name = "wait"
    while name in op.states:
        name += "_"
    exprs = _expressions(op.program)
    wait = Expr("state", (), name)
    late = wait > 0
    nexts = {n: select(late, Expr("state", (), n), exprs[i]) for n, i in op.program.next_state}
    nexts[name] = select(late, maximum(wait - 1, 0), period - 1)
    program = flatten(select(late, 0, exprs[op.program.output]), nexts)
    states = {**op.states, name: IntState(bit_width((0, max(first, period - 1))), first)}
    return dataclasses.replace(op, program=program, states=states, output_low=min(0, op.output_low),
                               output_high=max(0, op.output_high))


def _expressions(program: Program) -> list[Expr]:
    found: list[Expr] = []
    for step in program.steps:
        found.append(Expr(step.op, tuple(found[a] for a in step.args), step.value))
    return found


def without_bias(op: Population, shape: Shape) -> tuple[Population, Array] | None:
    """The population without the constant that its program adds to its input, and that constant; None without one."""
    steps = op.program.steps
    at = [i for i, s in enumerate(steps) if s.op == "input"]
    readers = [i for i, s in enumerate(steps) if set(s.args) & set(at)]
    if len(at) != 1 or len(readers) != 1 or steps[readers[0]].op != "add":
        return None
    constant = [a for a in steps[readers[0]].args if steps[a].op in ("param", "const")]
    if len(constant) != 1:
        return None
    values = np.broadcast_to(np.asarray(_constant(steps[constant[0]], op.params), np.int64), shape)
    if not values.any():
        return None
    moved = tuple(_redirected(s, readers[0], at[0]) for s in steps)
    ends = {readers[0]: at[0]}
    program = prune(Program(moved, ends.get(op.program.output, op.program.output),
                            tuple((n, ends.get(i, i)) for n, i in op.program.next_state)))
    params = {n: v for n, v in op.params.items() if n in program.names("param") or n in op.tables}
    return dataclasses.replace(op, program=program, params=params), values


def _constant(step: Step, params: Mapping[str, Any]) -> Any:
    return params[str(step.value)] if step.op == "param" else step.value


def _redirected(step: Step, old: int, new: int) -> Step:
    return Step(step.op, tuple(new if a == old else a for a in step.args), step.value)
