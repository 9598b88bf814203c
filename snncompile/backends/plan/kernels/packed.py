"""Weights of -1, 0 and 1, packed into bits: 32 synapses are computed by one AND and one count of ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.backends.plan.buffers import Buffer, Constant
from snncompile.backends.plan.kernels.kernel import Scratch, Site, Weighted
from snncompile.backends.plan.layouts import Geometry
from snncompile.ir.types import Array

MAX_PLANES = 8
"""The most bits of a source's values. Each bit takes a pass over the weights; more of them cost more than is saved."""


@dataclass(frozen=True)
class Packed(Weighted):
    """Adds a convolution or fully connected layer from bit planes of the source and of the weights.

    Bit p of all channels of a place are packed into words of 32 bits, plane p of the source. An output's sum over one
    word is `ones(plus & word) - ones(minus & word)`, where `ones` counts bits, `plus` marks weights of 1 and `minus`
    weights of -1. Without weights of 0, `minus` is what `plus` is not, and the sum is `2 ones(plus & word) -
    ones(word)`. Each plane's sum is multiplied by 2**p; by -2**p in the plane of the sign.

    Example: weights (1, -1, -1) and spikes (1, 0, 1): `plus` is 001 and the word 101 in binary, the first input being
    bit 0. The sum is 2 * 1 - 2 = 0, as 1 - 1 is. A source of 0 to 3 has two planes with the weights 1 and 2, one of
    -4 to 3 has three with the weights 1, 2 and -4.

    Sums over some of the planes of signed values may leave the range of `dst`, although the complete sum does not. In 4
    bits, -1 is 1 + 2 + 4 - 8, so that 5000 values of -5 to 0 with weights of 1 may reach 35000 in front of the last
    plane, where the range is -25000 to 0. Sums must therefore be computed modulo 2**bits, as unsigned integers do, and
    must not saturate.

    It applies to operators of one group whose weights are all -1, 0 or 1, on sources of at most MAX_PLANES bits. Its
    cost is 0, so that it is taken wherever it applies: it needs an eighth or a quarter of the memory of 8-bit weights.

    It calls no helper of a family, and needs scratch memory for the words of one plane of its source.

    Attributes:
        weight: marks weights of 1, `[ky][kx][word][out]`; bit j of word w is input channel 32 w + j.
        geometry: a fully connected layer has one place.
        minus: marks weights of -1 in the same layout; None where no weight is 0.
        planes: the number of bits of a source value.
        signed: whether the last plane is that of the sign.
    """

    name: ClassVar[str] = "packed"
    relative_cost: ClassVar[float] = 0.0
    geometry: Geometry
    minus: Constant | None = None
    planes: int = 1
    signed: bool = False

    @classmethod
    def applies(cls, site: Site) -> bool:
        return not site.mixes and site.one_group and bool(np.all(np.abs(site.weight) <= 1)) and bit_planes(
            site.source.buffer) <= MAX_PLANES

    @classmethod
    def make(cls, site: Site) -> Packed:
        source, bipolar = site.source.buffer, not np.any(site.weight == 0)
        plus = site.constant(as_words(site.weight > 0), "PLUS")
        minus = None if bipolar else site.constant(as_words(site.weight < 0), "MINUS")
        return cls(source, site.dst, plus, site.geometry, minus, bit_planes(source), source.low < 0)

    @property
    def words(self) -> int:
        """The number of 32-bit words that hold one bit of every channel of a place."""
        return -(-self.geometry.channels // 32)

    @property
    def scratch(self) -> Scratch:
        return Scratch(bit_words=self.geometry.height * self.geometry.width * self.words)


def bit_planes(source: Buffer) -> int:
    """The number of bits of a source's values, the sign included where there are negative values."""
    return source.bits - (source.low >= 0 and source.high > 0)


def as_words(bits: Array) -> Array:
    """Pack truth values `[out, in, ky, kx]` into words `[ky][kx][word][out]`; bit j of word w is input 32 w + j."""
    out, fan_in, height, width = bits.shape
    padded = np.zeros((out, -(-fan_in // 32) * 32, height, width), np.uint32)
    padded[:, :fan_in] = bits
    words = padded.reshape(out, -1, 32, height, width) << np.arange(32, dtype=np.uint32)[None, None, :, None, None]
    return np.ascontiguousarray(words.sum(2, dtype=np.uint32).transpose(2, 3, 1, 0))
