"""Convolution over every place, whatever is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels.kernel import Helper, Site, Weighted
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class ConvDense(Weighted):
    """Weight `[ky][kx][in][out]`."""

    name: ClassVar[str] = "conv_dense"
    geometry: Geometry

    @classmethod
    def applies(cls, site: Site) -> bool:
        return not site.linear and site.one_group

    @classmethod
    def make(cls, site: Site) -> ConvDense:
        return cls(site.source.buffer, site.dst, site.contiguous(site.weight.transpose(2, 3, 1, 0)), site.geometry)

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return (Helper("dot", (self.src, self.weight, self.dst)),)
