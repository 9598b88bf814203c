"""The HLS backend, as an entry of the table of backends."""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Host, Request
from snncompile.backends.products import expect_no_products, products
from snncompile.diagnostics import Diagnostic
from snncompile.ir.graph import Graph
from snncompile.targets.target import Target


class HlsBackend:
    """Emits a project for high-level synthesis: a function of C++ for each population, and a test bench."""

    name = "hls"
    title = "emitted HLS C++"

    def check(self, graph: Graph, target: Target) -> tuple[Diagnostic, ...]:
        """SNN410 for each product of spikes; what else has no form as a stream shows when it is emitted."""
        return products(graph, self.title)

    def emit(self, request: Request) -> Artifact:
        from snncompile.backends.hls.project import project

        expect_no_products(request.graph, self.title)
        return project(request)

    def host(self, graph: Graph, artifact: Artifact) -> Host | None:
        from snncompile.backends.hls.host import host

        return host(graph, artifact)

    def start(self, folder: str) -> str:
        return f"make -C {folder}/{self.name}"
