"""Probing: what a population of integers does on samples, beside what it did in real numbers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Population
from snncompile.ir.types import Array, Stage
from snncompile.passes.quantize.moments import Recorded

PROBED, PROBED_VALUES = (8, 128), 1 << 22
"""Populations are run on so many samples, within these limits, that the widest has so many values in all ticks."""
Way: TypeAlias = "tuple[Population, Mapping[Edge, Edge]]"
"""A population in integers, and the projections into it, by what they were in real numbers."""


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


@dataclass
class Probe:
    """Runs single populations of integers on the first samples of a calibration.

    Attributes:
        recorded: what the inputs and populations sent in real numbers.
        units: the real value of an integer that each source sends, by name.
        sent: what populations send in integers, by name, which their readers then get; others get what was recorded.
            None where every population is probed by itself.
    """

    recorded: Recorded
    units: Mapping[str, float]
    sent: dict[str, Array] | None = None

    @cached_property
    def count(self) -> int:
        """The number of samples."""
        widest = max(math.prod(values.shape[1:]) for values in self.recorded.values.values())
        return int(np.clip(PROBED_VALUES // max(widest, 1), *PROBED))

    def changed(self, name: str, way: Way) -> Changed:
        """How the spikes of a population differ from those of real numbers."""
        spikes, wanted = self._emitted(name, *way), self.recorded.values[name][:self.count].astype(np.int64)
        rate = float(spikes.sum() / wanted.sum()) if wanted.any() else 1.0
        return Changed(int(np.abs(spikes.sum(1) - wanted.sum(1)).sum()), int(np.abs(spikes - wanted).sum()), rate)

    def keep(self, name: str, way: Way) -> None:
        """Let the readers of a population get what it sends in integers."""
        if self.sent is not None:
            self.sent[name] = self._emitted(name, *way)

    def _emitted(self, name: str, population: Population, projections: Mapping[Edge, Edge]) -> Array:
        nodes: dict[str, Op] = {}
        edges, given = [], {}
        for edge in projections.values():
            source = f"from {edge.src}"
            given[source] = self._given(edge.src)
            low, high = (int(end) for end in (given[source].min(initial=0), given[source].max(initial=0)))
            nodes[source] = Input(given[source].shape[2:], low=low, high=high)
            edges.append(dataclasses.replace(edge, src=source))
        nodes |= {f"in {name}": population, "out": Output()}
        edges = [dataclasses.replace(e, dst=f"in {name}") for e in edges]
        probe = Graph(name, nodes, (*edges, Edge(f"in {name}", "out")), Stage.INT)
        return run(probe, given).outputs["out"]

    def _given(self, source: str) -> Array:
        if self.sent is not None and source in self.sent:
            return self.sent[source]
        return np.rint(self.recorded.values[source][:self.count] / self.units[source]).astype(np.int64)
