"""Whether `screen` and `check` say the same: every broken rule, constraint and cost of candidates, compared exactly."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from snncompile.checker import check
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Graph
from snncompile.search.judged import Judged
from snncompile.search.screening import Screener, chosen
from snncompile.search.space import Space
from snncompile.search.terms import Terms, numbers_of
from snncompile.targets.load import NAMES, load_target
from snncompile.targets.target import Target
from snncompile.targets.verdict import Verdict

LOOSE = 1 << 40
"""A limit that nothing reaches, and that shows what is used."""
FIGURES: Mapping[str, str] = {
    "spikes_per_tick": "spikes-per-tick", "thresholds_per_population": "thresholds",
    "readers_per_population": "readers", "kernel_side": "kernel-side", "padding": "padding",
    "input_side": "input-side", "output_side": "output-side", "channels": "channels", "weight_bits": "weight-bits",
    "weights_per_neuron": "weights-per-neuron", "fan_in": "fan-in", "in_axons_per_core": "in-axons",
    "synapse_bits_per_core": "synapse-memory", "inputs": "inputs", "neurons": "neurons",
    "hidden_neurons": "hidden-neurons", "outputs": "outputs", "synapses": "synapses"}
"""Figures of targets that are limits, each with the rule that compares it."""


def differences(space: Space, terms: Sequence[Terms], indices: Sequence[int], seen: Counter[str],
                each: int = len(NAMES)) -> Iterator[str]:
    """Each way in which the verdicts on some candidates differ, in words.

    Args:
        terms: of which the first ones, one for each target, count for all candidates, and `each` of the others, in
            turn, for each candidate.
        seen: counts what was compared: verdicts, those that refuse, and constraints that lie exactly on their limit.
    """
    screener = Screener(space, terms)
    judged = screener.judge(np.array(indices))
    seen["candidates in layers" if screener.in_layers else "candidates in graphs"] += len(indices)
    for row, index in enumerate(indices):
        graph, others = built(space, index), terms[len(NAMES):]
        for term in (*terms[:len(NAMES)], *(others[(row * each + i) % len(others)] for i in range(each) if others)):
            verdict = None if graph is None else verdict_of(graph, term)
            _count(verdict, seen)
            if wrong := different(judged[term.target.name], row, verdict):
                yield f"{space.name}, candidate {index}, {term.target.name}: {wrong}"


def built(space: Space, index: int) -> Graph | None:
    """The graph of a candidate; None for one that cannot be built."""
    try:
        return space.build(index)
    except CompileError:
        return None


def verdict_of(graph: Graph, term: Terms) -> Verdict | None:
    """What `check` says; None for a graph that is no network."""
    try:
        return check(graph, **term.options())
    except CompileError:
        return None


def _count(verdict: Verdict | None, seen: Counter[str]) -> None:
    seen["verdicts"] += 1
    if verdict is None:
        seen["no network"] += 1
        return
    seen["refused"] += not verdict.ok
    seen["on a limit"] += any(value == 0 for value in verdict.margins.values())
    seen["one above"] += any(0 < v.used - v.limit <= 1 and v.limit > 0 for v in verdict.violations)


def different(judged: Judged, row: int, verdict: Verdict | None) -> str:
    """How a row of `screen` differs from what `check` says; empty where it does not."""
    if verdict is None:
        return "" if not judged.valid[row] else "a network for screen, none for check"
    pairs: list[tuple[str, Any, Any]] = [
        ("rules", judged.reasons_of(row), {v.rule for v in verdict.violations}),
        ("ok", bool(judged.ok[row]), verdict.ok)]
    if judged.constraints is not None:
        pairs.append(("constraints", judged.constraints_of(row), verdict.constraints))
        pairs.append(("costs", {n: v[row] for n, v in judged.costs.items()},
                      {} if verdict.cost is None else numbers_of(verdict.cost)))
    return "; ".join(f"{what} {_apart(a, b)}" for what, a, b in pairs if a != b)


def _apart(a: Any, b: Any) -> str:
    """The part of two values in which they differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        return f"{ {n: (a.get(n), b.get(n)) for n in {*a, *b} if a.get(n) != b.get(n)} }"
    return f"{a} and {b}"


