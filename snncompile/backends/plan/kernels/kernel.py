"""What a kernel is: it reads one buffer, writes or adds to another, and declares what it needs for that.

A kernel is one class. It says which constants it reads and in which layout, which helper functions and how much
scratch memory it needs, and for a layer with weights where it applies and what it costs there. A backend prints it from
a template of the kernel's name, or from the text that the class itself carries in `texts`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from snncompile.backends.plan.buffers import Buffer, Constant
from snncompile.backends.plan.layouts import Geometry
from snncompile.ir.types import Array, Shape

MAX_REPEATS = 4
"""The largest count of spikes that is listed as so many events of one spike."""
EVENT_INDEX: Final = "event index"
"""Stands among the parts of a helper for the numbers by which the events of a projection are listed."""


@dataclass(frozen=True)
class Signal:
    """A tensor on its way through a chain of operators.

    Attributes:
        buffer: where it lies, and in which range.
        order: the row-major index, in the tensor's shape, of what lies at each position.
        rate: the share of elements that are not 0, as far as it is known.
    """

    buffer: Buffer
    shape: Shape
    order: Array
    rate: float


@dataclass(frozen=True)
class Helper:
    """A function that a kernel calls: its family, and the buffers and constants whose types it is made for."""

    family: str
    parts: tuple[Buffer | Constant | str, ...]


@dataclass(frozen=True)
class Scratch:
    """Memory that a kernel needs while it runs.

    Attributes:
        events: how many entries its list of events must hold. `most_index`: the largest number that is listed.
        bit_words: 32-bit words for the bit planes of its source.
    """

    events: int = 0
    most_index: int = 0
    bit_words: int = 0


@dataclass(frozen=True)
class Kernel:
    """Reads `src`, writes or adds to `dst`.

    Attributes:
        name: in the table of costs, and of its templates.
        accumulates: whether it adds to a destination that something else has cleared.
        texts: the template of its text by backend, for a kernel that keeps them with its class.
    """

    name: ClassVar[str] = ""
    accumulates: ClassVar[bool] = False
    texts: ClassVar[Mapping[str, str]] = {}

    src: Buffer
    dst: Buffer

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The constants that it reads: all of its fields that are such."""
        values = (getattr(self, f.name) for f in dataclasses.fields(self))
        return tuple(v for v in values if isinstance(v, Constant))

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return ()

    @property
    def scratch(self) -> Scratch:
        return Scratch()


@dataclass(frozen=True)
class Site:
    """A layer with weights, for which a kernel is chosen.

    Attributes:
        weight: `[out, in/groups, ky, kx]`; of a fully connected layer `[out, in, 1, 1]`, its inputs in the order in
            which the source lies.
        linear: whether the layer is fully connected.
        constant: makes a constant of an array and a word for its name.
    """

    source: Signal
    dst: Buffer
    weight: Array
    geometry: Geometry
    linear: bool
    constant: Callable[[Array, str], Constant]

    @property
    def one_group(self) -> bool:
        return self.geometry.groups == 1

    @property
    def depthwise(self) -> bool:
        """Whether each channel has a filter of its own."""
        return self.geometry.groups == self.geometry.channels == self.geometry.out_channels

    def contiguous(self, weight: Array) -> Constant:
        """Weights in the layout in which a kernel walks through them."""
        return self.constant(np.ascontiguousarray(weight), "WEIGHT")


@dataclass(frozen=True)
class Weighted(Kernel):
    """A kernel with weights.

    Attributes:
        relative_cost: what a synapse costs beside one of a dense kernel, where the target's table says nothing.
    """

    accumulates: ClassVar[bool] = True
    relative_cost: ClassVar[float] = 1.0
    weight: Constant

    @classmethod
    def applies(cls, site: Site) -> bool:
        """Whether the kernel can compute a layer."""
        raise NotImplementedError

    @classmethod
    def cost(cls, site: Site, costs: Mapping[str, float]) -> float:
        """What a synapse of a layer costs in a tick, relative to one of a dense kernel.

        Args:
            costs: the target's table, by the names of kernels.
        """
        return costs.get(cls.name, cls.relative_cost)

    @classmethod
    def make(cls, site: Site) -> Weighted:
        """The kernel for a layer to which it applies."""
        raise NotImplementedError

    @property
    def repeats(self) -> int:
        """How often an event may stand in a list of events: small counts are spikes that repeat. 0 for values."""
        return self.src.high if self.src.low >= 0 and self.src.high <= MAX_REPEATS and not self.src.adds else 0

    @property
    def small(self) -> bool:
        """Whether four products with 8-bit weights fit 16 bits."""
        return max(self.src.high, -self.src.low) < 64


@dataclass(frozen=True)
class EventKernel(Weighted):
    """A kernel that lists the active elements of its source first; `rate` is their share."""

    SPARSE_RATE: ClassVar[float] = 0.04
    rate: float

    @classmethod
    def cost(cls, site: Site, costs: Mapping[str, float]) -> float:
        """Only the synapses of active elements are touched, each at a higher price."""
        return site.source.rate * super().cost(site, costs)

    @property
    def lists_repeats(self) -> bool:
        """Whether an element may stand in that list several times."""
        return self.repeats > 1

    @property
    def scan(self) -> str:
        """How the list is made: with repeats; skipping runs of zeros, where few elements are active; or over all."""
        return "repeat" if self.lists_repeats else "sparse" if self.rate < self.SPARSE_RATE else "all"

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return Helper("add", (self.weight, self.dst)), Helper("scan", (self.src, EVENT_INDEX, self.scan))

    @property
    def scratch(self) -> Scratch:
        return Scratch(self.src.size * (MAX_REPEATS if self.lists_repeats else 1), self.src.size)
