"""What the HLS templates read: stages with names, widths, tables and expressions of C++."""

from __future__ import annotations

from dataclasses import dataclass

from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.hardware import Hardware, Port
from snncompile.backends.stream.links import Link, Stream
from snncompile.backends.stream.wires import Line


@dataclass(frozen=True)
class Table:
    """Constants as plain integers of C++, which compilers read fast: `type name[size]... = {text};`.

    Attributes:
        text: the numbers, with a line break now and then.
    """

    type: str
    name: str
    sizes: tuple[int, ...]
    text: str

    @property
    def brackets(self) -> str:
        return "".join(f"[{n}]" for n in self.sizes)


@dataclass(frozen=True)
class Fields:
    """Where the fields of the words of a stream lie: the number of each lowest bit.

    Attributes:
        type: of the words.
        stream: what they carry.
    """

    type: str
    stream: Stream

    @property
    def last(self) -> int:
        return self.stream.bits - 1

    @property
    def end(self) -> int:
        return self.stream.bits - 2

    @property
    def channel(self) -> int:
        return self.stream.value_bits

    @property
    def column(self) -> int:
        return self.channel + self.stream.channel_bits

    @property
    def row(self) -> int:
        return self.column + self.stream.column_bits

    def event(self, row: str, column: str, channel: str, value: str) -> str:
        """The word of an event."""
        parts = [f"{self.type}({text}) << {low}" for text, low, bits in
                 ((row, self.row, self.stream.row_bits), (column, self.column, self.stream.column_bits),
                  (channel, self.channel, self.stream.channel_bits)) if bits]
        if self.stream.value_bits:
            parts.append(f"{self.type}(ap_uint<{self.stream.value_bits}>({value}))")
        return " | ".join(f"({p})" for p in parts) or f"{self.type}(0)"


@dataclass(frozen=True)
class LinkCode:
    """One projection into a stage.

    Attributes:
        link: what it is made from.
        fields: of its words.
        comment: its name for people.
        base: the address of its first weights.
        plain: whether the channel of an event alone says what it adds, and where.
        repeats: whether an event can reach the same sum twice.
        starts: the name of the table of first groups, where they differ.
        rows, columns: for each coordinate and pair of the axis, the first group behind it, or -1 where there is none;
            and beside that, in a table of the same name with `_at` behind, the address of its weights.
    """

    link: Link
    fields: Fields
    comment: str
    base: int
    plain: bool
    repeats: bool
    starts: str

    @property
    def weighs(self) -> bool:
        """Whether its events add anything."""
        return self.link.words is not None


@dataclass(frozen=True)
class Weights:
    """How the weights of a word of lanes lie in plain integers.

    Attributes:
        bits: of a weight.
        lanes: how many weights an integer holds.
        words: how many words of all lanes an integer holds; 1 where the lanes need more than one.
    """

    bits: int
    lanes: int
    words: int

    def lane(self, address: str, lane: str) -> str:
        """The expression that has the weight of a lane in its lowest bits."""
        row = f"{address} / {self.words}" if self.words > 1 else address
        shift = f"{lane} % {self.lanes} * {self.bits}"
        if self.words > 1:
            shift = f"{address} % {self.words} * {self.lanes * self.bits} + {shift}"
        return f"weights[{row}][{lane} / {self.lanes}] >> ({shift})"


@dataclass(frozen=True)
class StageCode:
    """One stage.

    Attributes:
        network: the identifier with which all names begin; function: of its own function.
        number: its position among the stages.
        stage: what it is made from.
        fields: of what it sends.
        links, weights, tables, lines: its parts.
        ends_only: for each reader of what it sends, whether it takes ends of ticks only.
        nexts: for each state, its identifier, its bits, its first value as an expression, and what holds the next one.
        leaves: the parameters that differ between neurons: identifier and bits.
        output: the expression of what a neuron emits, and its width.
    """

    network: str
    function: str
    number: int
    stage: Stage
    fields: Fields
    links: tuple[LinkCode, ...]
    weights: Weights
    tables: tuple[Table, ...]
    lines: tuple[Line, ...]
    ends_only: tuple[bool, ...]
    nexts: tuple[tuple[str, int, str, str], ...]
    leaves: tuple[tuple[str, int], ...]
    output: str
    output_bits: int

    @property
    def parts(self) -> int:
        """Steps of a sweep for each group of sums."""
        return self.stage.lanes // self.stage.units

    @property
    def cleared(self) -> int:
        """What a sum without events is."""
        return self.stage.floor or 0

    @property
    def values(self) -> tuple[tuple[str, int], ...]:
        """What a neuron reads: name and bits."""
        return (*((f"sum{i}", bits) for i, bits in enumerate(self.stage.accumulators)),
                *((f"state_{name}", bits) for name, bits, _, _ in self.nexts),
                *((f"leaf_{name}", bits) for name, bits in self.leaves))


@dataclass(frozen=True)
class BranchCode:
    """One reader of a stream: the stream of its own, and how many words that holds."""

    name: str
    depth: int
    ends_only: bool


@dataclass(frozen=True)
class ForkCode:
    """A stream and its readers."""

    fields: Fields
    comment: str
    branches: tuple[BranchCode, ...]


@dataclass(frozen=True)
class Top:
    """The function of a network.

    Attributes:
        hardware: the network.
        forks: its streams, by the name of what sends.
        types: the types of words: their names and bits.
    """

    hardware: Hardware
    forks: dict[str, ForkCode]
    types: tuple[tuple[str, int], ...]

    @property
    def name(self) -> str:
        return self.hardware.name

    @property
    def ports(self) -> str:
        """The parameters of the function."""
        ends = (*((f"in_{p.name}", p) for p in self.hardware.inputs),
                *((f"out_{p.name}", p) for p in self.hardware.outputs))
        return ", ".join(f"hls::stream<{self.bus(p)} > &{name}" for name, p in ends)

    def bus(self, port: Port) -> str:
        """The type of words on AXI4-Stream."""
        return f"hls::axis<ap_uint<{8 * port.bytes}>, 0, 0, 0>"
