"""From an INT graph to stages and streams."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from snncompile.backends.names import prefix
from snncompile.backends.plan.layouts import channels_last
from snncompile.backends.plan.plan import Plan, PopulationPlan, plan, split
from snncompile.backends.stream.context import Hardware, Link, Port, Stage, State, Stream
from snncompile.backends.stream.neuron_unit import NeuronUnit
from snncompile.diagnostics import Diagnostic
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.types import Array


def unsupported(graph: Graph) -> tuple[Diagnostic, ...]:
    """The projections and outputs that have no form as a stream yet."""
    found = [Diagnostic("SNN410", f"projection {edge.label}", op.kind(), "linear operators between populations")
             for edge in graph.edges for op in edge.chain if not op.linear]
    found += [Diagnostic("SNN410", f"output {edge.dst}", f"a delay of {edge.delay}", "no delay")
              for edge in graph.edges if edge.dst in graph.outputs and edge.delay]
    return tuple(found)


def lower(graph: Graph, lanes: Mapping[str, int] | None = None, chains: int = 1) -> Hardware:
    """The hardware of an INT or MAPPED graph.

    Args:
        lanes: how many weights are added in a cycle, for each population by its name in the graph; 1 otherwise.
        chains: how many carry chains a value passes between registers of a neuron unit.
    """
    return _Lowering(graph, lanes or {}, chains).hardware()


class _Lowering:
    def __init__(self, graph: Graph, lanes: Mapping[str, int], chains: int):
        self.graph, self.lanes, self.chains = graph, lanes, chains
        self.plan: Plan = plan(graph, {}, {})
        self.streams = {s.label: Stream(s.buffer.name, s.label, graph.shapes[s.label], s.buffer.size,
                                        (min(0, s.buffer.low), max(0, s.buffer.high))) for s in self.plan.sources}

    def hardware(self) -> Hardware:
        return Hardware(prefix(self.graph.name),
                        tuple(Port(p.name, p.label, self.streams[p.source.label]) for p in self.plan.inputs),
                        tuple(Port(p.name, p.label, self.streams[p.source.label]) for p in self.plan.outputs),
                        tuple(map(self._stage, self.plan.populations)))

    def _stage(self, population: PopulationPlan) -> Stage:
        update, name = population.update, population.source.label
        numbers = {a.buffer.name: k for k, a in enumerate(update.accumulators)}
        links = [self._link(edge, p.name, numbers[p.accumulator.name])
                 for edge, p in zip(self.graph.edges_into[name], population.projections, strict=True)]
        links.sort(key=lambda k: k.delay > 0)
        if not links or links[0].delay:
            first = self.plan.inputs[0]
            links.insert(0, Link(f"{update.name}_ticks", f"ticks -> {name}", self.streams[first.label], 0, 0, None))
        states = tuple(State(s.buffer.name, label, s.bits, s.initial if s.initials is None else s.initials.values)
                       for label, s in zip(update.op.states, update.states, strict=True))
        unit = NeuronUnit.of(update, self.chains)
        params = {str(w.value): self._by_neuron(population, str(w.value)) for w in unit.wires if w.op == "param"}
        tables = {n: np.ravel(update.op.params[n]) for n in update.op.tables}
        return Stage(self.streams[name], tuple(links), tuple(a.buffer.bits for a in update.accumulators), unit, states,
                     params, tables, min(self.lanes.get(name, 1), update.size))

    def _link(self, edge: Edge, name: str, accumulator: int) -> Link:
        chain, _ = split(edge)
        shape = self.graph.shapes[edge.src]
        size = math.prod(shape)
        x = np.eye(size, dtype=np.int64).reshape(size, *shape)
        for op in chain:
            x = op.apply(x)
        into = self.graph.shapes[edge.dst]
        matrix = np.broadcast_to(x, (size, *into)) if x.shape[1:] != into else x
        weights = matrix.reshape(size, -1)[channels_last(shape)][:, channels_last(into)]
        return Link(name, edge.label, self.streams[edge.src], edge.delay, accumulator, weights)

    def _by_neuron(self, population: PopulationPlan, name: str) -> Array:
        """A parameter or factor of each neuron, channels last."""
        update = population.update
        size, channels = update.size, update.shape[0]
        if name.startswith("factor "):
            factors = update.accumulators[int(name[7:])].factors
            assert factors is not None
            values: Any = factors.values
            return np.tile(values, size // len(values)) if len(values) == channels else values
        full = np.broadcast_to(np.asarray(update.op.params[name]), update.shape)
        return np.asarray(full.reshape(-1)[channels_last(update.shape)])
