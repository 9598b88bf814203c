"""Bipolar or ternary weights, packed: bit planes of the source against bit planes of the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.backends.plan.buffers import Buffer, Constant
from snncompile.backends.plan.kernels.kernel import Scratch, Site, Weighted
from snncompile.backends.plan.layouts import Geometry
from snncompile.ir.types import Array

MAX_PLANES = 8
"""Bits of a source beyond which so many passes over its bit planes cost more than they save."""


@dataclass(frozen=True)
class Packed(Weighted):
    """A fully connected layer is the case of one place.

    Attributes:
        weight: the planes of +1, `[ky][kx][word][out]`, an input a bit. `minus`: those of -1, for ternary weights.
        planes: bits of a source element; the last one has a negative weight where elements are `signed`.
    """

    name: ClassVar[str] = "packed"
    relative_cost: ClassVar[float] = 0.0
    geometry: Geometry
    minus: Constant | None = None
    planes: int = 1
    signed: bool = False

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.one_group and bool(np.all(np.abs(site.weight) <= 1)) and bit_planes(
            site.source.buffer) <= MAX_PLANES

    @classmethod
    def make(cls, site: Site) -> Packed:
        source, bipolar = site.source.buffer, not np.any(site.weight == 0)
        plus = site.constant(as_words(site.weight > 0), "PLUS")
        minus = None if bipolar else site.constant(as_words(site.weight < 0), "MINUS")
        return cls(source, site.dst, plus, site.geometry, minus, bit_planes(source), source.low < 0)

    @property
    def words(self) -> int:
        """32-bit words that hold one bit of every channel of a place."""
        return -(-self.geometry.channels // 32)

    @property
    def scratch(self) -> Scratch:
        return Scratch(bit_words=self.geometry.height * self.geometry.width * self.words)


def bit_planes(source: Buffer) -> int:
    """Bits of a source's values, a sign among them where there are negative ones."""
    return source.bits - (source.low >= 0 and source.high > 0)


def as_words(bits: Array) -> Array:
    """Bits `[out, in, ky, kx]` as words `[ky][kx][word][out]`, bit j of word w being input 32 w + j."""
    out, fan_in, height, width = bits.shape
    padded = np.zeros((out, -(-fan_in // 32) * 32, height, width), np.uint32)
    padded[:, :fan_in] = bits
    words = padded.reshape(out, -1, 32, height, width) << np.arange(32, dtype=np.uint32)[None, None, :, None, None]
    return np.ascontiguousarray(words.sum(2, dtype=np.uint32).transpose(2, 3, 1, 0))
