"""Convolution by runs of weights in fours: small processors add two of them at once to two sums in a register."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.kernels.conv_runs import ConvRuns, taps_by_phase
from snncompile.backends.plan.kernels.kernel import EVENT_INDEX, Helper, Site, WordScan

GROUP = 4
ORDER = (0, 2, 1, 3)
"""The order of the weights of four neighbouring outputs in a word of 32 bits: bytes 0 and 2 are added to the sums 0
and 1, and bytes 1 and 3 to the sums 2 and 3."""
INT8, INT16 = (-128, 127), (-32768, 32767)


@dataclass(frozen=True)
class ConvPairs(WordScan, ConvRuns):
    """Adds the runs of `ConvRuns`, in words of four weights.

    Processors such as the Cortex-M4 have an instruction (SXTAB16) that adds two bytes of a word, with their signs, to
    the two halves of a register. Others add one weight after another, as `ConvRuns` does.

    It applies to convolutions of `ConvRuns` on spikes, or on counts of up to MAX_REPEATS, whose weights have 8 bits,
    whose sums have 16, and whose output channels are a multiple of 4. It wins there, and where runs are short.

    It calls the helpers "pairs" and "scan", and needs a list of events; see `EventKernel`.

    Attributes:
        weight: that of `ConvRuns`, each four outputs in the order ORDER.
    """

    name: ClassVar[str] = "conv_pairs"
    relative_cost: ClassVar[float] = 1e6

    @classmethod
    def applies(cls, site: Site) -> bool:
        low, high = int(site.weight.min(initial=0)), int(site.weight.max(initial=0))
        return (super().applies(site) and cls.counts(site.source.buffer) and site.geometry.out_channels % GROUP == 0
                and INT8[0] <= low and high <= INT8[1] and INT16[0] <= site.dst.low and site.dst.high <= INT16[1])

    @classmethod
    def cycles(cls, site: Site) -> float:
        g = site.geometry
        rows, sums = g.kernel[0] / g.stride[0], -(-g.kernel[1] // g.stride[1]) * g.out_channels
        places = g.height * g.width * (1 - (1 - min(site.source.rate, 1.0)) ** g.channels)
        each = host_time.PAIRS_ROW + host_time.PAIRS * sums / 16
        return (host_time.listing(site.source.buffer.size, site.events) + places * rows * host_time.PAIRS_RUN
                + site.events * rows * each)

    @classmethod
    def make(cls, site: Site) -> ConvPairs:
        taps, phases = taps_by_phase(site.geometry)
        runs = site.weight[:, :, :, taps].transpose(1, 2, 3, 0)
        ordered = runs.reshape(*runs.shape[:-1], -1, GROUP)[..., list(ORDER)].reshape(runs.shape)
        weight = site.constant(np.ascontiguousarray(ordered, np.int8), "PAIRS")
        return cls(site.source.buffer, site.dst, weight, site.source.rate, site.geometry, phases)

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return Helper("scan", (self.src, EVENT_INDEX, self.scan)), Helper("pairs", ())
