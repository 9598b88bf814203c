"""What a candidate takes of memory as papers count it, from the shapes of its layers.

What hardware holds is in `Cost`, which `snncompile.check` and `snncompile.estimate` return for any target:
`resident_bits` with all layers in memory at once, and `peak_bits` with one layer at a time. This is for comparing with
the tables of a paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Shape, ShapeOnly, Stage, Weight

FULL_BITS = 32
"""The width of weights that are not quantized, and of all biases and batch norms."""
FIRST_BITS = 8
"""The width of the weights of the first layer of a quantized network."""


def qsnn(graph: Graph, weight_bits: int, membrane_bits: int, batch: int = 1, last_bits: int = 8) -> float:
    """The memory of a quantized network as Q-SNN counts it (Wei et al., ACM MM 2024, table 2), in MB of 10^6 bytes.

        8e6 MB = weight_bits * P_hidden + 8 * P_first + last_bits * P_last + 32 * P_others + batch * membrane_bits * V

    P are numbers of weights: of the layers that read the input, of those behind which no layer follows, and of all
    between; a layer that is first and last counts as last. P_others counts biases and the factors and offsets of batch
    norms, which stay in 32 bits. V is the number of neurons of the largest layer: membranes of one layer are held at a
    time, for all samples of a batch. With `weight_bits=32` all weights have 32 bits.

    The count of membranes is for a processor that works off one layer after the other over all ticks. Hardware that
    holds all layers at once has the membranes of all: 11 times as many in ResNet-19 with inputs of 32x32.

    Args:
        graph: a network of stage FLOAT, whose weights may be bare shapes.
        weight_bits, membrane_bits: the widths of weights and membranes, at least 1.
        batch: samples at a time, at least 1.
        last_bits: the width of the weights of the last layers. The table fits 8 for ResNet-19 and VGGSNN, and 32 for
            VGG-16.

    Raises:
        CompileError: SNN204 for a graph of another stage, in which batch norms are folded into other layers; SNN404 for
            a width or a batch below 1.

    A layer of 4x3 weights, a hidden one of 5x4, a last one of 2x5, and layers of 4 and 5 neurons; with weights of 1 bit
    and membranes of 2 these are 20 * 1 + 12 * 8 + 10 * 8 bits of weights and 5 * 2 of membranes, 206 bits:

    >>> from snncompile.ir.graph import Edge
    >>> from snncompile.ir.ops import Input, Linear, Output
    >>> from snncompile.ir.types import ShapeOnly
    >>> lif = Neuron.of("lif")
    >>> ops = [Input((3,)), Linear(ShapeOnly((4, 3))), lif, Linear(ShapeOnly((5, 4))), lif, Linear(ShapeOnly((2, 5)))]
    >>> nodes = {str(i): op for i, op in enumerate([*ops, Output()])}
    >>> graph = Graph("small", nodes, tuple(Edge(str(i), str(i + 1)) for i in range(6)))
    >>> qsnn(graph, 1, 2) * 8e6
    206.0
    """
    _expect(graph, {"weight_bits": weight_bits, "membrane_bits": membrane_bits, "batch": batch, "last_bits": last_bits})
    layers = {name: op for name, op in graph.nodes.items() if isinstance(op, Layer)}
    first, last = _ends(graph, layers)
    widths = dict.fromkeys(layers, weight_bits)
    if weight_bits != FULL_BITS:
        widths |= {**dict.fromkeys(first, FIRST_BITS), **dict.fromkeys(last, last_bits)}
    weights = sum(widths[name] * op.weight.size for name, op in layers.items())
    others = sum(_size_of_others(op) for op in graph.nodes.values())
    neurons = max((_size(graph.shapes[n]) for n in graph.populations), default=0)
    return (weights + FULL_BITS * others + batch * membrane_bits * neurons) / 8e6


def kept(graph: Graph, weight_bits: int = FULL_BITS, index_bits: int = 0) -> int:
    """The bits of the weights that are not zero, as searches of sparsity count them.

    SPEAR, ESL-SNNs, LitE-SNN and GAQ-SNN prune weights and count those that are left. Memory that lists them needs an
    index with each. Hardware may store the zeros of a kernel too: what a target holds is in `Cost`.

    Args:
        graph: a network of stage FLOAT, whose weights may be bare shapes with a density.
        weight_bits: the width of weights that are no bare shapes with bits of their own, at least 1.
        index_bits: what is stored beside each weight, 0 or more.

    Raises:
        CompileError: SNN204 for a graph of another stage; SNN404 for a width below these.

    A fifth of 10 x 20 weights, in 4 bits, with indices of 5 bits:

    >>> from snncompile.search.net import Net
    >>> kept(Net((20,)).linear(10, bits=4, density=0.2).graph(), index_bits=5)
    360
    """
    _expect(graph, {"weight_bits": weight_bits, "index_bits": index_bits + 1})
    return sum(nonzero(op.weight) * (_width(op.weight, weight_bits) + index_bits)
               for op in graph.nodes.values() if isinstance(op, Layer))


def nonzero(weight: Weight) -> int:
    """How many numbers of a weight are not zero."""
    return weight.nonzero if isinstance(weight, ShapeOnly) else int(np.count_nonzero(weight))


def _width(weight: Weight, otherwise: int) -> int:
    return (weight.bits or otherwise) if isinstance(weight, ShapeOnly) else otherwise


def _expect(graph: Graph, options: dict[str, int]) -> None:
    """Refuse a graph whose layers are not those of the source any more, and options below 1."""
    if graph.stage != Stage.FLOAT:
        fail("SNN204", f"graph {shorten(graph.name)}", f"stage {graph.stage.name}", "stage FLOAT",
             "count the network that this one was made from")
    for name, value in options.items():
        if not isinstance(value, int) or value < 1:
            fail("SNN404", f"option {name}", shorten(value), "a whole number, at least 1")


def _ends(graph: Graph, layers: Iterable[str]) -> tuple[set[str], set[str]]:
    """The layers that read inputs without another layer between, and those whose results no other layer reads."""
    names = set(layers)
    ahead = {n: {e.dst for e in edges} for n, edges in graph.edges_from.items()}
    back = {n: {e.src for e in edges} for n, edges in graph.edges_into.items()}
    first = {n for start in graph.inputs for n in _next(start, ahead, names)}
    last = {n for end in graph.outputs for n in _next(end, back, names)}
    return first, last


def _next(start: str, neighbours: dict[str, set[str]], stops: set[str]) -> set[str]:
    """The nodes of `stops` that are reached from a node through no other of them."""
    found, seen, pending = set(), {start}, [start]
    while pending:
        for name in neighbours[pending.pop()] - seen:
            seen.add(name)
            if name in stops:
                found.add(name)
            else:
                pending.append(name)
    return found


def _size_of_others(op: Op) -> int:
    """How many numbers an operator holds that are no weights: biases, factors and offsets. Neurons count as none."""
    if isinstance(op, Neuron):
        return 0
    return sum(array.size for name, array in op.arrays.items() if name != "weight")


def _size(shape: Shape) -> int:
    return math.prod(shape)
