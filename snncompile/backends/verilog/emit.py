"""The files of the Verilog backend: a module for each population, buffers between them, memories, and a test bench."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from snncompile.backends.artifact import Artifact
from snncompile.backends.names import comment
from snncompile.backends.render import render
from snncompile.backends.stream.context import Hardware, Stage, Stream
from snncompile.backends.stream.lower import lower
from snncompile.backends.verilog.expressions import lines_of, literal, name_at, registers_of
from snncompile.ir.graph import Graph
from snncompile.ir.operations import bit_width, extent
from snncompile.ir.types import Array


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
    return Artifact(files, {"weights": sum(s.rows.size * s.weight_bits for s in hardware.stages) // 8})


def _bits(count: int) -> int:
    """The bits of a counter that goes up to a number."""
    return max(1, count.bit_length())


def _stage(network: str, number: int, stage: Stage) -> tuple[Any, dict[str, str]]:
    module, unit, stream = f"{network}_{stage.stream.name}", stage.unit, stage.stream
    rows, files = stage.rows, {}
    files[f"{module}_weights.hex"] = _words(rows, stage.weight_bits)

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
    links = [{"bits": k.stream.bits, "index_bits": k.stream.index_bits, "value_bits": k.stream.value_bits,
              "comment": comment(k.label), "delay": k.delay, "delay_bits": _bits(k.delay), "base": base,
              "accumulator": k.accumulator, "weighs": k.weights is not None}
             for k, base in zip(stage.links, stage.bases, strict=True)]
    emitted = unit.wires[unit.output].bits
    context = SimpleNamespace(
        module=module, comment=comment(stream.label), number=number, size=stream.size, lanes=stage.lanes,
        levels=unit.levels, links=links, out_bits=stream.bits, index_bits=stream.index_bits,
        out_value_bits=stream.value_bits, turn_bits=_bits(len(links)), groups=stage.groups, pause=stage.pause,
        group_bits=_bits(stage.groups), lane_bits=_bits(stage.lanes), neuron_bits=_bits(stream.size),
        address_bits=_bits(len(rows)), words=len(rows), weight_bits=stage.weight_bits,
        value_bits=max([k["value_bits"] for k in links] + [2]), weighted=any(k["value_bits"] for k in links),
        which_bits=_bits(len(stage.accumulators)), accumulators=stage.accumulators, states=states, params=params,
        tables=tables, lines=lines_of(unit), registers=registers_of(unit), output=name_at(unit, unit.output,
                                                                                       unit.levels),
        emitted_bits=max(emitted, stream.value_bits, 2))
    return context, files


def _forks(hardware: Hardware) -> list[dict[str, Any]]:
    """For each stream, its readers."""
    streams: dict[str, Stream] = {p.stream.name: p.stream for p in hardware.inputs}
    streams |= {s.stream.name: s.stream for s in hardware.stages}
    branches: dict[str, list[dict[str, Any]]] = {name: [] for name in streams}
    for stage in hardware.stages:
        for k in stage.links:
            branches[k.stream.name].append({
                "name": f"l_{k.name}", "ends_only": k.weights is None, "depth": k.depth, "depth_bits": _bits(k.depth),
                "tokens": k.delay, "token": f"{k.stream.bits}'d{1 << (k.stream.bits - 2)}"})
    for p in hardware.outputs:
        depth = p.stream.size + 1
        branches[p.stream.name].append({"name": f"o_{p.name}", "ends_only": False, "depth": depth,
                                        "depth_bits": _bits(depth), "tokens": 0, "token": "0"})
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
