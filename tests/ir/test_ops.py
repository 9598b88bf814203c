"""The operators: evaluation against SciPy and plain loops, exactness in integers, shapes, synapse counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import correlate

from snncompile.ir import exact
from snncompile.ir.op import Op, ShapeError
from snncompile.ir.operators import OPERATORS
from snncompile.ir.ops import (
    AvgPool,
    Conv,
    Identity,
    Input,
    Linear,
    MaxPool,
    Output,
    Pad,
    Rectify,
    Reshape,
    Scale,
    SumPool,
    Upsample,
)
from snncompile.ir.populations import Neuron
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape, ShapeOnly
from tests.random_layers import FLAT, SPATIAL
from tests.strategies import Choices, Drawn


def by_scipy(x: Array, op: Conv) -> Array:
    """Cross-correlation of one sample through SciPy: pad, dilate the kernel, correlate, stride."""
    weight: Any = op.weight
    padded = np.pad(x, ((0, 0), *op.padding))
    reach = tuple(d * (k - 1) + 1 for d, k in zip(op.dilation, op.kernel, strict=True))
    kernel = np.zeros((*weight.shape[:2], *reach), weight.dtype)
    kernel[(slice(None), slice(None), *(slice(None, None, d) for d in op.dilation))] = weight
    strides = tuple(slice(None, None, s) for s in op.stride)
    out_of_group, fan_in = len(weight) // op.groups, weight.shape[1]
    y = [correlate(padded[o // out_of_group * fan_in:][:fan_in], kernel[o], "valid")[0][strides]
         for o in range(len(weight))]
    return np.stack(y) if op.bias is None else np.stack(y) + np.reshape(op.bias, (-1, *(1,) * len(reach)))


@st.composite
def convolutions(draw: st.DrawFn, axes: int) -> tuple[Conv, Shape]:
    groups = draw(st.integers(1, 3))
    fan_in, out = draw(st.integers(1, 3)), groups * draw(st.integers(1, 2))
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    op = Conv(
        rng.integers(-9, 10, (out, fan_in, *kernel)).astype(float),
        rng.integers(-9, 10, out).astype(float) if draw(st.booleans()) else None,
        tuple(draw(st.integers(1, 3)) for _ in kernel),
        tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in kernel),
        tuple(draw(st.integers(1, 2)) for _ in kernel),
        groups,
    )
    reach = (d * (k - 1) + 1 for d, k in zip(op.dilation, kernel, strict=True))
    return op, (groups * fan_in, *(draw(st.integers(r, 7)) for r in reach))


@pytest.mark.parametrize("axes", [1, 2])
@given(st.data())
def test_convolution_agrees_with_scipy(axes, data):
    op, shape = data.draw(convolutions(axes))
    x = np.random.default_rng(1).integers(-5, 6, (3, *shape)).astype(float)
    y = op.apply(x)
    assert y.shape[1:] == op.infer(shape)
    for sample, found in zip(x, y, strict=True):
        np.testing.assert_array_equal(found, by_scipy(sample, op))
    whole = Conv(op.weight.astype(np.int64), None if op.bias is None else op.bias.astype(np.int64), op.stride,
                 op.padding, op.dilation, op.groups)
    np.testing.assert_array_equal(whole.apply(x.astype(np.int64)), y)


def test_a_large_batch_is_convolved_in_pieces_with_the_same_result(monkeypatch):
    op = Conv(np.arange(54.0).reshape(3, 2, 3, 3))
    x = np.random.default_rng(0).integers(0, 3, (17, 2, 6, 5)).astype(float)
    whole = op.apply(x)
    monkeypatch.setattr(exact, "CHUNK_BYTES", 20_000)
    np.testing.assert_array_equal(op.apply(x), whole)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.int8])
def test_an_empty_batch_keeps_its_shape(kind):
    assert Conv(np.ones((4, 2, 3, 3), kind)).apply(np.zeros((0, 2, 5, 5), kind)).shape == (0, 4, 3, 3)
    assert Linear(np.ones((3, 2), kind)).apply(np.zeros((0, 2), kind)).shape == (0, 3)
    assert SumPool((2, 2), (2, 2)).apply(np.zeros((0, 2, 4, 4), kind)).shape == (0, 2, 2, 2)


def test_linear_is_a_matrix_product_with_a_bias():
    op = Linear(np.array([[1.0, 2.0], [3.0, -4.0], [0.0, 0.5]]), np.array([0.0, 1.0, -1.0]))
    np.testing.assert_array_equal(op.apply(np.array([[1.0, 1.0], [2.0, 0.0]])), [[3, 0, -0.5], [2, 7, -1]])


@pytest.mark.parametrize("width", [1 << 23, (1 << 24) - 1, 1 << 24, 1 << 52, (1 << 53) - 1, (1 << 53) + 1])
def test_integer_products_are_exact_at_the_edges_of_the_float_formats(width):
    """Sums of about 2**24 and 2**53, where float32 and float64 stop holding every integer."""
    weight = np.array([[width, -1, 1, 1], [1, -width, -1, 3]], np.int64)
    x = np.array([[1, 0, 1, 0], [1, 1, 1, -1], [0, 1, 1, 1]], np.int64)
    exact_product = x.astype(object) @ weight.astype(object).T
    np.testing.assert_array_equal(Linear(weight).apply(x), exact_product.astype(np.int64))
    image = Conv(weight.reshape(2, 1, 2, 2)).apply(x.reshape(3, 1, 2, 2))
    np.testing.assert_array_equal(image.reshape(3, 2), exact_product.astype(np.int64))


@given(st.lists(st.integers(-(1 << 30), 1 << 30), min_size=4, max_size=4),
       st.lists(st.integers(-(1 << 30), 1 << 30), min_size=4, max_size=4))
def test_integer_products_are_exact_at_any_magnitude(a, b):
    x, weight = np.array([a], np.int64), np.array([b], np.int64)
    assert int(Linear(weight).apply(x)[0, 0]) == sum(p * q for p, q in zip(a, b, strict=True))


@given(st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(0, 99))
def test_token_mixing_is_a_matrix_product_in_each_channel(heads, size, biased, seed):
    rng = np.random.default_rng(seed)
    weight, bias = rng.integers(-9, 10, (heads, 4, 5)), rng.integers(-9, 10, (heads, 4)) if biased else None
    x = rng.integers(-5, 6, (2, heads * size, 5))
    y = np.stack([[weight[c // size] @ channel + (bias[c // size] if biased else 0)
                   for c, channel in enumerate(sample)] for sample in x])
    np.testing.assert_array_equal(TokenMix(weight, bias).apply(x), y)
    real = TokenMix(weight.astype(float), bias)
    np.testing.assert_array_equal(real.apply(x.astype(np.float32)), y)
    assert TokenMix(weight).apply(x[:0]).shape == (0, heads * size, 4)


@pytest.mark.parametrize("width", [(1 << 24) - 1, 1 << 24, (1 << 53) - 1, (1 << 53) + 1])
def test_token_mixing_of_integers_is_exact_at_the_edges_of_the_float_formats(width):
    x = np.array([[[1, 1, 1]]])
    assert TokenMix(np.array([[[width, 1, 1]]])).apply(x).item() == width + 2


def test_narrow_integers_do_not_overflow_in_sums():
    assert Linear(np.full((1, 300), 127, np.int8)).apply(np.full((1, 300), 127, np.int8)).item() == 300 * 127 * 127
    assert SumPool((1, 4), (1, 4)).apply(np.full((1, 1, 1, 4), 127, np.int8)).item() == 4 * 127


def windows(x: Array, op: Any, fill: float) -> Array:
    """Every window of `[channel, h, w]`, flattened: `[channel, oh, ow, taps]`."""
    padded = np.pad(x, ((0, 0), *op.padding), constant_values=fill)
    _, height, width = op.infer(x.shape)
    (kh, kw), (sh, sw) = op.kernel, op.stride
    return np.stack([np.stack([padded[:, i * sh:i * sh + kh, j * sw:j * sw + kw].reshape(len(x), -1)
                               for j in range(width)], 1) for i in range(height)], 1)


POOLS = st.tuples(st.tuples(st.integers(1, 3), st.integers(1, 3)), st.tuples(st.integers(1, 3), st.integers(1, 3)),
                  st.tuples(*[st.tuples(st.integers(0, 1), st.integers(0, 2))] * 2))


@given(POOLS, st.integers(0, 50))
def test_pools_reduce_their_windows(args, seed):
    x = np.random.default_rng(seed).integers(-4, 5, (2, 5, 6)).astype(float)
    pools = [(SumPool(*args), np.sum, 0), (AvgPool(*args), np.mean, 0)]
    if all(max(p) < k for p, k in zip(args[2], args[0], strict=True)):
        pools.append((MaxPool(*args), np.max, -9))
    for op, reduce, fill in pools:
        np.testing.assert_allclose(op.apply(x[None])[0], reduce(windows(x, op, fill), axis=-1))


def test_padding_never_wins_a_maximum():
    x = np.full((1, 1, 2, 2), -3)
    assert (MaxPool((2, 2), (2, 2), ((1, 1), (1, 1))).apply(x) == -3).all()
    assert (MaxPool((2, 2), (2, 2), ((1, 1), (1, 1))).apply(x.astype(float)) == -3).all()


def test_max_pooling_of_spikes_is_a_logical_or():
    x = np.array([[[[0, 1, 0, 0], [0, 0, 0, 0]]]])
    np.testing.assert_array_equal(MaxPool((2, 2), (2, 2)).apply(x), [[[[1, 0]]]])


def test_pools_work_on_one_axis_too():
    x = np.array([[[1.0, 2, 3, 4, 5]]])
    np.testing.assert_array_equal(SumPool((2,), (2,), ((0, 0),)).apply(x), [[[3, 7]]])


@given(st.integers(1, 3), st.integers(1, 3))
def test_upsampling_repeats_each_value_in_a_block(a, b):
    x = np.arange(12).reshape(1, 2, 2, 3)
    expected = np.kron(x, np.ones((1, 1, a, b), int))
    np.testing.assert_array_equal(Upsample((a, b)).apply(x), expected)
    assert Upsample((a, b)).infer((2, 2, 3)) == expected.shape[1:]


def test_scale_broadcasts_over_channels():
    op = Scale(np.array([2.0, 3.0]).reshape(2, 1, 1), 0.5)
    np.testing.assert_array_equal(op.apply(np.ones((1, 2, 1, 2))), [[[[2.5, 2.5]], [[3.5, 3.5]]]])


def test_scale_turns_an_array_of_no_axes_into_a_number():
    assert Scale(np.array(2.0)).factor == 2.0
    assert not Scale(np.array(2.0)).arrays


def test_reshape_keeps_row_major_order():
    np.testing.assert_array_equal(Reshape((3, 2)).apply(np.arange(6).reshape(1, 2, 3))[0], [[0, 1], [2, 3], [4, 5]])


def test_rectify_keeps_one_sign():
    x = np.array([[-2.0, 0.0, 3.0]])
    assert Rectify().apply(x).tolist() == [[0, 0, 3]]
    assert Rectify(-1).apply(x).tolist() == [[-2, 0, 0]]


def test_a_concatenation_is_a_sum_of_padded_tensors():
    a, b = np.ones((1, 2, 3)), np.full((1, 1, 3), 5.0)
    joined = Pad(((0, 1), (0, 0))).apply(a) + Pad(((2, 0), (0, 0))).apply(b)
    np.testing.assert_array_equal(joined, np.concatenate([a, b], 1))


def linear_operators() -> st.SearchStrategy[tuple[Op, Shape]]:
    @st.composite
    def make(draw: st.DrawFn) -> tuple[Op, Shape]:
        pick = Choices(Drawn(draw))
        axes = pick.integer(0, 2)
        shape = (pick.integer(1, 3), *(pick.integer(3, 5) for _ in range(axes)))
        op = pick.one(SPATIAL if axes else FLAT)(pick, shape)
        try:
            op.infer(shape)
        except ShapeError:
            op = Identity()
        return op, shape

    return make()


@given(linear_operators())
def test_inferred_shapes_are_the_shapes_that_come_out(case):
    op, shape = case
    assert op.apply(np.ones((2, *shape))).shape == (2, *op.infer(shape))


@given(linear_operators(), st.integers(0, 99))
def test_what_calls_itself_linear_is_additive_apart_from_its_bias(case, seed):
    op, shape = case
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-8, 9, (2, 1, *shape)).astype(float)
    offset = op.apply(np.zeros((1, *shape)))
    if op.linear:
        np.testing.assert_allclose(op.apply(a + b) + offset, op.apply(a) + op.apply(b), atol=1e-12)


@given(linear_operators())
def test_synapses_are_the_connections_that_exist(case):
    """Counted by sending ones, one place at a time, through the operator with all weights 1."""
    op, shape = case
    ones = _with_unit_weights(op)
    if ones is not None:
        unit = np.eye(math.prod(shape)).reshape(-1, *shape)
        assert op.synapses(shape) == np.count_nonzero(ones.apply(unit))


def _with_unit_weights(op: Op) -> Op | None:
    if isinstance(op, Linear):
        return Linear(np.ones(op.weight.shape))
    if isinstance(op, TokenMix):
        return TokenMix(np.ones(op.weight.shape))
    if isinstance(op, Conv):
        return Conv(np.ones(op.weight.shape), None, op.stride, op.padding, op.dilation, op.groups)
    return None


BAD_SHAPES: list[tuple[Op, Shape, str]] = [
    (Linear(np.ones((2, 3))), (4,), r"expects \[3\]"),
    (Linear(np.ones((2, 3))), (3, 1), r"expects \[3\]"),
    (Conv(np.ones((2, 3, 3, 3))), (2, 5, 5), r"expects \[3, height, width\]"),
    (Conv(np.ones((2, 3, 3, 3))), (3, 5), r"expects \[3, height, width\]"),
    (Conv(np.ones((2, 3, 3)), None, (1,), ((0, 0),), (1,)), (2, 5), r"expects \[3, length\]"),
    (Conv(np.ones((2, 3, 3, 3)), groups=2), (3, 5, 5), r"expects \[6, height, width\]"),
    (Conv(np.ones((2, 3, 3, 3)), dilation=(3, 1)), (3, 6, 6), r"kernel of \[3, 3\] does not fit into \[6, 6\]"),
    (TokenMix(np.ones((1, 2, 3))), (3, 2), r"expects \[channels, 3\]$"),
    (TokenMix(np.ones((2, 2, 3))), (3, 3), r"expects \[channels, 3\], channels a multiple of 2"),
    (TokenMix(np.ones((1, 2, 3))), (3,), r"expects \[channels, 3\]"),
    (SpikeProduct(4, 2, "channels", 2), (7, 3), r"expects \[8, tokens\]"),
    (SpikeProduct(4, 2, "channels", 2), (8,), r"expects \[8, tokens\]"),
    (SpikeProduct(4, 3, "tokens", 2), (7, 3), r"expects \[4 and the right tensor's channels, a multiple of 2, 3\]"),
    (SpikeProduct(4, 3, "tokens", 2), (4, 3), r"expects \[4 and the right tensor's channels, a multiple of 2, 3\]"),
    (SpikeProduct(4, 3, "tokens", 2), (6, 4), r"expects \[4 and the right tensor's channels, a multiple of 2, 3\]"),
    (SumPool((2, 2), (2, 2)), (4,), "expects 3 axes"),
    (SumPool((3, 2), (2, 2)), (1, 2, 2), r"window of \[3, 2\] does not fit into \[2, 2\]"),
    (MaxPool((2, 2), (2, 2), ((0, 2), (0, 0))), (1, 4, 4), "padding of a maximum must be smaller"),
    (Upsample((2, 2)), (3, 4), "expects 3 axes"),
    (Scale(np.ones((2, 1, 1))), (3, 4, 4), r"\[2, 1, 1\] does not broadcast"),
    (Scale(1.0, np.ones((1, 1, 1, 1))), (3, 4, 4), r"\[1, 1, 1, 1\] does not broadcast"),
    (Reshape((5,)), (2, 3), r"cannot lay 6 values out as \[5\]"),
    (Pad(((0, 1),)), (2, 3), "expects 1 axes"),
    (Neuron.of("lif", threshold=np.ones(3)), (2, 4), r"\[3\] does not broadcast"),
    (Neuron.of("lif", initial={"v": np.ones(3)}), (2,), r"\[3\] does not broadcast"),
]


@pytest.mark.parametrize(("op", "shape", "message"), BAD_SHAPES)
def test_a_shape_that_cannot_enter_is_refused_with_what_is_expected(op, shape, message):
    with pytest.raises(ShapeError, match=message):
        op.infer(shape)


def test_weights_without_numbers_have_shapes_and_synapses():
    op = Conv(ShapeOnly((8, 3, 3, 3)), padding=((1, 1), (1, 1)))
    assert op.infer((3, 4, 4)) == (8, 4, 4)
    assert op.synapses((3, 4, 4)) == 8 * 3 * 100
    assert Linear(ShapeOnly((2, 5))).synapses((5,)) == 10


def test_weights_are_read_only_and_not_shared_with_the_caller():
    mine = np.ones((2, 2))
    op = Linear(mine)
    mine[0, 0] = 9
    assert op.weight[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        op.weight[0, 0] = 2


def test_read_only_weights_are_shared_not_copied():
    mine = np.ones((2, 2))
    mine.flags.writeable = False
    assert Linear(mine).weight is mine


def test_a_neuron_fills_in_the_defaults_of_its_rule():
    neuron = Neuron.of("lif", threshold=np.array(2.0))
    assert neuron.params == {"decay": 0.9, "gain": 1.0, "threshold": 2.0}


def test_every_operator_has_a_word_of_its_own():
    assert {cls.kind(): cls for cls in OPERATORS.values()} == OPERATORS
    assert {"input", "output", "conv", "neuron", "population"} <= set(OPERATORS)
    assert Output().infer((3,)) == (3,)
    assert Input((2, 2)).infer(()) == (2, 2)
