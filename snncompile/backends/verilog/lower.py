"""From stages to the context of the Verilog templates: names, widths and expressions of Verilog are chosen here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snncompile.backends.names import comment
from snncompile.backends.stream.circuit import signed_digits
from snncompile.backends.stream.context import Stage, State
from snncompile.backends.stream.hardware import Branch, Hardware, Port
from snncompile.backends.stream.links import Link, Stream, bits_below
from snncompile.backends.stream.memory import style_of
from snncompile.backends.verilog.context import BranchCode, ForkCode, LinkCode, StageCode, StateCode, SumCode, Top
from snncompile.backends.verilog.expressions import lines_of, name_at, registers_of
from snncompile.backends.verilog.memories import Files


def lower_top(hardware: Hardware) -> Top:
    """The module of a network."""
    return Top(hardware, tuple(_forks(hardware)))


def lower_stage(network: str, number: int, stage: Stage) -> tuple[StageCode, Files]:
    """The context of a stage, and the files of its memories.

    Args:
        network: the identifier with which the name of its module begins.
        number: its position among the stages.
    """
    module, unit, stream = f"{network}_S_{stage.stream.name}", stage.unit, stage.stream
    files = Files(module)
    memory = files.weights(stage)
    links = tuple(_link(stage, i, k, base, files) for i, (k, base) in
                  enumerate(zip(stage.links, stage.bases, strict=True)))
    nexts = {name: name_at(unit, i, unit.levels) for name, i in unit.next_state}
    index, counts = _index(stage)
    return StageCode(
        module, number, stage.comment, stage, memory, links,
        tuple(_sum(stage, i, bits) for i, bits in enumerate(stage.accumulators)),
        tuple(_state(stage, s, nexts[s.label], files) for s in stage.states),
        tuple(files.memory(name, stage.by_step(values), bits, f"P_{name}")
              for name, (values, bits) in stage.constants.items()),
        tuple(files.memory(f"table_{name}", values) for name, values in stage.tables.items()),
        tuple(lines_of(unit)), tuple(registers_of(unit)), name_at(unit, unit.output, unit.levels),
        max(unit.wires[unit.output].bits, stream.value_bits, 2), index, counts,
        any(k.words is not None and not k.plain for k in stage.links),
        _of_which(stage, lambda k: f"row_tap == {k.rows.most - 1}"),
        _of_which(stage, lambda k: f"column_tap == {k.columns.most - 1}"), _of_which(stage, lambda k: str(k.pause)),
        _of_which(stage, lambda k: str(k.hold)), _of_which(stage, lambda k: str(k.reach - 1))), files


def _of_which(stage: Stage, value: Callable[[Link], str]) -> str:
    """An expression that depends on the projection of the event."""
    texts = {i: value(k) for i, k in enumerate(stage.links) if k.words is not None}
    if len(set(texts.values())) < 2:
        return next(iter(texts.values()), "0")
    *first, (_, final) = texts.items()
    return " : ".join(f"which == {i} ? {text}" for i, text in first) + f" : {final}"


def _index(stage: Stage) -> tuple[str, bool]:
    """The index of what the first unit emits, without the bits that tell units apart, and whether it takes counters.

    It is empty where there are no other bits. Where channels and columns are powers of two, it is the number of the
    step.
    """
    stream, inside = stage.stream, bits_below(stage.units)
    channels, _, columns = stream.image
    if stream.size <= stage.units:
        return ("done[0:0]", False) if stage.units == 1 else ("", False)
    if not any(n & (n - 1) for n in (channels, columns)):
        return f"done[{max(stream.index_bits - inside, 1) - 1}:0]", False
    parts = (("out_row", stream.row_bits), ("out_column", stream.column_bits),
             ("out_channel", stream.channel_bits - inside))
    return "{" + ", ".join(f"{name}[{bits - 1}:0]" for name, bits in parts if bits) + "}", True


def _sum(stage: Stage, i: int, bits: int) -> SumCode:
    mine = [f"which_b == {n}" for n, k in enumerate(stage.links) if k.words is not None and k.accumulator == i]
    cleared = f"{bits}'d{(stage.floor or 0) & ((1 << bits) - 1)}"
    return SumCode(bits, f"{{{stage.lanes}{{{cleared}}}}}", " || ".join(mine) or "1'b0")


def _state(stage: Stage, state: State, following: str, files: Files) -> StateCode:
    if not isinstance(state.initial, np.ndarray):
        first = f"{state.bits}'d{int(state.initial) & ((1 << state.bits) - 1)}"
        word = f"{{{stage.units}{{{first}}}}}"
        return StateCode(state.name, state.bits, word, "", following, word)
    if stage.lines:
        return StateCode(state.name, state.bits, "", "", following, f"leaf_FIRST_{state.name}")
    memory = files.memory(f"initial_{state.name}", stage.by_step(state.initial), state.bits)
    return StateCode(state.name, state.bits, "", memory.file, following, "")


def _link(stage: Stage, i: int, k: Link, base: int, files: Files) -> LinkCode:
    stream, name = k.stream, comment(k.label)
    if k.words is None:
        return LinkCode(stream.bits, stream.value_bits, name, k.delay, False)
    low, fields = stream.value_bits, {}
    for field, bits in (("channel", stream.channel_bits), ("column", stream.column_bits), ("row", stream.row_bits)):
        fields[field] = f"in{i}_data[{low + bits - 1}:{low}]" if bits else "0"
        low += bits
    taps = stream.image[0] * k.reach
    due = files.memory(f"due{i}", np.array(k.complete) * stage.row_steps) if stage.lines else None
    starts = files.memory(f"starts{i}", k.starts, stage.groups.bit_length()) if k.starts.any() else None
    return LinkCode(
        stream.bits, stream.value_bits, name, k.delay, True, fields["row"], fields["column"], fields["channel"],
        f"$signed(in{i}_data[{stream.value_bits - 1}:0])" if stream.value_bits else "1", max(1, stream.channel_bits),
        _multiple(f"channel{i}", k.reach, base), k.reach, f"starts{i}[channel{i}]" if starts else "0", starts,
        files.axis(f"rows{i}", stage.rows_of(k), stage.row_groups, k.columns.taps * taps),
        files.axis(f"columns{i}", k.columns, stage.place_groups, taps), due)


def _multiple(name: str, factor: int, more: int) -> str:
    """A number times a constant, plus another one, as shifts and sums, for which no multiplier is taken."""
    terms = [f" {'+' if sign > 0 else '-'} ({{1'b0, {name}}} << {bits})" for bits, sign in signed_digits(factor)]
    return f"{more}{''.join(terms)}"


def _forks(hardware: Hardware) -> list[ForkCode]:
    """The streams and their readers."""
    return [ForkCode(f"s_{name}", comment(stream.label), stream.bits,
                     tuple(_branch(hardware, stream, b) for b in hardware.branches[name]))
            for name, stream in hardware.streams.items()]


def _branch(hardware: Hardware, stream: Stream, branch: Branch) -> BranchCode:
    name = f"{'o' if isinstance(branch.reader, Port) else 'l'}_{branch.reader.name}"
    token = f"{stream.bits}'d{1 << (stream.bits - 2)}"
    return BranchCode(name, branch.depth, branch.ends_only, branch.tokens, token, branch.slot,
                      style_of(hardware.fabric, stream.bits, branch.depth))
