"""Event-driven convolution, tap by tap: for groups, and for kernels that are dilated along their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.kernels.kernel import EventKernel, Site
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class ConvTaps(EventKernel):
    """Adds, for each active element and each tap that reaches an output, the tap's weights times the element's value.

    Example in one dimension: a kernel of 3 taps, stride 2, no padding. The element at x = 4 is read by output o through
    tap kx where 4 = 2 o + kx: by output 2 through tap 0, and by output 1 through tap 2. Tap 1 reaches no output. So two
    rows of `out / groups` weights are added.

    It applies to every convolution. It is taken for groups, because no other kernel computes them unless they are
    depthwise, for kernels that are dilated along their rows, and where few channels and few active elements would make
    the runs of `conv_runs` short.

    It calls the helpers of an event kernel, and needs a list of one entry for each element of its source. Values are
    always multiplied, also those of small counts.

    Attributes:
        weight: `[in][ky][kx][out / groups]`, `in` counted over all groups.
    """

    name: ClassVar[str] = "conv_taps"
    geometry: Geometry

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.convolves

    @classmethod
    def cycles(cls, site: Site) -> float:
        g = site.geometry
        taps = g.kernel[0] * g.kernel[1] / (g.stride[0] * g.stride[1])
        sums = -(-g.out_channels // g.groups // 16) * host_time.TAP_SUMS
        return host_time.listing(site.source.buffer.size, site.events) + site.events * taps * (host_time.TAP + sums)

    @classmethod
    def make(cls, site: Site) -> ConvTaps:
        weight, groups = site.weight, site.geometry.groups
        by_input = weight.reshape(groups, -1, *weight.shape[1:]).transpose(0, 2, 3, 4, 1)
        return cls(site.source.buffer, site.dst, site.contiguous(by_input), site.source.rate, site.geometry)

    @property
    def lists_repeats(self) -> bool:
        return False
