"""What the parameters and states of a rule measure: found from where they meet the input, in sums and comparisons.

Every step of a program may at first be a membrane quantity, a real number, a count, or (K) a bare constant.
What the typing of rules (`passes.dimensions`) forbids is struck out until nothing changes; what is still open is
then chosen, simplest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, cast

import numpy as np

from snncompile.ir.expr import Program, Step
from snncompile.ir.rules import Dimension

M, R, C, K = "membrane", "real", "count", "constant"
MAX_TRIES = 64
Domains = list[set[str]]


def measure(program: Program, params: Mapping[str, Any], spiking: bool | None = None
            ) -> tuple[dict[str, Dimension], bool] | None:
    """The dimension of every parameter and state by `(op, name)` leaf, and whether the output is spikes.

    Args:
        params: the parameters' values; whole numbers may be counts.
        spiking: what the output is, where that is known.

    Returns:
        None where no choice is well-typed.
    """
    out = {True: {C}, False: {M}, None: {C, M}}[spiking]
    domains = [_first(step, params) for step in program.steps]
    domains[program.output] &= out
    leaves = [i for i, s in enumerate(program.steps) if s.op in ("param", "state")]
    tries = iter(range(MAX_TRIES))
    solved = _solve(program, domains, sorted(leaves, key=lambda i: program.steps[i].op), tries)
    if solved is None:
        return None
    unread = {f"state.{name}": solved[i] - {K} for name, i in program.next_state}
    found = {n: cast(Dimension, min(d)) for n, d in unread.items() if d}
    found |= {f"{program.steps[i].op}.{program.steps[i].value}": cast(Dimension, next(iter(solved[i]))) for i in leaves}
    return found, solved[program.output] == {C}


def _first(step: Step, params: Mapping[str, Any]) -> set[str]:
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
    """Strike out what cannot be, until nothing changes; False where nothing is left for some step."""
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
    """Keep what some combination of the operands allows."""
    kept: list[set[str]] = [set() for _ in step.args]
    results: set[str] = set()
    for kinds in product(*(domains[a] for a in step.args)):
        result = _result(step.op, kinds)
        if result is not None and result in domains[i]:
            results.add(result)
            for place, kind in zip(kept, kinds, strict=True):
                place.add(kind)
    domains[i] &= results
    for a, place in zip(step.args, kept, strict=True):
        domains[a] &= place


def _fit_next(domains: Domains, following: int, state: int) -> None:
    """A state's next value is what the state is, or a count that becomes a real number, or a constant."""
    if domains[following] == {K}:
        return
    domains[following] &= {*domains[state], K, *({C} if R in domains[state] else ())}
    if K not in domains[following]:
        domains[state] &= {*domains[following], *({R} if C in domains[following] else ())}


def _result(op: str, kinds: tuple[str, ...]) -> str | None:
    """What an operation makes of operands of these kinds; None where it may not be."""
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
    if a == b or b == K:
        return a
    if a == K:
        return b
    return R if M not in (a, b) else None


def _product(op: str, a: str, b: str) -> str | None:
    if op == "div" and b == M:
        return R if a == M else None
    if a == b == M:
        return None
    if M in (a, b):
        return M
    if R in (a, b) or op == "div":
        return R
    return C if C in (a, b) else K
