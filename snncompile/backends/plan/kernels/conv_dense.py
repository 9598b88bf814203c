"""Convolution that multiplies every value of every window, whether it is 0 or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.kernels.kernel import Helper, Site, Weighted
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class ConvDense(Weighted):
    """Adds, for each output place and each tap inside the image, the tap's weights times the channels of its place.

    Example: 2 input channels, 3 output channels, and a kernel of 1 x 1 with the weights `[in][out]` of
    `[[1, 2, 3], [0, 4, 0]]`. A place of values (5, 1) adds 5 (1, 2, 3) + 1 (0, 4, 0) = (5, 14, 15) to the sums of the
    same place.

    It applies to convolutions of one group, of any stride, padding and dilation. It wins where nearly all of
    the source is active and its values are not added in pairs of bytes.

    It calls the helper "dot" and needs no scratch memory.

    Attributes:
        weight: `[ky][kx][in][out]`, so that the output channels of one tap and input channel are contiguous.
    """

    name: ClassVar[str] = "conv_dense"
    geometry: Geometry

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.convolves and site.one_group

    @classmethod
    def cycles(cls, site: Site) -> float:
        g = site.geometry
        rows = site.synapses / g.out_channels
        return rows * (host_time.SPREAD_ROW + host_time.SPREAD * -(-g.out_channels // 16))

    @classmethod
    def make(cls, site: Site) -> ConvDense:
        return cls(site.source.buffer, site.dst, site.contiguous(site.weight.transpose(2, 3, 1, 0)), site.geometry)

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return (self.dot,)
