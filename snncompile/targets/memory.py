"""Memory models: how many bits or words of a core synapses and neurons take.

`lists` is the model of Loihi: each axon that reaches a core points to a list of synapses, which is stored in words of
fixed size (nengo-loihi 1.1.0, `SynapseConfig.bits_per_axon`); the kernel of a convolution may be stored once for all
neurons of a core. `dynapcnn` is that of Speck: a core holds one layer, whose words are rounded up to powers of two
(sinabs 904eb89, `dynapcnn_layer.py`, `memory_summary`). In `crossbar`, a core has a bit for every pair of an axon and a
neuron, so that only the numbers of axons and neurons are limited. `flat` limits only sums over the chip.
"""

from __future__ import annotations

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.layer_table import DENSE, KERNEL, Table
from snncompile.targets.sections import Memory
from snncompile.targets.target import Target

SYNAPSES_OF_A_BLOCK = 64
"""A list of synapses has a header for each block of so many synapses."""


def list_bits(synapses: Array, bits: Array, memory: Memory) -> Array:
    """The bits of lists of synapses, with their headers, rounded up to whole words.

    Args:
        synapses: the number of synapses of each list.
        bits: the bits of a synapse in each list.
    """
    blocks = -(-synapses // SYNAPSES_OF_A_BLOCK)
    word = memory.word_bits or 1
    return np.asarray(-(-(synapses * bits + blocks * (memory.list_header_bits or 0)) // word) * word)


def synapse_bits(table: Table, target: Target) -> Array:
    """The bits that each projection takes where all of it lies on one core, which is the least possible.

    Zeros where the memory model of the target counts no bits.
    """
    links, memory = table.projections, target.memory
    if memory.model != "lists":
        return np.zeros(len(links), np.int64)
    sources = np.maximum(table.populations.neurons[links.source], 1)
    dense, kernel = links.listing == DENSE, (links.listing == KERNEL) & memory.shared_kernels
    lists = np.where(kernel, np.maximum(links.weights // np.maximum(outputs_of_a_list(table), 1), 1), sources)
    each = np.where(kernel, links.weights, links.synapses) / lists
    bits = links.weight_bits + np.where(dense, 0, memory.index_bits or 0)
    return np.asarray(np.where(each > 0, lists * list_bits(np.ceil(each).astype(np.int64), bits, memory), 0))


def outputs_of_a_list(table: Table) -> Array:
    """The synapses of a list of a shared kernel, for each projection: the output channels of an input channel."""
    links = table.projections
    return np.asarray(table.populations.channels[links.target] // np.maximum(links.kernel_groups, 1))


def layer_words(table: Table) -> tuple[Array, Array, Array]:
    """The kernel words, neuron words and bias words that each population takes as a layer of Speck.

    With `c` input channels, `f` output channels, kernels of `kx` by `ky` and outputs of `fx` by `fy`, the kernel takes
    `c 2^(ceil log2(kx ky) + ceil log2 f)` words, for the largest projection into the population, the neurons take
    `f 2^(ceil log2 fx + ceil log2 fy)`, and biases take a word for each channel. A fully connected layer counts as a
    kernel of the size of its input.
    """
    cells, links = table.populations, table.projections
    into, out = cells.channels[links.source], cells.channels[links.target]
    dense = np.maximum(links.weights // np.maximum(into * out, 1), 1)
    taps = np.where(links.kernel_taps > 0, links.kernel_taps, np.where(links.listing == DENSE, dense, 1))
    words = into * _power(taps) * _power(out)
    kernels = np.zeros(len(cells), np.int64)
    np.maximum.at(kernels, links.target, words)
    neurons = cells.channels * _power(cells.columns) * _power(cells.rows)
    return kernels, np.where(cells.is_input, 0, neurons), np.where(cells.bias > 0, cells.channels, 0)


def _power(values: Array) -> Array:
    """The least powers of two that are at least the values."""
    return np.asarray(1 << np.ceil(np.log2(np.maximum(values, 1))).astype(np.int64))


def fitting_cores(table: Table, target: Target) -> Array:
    """Which cores each population fits alone, `[population, core]` booleans; none for inputs, which need no core."""
    kinds = target.memory.kernel_words, target.memory.neuron_words, target.memory.bias_words
    cores = max((len(k) for k in kinds if k), default=target.limits.cores or 1)
    fits = np.ones((len(table.populations), cores), bool)
    for needs, has in zip(layer_words(table), kinds, strict=True):
        if has is not None:
            fits &= needs[:, None] <= np.resize(np.asarray(has), cores)
    return np.asarray(fits & (table.populations.is_input == 0)[:, None])


def neuron_cores(table: Table, target: Target) -> Array:
    """The number of cores, with fractions, that the neurons of each population fill; zeros without such a limit."""
    per_core = target.limits.neurons_per_core
    neurons = np.where(table.populations.is_input, 0, table.populations.neurons)
    return np.asarray(neurons / per_core if per_core else np.zeros(len(neurons)))


def synapse_cores(table: Table, target: Target) -> Array:
    """The number of cores, with fractions, that the synapses into each population fill; zeros without such a limit."""
    per_core = target.limits.synapse_bits_per_core
    bits = np.bincount(table.projections.target, synapse_bits(table, target), len(table.populations))
    return np.asarray(bits / per_core if per_core else np.zeros(len(bits)))


def least_cores(table: Table, target: Target) -> dict[str, Array]:
    """The least number of cores that each network needs, `[network]`, by what fills them."""
    network = table.populations.network
    layers = (1 - table.populations.is_input) * target.network.layer_per_core
    shares = {"neurons": neuron_cores(table, target), "synapse memory": synapse_cores(table, target),
              "populations": layers}
    return {n: np.ceil(np.bincount(network, s, table.networks) - 1e-9).astype(np.int64) for n, s in shares.items()}
