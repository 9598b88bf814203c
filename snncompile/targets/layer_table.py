"""The layer table: a network as columns of numbers, with a row for each population and a row for each projection.

Hardware rules read nothing else, so that the same functions judge one network and a stack of many. Columns are NumPy
vectors of integers. Words, such as the name of a neuron rule, are stored as their index in a tuple of words.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.layer import Layer
from snncompile.ir.library import RULES
from snncompile.ir.loihi import LOIHI
from snncompile.ir.op import Op
from snncompile.ir.operators import OPERATORS
from snncompile.ir.ops import Conv, Input, Output, Pool, Scale
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import Compare, Reset, When
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape
from snncompile.targets.reach import Reach, most_of_a_neuron, reach_of, volume

RULE_WORDS = (*RULES, LOIHI, "another")
RESET_WORDS, WHEN_WORDS, COMPARE_WORDS = get_args(Reset), get_args(When), get_args(Compare)
DENSE, SPARSE, KERNEL = range(3)
"""How the synapses of a projection are stored: as a dense matrix, as a list of pairs, or as a kernel."""
ABSENT = -1
"""The value of a column for rows that have none: the word is unknown, or the projection has no convolution."""


def operator_bits() -> dict[str, int]:
    """The bit that stands for each operator in `Projections.operators`, by the word of the operator."""
    return {word: 1 << i for i, word in enumerate(OPERATORS)}


@dataclass(frozen=True)
class Columns:
    """Vectors of the same length; `network` is the number of the network that each row belongs to."""

    network: Array

    def __len__(self) -> int:
        return len(self.network)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Any:
        """The columns of rows that are given as mappings; what a row leaves out is 0."""
        names = [f.name for f in dataclasses.fields(cls)]
        values = np.fromiter((row.get(n, 0) for n in names for row in rows), np.int64, len(names) * len(rows))
        return cls(*values.reshape(len(names), len(rows)))


@dataclass(frozen=True)
class Populations(Columns):
    """A row for each population and each input.

    Attributes:
        is_input, is_output, bias, graded: 1 or 0.
        channels, rows, columns: its shape, see `reach.volume`.
        rule, reset, reset_time, compare: indices into `RULE_WORDS`, `RESET_WORDS`, `WHEN_WORDS` and `COMPARE_WORDS`;
            ABSENT where nothing is known.
        spikes_per_tick: the most spikes of a neuron in a tick; 0 where there is no bound, 1 for graded values.
        thresholds: how many different thresholds its neurons have.
        states: state variables of a neuron.
        state_bits: bits of the widest state; 0 where nothing is known.
        fan_in: synapses into one neuron, at most.
        least_axons: inputs that the neuron which reads most of them reads at least; projections from the same source
            read the same inputs.
        synapses: synapses into all of its neurons.
        readers, sources: projections from it to populations, and projections into it.
    """

    is_input: Array
    is_output: Array
    channels: Array
    rows: Array
    columns: Array
    neurons: Array
    rule: Array
    reset: Array
    reset_time: Array
    compare: Array
    spikes_per_tick: Array
    thresholds: Array
    states: Array
    state_bits: Array
    bias: Array
    graded: Array
    fan_in: Array
    least_axons: Array
    synapses: Array
    readers: Array
    sources: Array


@dataclass(frozen=True)
class Projections(Columns):
    """A row for each projection between populations or from an input to a population.

    Attributes:
        source, target: rows of the populations.
        delay: ticks.
        listing: DENSE, SPARSE or KERNEL.
        operators: which operators occur in its chain, in the bits that `operator_bits` gives them.
        synapses, fan_in: synapses in all, and into one neuron at most.
        least_synapses: synapses at least: less than `synapses` where those are not known exactly, or where the weights
            of a dense layer are mostly zeros.
        kernel_synapses: synapses at least of its kernels, stored once for all neurons; 0 where they cannot be.
        kernel_lists: lists at least that a core with a channel of such a kernel has: one for each input of a neuron.
        differs: whether it is certain that not all neurons of the target read the same.
        least_axons: inputs that the neuron which reads most of them reads at least.
        source_readers: synapses of one neuron of the source, at most.
        channel_readers: channels of the target that one channel of the source reaches, at most.
        weights: how many weights its layers have, kernels counted once.
        weight_bits: the width that holds each weight as a signed integer.
        mixed: 1 if it has weights of both signs, or may have.
        weights_per_neuron: different weights among the synapses of a neuron, at most.
        loops: 1 if it lies on a cycle.
        shortcut: 1 if a longer path through other populations leads from its source to its target.
        kernel_side, kernel_taps, stride, padding, kernel_groups, kernel_dilation, input_side, output_side: those of its
            last convolution, the largest along all axes; ABSENT where it has none.
        pool_side: the product of the sides of its pools; ABSENT if one of them is not square, is padded, or has a
            stride that differs from its side.
    """

    source: Array
    target: Array
    delay: Array
    listing: Array
    operators: Array
    synapses: Array
    least_synapses: Array
    kernel_synapses: Array
    kernel_lists: Array
    least_axons: Array
    differs: Array
    source_readers: Array
    channel_readers: Array
    fan_in: Array
    weights: Array
    weight_bits: Array
    mixed: Array
    weights_per_neuron: Array
    loops: Array
    shortcut: Array
    kernel_side: Array
    kernel_taps: Array
    stride: Array
    padding: Array
    kernel_groups: Array
    kernel_dilation: Array
    input_side: Array
    output_side: Array
    pool_side: Array


@dataclass(frozen=True)
class LayerTable:
    """One network, or a stack of several, as columns.

    Attributes:
        networks: how many networks there are.
        names: the names of the populations and inputs, row by row.
        labels: the labels of the projections, row by row.
        reaches: what each projection reads.
    """

    networks: int
    populations: Populations
    projections: Projections
    names: tuple[str, ...]
    labels: tuple[str, ...]
    reaches: tuple[Reach, ...]


def layer_table(graph: Graph, weight_bits: int = 8, state_bits: int = 0) -> LayerTable:
    """The layer table of a LEGAL or later graph, whose weights may be bare shapes.

    Args:
        weight_bits, state_bits: the widths that are assumed for weights and states which are not integers yet; 0 where
            nothing is known of states.
    """
    rows = {n: i for i, (n, op) in enumerate((n, op) for n, op in graph.nodes.items() if not isinstance(op, Output))}
    edges = [e for e in graph.edges if e.dst in rows]
    reaches = tuple(reach_of(e.chain, graph.shapes[e.src]) for e in edges)
    links = _links(graph, edges)
    projections = [_projection(graph, e, r, weight_bits) | links[i] | {"source": rows[e.src], "target": rows[e.dst]}
                   for i, (e, r) in enumerate(zip(edges, reaches, strict=True))]
    populations = [{"state_bits": state_bits * (n in graph.populations)} | _population(graph, n) for n in rows]
    for projection in projections:
        populations[projection["source"]]["readers"] += 1
        for sums in ("sources", "fan_in", "synapses"):
            populations[projection["target"]][sums] += projection.get(sums, 1)
    into: dict[int, list[tuple[int, Reach]]] = {}
    for projection, reach in zip(projections, reaches, strict=True):
        into.setdefault(projection["target"], []).append((projection["source"], reach))
    for row, parts in into.items():
        populations[row]["least_axons"] = parts[0][1].least_axons if len(parts) == 1 else most_of_a_neuron(
            [(source, [a.least for a in reach.axes]) for source, reach in parts])
    return LayerTable(1, Populations.of(populations), Projections.of(projections), tuple(rows),
                 tuple(e.label for e in edges), reaches)


def stack(tables: Iterable[LayerTable]) -> LayerTable:
    """Several tables as one. The rows of a network are those with its number in the column `network`."""
    parts = list(tables)
    rows = np.cumsum([0, *(len(t.populations) for t in parts)])
    network = np.cumsum([0, *(t.networks for t in parts)])

    def joined(kind: str, **shifts: Array) -> Any:
        columns = [getattr(t, kind) for t in parts]
        names = [f.name for f in dataclasses.fields(columns[0])]
        return type(columns[0])(**{n: np.concatenate([getattr(c, n) + shifts[n][i] if n in shifts else getattr(c, n)
                                                      for i, c in enumerate(columns)]) for n in names})

    return LayerTable(int(network[-1]), joined("populations", network=network),
                 joined("projections", network=network, source=rows, target=rows),
                 tuple(n for t in parts for n in t.names), tuple(n for t in parts for n in t.labels),
                 tuple(r for t in parts for r in t.reaches))


def _population(graph: Graph, name: str) -> dict[str, Any]:
    op, shape = graph.nodes[name], graph.shapes[name]
    channels, rows, columns = volume(shape)
    row = {"channels": channels, "rows": rows, "columns": columns, "neurons": math.prod(shape), "fan_in": 0,
           "synapses": 0, "readers": 0, "sources": 0,
           "is_output": any(isinstance(graph.nodes[e.dst], Output) for e in graph.edges_from[name])}
    return row | _cell(op, shape)


def _cell(op: Op, shape: Shape) -> dict[str, Any]:
    """The columns that say what the neurons of a population are."""
    unknown = dict.fromkeys(("rule", "reset", "reset_time", "compare"), ABSENT)
    if isinstance(op, Input):
        return unknown | {"is_input": 1, "graded": op.values == "real",
                          "spikes_per_tick": 1 if op.values == "real" else max(1, math.ceil(op.high))}
    if isinstance(op, Population):
        bits = max((s.bits for s in op.states.values()), default=0)
        return unknown | {"rule": _place(op.rule, RULE_WORDS), "graded": op.graded, "state_bits": bits,
                          "states": len(op.states),
                          "spikes_per_tick": 1 if op.graded else max(1, op.output_high),
                          "thresholds": _distinct(op.threshold, shape), "bias": op.bias is not None}
    assert isinstance(op, Neuron)
    row = unknown | {"rule": _place(op.rule.name, RULE_WORDS), "graded": not op.rule.spiking, "spikes_per_tick": 1,
                     "bias": op.bias is not None, "states": len(op.traced.states),
                     "thresholds": _distinct(op.threshold, shape)}
    if op.rule.spiking:
        row |= {"reset": RESET_WORDS.index(op.firing.reset), "reset_time": WHEN_WORDS.index(op.firing.when),
                "compare": COMPARE_WORDS.index(op.firing.compare), "spikes_per_tick": op.firing.max_spikes or 0}
    return row


def _place(word: str, words: Sequence[str]) -> int:
    return words.index(word) if word in words else len(words) - 1


def _distinct(value: Any, shape: Shape) -> int:
    """How many different numbers a parameter holds; of a bare shape, as many as it has elements."""
    if value is None:
        return 0
    return len(np.unique(value)) if isinstance(value, np.ndarray) else getattr(value, "size", 1)


def _projection(graph: Graph, edge: Edge, reach: Reach, weight_bits: int) -> dict[str, Any]:
    shape, ops = graph.shapes[edge.src], edge.chain
    entering = [shape]
    for op in ops:
        entering.append(op.infer(entering[-1]))
    layers = [op for op in ops if isinstance(op, Layer)]
    kernels = [i for i, op in enumerate(ops) if isinstance(op, Conv)]
    mixes = any(isinstance(op, TokenMix) for op in ops)
    row = {"delay": edge.delay, "synapses": reach.synapses, "fan_in": reach.fan_in,
           "operators": sum(operator_bits().get(word, 0) for word in {op.kind() for op in ops}),
           "listing": KERNEL if kernels else DENSE if layers and not mixes else SPARSE,
           "weights": sum(op.weight.size for op in layers) or 1, "pool_side": _pool_side(ops)}
    row |= _numbers(ops, layers, reach, weight_bits) | _least(layers, reach)
    return row | (_kernel(ops[kernels[-1]], entering[kernels[-1]], entering[kernels[-1] + 1]) if kernels else
                  dict.fromkeys(("kernel_side", "kernel_taps", "stride", "padding", "kernel_groups",
                                 "kernel_dilation", "input_side", "output_side"), ABSENT))


def _numbers(ops: Sequence[Op], layers: Sequence[Layer], reach: Reach, weight_bits: int) -> dict[str, int]:
    """The columns of widths and signs of the weights. Of weights without numbers, the worst is assumed."""
    held: list[Any] = [op.weight for op in layers] or [_signs(op.factor) for op in ops if isinstance(op, Scale)
                                                       and isinstance(op.factor, (int, float, np.ndarray))]
    values = [v for v in held if isinstance(v, np.ndarray)]
    known = len(values) >= max(len(layers), 1) and all(v.size for v in values)
    whole = known and all(v.dtype.kind in "iu" for v in values)
    if known:
        low, high = min(v.min() for v in values), max(v.max() for v in values)
    else:
        low, high = (-1, 1) if any(op.weight.size > 1 for op in layers) else (0, 1)  # one weight has one sign
    bits = max(int(high).bit_length(), (-int(low) - 1).bit_length() if low < 0 else 0) + 1 if whole else weight_bits
    distinct = max((len(np.unique(v)) for v in values), default=1) if whole else 1 << min(bits, 62)
    return {"weight_bits": bits, "mixed": low < 0 < high if layers or values else 0,
            "weights_per_neuron": min(reach.fan_in, distinct)}


def _least(layers: Sequence[Layer], reach: Reach) -> dict[str, int]:
    """The columns from which memory models take lower bounds, see `memory.MemoryModel.synapse_bits`."""
    kernels = [op.kernel for op in layers if isinstance(op, Conv)]
    alike = len(kernels) == len(layers) and not reach.scattered and reach.least_synapses
    sides = (1, *kernels[-1])[-2:] if kernels and alike else (0, 0)
    taps = math.prod(max(k, a.most_certain) if k else 0 for k, a in zip(sides, reach.axes[1:], strict=True))
    return {"least_synapses": reach.least_synapses, "kernel_synapses": taps * reach.axes[0].least_total,
            "kernel_lists": taps * reach.axes[0].fewest_certain, "least_axons": reach.least_axons,
            "differs": reach.differs, "source_readers": math.prod(a.most_readers for a in reach.axes),
            "channel_readers": reach.axes[0].most_readers}


def _signs(factor: Any) -> Array:
    """The weights of synapses without a layer of weights. A whole factor multiplies their sums and leaves 1 and -1."""
    values = np.asarray(factor)
    return np.sign(values) if values.dtype.kind in "iu" else values


def _kernel(op: Op, entering: Shape, leaving: Shape) -> dict[str, int]:
    assert isinstance(op, Conv)
    return {"kernel_side": max(op.kernel), "kernel_taps": math.prod(op.kernel), "stride": max(op.stride),
            "padding": max(n for pair in op.padding for n in pair), "kernel_groups": op.groups,
            "kernel_dilation": max(op.dilation), "input_side": max(entering[1:]), "output_side": max(leaving[1:])}


def _pool_side(ops: Sequence[Op]) -> int:
    """The product of the sides of all pools, 1 without pools; ABSENT where one is not a plain square pool."""
    side = 1
    for op in (op for op in ops if isinstance(op, Pool)):
        if len({*op.kernel, *op.stride}) > 1 or any(n for pair in op.padding for n in pair):
            return ABSENT
        side *= op.kernel[0]
    return side


def _links(graph: Graph, edges: Sequence[Edge]) -> list[dict[str, bool]]:
    """Which projections lie on a cycle, and which are shortcuts past other populations.

    A shortcut leads over more than one level of the longest paths through the network, cycles counted as one node.
    """
    component, level = {n: i for i, c in enumerate(graph.components) for n in c}, graph.levels
    return [{"loops": component[e.src] == component[e.dst],
             "shortcut": component[e.src] != component[e.dst] and level[e.dst] > level[e.src] + 1} for e in edges]
