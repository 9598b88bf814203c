"""What backends that print streaming hardware have in common."""

from __future__ import annotations

from snncompile.backends.products import products
from snncompile.diagnostics import Diagnostic
from snncompile.ir.graph import Graph
from snncompile.targets.target import Target


class StreamBackend:
    """The part of a backend that does not depend on the language.

    Attributes:
        name, title, tools: see `backends.backend.Backend`.
    """

    name: str
    title: str
    tools: str

    def check(self, graph: Graph, target: Target) -> tuple[Diagnostic, ...]:
        """SNN410 for each product of spikes; what else has no form as a stream shows when it is emitted."""
        return products(graph, self.title)

    def start(self, folder: str) -> str:
        """The command that simulates the recorded samples."""
        return f"make -C {folder}/{self.name}"
