"""A network as hardware: its ends, its stages, and the buffers in front of their readers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from snncompile.backends.stream.context import Link, Stage, Stream
from snncompile.backends.stream.memory import XC7, MemoryUse
from snncompile.targets.sections import Fabric


@dataclass(frozen=True)
class Port:
    """An input or output of the hardware: the stream that it carries."""

    name: str
    label: str
    stream: Stream

    @property
    def bytes(self) -> int:
        """The bytes of a word on AXI4-Stream, where the end of a sample has a wire of its own."""
        return -(-(self.stream.bits - 1) // 8)


@dataclass(frozen=True)
class Branch:
    """One reader of a stream, and the buffer in front of it.

    Attributes:
        reader: the projection or the output.
        depth: the words that the buffer holds.
        slot: whether a single register is enough.
        tokens: so many ends of ticks come first.
        ends_only: whether it takes ends of ticks only.
    """

    reader: Link | Port
    depth: int
    slot: bool
    tokens: int = 0
    ends_only: bool = False


@dataclass(frozen=True)
class Hardware:
    """A network as hardware.

    Attributes:
        name: an identifier; comment: its name for people, safe in comments.
        inputs, outputs: in the order of the graph.
        stages: its populations, and operators between them that need complete sums.
        fabric: the FPGA.
    """

    name: str
    comment: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    stages: tuple[Stage, ...]
    fabric: Fabric = XC7

    @cached_property
    def streams(self) -> dict[str, Stream]:
        """What inputs and stages send, by name."""
        return {s.name: s for s in (*(p.stream for p in self.inputs), *(s.stream for s in self.stages))}

    @property
    def buffers(self) -> tuple[MemoryUse, ...]:
        """The memories of buffers between stages; registers are none."""
        return tuple(MemoryUse(b.reader.name, self.streams[name].bits, b.depth)
                     for name, found in self.branches.items() for b in found if not b.slot)

    @property
    def blocks(self) -> int:
        """The memory blocks that it takes, without those of tables."""
        return sum(m.blocks(self.fabric) for m in (*(m for s in self.stages for m in s.memories), *self.buffers))

    @cached_property
    def branches(self) -> dict[str, tuple[Branch, ...]]:
        """The readers of each stream, by the name of the stream, which are in front of the stages and outputs.

        A single register is enough in front of a stage that reads nothing else, or an output, where nothing else reads
        the stream.
        """
        readers: dict[str, list[tuple[Link | Port, bool]]] = {name: [] for name in self.streams}
        for stage in self.stages:
            for k in stage.links:
                readers[k.stream.name].append((k, len(stage.links) == 1 and not k.delay))
        for port in self.outputs:
            readers[port.stream.name].append((port, True))
        return {name: tuple(_branch(reader, alone and len(found) == 1) for reader, alone in found)
                for name, found in readers.items()}


def _branch(reader: Link | Port, slot: bool) -> Branch:
    if isinstance(reader, Port):
        return Branch(reader, reader.stream.size + 1, slot)
    return Branch(reader, reader.depth, slot, reader.delay, reader.words is None)
