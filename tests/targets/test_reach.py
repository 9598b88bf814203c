"""Reach: what a projection reads, from three short vectors, against the same chain run on one-hot inputs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snncompile.ir.op import Op, ShapeError
from snncompile.ir.ops import Conv, Linear, Pad, Reshape, SumPool, Upsample
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape, ShapeOnly
from snncompile.mapping.connections import connections
from snncompile.targets.reach import reach_of, volume


def connected(chain: tuple[Op, ...], shape: Shape) -> Array:
    """Whether input i reaches output j, `[*shape, *out]`, by running the chain on every one-hot input."""
    size = math.prod(shape)
    x = np.eye(size).reshape(size, *shape)
    for op in chain:
        x = op.apply(x)
    return (x != 0).reshape(*volume(shape), *volume(x.shape[1:]))


def candidates(rng: np.random.Generator, shape: Shape) -> list[Op]:
    if len(shape) == 2:
        return [TokenMix(np.ones((shape[0], 3, shape[1]))), Pad(((0, 1), (1, 0))), Reshape((math.prod(shape),))]
    if len(shape) == 1:
        return [Linear(np.ones((4, shape[0])))] * 3 + [Pad(((1, 2),))]
    stride = tuple(int(n) for n in rng.integers(1, 3, 2))
    dilation = tuple(int(n) for n in rng.integers(1, 3, 2))
    return [
        SumPool((2, 2), stride), Upsample((2, 1)), Pad(((1, 2), (0, 1), (2, 0))), Reshape((math.prod(shape),)),
        Reshape((shape[0], math.prod(shape[1:]))),
        Conv(np.ones((2 * shape[0], 1, 3, 2)), None, stride, ((1, 1), (0, 2)), dilation, shape[0]),
        Conv(np.ones((3, shape[0], 3, 3)), None, stride, ((1, 1), (1, 0)), dilation),
    ]


def random_chain(rng: np.random.Generator, shape: Shape) -> tuple[Op, ...]:
    chain: list[Op] = []
    for _ in range(rng.integers(1, 4)):
        choices = candidates(rng, shape)
        op = choices[rng.integers(len(choices))]
        try:
            shape = op.infer(shape)
        except ShapeError:
            continue
        chain.append(op)
    return tuple(chain)


@pytest.mark.parametrize("seed", range(150))
def test_intervals_and_counts_cover_every_connection(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(3, 8)), int(rng.integers(3, 8)))
    chain = random_chain(rng, shape)
    true, reach = connected(chain, shape), reach_of(chain, shape)
    assert reach.synapses >= true.sum()
    assert reach.fan_in >= true.sum((0, 1, 2)).max()
    readers = [axis.readers() for axis in reach.axes]
    for place in np.ndindex(*true.shape[:3]):
        for axis, outputs in enumerate(np.nonzero(true[place])):
            if outputs.size:
                first, last = readers[axis][0][place[axis]], readers[axis][1][place[axis]]
                assert first <= outputs.min()
                assert last >= outputs.max()


@pytest.mark.parametrize("chain", [
    (Conv(np.ones((4, 2, 3, 3)), None, (2, 1), ((1, 1), (0, 2))),),
    (Conv(np.ones((4, 2, 3, 3)), None, (1, 1), ((2, 2), (2, 2)), (2, 2)),),
    (Conv(np.ones((6, 1, 3, 3)), None, (1, 1), ((1, 1), (1, 1)), (1, 1), 2),),
    (SumPool((2, 2), (2, 2)), Conv(np.ones((4, 2, 3, 3)), None, (1, 1), ((1, 1), (1, 1)))),
    (SumPool((3, 3), (1, 1)), Conv(np.ones((4, 2, 3, 3)))),
    (Reshape((98,)), Linear(np.ones((5, 98)))),
    (SumPool((7, 7), (7, 7)), Reshape((2,)), Linear(np.ones((5, 2)))),
    (Pad(((0, 1), (0, 0), (0, 0))),),
    (Upsample((2, 2)), Conv(np.ones((4, 2, 3, 3)))),
], ids=lambda chain: " ".join(op.kind() for op in chain))
def test_what_layers_are_made_of_is_counted_exactly(chain):
    true, reach = connected(chain, (2, 7, 7)), reach_of(chain, (2, 7, 7))
    assert reach.synapses == true.sum()
    assert reach.fan_in == true.sum((0, 1, 2)).max()
    if not reach.scattered:
        axes = [true.any(tuple({0, 1, 2, 3, 4, 5} - {i, i + 3})) for i in range(3)]
        assert [a.count.tolist() for a in reach.axes] == [a.sum(0).tolist() for a in axes]


def pool3d(kernel: Shape, stride: Shape) -> SumPool:
    return SumPool(kernel, stride, ((0, 0),) * 3)


def test_a_sum_over_three_axes_is_counted_as_what_its_windows_hold():
    """2 channels of 4 x 4 x 4: 2 x 2 x 2 windows for each, of 8 elements each."""
    reach = reach_of((pool3d((2, 2, 2), (2, 2, 2)),), (2, 4, 4, 4))
    assert (reach.synapses, reach.fan_in) == (2 * 2 * 2 * 2 * 8, 8) == (128, 8)


@pytest.mark.parametrize("chain", [
    (SumPool((2, 2, 2), (2, 1, 1), ((1, 0), (0, 1), (0, 0))),),
    (pool3d((1, 2, 2), (1, 2, 2)), pool3d((2, 2, 2), (1, 1, 1))),
    (Upsample((1, 2, 2)), pool3d((2, 3, 2), (1, 2, 2))),
    (Pad(((0, 1), (1, 0), (0, 2), (1, 1))), pool3d((2, 2, 2), (2, 2, 2))),
    (pool3d((2, 2, 2), (2, 2, 2)), Reshape((16,)), Linear(np.ones((3, 16)))),
], ids=lambda chain: " ".join(op.kind() for op in chain))
def test_tensors_of_four_axes_have_exact_relations_and_counts_on_both_sides(chain):
    true = connected(chain, (2, 4, 4, 4))
    reach = reach_of(chain, (2, 4, 4, 4))
    assert reach.synapses >= true.sum() >= reach.least_synapses
    assert reach.fan_in >= true.sum((0, 1, 2)).max()
    assert connections(chain, (2, 4, 4, 4)).neurons().sum() == true.sum()


@pytest.mark.parametrize("seed", range(100))
def test_counts_are_bounds_on_both_sides_and_relations_are_exact(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(3, 8)), int(rng.integers(3, 8)))
    chain = random_chain(rng, shape)
    size = connected(chain, shape)[0, 0, 0].size
    weight = (rng.random((4, size)) < rng.choice([0.2, 1.0])).astype(float)
    chain += (Reshape((size,)), Linear(weight)) if rng.random() < 0.5 else ()
    true, reach, exact = connected(chain, shape), reach_of(chain, shape), connections(chain, shape)
    assert reach.least_synapses <= true.sum() <= reach.synapses
    assert np.array_equal(exact.neurons().toarray().reshape(true.shape), true)
    assert not (reach.differs and exact.full)


def test_inputs_that_a_stride_leaves_out_behind_a_reshape_are_not_certain():
    chain = (Reshape((1, 6, 6)), SumPool((1, 1), (3, 3)), Reshape((4,)), Linear(np.ones((5, 4))))
    true, reach = connected(chain, (36,)), reach_of(chain, (36,))
    assert reach.least_synapses <= true.sum() == 20 <= reach.synapses


def test_a_flat_input_that_becomes_an_image_is_counted_exactly():
    chain = (Reshape((1, 6, 6)), Conv(np.ones((2, 1, 3, 3)), None, (1, 1), ((1, 1), (1, 1))))
    reach = reach_of(chain, (36,))
    assert reach.fan_in == 9
    assert reach.scattered


def test_weights_without_numbers_are_counted_too():
    with_numbers, without = Linear(np.ones((5, 9))), Linear(ShapeOnly((5, 9)))
    assert reach_of((without,), (9,)).synapses == reach_of((with_numbers,), (9,)).synapses == 45


@pytest.mark.parametrize(("shape", "expected"), [
    ((), (1, 1, 1)), ((5,), (5, 1, 1)), ((5, 7), (5, 1, 7)), ((5, 7, 9), (5, 7, 9)), ((5, 7, 9, 2), (5, 7, 18)),
])
def test_every_shape_is_channels_rows_and_columns(shape, expected):
    assert volume(shape) == expected
