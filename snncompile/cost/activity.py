"""Activity: how often populations fire and how many synaptic operations follow, measured on samples.

Synaptic operations are counted as NeuroBench does (Yik et al., 2025): at each layer with weights, the pairs of a weight
and an input that are both not zero. Borders are counted exactly, biases are not counted. In a tick in which a layer
receives only 0, 1 and -1 these are accumulations, and in any other tick multiply-accumulations. A product of spikes
with spikes, which NeuroBench does not count, has an operation for each two elements that it multiplies with each other
and that are both not zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snncompile.cost.totals import nonzero_synapses
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run, sample_chunks
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import MaxPool, Rectify, Scale, SumPool
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.types import Array
from snncompile.targets.layer_table import LayerTable, layer_table

REAL_BITS = 8
"""The width that is assumed for values which are not integers yet."""


@dataclass(frozen=True)
class SynapseActivity:
    """What the synapses of a projection did over all samples and ticks.

    Attributes:
        accumulations: synaptic operations in ticks with spikes only.
        multiplications: synaptic operations in ticks with graded values.
        dense: operations if every input and every weight were different from 0.
        events: synapses of the whole projection that a value other than 0 reaches, those of weight 0 included. This is
            the work of hardware that stores such synapses.
        graded_events: the events in ticks with graded values.
        bit_operations: synaptic operations times the bits of weight and value (Shen et al., 2023).
    """

    label: str
    accumulations: float = 0
    multiplications: float = 0
    dense: float = 0
    events: float = 0
    graded_events: float = 0
    bit_operations: float = 0

    def plus(self, other: SynapseActivity) -> SynapseActivity:
        """The sum of both, under the label of this one."""
        counts = {f.name: getattr(self, f.name) + getattr(other, f.name)
                  for f in dataclasses.fields(self) if f.name != "label"}
        return SynapseActivity(self.label, **counts)


@dataclass(frozen=True)
class PopulationActivity:
    """What a population or an input did over all samples and ticks.

    Attributes:
        updates: neurons times ticks.
        fired: updates in which a neuron emitted something.
        spikes: all spikes. A graded value counts as one spike, whatever its size.
    """

    name: str
    neurons: int
    updates: float = 0
    fired: float = 0
    spikes: float = 0


@dataclass(frozen=True)
class Activity:
    """What a network did over all samples.

    Attributes:
        basis: in words, on what it was measured.
        ticks: ticks of one sample.
        populations: by name, inputs included.
        projections: in the order of the layer table.
    """

    basis: str
    samples: int
    ticks: int
    populations: Mapping[str, PopulationActivity]
    projections: tuple[SynapseActivity, ...]

    @property
    def firings(self) -> dict[str, float]:
        """By population, the ticks of a sample in which one of its neurons fires, on average."""
        return {n: f.fired / (max(f.neurons, 1) * max(self.samples, 1)) for n, f in self.populations.items()}


def assumed_activity(table: LayerTable, ticks: int, rates: Mapping[str, float], basis: str) -> Activity:
    """What the network of a layer table would do in one sample if its populations and inputs fired at these rates.

    A layer with 100 synapses from a population of rate 0.2, and with a tenth of its weights not zero, works off 200
    events in 10 ticks, 20 of them accumulations. Graded values are counted as spikes.

    Args:
        ticks: ticks of the sample.
        rates: spikes per neuron and tick of every population and input, by name.
        basis: where these rates are from, in words.
    """
    cells, links = table.populations, table.projections
    often = np.array([ticks * rates[name] for name in table.names])
    firing = {name: PopulationActivity(name, many, many * ticks, many * min(mean, ticks), many * mean)
              for name, many, mean in zip(table.names, cells.neurons.tolist(), often.tolist(), strict=True)}
    nonzero, arriving = nonzero_synapses(table), often[links.source]
    each = zip(table.labels, (nonzero * arriving).tolist(), (links.synapses * ticks).tolist(),
               (links.synapses * arriving).tolist(), (nonzero * links.weight_bits * arriving).tolist(), strict=True)
    return Activity(basis, 1, ticks, firing, tuple(SynapseActivity(
        label, accumulations, dense=dense, events=events, bit_operations=bits)
        for label, accumulations, dense, events, bits in each))


def measure(graph: Graph, x: Mapping[str, Array], table: LayerTable | None = None) -> Activity:
    """Run a LEGAL or later graph on samples and count what it does.

    Ticks are those of the network, however many the hardware takes for each. A projection is counted as it stands: in a
    graph with folded scales, an average pool has become a sum pool.

    Args:
        x: samples `[sample, tick, *shape]` by the name of the input.
        table: the layer table of the graph, if it is known already.
    """
    samples, ticks = next(iter(x.values())).shape[:2]
    table = table or layer_table(graph)
    graded = {n for n, is_graded in zip(table.names, table.populations.graded, strict=True) if is_graded}
    edges = [e for e in graph.edges if e.dst in graph.populations]
    synapses = [SynapseActivity(e.label) for e in edges]
    firing = {n: PopulationActivity(n, count)
              for n, count in zip(table.names, table.populations.neurons.tolist(), strict=True)}
    for part in sample_chunks(graph, samples, ticks):
        given = graph.schedule.present({n: v[part] for n, v in x.items()})
        emitted = {**run(graph, given, record=True).emitted, **given}
        firing = {n: _fired(f, emitted[n], n in graded) for n, f in firing.items()}
        updates = ticks * len(range(samples)[part])
        synapses = [s.plus(_worked(e, emitted[e.src], updates, int(bits))) for s, e, bits in
                    zip(synapses, edges, table.projections.weight_bits, strict=True)]
    return Activity(f"measured on {samples} samples of {ticks} ticks", samples, ticks, firing, tuple(synapses))


def _fired(before: PopulationActivity, emitted: Array, graded: bool) -> PopulationActivity:
    """The activity of a population after it emitted these values as well."""
    fired = int(np.count_nonzero(emitted))
    spikes = fired if graded else float(np.abs(emitted.astype(np.float64)).sum())
    return PopulationActivity(before.name, before.neurons, before.updates + emitted.size, before.fired + fired,
                  before.spikes + spikes)


def _worked(edge: Edge, emitted: Array, updates: int, weight_bits: int) -> SynapseActivity:
    """What the synapses of a projection did on some samples.

    Args:
        emitted: `[sample, tick, *shape]`, what the source emitted.
        updates: ticks of all these samples together.
        weight_bits: the width of the weights.
    """
    late = min(edge.delay, emitted.shape[1])
    y = emitted[:, :emitted.shape[1] - late].reshape(-1, *emitted.shape[2:]).astype(np.float64)
    reached = [_reached(edge.chain, counts) for counts in _counts(y)]
    total = SynapseActivity(edge.label, events=sum(reached), graded_events=reached[1])
    for op, entering in _working(edge.chain, y):
        total = total.plus(_product(op, entering, updates) if isinstance(op, SpikeProduct) else
                           _layer(op, entering, updates, weight_bits))
    return total


def _reached(chain: tuple[Op, ...], active: Array) -> float:
    """How many synapses are reached through a chain by inputs that are active so many times, `[1, *shape]`.

    Paths through the chain are counted: each operator is applied with weights of 1. An active element of the left
    tensor of a product reaches all pairs that it is in.
    """
    for op in chain:
        if isinstance(op, SpikeProduct):
            active[:, op.left:] = 1
        active = _ones(op).apply(active)
    return float(active.sum())


def _working(chain: tuple[Op, ...], y: Array) -> Iterator[tuple[Layer | SpikeProduct, Array]]:
    """The layers of a chain that have weights, and its products, with what enters each of them."""
    last = max((i for i, op in enumerate(chain) if isinstance(op, (Layer, SpikeProduct))), default=-1)
    for op in chain[:last + 1]:
        if isinstance(op, (Layer, SpikeProduct)):
            yield op, y
        y = op.apply(y)


def _layer(op: Layer, entering: Array, updates: int, weight_bits: int) -> SynapseActivity:
    """The synaptic operations of one layer on values `[n, *shape]`."""
    spikes, graded = _counts(entering)
    kept = dataclasses.replace(op, weight=(np.asarray(op.weight) != 0).astype(np.float64), bias=None)
    accumulated, multiplied = float(kept.apply(spikes).sum()), float(kept.apply(graded).sum())
    bits = _bits(entering) if multiplied else 1
    return SynapseActivity("", accumulated, multiplied, op.synapses(entering.shape[1:]) * updates,
                    bit_operations=(accumulated + multiplied * bits) * weight_bits)


def _product(op: SpikeProduct, entering: Array, updates: int) -> SynapseActivity:
    """The operations of a product on values `[n, *shape]`: pairs of two that are both not zero."""
    pairs = op.apply((entering != 0).astype(np.float64)).reshape(len(entering), -1).sum(1)
    graded = _is_graded(entering)
    accumulated, multiplied = float(pairs[~graded].sum()), float(pairs[graded].sum())
    bits = _bits(entering) if multiplied else 1
    return SynapseActivity("", accumulated, multiplied, op.synapses(entering.shape[1:]) * updates,
                           bit_operations=accumulated + multiplied * bits * bits)


def _is_graded(y: Array) -> Array:
    """The ticks in which something else than 0, 1 and -1 stands, `[tick]`."""
    axes = tuple(range(1, y.ndim))
    return np.asarray(((y != 0) & (np.abs(y) != 1)).any(axis=axes) if axes else (y != 0) & (np.abs(y) != 1))


def _counts(y: Array) -> tuple[Array, Array]:
    """How often each element is not 0, `[1, *shape]`: in ticks of only 0, 1 and -1, and in the other ticks."""
    graded, active = _is_graded(y), y != 0
    return active[~graded].sum(0, keepdims=True, dtype=np.float64), active[graded].sum(0, keepdims=True,
                                                                                      dtype=np.float64)


def _bits(y: Array) -> int:
    """The width of values in bits: that of the largest integer, and a sign bit if one is negative."""
    if np.any(y != np.rint(y)):
        return REAL_BITS
    return int(np.abs(y).max(initial=0)).bit_length() + bool(np.any(y < 0))


def _ones(op: Op) -> Op:
    """An operator of the same connections with all weights 1, so that its sums are numbers of synapses."""
    if isinstance(op, Layer):
        return dataclasses.replace(op, weight=np.ones(op.weight.shape), bias=None)
    if isinstance(op, MaxPool):
        return SumPool(op.kernel, op.stride, op.padding)
    return Scale(1.0) if isinstance(op, (Scale, Rectify)) else op
