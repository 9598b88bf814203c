"""`CompiledModel`: a compiled network, which can be run, compared with the interpreter, traced and saved."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.backend import CountingHost, Progress
from snncompile.backends.network_ticks import NetworkTicks, magnitudes
from snncompile.backends.table import BACKENDS
from snncompile.diagnostics import Diagnostic, expect_known, fail, shorten
from snncompile.inputs import WIDER, Data, Outside, range_of, taken
from snncompile.ir.decisions import decide
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, run, sample_chunks
from snncompile.ir.ranges import source_unit
from snncompile.ir.types import Array
from snncompile.mapping.chip import Chip
from snncompile.report.report import Report

MAX_SHOWN = 20
"""The most samples that are shown of a result."""
MAX_THREADS = 1024
"""The most parts of the samples that may run at the same time."""
INTERPRETER = "interpreter"
"""What `Result.backend` is where the integer interpreter ran instead of an emitted program."""


@dataclass(frozen=True)
class Result:
    """The results of a run.

    Attributes:
        all_outputs: integers `[sample, tick, *shape]` by output name.
        decisions: `[sample]`, the position of the largest element of the first output, after it was decoded over its
            ticks as the output says.
        spike_counts: `[sample]` by population name: the spikes that it emitted. For a graded population, the sum of the
            magnitudes that it emitted.
        backend: what ran: the backend of the emitted program ("c" or "lava"), or "interpreter".
        units: the real value of the integer 1, by output name.
        cut: how many values of an input lay outside of the range that the network was compiled for, and were cut to it,
            by input, where there were any.
    """

    all_outputs: Mapping[str, Array]
    decisions: Array
    spike_counts: Mapping[str, Array]
    backend: str
    units: Mapping[str, float]
    cut: Mapping[str, int] = field(default_factory=dict)

    @property
    def outputs(self) -> Array:
        """The first output, integers `[sample, tick, *shape]`."""
        return next(iter(self.all_outputs.values()))

    def rows(self) -> list[dict[str, Any]]:
        """A row for each sample, as a data frame takes them: its decision, and the spikes of each population."""
        return [{"sample": i, "decision": int(decision), **{f"spikes.{n}": int(v[i]) for n, v in
                 self.spike_counts.items()}} for i, decision in enumerate(self.decisions)]

    def __repr__(self) -> str:
        samples, ticks = self.outputs.shape[:2]
        first = " ".join(map(str, self.decisions[:MAX_SHOWN])) + (" ..." if samples > MAX_SHOWN else "")
        spikes = ", ".join(f"{shorten(n)} {np.mean(v):,.1f}" for n, v in self.spike_counts.items())
        cut = f"\n  values cut        {sum(self.cut.values()):,}" if self.cut else ""
        return (f"Result of {samples:,} samples of {ticks:,} ticks, run by {self.backend}\n"
                f"  decisions         {first}\n  spikes a sample   {spikes}{cut}")

    def _repr_html_(self) -> str:
        from snncompile.report.html import table

        return table(self.rows(), MAX_SHOWN)


@dataclass(frozen=True)
class Verification:
    """The result of replaying the golden vectors.

    Attributes:
        samples, ticks: the size of the golden vectors.
        populations: how many populations were compared inside.
        backend: what ran; see `Result.backend`. Where it is the interpreter, the emitted program was not compared.
        differences: each output, population and state that differed, with the first sample and tick where it did.
        instructions: of the processor for a sample, the mean, where the program ran on one that counts them.
    """

    samples: int
    ticks: int
    populations: int
    backend: str
    differences: tuple[str, ...]
    instructions: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the emitted program ran, and everything was equal."""
        return self.backend != INTERPRETER and not self.differences


