"""Activity: how often every population fires and every synapse works, measured on samples or assumed.

The counts of synaptic operations are NeuroBench's (Yik et al., 2025): at each layer with weights, the pairs of a
weight and an input that are both not zero, borders counted exactly, biases not at all; a tick in which a layer
receives nothing but 0, 1 and -1 adds accumulations, any other one multiply-accumulations.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snncompile.diagnostics import fail
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run, sample_chunks
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Linear, MaxPool, Rectify, Scale, SumPool
from snncompile.ir.types import Array
from snncompile.targets.layer_table import Table, layer_table

REAL_BITS = 8
"""Width taken for a value that is not an integer yet."""


@dataclass(frozen=True)
class Synapses:
    """What the synapses of a projection did.

    Attributes:
        accumulations, multiplications: effective synaptic operations, with spikes and with graded values.
        dense: operations if every input and weight counted.
        events: synapses reached by values that are not 0, through all operators at once, weights of 0 included: what
            hardware works off that stores them.
        graded_events: those of them that carry something else than 1 or -1.
        bit_operations: effective operations times the bits of weight and value (Shen et al., 2023).
    """

    label: str
    accumulations: float = 0
    multiplications: float = 0
    dense: float = 0
    events: float = 0
    graded_events: float = 0
    bit_operations: float = 0

    def plus(self, other: Synapses) -> Synapses:
        counts = {f.name: getattr(self, f.name) + getattr(other, f.name)
                  for f in dataclasses.fields(self) if f.name != "label"}
        return Synapses(self.label, **counts)


@dataclass(frozen=True)
class Firing:
    """What a population did: neurons times ticks, how many of these emitted something, and the spikes in all.

    A graded value is one spike, whatever its size.
    """

    name: str
    neurons: int
    updates: float = 0
    fired: float = 0
    spikes: float = 0


@dataclass(frozen=True)
class Activity:
    """What a network did over all samples; `basis` says in words where that is known from."""

    basis: str
    samples: int
    ticks: int
    populations: Mapping[str, Firing]
    projections: tuple[Synapses, ...]


def measure(graph: Graph, x: Mapping[str, Array], table: Table | None = None) -> Activity:
    """Run a LEGAL or later graph on samples `[sample, tick, *shape]`, by input name, and count.

    Ticks are those of the network, whatever the hardware takes for each. A projection is counted as it stands: in a
    graph with folded scales, an average pool has become a sum pool.

    Args:
        table: the graph's layer table, where it is at hand.
    """
    samples, ticks = next(iter(x.values())).shape[:2]
    table = table or layer_table(graph)
    graded = {n for n, is_graded in zip(table.names, table.populations.graded, strict=True) if is_graded}
    edges = [e for e in graph.edges if e.dst in graph.populations]
    synapses = [Synapses(e.label) for e in edges]
    firing = {n: Firing(n, count) for n, count in zip(table.names, table.populations.neurons.tolist(), strict=True)}
    for part in sample_chunks(graph, samples, ticks):
        given = graph.schedule.present({n: v[part] for n, v in x.items()})
        emitted = {**run(graph, given, record=True).emitted, **given}
        firing = {n: _fired(f, emitted[n], n in graded) for n, f in firing.items()}
        updates = ticks * len(range(samples)[part])
        synapses = [s.plus(_worked(e, emitted[e.src], updates, int(bits))) for s, e, bits in
                    zip(synapses, edges, table.projections.weight_bits, strict=True)]
    return Activity(f"measured on {samples} samples of {ticks} ticks", samples, ticks, firing, tuple(synapses))


def assume(table: Table, ticks: int, rate: float) -> Activity:
    """What a network of spiking neurons would do if every one of them fired at one rate, the inputs too.

    Args:
        rate: spikes a neuron and tick.

    Raises:
        CompileError: SNN404 for a rate or a number of ticks that cannot be.
    """
    if not 0 <= rate < math.inf or ticks < 0:
        fail("SNN404", "option rate, ticks", f"{rate!r}, {ticks!r}", "numbers, at least 0")
    cells, links = table.populations, table.projections
    firing = {n: Firing(n, neurons, neurons * ticks, neurons * ticks * min(rate, 1), neurons * ticks * rate)
              for n, neurons in zip(table.names, cells.neurons.tolist(), strict=True)}
    synapses = []
    for label, count, bits in zip(table.labels, links.synapses.tolist(), links.weight_bits.tolist(), strict=True):
        worked = count * ticks * rate
        synapses.append(Synapses(label, worked, 0, count * ticks, worked, 0, worked * bits))
    return Activity(f"assumed: {rate:g} spikes a neuron and tick, {ticks} ticks", 1, ticks, firing, tuple(synapses))


def _fired(before: Firing, emitted: Array, graded: bool) -> Firing:
    fired = int(np.count_nonzero(emitted))
    spikes = fired if graded else float(np.abs(emitted.astype(np.float64)).sum())
    return Firing(before.name, before.neurons, before.updates + emitted.size, before.fired + fired,
                  before.spikes + spikes)


def _worked(edge: Edge, emitted: Array, updates: int, weight_bits: int) -> Synapses:
    """What one projection's synapses did on some samples, of so many ticks in all."""
    late = min(edge.delay, emitted.shape[1])
    y = emitted[:, :emitted.shape[1] - late].reshape(-1, *emitted.shape[2:]).astype(np.float64)
    reached = [_reached(edge.chain, counts) for counts in _counts(y)]
    found = Synapses(edge.label, events=sum(reached), graded_events=reached[1])
    for op, entering in _layers(edge.chain, y):
        found = found.plus(_layer(op, entering, updates, weight_bits))
    return found


