"""The linear operators of a projection as one sparse matrix of integers, over tensors laid out in C order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy.sparse import csr_array, eye_array

from snncompile.diagnostics import fail
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Linear, Pool, Scale
from snncompile.ir.types import Array, Shape

MAX_SYNAPSES = 1 << 26

Matrix = Any
"""A `csr_array` of int64, `[out, in]`."""


def chain_matrix(chain: Iterable[Op], shape: Shape, place: str) -> Matrix:
    """What linear operators make of a tensor of this shape, as a matrix.

    Raises:
        CompileError: SNN205 where it would have more than MAX_SYNAPSES entries.
    """
    whole = eye_array(math.prod(shape), dtype=np.int64, format="csr")
    for op in chain:
        _expect_few(op.synapses(shape), place)
        whole = operator_matrix(op, shape) @ whole
        _expect_few(whole.nnz, place)
        shape = op.infer(shape)
    found = csr_array(whole)
    found.eliminate_zeros()
    found.sort_indices()
    return found


def _expect_few(synapses: int, place: str) -> None:
    if synapses > MAX_SYNAPSES:
        fail("SNN205", place, f"{synapses} synapses", f"at most {MAX_SYNAPSES}, written out one by one")


def operator_matrix(op: Op, shape: Shape) -> Matrix:
    """One linear operator as a matrix."""
    for kind, make in MATRICES.items():
        if isinstance(op, kind):
            return make(op, shape)
    return _selection(op, shape)


def windows(shape: Shape, op: Conv | Pool) -> Array:
    """For each place of the output and each tap of the kernel the place of the input, `[place, tap]`; -1 outside.

    Places are numbered in C order over the axes behind the channels.
    """
    out, kernel = op.infer(shape)[1:], op.kernel
    dilation = op.dilation if isinstance(op, Conv) else (1,) * len(kernel)
    places = np.zeros((1, 1), np.int64)
    inside = np.ones((1, 1), bool)
    for n, m, k, s, p, d in zip(shape[1:], out, kernel, op.stride, op.padding, dilation, strict=True):
        at = np.arange(m)[:, None] * s + np.arange(k)[None] * d - p[0]
        places = (places[:, None, :, None] * n + at[None, :, None, :]).reshape(len(places) * m, -1)
        inside = (inside[:, None, :, None] & ((at >= 0) & (at < n))[None, :, None, :]).reshape(places.shape)
    return np.where(inside, places, -1)


def _convolution(op: Conv, shape: Shape) -> Matrix:
    weight: Any = op.weight
    flat = weight.reshape(op.groups, weight.shape[0] // op.groups, weight.shape[1], -1).astype(np.int64)
    return _windowed(windows(shape, op), flat, shape)


def _pool(op: Pool, shape: Shape) -> Matrix:
    ones = np.ones((shape[0], 1, 1, math.prod(op.kernel)), np.int64)
    return _windowed(windows(shape, op), ones, shape)


def _windowed(taps: Array, weight: Array, shape: Shape) -> Matrix:
    """The matrix of a kernel `[group, out, in, tap]` that reads these taps."""
    groups, outs, ins, _ = weight.shape
    size = math.prod(shape[1:])
    place, tap = np.nonzero(taps >= 0)
    g, o, i = (a.reshape(-1, 1) for a in np.indices((groups, outs, ins)).reshape(3, -1))
    row = (g * outs + o) * len(taps) + place
    column = (g * ins + i) * size + taps[place, tap]
    values = weight.reshape(-1, weight.shape[-1])[:, tap]
    return csr_array((values.reshape(-1), (row.reshape(-1), column.reshape(-1))),
                     (groups * outs * len(taps), math.prod(shape)))


def _linear(op: Linear, shape: Shape) -> Matrix:
    return csr_array(np.asarray(op.weight, np.int64))


def _scale(op: Scale, shape: Shape) -> Matrix:
    values = np.broadcast_to(np.asarray(op.factor, np.int64), shape).reshape(-1)
    at = np.arange(values.size)
    return csr_array((values, (at, at)), (values.size, values.size))


def _selection(op: Op, shape: Shape) -> Matrix:
    """An operator that only moves or repeats values: where each element of its output comes from."""
    size = math.prod(shape)
    source = op.apply(np.arange(1, size + 1).reshape(1, *shape)).reshape(-1)
    row = np.flatnonzero(source)
    return csr_array((np.ones(len(row), np.int64), (row, source[row] - 1)), (len(source), size))


MATRICES: dict[type[Op], Callable[[Any, Shape], Matrix]] = {
    Linear: _linear, Conv: _convolution, Pool: _pool, Scale: _scale,
}
