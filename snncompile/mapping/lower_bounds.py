"""Lower bounds: cores that every partition of a network needs, by resource, and packets that every partition sends.

The bounds need no partition. `targets.memory.least_cores` is the bound of `check`, which knows less of a network: it is
never above the one here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from snncompile.ir.types import Array
from snncompile.mapping.connections import Relation
from snncompile.mapping.tiles import Link
from snncompile.mapping.traffic import Axons
from snncompile.targets.columns import KERNEL
from snncompile.targets.memory import IN_AXONS, NEURONS, POPULATIONS, SYNAPSES, MemoryModel
from snncompile.targets.reach import Volume

OUT_AXONS = "out-axons"


def least_cores(shapes: Sequence[Volume], inputs: Array, links: Sequence[Link], axons: Axons, memory: MemoryModel
                ) -> dict[str, int]:
    """Cores that are needed at least, by what runs out: the least use of every population, summed and divided by what a
    core has.

    Args:
        shapes, inputs: of each row of the layer table, and whether it is an input.
        axons: of any cut of the network; which neurons are read does not depend on the cut.
    """
    limits, network = memory.target.limits, memory.target.network
    neurons = sum(math.prod(s) for s, is_input in zip(shapes, inputs, strict=True) if not is_input)
    bits = sum(_least_bits(link, shapes[link.target], memory) for link in links)
    needs = ((NEURONS, neurons, limits.neurons_per_core), (SYNAPSES, bits, limits.synapse_bits_per_core),
             (IN_AXONS, _least_axons(shapes, links, axons, memory), limits.in_axons_per_core))
    layers = int((1 - inputs).sum())
    least = {name: -(-need // most) for name, need, most in needs if most}
    return least | {POPULATIONS: layers if network.layer_per_core else min(layers, 1)}


def least_packets(shapes: Sequence[Volume], inputs: Array, links: Sequence[Link], memory: MemoryModel) -> int:
    """Packets at least, if every neuron fires once: what all neurons of a layer read must reach all of its cores."""
    least = np.zeros(len(shapes), np.int64)
    for link in links:
        if link.connections.full and not inputs[link.source]:
            others = _least_spread(link, shapes[link.target], memory) - 1
            least[link.source] = max(least[link.source], others * link.connections.sources)
    return int(least.sum())


def _least_axons(shapes: Sequence[Volume], links: Sequence[Link], axons: Axons, memory: MemoryModel) -> int:
    """In-axons of all cores at least: a source that is read reaches a core, and one that all neurons of a layer read
    reaches all cores of that layer."""
    read = np.bincount(axons.row, minlength=len(axons)) > 0
    need = np.bincount(axons.population[read], axons.neurons[read], len(shapes)).astype(np.int64)
    for link in links:
        if link.connections.full:
            spread = _least_spread(link, shapes[link.target], memory)
            need[link.source] = max(need[link.source], spread * link.connections.sources)
    return int(need.sum())


def _least_spread(link: Link, shape: Volume, memory: MemoryModel) -> int:
    """Cores, at least, over which a layer is spread whose neurons all read the same."""
    if link.listing == KERNEL:
        return 1
    most = min(memory.longest_list(link.connections.sources, link.bits),
               memory.target.limits.neurons_per_core or math.prod(shape))
    return -(-math.prod(shape) // most)


def _least_bits(link: Link, shape: Volume, memory: MemoryModel) -> int:
    """The least memory of a projection: its synapses, or those of its kernels, in the cheapest lists it can have."""
    axes = link.connections.axes
    if axes is None:
        whole = link.connections.whole
        assert whole is not None
        return _bits(whole.nnz, link, int(np.diff(whole.indptr).max(initial=0)), memory)
    if link.listing == KERNEL:
        # Inputs of one class have lists of the same length, so that these lie on a core together, for every tap.
        alike = np.bincount(axes[0].inputs)[np.diff(axes[0].reads.indptr) > 0].min(initial=link.connections.sources)
        longest = min(_most_readers(axes[0]), memory.longest_list(link.taps * int(alike), link.bits))
        copies = int(memory.least_copies(np.asarray(shape[1] * shape[2])))
        return _bits(copies * link.taps * _pairs(axes[0]), link, longest, memory)
    longest = math.prod(_most_readers(a) for a in axes)
    if link.connections.full:
        longest = min(longest, memory.longest_list(link.connections.sources, link.bits))
    return _bits(math.prod(_pairs(a) for a in axes), link, longest, memory)


def _bits(synapses: int, link: Link, longest: int, memory: MemoryModel) -> int:
    return int(memory.least_bits(*(np.array([n], np.int64) for n in (synapses, link.bits, longest)))[0])


def _pairs(axis: Relation) -> int:
    """How many pairs of an input and an output of an axis are connected."""
    return int(np.bincount(axis.inputs) @ axis.reads @ np.bincount(axis.outputs))


def _most_readers(axis: Relation) -> int:
    """How many outputs of an axis read one input, at most."""
    return int((axis.reads @ np.bincount(axis.outputs, minlength=axis.reads.shape[1])).max(initial=1))
