"""The C backend as the table of backends knows it."""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Host, Request
from snncompile.diagnostics import Diagnostic
from snncompile.ir.graph import Graph
from snncompile.targets.load import kernel_costs
from snncompile.targets.target import Target


class CBackend:
    """C99 in integers: for hosts and microcontrollers, with kernels that suit the activity of each layer."""

    name = "c"
    title = "emitted C"

    def check(self, graph: Graph, target: Target) -> tuple[Diagnostic, ...]:
        """C computes every graph, in whatever ticks."""
        return ()

    def emit(self, request: Request) -> Artifact:
        from snncompile.backends.c.emit import emit

        return emit(request.graph, rates=request.rates, golden=request.golden, costs=kernel_costs(request.target))

    def host(self, graph: Graph, artifact: Artifact) -> Host | None:
        from snncompile.backends.c.host import host

        return host(graph, artifact)

    def start(self, folder: str) -> str:
        return f"make -C {folder}/{self.name}"
