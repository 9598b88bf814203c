"""How a projection's synapses become a process: Lava's own where it computes them exactly, else a generated one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from snncompile.backends.lava.matrices import chain_matrix, windows
from snncompile.diagnostics import shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.matrices import Matrix
from snncompile.ir.op import Op
from snncompile.ir.operations import Interval, bit_width
from snncompile.ir.ops import MaxPool, Rectify, Scale
from snncompile.ir.ranges import source_range
from snncompile.ir.types import Array, Shape

LARGEST_WEIGHT = 255
"""Of weights that are all positive or all negative; others are even, from -256 to 254 (`lava.utils.weightutils`)."""
MIXED = (-128, 127)
INT32 = (-(1 << 31), (1 << 31) - 1)

Part = tuple[Matrix, "int | None", str]
"""A matrix, its exponent and its sign mode; see `Synapses`."""


@dataclass(frozen=True)
class Synapses:
    """The synapses of one projection.

    Attributes:
        matrix: `[out, in]`, on the grid of Lava's `Sparse` where `exponent` is not None.
        exponent: the power of two that `Sparse` multiplies its sums by; None where it would not be exact.
        sign: `Sparse`'s sign mode.
        message_bits: width of what arrives, 0 for spikes.
        before: what happens to the source's values first: rows of places, of which the largest is taken, or a sign,
            of which values are kept.
        times: what the sums are multiplied by in the population, one number or one a neuron; None for nothing.
    """

    matrix: Matrix
    exponent: int | None
    sign: str
    message_bits: int
    before: tuple[Array | int, ...]
    times: Array | int | None


def synapses(graph: Graph, edge: Edge, generated: bool) -> tuple[Synapses, ...]:
    """The synapses of an edge of an INT graph; their sums add up. Raises SNN205 where there are too many.

    Args:
        generated: whether the population is a process of our own. It multiplies sums itself, which keeps a last
            `Scale` out of the weights; and it may have synapses of our own, where Lava's would take several processes.
    """
    shape, rest, before = _before(edge.chain, graph.shapes[edge.src])
    times: Any = None
    if generated and rest and isinstance(rest[-1], Scale):
        times, rest = _times(rest[-1], graph.arriving(edge)), rest[:-1]
    matrix = chain_matrix(rest, shape, f"projection {shorten(edge.label)}")
    low, high = source_range(graph, edge.src)
    bits = 0 if (low, high) == (0, 1) else max(bit_width((low, high)), 1)
    parts = [_on_grid(matrix)] if generated else _digits(matrix)
    if before or not all(_is_exact(part, (low, high)) for part in parts):
        return (Synapses(matrix, None, "", bits, before, times),)
    return tuple(Synapses(*part, bits, (), times) for part in parts)


def _before(chain: tuple[Op, ...], shape: Shape) -> tuple[Shape, tuple[Op, ...], tuple[Array | int, ...]]:
    """The head of a chain, as far as no matrix can express it: max pools and rectifiers.

    Returns:
        The shape behind them, the operators that follow, and for each of them the values to take the maximum of,
        `[output, tap]`, or the sign of the values that are kept.
    """
    steps: list[Array | int] = []
    while chain and isinstance(chain[0], (MaxPool, Rectify)):
        steps.append(chain[0].sign if isinstance(chain[0], Rectify) else windows(shape, chain[0]))
        shape, chain = chain[0].infer(shape), chain[1:]
    return shape, chain, tuple(steps)


def _times(op: Scale, shape: Shape) -> Array | int | None:
    factor = np.asarray(op.factor, np.int64)
    if factor.size == 1:
        value = int(factor.reshape(()))
        return None if value == 1 else value
    return np.broadcast_to(factor, shape).reshape(-1)


def _on_grid(matrix: Matrix) -> Part:
    """The matrix as `Sparse` takes it, its exponent and sign mode; no exponent where it takes it in no form."""
    common = int(np.bitwise_or.reduce(np.abs(matrix.data), initial=0))
    shift = (common & -common).bit_length() - 1 if common else 0
    low, high = int(matrix.data.min(initial=0)) >> shift, int(matrix.data.max(initial=0)) >> shift
    if low >= 0 and high <= LARGEST_WEIGHT:
        return _replaced(matrix, matrix.data >> shift), shift, "EXCITATORY"
    if high <= 0 and low >= -LARGEST_WEIGHT:
        return _replaced(matrix, matrix.data >> shift), shift, "INHIBITORY"
    if _within((low, high), MIXED):
        return _replaced(matrix, 2 * (matrix.data >> shift)), shift - 1, "MIXED"
    return matrix, None, ""


def _digits(matrix: Matrix) -> list[Part]:
    """Matrices that `Sparse` takes and that add up to this one: itself, or the digits of its weights to base 256."""
    whole = _on_grid(matrix)
    if whole[1] is not None:
        return [whole]
    digits: list[Part] = []
    rest, shift = matrix.data, 0
    while rest.any():
        digit = ((rest + 128) & 255) - 128
        part = _replaced(matrix, digit << shift)
        part.eliminate_zeros()
        digits += [_on_grid(part)] if part.nnz else []
        rest, shift = (rest - digit) >> 8, shift + 8
    return digits


def _is_exact(part: Part, source: Interval) -> bool:
    """Whether `Sparse` takes the weights, and its sums stay within 32 bits before and after their shift."""
    matrix, exponent, _ = part
    if exponent is None:
        return False
    low, high = _sums(matrix, source)
    return _within((low << max(exponent, 0), high << max(exponent, 0)), INT32)


def _sums(matrix: Matrix, source: Interval) -> Interval:
    """The range of all partial sums."""
    up = int(np.asarray(matrix.maximum(0).sum(1)).max(initial=0))
    down = int(np.asarray(matrix.minimum(0).sum(1)).min(initial=0))
    return up * source[0] + down * source[1], up * source[1] + down * source[0]


def _replaced(matrix: Matrix, data: Array) -> Matrix:
    """A matrix with other values in the same places."""
    return csr_array((data, matrix.indices.copy(), matrix.indptr.copy()), matrix.shape)


def _within(a: Interval, b: Interval) -> bool:
    return b[0] <= a[0] and a[1] <= b[1]
