"""Token mixing, event by event: an active element adds to the sums of its channel at every output token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels.kernel import EVENT_INDEX, EventKernel, Helper, Site
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class MixEvent(EventKernel):
    """Adds, for each active element and each output token, the weight times the element's value.

    Example: one head of 3 channels and the weights `[in][out]` of `[[2, 4], [-1, 0]]`, from 2 tokens to 2. Spikes of
    the channels 0 and 2 at token 0 add 2 to the sums of these channels at output token 0, and 4 at output token 1.
    The active channels of a head at a token are taken together, since they have the same weights.

    It applies to every token mixing. It costs 16 for each synapse of an active element, because the sums that it adds
    to do not lie side by side, while a processor with vectors computes many sums of `mix_dense` at once. It wins where
    up to a sixteenth of the source is active.

    It calls the helper "scan", and needs a list of events; see `EventKernel`.

    Attributes:
        weight: `[in][head][out]`.
        geometry: tokens are columns; a group is a head.
    """

    name: ClassVar[str] = "mix_event"
    relative_cost: ClassVar[float] = 16.0
    geometry: Geometry

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.mixes

    @classmethod
    def make(cls, site: Site) -> MixEvent:
        weight = site.contiguous(site.weight.transpose(2, 0, 1))
        return cls(site.source.buffer, site.dst, weight, site.source.rate, site.geometry)

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return (Helper("scan", (self.src, EVENT_INDEX, self.scan)),)
