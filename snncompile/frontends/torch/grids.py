"""Finds the integers in weights that the forward pass rounds, by fake quantization or by a rounding of the user's own.

Such a weight is `integer * step`, with one step for the layer or one for each output. The step of a fake quantizer of
torch is among its arguments. Another rounding shows in its result only: the step is the largest number of which all
weights are multiples, as far as the rounding of floats lets one tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from snncompile.frontends.torch.tape import Const, RecordedCall
from snncompile.ir.types import Array, frozen
from torch import Tensor

ROUNDINGS = frozenset(("round", "floor", "ceil", "trunc", "fix", "sign", "sgn", "heaviside"))
"""Functions after which a weight has few different values."""
MAX_CODE = (1 << 15) - 1
MAX_FOUND = 255
"""The largest integer where the step is not known: with larger ones, any two numbers are multiples of some step."""
ULPS = 8


@dataclass(frozen=True, eq=False)
class Grid:
    """The integers of a weight.

    Attributes:
        codes: int16, in the shape of the weight.
        step: the real value of one integer step: a number, or `[out]`.
    """

    codes: Array
    step: Array


def rounds(call: RecordedCall) -> bool:
    return call.name in ROUNDINGS or "fake_quant" in call.name


def given_step(call: RecordedCall) -> Tensor | None:
    """The step of a fake quantizer of torch, where it is one for the weight or one for each output."""
    arguments = [*call.args, *call.kwargs.values()]
    known = call.name == "fake_quantize_per_tensor_affine" or (
        call.name == "fake_quantize_per_channel_affine" and len(arguments) > 3 and arguments[3] == 0)
    if not known:
        return None
    step = arguments[1].value if isinstance(arguments[1], Const) else arguments[1]
    return step if isinstance(step, Tensor) else Tensor([step])


def grid_of(weight: Array, step: Array | None) -> Grid | None:
    """The integers and the step of a weight `[out, ...]`; None where it lies on no grid, or holds NaN or infinity.

    Every number may be off the grid by the rounding of the largest number of its row.

    Args:
        step: the step, a number or `[out]`, where it is known.
    """
    rows = np.asarray(weight, np.float64).reshape(len(weight), -1)
    if not np.isfinite(rows).all():
        return None
    largest = ULPS * np.abs(rows).max(axis=1, initial=0)
    if step is not None:  # torch multiplies with it in its own precision
        return _on_steps(weight, rows, step.reshape(-1), largest * np.finfo(np.float32).eps)
    tolerances = largest * np.finfo(weight.dtype).eps
    whole = _step_of(rows.ravel(), tolerances.max(initial=0))
    each = list(takewhile(lambda step: step is not None, map(_step_of, rows, tolerances)))
    steps = [[whole] * (whole is not None), each * (len(each) == len(rows))]
    found = [_on_steps(weight, rows, np.array(s), tolerances) for s in steps if s]
    return min((g for g in found if g is not None), key=lambda g: _bits(g.codes), default=None)


def _bits(codes: Array) -> int:
    return int(np.abs(codes.astype(np.int64)).max(initial=0)).bit_length()


def _on_steps(weight: Array, rows: Array, steps: Array, tolerances: Array) -> Grid | None:
    """The grid of these steps, one for all rows or one for each; None where a row is off it by more than allowed."""
    if not steps.all():
        return None
    codes = np.rint(rows / steps[:, None])
    off = np.abs(codes * steps[:, None] - rows) > tolerances[:, None]
    if np.abs(codes).max(initial=0) > MAX_CODE or off.any():
        return None
    return Grid(frozen(codes.astype(np.int16).reshape(weight.shape)), steps if len(steps) > 1 else steps.reshape(()))


def _step_of(values: Array, tolerance: float) -> float | None:
    """The largest number of which all values are multiples, up to the tolerance; None where they have too many steps.

    The largest value is a whole number of steps, so each number is tried.
    """
    v = np.unique(np.abs(values))[::-1]
    v = v[v > 4 * tolerance]
    if not v.size:
        return 1.0
    counts = np.arange(1, MAX_FOUND + 1)
    for value in v:
        steps = v[0] / counts
        counts = counts[np.abs(value - np.rint(value / steps) * steps) <= tolerance]
        if not counts.size:
            return None
    codes = np.rint(v * counts[0] / v[0])
    return float(v @ codes / (codes @ codes))
