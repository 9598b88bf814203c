"""What a kernel declares: the buffer that it reads, the buffer that it writes or adds to, and what it needs for that.

A kernel computes one operator of a projection. A kernel with weights is one class in a file of this folder; to write a
new one:

1. Derive a frozen dataclass from `Weighted`, or from `EventKernel` if it lists active elements, and give it a `name`
   and a `relative_cost`.
2. `applies(site)` says for which operators it computes the exact sums.
3. `make(site)` puts the weights into the layout in which the kernel reads them and makes the kernel.
4. `helpers` and `scratch` say which helper functions and how much scratch memory it needs. Other fields of the class
   are at the template's disposal.
5. Add the class to `table.WEIGHTED`, and its cost to a target file where the measured cost is another.
6. Write its text for each backend: a template of the kernel's name, such as `snncompile/templates/c/kernels/NAME.c.j2`,
   or a text in the class attribute `texts`, by the name of the backend.

`tests/backends/plan/test_kernel_from_outside.py` adds such a kernel without any change to the compiler.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np

from snncompile.backends.plan.buffers import Buffer, Constant
from snncompile.backends.plan.kernels import host_time
from snncompile.backends.plan.layouts import Geometry
from snncompile.ir.types import Array, Shape

MAX_REPEATS = 4
"""The largest count of spikes that is listed as so many events of one spike each."""
EVENT_INDEX: Final = "event index"
"""A part of a `Helper`: stands for the type of the indices in the list of events of a projection."""


@dataclass(frozen=True)
class Signal:
    """A tensor between two operators of a projection's chain.

    Attributes:
        buffer: where its elements lie, and their range.
        shape: of the tensor, in the user's order `[channel, *space]`.
        order: `order[i]` is the row-major index, in `shape`, of the element at position `i` of the buffer.
        rate: the mean share of elements that are not 0, from 0 to 1: measured at the source, estimated behind it.
    """

    buffer: Buffer
    shape: Shape
    order: Array
    rate: float


@dataclass(frozen=True)
class Helper:
    """A function that a kernel calls, which the backend prints once for each combination of types.

    Families:
        "add": adds rows of weights to sums, with and without factors. Parts: weights, sums.
        "rows": adds the rows of weights of listed events, a run of events after another, while sums stay in registers
            where the machine has wide ones. It calls "add". Parts: source, weights, sums, EVENT_INDEX,
            `RowKernel.mode`, `RowKernel.pairs`.
        "bits": packs spikes into bits. It has no parts.
        "dot": scalar products, and sums of rows of weights times values. Parts: source, weights, sums, and "pairs"
            where two products of bytes fit 16 bits, else "each".
        "pool": adds or compares one tap of a pool for a row of places. Parts: "sum" or "max", source, destination.
        "pairs": adds rows of weights to sums of 16 bits, two at a time; see `conv_pairs`. Parts: none.
        "scan": lists the elements of a buffer that are not 0. Parts: source, EVENT_INDEX, `EventKernel.scan`.
        "words": adds words of several weights to words of sums; see `linear_words`. Parts: sums, EVENT_INDEX, and as a
            text the bits of a weight, the words of a block and its outputs.

    Attributes:
        family: one of the above, or the name of a family that the kernel's own template prints.
        parts: what the function is made for: the types of buffers and constants, and words.
    """

    family: str
    parts: tuple[Buffer | Constant | str, ...]


@dataclass(frozen=True)
class Scratch:
    """Memory that a kernel needs while it runs; it holds nothing between two kernels.

    Attributes:
        events: the number of entries that its list of events must hold.
        index_limit: a number above every index that is listed, which is the size of the source.
        bit_words: the number of 32-bit words for one bit plane of its source.
    """

    events: int = 0
    index_limit: int = 0
    bit_words: int = 0


@dataclass(frozen=True)
class Kernel:
    """One step in the computation of a projection.

    Attributes:
        name: of the kernel in tables of costs, and of its templates.
        accumulates: whether it adds to a destination that must have been set to 0; False where it writes every element,
            and for kernels that only ever add to an accumulator.
        texts: the source of a template by the name of a backend, for a kernel that has no template file.
        src: the buffer that it reads.
        dst: the buffer that it writes or adds to.
    """

    name: ClassVar[str] = ""
    accumulates: ClassVar[bool] = False
    texts: ClassVar[Mapping[str, str]] = {}

    src: Buffer
    dst: Buffer

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The constants that it reads: those of its fields that hold a `Constant`, in their order."""
        values = (getattr(self, f.name) for f in dataclasses.fields(self))
        return tuple(v for v in values if isinstance(v, Constant))

    @property
    def helpers(self) -> tuple[Helper, ...]:
        """The functions that it calls."""
        return ()

    @property
    def scratch(self) -> Scratch:
        """The memory that it needs while it runs."""
        return Scratch()


