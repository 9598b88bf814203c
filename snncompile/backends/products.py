"""Products of spikes, which no backend can emit yet."""

from __future__ import annotations

from snncompile.diagnostics import CompileError, Diagnostic, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.spike_product import SpikeProduct


def expect_no_products(graph: Graph, title: str) -> None:
    """Raises SNN410 with each product of spikes in a graph; for the arguments see `products`."""
    found = products(graph, title)
    if found:
        raise CompileError(found)


def products(graph: Graph, title: str) -> tuple[Diagnostic, ...]:
    """SNN410 for each product of spikes in a graph.

    Args:
        title: what the programs of the backend are called, such as "emitted C".
    """
    places = [f"node {shorten(name)}" for name, op in graph.nodes.items() if isinstance(op, SpikeProduct)]
    places += [f"edge {shorten(e.label)}" for e in graph.edges for op in e.chain if isinstance(op, SpikeProduct)]
    return tuple(Diagnostic("SNN410", place, "spikeproduct, a product of spikes with spikes",
                            f"operators of {title}: it has layers whose weights do not change",
                            "`check` tells shapes and costs of such a network, and `run` its spikes in real numbers")
                 for place in places)
