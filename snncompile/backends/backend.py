"""What a backend is: something that emits files, and something that runs them on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from snncompile.backends.artifact import Artifact
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Array


class Host(Protocol):
    """An emitted program, ready to run here. Values are integers `[sample, tick, *shape]` in ticks of the network."""

    def run(self, x: Mapping[str, Array], progress: Callable[[int, int], None] | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Outputs by name, and the sum of what each population emitted, `[sample]`. Each sample starts from a reset."""
        ...

    def trace(self, x: Mapping[str, Array]) -> Traces:
        """What every population emitted, and every state after each tick."""
        ...


@dataclass(frozen=True)
class Backend:
    """One way to make a program of a graph.

    Attributes:
        name: also the folder of its files in a build.
        emit: `(graph, rates=, golden=)` to files; the graph is MAPPED where the target takes ticks for its hops.
        host: the INT graph, rates and files to what runs them; None where this machine cannot.
    """

    name: str
    emit: Callable[..., Artifact]
    host: Callable[[Graph, Mapping[str, float], Artifact], Host | None]
