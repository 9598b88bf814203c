"""Fully connected layer, event by event: one contiguous row of weights is added for each active input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels.kernel import EventKernel, Site


@dataclass(frozen=True)
class LinearEvent(EventKernel):
    """Adds, for each active input, its weights to all outputs, times its value.

    Example: weights `[in][out]` of `[[1, 0], [2, -1], [3, 1]]` and a source of (1, 0, 2). The list of active elements
    is 0, 2, 2, because a count of up to 4 is listed as so many spikes; the rows (1, 0), (3, 1) and (3, 1) add (7, 2)
    without a multiplication. Other values are listed once, and their rows are multiplied.

    It applies to every fully connected layer. It costs 2 for each synapse of an active input and wins where up to half
    of the source is active.

    It calls the helpers of an event kernel, and needs a list of events; see `EventKernel`.

    Attributes:
        weight: `[in][out]`, `in` in the order in which the source lies.
    """

    name: ClassVar[str] = "linear_event"
    relative_cost: ClassVar[float] = 2.0

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.linear

    @classmethod
    def make(cls, site: Site) -> LinearEvent:
        return cls(site.source.buffer, site.dst, site.contiguous(site.weight[:, :, 0, 0].T), site.source.rate)
