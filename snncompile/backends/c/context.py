"""The frozen context that the C templates print: a plan in C's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snncompile.backends.c.expressions import Line
from snncompile.backends.plan.kernels.kernel import Kernel, Scratch
from snncompile.ir.types import Array, Shape


@dataclass(frozen=True)
class Row:
    """A buffer in memory: the C expression that points to it, its element type, and its length."""

    text: str
    type: str
    size: int


@dataclass(frozen=True)
class Data:
    """Constants under their name in C: a read-only array of the emitted program."""

    name: str
    values: Array


@dataclass(frozen=True)
class KernelView:
    """A kernel as its template sees it: what the kernel says of itself, its buffers and constants in C's words."""

    kernel: Kernel
    in_c: Mapping[int, Row | Data]

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.kernel, name)
        return self.in_c.get(id(value), value)


@dataclass(frozen=True)
class Source:
    """A node that others read: its rows of emitted values, `history` ticks of past first, then a chunk."""

    name: str
    label: str
    type: str
    size: int
    channels: int
    places: int
    history: int
    plain: bool


@dataclass(frozen=True)
class Projection:
    """One projection: the function that adds it to an accumulator.

    `scratch` is what its kernels need together, `rows` the buffers between them.
    """

    name: str
    label: str
    source: Source
    delay: int
    kernels: tuple[KernelView, ...]
    rows: tuple[Row, ...]
    accumulator: str
    accumulator_type: str
    scratch: Scratch

    @property
    def function(self) -> str:
        return f"project_{self.name}"

    @property
    def index_type(self) -> str:
        """The type of the numbers by which events are listed."""
        return "uint16_t" if self.scratch.most_index <= 1 << 16 else "uint32_t"


@dataclass(frozen=True)
class Accumulator:
    """Sums of synaptic input that share a multiplier."""

    name: str
    type: str


@dataclass(frozen=True)
class StateArray:
    """A state of a population: one integer a neuron."""

    name: str
    type: str
    initial: int | None
    initials: Data | None


@dataclass(frozen=True)
class PopulationCode:
    """Everything printed for one population.

    `lanes` is the length of the update's inner loop. A population that `keeps` its sums reads real-valued inputs
    only: while a frame stands still, its synapses are not computed again.
    """

    source: Source
    rule: str
    accumulators: tuple[Accumulator, ...]
    projections: tuple[Projection, ...]
    states: tuple[StateArray, ...]
    lines: tuple[Line, ...]
    next_state: tuple[tuple[str, str, str], ...]
    output: str
    lanes: int
    keeps: bool

    @property
    def home(self) -> str:
        """The member of the network's state that holds the accumulators."""
        return "kept" if self.keeps else "acc"

    @property
    def blocks(self) -> int:
        """How often the update's inner loop, over `lanes` neurons, runs."""
        return self.source.size // self.lanes


@dataclass(frozen=True)
class Port:
    """An input or output of the network: the argument that carries it.

    `steps` says in which steps it carries the ticks of the network, where those are not the same.
    """

    argument: str
    label: str
    source: Source
    delay: int
    shape: Shape
    low: int
    high: int
    steps: str = ""


@dataclass(frozen=True)
class Net:
    """The whole network as the templates see it.

    Attributes:
        helpers: by family of functions, the types for which they are needed.
    """

    prefix: str
    label: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    sources: tuple[Source, ...]
    populations: tuple[PopulationCode, ...]
    groups: tuple[tuple[bool, tuple[PopulationCode, ...]], ...]
    data: tuple[Data, ...]
    helpers: Mapping[str, tuple[tuple[str, ...], ...]]
    chunk: int

    @property
    def projections(self) -> tuple[Projection, ...]:
        return tuple(p for pop in self.populations for p in pop.projections)

    @property
    def weight_bytes(self) -> int:
        return sum(d.values.nbytes for d in self.data)
