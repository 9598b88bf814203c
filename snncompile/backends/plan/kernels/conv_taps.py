"""Event-driven convolution, tap by tap: for groups, and for kernels that are dilated along their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels.kernel import EventKernel, Site
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class ConvTaps(EventKernel):
    """Weight `[in][ky][kx][out/groups]`."""

    name: ClassVar[str] = "conv_taps"
    relative_cost: ClassVar[float] = 1 / 0.35
    geometry: Geometry

    @classmethod
    def applies(cls, site: Site) -> bool:
        return not site.linear

    @classmethod
    def make(cls, site: Site) -> ConvTaps:
        weight, groups = site.weight, site.geometry.groups
        by_input = weight.reshape(groups, -1, *weight.shape[1:]).transpose(0, 2, 3, 4, 1)
        return cls(site.source.buffer, site.dst, site.contiguous(by_input), site.source.rate, site.geometry)

    @property
    def lists_repeats(self) -> bool:
        return False
