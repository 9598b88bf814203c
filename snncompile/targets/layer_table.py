"""The layer table: a network as columns of numbers, with a row for each population and for each projection.

Hardware rules read nothing else, so that the same functions judge one network and a table of many. Columns are int64
vectors. A word, such as the name of a rule, is stored as its position in a tuple of words.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import networkx as nx
import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.library import RULES
from snncompile.ir.loihi import LOIHI
from snncompile.ir.op import Op
from snncompile.ir.operators import OPERATORS
from snncompile.ir.ops import Conv, Input, Linear, Output, Pool, Scale
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import Compare, Reset, When
from snncompile.ir.types import Array, Shape
from snncompile.targets.reach import Reach, grid, reach_of

RULE_WORDS = (*RULES, LOIHI, "another")
RESET_WORDS, WHEN_WORDS, COMPARE_WORDS = get_args(Reset), get_args(When), get_args(Compare)
OPERATOR_WORDS = tuple(OPERATORS)
DENSE, SPARSE, KERNEL = range(3)
"""How a projection stores its synapses: DENSE for a synapse from every source to every neuron, SPARSE for lists of the
synapses that exist, KERNEL for the kernel of a convolution, which neurons share."""
ABSENT = -1
"""The value of a column in rows that have none: words that are not known, and geometry of other operators."""


@dataclass(frozen=True)
class Columns:
    """Columns of the same length; `network` is the position of the network to which each row belongs."""

    network: Array

    def __len__(self) -> int:
        return len(self.network)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Columns made of rows, each a mapping from the names of columns; columns that a row leaves out are 0."""
        names = [f.name for f in dataclasses.fields(cls)]
        return cls(**{n: np.array([row.get(n, 0) for row in rows], np.int64) for n in names})


