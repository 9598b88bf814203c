"""Totals: whole numbers that the populations of a network add to its cost.

They are whole, so that they can be added up part by part in any order: of one network, of a stack of many, and of the
layers of a space of networks.
"""

from __future__ import annotations

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.arithmetic import MAX_BITS
from snncompile.targets.columns import DENSE, KERNEL, SPARSE
from snncompile.targets.layer_table import LayerTable, summed

LISTINGS = {DENSE: "dense", SPARSE: "sparse", KERNEL: "conv"}
"""The word for each way to store synapses, in the names of constants and of totals."""
SUMS = ("inputs", "neurons", "synapses", "nonzero", "nonzero_bits", "dense", "sparse", "conv", "weight_bits",
        "kept_bits", "state_bits")
"""What is added up: elements of inputs, neurons, synapses, synapses whose weight is not zero, these times the bits of
their weights, synapses of each listing, and the bits of weights, of weights that are not zero, and of states."""


def totals(table: LayerTable) -> Array:
    """What each population adds to each of `SUMS`, `[sum, population]`. Projections count for their target."""
    cells, links = table.populations, table.projections

    def into(values: Array) -> Array:
        return summed(links.target, values, len(cells))

    nonzero = nonzero_synapses(table)
    weights, states = _bits(table)
    listed = (into(links.synapses * (links.listing == listing)) for listing in LISTINGS)
    return np.stack([cells.neurons * cells.is_input, cells.neurons * (1 - cells.is_input), cells.synapses,
                     into(nonzero), into(nonzero * links.weight_bits), *listed, into(weights),
                     into(links.nonzero * links.weight_bits), states])


def nonzero_synapses(table: LayerTable) -> Array:
    """The synapses of each projection whose weight is not zero, `[projection]`, if zeros are spread evenly.

    A kernel of 9 weights, 6 of them not zero, that is used at 100 places makes 600 such synapses of 900.
    """
    links = table.projections
    uses, more = np.divmod(links.synapses, links.weights)
    return np.asarray(uses * links.nonzero + more * links.nonzero // links.weights)


def layer_bits(table: LayerTable) -> Array:
    """The bits of the states of each population and of the weights into it, `[population]`."""
    weights, states = _bits(table)
    return np.asarray(states + summed(table.projections.target, weights, len(states)))


def _bits(table: LayerTable) -> tuple[Array, Array]:
    """The bits of the weights of each projection, and of the states of each population."""
    cells, links = table.populations, table.projections
    width = np.where(cells.state_bits, cells.state_bits, MAX_BITS)
    return links.weights * links.weight_bits, np.where(cells.is_input, 0, cells.neurons * cells.states * width)
