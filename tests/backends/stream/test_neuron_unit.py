"""The neuron unit computes what the integer program computes, in wires that hold it, with few carry chains a level."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.backends.plan.plan import plan
from snncompile.backends.plan.updates import Update
from snncompile.backends.stream.circuit import signed_digits
from snncompile.backends.stream.neuron_unit import LOWERED, unit_of
from snncompile.backends.stream.wires import CHAINS, LEAVES
from snncompile.ir.expr import evaluate as interpret
from snncompile.ir.operations import INTEGER_OPERATIONS
from tests.backends.exactness import random_case
from tests.backends.stream.evaluate import COMPUTED, evaluate
from tests.strategies import Features, random_graph

RULES = ("if", "lif", "plif", "cubalif", "alif", "llif", "slif", "qlif", "threshold", "euler_lif", "alpha", "own")


def updates(rule: str, count: int) -> list[Update]:
    found: list[Update] = []
    for seed in range(count):
        graph = random_case(random_graph(seed, Features(rules=(rule,), layers=2)), seed).graph
        found += [p.update for p in plan(graph, {}, {}).populations]
    return found


def between(rng: np.random.Generator, low: int, high: int) -> np.ndarray:
    """Numbers of a range, its ends among them."""
    return np.concatenate([rng.integers(low, high, 400, endpoint=True), [low, high, max(low, min(0, high))]])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("chains", [1, 3])
def test_a_unit_computes_what_its_program_computes(rule, chains):
    rng = np.random.default_rng(0)
    for update in updates(rule, 12):
        unit, op = unit_of(update, chains), update.op
        sums = [between(rng, *a.buffer.range) for a in update.accumulators]
        factors = [np.asarray(a.factor if a.factors is None else rng.choice(a.factors.values, 403), np.int64)
                   for a in update.accumulators]
        states = {s.buffer.name: rng.permutation(between(rng, *_reached(update, n)))
                  for n, s in zip(op.states, update.states, strict=True)}
        params = {n: np.asarray(v) if n in op.tables else rng.choice(np.ravel(v).astype(np.int64), 403)
                  for n, v in op.params.items()}

        def leaf(kind, value, sums=sums, factors=factors, states=states, params=params):
            if kind == "param":
                return factors[int(value[6:])] if value.startswith("FACTOR") else params[value]
            return {"state": states, "sum": dict(enumerate(sums))}[kind][value]

        x = sum((s * f for s, f in zip(sums, factors, strict=True)), np.zeros(403, np.int64))
        own = {n: states[update.state_names[n]] for n in op.states}
        emitted, after = interpret(op.program, params, own, x)
        values = evaluate(unit, leaf, {n: params[n] for n in op.tables})
        np.testing.assert_array_equal(np.broadcast_to(values[unit.output], 403), emitted)
        for name, wire in unit.next_state:
            np.testing.assert_array_equal(np.broadcast_to(values[wire], 403), after[name])


def _reached(update: Update, state: str) -> tuple[int, int]:
    """The proved range of a state, or its width where the program does not read it."""
    at = [i for i, step in enumerate(update.program.steps) if step.op == "state" and step.value == state]
    return update.ranges[at[0]] if at else (0, 0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("chains", [1, 2])
def test_a_value_passes_few_carry_chains_in_a_level(rule, chains):
    for update in updates(rule, 6):
        unit = unit_of(update, chains)
        depth: list[int] = []
        for wire in unit.wires:
            assert all(unit.wires[a].level <= wire.level for a in wire.args)
            here = [depth[a] for a in wire.args if unit.wires[a].level == wire.level]
            depth.append(max(here, default=0) + (wire.op in CHAINS))
        assert max(depth, default=0) <= chains
        assert all(w.level < unit.levels for w in unit.wires)


def test_every_operation_of_an_integer_program_is_lowered():
    assert {"const", *INTEGER_OPERATIONS} == {"lut", *LOWERED}
    assert not set(COMPUTED) & set(LEAVES)


@given(st.integers(-10**6, 10**6))
def test_signed_digits_add_up(factor):
    digits = signed_digits(factor)
    assert sum(sign << bit for bit, sign in digits) == factor
    bits = [bit for bit, _ in digits]
    assert all(a - b >= 2 for a, b in pairwise(bits))