@dataclass(frozen=True)
class Site:
    """An operator with weights, for which a kernel is to be chosen.

    Attributes:
        source: what the operator reads; of all but a fully connected layer it lies channels last.
        dst: the sums that it adds to, channels last.
        weight: `[out, in / groups, ky, kx]`; of a fully connected layer `[out, in, 1, 1]`, with `in` in the order in
            which the source lies; of a token mixing `[head, out, in]`.
        geometry: the sizes of the operator; a fully connected layer has one place. The tokens of a token mixing are
            columns, and its heads are groups.
        kind: what the operator is.
        constant: makes a constant of the plan from an array and a word for its name, such as "WEIGHT".
    """

    source: Signal
    dst: Buffer
    weight: Array
    geometry: Geometry
    kind: Literal["linear", "conv", "mix"]
    constant: Callable[[Array, str], Constant]

    @property
    def linear(self) -> bool:
        """Whether the layer is fully connected."""
        return self.kind == "linear"

    @property
    def convolves(self) -> bool:
        """Whether it is a convolution."""
        return self.kind == "conv"

    @property
    def mixes(self) -> bool:
        """Whether it is a token mixing."""
        return self.kind == "mix"

    @property
    def one_group(self) -> bool:
        """Whether each output channel reads all input channels."""
        return self.geometry.groups == 1

    @property
    def depthwise(self) -> bool:
        """Whether each channel has one filter and is read by no other channel."""
        return self.geometry.groups == self.geometry.channels == self.geometry.out_channels

    @property
    def synapses(self) -> int:
        """The number of synapses, those of the padding included."""
        g = self.geometry
        places = g.out_height * g.out_width * g.kernel[0] * g.kernel[1]
        return places * (g.width * g.channels if self.mixes else g.out_channels * g.channels // g.groups)

    @property
    def events(self) -> float:
        """The mean number of active elements in a tick."""
        return self.source.rate * self.source.buffer.size

    @property
    def paired(self) -> bool:
        """Whether two products of its source's values with weights of bytes fit 16 bits."""
        source = self.source.buffer
        return source.low >= 0 and source.high < 128 and not source.adds and self.weight.dtype.itemsize == 1

    def contiguous(self, weight: Array) -> Constant:
        """The weights as a constant, in the order of the axes of the given array."""
        return self.constant(np.ascontiguousarray(weight), "WEIGHT")


@dataclass(frozen=True)
class Weighted(Kernel, ABC):
    """A kernel with weights, which adds the synaptic input of an operator to its sums.

    Attributes:
        relative_cost: what a synapse costs where a synapse of `linear_dense` costs 1. It is used where the costs of the
            target do not name the kernel and `cycles` does not know its time.
        weight: the weights in the kernel's own layout.
    """

    accumulates: ClassVar[bool] = True
    relative_cost: ClassVar[float] = 1.0
    weight: Constant

    @classmethod
    @abstractmethod
    def applies(cls, site: Site) -> bool:
        """Whether the kernel computes the exact sums of an operator."""

    @classmethod
    def cycles(cls, site: Site) -> float | None:
        """The estimated cycles of a tick on a host, see `host_time`; None where they are not known."""
        return None

    @classmethod
    def cost(cls, site: Site, costs: Mapping[str, float]) -> float:
        """What a synapse of an operator costs in a tick on average, where one of `linear_dense` costs 1.

        Args:
            costs: the costs of the target, by the names of kernels.
        """
        cycles = None if cls.name in costs else cls.cycles(site)
        if cycles is None:
            return costs.get(cls.name, cls.relative_cost)
        return cycles / (host_time.DENSE * max(site.synapses, 1))

    @classmethod
    @abstractmethod
    def make(cls, site: Site) -> Weighted:
        """Make the kernel for an operator to which it applies."""

    @property
    def repeats(self) -> int:
        """How often an element may be listed as an event, where its weights are added without a multiplication.

        This is the largest value of a source of spikes or of counts up to MAX_REPEATS. It is 0 for any other source,
        whose weights have to be multiplied by its values.
        """
        return self.src.high if self.src.low >= 0 and self.src.high <= MAX_REPEATS and not self.src.adds else 0

    @property
    def dot(self) -> Helper:
        """The helper "dot" for its source, weights and sums."""
        pairs = self.src.low >= 0 and self.src.high < 128 and not self.src.adds
        return Helper("dot", (self.src, self.weight, self.dst, "pairs" if pairs else "each"))

    @property
    def small(self) -> bool:
        """Whether the sum of four products of source values with 8-bit weights fits a signed integer of 16 bits."""
        return max(self.src.high, -self.src.low) < 64


@dataclass(frozen=True)
class EventKernel(Weighted):
    """A kernel that lists the elements of its source that are not 0, the events, and touches only their synapses.

    It calls the helpers "scan", which makes the list, and "add". Its list holds one entry for each element of the
    source, or MAX_REPEATS entries where small counts are listed as repeated spikes.

    Attributes:
        SPARSE_RATE: the share of active elements below which runs of zeros are skipped when the list is made.
        rate: the share of active elements of the source.
    """

    SPARSE_RATE: ClassVar[float] = 0.04
    rate: float

    @classmethod
    def cost(cls, site: Site, costs: Mapping[str, float]) -> float:
        """The cost of a synapse. One that the target gives is that of an active element, and counts by their share."""
        known = cls.name not in costs and cls.cycles(site) is not None
        return super().cost(site, costs) * (1 if known else site.source.rate)

    @property
    def lists_repeats(self) -> bool:
        """Whether an element is listed as often as its value says."""
        return self.repeats > 1

    @property
    def scan(self) -> str:
        """How the list is made: "repeat", "sparse" or "all"; of a `RowKernel` also "counts".

        "repeat" lists each element as often as its value says. "sparse" and "all" list it once: "sparse" skips runs of
        zeros, which pays where few elements are active, and "all" tests each element. "counts" lists an element once
        where the machine multiplies bytes in pairs, and as often as its value says where it does not.
        """
        return "repeat" if self.lists_repeats else "sparse" if self.rate < self.SPARSE_RATE else "all"

    @property
    def helpers(self) -> tuple[Helper, ...]:
        return Helper("add", (self.weight, self.dst)), Helper("scan", (self.src, EVENT_INDEX, self.scan))

    @property
    def scratch(self) -> Scratch:
        return Scratch(self.src.size * (MAX_REPEATS if self.lists_repeats else 1), self.src.size)


@dataclass(frozen=True)
class RowKernel(EventKernel):
    """An event kernel that adds contiguous rows of weights by the helper "rows"."""

    @property
    def mode(self) -> str:
        """What the values of its source allow.

        "spikes" are 0 or 1, and "counts" 0 to MAX_REPEATS: both may be added without a multiplication. "bytes" are
        unsigned bytes, two products of which with weights of 8 bits fit a sum of 16 bits. Of "small" values four
        products do. All others are "values".
        """
        if self.repeats:
            return "counts" if self.lists_repeats else "spikes"
        if self.src.low >= 0 and self.pairs >= (1 if self.dst.bits <= 16 else 4) and not self.src.adds:
            return "bytes"
        return "small" if self.small else "values"

    @property
    def pairs(self) -> int:
        """How many sums of two products, of its source's largest values with weights of 8 bits, fit 16 bits."""
        return ((1 << 15) - 1) // (256 * max(self.src.high, -self.src.low, 1))

    @property
    def scan(self) -> str:
        return "counts" if self.mode == "counts" and self.weight.values.itemsize == 1 else super().scan

    @property
    def helpers(self) -> tuple[Helper, ...]:
        rows = Helper("rows", (self.src, self.weight, self.dst, EVENT_INDEX, self.mode, str(self.pairs)))
        return *super().helpers, rows


@dataclass(frozen=True)
class WordScan(EventKernel):
    """An event kernel for small processors, whose list is made four elements at a time.

    Its sources are spikes, or counts of up to MAX_REPEATS: other kernels take the rest.
    """

    @classmethod
    def cycles(cls, site: Site) -> float | None:
        """Not known: on a host, other kernels are faster."""
        return None

    @staticmethod
    def counts(source: Buffer) -> bool:
        """Whether a source holds nothing but spikes or small counts."""
        return source.low >= 0 and 0 < source.high <= MAX_REPEATS and not source.adds

    @property
    def scan(self) -> str:
        """How the list is made: "words", or "words_repeat" where an element is listed as often as its value says."""
        return "words_repeat" if self.lists_repeats else "words"
