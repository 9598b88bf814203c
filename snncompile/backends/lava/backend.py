"""The Lava backend, as an entry of the table of backends."""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Host, Request
from snncompile.backends.products import products
from snncompile.diagnostics import CompileError, Diagnostic, shorten
from snncompile.ir.graph import Graph
from snncompile.targets.target import Target


class LavaBackend:
    """Emits a package of Lava processes: Lava's own LIF where a population is one, else a generated process."""

    name = "lava"
    title = "Lava"
    tools = "Lava in a Python 3.10: uv, or a python3.10, by which it can be installed"

    def check(self, graph: Graph, target: Target) -> tuple[Diagnostic, ...]:
        """SNN410 for products of spikes; SNN404 for a target without ticks for a hop, which Lava's synapses take."""
        wrong = products(graph, self.title)
        if target.timing.hop_ticks:
            return wrong
        return (*wrong, Diagnostic(
            "SNN404", f"target {shorten(target.name)}, timing.hop_ticks", str(target.timing.hop_ticks),
            "at least 1: the synapses of Lava take one tick", 'write hop_ticks = 1 under [timing]'))

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
