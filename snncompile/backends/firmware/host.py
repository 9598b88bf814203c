"""Running emitted firmware in an emulator: the program reads its samples from a file and writes what was asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Progress
from snncompile.backends.c.interface import Interface
from snncompile.backends.firmware.build import built, emulate
from snncompile.backends.firmware.processors import PROCESSORS, Processor
from snncompile.backends.network_ticks import magnitudes
from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Array

RUNS, EMITTED, STATES = range(3)
"""What the program writes: the outputs of whole runs, what is emitted in each tick, or that and the states."""


def host(graph: Graph, artifact: Artifact) -> FirmwareHost | None:
    """What runs the files that were emitted for a graph; None where a tool is absent. It builds them when it runs."""
    processor = processor_of(artifact)
    return None if processor.absent else FirmwareHost.of(graph, artifact, processor)


def processor_of(artifact: Artifact) -> Processor:
    """The processor that files were emitted for. Raises SNN609 where they name none."""
    text = artifact.files.get("processor.txt", "")
    name = (text if isinstance(text, str) else text.decode(errors="replace")).strip()
    if name not in PROCESSORS:
        fail("SNN609", "processor.txt", name[:40] or "no processor", ", ".join(PROCESSORS), "compile again")
    return PROCESSORS[name]


@dataclass(frozen=True)
class FirmwareHost:
    """Firmware on an emulated board.

    Attributes:
        graph: the graph that it was emitted for.
        interface: the types and the order of what it reads and writes.
        files: of the program, by name.
        processor: of the board.
    """

    graph: Graph
    interface: Interface
    files: Mapping[str, str | bytes]
    processor: Processor

    @classmethod
    def of(cls, graph: Graph, artifact: Artifact, processor: Processor) -> FirmwareHost:
        return cls(graph, Interface.of(graph), artifact.files, processor)

    def program(self, wanted: int) -> Path:
        """The built program. Whole runs are those of a program in which nodes share memory, as on a device."""
        inside = () if wanted == RUNS else ("-DSNN_INSIDE",)
        return built(self.files, self.processor, self.interface.prefix, "runner", *inside)

    def run(self, x: Mapping[str, Array], progress: Progress | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run samples in whole runs; see `backends.backend.Host`. A second run, by ticks, counts what is emitted."""
        outputs, _ = self.counted(x)
        emitted = self.trace(x, states=False, progress=progress).emitted
        return outputs, {n: magnitudes(v) for n, v in emitted.items()}

    def counted(self, x: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """The outputs of whole runs by name, and the instructions that each sample took, `[sample]`."""
        samples, ticks = next(iter(x.values())).shape[:2]
        tick = [(("output", n), dtype, self.graph.shapes[n]) for n, dtype in self.interface.outputs.items()]
        record = np.dtype([("ticks", _packed(tick), (ticks,)), ("instructions", "<u4")])
        found = np.frombuffer(self._written(x, RUNS, samples * record.itemsize), record)
        return ({n: found["ticks"][f"f{i}"].reshape(samples, ticks, *self.graph.shapes[n])
                 for i, n in enumerate(self.interface.outputs)}, found["instructions"])

    def trace(self, x: Mapping[str, Array], states: bool = True, progress: Progress | None = None) -> Traces:
        """Run tick by tick, and read what each population emitted, and with `states` each state after each tick."""
        samples, ticks = next(iter(x.values())).shape[:2]
        values = [(n, s) for n in self.interface.populations
                  for s in ("", *(self.graph.integer_populations[n].states if states else ()))]
        fields = [(("output", n), dtype, self.graph.shapes[n]) for n, dtype in self.interface.outputs.items()]
        fields += [((n, s), np.dtype(np.int64), self.graph.shapes[n]) for n, s in values]
        record = _packed(fields)
        wanted = STATES if states else EMITTED
        found = np.frombuffer(self._written(x, wanted, samples * ticks * record.itemsize), record)
        arrays = {key: found[f"f{i}"].reshape(samples, ticks, *shape) for i, (key, _, shape) in enumerate(fields)}
        if progress:
            progress(samples, samples)
        outputs = len(self.interface.outputs)
        inside = dict(list(arrays.items())[outputs:])
        emitted = {n: inside[n, ""] for n in self.interface.populations}
        return Traces({n: arrays["output", n] for n in self.interface.outputs}, emitted,
                      {n: {s: v for (m, s), v in inside.items() if m == n and s} for n in emitted})

    def _written(self, x: Mapping[str, Array], wanted: int, size: int) -> bytes:
        """What the program writes for samples: `size` bytes."""
        samples, ticks = next(iter(x.values())).shape[:2]
        inputs = [np.ascontiguousarray(x[n], dtype.newbyteorder("<")).reshape(samples, ticks, -1).view(np.uint8)
                  for n, dtype in self.interface.inputs.items()]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            head = np.array([samples, ticks, wanted], "<u4").tobytes()
            (folder / "in").write_bytes(head + np.concatenate(inputs, 2).tobytes())
            said = emulate(self.program(wanted), self.processor, folder)
            found = (folder / "out").read_bytes()
        if len(found) != size:
            fail("SNN609", self.processor.qemu[0], f"{len(found):,} bytes of results {said[:200]}".strip(), f"{size:,}")
        return found


def _packed(fields: list[tuple[tuple[str, str], np.dtype[np.integer], tuple[int, ...]]]) -> np.dtype[np.void]:
    """The type of values that lie behind each other, the least significant bytes first."""
    return np.dtype([(f"f{i}", dtype.newbyteorder("<"), shape) for i, (_, dtype, shape) in enumerate(fields)])
