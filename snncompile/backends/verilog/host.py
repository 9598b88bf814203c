"""Running emitted Verilog in a simulator."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Progress
from snncompile.backends.stream.lower import lower
from snncompile.backends.stream.readings import Simulated, inputs_of, read
from snncompile.backends.stream.simulation import call
from snncompile.backends.stream.words import words
from snncompile.backends.verilog.simulators import Icarus, Verilator, simulator
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
        return self._simulated(x, False, progress).results(self.graph)

    def trace(self, x: Mapping[str, Array], states: bool = True, progress: Progress | None = None) -> Traces:
        """Run as `run` does, and record what each population emitted, and with `states` each state after each tick."""
        return self._simulated(x, states, progress).traces_of(self.graph, states)

    def _simulated(self, x: Mapping[str, Array], states: bool, progress: Progress | None) -> Simulated:
        found = simulate(self.graph, self.artifact, x, states=states, tool=self.tool)
        if progress:
            progress(*[inputs_of(x)[0]] * 2)
        return found


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
    samples, ticks = inputs_of(x)
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
    return read(hardware, text, samples, ticks)
