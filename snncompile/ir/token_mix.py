"""`TokenMix`: a linear map along the last axis of a tensor, the same for all channels of a head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from snncompile.ir.exact import mix
from snncompile.ir.layer import Layer
from snncompile.ir.op import expect
from snncompile.ir.types import Array, Shape, ShapeOnly
from snncompile.ir.windows import Window


@dataclass(frozen=True, eq=False)
class TokenMix(Layer):
    """A linear map along the last axis, `y[c, o] = sum_t weight[head of c, o, t] x[c, t] + bias[head of c, o]`.

    It turns a tensor `[channels, tokens]` into `[channels, out tokens]`. The channels are divided into heads of equal
    size: channel `c` belongs to head `c // (channels / heads)`. All channels of a head have the same weights.

    The name is that of the field. A token is a patch of an image, or another place that has a value in each channel.
    A linear map from token to token inside each channel is called token mixing (Tolstikhin et al., "MLP-Mixer", 2021,
    eq. 1), and a head is a group of channels with weights of its own. Channel mixing, from channel to channel at each
    token, is a `Conv` with a kernel of 1. A tensor `[channels, height, width]` gets tokens from
    `Reshape((channels, height * width))`.

    Two heads of one channel each, over 2 tokens: the first exchanges the tokens, the second subtracts them.

    >>> mixing = TokenMix(np.array([[[0, 1], [1, 0]], [[1, -1], [0, 0]]]))
    >>> mixing.apply(np.array([[[5, 7], [5, 7]]])).tolist()
    [[[7, 5], [-2, 0]]]

    Attributes:
        weight: `[heads, out, in]`, tokens in and out.
        bias: `[heads, out]`, or None.
    """

    own_weights: ClassVar[bool] = False

    @property
    def axes(self) -> int:
        return 2

    @property
    def heads(self) -> int:
        """The number of groups of channels that have the same weights."""
        return int(self.weight.shape[0])

    def infer(self, shape: Shape) -> Shape:
        heads, out, tokens = self.weight.shape
        expect(len(shape) == 2 and shape[1] == tokens and shape[0] % heads == 0,
               f"expects [channels, {tokens}]" + (f", channels a multiple of {heads}" if heads > 1 else ""))
        return (shape[0], out)

    def apply(self, x: Array) -> Array:
        return self.biased(mix(x, self.weight))

    def synapses(self, shape: Shape) -> int:
        return shape[0] * self.weight.shape[1] * self.weight.shape[2]

    def windows(self, shape: Shape) -> tuple[Window, ...]:
        return Window.same(shape[0]), Window.groups(*self.weight.shape[:0:-1])

    def tap_weights(self, shape: Shape) -> Any:
        return self._of_channels(np.asarray(self.weight), shape[0])[:, :, None]

    def rows(self) -> Array:
        return np.asarray(self.weight).reshape(-1, self.weight.shape[2])

    def bias_of(self, shape: Shape) -> Array:
        return self._of_channels(np.asarray(self.bias), shape[0])

    def behind(self, factor: Array | ShapeOnly) -> Array | ShapeOnly | None:
        """None where the factor differs between the channels of a head."""
        return self._of_heads(factor, 2)

    def before(self, factor: Array | ShapeOnly) -> Array | ShapeOnly | None:
        """None where the factor differs between the channels of a head."""
        return self._of_heads(factor, 1)

    def _of_channels(self, values: Array, channels: int) -> Array:
        """Values `[heads, ...]` as `[channels, ...]`."""
        return np.repeat(values, channels // self.heads, 0)

    def _of_heads(self, factor: Array | ShapeOnly, axis: int) -> Array | ShapeOnly | None:
        """A factor of a tensor `[channels, tokens]` as one of the weights, in which `axis` is that of the other tokens.

        None where the factor differs between the channels of a head, or may do so.
        """
        channels, tokens = (1,) * (2 - len(factor.shape)) + factor.shape
        if isinstance(factor, ShapeOnly):
            return factor if channels == 1 else None
        by_head = factor.reshape(1 if channels == 1 else self.heads, -1, tokens)
        alike = by_head[:, :1]
        return np.expand_dims(alike[:, 0], axis) if np.all(by_head == alike) else None
