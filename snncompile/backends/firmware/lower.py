"""The lowering of a network for a microcontroller: its kernels, one tick at a time, constants that are not repeated."""

from __future__ import annotations

from collections.abc import Mapping

from snncompile.backends.c.context import Net
from snncompile.backends.c.lower import lower
from snncompile.backends.names import prefix
from snncompile.backends.plan.plan import plan
from snncompile.ir.graph import Graph
from snncompile.targets.load import kernel_costs
from snncompile.targets.target import Target


def lowered(graph: Graph, target: Target, rates: Mapping[str, float], chunk: int | None = None) -> Net:
    """The context of the C templates for a microcontroller.

    Args:
        graph: an INT or MAPPED graph.
        rates: as in `plan.plan`.
        chunk: ticks that run layer by layer; 1 if none is given, since flash is read as quickly again, and RAM is
            scarce.
    """
    return lower(plan(graph, rates, kernel_costs(target), max_lanes=0), prefix(graph.name), graph.schedule, chunk or 1)
