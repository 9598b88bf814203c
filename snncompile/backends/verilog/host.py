"""Running emitted Verilog in a simulator, Icarus Verilog."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snncompile.backends.artifact import Artifact
from snncompile.backends.plan.layouts import channels_last
from snncompile.backends.stream.context import Hardware, Stream
from snncompile.backends.stream.lower import lower
from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Array

TIMEOUT_S = 600
"""The longest time that a tool may take, in seconds."""


@dataclass(frozen=True)
class Simulated:
    """What a simulation showed: outputs, emissions and states in each tick, and the clock cycles that it took."""

    traces: Traces
    cycles: int


def simulate(graph: Graph, artifact: Artifact, x: Mapping[str, Array], stall: int = 0, limit: int = 2_000_000,
             hardware: Hardware | None = None) -> Simulated:
    """Run samples in Icarus Verilog, and read what each population sent and kept in each tick.

    Args:
        graph, artifact: what was emitted, and its files.
        x: integers `[sample, tick, *shape]` by the name of each input.
        stall: in so many of 100 clock cycles, chosen at random, an end neither gives nor takes a word.
        limit: the most clock cycles.
        hardware: what `lower` gave with the folding of the files; without it, that of one lane.

    Raises:
        CompileError: SNN607 where a tool is absent or fails, or where the network has not ended by the limit.
    """
    hardware = hardware or lower(graph)
    samples, ticks = next(iter(x.values())).shape[:2]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in artifact.files.items():
            (folder / file).write_text(content if isinstance(content, str) else content.decode())
        for port in hardware.inputs:
            (folder / f"in_{port.name}.hex").write_text(words(port.stream, x[port.label]))
        sources = [f for f in artifact.files if f.endswith(".v")]
        _call(["iverilog", "-g2005-sv", "-DSNNC_TRACE", "-s", "testbench", "-o", "net.vvp", *sources], folder)
        text = _call(["vvp", "-n", "net.vvp", f"+STALL={stall}", f"+SAMPLES={samples}", f"+LIMIT={limit}"], folder)
    return _read(graph, hardware, text, samples, ticks)


def _call(command: list[str], folder: Path) -> str:
    """What a tool prints. Raises SNN607 where it is not installed, fails, or takes too long."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S,
                              check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        fail("SNN607", command[0], str(e)[:300])
    if done.returncode:
        fail("SNN607", command[0], (done.stderr + done.stdout).strip()[:600])
    return done.stdout


def words(stream: Stream, x: Array) -> str:
    """The words of samples `[sample, tick, *shape]`, in hexadecimal: the events of each tick, then its end."""
    order, index, lines = channels_last(stream.shape), indices(stream).tolist(), []
    mask = (1 << stream.value_bits) - 1
    for sample in np.asarray(x, np.int64).reshape(*x.shape[:2], -1)[:, :, order]:
        for tick, values in enumerate(sample):
            for i in np.flatnonzero(values):
                lines.append(index[i] << stream.value_bits | int(values[i]) & mask)
            last = tick == len(sample) - 1
            lines.append(1 << (stream.bits - 2) | last << (stream.bits - 1))
    return "".join(f"{word:x}\n" for word in lines)


def indices(stream: Stream) -> Array:
    """The index field of each element, channels last: its row, column and channel, one behind another."""
    channels, rows, columns = stream.image
    y, x, c = np.unravel_index(np.arange(stream.size), (rows, columns, channels))
    return np.asarray((y << (stream.column_bits + stream.channel_bits)) | (x << stream.channel_bits) | c)


def _read(graph: Graph, hardware: Hardware, text: str, samples: int, ticks: int) -> Simulated:
    stages = hardware.stages
    emitted = [np.zeros((samples * ticks, s.stream.size), np.int64) for s in stages]
    states = [[np.zeros((samples * ticks, s.stream.size), np.int64) for _ in s.states] for s in stages]
    sent = [np.zeros((samples * ticks, p.stream.size), np.int64) for p in hardware.outputs]
    element = [{int(n): i for i, n in enumerate(indices(p.stream))} for p in hardware.outputs]
    tick, out_tick, cycles = [0] * len(stages), [0] * len(sent), -1
    for line in text.splitlines():
        kind, *rest = line.split()
        if kind == "N":
            k, neuron, value, *after = map(int, rest)
            if tick[k] < samples * ticks:
                emitted[k][tick[k], neuron] = value
                for state, v in zip(states[k], after, strict=True):
                    state[tick[k], neuron] = v
        elif kind == "C":
            tick[int(rest[0])] += 1
        elif kind == "O":
            k, word = int(rest[0]), int(rest[1], 16)
            stream = hardware.outputs[k].stream
            if word >> (stream.bits - 2) & 1:
                out_tick[k] += 1
            else:
                raw = word & ((1 << stream.value_bits) - 1)
                value = raw - (1 << stream.value_bits) if stream.value_bits and raw >> (stream.value_bits - 1) else raw
                index = (word >> stream.value_bits) & ((1 << stream.index_bits) - 1)
                sent[k][out_tick[k], element[k][index]] = value if stream.value_bits else 1
        elif kind in ("DONE", "STUCK"):
            cycles = int(rest[0]) if kind == "DONE" else -1
    if cycles < 0:
        fail("SNN607", "the simulation", f"it did not end; ticks of each stage: {tick}",
             f"{samples * ticks} ticks each", "allow more clock cycles")

    def back(stream: Stream, values: Array) -> Array:
        result = np.empty_like(values)
        result[:, channels_last(stream.shape)] = values
        return result.reshape(samples, ticks, *stream.shape)

    return Simulated(Traces(
        {p.label: back(p.stream, v) for p, v in zip(hardware.outputs, sent, strict=True)},
        {s.stream.label: back(s.stream, v) for s, v in zip(stages, emitted, strict=True)},
        {s.stream.label: {m.label: back(s.stream, v) for m, v in zip(s.states, of, strict=True)}
         for s, of in zip(stages, states, strict=True)}), cycles)
