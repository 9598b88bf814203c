"""Linear operators as matrices: every one, with its strides, paddings, dilations and groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.backends.lava import matrices
from snncompile.backends.lava.matrices import chain_matrix, windows
from snncompile.diagnostics import CompileError
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Linear, MaxPool, Pad, Reshape, Scale, SumPool, Upsample
from snncompile.ir.types import Shape


def equal(chain: tuple[Op, ...], shape: Shape) -> bool:
    """Whether the matrix of a chain does what its operators do."""
    x = np.random.default_rng(0).integers(-9, 10, (5, *shape))
    y: Any = x
    for op in chain:
        y = op.apply(y)
    matrix = chain_matrix(chain, shape, "here")
    return np.array_equal((matrix @ x.reshape(5, -1).T).T, y.reshape(5, -1))


def whole(*shape: int) -> Any:
    return np.random.default_rng(1).integers(-7, 8, shape)


@given(st.data())
def test_a_convolution_is_its_matrix(data: st.DataObject) -> None:
    axes = data.draw(st.integers(1, 2))

    def some(low: int, high: int) -> Shape:
        return tuple(data.draw(st.integers(low, high)) for _ in range(axes))

    groups, ins, outs = (data.draw(st.integers(1, 2)) for _ in range(3))
    op = Conv(whole(groups * outs, ins, *some(1, 3)), None, some(1, 3),
              tuple((a, b) for a, b in zip(some(0, 2), some(0, 2), strict=True)), some(1, 2), groups)
    assert equal((op,), (groups * ins, *some(5, 7)))


@pytest.mark.parametrize(("chain", "shape"), [
    ((Linear(whole(5, 7)),), (7,)),
    ((SumPool((2, 2), (2, 2), ((1, 0), (0, 1))),), (3, 6, 7)),
    ((SumPool((3,), (2,), ((1, 1),)),), (3, 6)),
    ((Upsample((2, 3)),), (2, 3, 4)),
    ((Pad(((1, 0), (2, 3))),), (3, 4)),
    ((Scale(whole(3, 1)),), (3, 4)),
    ((Scale(-3),), (3, 4)),
    ((Reshape((12,)),), (3, 4)),
    ((), (3, 4)),
    ((SumPool((2, 2), (2, 2)), Reshape((12,)), Linear(whole(4, 12)), Scale(whole(4))), (3, 4, 4)),
], ids=str)
def test_every_other_operator_and_every_chain_is_its_matrix(chain: tuple[Op, ...], shape: Shape) -> None:
    assert equal(chain, shape)


def test_what_a_window_reads_is_numbered_and_borders_are_marked():
    assert windows((1, 3), MaxPool((2,), (2,), ((1, 0),))).tolist() == [[-1, 0], [1, 2]]


def test_more_synapses_than_can_be_written_out_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "MAX_SYNAPSES", 34)
    with pytest.raises(CompileError, match=r"(?s)SNN205.*35 synapses"):
        chain_matrix((Linear(whole(5, 7)),), (7,), "here")
    monkeypatch.setattr(matrices, "MAX_SYNAPSES", 35)
    chain_matrix((Linear(whole(5, 7)),), (7,), "here")
    with pytest.raises(CompileError, match=r"(?s)SNN205.*36 synapses"):  # of two small matrices a large one
        chain_matrix((Linear(np.ones((1, 6))), Linear(np.ones((6, 1)))), (6,), "here")
