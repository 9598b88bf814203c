"""One filter a channel, over every place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels.kernel import Site, Weighted
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class ConvDepthwise(Weighted):
    """Weight `[ky][kx][channel]`."""

    name: ClassVar[str] = "conv_depthwise"
    relative_cost: ClassVar[float] = 0.0
    geometry: Geometry

    @classmethod
    def applies(cls, site: Site) -> bool:
        return not site.linear and site.depthwise

    @classmethod
    def make(cls, site: Site) -> ConvDepthwise:
        weight = site.contiguous(site.weight[:, 0].transpose(1, 2, 0))
        return cls(site.source.buffer, site.dst, weight, site.geometry)
