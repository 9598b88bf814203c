"""Emitted hardware that is ready to be simulated on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from snncompile.backends.backend import Progress
from snncompile.backends.stream.readings import Simulated, inputs_of
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Array


@dataclass(frozen=True)
class StreamHost:
    """Emitted hardware in a simulation; the samples follow each other without a pause.

    Attributes:
        graph: the graph that it was emitted for.
        simulate: takes integer inputs `[sample, tick, *shape]` by name, and whether states are recorded too.
    """

    graph: Graph
    simulate: Callable[[Mapping[str, Array], bool], Simulated]

    def run(self, x: Mapping[str, Array], progress: Progress | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run samples; see `backends.backend.Host`. Raises SNN607 where the simulation fails."""
        return self._simulated(x, False, progress).results(self.graph)

    def trace(self, x: Mapping[str, Array], states: bool = True, progress: Progress | None = None) -> Traces:
        """Run as `run` does, and record what each population emitted, and with `states` each state after each tick."""
        return self._simulated(x, states, progress).traces_of(self.graph, states)

    def _simulated(self, x: Mapping[str, Array], states: bool, progress: Progress | None) -> Simulated:
        found = self.simulate(x, states)
        if progress:
            progress(*[inputs_of(x)[0]] * 2)
        return found
