"""A compiled network: run it, compare it, look inside it, save it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.backend import Progress
from snncompile.backends.network_ticks import NetworkTicks, magnitudes
from snncompile.backends.table import BACKENDS
from snncompile.diagnostics import Diagnostic, shorten
from snncompile.inputs import Data, integers
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, run, sample_chunks
from snncompile.ir.ops import Input
from snncompile.ir.populations import Population
from snncompile.ir.types import Array
from snncompile.mapping.chip import Chip
from snncompile.report.report import Report, decide

INTERPRETER = "interpreter"
"""The name of the reference interpreter, where that of a backend might stand."""


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes:
        all_outputs: `[sample, tick, *shape]` integers by output name.
        decisions: `[sample]`, the strongest element of the first output, decoded as the output says.
        spike_counts: by population, `[sample]`: the sum of what it emitted; for graded ones of its magnitude.
        backend: what ran: the emitted program, by its backend ("c", "lava"), or the "interpreter".
        units: the real value of an integer 1, by output name.
    """

    all_outputs: Mapping[str, Array]
    decisions: Array
    spike_counts: Mapping[str, Array]
    backend: str
    units: Mapping[str, float]

    @property
    def outputs(self) -> Array:
        """The first output."""
        return next(iter(self.all_outputs.values()))


@dataclass(frozen=True)
class Verification:
    """How golden vectors were reproduced: every finding is a place and what differed there."""

    samples: int
    ticks: int
    populations: int
    backend: str
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.differences


@dataclass(frozen=True)
class CompiledModel:
    """A network in integers, with the program that was emitted for it.

    Attributes:
        graph: the INT graph, the definition of what every emitted program computes.
        mapped: what the program does in each tick of the hardware, with its schedule; the INT graph itself where a
            spike crosses the network within a tick.
        artifact: the emitted files.
        golden: vectors that were recorded when it was compiled, in ticks of the network.
        rates: share of active elements by node, as the backend used them.
        report: what was measured and proved.
        notes: warnings of the whole line.
        float_graph: the LEGAL graph it came from; None for a model that was opened from a folder.
        backend: what emitted it, a key of `backends.table.BACKENDS`.
        chip: the network on the target's cores; None where it has none, or for a model opened from a folder.
    """

    graph: Graph
    mapped: Graph
    artifact: Artifact
    golden: Golden
    rates: Mapping[str, float]
    report: Report
    notes: tuple[Diagnostic, ...] = ()
    float_graph: Graph | None = field(default=None, repr=False)
    backend: str = "c"
    chip: Chip | None = field(default=None, repr=False)

    @cached_property
    def host(self) -> NetworkTicks | None:
        """What runs the emitted program on this machine; None for C where there is no C compiler."""
        host = BACKENDS[self.backend].host(self.mapped, self.artifact)
        return None if host is None else NetworkTicks(host, self.graph, self.mapped)

    def run(self, x: Data, progress: Progress | None = None) -> Result:
        """Run the emitted program, or the interpreter where this machine has no C compiler.

        Args:
            x: `[sample, tick, *shape]`, or such by input name: spikes as whole numbers, real inputs in reals.
        """
        given = integers(self.graph, x)
        if self.host is None:
            return self._interpret(given, progress)
        outputs, counts = self.host.run(given, progress)
        return self._result(outputs, counts, self.backend)

    def reference(self, x: Data, progress: Progress | None = None) -> Result:
        """Run the integer interpreter: the same type, the same numbers."""
        return self._interpret(integers(self.graph, x), progress)

    def trace(self, x: Data) -> Traces:
        """What every population emits and every state after each tick, from the emitted program."""
        given = integers(self.graph, x)
        return self.host.trace(given) if self.host else run(self.graph, given, record=True, states=True)

    def verify(self) -> Verification:
        """Replay the golden vectors on the emitted program, and compare it with the interpreter inside too."""
        inputs = self.golden.inputs
        samples, ticks = next(iter(inputs.values())).shape[:2]
        expected = run(self.graph, inputs, record=True, states=True)
        differences = [f"interpreter, output {shorten(n)}" for n, v in self.golden.outputs.items()
                       if not np.array_equal(v, expected.outputs[n])]
        if self.host:
            outputs = self.host.run(inputs)[0]
            differences += [f"emitted program, output {shorten(n)}" for n, v in self.golden.outputs.items()
                            if not np.array_equal(v, outputs[n])]
            differences += inside_differences(expected, self.host.trace(inputs))
        return Verification(samples, ticks, len(expected.emitted),
                            self.backend if self.host else INTERPRETER, tuple(differences))

    def save(self, folder: str | Path) -> Path:
        """Write sources, weights, golden vectors and report; the folder appears whole or not at all."""
        from snncompile.build_folder import save

        return save(self, folder)

    def _interpret(self, given: Mapping[str, Array], progress: Progress | None) -> Result:
        samples, ticks = next(iter(given.values())).shape[:2]
        parts = []
        for part in sample_chunks(self.graph, samples, ticks):
            traces = run(self.graph, {n: v[part] for n, v in given.items()}, record=True)
            parts.append((traces.outputs, {n: magnitudes(v) for n, v in traces.emitted.items()}))
            if progress:
                progress(part.stop, samples)
        outputs, counts = ({n: np.concatenate([p[i][n] for p in parts]) for n in parts[0][i]} for i in (0, 1))
        return self._result(outputs, counts, INTERPRETER)

    def _result(self, outputs: Mapping[str, Array], counts: Mapping[str, Array],
                backend: str) -> Result:
        units = {n: self._unit(n) for n in self.graph.outputs}
        return Result(outputs, decide(self.graph, outputs), counts, backend, units)

    def _unit(self, output: str) -> float:
        op = self.graph.nodes[self.graph.edges_into[output][0].src]
        if isinstance(op, Population):
            return float(op.unit) if op.graded else 1.0
        return op.unit if isinstance(op, Input) else 1.0

    def _repr_html_(self) -> str:
        from snncompile.report.html import summary

        return summary(self.report)

    def __repr__(self) -> str:
        populations = len(self.graph.populations)
        return f"CompiledModel({self.report.name!r} for {self.report.target}, {populations} populations)"


def inside_differences(wanted: Traces, got: Traces) -> list[str]:
    """The populations and states in which two traces differ, and at which tick first."""
    found = []
    for name, emitted in wanted.emitted.items():
        pairs = [("spikes", emitted, got.emitted[name])]
        pairs += [(f"state {s}", v, got.states[name][s]) for s, v in wanted.states.get(name, {}).items()]
        for what, a, b in pairs:
            wrong = np.nonzero((a != b).any(axis=tuple(range(2, a.ndim))))
            if len(wrong[0]):
                where = f"sample {wrong[0][0]}, tick {wrong[1][0]}"
                found.append(f"population {shorten(name)}, {what}: first at {where}")
    return found
