"""The HLS backend, as an entry of the table of backends."""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Host, Request
from snncompile.backends.products import expect_no_products
from snncompile.backends.stream.backend import StreamBackend
from snncompile.ir.graph import Graph


class HlsBackend(StreamBackend):
    """Emits a project for high-level synthesis: a function of C++ for each population, and a test bench."""

    name = "hls"
    title = "emitted HLS C++"
    tools = "a C++ compiler, and ap_int.h of Vitis HLS (XILINX_HLS) or of the Python package hls4ml"

    def emit(self, request: Request) -> Artifact:
        from snncompile.backends.hls.project import project

        expect_no_products(request.graph, self.title)
        return project(request)

    def host(self, graph: Graph, artifact: Artifact) -> Host | None:
        from snncompile.backends.hls.host import host

        return host(graph, artifact)
