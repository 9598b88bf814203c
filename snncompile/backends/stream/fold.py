"""The folding of a network: how many lanes each population has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncompile.backends.plan.layouts import as_image
from snncompile.diagnostics import Collector, shorten
from snncompile.ir.graph import Graph
from snncompile.targets.folding import Folding


def lanes_of(graph: Graph, folding: Folding, own: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """The lanes of each population, by name.

    Args:
        folding: of the whole network; a population with fewer channels has as many lanes as channels.
        own: options of single populations.

    Raises:
        CompileError: SNN404 for a population that has more lanes of its own than channels.
    """
    problems, lanes = Collector(), {}
    for name in graph.populations:
        channels = as_image(graph.shapes[name])[0]
        chosen = own.get(name, {}).get("lanes")
        if chosen is not None and chosen > channels:
            problems.error("SNN404", f"options of population {shorten(name)}, lanes",
                           f"{chosen} for {channels} channels", f"1 to {channels}", f"lanes = {channels}")
        lanes[name] = chosen or min(folding.lanes or 1, channels)
    problems.finish()
    return lanes
