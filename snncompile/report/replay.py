"""What the golden vectors show: the float and the integer network on the same input, tick by tick, for the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from snncompile.cost.activity import Activity, measure
from snncompile.cost.totals import SUMS, totals
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, run
from snncompile.ir.ops import Input
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.ranges import source_unit
from snncompile.ir.types import Array
from snncompile.report.report import synapses_into
from snncompile.targets.layer_table import LayerTable, layer_table

MAX_TICKS = 200
"""The most ticks that are replayed: a picture has no room for more."""
FEWEST_TICKS = 4
OPERATIONS, VALUES = 1 << 28, 1 << 23
"""The largest products of the synapses of a network, and of its neurons, with the samples and their ticks, but for
FEWEST_TICKS of a sample."""


@dataclass(frozen=True)
class Difference:
    """The first spike that one of the networks fires and the other does not.

    Attributes:
        sample, tick: where it lies in the golden vectors.
        population: the first population, in the order of evaluation, that differs in this tick.
        neuron: the position of its first neuron that differs.
        exact, integer: what this neuron emits in the float and in the integer network.
        neurons: how many neurons of the population differ in this tick.
    """

    sample: int
    tick: int
    population: str
    neuron: tuple[int, ...]
    exact: float
    integer: float
    neurons: int


@dataclass(frozen=True)
class Curve:
    """The membrane of one neuron over the ticks of a sample, in the units of the float network.

    Attributes:
        what: `membrane`, or the name of another state where the neuron has none.
        integer, exact: `[tick]`, after each tick and its reset; `exact` is None without a float network.
        fired, exact_fired: `[tick]`, what the neuron emitted.
        threshold: None for a rule without one.
    """

    population: str
    neuron: tuple[int, ...]
    what: str
    integer: Array
    exact: Array | None
    fired: Array
    exact_fired: Array | None
    threshold: float | None


@dataclass(frozen=True)
class Replay:
    """The golden vectors, or as much of them as a picture needs, in both networks.

    Attributes:
        graph: the INT graph.
        legal: the LEGAL graph that was quantized; None for a network that arrived in integers.
        inputs: integers `[sample, tick, *shape]` by input name.
        integer, exact: what both networks did; `exact` is None without a float network.
    """

    graph: Graph
    legal: Graph | None
    inputs: Mapping[str, Array]
    integer: Traces
    exact: Traces | None

    @classmethod
    def of(cls, graph: Graph, legal: Graph | None, inputs: Mapping[str, Array]) -> Replay:
        """Run both networks on the golden vectors; the float network takes the integers times their unit."""
        samples, ticks = next(iter(inputs.values())).shape[:2]
        synapses = sum(synapses_into(graph, n) for n in graph.populations)
        neurons = sum(math.prod(shape) for shape in graph.shapes.values())
        most = min(OPERATIONS // max(synapses, 1), VALUES // max(neurons, 1))
        ticks = min(ticks, MAX_TICKS, max(most, FEWEST_TICKS))
        samples = min(samples, max(most // ticks, 1))
        given = {n: v[:samples, :ticks] for n, v in inputs.items()}
        reals = {n: v * graph.inputs[n].unit for n, v in given.items()}
        exact = None if legal is None else run(legal, reals, record=True, states=True, dtype=np.float32)
        return cls(graph, legal, given, run(graph, given, record=True, states=True), exact)

    @property
    def ticks(self) -> int:
        return int(next(iter(self.inputs.values())).shape[1])

    @cached_property
    def activity(self) -> Activity:
        """What the integer network did."""
        return measure(self.graph, self.inputs, self.table)

    @cached_property
    def table(self) -> LayerTable:
        return layer_table(self.graph)

    @property
    def operations(self) -> dict[str, float]:
        """The synaptic operations of a sample, by population."""
        edges = [e for e in self.graph.edges if e.dst in self.graph.populations]
        found = dict.fromkeys(self.graph.populations, 0.0)
        for edge, work in zip(edges, self.activity.projections, strict=True):
            found[edge.dst] += (work.accumulations + work.multiplications) / self.activity.samples
        return found

    @property
    def rates(self) -> dict[str, float]:
        """The spikes of a neuron in a tick, by population."""
        return {n: self.activity.populations[n].spikes / max(self.activity.populations[n].updates, 1)
                for n in self.graph.populations}

    @property
    def bytes_of(self) -> dict[str, tuple[float, float]]:
        """The memory of the weights into each population, and of its states, in bytes at their widths."""
        sums = dict(zip(SUMS, totals(self.table) / 8, strict=True))
        return {n: (float(sums["weight_bits"][i]), float(sums["state_bits"][i]))
                for i, n in enumerate(self.table.names) if n in self.graph.populations}

    def graded(self, name: str) -> bool:
        """Whether a node emits values rather than spikes. What is neither a population nor an input may."""
        op = self.graph.nodes[name]
        return op.graded if isinstance(op, Population) else not isinstance(op, Input) or op.values == "real"

    def unit(self, name: str) -> float:
        """The real value of the integer 1 of what a node emits."""
        return source_unit(self.graph, name)

    def differing(self, name: str) -> Array:
        """Where the spikes of a population differ, `[sample, tick, *shape]`; nowhere without a float network."""
        emitted = self.integer.emitted[name]
        if self.exact is None or self.graded(name):
            return np.zeros(emitted.shape, bool)
        return np.asarray(self.exact.emitted[name] != emitted)

    @cached_property
    def first_difference(self) -> Difference | None:
        """The earliest difference of the first sample that has any; None where all spikes are equal."""
        found = []
        for place, name in enumerate(n for c in self.graph.components for n in c if n in self.graph.populations):
            where = np.argwhere(self.differing(name))
            if len(where):
                found.append((int(where[0][0]), int(where[0][1]), place, name, tuple(where[0][2:].tolist())))
        if not found or self.exact is None:
            return None
        sample, tick, _, name, neuron = min(found)
        at = (sample, tick, *neuron)
        return Difference(sample, tick, name, neuron, float(self.exact.emitted[name][at]),
                          float(self.integer.emitted[name][at]), int(self.differing(name)[sample, tick].sum()))

    @property
    def sample(self) -> int:
        """The sample that is shown: that of the first difference, or the first one."""
        return self.first_difference.sample if self.first_difference else 0

    def curve(self) -> Curve | None:
        """The membrane of the neuron that differs first, or of the one that spikes most of those near the output.

        None where no population that spikes has a membrane.
        """
        if self.first_difference:
            return self._curve(self.first_difference.population, self.first_difference.neuron)
        for name in reversed([n for c in self.graph.components for n in c if n in self.graph.populations]):
            counts = np.abs(self.integer.emitted[name][self.sample]).sum(0)
            if not self.graded(name) and self.integer.states.get(name) and counts.size:
                place = np.unravel_index(int(counts.argmax()), counts.shape)
                return self._curve(name, tuple(int(i) for i in place))
        return None

    def _curve(self, name: str, neuron: tuple[int, ...]) -> Curve | None:
        op, known = self.graph.population(name), self.integer.states.get(name, {})
        if not known:
            return None
        membranes = self._membranes(name)
        state = next((s for s in ("v", *membranes) if s in membranes and s in known), next(iter(known)))
        of = state in membranes
        at: Any = (self.sample, slice(None), *neuron)
        unit = _element(op.unit, self.graph.shapes[name], neuron) if of else 1.0
        exact = exact_fired = None
        threshold = _element(op.threshold, self.graph.shapes[name], neuron) * unit if of and op.threshold is not None \
            else None
        if self.exact is not None and state in self.exact.states.get(name, {}):
            exact, exact_fired = self.exact.states[name][state][at], self.exact.emitted[name][at]
        return Curve(name, neuron, "membrane" if of else f"state {state}", known[state][at] * unit, exact,
                     self.integer.emitted[name][at], exact_fired, threshold)

    def _membranes(self, name: str) -> list[str]:
        """The states of a population that are measured in steps of its membrane; only `v` is known to be one without
        a float network."""
        neurons = None if self.legal is None else self.legal.nodes[name]
        if isinstance(neurons, Neuron):
            return [state for state, quantity in neurons.traced.states.items() if quantity.dimension == "membrane"]
        return ["v"]


def _element(value: Array | float, shape: tuple[int, ...], place: tuple[int, ...]) -> float:
    """An element of an array that broadcasts to a shape."""
    return float(np.broadcast_to(np.asarray(value), shape)[place])
