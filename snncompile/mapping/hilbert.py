"""The Hilbert curve: it goes through all points of a square, and each step leads to a neighbouring point.

Points that are close along the curve are close in the plane, so that cores which are numbered along it and exchange
spikes with the next ones lie next to them.
"""

from __future__ import annotations

import numpy as np

from snncompile.ir.types import Array

BITS = 16
"""Bits of each coordinate of the grid to which positions between 0 and 1 are rounded."""


def hilbert_key(x: Array, y: Array, bits: int = BITS) -> Array:
    """The place along the curve of points of a square with sides of `2^bits` points.

    The curve is Hilbert's (1891), and the loop is in Warren, Hacker's Delight (2012). In a square of 2 x 2 the curve
    goes up, right and down:

    >>> hilbert_key(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0]), bits=1).tolist()
    [0, 1, 2, 3]
    """
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
    """The points of a rectangle in the order of the curve, `[place, (column, row)]`.

    The curve is that of the smallest square around the rectangle, without the points outside. A rectangle that is half
    of such a square is its first half, so that no step is longer than 1:

    >>> curve(columns=2, rows=4).tolist()
    [[0, 0], [1, 0], [1, 1], [0, 1], [0, 2], [0, 3], [1, 3], [1, 2]]
    """
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(columns), np.arange(rows)))
    bits = max(columns - 1, rows - 1, 1).bit_length()
    key = hilbert_key(y, x, bits) if columns > rows else hilbert_key(x, y, bits)
    order = np.argsort(key)
    return np.asarray(np.stack((x[order], y[order]), 1))


def normalised_key(y: Array, x: Array) -> Array:
    """The place along the curve of positions with coordinates from 0 to 1."""
    whole = (1 << BITS) - 1
    return hilbert_key((x * whole).astype(np.int64), (y * whole).astype(np.int64))