@dataclass(frozen=True)
class Populations(Columns):
    """A row for each population and each input.

    Attributes:
        is_input, is_output: whether it is an input, and whether an output reads it; 0 or 1.
        channels, rows, columns: its shape; see `reach.grid`.
        neurons: the number of its neurons, or of the elements of an input.
        rule, reset, reset_time, compare: positions in `RULE_WORDS`, `RESET_WORDS`, `WHEN_WORDS` and `COMPARE_WORDS`;
            ABSENT where they are not known.
        spikes_per_tick: the most spikes that a neuron emits in a tick; 0 where there is no limit, 1 for graded values.
        thresholds: the number of different thresholds in it.
        states: the number of states of a neuron.
        state_bits: the width of the widest state; 0 where it is not known.
        bias: whether it has a bias; 0 or 1.
        graded: whether it emits graded values; 0 or 1.
        fan_in: the synapses into a neuron, at most, summed over the projections.
        synapses: the synapses of all projections into it.
        readers: the number of projections from it to populations.
        sources: the number of projections into it.
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
    synapses: Array
    readers: Array
    sources: Array


@dataclass(frozen=True)
class Projections(Columns):
    """A row for each projection between populations, or from an input to a population.

    Attributes:
        source, target: the rows of its populations.
        delay: its delay in ticks.
        listing: DENSE, SPARSE or KERNEL.
        operators: bit `i` is set where the operator `OPERATOR_WORDS[i]` occurs in its chain.
        synapses: the number of its synapses.
        fan_in: the synapses into a neuron, at most.
        weights: the number of its weights, in which each weight of a shared kernel counts once.
        weight_bits: the width of a signed integer that holds each weight.
        mixed: whether weights of both signs occur, or can occur where the weights are not known; 0 or 1.
        weights_per_neuron: the number of different weights among the synapses of a neuron, at most.
        loops: whether it lies on a cycle; 0 or 1.
        shortcut: whether it passes by populations that lie between its source and its target; 0 or 1 (see `_links`).
        kernel_side, kernel_taps: the longest side and the number of elements of the kernel of its last convolution;
            like the other columns of geometry, ABSENT where it has no convolution.
        stride, padding, kernel_groups, kernel_dilation: of that convolution, the largest value of all axes and sides.
        input_side, output_side: the longest side of the input and the output of that convolution.
        pool_side: the product of the sides of its pools, 1 without pools; ABSENT where one is not square, its stride is
            not its side, or it has padding.
    """

    source: Array
    target: Array
    delay: Array
    listing: Array
    operators: Array
    synapses: Array
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
class Table:
    """One or several networks as columns.

    Attributes:
        networks: the number of networks.
        names: the name of each row of the populations.
        labels: the label of the edge of each row of the projections.
        reaches: the reach of each projection.
    """

    networks: int
    populations: Populations
    projections: Projections
    names: tuple[str, ...]
    labels: tuple[str, ...]
    reaches: tuple[Reach, ...]


def layer_table(graph: Graph, weight_bits: int = 8, state_bits: int = 0) -> Table:
    """The layer table of a LEGAL, INT or MAPPED graph, whose weights may be bare shapes.

    Args:
        weight_bits: the width of weights that are not integers yet.
        state_bits: the width of states that are not integers yet; 0 where it is not known.
    """
    rows = {n: i for i, (n, op) in enumerate((n, op) for n, op in graph.nodes.items() if not isinstance(op, Output))}
    edges = [e for e in graph.edges if e.dst in rows]
    reaches = tuple(reach_of(e.chain, graph.shapes[e.src]) for e in edges)
    links = _links(edges)
    projections = [_projection(graph, e, r, weight_bits) | links[i] | {"source": rows[e.src], "target": rows[e.dst]}
                   for i, (e, r) in enumerate(zip(edges, reaches, strict=True))]
    populations = [{"state_bits": state_bits * (n in graph.populations)} | _population(graph, n) for n in rows]
    for projection in projections:
        populations[projection["source"]]["readers"] += 1
        for sums in ("sources", "fan_in", "synapses"):
            populations[projection["target"]][sums] += projection.get(sums, 1)
    return Table(1, Populations.of(populations), Projections.of(projections), tuple(rows),
                 tuple(e.label for e in edges), reaches)


def stack(tables: Iterable[Table]) -> Table:
    """Several tables as one, for `verdict.screen`; the column `network` tells their networks apart."""
    parts = list(tables)
    rows = np.cumsum([0, *(len(t.populations) for t in parts)])
    network = np.cumsum([0, *(t.networks for t in parts)])

    def joined(kind: str, **shifts: Array) -> Any:
        columns = [getattr(t, kind) for t in parts]
        names = [f.name for f in dataclasses.fields(columns[0])]
        return type(columns[0])(**{n: np.concatenate([getattr(c, n) + shifts[n][i] if n in shifts else getattr(c, n)
                                                      for i, c in enumerate(columns)]) for n in names})

    return Table(int(network[-1]), joined("populations", network=network),
                 joined("projections", network=network, source=rows, target=rows),
                 tuple(n for t in parts for n in t.names), tuple(n for t in parts for n in t.labels),
                 tuple(r for t in parts for r in t.reaches))


def _population(graph: Graph, name: str) -> dict[str, Any]:
    op, shape = graph.nodes[name], graph.shapes[name]
    channels, rows, columns = grid(shape)
    row = {"channels": channels, "rows": rows, "columns": columns, "neurons": math.prod(shape), "fan_in": 0,
           "synapses": 0, "readers": 0, "sources": 0,
           "is_output": any(isinstance(graph.nodes[e.dst], Output) for e in graph.edges_from[name])}
    return row | _cell(op, shape)


def _cell(op: Op, shape: Shape) -> dict[str, Any]:
    """The columns that describe the neurons of a population."""
    unknown = dict.fromkeys(("rule", "reset", "reset_time", "compare"), ABSENT)
    if isinstance(op, Input):
        return unknown | {"is_input": 1, "graded": op.values == "real",
                          "spikes_per_tick": 1 if op.values == "real" else max(1, math.ceil(op.high))}
    if isinstance(op, Population):
        bits = max((s.bits for s in op.states.values()), default=0)
        return unknown | {"rule": _place(op.rule, RULE_WORDS), "graded": op.graded, "state_bits": bits,
                          "states": len(op.states),
                          "spikes_per_tick": 1 if op.graded else max(1, op.output_high),
                          "thresholds": _distinct(op.params.get("threshold"), shape), "bias": "bias" in op.params}
    assert isinstance(op, Neuron)
    row = unknown | {"rule": _place(op.rule.name, RULE_WORDS), "graded": not op.rule.spiking, "spikes_per_tick": 1,
                     "bias": "bias" in op.params, "states": len(op.traced.states),
                     "thresholds": _distinct(op.params.get("threshold"), shape)}
    if op.rule.spiking:
        row |= {"reset": RESET_WORDS.index(op.firing.reset), "reset_time": WHEN_WORDS.index(op.firing.when),
                "compare": COMPARE_WORDS.index(op.firing.compare), "spikes_per_tick": op.firing.max_spikes or 0}
    return row


def _place(word: str, words: Sequence[str]) -> int:
    """The position of a word; that of the last word, `another`, for one that is not known."""
    return words.index(word) if word in words else len(words) - 1


def _distinct(value: Any, shape: Shape) -> int:
    """How many different numbers a parameter holds; a bare shape counts as all different."""
    if value is None:
        return 0
    return len(np.unique(value)) if isinstance(value, np.ndarray) else getattr(value, "size", 1)


def _projection(graph: Graph, edge: Edge, reach: Reach, weight_bits: int) -> dict[str, Any]:
    shape, ops = graph.shapes[edge.src], edge.chain
    entering = [shape]
    for op in ops:
        entering.append(op.infer(entering[-1]))
    layers = [op for op in ops if isinstance(op, (Linear, Conv))]
    kernels = [i for i, op in enumerate(ops) if isinstance(op, Conv)]
    row = {"delay": edge.delay, "synapses": reach.synapses, "fan_in": reach.fan_in,
           "operators": sum(1 << OPERATOR_WORDS.index(op) for op in {o.kind() for o in ops}),
           "listing": KERNEL if kernels else DENSE if layers else SPARSE,
           "weights": sum(op.weight.size for op in layers) or 1, "pool_side": _pool_side(ops)}
    row |= _numbers(ops, layers, reach, weight_bits)
    return row | (_kernel(ops[kernels[-1]], entering[kernels[-1]], entering[kernels[-1] + 1]) if kernels else
                  dict.fromkeys(("kernel_side", "kernel_taps", "stride", "padding", "kernel_groups",
                                 "kernel_dilation", "input_side", "output_side"), ABSENT))


def _numbers(ops: Sequence[Op], layers: Sequence[Linear | Conv], reach: Reach, weight_bits: int) -> dict[str, int]:
    """The columns of width and signs of the weights. Weights without numbers count as having both signs."""
    values = [np.asarray(op.weight) for op in layers if isinstance(op.weight, np.ndarray)]
    values = values or [_signs(op.factor) for op in ops if isinstance(op, Scale)
                        and isinstance(op.factor, (int, float, np.ndarray))]
    known = len(values) >= max(len(layers), 1) and all(v.size for v in values)
    whole = known and all(v.dtype.kind in "iu" for v in values)
    low, high = (min(v.min() for v in values), max(v.max() for v in values)) if known else (-1, 1)
    bits = max(int(high).bit_length(), (-int(low) - 1).bit_length() if low < 0 else 0) + 1 if whole else weight_bits
    distinct = max((len(np.unique(v)) for v in values), default=1) if whole else 1 << min(bits, 62)
    return {"weight_bits": bits, "mixed": low < 0 < high if layers or values else 0,
            "weights_per_neuron": min(reach.fan_in, distinct)}


def _signs(factor: Any) -> Array:
    """The weights of synapses that a `scale` alone makes.

    A whole factor multiplies the sums of synapses of weight 1 or -1, as it does behind a layer with weights. A real
    factor is the weight itself.
    """
    values = np.asarray(factor)
    return np.sign(values) if values.dtype.kind in "iu" else values


def _kernel(op: Op, entering: Shape, leaving: Shape) -> dict[str, int]:
    assert isinstance(op, Conv)
    return {"kernel_side": max(op.kernel), "kernel_taps": math.prod(op.kernel), "stride": max(op.stride),
            "padding": max(n for pair in op.padding for n in pair), "kernel_groups": op.groups,
            "kernel_dilation": max(op.dilation), "input_side": max(entering[1:]), "output_side": max(leaving[1:])}


def _pool_side(ops: Sequence[Op]) -> int:
    """The product of the sides of all pools; see `Projections.pool_side`."""
    side = 1
    for op in (op for op in ops if isinstance(op, Pool)):
        if len({*op.kernel, *op.stride}) > 1 or any(n for pair in op.padding for n in pair):
            return ABSENT
        side *= op.kernel[0]
    return side


def _links(edges: Sequence[Edge]) -> list[dict[str, bool]]:
    """The columns `loops` and `shortcut` of each projection.

    Depth is the length of the longest way from an input, cycles counting as one population. A projection is a shortcut
    where it leads more than one step deeper.
    """
    net: nx.DiGraph[str] = nx.DiGraph()
    net.add_edges_from((e.src, e.dst) for e in edges)
    component = {n: i for i, c in enumerate(nx.strongly_connected_components(net)) for n in c}
    condensed: nx.DiGraph[int] = nx.DiGraph()
    condensed.add_edges_from((component[a], component[b]) for a, b in net.edges if component[a] != component[b])
    depth: dict[int, int] = {}
    for node in nx.topological_sort(condensed):
        depth[node] = max((depth[b] + 1 for b in condensed.predecessors(node)), default=0)
    return [{"loops": component[e.src] == component[e.dst],
             "shortcut": component[e.src] != component[e.dst]
             and depth[component[e.dst]] > depth[component[e.src]] + 1} for e in edges]
