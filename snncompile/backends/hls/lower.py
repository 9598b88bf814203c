"""From stages to the context of the HLS templates: names, tables and expressions of C++ are chosen here."""

from __future__ import annotations

import numpy as np

from snncompile.backends.hls.context import BranchCode, Fields, ForkCode, LinkCode, StageCode, Table, Top, Weights
from snncompile.backends.hls.expressions import lines_of, name_of
from snncompile.backends.names import comment
from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.hardware import Branch, Hardware, Port
from snncompile.backends.stream.links import Link, Stream
from snncompile.backends.stream.scatter import Axis
from snncompile.ir.operations import bit_width, extent
from snncompile.ir.types import Array

A_LINE = 16
"""Numbers in a line of a table."""


def lower_top(hardware: Hardware) -> Top:
    """The function of a network."""
    forks = {name: ForkCode(_fields(hardware.name, stream), comment(stream.label),
                            tuple(map(_branch, hardware.branches[name])))
             for name, stream in hardware.streams.items()}
    return Top(hardware, forks, tuple((f.fields.type, f.fields.stream.bits) for f in forks.values()))


def lower_stage(hardware: Hardware, number: int) -> StageCode:
    """The context of the stage with this position."""
    stage = hardware.stages[number]
    unit, network = stage.unit, hardware.name
    weights, stored = _weights(stage)
    links = tuple(_link(network, i, k, base) for i, (k, base) in enumerate(zip(stage.links, stage.bases, strict=True)))
    tables = [stored, *(t for i, k in enumerate(stage.links) if k.words is not None for t in _tables(stage, i, k))]
    tables += [table(f"table_{name}", values) for name, values in stage.tables.items()]
    tables += [table("due0", np.array(stage.links[0].complete))] if stage.lines else []
    tables += [table(f"all_{name}", _by_step(stage, v)) for name, v in stage.params.items()]
    tables += [table(f"initial_{s.name}", _by_step(stage, s.initial)) for s in stage.states
               if isinstance(s.initial, np.ndarray)]
    wires = dict(unit.next_state)
    nexts = tuple((s.name, s.bits, f"initial_{s.name}[step][n]" if isinstance(s.initial, np.ndarray) else
                   str(int(s.initial)), name_of(unit, wires[s.label])) for s in stage.states)
    leaves = tuple((name, bit_width(extent(v))) for name, v in stage.params.items())
    return StageCode(network, f"{network}_S_{stage.stream.name}", number, stage, _fields(network, stage.stream), links,
                     weights, tuple(tables), tuple(lines_of(unit)),
                     tuple(b.ends_only for b in hardware.branches[stage.stream.name]), nexts, leaves,
                     name_of(unit, unit.output), unit.wires[unit.output].bits)


def table(name: str, values: Array, type: str | None = None) -> Table:
    """Numbers as a table, of the smallest type that holds them if none is given."""
    values = np.asarray(values)
    kind = type or _smallest(bit_width(extent(values)), "int")
    suffix = {"uint64_t": "ULL", "int64_t": "LL"}.get(kind, "")
    numbers = [f"{n}{suffix}" for n in values.reshape(-1).tolist()]
    lines = (", ".join(numbers[i:i + A_LINE]) for i in range(0, len(numbers), A_LINE))
    return Table(kind, name, values.shape, ",\n".join(lines).replace(f"{-(1 << 63)}LL", f"{-(1 << 63) + 1}LL - 1"))


def _smallest(bits: int, kind: str) -> str:
    return f"{kind}{next(n for n in (8, 16, 32, 64) if n >= bits)}_t"


def _fields(network: str, stream: Stream) -> Fields:
    return Fields(f"{network}_W_{stream.name}", stream)


def _by_step(stage: Stage, values: Array) -> Array:
    """Values of neurons, channels last, as `[step, unit]`; neurons to spare in a group have 0."""
    channels, rows, columns = stage.stream.image
    places = np.asarray(values).reshape(rows * columns, channels)
    return np.pad(places, ((0, 0), (0, stage.place_groups * stage.lanes - channels))).reshape(-1, stage.units)


def _weights(stage: Stage) -> tuple[Weights, Table]:
    """How weights lie in integers, and the integers `[row, part]`: several words in one where that saves memory."""
    words, bits = stage.words, stage.weight_bits
    lanes = min(stage.lanes, 64 // bits)
    rows = 1 << max(0, (8 // (lanes * bits)).bit_length() - 1) if lanes == stage.lanes else 1
    packed = np.pad(words, ((0, -len(words) % rows), (0, -stage.lanes % lanes))) & ((1 << bits) - 1)
    split = packed.reshape(-1, rows, packed.shape[1] // lanes, lanes).transpose(0, 2, 1, 3)
    parts = split.reshape(*split.shape[:2], rows * lanes).astype(np.uint64)
    shifts = (np.arange(rows * lanes) * bits).astype(np.uint64)
    numbers = np.bitwise_or.reduce(parts << shifts, axis=2)
    return Weights(bits, lanes, rows), table("weights", numbers, _smallest(rows * lanes * bits, "uint"))


def _link(network: str, i: int, k: Link, base: int) -> LinkCode:
    return LinkCode(k, _fields(network, k.stream), comment(k.label), base, k.plain,
                    k.rows.repeats or k.columns.repeats, f"starts{i}" if k.starts.any() else "")


def _tables(stage: Stage, i: int, k: Link) -> list[Table]:
    """Where the events of a projection go."""
    if k.plain:
        return []
    taps = k.stream.image[0] * k.reach
    found = [*_axis(f"rows{i}", stage.rows_of(k), stage.row_groups, k.columns.taps * taps),
             *_axis(f"columns{i}", k.columns, stage.place_groups, taps)]
    return [*found, table(f"starts{i}", k.starts)] if k.starts.any() else found


def _axis(name: str, axis: Axis, groups: int, addresses: int) -> list[Table]:
    """For each coordinate and pair, the first group behind it, or -1, and the address of its weights.

    Args:
        groups, addresses: from one place behind to the next, and from one tap to the next.
    """
    group = np.full((len(axis.reached), axis.most), -1)
    address = np.zeros_like(group)
    for at, each in enumerate(axis.reached):
        for n, (place, tap) in enumerate(each):
            group[at, n], address[at, n] = place * groups, tap * addresses
    return [table(name, group), table(f"{name}_at", address)]


def _branch(branch: Branch) -> BranchCode:
    name = f"{'o' if isinstance(branch.reader, Port) else 'l'}_{branch.reader.name}"
    return BranchCode(name, 2 if branch.slot else max(2, branch.depth), branch.ends_only)
