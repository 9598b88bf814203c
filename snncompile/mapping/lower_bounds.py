"""What no partition can do better: least cores by resource, and least packets."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.connections import Relation
from snncompile.mapping.tiles import Link
from snncompile.mapping.traffic import Axons
from snncompile.targets.layer_table import KERNEL
from snncompile.targets.memory import MemoryModel
from snncompile.targets.reach import Volume

NEURONS, SYNAPSES, IN_AXONS, OUT_AXONS, POPULATIONS = (
    "neurons", "synapse memory", "in-axons", "out-axons", "populations")


def least_cores(shapes: Sequence[Volume], inputs: Array, links: Sequence[Link], found: Axons, memory: MemoryModel
                ) -> dict[str, int]:
    """Cores that are needed at least, by what runs out: each the sum of the least use of every layer.

    Args:
        shapes, inputs: of each row of the layer table, and whether it is an input.
    """
    limits, network = memory.target.limits, memory.target.network
    neurons = sum(math.prod(s) for s, given in zip(shapes, inputs, strict=True) if not given)
    bits = sum(_least_bits(link, shapes[link.target], memory) for link in links)
    needs = ((NEURONS, neurons, limits.neurons_per_core), (SYNAPSES, bits, limits.synapse_bits_per_core),
             (IN_AXONS, _least_axons(shapes, links, found, memory), limits.in_axons_per_core))
    layers = int((1 - inputs).sum())
    least = {name: math.ceil(need / most - 1e-9) for name, need, most in needs if most}
    return least | {POPULATIONS: layers if network.layer_per_core else min(layers, 1)}


def least_packets(shapes: Sequence[Volume], inputs: Array, links: Sequence[Link], memory: MemoryModel) -> int:
    """Packets at least, if every neuron fires once: what all neurons of a layer read must reach all of its cores."""
    least = np.zeros(len(shapes), np.int64)
    for link in links:
        if link.connections.full and not inputs[link.source]:
            others = _least_copies(link, shapes[link.target], memory) - 1
            least[link.source] = max(least[link.source], others * link.connections.sources)
    return int(least.sum())


def _connected(found: Axons, populations: int) -> Array:
    """Neurons of each population, and elements of each input, that anything reads."""
    read = np.bincount(found.row, minlength=len(found)) > 0
    return np.bincount(found.population[read], found.neurons[read], populations).astype(np.int64)


def _least_axons(shapes: Sequence[Volume], links: Sequence[Link], found: Axons, memory: MemoryModel) -> int:
    """Every source that is read reaches a core; one that all neurons of a layer read reaches all of its cores."""
    need = _connected(found, len(shapes))
    every = need.copy()
    for link in links:
        if link.connections.full:
            copies = _least_copies(link, shapes[link.target], memory)
            need[link.source] = max(need[link.source], copies * link.connections.sources)
    return int(np.maximum(need, every).sum())


def _least_copies(link: Link, shape: Volume, memory: MemoryModel) -> int:
    """Cores, at least, over which a layer is spread whose neurons all read the same."""
    most = min(memory.longest_list(link.connections.sources, link.bits),
               memory.target.limits.neurons_per_core or math.prod(shape))
    return -(-math.prod(shape) // most) if link.listing != KERNEL else 1


def _least_bits(link: Link, shape: Volume, memory: MemoryModel) -> float:
    """The least memory of a projection: its synapses, or kernels, at the cost of one in the cheapest list."""
    axes = link.connections.axes
    if axes is None:
        assert link.connections.whole is not None
        return float(link.connections.whole.nnz * memory.least_bits_per_synapse(link.bits, 1 << 12))
    if link.listing != KERNEL:
        most = math.prod(_readers(a) for a in axes)
        if link.connections.full:
            most = min(most, memory.longest_list(link.connections.sources, link.bits))
        return math.prod(_pairs(a) for a in axes) * memory.least_bits_per_synapse(link.bits, most)
    lists = link.taps * max(int(axes[0].fan_in.min(initial=1)), 1)
    most = min(_readers(axes[0]), memory.longest_list(lists, link.bits))
    copies = max(1.0, shape[1] * shape[2] / (memory.target.limits.neurons_per_core or math.inf))
    return copies * link.taps * _pairs(axes[0]) * memory.least_bits_per_synapse(link.bits, most)


def _pairs(axis: Relation) -> int:
    return int(np.bincount(axis.inputs) @ axis.reads @ np.bincount(axis.outputs))


def _readers(axis: Relation) -> int:
    return int((axis.reads @ np.bincount(axis.outputs, minlength=axis.reads.shape[1])).max(initial=1))

