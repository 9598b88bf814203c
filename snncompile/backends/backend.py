"""What a backend is: a request in, files out, and something that runs those files on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from snncompile.backends.artifact import Artifact, Golden
from snncompile.diagnostics import Diagnostic
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Array
from snncompile.mapping.chip import Chip
from snncompile.targets.target import Target

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Request:
    """What a backend is asked to emit.

    Attributes:
        graph: what the program does in each tick of the hardware: an INT graph, or a MAPPED one with its schedule.
        target: the hardware that the program is for.
        chip: which core holds what, and where the cores lie; None for a target without cores.
        rates: the share of active elements of inputs and populations, by name, where it is known. It may decide how
            something is computed, never what.
        golden: vectors in ticks of the network, with which the program is to check itself; None for no self-test.
    """

    graph: Graph
    target: Target
    chip: Chip | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    golden: Golden | None = None


class Host(Protocol):
    """An emitted program, ready to run here: integers `[sample, tick, *shape]` in ticks of the hardware."""

    def run(self, x: Mapping[str, Array], progress: Progress | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Outputs by name, and the sum of what each population emitted, `[sample]`. Each sample starts from a reset."""
        ...

    def trace(self, x: Mapping[str, Array], states: bool = True, progress: Progress | None = None) -> Traces:
        """Outputs, what every population emitted, and with `states` every state after each tick."""
        ...


class Backend(Protocol):
    """One way to make a program of a graph.

    Attributes:
        name: the word by which targets name it, and the folder of its files in a build.
        title: what its programs are called in messages, such as "emitted C".
    """

    name: str
    title: str

    def check(self, graph: Graph, target: Target) -> tuple[Diagnostic, ...]:
        """Why the backend cannot make a program of this graph; nothing where it can."""
        ...

    def emit(self, request: Request) -> Artifact:
        """The program. Raises CompileError with what `check` says."""
        ...

    def host(self, graph: Graph, artifact: Artifact) -> Host | None:
        """What runs a program here that was emitted for this graph; None where this machine cannot."""
        ...

    def start(self, folder: str) -> str:
        """The command that starts the program of a build folder, for people to type."""
        ...
