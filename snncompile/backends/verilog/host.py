"""Running emitted Verilog in a simulator."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from snncompile.backends.artifact import Artifact
from snncompile.backends.stream.host import StreamHost
from snncompile.backends.stream.lower import lower
from snncompile.backends.stream.readings import Simulated, inputs_of, read
from snncompile.backends.stream.simulation import call
from snncompile.backends.stream.words import words
from snncompile.backends.verilog.simulators import Icarus, Verilator, simulator
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array

MAX_CYCLES = 2_000_000_000
"""The most clock cycles of a simulation."""


def host(graph: Graph, artifact: Artifact) -> StreamHost | None:
    """A host for these files, which a simulator runs cycle by cycle; None on a machine without a simulator."""
    tool = simulator()
    return None if tool is None else StreamHost(
        graph, lambda x, states: simulate(graph, artifact, x, states=states, tool=tool))


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
