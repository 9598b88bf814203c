"""What a projection does in C: a list of kernels, each with the constants that its template prints.

Kernels read a row of integers, one value a source neuron, channels last, and write either a scratch row
or the accumulators of the population that follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snncompile.ir.types import Array

MAX_REPEATS = 4
SPARSE_RATE = 0.04


@dataclass(frozen=True)
class Row:
    """A row in memory: the C expression that points to it, its element type, and its length."""

    text: str
    type: str
    size: int


@dataclass(frozen=True)
class Data:
    """Constants of the network: a name and integers; read-only arrays in the emitted program."""

    name: str
    values: Array


@dataclass(frozen=True)
class Kernel:
    """Reads `src`, writes or adds to `dst`."""

    macro: ClassVar[str] = ""
    src: Row
    dst: Row

    @property
    def data(self) -> tuple[Data, ...]:
        return ()

    accumulates: ClassVar[bool] = False
    """Whether the kernel adds to a destination that somebody else has cleared."""


@dataclass(frozen=True)
class Weighted(Kernel):
    """A kernel with weights; `low` and `high` are the range of a source element."""

    accumulates: ClassVar[bool] = True
    weight: Data
    low: int
    high: int

    @property
    def repeats(self) -> int:
        """How often an event may stand in the list of events: small counts are spikes that repeat. 0 for values."""
        return self.high if self.low >= 0 and self.high <= MAX_REPEATS and self.src.type == "uint8_t" else 0

    @property
    def small(self) -> bool:
        """Whether four products with 8-bit weights fit 16 bits."""
        return max(self.high, -self.low) < 64

    @property
    def data(self) -> tuple[Data, ...]:
        return (self.weight,)


@dataclass(frozen=True)
class EventKernel(Weighted):
    """A kernel that lists the active elements of its source first; `rate` is their share."""

    rate: float

    @property
    def lists_repeats(self) -> bool:
        """Whether an element may stand in that list several times."""
        return self.repeats > 1

    @property
    def scan(self) -> str:
        """How the list is made: with repeats; skipping runs of zeros, where few elements are active; or over all."""
        return "repeat" if self.lists_repeats else "sparse" if self.rate < SPARSE_RATE else "all"


@dataclass(frozen=True)
class LinearEvent(EventKernel):
    """Fully connected, one contiguous row of weights an event; weight `[in][out]`."""

    macro: ClassVar[str] = "linear_event"


@dataclass(frozen=True)
class LinearDense(Weighted):
    """Fully connected, one product a synapse; weight `[out][in]`."""

    macro: ClassVar[str] = "linear_dense"


@dataclass(frozen=True)
class Geometry:
    """Sizes of a two-dimensional window operation; one-dimensional ones have height 1."""

    channels: int
    height: int
    width: int
    out_channels: int
    out_height: int
    out_width: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int]
    groups: int = 1


@dataclass(frozen=True)
class ConvKernel(Weighted):
    geometry: Geometry


@dataclass(frozen=True)
class ConvRuns(ConvKernel, EventKernel):
    """Event-driven convolution: the taps of one kernel row that an event reaches lie next to each other.

    Weight `[in][ky][phase][kx, descending][out]`; `phases[p]` is where the taps of a phase begin, in taps.
    """

    macro: ClassVar[str] = "conv_runs"
    phases: tuple[int, ...] = ()

    @property
    def longest(self) -> int:
        """Sums that an event reaches in one row, away from the borders, in the largest phase."""
        taps = max(b - a for a, b in zip(self.phases, self.phases[1:], strict=False))
        return taps * self.geometry.out_channels


@dataclass(frozen=True)
class ConvTaps(ConvKernel, EventKernel):
    """Event-driven convolution, tap by tap: groups and horizontal dilation; weight `[in][ky][kx][out/groups]`."""

    macro: ClassVar[str] = "conv_taps"

    @property
    def lists_repeats(self) -> bool:
        return False


@dataclass(frozen=True)
class ConvDense(ConvKernel):
    """Convolution over every place; weight `[ky][kx][in][out]`."""

    macro: ClassVar[str] = "conv_dense"


@dataclass(frozen=True)
class ConvDepthwise(ConvKernel):
    """One filter a channel, over every place; weight `[ky][kx][channel]`."""

    macro: ClassVar[str] = "conv_depthwise"


@dataclass(frozen=True)
class Packed(ConvKernel):
    """Bipolar or ternary weights, packed: bit planes of the source against bit planes of the weights.

    `weight` holds the planes of +1, `[ky][kx][word][out]`; `minus` those of -1 for ternary weights.
    A fully connected layer is the case of one place.
    """

    macro: ClassVar[str] = "packed"
    minus: Data | None = None
    planes: int = 1
    signed: bool = False

    @property
    def data(self) -> tuple[Data, ...]:
        return (self.weight,) if self.minus is None else (self.weight, self.minus)

    @property
    def words(self) -> int:
        """32-bit words that hold one bit of every channel of a place."""
        return -(-self.geometry.channels // 32)


@dataclass(frozen=True)
class PoolKernel(Kernel):
    """Sum or maximum of windows, channels last."""

    macro: ClassVar[str] = "pool"
    geometry: Geometry
    mode: str


@dataclass(frozen=True)
class UpsampleKernel(Kernel):
    macro: ClassVar[str] = "upsample"
    geometry: Geometry


@dataclass(frozen=True)
class Gather(Kernel):
    """`dst[i] (+)= src[index[i]]`; an index of the source's size stands for 0."""

    macro: ClassVar[str] = "gather"
    index: Data
    adds: bool
    holes: bool

    @property
    def data(self) -> tuple[Data, ...]:
        return (self.index,)


@dataclass(frozen=True)
class RectifyKernel(Kernel):
    macro: ClassVar[str] = "rectify"
    sign: int


@dataclass(frozen=True)
class ScaleKernel(Kernel):
    """`dst[i] = src[i] * factor`; the factor is a number, or repeats every `len(factor)` elements."""

    macro: ClassVar[str] = "scale"
    factor: int | None
    factors: Data | None

    @property
    def data(self) -> tuple[Data, ...]:
        return () if self.factors is None else (self.factors,)


@dataclass(frozen=True)
class AddKernel(Kernel):
    macro: ClassVar[str] = "add"
