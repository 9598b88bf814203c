"""How tensors lie in memory: channels last, so that the channels of one place are contiguous.

`order[i]` is the row-major index, in the user's shape, of what lies at position `i`. A tensor of 2 channels and 3
places, numbered 0 to 5 by the user, lies as `0 3 1 4 2 5`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snncompile.ir.ops import Conv, Pool, Upsample
from snncompile.ir.types import Array, Shape


def channels_last(shape: Shape) -> Array:
    """The order of a tensor `[channel, *space]` stored as `[*space, channel]`; vectors keep theirs."""
    index = np.arange(math.prod(shape)).reshape(shape)
    return (np.moveaxis(index, 0, -1) if len(shape) > 1 else index).reshape(-1)


def is_plain(shape: Shape) -> bool:
    """Whether channels-last and row-major are the same thing."""
    return len(shape) < 2 or shape[0] == 1 or math.prod(shape[1:]) == 1


def per_channel(values: Array, shape: Shape) -> bool:
    """Whether values that broadcast against a tensor `[channel, *space]` are one for each channel."""
    return values.ndim == len(shape) and values.size == values.shape[0] == shape[0]


def as_image(shape: Shape) -> tuple[int, int, int]:
    """Channels, height and width of a tensor of one to three axes (or more: the middle ones are rows)."""
    if len(shape) == 1:
        return shape[0], 1, 1
    return shape[0], math.prod(shape[1:-1]), shape[-1]


@dataclass(frozen=True)
class Geometry:
    """Sizes of a two-dimensional window operation; one-dimensional ones have height 1."""

    channels: int
    height: int
    width: int
    out_channels: int
    out_height: int
    out_width: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    groups: int = 1

    @classmethod
    def fully_connected(cls, inputs: int, outputs: int) -> Geometry:
        """A fully connected layer as a convolution over one place."""
        return cls(inputs, 1, 1, outputs, 1, 1)

    @classmethod
    def of_convolution(cls, op: Conv, shape: Shape, out: Shape) -> Geometry:
        return cls(*as_image(shape), *as_image(out), _pair(op.kernel), _pair(op.stride), _pair(op.dilation),
                   _first_pads(op.padding), op.groups)

    @classmethod
    def of_pool(cls, op: Pool, shape: Shape, out: Shape) -> Geometry:
        return cls(*as_image(shape), *as_image(out), _pair(op.kernel), _pair(op.stride), (1, 1),
                   _first_pads(op.padding))

    @classmethod
    def of_upsampling(cls, op: Upsample, shape: Shape, out: Shape) -> Geometry:
        """The factors stand in place of a kernel."""
        return cls(*as_image(shape), *as_image(out), _pair(op.factor))


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    """The values for two axes; one-dimensional operators have height 1."""
    return (1, values[0]) if len(values) == 1 else (values[0], values[1])


def _first_pads(padding: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """The zeros before each axis; those behind follow from the output's size."""
    first = tuple(p[0] for p in padding)
    return (0, first[0]) if len(first) == 1 else (first[0], first[1])
