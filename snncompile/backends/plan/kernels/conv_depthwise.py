"""Depthwise convolution: each channel has a filter of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels.kernel import Site, Weighted
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class ConvDepthwise(Weighted):
    """Adds, for each output place and each tap inside the image, the products of the channels with the tap's weights.

    Example: 3 channels, and a kernel of 1 x 1 with the weights (2, -1, 4). A place of values (5, 1, 0) adds (10, -1, 0)
    to the sums of the same place.

    It applies to convolutions with as many groups and output channels as input channels. Its cost is 0, so that it is
    taken wherever it applies: an event of one channel would reach a single sum for each tap, too little work to pay for
    listing it.

    It calls no helper and needs no scratch memory.

    Attributes:
        weight: `[ky][kx][channel]`, so that the channels of one tap are contiguous.
    """

    name: ClassVar[str] = "conv_depthwise"
    relative_cost: ClassVar[float] = 0.0
    geometry: Geometry

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.convolves and site.depthwise

    @classmethod
    def make(cls, site: Site) -> ConvDepthwise:
        weight = site.contiguous(site.weight[:, 0].transpose(1, 2, 0))
        return cls(site.source.buffer, site.dst, weight, site.geometry)
