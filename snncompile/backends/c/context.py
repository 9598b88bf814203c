"""The context of the C templates: a plan in which types, names and expressions are those of C.

Names are C identifiers, labels are texts for comments, and types are those of `stdint.h`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.backends.c.expressions import Line
from snncompile.backends.c.functions import Function
from snncompile.backends.c.types import DTYPES
from snncompile.backends.plan.kernels.kernel import Kernel, Scratch
from snncompile.backends.plan.sharing import Part
from snncompile.ir.types import Array, Shape


@dataclass(frozen=True)
class Row:
    """A buffer: a C expression that points to it, the type of its elements, their number."""

    text: str
    type: str
    size: int


@dataclass(frozen=True)
class Data:
    """A constant array of the emitted program, and its name."""

    name: str
    values: Array


@dataclass(frozen=True)
class KernelView:
    """A kernel as its template sees it.

    A template reads the fields and properties of the kernel; instead of a buffer or constant it gets a `Row` or `Data`.

    Attributes:
        kernel: the kernel of the plan.
        in_c: the row or data for each buffer and constant of the kernel, by its `id`.
    """

    kernel: Kernel
    in_c: Mapping[int, Row | Data]

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.kernel, name)
        return self.in_c.get(id(value), value)


@dataclass(frozen=True)
class UpdateView:
    """The update of a population as it is printed.

    Attributes:
        lines: its statements, with marks for numbers; see `functions`.
        states: the number of states that it reads and writes.
        nested: whether there is a loop around the loop over the neurons of a block.
    """

    lines: tuple[Line, ...]
    states: int
    nested: bool


@dataclass(frozen=True)
class SourceCode:
    """An input or population, and the array of rows that holds what it emits, a row for each tick.

    Attributes:
        type: of the emitted values.
        size: the number of values in a row, which are `places` times `channels`.
        history: rows of past ticks, which lie in front of those of the current chunk.
        plain: whether a row lies in the user's order.
        shared: whether its memory is also that of other parts of the network.
    """

    name: str
    label: str
    type: str
    size: int
    channels: int
    places: int
    history: int
    plain: bool
    shared: bool

    @property
    def rows(self) -> str:
        """The member of the network's struct that holds its rows."""
        return f"shared.rows.{self.name}.row" if self.shared else f"rows.{self.name}"

    def row_bytes(self, chunk: int) -> int:
        """Bytes of its rows where so many ticks run layer by layer."""
        return DTYPES[self.type].itemsize * self.size * (self.history + chunk)

    def row(self, delay: int) -> str:
        """The C expression of the row that was emitted so many ticks before the tick with the number `tick`."""
        return f"net->{self.rows} + (size_t)({self.history - delay}u + tick) * {self.size}u"


@dataclass(frozen=True)
class KernelCall:
    """A kernel of a projection, as it is called.

    Attributes:
        clear: the C expression of the row that is set to 0 in front of it; empty where there is none.
        text: the C expression that calls its function.
    """

    clear: str
    text: str


@dataclass(frozen=True)
class Projection:
    """One projection: the kernels that add it to an accumulator.

    Attributes:
        delay: how many ticks ago the row was emitted that it reads.
        calls: its kernels in their order.
        rows: the buffers between its kernels.
        scratch: for each kind of scratch memory, as much as the kernel needs that needs most.
        index_type: the type of the indices in the list of events.
    """

    name: str
    label: str
    source: SourceCode
    delay: int
    calls: tuple[KernelCall, ...]
    rows: tuple[Row, ...]
    scratch: Scratch
    index_type: str


@dataclass(frozen=True)
class AccumulatorCode:
    """Synaptic sums of a population that are multiplied by the same factor, one for each neuron."""

    name: str
    type: str


@dataclass(frozen=True)
class StateArray:
    """A state of a population, one integer for each neuron; a reset sets it to `initial`, or to `initials`."""

    name: str
    type: str
    initial: int | None
    initials: Data | None


@dataclass(frozen=True)
class PopulationCode:
    """Everything that is printed for one population.

    Attributes:
        source: the rows that it writes.
        rule: the name of its neuron rule, for a comment.
        update: the C expression that calls the function of its update.
        home: the member of the network's struct that holds the accumulators.
        standing: whether its sums are kept while the frame that they were computed from stands still. Such a population
            reads real-valued inputs only.
        scalar: whether it is for a processor without vector registers.
    """

    source: SourceCode
    rule: str
    accumulators: tuple[AccumulatorCode, ...]
    projections: tuple[Projection, ...]
    states: tuple[StateArray, ...]
    update: str
    home: str
    standing: bool
    scalar: bool


@dataclass(frozen=True)
class PortCode:
    """An input or output of the network, printed as an argument of its functions.

    Attributes:
        source: the rows that an input fills, or that an output reads.
        delay: how many ticks ago an output's row was emitted.
        low, high: the range of its values.
        unit: the real value of the integer 1.
        steps: says in which steps of the program the ticks of the network are; empty where both are the same.
    """

    argument: str
    label: str
    source: SourceCode
    delay: int
    shape: Shape
    low: int
    high: int
    unit: float
    steps: str = ""

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest value of its type."""
        info = np.iinfo(DTYPES[self.source.type])
        return int(info.min), int(info.max)

    @property
    def scaled(self) -> bool:
        """Whether an integer stands for a number other than itself."""
        return self.unit != 1

    @property
    def counts(self) -> bool:
        """Whether its values are numbers of spikes, so that a list of events says the same."""
        return not self.scaled and self.low <= 0 < self.high

    @property
    def event_type(self) -> str:
        """The type of the positions in a list of events."""
        return "uint16_t" if self.source.size <= 1 << 16 else "uint32_t"


@dataclass(frozen=True)
class Net:
    """The whole network as the templates see it.

    Attributes:
        prefix: begins the names of all files, types and functions.
        groups: the populations in the order in which they run, in groups. A true flag says that all members run tick by
            tick together; a population with a false flag stands alone and runs all ticks of a chunk at once.
        functions: what the kernels and updates of all populations call.
        data: all constants.
        helpers: the types and words for which each helper function is printed, by family.
        chunk: the number of ticks that run layer by layer.
        offsets: where each part of the memory begins that all share, in bytes; empty where each has memory of its own.
    """

    prefix: str
    label: str
    inputs: tuple[PortCode, ...]
    outputs: tuple[PortCode, ...]
    sources: tuple[SourceCode, ...]
    populations: tuple[PopulationCode, ...]
    groups: tuple[tuple[bool, tuple[PopulationCode, ...]], ...]
    functions: tuple[Function, ...]
    data: tuple[Data, ...]
    helpers: Mapping[str, tuple[tuple[str, ...], ...]]
    chunk: int
    offsets: Mapping[Part, int]

    @property
    def scalar(self) -> bool:
        """Whether it is for a processor without vector registers; see `plan.updates.Update`."""
        return any(p.scalar for p in self.populations)

    @property
    def takes_events(self) -> bool:
        """Whether an input can be given as a list of events."""
        return any(port.counts for port in self.inputs)

    @property
    def projections(self) -> tuple[Projection, ...]:
        """The projections of all populations."""
        return tuple(p for pop in self.populations for p in pop.projections)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all constants."""
        return sum(d.values.nbytes for d in self.data)
