"""Populations without input: whether they change or fire by themselves, and how they are kept from it.

Hardware starts all populations in the same tick, and under dilation lets them run between two ticks of the network. A
population that leaks, fires or integrates a bias by itself would then do so too early.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snncompile.ir.expr import Expr, Program, Step, evaluate, flatten, maximum, prune, select
from snncompile.ir.operations import Interval, bit_width, join
from snncompile.ir.populations import IntState, Population
from snncompile.ir.ranges import cell_ranges, decided, intervals
from snncompile.ir.types import Array, Shape

MAX_KINDS = 4096
"""The number of distinct neurons of a population that are looked at; one with more counts as not proved."""
NARROWINGS = 2
"""How often the range of a state is narrowed."""


def starts_idle(op: Population, shape: Shape) -> bool:
    """Whether a tick without input, from the first states, emits nothing and changes no state."""
    states = {n: np.broadcast_to(np.asarray(s.initial, np.int64), shape) for n, s in op.states.items()}
    output, after = evaluate(op.program, op.params, states, np.zeros(shape, np.int64))
    return not output.any() and all(np.array_equal(after[n], v) for n, v in states.items())


def holds_still(op: Population, shape: Shape, x: Interval) -> bool:
    """Whether a tick without input emits nothing and changes no state, from every state that can occur.

    That is proved by intervals, for each distinct set of parameters and first states of a neuron. True is a proof;
    False may only mean that there was none.

    Args:
        x: the range of the input in the other ticks.
    """
    kinds = list(_kinds(op, shape))
    return len(kinds) <= MAX_KINDS and all(_proved(kind, x) for kind in kinds)


def _kinds(op: Population, shape: Shape) -> Iterator[Population]:
    """The population with numbers in place of arrays, once for each distinct neuron."""
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
    """Whether each state passes through the program unchanged without input, or has one value only."""
    states = _narrowed(op, x)
    idle = intervals(op.program, op.params, states, (0, 0))
    if idle[op.program.output] != (0, 0):
        return False
    return all(op.program.steps[_source(op.program, idle, i)] == Step("state", (), n)
               or idle[i] == states[n] == (idle[i][0], idle[i][0]) for n, i in op.program.next_state)


def _narrowed(op: Population, x: Interval) -> Mapping[str, Interval]:
    """The range of every state. The proof by induction gives a range that is too wide; a tick from there narrows it."""
    x = join(x, (0, 0))
    states = cell_ranges(op, x, "population").states
    first = {n: (int(np.min(s.initial)), int(np.max(s.initial))) for n, s in op.states.items()}
    for _ in range(NARROWINGS):
        steps = intervals(op.program, op.params, states, x)
        states = {n: join(first[n], steps[i]) for n, i in op.program.next_state}
    return states


def _source(program: Program, ranges: tuple[Interval, ...], i: int) -> int:
    """The step whose value step `i` has too, since the steps between only pass it on, as `v + 0` does."""
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


def with_wait_counter(op: Population, first: int, period: int) -> Population:
    """The population with a counter that lets it act in tick `first`, and in every `period`-th tick from then on.

    In all other ticks it keeps its states and emits nothing. The counter holds the number of ticks that are left: from
    `first` down to 0, then again from `period - 1`. For `first = 2` and `period = 3` it is 2, 1, 0, 2, 1, 0, ... at the
    beginning of the ticks, and the population acts in ticks 2, 5, 8, ...
    """
    name = "wait"
    while name in op.states:
        name += "_"
    exprs = _expressions(op.program)
    wait = Expr("state", (), name)
    waits = wait > 0
    nexts = {n: select(waits, Expr("state", (), n), exprs[i]) for n, i in op.program.next_state}
    nexts[name] = select(waits, maximum(wait - 1, 0), period - 1)
    program = flatten(select(waits, 0, exprs[op.program.output]), nexts)
    states = {**op.states, name: IntState(bit_width((0, max(first, period - 1))), first)}
    return dataclasses.replace(op, program=program, states=states, output_low=min(0, op.output_low),
                               output_high=max(0, op.output_high))


def _expressions(program: Program) -> list[Expr]:
    """Each step of a program as an expression."""
    exprs: list[Expr] = []
    for step in program.steps:
        exprs.append(Expr(step.op, tuple(exprs[a] for a in step.args), step.value))
    return exprs


def without_bias(op: Population, shape: Shape) -> tuple[Population, Array] | None:
    """The population without the constant that its program adds to the input, and that constant, in the population's
    shape; None where there is none."""
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
    """The value of a `param` or `const` step."""
    return params[str(step.value)] if step.op == "param" else step.value


def _redirected(step: Step, old: int, new: int) -> Step:
    """The step, reading step `new` wherever it read step `old`."""
    return Step(step.op, tuple(new if a == old else a for a in step.args), step.value)
