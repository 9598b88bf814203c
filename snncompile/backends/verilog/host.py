"""Running emitted Verilog in a simulator."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Progress
from snncompile.backends.network_ticks import magnitudes
from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.lower import lower
from snncompile.backends.verilog.simulators import Icarus, Verilator, call, simulator
from snncompile.backends.verilog.words import in_shape, values_of, words
from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Array

MAX_CYCLES = 2_000_000_000
"""The most clock cycles of a simulation."""


def host(graph: Graph, artifact: Artifact) -> VerilogHost | None:
    """A host for these files; None on a machine without a simulator."""
    tool = simulator()
    return None if tool is None else VerilogHost(graph, artifact, tool)


@dataclass(frozen=True)
class VerilogHost:
    """Emitted Verilog, which a simulator runs clock cycle by clock cycle.

    Attributes:
        graph: the graph that it was emitted for.
        artifact: the emitted files.
        tool: the simulator.
    """

    graph: Graph
    artifact: Artifact
    tool: Icarus | Verilator

    def run(self, x: Mapping[str, Array], progress: Progress | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run integer inputs `[sample, tick, *shape]` by name; the samples follow each other without a pause.

        Returns:
            The outputs, of the same form, and for each population the sum of the magnitudes of what it emitted,
            `[sample]`.

        Raises:
            CompileError: SNN607 where the simulator fails.
        """
        traces = self.trace(x, False, progress)
        return dict(traces.outputs), {n: magnitudes(traces.emitted[n]) for n in self.graph.populations}

    def trace(self, x: Mapping[str, Array], states: bool = True, progress: Progress | None = None) -> Traces:
        """Run as `run` does, and record what each population emitted, and with `states` each state after each tick."""
        found = simulate(self.graph, self.artifact, x, states=states, tool=self.tool).traces
        if progress:
            samples = len(next(iter(x.values())))
            progress(samples, samples)
        own = {n: found.emitted[n] for n in self.graph.populations}
        return Traces(found.outputs, own, {n: found.states[n] for n in own} if states else {})


@dataclass(frozen=True)
class Simulated:
    """What a simulation showed: outputs, emissions and states in each tick, and the clock cycles that it took.

    Beside the populations, what lies between them in hardware is recorded too.
    """

    traces: Traces
    cycles: int


def simulate(graph: Graph, artifact: Artifact, x: Mapping[str, Array], stall: int = 0, limit: int = MAX_CYCLES,
             states: bool = True, tool: Icarus | Verilator | None = None) -> Simulated:
    """Run samples in a simulator, and read what each population sent and kept in each tick.

    Args:
        graph, artifact: what was emitted, and its files.
        x: integers `[sample, tick, *shape]` by the name of each input.
        stall: in so many of 100 clock cycles, chosen at random, an end neither gives nor takes a word.
        limit: the most clock cycles.
        states: whether to record states too.
        tool: the simulator; Icarus Verilog, which starts quickly, if none is given.

    Raises:
        CompileError: SNN607 where a tool is absent or fails, or where the network has not ended by the limit.
    """
    hardware = lower(graph)
    samples, ticks = next(iter(x.values())).shape[:2]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in artifact.files.items():
            if file.endswith((".v", ".hex")) and not file.startswith("expected_"):
                (folder / file).write_text(content if isinstance(content, str) else content.decode())
        for port in hardware.inputs:
            (folder / f"in_{port.name}.hex").write_text(words(port.stream, x[port.label]))
        command = (tool or Icarus()).build(folder, [f for f in artifact.files if f.endswith(".v")])
        text = call([*command, f"+STALL={stall}", f"+SAMPLES={samples}", f"+LIMIT={limit}",
                     *(["+STATES"] if states else [])], folder)
    return _read(hardware, text, samples, ticks)


def _read(hardware: Hardware, text: str, samples: int, ticks: int) -> Simulated:
    stages, every = hardware.stages, samples * ticks
    emitted = [np.zeros((every, s.stream.size), np.int64) for s in stages]
    states = [[np.zeros((every, s.stream.size), np.int64) for _ in s.states] for s in stages]
    sent: list[list[int]] = [[] for _ in hardware.outputs]
    tick, cycles = [0] * len(stages), -1
    for line in text.splitlines():
        kind, *rest = line.split() or [""]
        if kind == "N":
            k, neuron, value, *after = map(int, rest)
            if tick[k] < every:
                emitted[k][tick[k], neuron] = value
                for state, v in zip(states[k], after, strict=False):
                    state[tick[k], neuron] = v
        elif kind == "C":
            tick[int(rest[0])] += 1
        elif kind == "O":
            sent[int(rest[0])].append(int(rest[1], 16))
        elif kind == "DONE":
            cycles = int(rest[0])
    if cycles < 0:
        fail("SNN607", "the simulation", f"it did not end; ticks of each stage: {tick}", f"{every} ticks each",
             "allow more clock cycles")
    outputs = {p.label: in_shape(p.stream, values_of(p.stream, v, every), samples)
               for p, v in zip(hardware.outputs, sent, strict=True)}
    return Simulated(Traces(
        outputs, {s.stream.label: in_shape(s.stream, v, samples) for s, v in zip(stages, emitted, strict=True)},
        {s.stream.label: _states(s, of, samples) for s, of in zip(stages, states, strict=True)}), cycles)


def _states(stage: Stage, values: list[Array], samples: int) -> dict[str, Array]:
    return {m.label: in_shape(stage.stream, v, samples) for m, v in zip(stage.states, values, strict=True)}