def range_differences(space: Space, terms: Sequence[Terms], numbers: range) -> Iterator[str]:
    """Where whole ranges, without constraints and costs, have other reasons than their candidates one by one."""
    bare = [dataclasses.replace(term, cost=False, budget={}) for term in terms]
    screener = Screener(space, bare)
    fast, slow = screener.judge(numbers, margins=False), screener.judge(np.array(numbers), margins=True)
    for name, found in fast.items():
        wrong = np.flatnonzero(found.reasons != slow[name].reasons)
        if wrong.size:
            yield f"{space.name}, range {numbers}, {name}: {wrong.size} reasons differ, the first of {wrong[0]}"


# --- what they are judged by ---

def random_terms(space: Space, seed: int, variants: int = 1) -> list[Terms]:
    """Every target that comes with the compiler, and variants whose limits lie on what candidates use, or one below."""
    draw = random.Random(seed)
    shared = {"weight_bits": draw.choice((None, 4, "ternary")), "membrane_bits": draw.choice((None, 12)),
              "rate": draw.choice((0.1, 0.03)), "ticks": draw.choice((None, None, 7))}
    plain = [_terms(load_target(name), shared, draw) for name in NAMES]
    tight = [dataclasses.replace(term, target=target, budget=budget) for place, term in enumerate(plain)
             for number in range(variants) for target, budget in [_tight(space, term, number + place, draw)]]
    return plain + tight


def _terms(target: Target, shared: Mapping[str, Any], draw: random.Random) -> Terms:
    budget = {"cores": draw.randint(1, 6), "peak_kib": draw.choice((0.5, 2.0))} if draw.random() < 0.5 else {}
    late = target.timing.hop_ticks and target.timing.dilation and draw.random() < 0.4
    return Terms(target, budget=budget, dilate=draw.randint(2, 3) if late else 1, **shared)


def _tight(space: Space, term: Terms, number: int, draw: random.Random) -> tuple[Target, dict[str, float]]:
    """A target and a budget whose limits are what a candidate uses, less one for every other variant."""
    less = number % 2
    target, budget = term.target, {}
    figures = {n: LOOSE for n in FIGURES if draw.random() < 0.6}
    found = _first_verdict(space, dataclasses.replace(term, target=target.with_(**figures), budget={}), draw)
    if found is not None:
        graph, verdict = found
        used = {n: round((verdict.margins[rule] + 1) * LOOSE) for n in figures
                if (rule := FIGURES[n]) in verdict.margins}
        target = target.with_(**{n: max(value - less, 1) for n, value in used.items()})
        target, budget = _tight_sums(graph, dataclasses.replace(term, target=target, budget={}), less, draw)
    return dataclasses.replace(target, name=f"{term.target.name} {number} {'below' if less else 'at'}"), budget


def _tight_sums(graph: Graph, term: Terms, less: int, draw: random.Random) -> tuple[Target, dict[str, float]]:
    """The cores and a budget, which depend on the other limits."""
    verdict = verdict_of(graph, term)
    assert verdict is not None
    taken: dict[str, float] = {"neurons": verdict.cost.neurons, "resident_kib": verdict.cost.resident_bits / 8192,
                               "latency_ticks": verdict.cost.latency_ticks, "cores": verdict.cost.cores}
    if verdict.cost.total_pj:
        taken["energy_uj"] = verdict.cost.total_pj / 1e6
    budget = {n: value if not less else np.nextafter(value, 0).item() for n, value in taken.items()
              if value > 0 and draw.random() < 0.5}
    target = term.target
    return (target.with_(cores=max(verdict.cost.cores - less, 1)) if target.limits.cores else target), budget


def _first_verdict(space: Space, term: Terms, draw: random.Random) -> tuple[Graph, Verdict] | None:
    """A candidate that is a network, and what it uses; None where 50 are none."""
    for _ in range(50):
        graph = built(space, draw.randrange(space.size))
        verdict = None if graph is None else verdict_of(graph, term)
        if graph is not None and verdict is not None:
            return graph, verdict
    return None


def compare(space: Space, count: int, seed: int, seen: Counter[str]) -> list[str]:
    """Compare so many candidates of a space at random, and a range of them, with every target and variants of it."""
    terms = random_terms(space, seed)
    indices = [int(n) for n in chosen(space, None, min(count, space.size), seed)]
    first = random.Random(seed).randrange(space.size)
    numbers = range(first, min(first + count, space.size))
    return [*differences(space, terms, indices, seen, each=2), *range_differences(space, terms, numbers)]


def compare_all(space: Space, indices: Sequence[int], targets: Iterable[str | Target], seen: Counter[str]
                ) -> Iterator[str]:
    """Compare these candidates of a space, with a few targets."""
    yield from differences(space, [Terms(load_target(target)) for target in targets], indices, seen)
