"""The C backend, as an entry of the table of backends."""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Host, Request
from snncompile.backends.products import expect_no_products, products
from snncompile.diagnostics import Diagnostic
from snncompile.ir.graph import Graph
from snncompile.targets.load import kernel_costs
from snncompile.targets.target import Target


class CBackend:
    """Emits C99 that computes in integers, for hosts and microcontrollers; kernels are chosen by the measured rates."""

    name = "c"
    title = "emitted C"
    tools = "a C compiler: cc, gcc or clang, or what CC names"

    def check(self, graph: Graph, target: Target) -> tuple[Diagnostic, ...]:
        """SNN410 for each product of spikes. Every other INT and MAPPED graph can be emitted as C."""
        return products(graph, self.title)

    def emit(self, request: Request) -> Artifact:
        from snncompile.backends.c.emit import emit

        expect_no_products(request.graph, self.title)
        return emit(request.graph, rates=request.rates, golden=request.golden, costs=kernel_costs(request.target),
                    chunk=request.program.chunk, weights_as=request.program.weights_as)

    def host(self, graph: Graph, artifact: Artifact) -> Host | None:
        from snncompile.backends.c.host import host

        return host(graph, artifact)

    def start(self, folder: str) -> str:
        return f"make -C {folder}/{self.name}"
