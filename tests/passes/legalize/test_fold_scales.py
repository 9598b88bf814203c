"""fold-scales: scales and average pools join the weights beside them, and projections compute the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import AvgPool, Conv, Linear, Pad, Reshape, Scale, SumPool, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape, ShapeOnly
from snncompile.passes.legalize.fold_scales import FoldScales, fold_chain
from tests.passes.chains import chain, legal
from tests.strategies import Choices, Drawn


def through(ops: tuple[Op, ...], x: Array) -> Array:
    for op in ops:
        x = op.apply(x)
    return x


def folded(ops: tuple[Op, ...], shape: Shape) -> tuple[Op, ...]:
    """The folded chain, which gives exactly what the chain gives; sums are exact, weights being dyadic."""
    x = np.random.default_rng(0).integers(-3, 4, (2, *shape)).astype(float)
    found = fold_chain(ops, shape)
    np.testing.assert_array_equal(through(ops, x), through(found, x))
    return found


def kinds(ops: tuple[Op, ...]) -> list[str]:
    return [op.kind() for op in ops]


def _factor(pick: Choices, shape: Shape) -> Array | float:
    """A number, or an array that varies along some of the axes."""
    if pick.chance(40):
        return pick.dyadic(-64, 64, 16)
    axes = [n if pick.chance(50) else 1 for n in shape]
    return pick.weights(*axes[0 if pick.chance(70) else len(axes) - 1:])


def _operator(pick: Choices, shape: Shape) -> Op:
    axes = len(shape) - 1
    two, one, pads = (2,) * axes, (1,) * axes, ((1, 0),) * axes
    groups = 2 - shape[0] % 2
    spatial: list[Op] = [
        Conv(pick.weights(4, shape[0] // groups, *two), None, one, pads, one, groups),
        AvgPool(two, two, pads), SumPool(two, one, pads), Upsample(two),
    ]
    if len(shape) == 2:
        spatial.append(TokenMix(pick.weights(pick.one([1, shape[0]]), 3, shape[1])))
    flat: list[Op] = [Linear(pick.weights(3, shape[0]))]
    anywhere: list[Op] = [
        Pad(((0, 1), *pads)), Reshape((math.prod(shape),)), Reshape((1, math.prod(shape), 1)),
    ]
    return pick.one([*(spatial if len(shape) > 1 else flat), *anywhere])


@st.composite
def chains(draw: st.DrawFn) -> tuple[tuple[Op, ...], Shape]:
    pick = Choices(Drawn(draw))
    first = shape = pick.one([(4,), (3, 3, 3), (2, 4, 3), (4, 4), (3, 5)])
    ops: list[Op] = []
    for _ in range(pick.integer(1, 6)):
        op = Scale(_factor(pick, shape)) if pick.chance(50) else _operator(pick, shape)
        try:
            if math.prod(op.infer(shape)) > 400:
                continue
            shape = op.infer(shape)
        except ShapeError:
            continue
        ops.append(op)
    return tuple(ops), first


@given(chains())
def test_a_folded_chain_computes_the_same(case: tuple[tuple[Op, ...], Shape]) -> None:
    folded(*case)


@given(chains())
def test_folding_again_finds_nothing(case: tuple[tuple[Op, ...], Shape]) -> None:
    once = fold_chain(*case)
    assert kinds(fold_chain(once, case[1])) == kinds(once)


ONE = np.ones((3, 3, 1, 1))


@pytest.mark.parametrize("factor", [2.0, np.array([[[2.0]]]), np.array([2.0]), np.array([1.0, 2, 4]).reshape(3, 1, 1)])
@pytest.mark.parametrize("after", [True, False])
def test_a_factor_for_all_or_for_each_channel_joins_a_convolution(factor, after):
    conv, scale = Conv(ONE), Scale(factor)
    assert kinds(folded((conv, scale) if after else (scale, conv), (3, 5, 3))) == ["conv"]


@pytest.mark.parametrize("factor", [np.array([1.0, 2, 4]), np.array([1.0, 2, 4]).reshape(1, 3, 1)])
def test_a_factor_along_another_axis_as_long_as_the_channels_stays_outside(factor):
    assert kinds(folded((Conv(ONE), Scale(factor)), (3, 3, 3))) == ["conv", "scale"]
    assert kinds(folded((Scale(factor), Conv(ONE)), (3, 3, 3))) == ["scale", "conv"]


def test_channels_of_groups_keep_their_factors():
    conv = Conv(np.ones((4, 1, 1, 1)), groups=2)
    found = folded((Scale(np.array([2.0, 8.0]).reshape(2, 1, 1)), conv), (2, 2, 2))
    assert found[0].weight.reshape(-1).tolist() == [2, 2, 8, 8]


MIX = TokenMix(np.ones((2, 3, 5)))
BY_HEAD, BY_CHANNEL = np.array([[1.0], [1.0], [4.0], [4.0]]), np.array([[1.0], [2.0], [4.0], [8.0]])


@pytest.mark.parametrize("factor", [2.0, BY_HEAD, np.array([1.0, 2, 4]), BY_HEAD * np.array([1.0, 2, 4])])
def test_a_factor_that_is_the_same_for_the_channels_of_a_head_joins_a_token_mixing(factor):
    assert kinds(folded((MIX, Scale(factor)), (4, 5))) == ["tokenmix"]
    wider = np.pad(factor, ((0, 0), (0, 2)), "edge") if np.ndim(factor) == 2 and np.shape(factor)[1] == 3 else factor
    before = np.array([1.0, 2, 4, 8, 16]) if np.ndim(factor) == 1 else wider
    assert kinds(folded((Scale(before), MIX), (4, 5))) == ["tokenmix"]


def test_a_factor_that_differs_inside_a_head_stays_beside_a_token_mixing():
    assert kinds(folded((MIX, Scale(BY_CHANNEL)), (4, 5))) == ["tokenmix", "scale"]
    assert kinds(folded((Scale(BY_CHANNEL), MIX), (4, 5))) == ["scale", "tokenmix"]


def test_a_factor_passes_a_flattening_on_its_way_to_the_weights():
    ops = (Scale(np.array([1.0, 2, 4]).reshape(3, 1, 1)), Reshape((12,)), Linear(np.ones((2, 12))))
    assert kinds(folded(ops, (3, 2, 2))) == ["reshape", "linear"]


def test_an_average_pool_becomes_a_sum_whose_share_joins_the_weights():
    found = folded((AvgPool((2, 2), (2, 2)), Conv(ONE)), (3, 4, 4))
    assert kinds(found) == ["sumpool", "conv"]
    assert found[1].weight[0, 0, 0, 0] == 0.25


def test_an_average_pool_without_weights_beside_it_ends_in_a_scale():
    assert kinds(folded((AvgPool((2, 2), (2, 2)),), (3, 4, 4))) == ["sumpool", "scale"]


def test_two_scales_become_one():
    assert kinds(folded((Scale(2.0), Scale(np.array([1.0, 2, 4]))), (3,))) == ["scale"]


def test_weights_keep_their_precision():
    (found,) = fold_chain((Linear(np.ones((2, 2), np.float32)), Scale(np.array([0.5, 0.25]))), (2,))
    assert found.weight.dtype == np.float32


def test_weights_that_are_integers_keep_the_scale_beside_them():
    whole, scale = folded((Linear(np.full((2, 2), 3, np.int8)), Scale(0.5), Scale(0.5)), (2,))
    assert whole.weight.dtype == np.int8
    assert scale.factor == 0.25


def test_weights_without_numbers_stay_without():
    ops = (AvgPool((2, 2), (2, 2)), Conv(ShapeOnly((4, 3, 1, 1))), Scale(ShapeOnly((4, 1, 1))))
    found = fold_chain(ops, (3, 4, 4))
    assert kinds(found) == ["sumpool", "conv"]
    assert found[1].weight == ShapeOnly((4, 3, 1, 1))


def test_a_graph_without_scales_is_the_same_object():
    graph = legal(chain(Linear(np.eye(4)), Neuron.of("if")))
    assert FoldScales().run(graph) is graph
