"""Units: thresholds are whole numbers of them, weights lie near theirs, and widths are respected."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.passes.quantize.units import MAX_EXTRA_BITS, Scales, choose_unit, multiplier
from snncompile.targets.arithmetic import MAX_BITS, Arithmetic

SIZES = st.floats(1e-6, 1e6)


def unit_of(steps, threshold, leaky=False, peak=None, coarse=False, **options):
    scales = Scales([np.asarray(s, float) for s in steps], None if threshold is None else np.asarray(threshold, float),
                    leaky)
    return choose_unit(scales, Arithmetic(**options), peak, coarse)


@given(st.lists(SIZES, min_size=1, max_size=3), SIZES, st.booleans(), st.sampled_from([None, 4, 8, 16, 32]))
def test_a_threshold_is_a_whole_number_of_units_within_the_width(steps, threshold, leaky, bits):
    units = threshold / unit_of(steps, threshold, leaky, membrane_bits=bits)
    assert abs(units - round(units)) < 1e-6 * units
    assert 1 <= round(units) <= 1 << ((bits or MAX_BITS) - 2)


@given(SIZES, st.floats(64, 1 << (MAX_BITS - 2)))
def test_a_unit_is_the_step_or_a_little_more_so_that_the_threshold_is_whole(step, ratio):
    unit = unit_of([step], step * ratio)
    assert step * (1 - 1e-6) <= unit <= step * (1 + 1 / 64)


def test_leaky_neurons_have_thresholds_of_a_thousand_units():
    assert round(1.0 / float(unit_of([0.5], 1.0, leaky=True))) == 1024
    assert round(1.0 / float(unit_of([0.5], 1.0, leaky=False))) == 64


@given(st.floats(2.0**-5, 1e5), st.booleans())
def test_thresholds_never_have_fewer_units_than_documented(ratio, leaky):
    """Where the threshold is 853 steps, a unit of a step would be too coarse: it takes 1706 units of half a step."""
    units = round(ratio / float(unit_of([1.0], ratio, leaky=leaky)))
    assert units >= (1024 if leaky else 64)
    assert units <= max(ratio * (1 + 1e-6), 2048 if leaky else 128)


def test_a_step_that_is_a_little_too_coarse_is_halved():
    assert round(1024 / 1.2 / float(unit_of([1.0], 1024 / 1.2, leaky=True))) == 1706


def test_the_finest_step_decides_and_steps_of_zero_do_not():
    fine, coarse = unit_of([2.0**-12], 1.0), unit_of([1.0], 1.0)
    assert float(fine) == 2.0**-12
    assert unit_of([1.0, 2.0**-12], 1.0) == fine
    assert unit_of([1.0, 0.0], 1.0) == coarse


def test_every_channel_has_its_unit():
    units = unit_of([np.array([2.0**-8, 2.0**-12, 0.0])], np.array([1.0, 1.0, 1.0]))
    assert units.tolist() == [2.0**-8, 2.0**-12, 2.0**-10]


def test_coarse_grids_that_meet_get_finer_units():
    assert unit_of([1.0, 1.0], 100.0, coarse=True) < unit_of([1.0], 100.0, coarse=True)


def test_a_readout_is_fine_enough_for_its_leak_and_coarse_enough_for_its_width():
    assert 4.0 / float(unit_of([1.0], None, leaky=True, peak=4.0)) >= 1 << 12
    for options in ({"membrane_bits": 8}, {"graded_bits": 8}, {"membrane_bits": 24, "graded_bits": 8}):
        assert 4.0 / float(unit_of([2.0**-20], None, peak=4.0, **options)) <= 1 << 6


@pytest.mark.parametrize(("step", "threshold", "peak"), [
    (1e300, 1e-300, None), (1e-300, 1e300, None), (1.0, None, 5e-324), (5e-324, None, 1.0), (1.0, 5e-324, None),
])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_extreme_ratios_give_a_unit_all_the_same(step, threshold, peak):
    assert np.isfinite(unit_of([step], threshold, leaky=True, peak=peak))


def test_the_extra_bits_are_bounded():
    assert 1.0 / float(unit_of([1.0], None, leaky=True, peak=1e-30)) == 1 << MAX_EXTRA_BITS


# --- multipliers ---------------------------------------------------------------------------------------------

def test_a_multiplier_is_the_power_of_two_that_holds_the_largest_ratio():
    assert multiplier(np.array([3.0, 5.0]), np.ones(2), False) == 8
    assert multiplier(np.array([3.0, 4.0]), np.ones(2), False) == 4
    assert multiplier(np.array([0.1, 0.2]), np.ones(2), False) == 1
    assert multiplier(np.zeros(2), np.ones(2), False) == 1


def test_under_narrow_membranes_each_channel_has_its_power_of_two():
    assert multiplier(np.array([3.0, 5.0]), np.ones(2), False, apart=True).tolist() == [4, 8]
    assert multiplier(np.array([3.0, 4.0, 0.0]), np.ones(3), False, apart=True).tolist() == [4, 4, 4]
    assert multiplier(np.array([0.1, 0.2]), np.ones(2), False, apart=True).tolist() == [1, 1]


def test_the_multiplier_of_a_coarse_grid_is_the_nearest_number_of_each_channel():
    assert multiplier(np.array([3.4, 3.6, 0.2, 0.0]), np.ones(4), True).tolist() == [3, 4, 1, 0]
    assert multiplier(np.asarray(2.6), np.asarray(1.0), True) == 3
