"""Event-driven convolution by runs: the taps of one kernel row that an event reaches lie next to each other.

With a stride of 2, an event at an even place reaches the even taps of a kernel row, and one at an odd place the odd
taps. Taps are grouped by these phases. Inside a group they stand in descending order, since a later output sees an
event through an earlier tap. The sums that one event reaches in a row of outputs are then one run, and so are their
weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.backends.plan.kernels.kernel import EventKernel, Site
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class ConvRuns(EventKernel):
    """Weight `[in][ky][phase][kx, descending][out]`; `phases[p]` is where the taps of a phase begin, in taps."""

    name: ClassVar[str] = "conv_runs"
    relative_cost: ClassVar[float] = 1 / 0.35
    geometry: Geometry
    phases: tuple[int, ...]

    @classmethod
    def applies(cls, site: Site) -> bool:
        return not site.linear and site.one_group and site.geometry.dilation[1] == 1

    @classmethod
    def make(cls, site: Site) -> ConvRuns:
        taps, phases = taps_by_phase(site.geometry)
        runs = site.contiguous(site.weight[:, :, :, taps].transpose(1, 2, 3, 0))
        return cls(site.source.buffer, site.dst, runs, site.source.rate, site.geometry, phases)

    @property
    def longest(self) -> int:
        """Sums that an event reaches in one row, away from the borders, in the largest phase."""
        taps = max(b - a for a, b in zip(self.phases, self.phases[1:], strict=False))
        return taps * self.geometry.out_channels


def taps_by_phase(geometry: Geometry) -> tuple[list[int], tuple[int, ...]]:
    """Horizontal taps grouped by what they are modulo the stride, each group descending; where groups begin.

    A kernel of 5 taps and a stride of 2 gives `[4, 2, 0, 3, 1]` and `(0, 3, 5)`.
    """
    groups = [list(range(phase, geometry.kernel[1], geometry.stride[1]))[::-1] for phase in range(geometry.stride[1])]
    starts = np.cumsum([0, *(len(g) for g in groups)])
    return [tap for g in groups for tap in g], tuple(int(s) for s in starts)
