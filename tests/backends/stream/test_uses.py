"""What cells are for: sums that tools join, choices, and tables that become logic."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from snncompile.backends.stream.addends import Addend, crowded, sums_of
from snncompile.backends.stream.circuit import Circuit
from snncompile.backends.stream.uses import choice, logic


def product(factor: int, chains: int) -> Counter[str]:
    """The uses of a value of 8 bits times a constant."""
    circuit = Circuit(chains)
    value = circuit.add("state", (), (-128, 127), "v")
    found = circuit.times(value, circuit.number(factor), (-128 * factor, 127 * factor))
    total: Counter[str] = Counter()
    for name, amount in sums_of(circuit.unit(found, [])):
        total[name] += round(amount)
    return total


def test_sums_in_a_row_are_added_up_at_once() -> None:
    """73 v is 64 v + 8 v + v: two carry chains where a level has one sum each, else one behind three addends."""
    assert product(73, 1) == {"carry chains": (15 - 6) + (15 - 3)}
    assert product(73, 2) == {"carry chains": 15, "third addends": 2}


def test_a_sum_that_something_else_reads_is_not_joined() -> None:
    circuit = Circuit(3)
    a, b, c = (circuit.add("state", (), (-8, 7), name) for name in "abc")
    both = circuit.plus(a, b)
    unit = circuit.unit(circuit.plus(both, c), [("a", both)])
    assert {name for name, _ in sums_of(unit)} == {"carry chains"}


def test_addends_are_counted_where_they_lie() -> None:
    assert crowded([Addend(0, 4), Addend(0, 4)]) == {}
    assert crowded([Addend(0, 4)] * 5) == {"third addends": 4, "further addends": 8}
    assert crowded([]) == {}


@pytest.mark.parametrize(("ways", "wanted"), [(1, (0, 0)), (2, (1, 1)), (4, (1, 3)), (8, (2, 7))])
def test_choices(ways: int, wanted: tuple[int, int]) -> None:
    assert (choice(ways, six=True), choice(ways, six=False)) == wanted


def test_tables_that_become_logic() -> None:
    """Bits that do not vary, or are a bit of the address, take nothing; negative words and lanes are tables too."""
    rng = np.random.default_rng(0)
    assert logic(np.full((16, 2), 5), 4) == 0
    assert logic(np.arange(16)[:, None], 4) == 0
    assert logic(np.zeros((1, 1)), 4) == 0
    noise = rng.integers(0, 2, (64, 1))
    assert (logic(noise, 4), logic(noise, 6), logic(-noise, 6)) == (4, 1, 1)
    assert logic(np.hstack([noise, noise]), 6) == 1
