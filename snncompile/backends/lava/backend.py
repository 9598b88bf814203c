"""The Lava backend as the table of backends knows it."""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Host, Request
from snncompile.diagnostics import CompileError, Diagnostic, shorten
from snncompile.ir.graph import Graph
from snncompile.targets.target import Target


class LavaBackend:
    """A package of Lava processes: Loihi's own neurons, emulated, or any program as a process of its own."""

    name = "lava"
    title = "Lava"

    def check(self, graph: Graph, target: Target) -> tuple[Diagnostic, ...]:
        """Lava's synapses take a tick, so that it runs retimed graphs only."""
        if target.timing.hop_ticks:
            return ()
        return (Diagnostic("SNN404", f"target {shorten(target.name)}, timing.hop_ticks", str(target.timing.hop_ticks),
                           "at least 1: the synapses of Lava take one tick", 'write hop_ticks = 1 under [timing]'),)

    def emit(self, request: Request) -> Artifact:
        from snncompile.backends.lava.emit import emit

        problems = self.check(request.graph, request.target)
        if problems:
            raise CompileError(problems)
        return emit(request.graph, golden=request.golden)

    def host(self, graph: Graph, artifact: Artifact) -> Host | None:
        from snncompile.backends.lava.host import host

        return host(graph, artifact)

    def start(self, folder: str) -> str:
        return f"uv run {folder}/{self.name}/run.py"
