"""Windows: which inputs the outputs of an operator read, along each axis of a tensor.

Every operator but a reshape treats the axes of a tensor apart: an output reads the same inputs along one axis,
wherever it lies along the others. `Op.windows` describes it by one `Window` for each axis, and all that needs to know
what is connected (hardware rules, partitions, matrices of synapses) is derived from that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from snncompile.ir.types import Array


class Window(NamedTuple):
    """What an operator reads along one axis.

    Output `o` reads the inputs `o // repeat * stride - before + dilation * t` for the taps `t = 0 .. taps - 1`. Taps
    that lie outside of the axis read nothing. A kernel of 3 with a stride of 2 and a padding of 1:

    >>> Window(inputs=6, outputs=3, taps=3, stride=2, before=1).positions().tolist()
    [[-1, 0, 1], [1, 2, 3], [3, 4, 5]]

    Two groups of a convolution, each of 2 input channels and 3 output channels:

    >>> Window.groups(inputs=4, outputs=6, groups=2).positions().tolist()
    [[0, 1], [0, 1], [0, 1], [2, 3], [2, 3], [2, 3]]

    Attributes:
        inputs, outputs: lengths of the axis before and behind the operator.
        before: zeros in front of the axis.
        repeat: how many outputs after each other read the same inputs.
    """

    inputs: int
    outputs: int
    taps: int = 1
    stride: int = 1
    before: int = 0
    dilation: int = 1
    repeat: int = 1

    @classmethod
    def same(cls, size: int) -> Window:
        """Every output reads the input at its own place."""
        return cls(size, size)

    @classmethod
    def groups(cls, inputs: int, outputs: int, groups: int = 1) -> Window:
        """Every output reads all inputs of its group, one of several of equal size."""
        return cls(inputs, outputs, inputs // groups, inputs // groups, repeat=outputs // groups)

    @property
    def is_same(self) -> bool:
        return self == Window.same(self.inputs)

    @property
    def is_full(self) -> bool:
        """Whether every output reads every input, as in one group."""
        return self == Window.groups(self.inputs, self.outputs)

    @property
    def is_tiling(self) -> bool:
        """Whether windows lie side by side, so that each input is in exactly one."""
        return self.taps == self.stride and self.dilation == 1 and self.before == 0

    def different(self) -> Array:
        """The inputs of every `repeat`-th output, `[outputs / repeat, taps]`; -1 outside of the axis."""
        first = np.arange(-(-self.outputs // self.repeat)) * self.stride - self.before
        at = first[:, None] + np.arange(self.taps) * self.dilation
        return np.where((at >= 0) & (at < self.inputs), at, -1)

    def positions(self) -> Array:
        """The inputs that each output reads, `[outputs, taps]`; -1 outside of the axis."""
        return np.repeat(self.different(), self.repeat, 0)[:self.outputs]


def places(windows: Sequence[Window]) -> Array:
    """The elements of a tensor that each output reads, `[output, tap]`, both in C order; -1 outside of the tensor.

    A sum over 1 x 2 pixels of an image of 2 x 4:

    >>> places([Window.same(2), Window(4, 2, taps=2, stride=2)]).tolist()
    [[0, 1], [2, 3], [4, 5], [6, 7]]
    """
    at = np.zeros((1, 1), np.int64)
    for window in windows:
        along = window.positions()
        inside = (at >= 0)[:, None, :, None] & (along >= 0)[:, None]
        joined = np.where(inside, at[:, None, :, None] * window.inputs + along[:, None], -1)
        at = joined.reshape(len(at) * len(along), -1)
    return at
