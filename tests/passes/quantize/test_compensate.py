"""Rounding together: never worse than to the nearest, nearly the best on small cases, the same in every run."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from snncompile.ir.types import Array
from snncompile.passes.quantize.compensate import best_steps, better_steps, carried_by, errors, rounded_together
from snncompile.passes.quantize.weight_grid import WeightGrid

GRIDS: list[Any] = [1, "ternary", 2, 3, 4, 8]


def case(rows: int, taps: int, seed: int) -> tuple[Array, Array]:
    """Random weights, and H of inputs that go together."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(4 * taps, taps)) @ rng.normal(size=(taps, taps))
    return rng.normal(size=(rows, taps)), z.T @ z / len(z) + 0.01 * np.eye(taps)


def nearest(weight: Array, step: Array, grid: WeightGrid) -> Array:
    return grid.nearest(weight / step[:, None])


@pytest.mark.parametrize("bits", GRIDS)
@pytest.mark.parametrize("per_row", [True, False])
def test_a_step_is_not_worse_than_that_of_the_largest_weight(bits, per_row):
    weight, second = case(6, 40, 0)
    grid = WeightGrid(bits)
    step = best_steps(weight, grid, second, per_row)
    largest = np.abs(weight).max(1) / grid.largest
    largest = largest if per_row else np.full(6, largest.max())
    best, plain = (errors(weight, nearest(weight, s, grid), s[:, None], second) for s in (step, largest))
    assert (best <= plain).all() if per_row else best.sum() <= plain.sum()
    assert per_row or np.ptp(step) == 0


@pytest.mark.parametrize("bits", GRIDS)
@pytest.mark.parametrize("seed", range(10))
def test_codes_together_change_membranes_less(bits, seed):
    weight, second = case(20, 150, seed)  # more than a block
    grid = WeightGrid(bits)
    step = best_steps(weight, grid, second, True)
    together = rounded_together(weight, step[:, None], grid, second)
    changed, apart = (errors(weight, codes, step[:, None], second) for codes in (together, nearest(weight, step, grid)))
    assert (changed <= apart * (1 + 1e-9)).all()
    assert changed.sum() <= 0.6 * apart.sum()
    assert set(np.unique(together)) <= set(range(-grid.largest, grid.largest + 1))
    assert bits != 1 or np.all(together)
    np.testing.assert_array_equal(together, rounded_together(weight, step[:, None], grid, second))


@pytest.mark.parametrize("bits", GRIDS)
@pytest.mark.parametrize("per_row", [True, False])
def test_steps_for_weights_together_are_better_or_the_same(bits, per_row):
    weight, second = case(12, 60, 1)
    grid, carried = WeightGrid(bits), carried_by(second)
    before = best_steps(weight, grid, second, per_row)
    after = better_steps(weight, before, grid, second, carried, per_row)
    plain, better = (errors(weight, rounded_together(weight, s[:, None], grid, second), s[:, None], second)
                     for s in (before, after))
    assert (better <= plain).all() if per_row else better.sum() <= plain.sum()
    assert (bits, per_row) != (4, True) or better.sum() < 0.97 * plain.sum()
    assert per_row or np.ptp(after) == 0


def test_layers_that_take_long_keep_their_step(monkeypatch):
    monkeypatch.setattr("snncompile.passes.quantize.compensate.AGAIN_WORK", 12 * 60 * 60 * 6 - 1)
    weight, second = case(12, 60, 1)
    step = np.ones(12)
    assert better_steps(weight, step, WeightGrid(4), second, carried_by(second), True) is step


def test_few_weights_are_rounded_nearly_as_well_as_possible():
    """Ternary codes for five weights: all 243 are tried, and most of 40 networks get the best ones."""
    grid, step, best = WeightGrid("ternary"), np.array([0.7]), 0
    every = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=5)))
    for seed in range(40):
        weight, second = case(1, 5, seed)
        least = min(float(errors(weight, codes[None], step[:, None], second)[0]) for codes in every)
        found = float(errors(weight, rounded_together(weight, step[:, None], grid, second), step[:, None], second)[0])
        assert found >= least * (1 - 1e-9)
        best += found <= least * (1 + 1e-9)
    assert best >= 24


def test_no_single_code_could_be_better():
    """The last sweeps leave every code at its best place, given all others."""
    weight, second = case(4, 30, 3)
    grid = WeightGrid(3)
    step = best_steps(weight, grid, second, True)
    codes = rounded_together(weight, step[:, None], grid, second)
    now = errors(weight, codes, step[:, None], second)
    for tap, move in itertools.product(range(30), (-1, 1)):
        other = codes.copy()
        other[:, tap] = np.clip(other[:, tap] + move, -grid.largest, grid.largest)
        assert (errors(weight, other, step[:, None], second) >= now * (1 - 1e-3)).mean() > 0.7


@pytest.mark.parametrize("bits", GRIDS)
def test_weights_on_the_grid_stay(bits):
    _, second = case(1, 12, 1)
    grid = WeightGrid(bits)
    codes = grid.nearest(np.random.default_rng(0).normal(size=(5, 12)) * grid.largest)
    np.testing.assert_array_equal(rounded_together(codes * 0.375, np.full((5, 1), 0.375), grid, second), codes)


def test_rows_without_weights_give_zeros():
    weight, second = np.zeros((3, 8)), np.eye(8)
    grid = WeightGrid(4)
    step = best_steps(weight, grid, second, True)
    assert not step.any()
    assert not rounded_together(weight, step[:, None], grid, second).any()


@pytest.mark.parametrize("bits", ["ternary", 2, 4, 8])
def test_weights_that_were_pruned_stay_zero(bits):
    weight, second = case(10, 60, 5)
    weight[np.random.default_rng(1).random(weight.shape) < 0.7] = 0
    grid = WeightGrid(bits)
    step = best_steps(weight, grid, second, True)
    codes = rounded_together(weight, step[:, None], grid, second)
    assert not codes[weight == 0].any()
    assert codes.any()
