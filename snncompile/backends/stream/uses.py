"""What look-up tables and flip-flops of hardware are for: bits of adders, of choices, of tables and so on, by name.

These follow from the stages, before a tool runs. Each is about as many look-up tables as it says, or a fixed number of
them for each bit, which `area` knows from a fit.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snncompile.backends.stream.addends import Addend, crowded, sums_of
from snncompile.backends.stream.circuit import signed_digits
from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.links import Link, bits_below
from snncompile.backends.stream.memory import BLOCK, LOGIC, MemoryUse, lut_memories
from snncompile.backends.stream.multipliers import multipliers
from snncompile.ir.operations import bit_width, extent
from snncompile.ir.types import Array
from snncompile.targets.sections import Fabric

Uses = Iterator[tuple[str, float]]
"""Names, and how much of each; one can come several times."""
JOINED = 4
"""Banks whose words one look-up table joins."""
KEPT = ("kept_", "all_")
"""How the names of memories begin that the units read: what each neuron keeps, and what differs between neurons."""
SHORTEST_SHIFT = 3
"""The fewest registers in a row that a look-up table of six inputs holds."""


def uses(hardware: Hardware) -> dict[str, float]:
    """What the cells of hardware are for, and how much of each there is."""
    total: dict[str, float] = {}
    for name, amount in (*(pair for s in hardware.stages for pair in _stage(s)), *_buffers(hardware)):
        total[name] = total.get(name, 0.0) + float(amount)
    return total


def _stage(stage: Stage) -> Uses:
    yield from _control(stage)
    yield from _sums(stage)
    yield from _memories(stage)
    yield from ((name, stage.units * amount) for name, amount in _unit(stage))


def _control(stage: Stage) -> Uses:
    """Counters, addresses, and what finds the places of an event."""
    image, weighing = stage.stream.image, [k for k in stage.links if k.words is not None]
    address, group = max(1, bits_below(stage.weight_words)), bits_below(stage.groups + 1)
    yield "stages", 1
    yield "links", len(stage.links) - 1
    yield "levels", stage.latency
    yield "counters", group + bits_below(stage.steps + 1) * (1 + stage.selects) + address * (not stage.joined)
    if stage.selects:
        yield "counters", bits_below(stage.place_steps + 1)
    if any(n & (n - 1) for n in image[::2]) and stage.stream.size > stage.units:
        yield "counters", sum(map(bits_below, image))
    if stage.units > 1:
        yield "several units", stage.units * (stage.stream.value_bits + 1)
    for k, base in zip(stage.links, stage.bases, strict=True):
        if k.words is not None and k.stream.channel_bits and not stage.joined:
            yield from _address(k, base, address)
    if any(not k.plain for k in weighing):
        yield "places", (address + group) * len(weighing)
        yield "tables of axes", sum(_axis_tables(stage, k) for k in weighing)


def _address(link: Link, base: int, bits: int) -> Uses:
    """The address of the first weights of a channel: a number times the channel, and another number."""
    terms = [Addend(bit, bit + link.stream.channel_bits) for bit, _ in signed_digits(link.reach)]
    terms += [Addend(0, base.bit_length())] if base else []
    yield "carry chains", bits * (len(terms) > 1)
    yield from crowded(terms).items()


def _axis_tables(stage: Stage, link: Link) -> float:
    """The tables along both axes, and the first groups of channels."""
    taps, inputs = link.stream.image[0] * link.reach, stage.fabric.lut_inputs
    tables = (*stage.rows_of(link).table(stage.row_groups, link.columns.taps * taps),
              *link.columns.table(stage.place_groups, taps), link.starts)
    return sum(logic(np.reshape(t, (-1, 1)), inputs) for t in tables)


def _sums(stage: Stage) -> Uses:
    """Adders of weights, what chooses among lanes, and what joins banks."""
    sums, six = sum(stage.accumulators), stage.fabric.lut_inputs >= 6
    yield "sums", stage.lanes * sums
    yield "choices of words", choice(stage.lanes // stage.units, six) * stage.units * sums
    values = max((k.stream.value_bits for k in stage.links if k.words is not None), default=0)
    if stage.floor is not None:
        yield "largest", stage.lanes * sums
    elif values and not multipliers(stage.fabric, stage.weight_bits, values):
        yield "products", stage.lanes * stage.weight_bits * values
    if stage.banks > 1:
        joins = -(-stage.banks // JOINED)
        yield "banks", stage.banks - 1
        yield "joined banks", (joins + (joins > 1 and not six)) * stage.lanes * stage.weight_bits
        if stage.fabric.family == "ice40":  # its blocks cannot give 0 by themselves
            yield "gated banks", stage.banks * stage.lanes * stage.weight_bits


def _memories(stage: Stage) -> Uses:
    """What stages keep, and memories that are no blocks."""
    fabric, inputs = stage.fabric, stage.fabric.lut_inputs
    contents = {"weights": stage.stored, **{f"all_{n}": stage.by_step(v) for n, (v, _) in stage.constants.items()}}
    yield "states", stage.units * sum(s.bits for s in stage.states)
    for s in stage.states:
        if isinstance(s.initial, np.ndarray) and not stage.lines:
            yield "constants", logic(stage.by_step(s.initial), inputs)
    for m in stage.memories:
        style = stage.styles[m.name]
        if style != BLOCK and not m.name.startswith(KEPT):
            yield "words read", m.bits
        if style == LOGIC and m.constants:
            yield "constants", logic(contents[m.name], inputs)
        elif style != BLOCK:
            yield from _memory(fabric, style, m)


def _memory(fabric: Fabric, style: str, memory: MemoryUse) -> Uses:
    """A memory that is written, as flip-flops or as memories of look-up tables, of which one is chosen where several
    lie behind each other.
    """
    if style == LOGIC:
        yield "flip-flop memories", memory.bits * memory.words
    else:
        six = fabric.lut_inputs >= 6
        yield "distributed memories", lut_memories(fabric, memory.bits, memory.words)
        yield "choices of words", choice(-(-memory.words // (64 if six else 16)), six) * memory.bits


def _unit(stage: Stage) -> Uses:
    """A neuron unit."""
    yield from sums_of(stage.unit)
    for wire in stage.unit.wires:
        args = [stage.unit.wires[a].bits for a in wire.args]
        match wire.op:
            case "choose" | "saturate" | "both" | "either":
                yield "choices", wire.bits
            case "sub-gated":
                yield "choices", min(wire.bits, args[1])
            case "rom":
                yield "constants", logic(np.reshape(stage.tables[str(wire.value)], (-1, 1)), stage.fabric.lut_inputs)
            case "mul" if not multipliers(stage.fabric, *args):
                yield "small products", args[0] * args[1]
    for bits, length in _rows(stage):
        if stage.fabric.lut_inputs >= 6 and length >= SHORTEST_SHIFT:
            yield "shift registers", bits
        else:
            yield "registers", bits * length


def _rows(stage: Stage) -> Iterator[tuple[int, int]]:
    """The registers in a row that carry a wire of a unit from where it is read to where it is read next: bits, length.

    There are some already between a memory and the unit; the first one of a block lies inside it.
    """
    for i, wire in enumerate(stage.unit.wires):
        start = wire.level
        if wire.op in ("state", "param"):
            style = stage.styles.get(f"{KEPT[wire.op == 'param']}{wire.value}")
            start -= stage.extra + (style != BLOCK)
        elif wire.op == "sum":
            start -= stage.selects
        for level in sorted(stage.unit.read_in(i)) if wire.op != "const" else ():
            if level > start:
                yield wire.bits, level - start
                start = level


def _buffers(hardware: Hardware) -> Uses:
    """The buffers between stages."""
    for name, branches in hardware.branches.items():
        yield "slots", hardware.streams[name].bits * sum(b.slot for b in branches)
    for m in hardware.buffers:
        yield "buffers", 1
        yield "buffer counters", 3 * bits_below(m.words + 1)
        yield "buffer words", m.bits
        style = m.style(hardware.fabric)
        if style != BLOCK:
            yield from _memory(hardware.fabric, style, m)


def choice(ways: int, six: bool) -> int:
    """The look-up tables that choose one of several bits: those of six inputs choose among four, others between two.

    >>> choice(4, six=True), choice(4, six=False)
    (1, 3)
    """
    return 0 if ways < 2 else -(-ways // 4) if six else ways - 1


def logic(table: Array, inputs: int) -> float:
    """The look-up tables of constants that are logic: for each bit of a word that varies, as many as have room for it.

    A bit that depends on one bit of the address takes none, and equal bits are made once:

    >>> logic(np.array([[0], [1], [7], [6]]), 4)
    1.0

    Args:
        table: `[address, value]`.
        inputs: of a look-up table.
    """
    words = np.asarray(table, np.int64)
    size = 1 << bits_below(len(words))
    bits = range(bit_width(extent(words)))
    columns = {(lane >> bit & 1).astype(np.uint8).tobytes() for lane in words.T for bit in bits}
    total = 0.0
    for column in columns:
        full = np.zeros(size, np.uint8)
        full[:len(words)] = np.frombuffer(column, np.uint8)
        needed = _needed(full)
        if needed > 1:
            total += max(1.0, min(2.0 ** needed, len(words)) / 2 ** inputs)
    return total


def _needed(column: Array) -> int:
    """How many bits of its address a table of single bits depends on."""
    cube = column.reshape((2,) * bits_below(len(column)))
    return sum(bool(np.any(np.take(cube, 0, axis) != np.take(cube, 1, axis))) for axis in range(cube.ndim))
