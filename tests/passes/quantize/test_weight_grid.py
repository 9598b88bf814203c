"""Weight grids: codes stay on the grid, stand for the nearest weight, and steps follow their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import snncompile as sc
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from snncompile.passes.quantize.weight_grid import WeightGrid
from tests.passes.chains import chain

BITS: list[Any] = [1, "ternary", 2, 3, 8, 16]
WEIGHTS = arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 7)),
                 elements=st.floats(-4, 4, width=32, allow_subnormal=False))


@pytest.mark.parametrize(("bits", "largest"), [(1, 1), ("ternary", 1), (2, 1), (3, 3), (8, 127), (16, 32767)])
def test_the_largest_code(bits: Any, largest: int) -> None:
    assert WeightGrid(bits).largest == largest
    assert WeightGrid(bits).coarse == (largest == 1)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("per_row", [True, False])
@given(weight=WEIGHTS)
def test_codes_lie_on_the_grid(bits: Any, per_row: bool, weight: np.ndarray) -> None:
    grid = WeightGrid(bits)
    codes = grid.codes(weight, grid.step(weight, per_row), per_row)
    assert codes.shape == weight.shape
    assert codes.dtype == (np.int8 if grid.largest < 128 else np.int16)
    assert np.abs(codes).max() <= grid.largest
    if bits == 1:
        assert np.all(codes != 0)


@pytest.mark.parametrize("bits", [2, 3, 8, 16])
@pytest.mark.parametrize("per_row", [True, False])
@given(weight=WEIGHTS)
def test_a_symmetric_code_stands_for_the_nearest_weight(bits: Any, per_row: bool, weight: np.ndarray) -> None:
    grid = WeightGrid(bits)
    step = grid.step(weight, per_row)
    error = np.abs(grid.codes(weight, step, per_row) * (step[:, None] if per_row else step) - weight)
    assert np.all(error <= (step[:, None] if per_row else step) * 0.501 + 1e-30)


def test_a_step_is_one_a_row_or_one_for_all():
    weight = np.array([[1.0, -2.0], [0.5, 0.25]])
    np.testing.assert_allclose(WeightGrid(8).step(weight, True), [2 / 127, 0.5 / 127])
    assert WeightGrid(8).step(weight, False).shape == ()
    np.testing.assert_allclose(WeightGrid(8).step(weight, False), 2 / 127)


def test_ternary_weights_keep_what_exceeds_seven_tenths_of_the_mean():
    """Li, Zhang & Liu (2016), eq. 6: mean magnitude 1, so that 0.7 stays out, and the kept ones' mean is the step."""
    weight = np.array([[0.3, -0.7, 0.8, 2.2]])
    assert WeightGrid("ternary").codes(weight, np.ones(1), True).tolist() == [[0, 0, 1, 1]]
    np.testing.assert_allclose(WeightGrid("ternary").step(weight, True), [1.5])


def test_bipolar_weights_are_signs_and_the_mean_magnitude():
    weight = np.array([[0.5, -1.5, 0.0, 2.0]])
    assert WeightGrid(1).codes(weight, np.ones(1), True).tolist() == [[1, -1, 1, 1]]
    np.testing.assert_allclose(WeightGrid(1).step(weight, True), [1.0])


@pytest.mark.parametrize("bits", BITS)
def test_a_row_of_zeros_has_no_step(bits: Any) -> None:
    weight = np.array([[0.0, 0.0], [1.0, -1.0]])
    step = WeightGrid(bits).step(weight, True)
    assert step[0] == 0
    assert step[1] > 0
    codes = WeightGrid(bits).codes(weight, step, True)
    assert bits == 1 or not codes[0].any()


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e-38), (np.float64, 1e-300)])
def test_the_smallest_weights_have_codes_like_any_other(dtype: Any, size: float) -> None:
    weight = np.array([[1.0, -0.5, 0.25]]).astype(dtype) * dtype(size)
    step = WeightGrid(8).step(weight, True)
    assert np.abs(WeightGrid(8).codes(weight, step, True) - [[127, -64, 32]]).max() <= 1


def test_weights_that_exceed_their_step_are_cut_to_the_largest_code():
    assert WeightGrid(3).codes(np.array([[10.0, -10.0]]), np.ones(1), True).tolist() == [[3, -3]]


@pytest.mark.parametrize(("bits", "largest"), [(2, 1), (3, 4), (4, 64), (5, 16384), ("ternary", 1), (1, 1)])
def test_powers_of_two_are_the_nearest(bits: Any, largest: int) -> None:
    grid = WeightGrid(bits, powers=True)
    assert grid.largest == largest
    allowed = np.array([*(1 << k for k in range(largest.bit_length()))])
    allowed = np.array([-1, 1]) if bits == 1 else np.concatenate([-allowed, [0], allowed])
    values = np.random.default_rng(0).normal(0, largest, 500)
    values = np.concatenate([values, values / largest, [0.0]])
    found = grid.nearest(values)
    assert set(found) <= set(allowed)
    distances = np.abs(values[:, None] - allowed).min(1)
    np.testing.assert_allclose(np.abs(values - found), distances)


def test_networks_with_weights_of_powers_of_two_are_exact() -> None:
    rng = np.random.default_rng(0)
    graph = chain(Linear(rng.normal(0, 0.5, (12, 8)), None), Neuron.of("lif", decay=0.75),
                  Linear(rng.normal(0, 0.5, (4, 12)), None), Neuron.of("if"), shape=(8,))
    x = (rng.random((20, 12, 8)) < 0.4).astype(float)
    shared = []
    for rounding in ("nearest", "calibrated"):
        model = sc.compile(graph, calibration=x, weight_bits=4, weight_grid="powers", weight_rounding=rounding)
        layers = [op for e in model.graph.edges for op in e.chain if isinstance(op, Linear)]
        codes = {abs(int(c)) for op in layers for c in op.weight.flat}
        assert codes <= {0, 1, 2, 4, 8, 16, 32, 64}
        np.testing.assert_array_equal(model.run(x).outputs, model.reference(x).outputs)
        shared.append(model.report.agreement.counts_shared)
    assert shared[1] > shared[0]
    with pytest.raises(sc.CompileError, match="weight_grid"):
        sc.compile(graph, weight_grid="powers")
