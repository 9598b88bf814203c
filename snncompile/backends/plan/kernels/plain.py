"""Kernels without weights: pools, upsampling, reordering, rectification, scaling, and the plain addition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.backends.plan.buffers import Constant
from snncompile.backends.plan.kernels.kernel import Helper, Kernel
from snncompile.backends.plan.layouts import Geometry


@dataclass(frozen=True)
class PoolKernel(Kernel):
    """Sum or maximum of windows, channels last; `mode` is "sum" or "max"."""

    name: ClassVar[str] = "pool"
    geometry: Geometry
    mode: str

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return (Helper("pool", (self.mode, self.src, self.dst)),)


@dataclass(frozen=True)
class UpsampleKernel(Kernel):
    """Each place repeated; the kernel of its geometry holds the factors."""

    name: ClassVar[str] = "upsample"
    geometry: Geometry


@dataclass(frozen=True)
class Gather(Kernel):
    """`dst[i] (+)= src[index[i]]`; an index of the source's size stands for 0, of which there are some if `holes`."""

    name: ClassVar[str] = "gather"
    index: Constant
    adds: bool
    holes: bool


@dataclass(frozen=True)
class RectifyKernel(Kernel):
    """`max(x, 0)`, or with a negative `sign` `min(x, 0)`."""

    name: ClassVar[str] = "rectify"
    sign: int


@dataclass(frozen=True)
class ScaleKernel(Kernel):
    """`dst[i] = src[i] * factor`; the factor is a number, or repeats every `len(factors)` elements."""

    name: ClassVar[str] = "scale"
    factor: int | None
    factors: Constant | None


@dataclass(frozen=True)
class AddKernel(Kernel):
    """`dst[i] += src[i]`."""

    name: ClassVar[str] = "add"
