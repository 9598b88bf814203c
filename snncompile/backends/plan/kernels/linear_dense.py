"""Fully connected layer that multiplies every synapse, whether its input is active or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.kernels.kernel import Helper, Site, Weighted


@dataclass(frozen=True)
class LinearDense(Weighted):
    """Adds to each output the scalar product of the source with the output's row of weights.

    Example: weights `[out][in]` of `[[1, 2, 3], [0, -1, 1]]` and a source of (1, 0, 2) add 7 and 2.

    It applies to every fully connected layer. Its time is that of all synapses, and the unit of costs. It wins where
    most of the source is active, and where there are few outputs, so that a row of weights would be short.

    It calls the helper "dot" and needs no scratch memory.

    Attributes:
        weight: `[out][in]`, `in` in the order in which the source lies.
    """

    name: ClassVar[str] = "linear_dense"

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.linear

    @classmethod
    def cycles(cls, site: Site) -> float:
        each = host_time.DENSE * site.synapses * (1 if site.paired else host_time.UNPAIRED)
        odd = site.source.buffer.size % 32 if site.paired else 0
        return each + site.dst.size * (host_time.PRODUCT + host_time.ODD_DENSE * odd)

    @classmethod
    def make(cls, site: Site) -> LinearDense:
        return cls(site.source.buffer, site.dst, site.contiguous(site.weight[:, :, 0, 0]))

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return (self.dot,)
