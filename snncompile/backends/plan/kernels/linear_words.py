"""Fully connected layer without wide vectors: words that hold several weights each are added, event by event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.kernels.kernel import EVENT_INDEX, Helper, Site, WordScan
from snncompile.ir.types import Array

WIDTHS = (2, 4, 8)
"""The bits that a weight may take in a word."""
WORD = 32
SUMS = 8
"""Registers that hold sums."""


@dataclass(frozen=True)
class LinearWords(WordScan):
    """Adds, for each active input, words of 4, 8 or 16 weights to words of 2 or 4 sums.

    A weight is stored without a sign, as its difference to the least weight, in 2, 4 or 8 bits. Its bits stand at the
    least significant end of a field of a sum: 16 bits for weights of 8 bits, else 8. `(word >> bits p) & mask`
    therefore holds the weights of part p, each in a field of its own, and is added to the sum of that part. Sums are
    kept in registers over so many events that no field overflows; then each is added to its output, with the least
    weight times the number of events.

    Example: the weights (3, -5, 7, 0) of an input, in 8 bits each and with the least weight -5, are stored as 8, 0, 12,
    5. Outputs 0 and 1 have the low and the high half of the first sum, 2 and 3 those of the second: the word is
    8 + 12 * 2**8 + 0 * 2**16 + 5 * 2**24, so that the bytes stand in the order of the outputs 0, 2, 1, 3.

    It applies to fully connected layers on spikes, or on counts of up to MAX_REPEATS, whose weights lie in a range of
    256 numbers. It wins on processors without wide vectors, and where there are few outputs or few events.

    It calls the helper "scan" and the macros of the family "words", and needs a list of events; see `EventKernel`.

    Attributes:
        weight: `[in][word]`, unsigned; outputs are filled up to whole words.
        bits: of a weight.
        least: the least weight.
    """

    name: ClassVar[str] = "linear_words"
    relative_cost: ClassVar[float] = 1e6
    bits: int
    least: int

    @classmethod
    def applies(cls, site: Site) -> bool:
        return (site.linear and cls.counts(site.source.buffer) and site.weight.size > 0
                and width_of(site.weight) is not None)

    @classmethod
    def cycles(cls, site: Site) -> float:
        bits = width_of(site.weight) or WIDTHS[-1]
        words = -(-site.geometry.out_channels * bits // WORD)
        blocks = -(-words * field_of(bits) // (SUMS * bits))
        added = site.events * (blocks * host_time.WORDS_ROW + words * host_time.WORD * field_of(bits) / bits)
        return host_time.listing(site.source.buffer.size, site.events) + blocks * host_time.WORDS + added

    @classmethod
    def make(cls, site: Site) -> LinearWords:
        weight = site.weight[:, :, 0, 0].T.astype(np.int64)
        least = int(weight.min())
        bits = width_of(weight) or WIDTHS[-1]
        words = site.constant(as_words(weight - least, bits), "WORDS")
        return cls(site.source.buffer, site.dst, words, site.source.rate, bits, least)

    @property
    def stride(self) -> int:
        """Words of an input."""
        return int(self.weight.values.shape[1])

    @property
    def most_events(self) -> int:
        """The events that can be added before a field overflows."""
        return ((1 << field_of(self.bits)) - 1) // ((1 << self.bits) - 1)

    @property
    def blocks(self) -> tuple[tuple[int, int, int], ...]:
        """What is added at once: the first word, how many words, and how many outputs these have.

        Sums of several words stay in SUMS registers.
        """
        at_once, per_word = SUMS * self.bits // field_of(self.bits), WORD // self.bits
        starts = range(0, self.stride, at_once)
        return tuple((at, min(at_once, self.stride - at), min(at_once * per_word, self.dst.size - at * per_word))
                     for at in starts)

    @property
    def helpers(self) -> tuple[Helper, ...]:
        sizes = {(words, outputs) for _, words, outputs in self.blocks}
        return (Helper("scan", (self.src, EVENT_INDEX, self.scan)), *(
            Helper("words", (self.dst, EVENT_INDEX, f"{self.bits} {words} {outputs}"))
            for words, outputs in sorted(sizes)))


def width_of(weight: Array) -> int | None:
    """The bits that differences of weights to the least one take; None where that is more than WIDTHS has."""
    span = int(weight.max()) - int(weight.min())
    return next((bits for bits in WIDTHS if span < 1 << bits), None)


def field_of(bits: int) -> int:
    """Bits of the sums of weights of so many bits."""
    return 16 if bits == WIDTHS[-1] else 8


def as_words(weight: Array, bits: int) -> Array:
    """Pack unsigned weights `[in, out]` into words `[in, word]`; see `LinearWords`.

    >>> hex(int(as_words(np.array([[8, 0, 12, 5]]), 8)[0, 0]))
    '0x5000c08'
    """
    inputs, outputs = weight.shape
    per_word, fields = WORD // bits, WORD // field_of(bits)
    padded = np.zeros((inputs, -(-outputs // per_word) * per_word), np.uint32)
    padded[:, :outputs] = weight
    parts = padded.reshape(inputs, -1, per_word // fields, fields)
    shifts = (np.arange(per_word // fields)[:, None] * bits + np.arange(fields) * field_of(bits)).astype(np.uint32)
    return np.ascontiguousarray((parts << shifts).sum((2, 3), dtype=np.uint32))
