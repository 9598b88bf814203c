"""Fully connected, one product a synapse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels.kernel import Helper, Site, Weighted


@dataclass(frozen=True)
class LinearDense(Weighted):
    """Weight `[out][in]`."""

    name: ClassVar[str] = "linear_dense"

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.linear

    @classmethod
    def make(cls, site: Site) -> LinearDense:
        return cls(site.source.buffer, site.dst, site.contiguous(site.weight[:, :, 0, 0]))

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return (Helper("dot", (self.src, self.weight, self.dst)),)
