"""The Verilog backend, as an entry of the table of backends."""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Host, Request
from snncompile.backends.products import expect_no_products
from snncompile.backends.stream.backend import StreamBackend
from snncompile.ir.graph import Graph


class VerilogBackend(StreamBackend):
    """Emits a project for an FPGA: a module for each population, memories, a test bench, and scripts for tools."""

    name = "verilog"
    title = "emitted Verilog"
    tools = "Verilator or Icarus Verilog"

    def emit(self, request: Request) -> Artifact:
        from snncompile.backends.verilog.project import project

        expect_no_products(request.graph, self.title)
        return project(request)

    def host(self, graph: Graph, artifact: Artifact) -> Host | None:
        from snncompile.backends.verilog.host import host

        return host(graph, artifact)
