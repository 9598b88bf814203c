"""A network as hardware: its ends, its stages, and the buffers in front of their readers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.links import Link, Stream
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

    @property
    def most(self) -> int:
        """The words of a whole tick and its delay, of which more never wait."""
        return self.reader.stream.size + 1 if isinstance(self.reader, Port) else self.reader.depth


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
        the stream; the folding of the stage may ask for more.
        """
        readers: dict[str, list[tuple[Link | Port, int | None]]] = {name: [] for name in self.streams}
        for stage in self.stages:
            for k in stage.links:
                alone = len(stage.links) == 1 and not k.delay
                readers[k.stream.name].append((k, stage.fold.queue if alone else None))
        for port in self.outputs:
            readers[port.stream.name].append((port, 1))
        return {name: tuple(_branch(reader, queue if len(found) == 1 else None) for reader, queue in found)
                for name, found in readers.items()}


def _branch(reader: Link | Port, queue: int | None) -> Branch:
    """The buffer in front of a reader: of as many words as its queue has, or of all that may wait where there is none.
    """
    tokens, ends_only = (0, False) if isinstance(reader, Port) else (reader.delay, reader.words is None)
    branch = Branch(reader, 1, queue == 1, tokens, ends_only)
    return replace(branch, depth=branch.most if queue is None else min(queue, branch.most))
