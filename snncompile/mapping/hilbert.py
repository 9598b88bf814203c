"""The Hilbert curve: an order of the plane in which neighbours along the curve are neighbours in the plane."""

from __future__ import annotations

import numpy as np

from snncompile.ir.types import Array

BITS = 16
"""Of a coordinate on the grid that positions are rounded to."""


def hilbert_key(x: Array, y: Array, bits: int = BITS) -> Array:
    """The place along the curve of points of a `2^bits` square (Hilbert, 1891; the loop is Warren's, 2012)."""
    x, y = np.array(x, np.int64), np.array(y, np.int64)
    key = np.zeros(np.broadcast(x, y).shape, np.int64)
    for bit in range(bits - 1, -1, -1):
        right, upper = x >> bit & 1, y >> bit & 1
        key += (3 * right ^ upper) << 2 * bit
        flip = (upper == 0) & (right == 1)
        low = (1 << bit) - 1
        x, y = np.where(flip, ~x, x) & low, np.where(flip, ~y, y) & low
        x, y = np.where(upper == 0, y, x), np.where(upper == 0, x, y)
    return key


def curve(columns: int, rows: int) -> Array:
    """The points of a rectangle in the curve's order, `[place, (column, row)]`; of its square's first half, if it can
    be one, so that no step is longer than 1."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(columns), np.arange(rows)))
    bits = max(columns - 1, rows - 1, 1).bit_length()
    key = hilbert_key(y, x, bits) if columns > rows else hilbert_key(x, y, bits)
    order = np.argsort(key)
    return np.asarray(np.stack((x[order], y[order]), 1))


def normalised_key(y: Array, x: Array) -> Array:
    """The place along the curve of positions from 0 to 1."""
    whole = (1 << BITS) - 1
    return hilbert_key((x * whole).astype(np.int64), (y * whole).astype(np.int64))
