"""What the Verilog templates read: stages with names, widths and expressions of Verilog."""

from __future__ import annotations

from dataclasses import dataclass

from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.links import bits_below
from snncompile.backends.stream.wires import Line
from snncompile.backends.verilog.expressions import Register


def count_bits(most: int) -> int:
    """The bits of a counter that goes up to a number."""
    return max(1, most.bit_length())


@dataclass(frozen=True)
class Memory:
    """Constants in a file of hexadecimal words: `bits` wide, `words` of them."""

    name: str
    file: str
    bits: int
    words: int


@dataclass(frozen=True)
class AxisTable:
    """The table of an axis: the word of a coordinate and a pair says whether there is one, its group, and its address.

    Attributes:
        memory: its words.
        index_bits, tap_bits: of the coordinate and of the number of the pair, which make the address of a word.
        group_bits, address_bits: of the parts of a word.
    """

    memory: Memory
    index_bits: int
    tap_bits: int
    group_bits: int
    address_bits: int


@dataclass(frozen=True)
class LinkCode:
    """One projection into a stage.

    Attributes:
        bits, value_bits: of its words, and of the values in them.
        comment: its name for people.
        delay: in ticks.
        weighs: whether its events add anything; the rest is empty where not.
        row, column, channel, value: expressions of the fields of a word.
        channel_bits: of the channel.
        address: the expression of the first address of the weights of a channel.
        reach: groups at each place.
        start: the expression of the first group of a channel.
        starts: the memory behind that, if there is one.
        rows, columns: the tables of the axes.
        due: where rows are swept early, the memory of the steps that have to be swept before an event of each row.
    """

    bits: int
    value_bits: int
    comment: str
    delay: int
    weighs: bool
    row: str = ""
    column: str = ""
    channel: str = ""
    value: str = ""
    channel_bits: int = 1
    address: str = ""
    reach: int = 1
    start: str = "0"
    starts: Memory | None = None
    rows: AxisTable | None = None
    columns: AxisTable | None = None
    due: Memory | None = None

    @property
    def delay_bits(self) -> int:
        return count_bits(self.delay)


@dataclass(frozen=True)
class SumCode:
    """One accumulator: its width, the word of a group without events, and whether the projection of `which_b` adds to
    it."""

    bits: int
    cleared: str
    mine: str


@dataclass(frozen=True)
class StateCode:
    """One state: the first word of its memory as a literal or a file, and the wire of its next value.

    Where rows are swept early, a neuron starts from `first`, an expression, in the first tick of a sample.
    """

    name: str
    bits: int
    initial: str
    file: str
    next: str
    first: str


@dataclass(frozen=True)
class WeightMemory:
    """The weights of a stage, in banks.

    Attributes:
        words, banks, bank_words: of all banks together, their number, and the words of each.
        address_bits, bank_bits: of an address, and of its part inside a bank.
        joins: for each register behind the banks, the expression of what it holds.
        joined: the bits of a group, where an address is the row and the group, one behind the other; 0 where it is
            counted.
        row_bits: of the row.
    """

    words: int
    banks: int
    bank_words: int
    address_bits: int
    bank_bits: int
    joins: tuple[str, ...]
    joined: int
    row_bits: int


