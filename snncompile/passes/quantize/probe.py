"""Probing: what a population of integers does on samples, beside what it did in real numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Population
from snncompile.ir.types import Stage
from snncompile.passes.quantize.moments import Recorded

PROBED = 8
"""Samples on which populations are run."""


class Changed(NamedTuple):
    """How spikes of integers differ from those of real numbers; the smaller in this order, the better.

    Attributes:
        counts: by how many the counts of neurons differ.
        ticks: in how many ticks spikes differ.
        rate: spikes of the integers for one of the real numbers.
    """

    counts: int = 0
    ticks: int = 0
    rate: float = 1.0


def changed_spikes(name: str, population: Population, projections: Mapping[Edge, Edge], recorded: Recorded,
                   units: Mapping[str, float]) -> Changed:
    """How the spikes of a population differ on samples. Its sources send what they sent in real numbers.

    Args:
        projections: into the population, in integers, by what they were in real numbers.
        units: the real value of an integer that each source sends, by name.
    """
    nodes: dict[str, Op] = {}
    edges, given = [], {}
    for edge in projections.values():
        source, sent = f"from {edge.src}", recorded.values[edge.src][:PROBED]
        given[source] = np.rint(sent / units[edge.src]).astype(np.int64)
        low, high = (int(end) for end in (given[source].min(initial=0), given[source].max(initial=0)))
        nodes[source] = Input(sent.shape[2:], low=low, high=high)
        edges.append(dataclasses.replace(edge, src=source))
    nodes |= {f"in {name}": population, "out": Output()}
    edges = [dataclasses.replace(e, dst=f"in {name}") for e in edges]
    probe = Graph(name, nodes, (*edges, Edge(f"in {name}", "out")), Stage.INT)
    spikes, wanted = run(probe, given).outputs["out"], recorded.values[name][:PROBED].astype(np.int64)
    rate = float(spikes.sum() / wanted.sum()) if wanted.any() else 1.0
    return Changed(int(np.abs(spikes.sum(1) - wanted.sum(1)).sum()), int(np.abs(spikes - wanted).sum()), rate)
