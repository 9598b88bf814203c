"""The files of the Verilog backend: a module for each population, buffers between them, memories, and a test bench."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from snncompile.backends.artifact import Artifact
from snncompile.backends.names import comment
from snncompile.backends.render import render
from snncompile.backends.stream.context import Hardware, Link, Stage, Stream, bits_below
from snncompile.backends.stream.lower import lower
from snncompile.backends.stream.neuron_unit import signed_digits
from snncompile.backends.stream.scatter import Axis
from snncompile.backends.verilog.expressions import lines_of, literal, name_at, registers_of
from snncompile.ir.graph import Graph
from snncompile.ir.operations import bit_width, extent
from snncompile.ir.types import Array


JOINED = 4
"""Banks whose words are joined in front of a register."""
SMALL_MEMORY = 4096
"""The words of a weight memory whose rows are padded."""


BLOCKS = ((1, 32768), (2, 16384), (4, 8192), (9, 4096), (18, 2048), (36, 1024))
"""The widths and depths that a memory block can have."""


def emit(graph: Graph, lanes: Mapping[str, int] | None = None, chains: int = 1) -> Artifact:
    hardware = lower(graph, lanes, chains)
    files: dict[str, str | bytes] = {f"{hardware.name}_fifo.v": render("verilog/fifo.v.j2")}
    for number, stage in enumerate(hardware.stages):
        module, memories = _stage(hardware.name, number, stage)
        files[f"{module.module}.v"] = render("verilog/stage.v.j2", s=module)
        files |= memories
    files[f"{hardware.name}.v"] = render("verilog/top.v.j2", h=hardware, comment=comment(graph.name),
                                         forks=_forks(hardware))
    files[f"{hardware.name}_testbench.v"] = render("verilog/testbench.v.j2", h=hardware)
    return Artifact(files, {"weights": sum(s.words.size * s.weight_bits for s in hardware.stages) // 8})


def _bits(count: int) -> int:
    """The bits of a counter that goes up to a number."""
    return max(1, count.bit_length())


def _stage(network: str, number: int, stage: Stage) -> tuple[Any, dict[str, str]]:
    module, unit, stream = f"{network}_{stage.stream.name}", stage.unit, stage.stream
    files: dict[str, str] = {}

    def memory(name: str, values: Array) -> tuple[str, int]:
        bits = bit_width(extent(np.asarray(values)))
        files[f"{module}_{name}.hex"] = _words(np.asarray(values).reshape(-1, 1), bits)
        return f"{module}_{name}.hex", bits

    nexts = dict(unit.next_state)
    states = []
    for s in stage.states:
        file = ""
        if isinstance(s.initial, np.ndarray):
            file = f"{module}_initial_{s.name}.hex"
            files[file] = _words(s.initial.reshape(-1, 1), s.bits)
        states.append({"name": s.name, "bits": s.bits, "file": file,
                       "initial": "" if file else literal(int(s.initial)),
                       "next": name_at(unit, nexts[s.label], unit.levels)})
    params = [dict(zip(("file", "bits"), memory(n.replace(" ", "_"), v), strict=True), name=n.replace(" ", "_"))
              for n, v in stage.params.items()]
    tables = [dict(zip(("file", "bits"), memory(f"table_{n}", v), strict=True), name=n, size=len(v))
              for n, v in stage.tables.items()]
    links = [_link(module, stage, i, k, base, files) for i, (k, base) in
             enumerate(zip(stage.links, stage.bases, strict=True))]
    channels, rows, columns = stream.image
    fields = [n for n, bits in (("out_row", stream.row_bits), ("out_column", stream.column_bits),
                                ("out_channel", stream.channel_bits)) if bits]
    widths = {"out_row": stream.row_bits, "out_column": stream.column_bits, "out_channel": stream.channel_bits}
    index = "{" + ", ".join(f"{n}[{widths[n] - 1}:0]" for n in fields) + "}" if fields else "1'd0"
    counts = any(n & (n - 1) for n in (channels, columns))  # else a neuron's number is its row, column and channel
    if not counts:
        index = f"done[{stream.index_bits - 1}:0]"
    weighing = [i for i, k in enumerate(stage.links) if k.words is not None]

    def of_which(value: Callable[[Link], str], default: str) -> str:
        """A value that depends on the projection of the event."""
        texts = {i: value(stage.links[i]) for i in weighing}
        if len(set(texts.values())) < 2:
            return next(iter(texts.values()), default)
        *first, (_, final) = texts.items()
        return " : ".join(f"which == {i} ? {text}" for i, text in first) + f" : {final}"

    # The address of a weight is the row and the group, one behind the other, where that wastes little memory.
    plain = len(stage.links) == 1 and weighing == [0] and stage.links[0].single and stage.links[0].rows.taps == 1 \
        and stage.links[0].columns.taps == 1
    joined = bits_below(stage.groups) if plain and _few_words(stage) else 0
    words = stage.words
    if joined:
        words = np.pad(words.reshape(-1, stage.groups, stage.lanes),
                       ((0, 0), (0, (1 << joined) - stage.groups), (0, 0))).reshape(-1, stage.lanes)
    bank_words = next((depth for width, depth in BLOCKS if width >= stage.lanes * stage.weight_bits), BLOCKS[-1][1])
    banks = -(-len(words) // bank_words)
    if banks == 1:
        files[f"{module}_weights.hex"] = _words(words, stage.weight_bits)
    else:
        words = np.pad(words, ((0, banks * bank_words - len(words)), (0, 0)))
        for n in range(banks):
            files[f"{module}_weights{n}.hex"] = _words(words[n * bank_words:(n + 1) * bank_words], stage.weight_bits)
    extra = (stage.lanes > 1) + (banks > 1)  # registers of what a neuron keeps, until its sum is there
    context = SimpleNamespace(
        module=module, comment=comment(stream.label), number=number, size=stream.size, lanes=stage.lanes,
        levels=unit.levels, links=links, out_bits=stream.bits, index_bits=stream.index_bits,
        out_value_bits=stream.value_bits, turn_bits=_bits(len(links)), groups=stage.groups,
        group_bits=_bits(stage.groups), lane_bits=_bits(stage.lanes), neuron_bits=_bits(stream.size),
        address_bits=max(1, stage.links[0].stream.channel_bits) + joined if joined else bits_below(len(words)) or 1,
        words=len(words), banks=banks, bank_words=bank_words, bank_bits=bits_below(bank_words), weight_bits=stage.weight_bits,
        value_bits=max([k["value_bits"] for k in links] + [2]), weighted=any(k["value_bits"] for k in links),
        accumulators=[{"bits": bits, "cleared": f"{{{stage.lanes}{{{_exact(stage.floor or 0, bits)}}}}}",
                       "mine": " || ".join(f"which_b == {n}" for n, k in enumerate(stage.links)
                                           if k.words is not None and k.accumulator == i) or "1'b0"}
                      for i, bits in enumerate(stage.accumulators)],
        states=states, params=params, tables=tables, lines=lines_of(unit), registers=registers_of(unit),
        output=name_at(unit, unit.output, unit.levels),
        emitted_bits=max(unit.wires[unit.output].bits, stream.value_bits, 2), whole=stream.whole,
        largest=stage.floor is not None, channels=channels, columns=columns, channel_bits=stream.channel_bits,
        counts=counts, several=len(links) > 1, latency=unit.levels + 1 + extra, extra=extra,
        joins=[" | ".join(f"weight{n}" for n in range(first, min(first + JOINED, banks)))
               for first in range(0, banks, JOINED)],
        joined=joined, row_of_bits=max(1, stage.links[0].stream.channel_bits), ends_at=of_which(
            lambda k: str(k.reach - 1), "0"), spatial=any(k.words is not None and (not k.single or k.rows.taps * k.columns.taps > 1)
                                    for k in stage.links),
        column_bits=stream.column_bits, row_bits=stream.row_bits, out_index=index,
        y_bits=max(1, *(k.stream.row_bits for k in stage.links)), x_bits=max(1, *(k.stream.column_bits for k in
                                                                             stage.links)),
        ty_bits=max(1, *(bits_below(k.rows.most) for k in stage.links)),
        tx_bits=max(1, *(bits_below(k.columns.most) for k in stage.links)),
        last_rows=of_which(lambda k: f"row_tap == {k.rows.most - 1}", "1'b1"),
        last_columns=of_which(lambda k: f"column_tap == {k.columns.most - 1}", "1'b1"),
        pauses=of_which(lambda k: str(k.pause), "0"), holds=of_which(lambda k: str(k.hold), "0"))
    return context, files


def _few_words(stage: Stage) -> bool:
    """Whether rows of weights may be padded to a power of two of groups."""
    padded = (1 << bits_below(stage.groups)) / stage.groups
    return stage.groups > 1 and (padded == 1 or len(stage.words) * padded <= SMALL_MEMORY)


def _exact(value: int, bits: int) -> str:
    """A number of exactly so many bits."""
    return f"{bits}'d{value & ((1 << bits) - 1)}"


def _link(module: str, stage: Stage, i: int, k: Link, base: int, files: dict[str, str]) -> dict[str, Any]:
    stream = k.stream
    found: dict[str, Any] = {
        "bits": stream.bits, "value_bits": stream.value_bits, "comment": comment(k.label), "delay": k.delay,
        "delay_bits": _bits(k.delay), "weighs": k.words is not None}
    if k.words is None:
        return found
    data, low, fields = f"in{i}_data", stream.value_bits, {}
    for name, bits in (("channel", stream.channel_bits), ("column", stream.column_bits), ("row", stream.row_bits)):
        fields[name] = f"{data}[{low + bits - 1}:{low}]" if bits else "0"
        low += bits
    channels = stream.image[0]
    starts = ""
    if k.starts.any():
        starts = f"{module}_starts{i}.hex"
        files[starts] = _words(k.starts.reshape(-1, 1), _bits(stage.groups))
    value = f"$signed({data}[{stream.value_bits - 1}:0])" if stream.value_bits else "1"
    taps = channels * k.reach
    width = stage.stream.image[2]
    axes = [_axis(f"{module}_rows{i}.hex", "rows", k.rows, width * stage.place_groups, k.columns.taps * taps,
                  stream.image[1], files),
            _axis(f"{module}_columns{i}.hex", "columns", k.columns, stage.place_groups, taps, stream.image[2], files)]
    return {**found, **fields, "channel_bits": max(1, stream.channel_bits), "channels": channels, "starts": starts,
            "value": value, "reach": k.reach, "axes": axes, "address": _multiple(f"channel{i}", k.reach, base),
            "start": f"starts{i}[channel{i}]" if starts else "0"}


def _multiple(name: str, factor: int, more: int) -> str:
    """A number times a constant, plus another one, as shifts and sums, for which no multiplier is taken."""
    terms = [(sign, f"({{1'b0, {name}}} << {bits})") for bits, sign in signed_digits(factor)]
    text = "".join(f" {'+' if sign > 0 else '-'} {term}" for sign, term in terms)
    return f"{more}{text}"


def _axis(file: str, name: str, axis: Axis, groups: int, addresses: int, size: int, files: dict[str, str]
          ) -> dict[str, Any]:
    """The table of an axis: for each coordinate and pair, whether there is one, its group and its address."""
    pairs = [pair for each in axis.reached for pair in each]
    group_bits = _bits(max([place * groups for place, _ in pairs] + [1]))
    address_bits = _bits(max([tap * addresses for _, tap in pairs] + [1]))
    tap_bits = max(1, bits_below(axis.most))
    words = []
    for each in axis.reached:
        words += [1 << (group_bits + address_bits) | place * groups << address_bits | tap * addresses
                  for place, tap in each] + [0] * ((1 << tap_bits) - len(each))
    bits = 1 + group_bits + address_bits
    index_bits = max(1, bits_below(size))
    words += [0] * ((1 << (index_bits + tap_bits)) - len(words))
    files[file] = "\n".join(f"{word:x}" for word in words) + "\n"
    return {"file": file, "name": name, "bits": bits, "words": len(words), "group_bits": group_bits,
            "address_bits": address_bits, "tap_bits": tap_bits, "index_bits": index_bits}


def _forks(hardware: Hardware) -> list[dict[str, Any]]:
    """For each stream, its readers."""
    streams: dict[str, Stream] = {p.stream.name: p.stream for p in hardware.inputs}
    streams |= {s.stream.name: s.stream for s in hardware.stages}
    branches: dict[str, list[dict[str, Any]]] = {name: [] for name in streams}
    for stage in hardware.stages:
        for k in stage.links:
            branches[k.stream.name].append({
                "name": f"l_{k.name}", "ends_only": k.words is None, "depth": k.depth, "alone": len(stage.links) == 1, "depth_bits": _bits(k.depth),
                "tokens": k.delay, "token": f"{k.stream.bits}'d{1 << (k.stream.bits - 2)}"})
    for p in hardware.outputs:
        depth = p.stream.size + 1
        branches[p.stream.name].append({"name": f"o_{p.name}", "ends_only": False, "depth": depth, "alone": True,
                                        "depth_bits": _bits(depth), "tokens": 0, "token": "0"})
    for readers in branches.values():
        for reader in readers:  # nothing else waits for the stream, and the reader for nothing else
            reader["alone"] &= len(readers) == 1 and not reader["tokens"]
    return [{"name": f"s_{name}", "comment": comment(stream.label), "bits": stream.bits, "branches": branches[name]}
            for name, stream in streams.items()]


def _words(rows: Array, bits: int) -> str:
    """Words of a memory in hexadecimal, lane 0 in the lowest bits."""
    lines = []
    mask = (1 << bits) - 1
    for row in rows.tolist():
        word = 0
        for lane, value in enumerate(row):
            word |= (int(value) & mask) << (lane * bits)
        lines.append(f"{word:x}")
    return "\n".join(lines) + "\n"
