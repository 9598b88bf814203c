"""Weights that are wider than a synapse of the target, once all factors of a projection are multiplied together.

Quantization gives each layer of a projection codes of the width that was asked for, with a whole multiplier behind
them. A programmable neuron can multiply its sum itself; all other factors have to be in the weight that a synapse
holds. A weight that is too wide for one synapse takes several.
"""

from __future__ import annotations

import numpy as np

from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Scale
from snncompile.targets.target import Target


def wide_weights(graph: Graph, target: Target) -> list[Diagnostic]:
    """A note (SNN412) for each projection of an INT graph whose weights take several synapses each on a target."""
    limit = target.weights.weight_bits
    if limit is None:
        return []
    widths = {e: effective_bits(_stored(e, target), target.weights.mixed_step) for e in graph.edges}
    return [Diagnostic("SNN412", f"projection {shorten(e.label)}",
                       f"weights of {bits} bits, all factors multiplied: several synapses each",
                       f"{limit} bits a synapse on {target.name}",
                       "join layers that have no neurons in between, or take fewer --weight-bits",
                       "note") for e, bits in widths.items() if bits > limit]


def _stored(edge: Edge, target: Target) -> tuple[Op, ...]:
    """The operators of a projection whose factors the synapses have to hold."""
    multiplies = target.neurons.programmable and edge.chain and isinstance(edge.chain[-1], Scale)
    return edge.chain[:-1] if multiplies else edge.chain


def effective_bits(chain: tuple[Op, ...], mixed_step: int) -> int:
    """The width of a chain's weights as signed integers, with all of its factors multiplied together.

    A power of two that all weights share is an exponent and takes no width. Weights of both signs are multiples of
    `mixed_step`, which takes width:

    >>> from snncompile.ir.ops import Linear
    >>> effective_bits((Linear(np.array([[127, -3]])), Scale(6)), mixed_step=1)
    10
    >>> effective_bits((Linear(np.array([[127, -3]])), Scale(6)), mixed_step=2)
    11
    """
    low, high, zeros = 1, 1, 0
    for op in chain:
        if isinstance(op, (Layer, Scale)):
            values = np.asarray(op.factor if isinstance(op, Scale) else op.weight).astype(np.int64)
            common = int(np.bitwise_or.reduce(np.abs(values), axis=None)) or 1
            zeros += (common & -common).bit_length() - 1
            ends = [a * int(b) for a in (low, high) for b in (values.min(initial=0), values.max(initial=0))]
            low, high = min(ends), max(ends)
    low, high = low >> zeros, high >> zeros
    bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1
    return bits + (mixed_step - 1).bit_length() * (low < 0 < high)
