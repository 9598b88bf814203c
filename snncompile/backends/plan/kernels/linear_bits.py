"""Fully connected layer of weights of one bit, for small processors: 32 outputs are counted at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.backends.plan.kernels.kernel import EVENT_INDEX, Helper, Site, WordScan
from snncompile.ir.types import Array

WORD, BYTES = 32, 4


@dataclass(frozen=True)
class LinearBits(WordScan):
    """Counts, for each output, the active inputs whose weight is 1, in counters that stand upright.

    Bit j of plane p is bit p of the counter of output j: adding the bits of an input to 32 counters takes two
    operations a plane, an exclusive or and an and, as in adding binary numbers by hand. Four inputs are added first to
    each other, which reaches the third plane once. With n events of which `ones` have the weight 1, the sum is
    `2 ones - n`, since all others have -1.

    Example: two events with the weights (1, -1) and (1, 1), stored as the bits 01 and 11, output 0 being bit 0. Plane 0
    is 10 and plane 1 is 01: output 0 counts 2, output 1 counts 1. The sums are 2 and 0.

    Outputs lie so in a word that shifts and masks spread the planes to bytes: output 4 s + k is bit 8 k + s.

    It applies to fully connected layers on spikes, or on counts of up to MAX_REPEATS, whose weights are all -1 or 1.
    It is taken for targets whose costs name it.

    It calls the helper "scan", and needs a list of events; see `EventKernel`.

    Attributes:
        weight: marks weights of 1, `[in][word]`.
    """

    name: ClassVar[str] = "linear_bits"
    relative_cost: ClassVar[float] = 1e6
    PLANES: ClassVar[int] = 6

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.linear and cls.counts(site.source.buffer) and bool(np.all(np.abs(site.weight) == 1))

    @classmethod
    def make(cls, site: Site) -> LinearBits:
        words = site.constant(as_bits(site.weight[:, :, 0, 0].T > 0), "BITS")
        return cls(site.source.buffer, site.dst, words, site.source.rate)

    @property
    def stride(self) -> int:
        """Words of an input."""
        return int(self.weight.values.shape[1])

    @property
    def most_events(self) -> int:
        """The events that the planes can count."""
        return (1 << self.PLANES) - 1

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return (Helper("scan", (self.src, EVENT_INDEX, self.scan)),)


def as_bits(marked: Array) -> Array:
    """Pack truth values `[in, out]` into words `[in, word]`; see `LinearBits`.

    >>> as_bits(np.array([[True, False, True, False, True]])).tolist()
    [[65539]]
    """
    inputs, outputs = marked.shape
    padded = np.zeros((inputs, -(-outputs // WORD) * WORD), np.uint32)
    padded[:, :outputs] = marked
    place = np.arange(WORD)
    shifts = (place % BYTES * 8 + place // BYTES).astype(np.uint32)
    return np.ascontiguousarray((padded.reshape(inputs, -1, WORD) << shifts).sum(2, dtype=np.uint32))
