"""Infers the dimension of every parameter and state of a rule program: a membrane quantity, a real number, or a count.

ONNX files do not declare dimensions, but the neuron's input is a membrane quantity, and sums and comparisons need
operands of one dimension. In `v' = decay * v + input`, the sum makes `decay * v` a membrane quantity; the state `v` is
then one as well, and `decay` a real number.

The algorithm is constraint propagation with search. Every step of the program starts with the set of all dimensions it
could have. Combinations that the typing of rules forbids are removed until nothing changes. Where a parameter or state
still has several dimensions, one is tried, in a fixed order of preference, and propagated in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, cast

import numpy as np

from snncompile.ir.expr import Program, Step
from snncompile.ir.rules import Dimension

# A constant of the program (K) takes the dimension of what it is combined with.
M, R, C, K = "membrane", "real", "count", "constant"
MAX_TRIES = 64
# For each step of a program, the dimensions that it may still have.
Domains = list[set[str]]


def measure(program: Program, params: Mapping[str, Any], spiking: bool | None = None
            ) -> tuple[dict[str, Dimension], bool] | None:
    """Infer the dimensions of a program's parameters and states.

    Args:
        params: the parameters' values. Only a parameter all of whose values are whole numbers may be a count.
        spiking: True where the output is known to be spikes, False where it is known to be a membrane quantity, None
            where it may be either.

    Returns:
        The dimensions under the keys `param.NAME` and `state.NAME`, and whether the output is spikes. None where no
        choice of dimensions is well-typed, or none was reached within `MAX_TRIES` choices.
    """
    out = {True: {C}, False: {M}, None: {C, M}}[spiking]
    domains = [_initial_domain(step, params) for step in program.steps]
    domains[program.output] &= out
    leaves = [i for i, s in enumerate(program.steps) if s.op in ("param", "state")]
    tries = iter(range(MAX_TRIES))
    solved = _solve(program, domains, sorted(leaves, key=lambda i: program.steps[i].op), tries)
    if solved is None:
        return None
    # A state that no step reads has no leaf; it has the dimension of its next value.
    next_values = {f"state.{name}": solved[i] - {K} for name, i in program.next_state}
    dimensions = {n: cast(Dimension, min(d)) for n, d in next_values.items() if d}
    dimensions |= {f"{program.steps[i].op}.{program.steps[i].value}": cast(Dimension, next(iter(solved[i])))
                   for i in leaves}
    return dimensions, solved[program.output] == {C}


def _initial_domain(step: Step, params: Mapping[str, Any]) -> set[str]:
    """The dimensions that a step may have, before it is known how the program combines it."""
    match step.op:
        case "input":
            return {M}
        case "const":
            return {K}
        case "state":
            return {M, R, C}
        case "param":
            return {M, R, C} if _whole(params[str(step.value)]) else {M, R}
    return {M, R, C, K}


def _whole(value: Any) -> bool:
    return bool(np.all(np.asarray(value) % 1 == 0))


def _solve(program: Program, domains: Domains, leaves: list[int], tries: Iterator[int]) -> Domains | None:
    """Narrow all domains until every leaf has one dimension; None where that is impossible or `tries` are used up.

    Args:
        leaves: the steps that are parameters and states, in the order in which their dimensions are chosen.
        tries: yields one item for each choice that may still be tried.
    """
    domains = [set(d) for d in domains]
    if next(tries, None) is None or not _narrow(program, domains):
        return None
    open_leaves = [i for i in leaves if len(domains[i]) > 1]
    if not open_leaves:
        return domains
    i = open_leaves[0]
    order = (M, C, R) if program.steps[i].op == "state" else (C, M, R) if C in domains[i] else (R, M)
    for choice in order:
        if choice in domains[i]:
            attempt = [set(d) for d in domains]
            attempt[i] = {choice}
            solved = _solve(program, attempt, leaves, tries)
            if solved is not None:
                return solved
    return None


def _narrow(program: Program, domains: Domains) -> bool:
    """Remove impossible dimensions from all domains in place, until nothing changes.

    Returns:
        False where some step has no possible dimension left.
    """
    states = {str(s.value): i for i, s in enumerate(program.steps) if s.op == "state"}
    changed = True
    while changed:
        before = sum(map(len, domains))
        for i in (*range(len(program.steps)), *reversed(range(len(program.steps)))):
            if program.steps[i].args:
                _fit(program.steps[i], i, domains)
        for name, i in program.next_state:
            if name in states:
                _fit_next(domains, i, states[name])
        if not all(domains):
            return False
        changed = sum(map(len, domains)) < before
    return True


def _fit(step: Step, i: int, domains: Domains) -> None:
    """Keep only those dimensions of a step and of its operands that occur together in some allowed combination."""
    kept: list[set[str]] = [set() for _ in step.args]
    results: set[str] = set()
    for kinds in product(*(domains[a] for a in step.args)):
        result = _result(step.op, kinds)
        if result is not None and result in domains[i]:
            results.add(result)
            for allowed, kind in zip(kept, kinds, strict=True):
                allowed.add(kind)
    domains[i] &= results
    for a, allowed in zip(step.args, kept, strict=True):
        domains[a] &= allowed


def _fit_next(domains: Domains, following: int, state: int) -> None:
    """Apply the constraint between a state and its next value.

    The next value has the dimension of the state, or is a constant; a real state may also get a count.
    """
    if domains[following] == {K}:
        return
    domains[following] &= {*domains[state], K, *({C} if R in domains[state] else ())}
    if K not in domains[following]:
        domains[state] &= {*domains[following], *({R} if C in domains[following] else ())}


def _result(op: str, kinds: tuple[str, ...]) -> str | None:
    """The dimension of an operation's result for operands of these dimensions; None where the typing forbids it."""
    match op:
        case "add" | "sub" | "min" | "max":
            return _common(*kinds)
        case "select":
            return _common(*kinds[1:])
        case "neg" | "abs":
            return kinds[0]
        case "ge" | "gt" | "floordiv":
            return C if _common(*kinds) else None
        case "floor":
            return C if kinds[0] != M else None
        case "exp" | "tanh":
            return K if kinds[0] == K else R
        case "mul" | "div":
            return _product(op, *kinds)
    return C


def _common(a: str, b: str) -> str | None:
    """The dimension of a sum or maximum; None where a membrane quantity meets a real number or a count."""
    if a == b or b == K:
        return a
    if a == K:
        return b
    return R if M not in (a, b) else None


def _product(op: str, a: str, b: str) -> str | None:
    """The dimension of a product or quotient.

    None for a product of two membrane quantities, and for a quotient whose divisor alone is a membrane quantity.
    """
    if op == "div" and b == M:
        return R if a == M else None
    if a == b == M:
        return None
    if M in (a, b):
        return M
    if R in (a, b) or op == "div":
        return R
    return C if C in (a, b) else K
