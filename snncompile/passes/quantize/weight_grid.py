"""Weight grids: the integers (codes) that stand for real weights, and the real step between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.arithmetic import Arithmetic

TERNARY_CUT = 0.7  # Li, Zhang & Liu, "Ternary weight networks" (2016), eq. 6
MAX_SCALE = 1e30  # inverse steps above this leave float32, and are kept in float64


@dataclass(frozen=True)
class WeightGrid:
    """A grid of `bits` bits: symmetric integers, -1, 0 and 1 ("ternary"), or -1 and 1 (1 bit).

    Attributes:
        powers: whether codes are 0 and powers of two only. Of 4 bits one is the sign, and three say which of 0, 1, 2,
            4, ... 64 the magnitude is.
    """

    bits: int | Literal["ternary"]
    powers: bool = False

    @classmethod
    def of(cls, arithmetic: Arithmetic) -> WeightGrid:
        """The grid of real weights."""
        return cls(arithmetic.weight_bits, arithmetic.weight_grid == "powers")

    @property
    def largest(self) -> int:
        """The largest code: 127 for 8 bits."""
        if self.bits in (1, "ternary"):
            return 1
        magnitudes = (1 << (int(self.bits) - 1)) - 1
        return 1 << (magnitudes - 1) if self.powers else magnitudes

    @property
    def coarse(self) -> bool:
        """Whether the codes are -1, 0 and 1 only, so that the step carries all of the magnitude."""
        return self.largest == 1

    @property
    def dtype(self) -> type[np.signedinteger[Any]]:
        """The type of codes: int8 or int16."""
        return np.int8 if self.largest < 128 else np.int16

    def step(self, weight: Array, per_row: bool) -> Array:
        """The real value of the code 1, `[out]` with `per_row`, else 0-d; 0 where all weights are 0.

        Symmetric grids span the largest weight. Ternary steps are the mean of the weights above 0.7 of the
        mean magnitude (Li et al., 2016), bipolar ones the mean magnitude (Rastegari et al., 2016).
        """
        rows = np.abs(weight.reshape(len(weight) if per_row else 1, -1))
        if self.bits == "ternary":
            kept = rows > self._cut(rows)
            step = (rows * kept).sum(1, dtype=np.float64) / np.maximum(kept.sum(1), 1)
        elif self.bits == 1:
            step = rows.mean(1, dtype=np.float64)
        else:
            step = rows.max(1, initial=0).astype(np.float64) / self.largest
        return step if per_row else np.asarray(step[0])

    def codes(self, weight: Array, step: Array, per_row: bool) -> Array:
        """The nearest codes, int8 or int16, in the shape of the weights.

        Args:
            step: what `step` gives for these weights, or a larger one.
        """
        rows = weight.reshape(len(weight) if per_row else 1, -1)
        if self.bits == "ternary":
            codes = np.sign(rows) * (np.abs(rows) > self._cut(np.abs(rows)))
        elif self.bits == 1:
            codes = np.where(rows >= 0, 1, -1)
        else:
            scale = np.divide(1.0, step, out=np.zeros_like(np.asarray(step, np.float64)), where=np.asarray(step) > 0)
            precision = weight.dtype if scale.max(initial=0) < MAX_SCALE else np.float64
            codes = self.nearest(rows * scale.reshape(-1, 1).astype(precision))
        return codes.astype(self.dtype).reshape(weight.shape)

    def nearest(self, values: Array) -> Array:
        """The codes that are nearest to values in steps, in the dtype of the values."""
        if self.bits == 1:
            return np.where(values >= 0, 1, -1).astype(values.dtype)
        if not self.powers:
            largest = self.largest
            return np.asarray(np.minimum(np.maximum(np.rint(values), -largest), largest))
        sizes = np.abs(values)
        lower = 2.0 ** np.floor(np.log2(np.maximum(sizes, 1)))
        power = np.where(sizes < 0.5, 0, np.where(sizes < 1.5 * lower, lower, 2 * lower))
        return np.asarray(np.sign(values) * np.minimum(power, self.largest), values.dtype)

    def _cut(self, rows: Array) -> Array:
        """The magnitude at or below which a ternary code is 0: `[out, 1]`."""
        return np.asarray(TERNARY_CUT * rows.mean(1, keepdims=True))
