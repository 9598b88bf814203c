"""Convolution of spikes by tables: the sums of all patterns of a few neighbouring inputs are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.backends.plan.buffers import narrow
from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.kernels.kernel import Helper, Scratch, Site, Weighted
from snncompile.backends.plan.layouts import Geometry
from snncompile.ir.types import Array

PATTERN_BITS = 5
"""Inputs that one look-up covers: a table holds 32 rows of sums for them."""
WORD_BITS = 32
"""The most inputs of a kernel row, which are read from two words of this many bits."""
MAX_TABLE_BYTES = 1 << 16
"""The largest table, so that it stays in a processor's cache."""


@dataclass(frozen=True)
class ConvTable(Weighted):
    """Adds, for each output place, one row of a table for every PATTERN_BITS inputs of its window.

    The spikes of an image row are packed into bits. The bits that a kernel row covers are an index into a table that
    holds, for each pattern, the sum of the weights of its ones. The time does not depend on how many spikes there are.

    Example: one channel, a kernel row of 3 taps with the weights (1, 2, 4) and spikes (1, 0, 1). The pattern is 101 in
    binary, the first input being bit 0, and the table's entry 5 is 1 + 4 = 5.

    It applies to convolutions of spikes in one group, not dilated along their rows, with at most WORD_BITS inputs in a
    kernel row and a table of at most MAX_TABLE_BYTES. It calls the helper "bits", and needs scratch memory for the bits
    of an image with its padding.

    Attributes:
        weight: the table, `[ky][part][pattern][out]`: part p of a kernel row holds its inputs from PATTERN_BITS p on,
            counted `[tap][channel]`.
    """

    name: ClassVar[str] = "conv_table"
    geometry: Geometry

    @classmethod
    def applies(cls, site: Site) -> bool:
        g = site.geometry
        shaped = site.convolves and site.one_group and g.dilation[1] == 1 and g.kernel[1] * g.channels <= WORD_BITS
        return shaped and site.source.buffer.range == (0, 1) and (
            4 * g.out_channels * g.kernel[0] * _patterns(g) <= MAX_TABLE_BYTES)

    @classmethod
    def cycles(cls, site: Site) -> float:
        g = site.geometry
        look_ups = g.kernel[0] * len(_parts(g.kernel[1] * g.channels)) * (1 + -(-g.out_channels // 16))
        return host_time.PACKED * site.source.buffer.size + host_time.LOOK_UP * g.out_height * g.out_width * look_ups

    @classmethod
    def make(cls, site: Site) -> ConvTable:
        return cls(site.source.buffer, site.dst, site.constant(_table(site.weight), "TABLE"), site.geometry)

    @property
    def parts(self) -> tuple[tuple[int, int, int], ...]:
        """The first input of each part of a kernel row, the number of its patterns, and where its rows begin."""
        return _parts(self.geometry.kernel[1] * self.geometry.channels)

    @property
    def row_patterns(self) -> int:
        """The number of rows of the table for one kernel row."""
        return _patterns(self.geometry)

    @property
    def words(self) -> int:
        """The number of words that hold the bits of one image row, with one more so that two can always be read."""
        g = self.geometry
        bits = max(((g.out_width - 1) * g.stride[1] + g.kernel[1]), g.pad[1] + g.width) * g.channels
        return -(-bits // WORD_BITS) + 1

    @property
    def rows(self) -> int:
        """The number of image rows that are packed, those of the padding included."""
        g = self.geometry
        return max((g.out_height - 1) * g.stride[0] + (g.kernel[0] - 1) * g.dilation[0] + 1, g.pad[0] + g.height)

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return (Helper("bits", ()),)

    @property
    def scratch(self) -> Scratch:
        return Scratch(bit_words=self.rows * self.words)


def _parts(inputs: int) -> tuple[tuple[int, int, int], ...]:
    """For each part of a row of inputs: its first input, the number of its patterns, and where its patterns begin.

    7 inputs are two parts, of 5 and 2: `((0, 32, 0), (5, 4, 32))`.
    """
    parts, begin = [], 0
    for first in range(0, inputs, PATTERN_BITS):
        count = 1 << min(PATTERN_BITS, inputs - first)
        parts.append((first, count, begin))
        begin += count
    return tuple(parts)


def _patterns(geometry: Geometry) -> int:
    """The number of patterns of all parts of a kernel row."""
    return sum(count for _, count, _ in _parts(geometry.kernel[1] * geometry.channels))


def _table(weight: Array) -> Array:
    """The sums for each pattern, `[ky][part and pattern][out]`, from weights `[out, in, ky, kx]`."""
    by_input = weight.astype(np.int64).transpose(2, 3, 1, 0).reshape(weight.shape[2], -1, weight.shape[0])
    tables = []
    for first, count, _ in _parts(by_input.shape[1]):
        part = by_input[:, first:first + PATTERN_BITS]
        ones = np.arange(count)[:, None] >> np.arange(part.shape[1]) & 1
        tables.append(np.einsum("pi,kio->kpo", ones, part))
    return narrow(np.concatenate(tables, 1))
