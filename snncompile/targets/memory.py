"""Memory models: how the cores of a target store synapses and neurons, and what that costs in bits or words.

A target names its memory model by a word (`memory.model`), and `MEMORY_MODELS` maps each word to a class. All that
depends on the way in which synapses are stored is asked of that class: by the bounds of `check`, and by `partition`.
A new memory model is one class here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.axons import Need, least_need
from snncompile.targets.columns import DENSE, KERNEL
from snncompile.targets.layer_table import LayerTable, summed
from snncompile.targets.target import Target

SYNAPSES_OF_A_BLOCK = 64
"""A list of more synapses has a header for each block of so many."""
UNBOUNDED = 1 << 40
"""Stands for the length of a list that no memory limits."""
MAX_TRIED = 1 << 12
"""Synapses of a list, up to which every length is tried in search of the cheapest."""
CHANNELS, ROWS, COLUMNS = range(3)
NEURONS, SYNAPSES, IN_AXONS, POPULATIONS = "neurons", "synapse memory", "in-axons", "populations"
CROWDED = "in-axons that leave no room for others"
"""What cores run out of, in the words of messages."""


@dataclass(frozen=True)
class MemoryModel:
    """How the cores of a target store synapses. The methods here are those of a core that counts no bits for them."""

    target: Target

    @property
    def shares_kernels(self) -> bool:
        """Whether a core stores the kernel of a convolution once for all of its neurons."""
        return self.target.memory.shared_kernels

    @property
    def delays_take_axons(self) -> bool:
        """Whether a neuron needs an axon of its own for each different delay with which it is read."""
        return False

    def bits_per_synapse(self, weight_bits: int, dense: bool) -> int:
        """Bits of one synapse in a list; in a dense list, its position says which neuron it reaches."""
        return weight_bits + (0 if dense else self.target.memory.index_bits or 0)

    def list_bits(self, synapses: Array, bits: Array) -> Array:
        """Bits of lists of so many synapses of so many bits each."""
        return np.zeros(np.broadcast_shapes(np.shape(synapses), np.shape(bits)), np.int64)

    def longest_list(self, lists: int, bits: int) -> int:
        """The most synapses that each of so many lists can have if all lists are on one core."""
        return UNBOUNDED

    def least_bits(self, synapses: Array, bits: Array, longest: Array) -> Array:
        """Bits at least of so many synapses of so many bits each, in lists of at most `longest` synapses."""
        return np.zeros_like(synapses)

    def least_copies(self, pixels: Array) -> Array:
        """Cores at least over which channels of so many pixels are spread: each holds the kernel of its channels."""
        return np.asarray(-(-pixels // (self.target.limits.neurons_per_core or UNBOUNDED)))

    def free_axes(self, listings: Collection[int]) -> tuple[int, ...]:
        """The axes (CHANNELS, ROWS, COLUMNS) along which a box of neurons can be cut in two without taking more memory.

        Args:
            listings: how the synapses into the neurons are stored: DENSE, SPARSE or KERNEL for each projection.
        """
        return CHANNELS, ROWS, COLUMNS

    def synapse_bits(self, table: LayerTable) -> Array:
        """The least bits that each projection takes, `[projection]`, as if all of it were on one core."""
        return np.zeros(len(table.projections), np.int64)

    def neuron_bits(self, table: LayerTable) -> Array:
        """The bits that a core with a single neuron of each projection's target takes at least, `[projection]`."""
        neurons = table.populations.neurons[table.projections.target]
        return np.asarray(-(-self.synapse_bits(table) // np.maximum(neurons, 1)))

    def most_alike(self, table: LayerTable) -> Array:
        """The most neurons at a pixel of whose synapses a core has room for, `[projection]`."""
        return np.full(len(table.projections), UNBOUNDED)

    def axon_needs(self, table: LayerTable, crowding: bool = False) -> list[Need]:
        """What each projection needs of in-axons at least, where a core has a limited number of them; see `least_need`.
        """
        axons, most = self.target.limits.in_axons_per_core or UNBOUNDED, self.target.limits.neurons_per_core
        neurons = table.populations.neurons[table.projections.target]
        return [least_need(reach, axons, min(many, most or many), alike, crowding) for reach, many, alike in zip(
            table.reaches, neurons.tolist(), self.most_alike(table).tolist(), strict=True)]

    def fitting_cores(self, table: LayerTable) -> Array:
        """Which cores each population fits, `[population, core]`, where a core holds one population. Inputs fit none,
        for they lie on no core."""
        cells = table.populations
        return np.repeat(cells.is_input[:, None] == 0, self.target.limits.cores or 1, 1)


class Flat(MemoryModel):
    """Nothing is counted but the neurons."""


class Crossbar(MemoryModel):
    """TrueNorth's: a bit for every pair of an axon and a neuron of the core, whether they are connected or not.

    The delay belongs to the axon, so that a neuron which is read with two delays takes two axons.
    """

    @property
    def delays_take_axons(self) -> bool:
        return True


class Lists(MemoryModel):
    """Loihi's: each axon that reaches a core points to a list of synapses, in words of fixed size.

    The figures are those of nengo-loihi 1.1.0, `SynapseConfig.bits_per_axon`. With `shared_kernels`, the kernel of a
    convolution is stored once for all neurons of a core.
    """

    def list_bits(self, synapses: Array, bits: Array) -> Array:
        """Bits of lists of so many synapses of so many bits each: headers are counted, the last word is filled up.

        On Loihi, with words of 64 bits, 100 synapses of 8 bits and a header of 20 bits for each 64 of them take 840
        bits, which is 14 words:

        >>> from snncompile.targets.load import load_target
        >>> loihi = memory_model(load_target("loihi1").with_(word_bits=64, list_header_bits=20))
        >>> int(loihi.list_bits(np.array(100), np.array(8)))
        896
        """
        return _list_bits(synapses, bits, *self._word_and_header)

    @property
    def _word_and_header(self) -> tuple[int, int]:
        return self.target.memory.word_bits or 1, self.target.memory.list_header_bits or 0

    def longest_list(self, lists: int, bits: int) -> int:
        per_core = self.target.limits.synapse_bits_per_core
        return UNBOUNDED if per_core is None else _longest_list(lists, bits, per_core, *self._word_and_header)

    def least_bits(self, synapses: Array, bits: Array, longest: Array) -> Array:
        """As many as if all lists were of the length at which a synapse is cheapest, its share of the list included."""
        kinds, place = np.unique(bits * (MAX_TRIED + 2) + np.minimum(longest, MAX_TRIED + 1), return_inverse=True)
        cheapest = np.array([_cheapest_list(*divmod(kind, MAX_TRIED + 2), *self._word_and_header)
                             for kind in kinds.tolist()], np.int64).reshape(-1, 2)
        size, length = cheapest[place.reshape(-1)].T
        return np.asarray(synapses // length * size + -(-(synapses % length * size) // length))

    def _kernels(self, table: LayerTable) -> Array:
        """Which projections have kernels that cores share, `[projection]`."""
        return np.asarray((table.projections.kernel_synapses > 0) & self.shares_kernels)

    def neuron_bits(self, table: LayerTable) -> Array:
        """On average, and at least a list for each input that the neuron with most of them reads."""
        links = table.projections
        lists = np.where(self._kernels(table), links.kernel_lists, links.least_axons)
        least = lists * self.list_bits(np.ones(1, np.int64), self._bits(table))
        return np.asarray(np.maximum(super().neuron_bits(table), least))

    def _bits(self, table: LayerTable) -> Array:
        """Bits of one synapse of each projection at least, `[projection]`: it is named in its list unless all neurons
        may read the same."""
        links = table.projections
        named = self._kernels(table) | (links.differs > 0)
        return np.asarray(links.weight_bits + np.where(named, self.target.memory.index_bits or 0, 0))

    def most_alike(self, table: LayerTable) -> Array:
        """As many as make the lists of a shared kernel fill a core. Neurons that read a whole layer have a list for
        each of its neurons."""
        links = table.projections
        whole = np.array([reach.is_full for reach in table.reaches], bool)
        lists = np.where(self._kernels(table), links.kernel_lists, whole * links.least_axons)
        return np.array([max(self.longest_list(n, b), 1) if n else UNBOUNDED
                         for n, b in zip(lists.tolist(), self._bits(table).tolist(), strict=True)], np.int64)

    def free_axes(self, listings: Collection[int]) -> tuple[int, ...]:
        """A source has a list for each box that it reaches, and shorter lists cost more. Only a shared kernel does not
        depend on how many rows and columns a box has."""
        return (ROWS, COLUMNS) if all(listing == KERNEL for listing in listings) else ()

    def synapse_bits(self, table: LayerTable) -> Array:
        links, cells = table.projections, table.populations
        kernels = self._kernels(table)
        copies = self.least_copies((cells.rows * cells.columns)[links.target])
        if self.target.limits.in_axons_per_core and kernels.any():
            copies = np.maximum(copies, [need.spread for need in self.axon_needs(table)])
        return self.least_bits(np.where(kernels, links.kernel_synapses * copies, links.least_synapses),
                               self._bits(table), np.where(kernels, links.channel_readers, links.source_readers))


def _list_bits(synapses: Array, bits: Array, word: int, header: int) -> Array:
    """Bits of lists, whose words have so many bits, and the headers of their blocks so many; see `Lists.list_bits`."""
    return np.asarray(-(-(synapses * bits + -(-synapses // SYNAPSES_OF_A_BLOCK) * header) // word) * word)


@lru_cache(1 << 12)
def _longest_list(lists: int, bits: int, per_core: int, word: int, header: int) -> int:
    """The most synapses of so many bits, 1 at least, that each of so many lists can have on a core of so many bits."""
    low, high = 1, UNBOUNDED
    while low < high:
        middle = (low + high + 1) // 2
        fits = lists * int(_list_bits(np.asarray(middle), np.asarray(bits), word, header)) <= per_core
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


@lru_cache(1 << 12)
def _cheapest_list(bits: int, longest: int, word: int, header: int) -> tuple[int, int]:
    """Bits and synapses of the list of at most `longest` synapses of so many bits in which a synapse is cheapest.

    A synapse takes its own bits at least, which stands for all lists that are too long to be tried.
    """
    if longest > MAX_TRIED:
        return bits, 1
    tried = np.arange(1, max(longest, 1) + 1)
    sizes = _list_bits(tried, np.asarray(bits), word, header)
    best = 0
    while (cheaper := sizes * tried[best] < sizes[best] * tried).any():
        best = int(np.argmax(np.where(cheaper, tried, 0)))
    return int(sizes[best]), int(tried[best])


class DynapCnn(MemoryModel):
    """Speck's: a core holds one layer, whose kernel, neurons and biases take words, rounded up to powers of two.

    The figures are those of sinabs 904eb89, `dynapcnn_layer.py`, `memory_summary`. Cores differ in their words.
    """

    def fitting_cores(self, table: LayerTable) -> Array:
        memory = self.target.memory
        kinds = memory.kernel_words, memory.neuron_words, memory.bias_words
        cores = max((len(words) for words in kinds if words), default=self.target.limits.cores or 1)
        fits = np.ones((len(table.populations), cores), bool)
        for needed, words in zip(_layer_words(table), kinds, strict=True):
            if words is not None:
                fits &= needed[:, None] <= np.resize(np.asarray(words), cores)
        return np.asarray(fits & (table.populations.is_input == 0)[:, None])


def _layer_words(table: LayerTable) -> tuple[Array, Array, Array]:
    """Kernel, neuron and bias words of each population as one layer of DynapCNN, three times `[population]`.

    The kernel of the largest projection into a population, of `c` input and `f` output channels, takes
    `c 2^(ceil(log2(kx ky)) + ceil(log2 f))` words, its `f` times `fx` by `fy` neurons `f 2^(ceil(log2 fx) +
    ceil(log2 fy))`, and the biases a word a channel. A fully connected layer is a kernel over all of its input.
    """
    cells, links = table.populations, table.projections
    into, out = cells.channels[links.source], cells.channels[links.target]
    dense = np.maximum(links.weights // np.maximum(into * out, 1), 1)
    taps = np.where(links.kernel_taps > 0, links.kernel_taps, np.where(links.listing == DENSE, dense, 1))
    words = into * _next_power(taps) * _next_power(out)
    kernels = np.zeros(len(cells), np.int64)
    np.maximum.at(kernels, links.target, words)
    neurons = cells.channels * _next_power(cells.columns) * _next_power(cells.rows)
    return kernels, np.where(cells.is_input, 0, neurons), np.where(cells.bias > 0, cells.channels, 0)


def _next_power(values: Array) -> Array:
    """The smallest power of two that is not below each value."""
    return np.asarray(1 << np.ceil(np.log2(np.maximum(values, 1))).astype(np.int64))


MEMORY_MODELS: dict[str, type[MemoryModel]] = {
    "flat": Flat, "lists": Lists, "crossbar": Crossbar, "dynapcnn": DynapCnn,
}
"""Every memory model by its word in the description of a target (`memory.model`)."""


def memory_model(target: Target) -> MemoryModel:
    """The memory model of a target."""
    return MEMORY_MODELS[target.memory.model](target)


def core_room(target: Target) -> dict[str, int]:
    """What a core has of what cores run out of, by its name. What has no limit is left out."""
    limits = target.limits
    room = {NEURONS: limits.neurons_per_core, SYNAPSES: limits.synapse_bits_per_core,
            IN_AXONS: limits.in_axons_per_core, CROWDED: limits.in_axons_per_core,
            POPULATIONS: 1 if target.network.layer_per_core else None}
    return {name: most for name, most in room.items() if most}


def core_needs(table: LayerTable, target: Target) -> dict[str, tuple[Array, int]]:
    """What each population needs of the cores at least, `[population]`, and what a core has of it; see `core_room`."""
    cells = table.populations
    own = 1 - cells.is_input

    def needed(name: str) -> Array:
        if name == SYNAPSES:
            return summed(table.projections.target, memory_model(target).synapse_bits(table), len(cells))
        if name in (IN_AXONS, CROWDED):
            return _in_axons(table, memory_model(target).axon_needs(table, name == CROWDED))
        return own * cells.neurons if name == NEURONS else own

    return {name: (needed(name), room) for name, room in core_room(target).items()}


def _in_axons(table: LayerTable, needs: Sequence[Need]) -> Array:
    """In-axons of all cores at least, `[population]`.

    Projections from the same source share its axons, so that only the one that takes most of them is counted, for its
    target.
    """
    links = table.projections
    each = np.array([need.axons for need in needs], np.int64)
    order = np.lexsort((each, links.source))
    largest = np.diff(links.source[order], append=-1) != 0
    return summed(links.target[order][largest], each[order][largest], len(table.populations))


def least_cores(table: LayerTable, target: Target) -> dict[str, Array]:
    """Cores that each network needs at least, `[network]`, by what they run out of."""
    return {name: -(-summed(table.populations.network, need, table.networks) // per_core)
            for name, (need, per_core) in core_needs(table, target).items()}


def device_memory_bits(table: LayerTable) -> Array:
    """Bits of the weights and states of each population on an FPGA, as far as widths are known: kernels are stored
    once."""
    cells, links = table.populations, table.projections
    weights = summed(links.target, links.weights * np.maximum(links.weight_bits, 1), len(cells))
    return np.asarray(weights + cells.neurons * cells.states * cells.state_bits)


def flash_bytes(table: LayerTable) -> Array:
    """Bytes of flash that the weights of each population take at least on a microcontroller: 1 bit where two bits hold
    them, since a weight of 1 or -1 is stored as its sign."""
    links = table.projections
    bits = np.where(links.weight_bits <= 2, 1, links.weight_bits)
    return summed(links.target, -(-links.weights * bits // 8), len(table.populations))


def ram_bytes(table: LayerTable) -> Array:
    """Bytes of RAM that the states of each population take at least on a microcontroller.

    A state takes a byte of each neuron at least, and of integers the widest one a type of C that holds it. Sums, and
    what neurons emit, lie in memory that populations share, so that no population takes it alone.
    """
    cells = table.populations
    widest = 1 << np.ceil(np.log2(np.maximum(cells.state_bits, 8) / 8)).astype(np.int64) if table.integers else 1
    return np.asarray(cells.neurons * np.where(cells.states > 0, cells.states - 1 + widest, 0))
