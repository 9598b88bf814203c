"""Memory layout: channels last, and the narrowest types that hold a range."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.backends.c.types import DTYPES, accumulator_type, c_type, c_type_of
from snncompile.backends.plan.buffers import narrow
from snncompile.backends.plan.layouts import as_image, channels_last, is_plain, per_channel

SHAPES = [(5,), (3, 4), (3, 4, 5), (2, 3, 4, 5), (1, 4, 5), (3, 1, 1), (1,), (1, 1, 1), (3, 1, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_channels_of_one_place_lie_side_by_side(shape):
    tensor = np.arange(np.prod(shape)).reshape(shape)
    channels, height, width = as_image(shape)
    stored = tensor.reshape(-1)[channels_last(shape)]
    assert stored.reshape(height * width, channels)[0].tolist() == tensor.reshape(channels, -1)[:, 0].tolist()
    assert sorted(stored.tolist()) == list(range(tensor.size))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_plain_tensor_is_stored_as_it_is(shape):
    assert is_plain(shape) == bool(np.array_equal(channels_last(shape), np.arange(np.prod(shape))))


def test_a_tensor_is_an_image_whatever_its_axes():
    assert as_image((5,)) == (5, 1, 1)
    assert as_image((3, 4)) == (3, 1, 4)
    assert as_image((3, 4, 5)) == (3, 4, 5)
    assert as_image((2, 3, 4, 5)) == (2, 12, 5)


@pytest.mark.parametrize(("low", "high", "kind"), [
    (0, 0, "uint8_t"), (0, 255, "uint8_t"), (0, 256, "uint16_t"), (0, 65535, "uint16_t"), (0, 65536, "int32_t"),
    (-1, 127, "int8_t"), (-128, 0, "int8_t"), (-129, 0, "int16_t"), (-1, 255, "int16_t"), (-1, 32767, "int16_t"),
    (-1, 32768, "int32_t"), (-(1 << 31), (1 << 31) - 1, "int32_t"), (0, 1 << 31, "int64_t"),
])
def test_the_narrowest_type(low, high, kind):
    assert c_type(low, high) == kind
    info = np.iinfo(DTYPES[kind])
    assert info.min <= low <= high <= info.max


@pytest.mark.parametrize(("low", "high", "kind"), [
    (0, 0, "int16_t"), (0, 255, "int16_t"), (-32768, 32767, "int16_t"), (0, 32768, "int32_t"), (0, 65535, "int32_t"),
    (-(1 << 31), 0, "int32_t"), (-(1 << 31) - 1, 0, "int64_t"),
])
def test_sums_are_signed_and_of_16_bits_or_more(low, high, kind):
    assert accumulator_type(low, high) == kind


@pytest.mark.parametrize("dtype", DTYPES.values())
def test_arrays_are_named_by_their_type(dtype):
    assert DTYPES[c_type_of(np.zeros(1, dtype))] == dtype


@pytest.mark.parametrize("values", [[0, 255], [0, 256], [-1, 1], [-300, 1], [0, 70000], [1 << 40], []])
def test_narrowing_keeps_every_value(values):
    array = narrow(np.array(values, np.int64))
    assert array.tolist() == values
    assert array.dtype.itemsize <= 8


def test_one_value_a_channel_is_told_from_one_along_another_axis():
    shape = (3, 4, 3)
    assert per_channel(np.zeros((3, 1, 1)), shape)
    assert not per_channel(np.zeros(3), shape)
    assert not per_channel(np.zeros((1, 1, 3)), shape)
    assert not per_channel(np.zeros((1, 1, 1)), shape)
    assert per_channel(np.zeros(3), (3,))
