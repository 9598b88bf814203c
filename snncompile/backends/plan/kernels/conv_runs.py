"""Event-driven convolution by runs: one run of contiguous weights is added for each event and each kernel row.

An element at column x, counted with the padding, is read by output o through tap kx where x = stride o + kx. With a
stride of 2, an element at an even column is therefore read through the even taps only, and one at an odd column through
the odd taps. These groups of taps are called phases, by their remainder modulo the stride. Inside a phase the taps are
stored in descending order, because a later output reads an element through an earlier tap. The outputs that one element
reaches in a row then lie side by side, channels included, and so do their weights: they are one run.

Example: a kernel row of 5 taps and a stride of 2 is stored as the taps 4 2 0 (phase 0), 3 1 (phase 1). An element at
column 4 is read by output 0 through tap 4, by output 1 through tap 2, and by output 2 through tap 0: the run of phase 0
is added to the sums of outputs 0 to 2. At the border of the image the run is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.kernels.kernel import RowKernel, Site
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class ConvRuns(RowKernel):
    """Adds, for each active element and each kernel row, a run of weights times the element's value.

    It applies to convolutions of one group that are not dilated along their rows, since dilated taps do not lie side by
    side. Its time grows with the number of active elements, and with the number of places that have any. It wins for
    most convolutions.

    It calls the helpers of a `RowKernel`, and needs a list of events. The events of one place are neighbours in the
    list, because channels lie last, and their runs are added together.

    Attributes:
        weight: `[in][ky][tap][out]`, the taps ordered by phase and descending inside each.
        phases: `phases[p]` is the position of the first tap of phase p, and `phases[-1]` the number of taps.
    """

    name: ClassVar[str] = "conv_runs"
    geometry: Geometry
    phases: tuple[int, ...]

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.convolves and site.one_group and site.geometry.dilation[1] == 1

    @classmethod
    def cycles(cls, site: Site) -> float | None:
        g = site.geometry
        rows, sums = g.kernel[0] / g.stride[0], -(-g.kernel[1] // g.stride[1]) * g.out_channels
        places = g.height * g.width * (1 - (1 - min(site.source.rate, 1.0)) ** g.channels)
        begun = places * rows * (host_time.RUN + host_time.KEPT * sums / 16)
        return begun + host_time.listing(site.source.buffer.size, site.events) + host_time.rows(
            site.events * rows, sums, site.paired)

    @classmethod
    def make(cls, site: Site) -> ConvRuns:
        taps, phases = taps_by_phase(site.geometry)
        runs = site.contiguous(site.weight[:, :, :, taps].transpose(1, 2, 3, 0))
        return cls(site.source.buffer, site.dst, runs, site.source.rate, site.geometry, phases)


def taps_by_phase(geometry: Geometry) -> tuple[list[int], tuple[int, ...]]:
    """The taps of a kernel row, ordered by phase and descending inside each; and where each phase begins.

    A kernel of 5 taps and a stride of 2 gives `[4, 2, 0, 3, 1]` and `(0, 3, 5)`.
    """
    groups = [list(range(phase, geometry.kernel[1], geometry.stride[1]))[::-1] for phase in range(geometry.stride[1])]
    starts = np.cumsum([0, *(len(g) for g in groups)])
    return [tap for g in groups for tap in g], tuple(int(s) for s in starts)
