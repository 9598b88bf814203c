"""The linear operators of a projection as one sparse matrix of integers, over tensors laid out in C order."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy.sparse import csr_array, eye_array

from snncompile.diagnostics import fail
from snncompile.ir.matrices import Matrix, operator_matrix
from snncompile.ir.op import Op
from snncompile.ir.types import Array, Shape
from snncompile.ir.windows import places

MAX_SYNAPSES = 1 << 26
"""Synapses of a projection that are written out one by one, at most."""

def chain_matrix(chain: Iterable[Op], shape: Shape, place: str) -> Matrix:
    """A chain of linear operators as one matrix, which multiplies a tensor of this shape laid out in C order.

    Args:
        place: the projection, in the words of diagnostics.

    Raises:
        CompileError: SNN205 where it would have more than MAX_SYNAPSES entries.
    """
    whole = eye_array(math.prod(shape), dtype=np.int64, format="csr")
    for op in chain:
        _expect_few(op.synapses(shape), place)
        whole = operator_matrix(op, shape) @ whole
        _expect_few(whole.nnz, place)
        shape = op.infer(shape)
    matrix = csr_array(whole)
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _expect_few(synapses: int, place: str) -> None:
    if synapses > MAX_SYNAPSES:
        fail("SNN205", place, f"{synapses} synapses", f"at most {MAX_SYNAPSES}, written out one by one")


def windows(shape: Shape, op: Op) -> Array:
    """The elements of a tensor of this shape that each output of an operator reads, `[output, tap]`; -1 outside.

    Elements and outputs are numbered in C order.
    """
    return places(op.windows(shape))