@dataclass(frozen=True)
class StageCode:
    """One stage.

    Attributes:
        module: the name of its module; number: its position among the stages.
        comment: its name for people.
        stage: what it is made from.
        memory: of its weights.
        links, sums, states, params, tables, lines, registers: its parts.
        output: the wire of what a neuron emits, and its width.
        index: the expression of the index of what a step emits, without the bits that tell units apart; with `counts`,
            from counters of row, column and channel.
        spatial: whether events reach places by the tables of axes.
        last_row, last_column, pause, hold, ends_at: expressions that depend on the projection of the event.
    """

    module: str
    number: int
    comment: str
    stage: Stage
    memory: WeightMemory
    links: tuple[LinkCode, ...]
    sums: tuple[SumCode, ...]
    states: tuple[StateCode, ...]
    params: tuple[Memory, ...]
    tables: tuple[Memory, ...]
    lines: tuple[Line, ...]
    registers: tuple[Register, ...]
    output: str
    output_bits: int
    index: str
    counts: bool
    spatial: bool
    last_row: str
    last_column: str
    pause: str
    hold: str
    ends_at: str

    @property
    def read(self) -> str:
        """How the register that a state is read into begins; where rows are swept early, a choice stands behind it."""
        return "read" if self.stage.lines else "state"

    @property
    def unit_bits(self) -> int:
        """Bits of the number of a unit."""
        return max(1, bits_below(self.stage.units))

    @property
    def spare(self) -> int:
        """The units that have a neuron in the last step of a place; 0 where all have."""
        return self.stage.stream.image[0] % self.stage.units

    def neuron(self, unit: int) -> str:
        """The expression of the number of the neuron that leaves a unit, in a simulation."""
        if self.stage.units == 1:
            return "done"
        steps, channels = self.stage.place_steps, self.stage.stream.image[0]
        return f"done / {steps} * {channels} + done % {steps} * {self.stage.units} + {unit}"

    @property
    def words(self) -> tuple[tuple[str, int], ...]:
        """What enters the units: the words of sums, states and parameters, and the bits of a value."""
        return (*((f"sum{i}", a.bits) for i, a in enumerate(self.sums)),
                *((f"state_{m.name}", m.bits) for m in self.states), *((f"leaf_{p.name}", p.bits) for p in self.params))

    @property
    def leaves(self) -> tuple[Line, ...]:
        """What its neuron unit reads: sums, states and parameters, each as wide as the unit needs it."""
        return tuple(Line(line.text, line.bits, line.text) for line, wire in
                     zip(self.lines, (w for w in self.stage.unit.wires if w.op != "const"), strict=True)
                     if wire.op in ("sum", "state", "param"))

    @property
    def several(self) -> bool:
        """Whether there are several projections."""
        return len(self.links) > 1

    @property
    def valued(self) -> bool:
        """Whether what events add depends on their values."""
        return self.stage.floor is not None or any(k.value_bits for k in self.links)

    @property
    def row_width(self) -> int:
        """Bits of a group of weights."""
        return self.stage.lanes * self.stage.weight_bits

    @property
    def turn_bits(self) -> int:
        return count_bits(len(self.links))

    @property
    def group_bits(self) -> int:
        return count_bits(self.stage.groups)

    @property
    def lane_bits(self) -> int:
        return count_bits(self.stage.lanes // self.stage.units)

    @property
    def step_bits(self) -> int:
        return count_bits(self.stage.steps)

    @property
    def value_bits(self) -> int:
        return max(2, *(k.value_bits for k in self.links), 2)

    @property
    def y_bits(self) -> int:
        return max(1, *(k.stream.row_bits for k in self.stage.links), 1)

    @property
    def x_bits(self) -> int:
        return max(1, *(k.stream.column_bits for k in self.stage.links), 1)

    @property
    def ty_bits(self) -> int:
        return max(1, *(k.rows.most.bit_length() for k in self.stage.links), 1)

    @property
    def tx_bits(self) -> int:
        return max(1, *(k.columns.most.bit_length() for k in self.stage.links), 1)


@dataclass(frozen=True)
class BranchCode:
    """One reader of a stream, and the buffer in front of it.

    Attributes:
        name: of the buffer; depth: the words that it holds.
        ends_only: whether it takes ends of ticks only.
        tokens, token: so many ends of ticks come first, each this word.
        slot: whether a single register is enough; style: what its memory becomes.
    """

    name: str
    depth: int
    ends_only: bool
    tokens: int
    token: str
    slot: bool
    style: str

    @property
    def depth_bits(self) -> int:
        return count_bits(self.depth)


@dataclass(frozen=True)
class ForkCode:
    """A stream and its readers."""

    name: str
    comment: str
    bits: int
    branches: tuple[BranchCode, ...]


@dataclass(frozen=True)
class Top:
    """The module of a network: the hardware, the modules of its stages, and the streams between them."""

    hardware: Hardware
    forks: tuple[ForkCode, ...]
