"""`Layer`, the base class of the operators with weights, and what passes ask of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.ir.op import Op
from snncompile.ir.types import Array, Shape, ShapeOnly, Weight


@dataclass(frozen=True, eq=False)
class Layer(Op):
    """A linear function with weights, plus a bias. The methods here are those of a layer whose every output channel has
    weights of its own, which are the first axis of `weight`.

    Attributes:
        weight: the weights.
        bias: what is added to the sums, or None.
        own_weights: whether every output channel has weights of its own, so that each can have its own step and unit.
    """

    own_weights: ClassVar[bool] = True
    weight: Weight
    bias: Weight | None = None

    @property
    def axes(self) -> int:
        """The number of axes of the tensors that the layer reads and gives."""
        return 1

    def rows(self) -> Array:
        """The weights of each different sum, `[sum, tap]`."""
        return np.asarray(self.weight).reshape(self.weight.shape[0], -1)

    def bias_of(self, shape: Shape) -> Array:
        """The bias, as it broadcasts to an output of the given shape. Only asked of a layer that has one."""
        return np.asarray(self.bias).reshape(-1, *(1,) * (len(shape) - 1))

    def biased(self, y: Array) -> Array:
        """Sums `[n, *output shape]` plus the bias."""
        return y if self.bias is None else np.asarray(y + self.bias_of(y.shape[1:]).astype(y.dtype, copy=False))

    def behind(self, factor: Array | ShapeOnly) -> Array | ShapeOnly | None:
        """What the weights have to be multiplied by to do the same as a factor that broadcasts to the layer's output.

        None where multiplied weights cannot do that: here, where the factor varies over space.
        """
        if not per_channel(factor, self.axes):
            return None
        return factor if isinstance(factor, ShapeOnly) else factor.reshape(-1, *(1,) * (len(self.weight.shape) - 1))

    def before(self, factor: Array | ShapeOnly) -> Array | ShapeOnly | None:
        """The same for a factor that broadcasts to the layer's input."""
        return factor if per_channel(factor, self.axes) else None

    def bounds(self, low: int, high: int) -> tuple[int, int]:
        """A partial sum is largest where every positive weight meets `high` and every negative one `low`."""
        assert isinstance(self.weight, np.ndarray)
        rows = self.rows()
        exact = np.int64 if max(high, -low) < 1 << 15 else object  # rows add up to less than 2**48
        up = np.maximum(rows, 0).sum(1, dtype=np.int64).astype(exact)
        down = np.minimum(rows, 0).sum(1, dtype=np.int64).astype(exact)
        lows = int((up * low + down * high).min(initial=0))
        return lows, int((up * high + down * low).max(initial=0))


def per_channel(factor: Array | ShapeOnly, axes: int) -> bool:
    """Whether a factor has one value for each channel of a tensor with that many axes, channels first."""
    return len(factor.shape) == axes and math.prod(factor.shape) == factor.shape[0]