@dataclass(frozen=True)
class CompiledModel:
    """A network in integers, with the program that was emitted for it.

    Attributes:
        graph: the INT graph, which defines what every emitted program computes.
        mapped: the graph that was emitted, in ticks of the hardware, with its schedule; the INT graph itself where a
            spike crosses the network within a tick.
        artifact: the emitted files.
        golden: inputs and outputs that were recorded when the network was compiled, in ticks of the network.
        rates: the share of elements that are not 0, by name of input or population, which the backend used.
        report: what was measured and proved, and the warnings of the reader and of all passes.
        float_graph: the LEGAL graph that was quantized; None for a network that arrived in integers, and for a model
            that was opened from a folder.
        backend: the name of the backend that emitted it, a key of `backends.table.BACKENDS`.
        chip: the network on the cores of the target; None for a target without cores, and for a model that was opened
            from a folder.
    """

    graph: Graph
    mapped: Graph
    artifact: Artifact
    golden: Golden
    rates: Mapping[str, float]
    report: Report
    float_graph: Graph | None = field(default=None, repr=False)
    backend: str = "c"
    chip: Chip | None = field(default=None, repr=False)

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """The warnings of the reader and of all passes."""
        return self.report.notes

    @cached_property
    def host(self) -> NetworkTicks | None:
        """The emitted program, built to run on this machine; None where the tools for that are absent."""
        host = BACKENDS[self.backend].host(self.mapped, self.artifact)
        return None if host is None else NetworkTicks(host, self.graph, self.mapped)

    def run(self, x: Data, progress: Progress | None = None, outside: Outside = "cut",
            threads: int = 1) -> Result:
        """Run the emitted program, or the interpreter where this machine lacks the tools for that.

        Args:
            x: samples `[sample, tick, *shape]`, or a mapping of such arrays by input name: whole numbers for inputs of
                spikes, real numbers for real inputs.
            progress: called with how many samples are done and how many there are.
            outside: what becomes of values outside of the range that the network was compiled for: "cut" to the range,
                with a warning, and counted in the result; or "error".
            threads: how many parts of the samples the emitted program runs at the same time, from 1 to MAX_THREADS.

        Raises:
            CompileError: SNN501 for samples that do not fit the network, and for another number of threads.
        """
        if type(threads) is not int or not 1 <= threads <= MAX_THREADS:
            fail("SNN501", "option threads", repr(threads)[:80], f"a whole number from 1 to {MAX_THREADS}")
        given, cut = self._taken(x, outside)
        if self.host is None:
            return self._interpret(given, progress, cut)
        outputs, counts = self.host.run(given, progress, threads)
        return self._result(outputs, counts, self.backend, cut)

    def reference(self, x: Data, progress: Progress | None = None, outside: Outside = "cut") -> Result:
        """Run the integer interpreter on the samples; arguments and result are those of `run`."""
        given, cut = self._taken(x, outside)
        return self._interpret(given, progress, cut)

    def trace(self, x: Data, outside: Outside = "cut") -> Traces:
        """What every population emits and every state after each tick, computed by the emitted program.

        Args:
            x, outside: as for `run`.
        """
        given, _ = self._taken(x, outside)
        return self.host.trace(given) if self.host else run(self.graph, given, record=True, states=True)

    def verify(self) -> Verification:
        """Replay the golden vectors on the interpreter and the emitted program.

        The outputs of both are compared with the recorded ones, and all emissions and states with each other.
        """
        inputs = self.golden.inputs
        samples, ticks = next(iter(inputs.values())).shape[:2]
        expected = run(self.graph, inputs, record=True, states=True)
        differences = [f"interpreter, output {shorten(n)}" for n, v in self.golden.outputs.items()
                       if not np.array_equal(v, expected.outputs[n])]
        instructions = None
        if self.host:
            outputs = self.host.run(inputs)[0]
            differences += [f"emitted program, output {shorten(n)}" for n, v in self.golden.outputs.items()
                            if not np.array_equal(v, outputs[n])]
            differences += inside_differences(expected, self.host.trace(inputs))
            if isinstance(self.host.host, CountingHost):
                instructions = float(self.host.host.counted(inputs)[1].mean())
        return Verification(samples, ticks, len(expected.emitted),
                            self.backend if self.host else INTERPRETER, tuple(differences), instructions)

    def save(self, folder: str | Path) -> Path:
        """Write sources, graphs, weights, golden vectors and report to a folder; see `build_folder.save`."""
        from snncompile.build_folder import save

        return save(self, folder)

    def _taken(self, x: Data, outside: Outside) -> tuple[dict[str, Array], dict[str, int]]:
        """The integers of samples, and how many values were cut, by input."""
        expect_known(outside, ("cut", "error"), "option outside")
        given, cut = taken(self.graph, x, outside)
        for name, count in cut.items():
            warnings.warn(f"input {shorten(name)}: {count:,} values outside of {range_of(self.graph.inputs[name])}, "
                          f"were cut; {WIDER}", stacklevel=3)
        return given, cut

    def _interpret(self, given: Mapping[str, Array], progress: Progress | None, cut: Mapping[str, int]) -> Result:
        samples, ticks = next(iter(given.values())).shape[:2]
        parts = []
        for part in sample_chunks(self.graph, samples, ticks):
            traces = run(self.graph, {n: v[part] for n, v in given.items()}, record=True)
            parts.append((traces.outputs, {n: magnitudes(v) for n, v in traces.emitted.items()}))
            if progress:
                progress(part.stop, samples)
        outputs, counts = ({n: np.concatenate([p[i][n] for p in parts]) for n in parts[0][i]} for i in (0, 1))
        return self._result(outputs, counts, INTERPRETER, cut)

    def _result(self, outputs: Mapping[str, Array], counts: Mapping[str, Array], backend: str,
                cut: Mapping[str, int]) -> Result:
        units = {n: source_unit(self.graph, self.graph.edges_into[n][0].src) for n in self.graph.outputs}
        return Result(outputs, decide(self.graph, outputs), counts, backend, units, cut)

    def _repr_html_(self) -> str:
        return self.report._repr_html_()

    def __repr__(self) -> str:
        populations = len(self.graph.populations)
        return f"CompiledModel({self.report.name!r} for {self.report.target}, {populations} populations)"


def inside_differences(wanted: Traces, traces: Traces) -> list[str]:
    """The populations and states in which two runs differ, as text, each with the first sample and tick of these."""
    differences = []
    for name, emitted in wanted.emitted.items():
        pairs = [("spikes", emitted, traces.emitted[name])]
        pairs += [(f"state {s}", v, traces.states[name][s]) for s, v in wanted.states.get(name, {}).items()]
        for part, a, b in pairs:
            wrong = np.nonzero((a != b).any(axis=tuple(range(2, a.ndim))))
            if len(wrong[0]):
                where = f"sample {wrong[0][0]}, tick {wrong[1][0]}"
                differences.append(f"population {shorten(name)}, {part}: first at {where}")
    return differences