def _reached(chain: tuple[Op, ...], active: Array) -> float:
    """The synapses that values reach through a chain, counting paths: each operator with weights of 1."""
    for op in chain:
        active = _ones(op).apply(active)
    return float(active.sum())


def _layers(chain: tuple[Op, ...], y: Array) -> Iterator[tuple[Linear | Conv, Array]]:
    """The layers with weights of a chain, and what enters them."""
    last = max((i for i, op in enumerate(chain) if isinstance(op, (Linear, Conv))), default=-1)
    for op in chain[:last + 1]:
        if isinstance(op, (Linear, Conv)):
            yield op, y
        y = op.apply(y)


def _layer(op: Linear | Conv, entering: Array, updates: int, weight_bits: int) -> Synapses:
    """Operations of one layer on `[n, *shape]`."""
    spikes, graded = _counts(entering)
    kept = dataclasses.replace(op, weight=(np.asarray(op.weight) != 0).astype(np.float64), bias=None)
    accumulated, multiplied = float(kept.apply(spikes).sum()), float(kept.apply(graded).sum())
    bits = _bits(entering) if multiplied else 1
    return Synapses("", accumulated, multiplied, op.synapses(entering.shape[1:]) * updates,
                    bit_operations=(accumulated + multiplied * bits) * weight_bits)


def _counts(y: Array) -> tuple[Array, Array]:
    """How often each element is not 0, `[1, *shape]`: in ticks of nothing but 0, 1 and -1, and in others."""
    axes = tuple(range(1, y.ndim))
    graded = ((y != 0) & (np.abs(y) != 1)).any(axis=axes) if axes else (y != 0) & (np.abs(y) != 1)
    active = y != 0
    return active[~graded].sum(0, keepdims=True, dtype=np.float64), active[graded].sum(0, keepdims=True,
                                                                                      dtype=np.float64)


def _bits(y: Array) -> int:
    """The width of values: of integers the bits of the largest, with a sign where one is negative."""
    if np.any(y != np.rint(y)):
        return REAL_BITS
    return int(np.abs(y).max(initial=0)).bit_length() + bool(np.any(y < 0))


def _ones(op: Op) -> Op:
    """The operator that counts synapses instead of weighing them."""
    if isinstance(op, (Linear, Conv)):
        return dataclasses.replace(op, weight=np.ones(op.weight.shape), bias=None)
    if isinstance(op, MaxPool):
        return SumPool(op.kernel, op.stride, op.padding)
    return Scale(1.0) if isinstance(op, (Scale, Rectify)) else op
