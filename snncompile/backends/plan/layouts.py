"""How tensors lie in memory: channels last, so that all channels of one place are neighbours.

The user's tensors are row-major `[channel, *space]`. An `order` is an array of indices: `order[i]` is the row-major
index, in the user's shape, of the element that lies at position `i` of the buffer. A tensor `[2, 3]` of 2 channels and
3 places has the elements 0 to 5; in memory they lie as `0 3 1 4 2 5`, which is its order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snncompile.ir.ops import Conv, Pool, Upsample
from snncompile.ir.types import Array, Shape


def channels_last(shape: Shape) -> Array:
    """The order of a tensor `[channel, *space]` that is stored as `[*space, channel]`, as a flat array of indices.

    A vector `[channel]` is stored as it is.
    """
    index = np.arange(math.prod(shape)).reshape(shape)
    return (np.moveaxis(index, 0, -1) if len(shape) > 1 else index).reshape(-1)


def is_plain(shape: Shape) -> bool:
    """Whether a tensor lies in the user's order: it is a vector, or has one channel, or has one place."""
    return len(shape) < 2 or shape[0] == 1 or math.prod(shape[1:]) == 1


def per_channel(values: Array, shape: Shape) -> bool:
    """Whether an array that broadcasts against a tensor `[channel, *space]` holds one value for each channel."""
    return values.ndim == len(shape) and values.size == values.shape[0] == shape[0]


def as_image(shape: Shape) -> tuple[int, int, int]:
    """Channels, height and width of a tensor `[channel, *space]`.

    `[5]` has height and width 1, `[3, 4]` has height 1 and width 4. Of more than two axes of space, all but the last
    are counted as rows: `[2, 3, 4, 5]` gives (2, 12, 5).
    """
    if len(shape) == 1:
        return shape[0], 1, 1
    return shape[0], math.prod(shape[1:-1]), shape[-1]


@dataclass(frozen=True)
class Geometry:
    """Sizes of an operation on windows of an image: a convolution, a pool, or an upsampling.

    One-dimensional operations have height 1. Pairs are (rows, columns).

    Attributes:
        channels, height, width: of the image that is read.
        out_channels, out_height, out_width: of the image that is written.
        kernel: the size of a window; of an upsampling, how often each place is repeated.
        stride, dilation: in places.
        pad: the rows and columns of zeros in front of the image. Those behind it follow from the output's size.
        groups: of a convolution; each output channel reads `channels / groups` input channels.
    """

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
        """A fully connected layer, as a convolution over an image of one place."""
        return cls(inputs, 1, 1, outputs, 1, 1)

    @classmethod
    def of_convolution(cls, op: Conv, shape: Shape, out: Shape) -> Geometry:
        """The sizes of a convolution that turns a tensor of one shape into another."""
        return cls(*as_image(shape), *as_image(out), _pair(op.kernel), _pair(op.stride), _pair(op.dilation),
                   _first_pads(op.padding), op.groups)

    @classmethod
    def of_pool(cls, op: Pool, shape: Shape, out: Shape) -> Geometry:
        """The sizes of a sum or maximum pool."""
        return cls(*as_image(shape), *as_image(out), _pair(op.kernel), _pair(op.stride), (1, 1),
                   _first_pads(op.padding))

    @classmethod
    def of_upsampling(cls, op: Upsample, shape: Shape, out: Shape) -> Geometry:
        """The sizes of an upsampling; `kernel` holds its factors."""
        return cls(*as_image(shape), *as_image(out), _pair(op.factor))


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    """The values for rows and columns, of an operator over one or two axes."""
    return (1, values[0]) if len(values) == 1 else (values[0], values[1])


def _first_pads(padding: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """The zeros in front of rows and columns, of an operator over one or two axes."""
    first = tuple(p[0] for p in padding)
    return (0, first[0]) if len(first) == 1 else (first[0], first[1])
