"""Linear operators as sparse matrices, over tensors laid out in C order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from snncompile.ir.op import Op
from snncompile.ir.ops import Reshape
from snncompile.ir.types import Shape
from snncompile.ir.windows import places

Matrix = Any
"""A `csr_array`, `[out, in]`."""


def operator_matrix(op: Op, shape: Shape, dtype: type = np.int64) -> Matrix:
    """One linear operator without a bias as a matrix of numbers of a type; weights of 0 are left out.

    Args:
        shape: of the tensor that it multiplies.
    """
    from scipy.sparse import csr_array, eye_array

    if isinstance(op, Reshape):
        return eye_array(math.prod(shape), dtype=dtype, format="csr")
    windows = op.windows(shape)
    read = places(windows)
    taps = [w.taps for w in windows]
    weights = np.broadcast_to(op.tap_weights(shape), (*op.infer(shape), *taps)).reshape(read.shape)
    kept = (read >= 0) & (weights != 0)
    starts = np.concatenate(([0], np.cumsum(kept.sum(1))))
    return csr_array((weights[kept].astype(dtype), read[kept], starts), (len(read), math.prod(shape)))
