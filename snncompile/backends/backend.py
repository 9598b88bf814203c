"""What a backend is: it makes the files of a program from a graph, and runs such files on this machine.

To add a backend, write a class with the members of `Backend` and put an object of it into `table.BACKENDS`; a target
file names it with `backend = "NAME"`. `tests/backends/test_third_backend.py` adds one in this way. A backend for a
language without tensors, such as C or Verilog, prints the plan of `backends.plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from snncompile.backends.artifact import Artifact, Golden
from snncompile.diagnostics import Diagnostic
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Array
from snncompile.mapping.chip import Chip
from snncompile.targets.folding import Folding
from snncompile.targets.layer_options import ByLayer
from snncompile.targets.program import Program
from snncompile.targets.target import Target

Progress = Callable[[int, int], None]
"""Is called after each sample with the number of samples that are done and the number of all samples."""


@dataclass(frozen=True)
class Request:
    """What a backend is asked to emit.

    Attributes:
        graph: what the program computes in each tick of the hardware: an INT graph, or a MAPPED one with its schedule.
        target: the hardware that the program is for.
        chip: which neurons and synapses each core holds, and where the cores lie; None for a target without cores.
        rates: the mean share of elements that are not 0 in a tick, from 0 to 1, of inputs and populations by name,
            where it was measured, and 1 for graded populations. It may decide how something is computed, but must not
            change a result.
        golden: vectors in ticks of the network, by which the program can check itself; None for no self-test.
        measured: inputs in ticks of the network, by which the program is measured before it runs: those of the golden
            vectors, and more of the same kind.
        program: how an emitted C program is made.
        folding, folded: how the network is folded, and options of single populations, where the target is an FPGA.
    """

    graph: Graph
    target: Target
    chip: Chip | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    golden: Golden | None = None
    measured: Mapping[str, Array] = field(default_factory=dict)
    program: Program = field(default_factory=Program)
    folding: Folding = field(default_factory=Folding)
    folded: ByLayer = field(default_factory=dict)


class Host(Protocol):
    """An emitted program that is ready to run on this machine.

    Inputs and results are integers `[sample, tick, *shape]` by name, in ticks of the hardware; `NetworkTicks` adapts
    them to ticks of the network. Each sample starts from a reset.
    """

    def run(self, x: Mapping[str, Array], progress: Progress | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run samples.

        Args:
            x: integers by the name of each input.
            progress: is told of each finished sample.

        Returns:
            The outputs by name, and for each population the sum of what it emitted, graded values by their magnitude,
            `[sample]`.
        """
        ...

    def trace(self, x: Mapping[str, Array], states: bool = True, progress: Progress | None = None) -> Traces:
        """Run samples as `run` does, and record the inside of the network.

        Returns:
            The outputs, what each population emitted in each tick, and with `states` each state after each tick.
        """
        ...


@runtime_checkable
class CountingHost(Protocol):
    """A host that also knows how many instructions of its processor a sample takes."""

    def counted(self, x: Mapping[str, Array]) -> tuple[dict[str, Array], Array]:
        """Run samples as `Host.run` does; the outputs by name, and the instructions of each sample, `[sample]`."""
        ...


class Backend(Protocol):
    """One way to turn a graph into a program.

    Attributes:
        name: the word by which target files name the backend, and the folder of its files in a build.
        title: what its programs are called in messages, such as "emitted C".
        tools: what a machine needs to run its programs, in words.
    """

    name: str
    title: str
    tools: str

    def check(self, graph: Graph, target: Target) -> tuple[Diagnostic, ...]:
        """The reasons why the backend cannot emit a program for this graph and target; empty where it can."""
        ...

    def emit(self, request: Request) -> Artifact:
        """Emit the program.

        Raises:
            CompileError: with the diagnostics of `check`, or with problems that show only while it emits.
        """
        ...

    def host(self, graph: Graph, artifact: Artifact) -> Host | None:
        """Make a program that was emitted for this graph ready to run; None where this machine cannot run it."""
        ...

    def start(self, folder: str) -> str:
        """The shell command by which people start the program of a build folder."""
        ...


@runtime_checkable
class CrossBackend(Protocol):
    """A backend whose tools depend on the program: another compiler and emulator for each processor."""

    def lacking(self, artifact: Artifact) -> str:
        """What this machine lacks to run a program, in words, with where it comes from."""
        ...


def tools_for(backend: Backend, artifact: Artifact) -> str:
    """What a machine needs to run a program of a backend, in words; what this one lacks, where that is known."""
    return backend.lacking(artifact) if isinstance(backend, CrossBackend) else backend.tools
