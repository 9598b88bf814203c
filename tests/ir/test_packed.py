"""Packed arrays give back what was packed, whatever it holds, and whole or in parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.ir.packed import Packed

SHAPES = st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(1, 11))


@st.composite
def arrays(draw, shape=None):
    shape = shape or draw(SHAPES)
    values = draw(st.sampled_from([[0, 1], [0.0, 1.0], [-1, 0, 1], [-2, 0, 1, 127], [-128, 128], [0.5, 1.0], [0, 300]]))
    return np.random.default_rng(draw(st.integers(0, 99))).choice(values, shape)


@given(arrays())
def test_what_is_packed_comes_back(values):
    packed = Packed.of(values)
    assert len(packed) == len(values)
    np.testing.assert_array_equal(packed[:], values)
    np.testing.assert_array_equal(packed[1:3], values[1:3])


@given(st.data())
def test_parts_are_joined_in_their_order(data):
    shape = data.draw(SHAPES)
    parts = [data.draw(arrays((samples, *shape[1:]))) for samples in (2, 1, 3)]
    joined = Packed.joined([Packed.of(part) for part in parts])
    whole = np.concatenate(parts)
    assert joined.shape == whole.shape
    for first, end in ((0, 6), (1, 4), (3, 3), (5, 9)):
        np.testing.assert_array_equal(joined[first:end], whole[first:end])


@pytest.mark.parametrize(("values", "bytes_"), [([0, 1], 4 * 3), ([0, 2], 4 * 20), ([0.5, 1], 4 * 80)])
def test_spikes_take_a_bit_and_small_integers_a_byte(values, bytes_):
    """Four samples of 20 values."""
    assert Packed.of(np.resize(values, (4, 5, 4))).nbytes == bytes_


@pytest.mark.parametrize("value", [128.0, -128.0, 16_777_217.0, float("inf"), float("nan")])
def test_other_values_take_four_bytes_and_are_not_those_of_the_caller(value):
    given = np.full((2, 3), value)
    packed = Packed.of(given)
    assert packed.data.dtype == np.float32
    given[:] = 0
    np.testing.assert_array_equal(packed[:], np.full((2, 3), value, np.float32))


def test_differences_of_spikes_have_a_sign():
    spikes = Packed.of(np.array([[0, 1]]))[:]
    assert (spikes - Packed.of(np.array([[1, 0]]))[:]).tolist() == [[-1, 1]]
