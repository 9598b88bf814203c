"""The folding of a network: how many lanes, neuron units and waiting words each population has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncompile.backends.plan.layouts import as_image
from snncompile.backends.stream.context import Fold
from snncompile.diagnostics import Collector, shorten
from snncompile.ir.graph import Graph
from snncompile.targets.folding import Folding


def folds_of(graph: Graph, folding: Folding, own: Mapping[str, Mapping[str, Any]]) -> dict[str, Fold]:
    """The folding of each population, by name.

    Args:
        folding: of the whole network. A population with fewer channels than lanes has as many as channels, and the most
            units up to those that its lanes allow.
        own: options of single populations.

    Raises:
        CompileError: SNN404 for a population that has more lanes of its own than channels, or units that its lanes do
            not allow.
    """
    problems, folds = Collector(), {}
    for name in graph.populations:
        channels, given = as_image(graph.shapes[name])[0], own.get(name, {})
        lanes = given.get("lanes") or min(folding.lanes or 1, channels)
        if lanes > channels:
            problems.error("SNN404", f"options of population {shorten(name)}, lanes",
                           f"{lanes} for {channels} channels", f"1 to {channels}", f"lanes = {channels}")
            continue
        legal = legal_units(lanes)
        units = given.get("units") or max(n for n in legal if n <= (folding.units or 1))
        if units not in legal:
            nearest = min(legal, key=lambda n: abs(n - units))
            problems.error("SNN404", f"options of population {shorten(name)}, units", f"{units} with {lanes} lanes",
                           ", ".join(map(str, legal)), f"units = {nearest}")
            continue
        folds[name] = Fold(lanes, units, given.get("queue") or folding.queue or 1)
    problems.finish()
    return folds


def legal_units(lanes: int) -> list[int]:
    """The powers of two that divide a number of lanes.

    >>> legal_units(12)
    [1, 2, 4]
    """
    return [1 << bit for bit in range(lanes.bit_length()) if lanes % (1 << bit) == 0]
