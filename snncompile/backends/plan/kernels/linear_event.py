"""Fully connected, event by event: one contiguous row of weights is added for each active input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels.kernel import EventKernel, Site


@dataclass(frozen=True)
class LinearEvent(EventKernel):
    """Weight `[in][out]`."""

    name: ClassVar[str] = "linear_event"
    relative_cost: ClassVar[float] = 2.0

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.linear

    @classmethod
    def make(cls, site: Site) -> LinearEvent:
        return cls(site.source.buffer, site.dst, site.contiguous(site.weight[:, :, 0, 0].T), site.source.rate)
