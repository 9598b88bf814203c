"""Searches of spiking transformers: Auto-Spikformer, AutoST and MA-DARTS. Their networks are refused for now.

Their attention multiplies spikes with spikes, queries with keys and the result with values. The compiler has no product
of two tensors that both change from tick to tick.
"""

from __future__ import annotations

from snncompile.ir.graph import Graph
from snncompile.search.families.family import Family, bounded, refuse

NAME = "attention"


def graph(text: str) -> Graph:
    """Refuse any network. Raises SNN404, always."""
    bounded(NAME, text)
    refuse(NAME, "attention", "products of spikes, of queries with keys and with values",
           "layers with weights between neurons", "products of spikes are not there yet")


FAMILY = Family(NAME, "Auto-Spikformer, AutoST and MA-DARTS: spiking attention",
                "none: products of spikes are not there yet", graph)
