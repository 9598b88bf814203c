"""Kernels without weights: pools, upsampling, reordering, rectification, scaling, and addition.

Each operator without weights has one kernel, so there is no choice between them. Those that take a geometry, and those
that work element by element, read and write tensors that lie channels last. None needs scratch memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.buffers import Constant
from snncompile.backends.plan.kernels.kernel import Helper, Kernel
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class PoolKernel(Kernel):
    """Writes the sum or the maximum of each window, channel by channel.

    Example: the windows of 2 of a channel (1, 3, 0, 2) have the sums 4, 2 and the maxima 3, 2. A place outside of the
    image does not count in either.

    It calls the helper "pool".

    Attributes:
        mode: "sum" or "max".
    """

    name: ClassVar[str] = "pool"
    geometry: Geometry
    mode: str

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return (Helper("pool", (self.mode, self.src, self.dst)),)


@dataclass(frozen=True)
class UpsampleKernel(Kernel):
    """Writes each place several times along both axes; `geometry.kernel` holds how often.

    Example: a row (a, b) with the factor 2 becomes (a, a, b, b), where a and b are all channels of a place.
    """

    name: ClassVar[str] = "upsample"
    geometry: Geometry


@dataclass(frozen=True)
class Gather(Kernel):
    """Writes or adds elements in another order: `dst[i] = src[index[i]]`, or `dst[i] += src[index[i]]`.

    Example: a source of 3 elements (a, b, c) and the indices (2, 0, 3, 1) give (c, a, 0, b), since 3 is the size.

    Attributes:
        index: an index into the source for each element of the destination; one that equals the source's size reads 0.
        adds: whether the destination is added to.
        holes: whether any index equals the source's size.
    """

    name: ClassVar[str] = "gather"
    index: Constant
    adds: bool
    holes: bool


@dataclass(frozen=True)
class RectifyKernel(Kernel):
    """Writes `max(x, 0)` of each element, or `min(x, 0)` where `sign` is negative.

    Example: (2, -3) becomes (2, 0), or (0, -3) with a negative sign.
    """

    name: ClassVar[str] = "rectify"
    sign: int


@dataclass(frozen=True)
class ScaleKernel(Kernel):
    """Writes each element times a factor: `dst[i] = src[i] * factor`, or `dst[i] = src[i] * factors[i % len(factors)]`.

    Example: the factors (2, -1) of two channels turn the places (1, 5), (0, 3) into (2, -5), (0, -3).

    Attributes:
        factor: the factor of all elements; None where it differs between them.
        factors: a factor for each channel, or for each element; None where there is one number.
    """

    name: ClassVar[str] = "scale"
    factor: int | None
    factors: Constant | None


@dataclass(frozen=True)
class AddKernel(Kernel):
    """Adds each element to the destination: `dst[i] += src[i]`."""

    name: ClassVar[str] = "add"
