"""The frozen context that the C templates print: buffers, populations, projections, and their order."""

from __future__ import annotations

from dataclasses import dataclass

from snncompile.backends.c.expressions import Line
from snncompile.backends.c.kernels import Data, EventKernel, Kernel, Row
from snncompile.ir.types import Shape


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

    @property
    def plain(self) -> bool:
        """Whether memory order is the user's order."""
        return self.channels == 1 or self.places == 1


@dataclass(frozen=True)
class Projection:
    """One projection: the function that adds it to an accumulator.

    `scans` is how many elements an event list must hold, `bits` how many words the source's bit planes take.
    """

    name: str
    label: str
    source: Source
    delay: int
    kernels: tuple[Kernel, ...]
    scratch: tuple[Row, ...]
    accumulator: str
    accumulator_type: str
    scans: int
    bits: int

    @property
    def function(self) -> str:
        return f"project_{self.name}"

    @property
    def index_type(self) -> str:
        largest = max((k.src.size for k in self.kernels if isinstance(k, EventKernel)), default=0)
        return "uint16_t" if largest <= 1 << 16 else "uint32_t"


@dataclass(frozen=True)
class Accumulator:
    """Sums of synaptic input that share a multiplier."""

    name: str
    type: str
    factor: int | None
    factors: Data | None
    low: int
    high: int


@dataclass(frozen=True)
class StateArray:
    """A state of a population: one integer a neuron."""

    name: str
    type: str
    bits: int
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
    data: tuple[Data, ...]
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
    """The whole network as the templates see it."""

    prefix: str
    label: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    sources: tuple[Source, ...]
    populations: tuple[PopulationCode, ...]
    groups: tuple[tuple[bool, tuple[PopulationCode, ...]], ...]
    data: tuple[Data, ...]
    add_types: tuple[tuple[str, str], ...]
    scan_types: tuple[tuple[str, str, str], ...]
    pool_types: tuple[tuple[str, str, str], ...]
    dot_types: tuple[tuple[str, str, str], ...]
    chunk: int

    @property
    def projections(self) -> tuple[Projection, ...]:
        return tuple(p for pop in self.populations for p in pop.projections)

    @property
    def weight_bytes(self) -> int:
        return sum(d.values.nbytes for d in self.data)
