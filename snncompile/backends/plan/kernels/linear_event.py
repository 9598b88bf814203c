"""Fully connected layer, event by event: one contiguous row of weights is added for each active input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.kernels.kernel import RowKernel, Site


@dataclass(frozen=True)
class LinearEvent(RowKernel):
    """Adds, for each active input, its weights to all outputs, times its value.

    Example: weights `[in][out]` of `[[1, 0], [2, -1], [3, 1]]` and a source of (1, 0, 2). The list of active elements
    is 0, 2, 2, because a count of up to 4 is listed as so many spikes; the rows (1, 0), (3, 1) and (3, 1) add (7, 2)
    without a multiplication. Other values are listed once, and their rows are multiplied.

    It applies to every fully connected layer. Its time grows with the number of active inputs and, for each of them,
    with the number of outputs. It wins where there are many outputs and up to three quarters of the source are active.

    It calls the helpers of a `RowKernel`, and needs a list of events.

    Attributes:
        weight: `[in][out]`, `in` in the order in which the source lies.
    """

    name: ClassVar[str] = "linear_event"

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.linear

    @classmethod
    def cycles(cls, site: Site) -> float:
        out = site.geometry.out_channels
        return host_time.listing(site.source.buffer.size, site.events) + host_time.rows(site.events, out, site.paired)

    @classmethod
    def make(cls, site: Site) -> LinearEvent:
        return cls(site.source.buffer, site.dst, site.contiguous(site.weight[:, :, 0, 0].T), site.source.rate)
