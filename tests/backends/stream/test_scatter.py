"""Scatters add up what their chains compute."""

from __future__ import annotations

import numpy as np
import pytest

from snncompile.backends.plan.layouts import as_image
from snncompile.backends.stream.scatter import Scatter, scatter
from snncompile.ir.ops import Conv, Linear, Pad, Reshape, Scale, SumPool, Upsample

RNG = np.random.default_rng(0)


def whole(*shape: int) -> np.ndarray:
    return RNG.integers(-9, 9, shape)


CHAINS = {
    "linear": ((6,), [Linear(whole(4, 6))]),
    "scaled": ((6,), [Linear(whole(4, 6)), Scale(3)]),
    "convolution": ((3, 6, 5), [Conv(whole(4, 3, 3, 3), stride=(2, 1), padding=((1, 1), (0, 2)), dilation=(1, 2))]),
    "one axis": ((3, 9), [Conv(whole(4, 3, 3), stride=(2,), padding=((1, 0),), dilation=(1,))]),
    "groups": ((4, 5, 5), [Conv(whole(6, 2, 2, 2), groups=2)]),
    "depthwise": ((4, 5, 5), [Conv(whole(4, 1, 3, 3), padding=((1, 1), (1, 1)), groups=4)]),
    "pooled": ((3, 6, 6), [SumPool((2, 2), (2, 2)), Conv(whole(4, 3, 3, 3), padding=((1, 1), (1, 1)))]),
    "pooled behind": ((3, 6, 6), [Conv(whole(4, 3, 3, 3)), SumPool((2, 2), (2, 2))]),
    "overlapping": ((3, 6, 6), [SumPool((3, 3), (1, 1)), Conv(whole(4, 3, 2, 2))]),
    "flattened": ((3, 4, 4), [SumPool((2, 2), (2, 2)), Reshape((12,)), Linear(whole(5, 12))]),
    "larger": ((2, 3, 3), [Upsample((2, 3)), Conv(whole(4, 2, 3, 3))]),
    "joined": ((2, 3, 3), [Pad(((1, 2), (0, 0), (0, 0)))]),
    "no weights": ((2, 4, 4), [SumPool((2, 2), (2, 2))]),
    "nothing": ((5, 2), []),
    "two convolutions": ((2, 5, 5), [Conv(whole(3, 2, 2, 2)), Conv(whole(2, 3, 2, 2))]),
    "another form": ((2, 3, 4), [Reshape((4, 3, 2))]),
    "flat at last": ((2, 3, 4), [Reshape((24,))]),
}


def summed(found: Scatter, x: np.ndarray) -> np.ndarray:
    """What the events of a tensor `[channel, *space]` add up, `[row, column, channel]`."""
    channels, height, width = as_image(x.shape)
    sums = np.zeros((found.rows.size, found.columns.size, found.channels), np.int64)
    for c, y, z in np.argwhere(x.reshape(channels, height, width)):
        for row, up in found.rows.reached[y]:
            for column, along in found.columns.reached[z]:
                low, high = found.spans[c]
                row_of = found.weights[up, along, c]
                assert not row_of[:low].any()
                assert not row_of[high + 1:].any()
                sums[row, column] += row_of * x.reshape(channels, height, width)[c, y, z]
    return sums


@pytest.mark.parametrize("name", CHAINS)
def test_events_add_up_what_a_chain_computes(name):
    shape, chain = CHAINS[name]
    x = whole(*shape)
    expected = x[None]
    for op in chain:
        expected = op.apply(expected)
    found = scatter(chain, shape, expected.shape[1:])
    assert found is not None
    channels, height, width = as_image(expected.shape[1:])
    wanted = np.moveaxis(expected.reshape(channels, height, width), 0, -1)
    np.testing.assert_array_equal(summed(found, x).reshape(wanted.shape), wanted)


def test_what_is_too_large_has_no_form():
    assert scatter([Reshape((64, 64, 2))], (2, 64, 64), (64, 64, 2)) is None
