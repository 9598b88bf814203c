"""The layer table: a network as columns of numbers, one row a population and one a projection.

Rules read nothing else, so that one network and a stack of many are judged by the same functions. Columns are plain
NumPy vectors; words are kept as their place in a tuple of words.
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
from snncompile.targets.reach import Reach, reach_of, volume

RULE_WORDS = (*RULES, LOIHI, "another")
RESET_WORDS, WHEN_WORDS, COMPARE_WORDS = get_args(Reset), get_args(When), get_args(Compare)
OPERATOR_WORDS = tuple(OPERATORS)
DENSE, SPARSE, KERNEL = range(3)
"""How the synapses of a projection are listed: all of the sources', some, or as a kernel that neurons share."""
ABSENT = -1
"""A column's value where the row has none: a word that is not known, a geometry that does not apply."""


@dataclass(frozen=True)
class Columns:
    """Vectors of one length."""

    network: Array

    def __len__(self) -> int:
        return len(self.network)

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]]) -> Any:
        names = [f.name for f in dataclasses.fields(cls)]
        return cls(**{n: np.array([row.get(n, 0) for row in rows], np.int64) for n in names})


@dataclass(frozen=True)
class Populations(Columns):
    """One row a population or input.

    Attributes:
        rule, reset, reset_time, compare: places in `RULE_WORDS` and the like, ABSENT where nothing is known.
        spikes_per_tick: the most a neuron emits; 0 where there is no bound, 1 for graded values.
        thresholds: different thresholds inside it.
        states: state variables of a neuron.
        state_bits: the widest of them, 0 where nothing is known.
        readers, sources: projections from it to populations, and into it.
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
    """One row a projection between populations, or from an input.

    Attributes:
        source, target: rows of the populations.
        listing: DENSE, SPARSE or KERNEL.
        operators: a bit for each word of `OPERATOR_WORDS` that occurs in it.
        least_synapses: synapses at least: less than `synapses` where those are not known exactly, or where the weights
            of a dense layer are mostly zeros.
        kernel_synapses: synapses at least of its kernels, stored once for all neurons; 0 where they cannot be.
        differs: whether it is certain that not all neurons of the target read the same.
        source_readers: synapses of one neuron of the source, at most.
        channel_readers: channels of the target that one channel of the source reaches, at most.
        weights: numbers that have to be stored where kernels are shared; `synapses` where they are not.
        weight_bits: width that holds each of them as a signed integer.
        mixed: whether it has weights of both signs, or may have.
        weights_per_neuron: different weights among the synapses of a neuron, at most.
        loops: whether it lies on a cycle. `shortcut`: whether it passes by populations.
        kernel_side ... output_side: of its convolution, ABSENT where it has none.
        pool_side: the side of its sum pools, ABSENT for one that is not square with stride equal to side.
    """

    source: Array
    target: Array
    delay: Array
    listing: Array
    operators: Array
    synapses: Array
    least_synapses: Array
    kernel_synapses: Array
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
    """Networks as columns. `names` and `labels` say where a row comes from; `reaches` what each projection reads."""

    networks: int
    populations: Populations
    projections: Projections
    names: tuple[str, ...]
    labels: tuple[str, ...]
    reaches: tuple[Reach, ...]


def layer_table(graph: Graph, weight_bits: int = 8, state_bits: int = 0) -> LayerTable:
    """The table of a LEGAL or INT graph, whose weights may be bare shapes.

    Args:
        weight_bits, state_bits: assumed of weights and states that are not integers yet; 0 where nothing is known.
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
    return LayerTable(1, Populations.of(populations), Projections.of(projections), tuple(rows),
                 tuple(e.label for e in edges), reaches)


def stack(tables: Iterable[LayerTable]) -> LayerTable:
    """Many networks as one table; a rule then reduces by the column `network`."""
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
    """What a population's neurons are."""
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
    return words.index(word) if word in words else len(words) - 1


def _distinct(value: Any, shape: Shape) -> int:
    """How many different numbers a parameter holds; one that is a bare shape may hold as many as it has."""
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
    row |= _numbers(ops, layers, reach, weight_bits) | _least(layers, reach)
    return row | (_kernel(ops[kernels[-1]], entering[kernels[-1]], entering[kernels[-1] + 1]) if kernels else
                  dict.fromkeys(("kernel_side", "kernel_taps", "stride", "padding", "kernel_groups",
                                 "kernel_dilation", "input_side", "output_side"), ABSENT))


def _numbers(ops: Sequence[Op], layers: Sequence[Linear | Conv], reach: Reach, weight_bits: int) -> dict[str, int]:
    """Widths and signs of the weights; those without numbers are taken for the worst."""
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


def _least(layers: Sequence[Linear | Conv], reach: Reach) -> dict[str, int]:
    """What the synapses take at least, whatever the way in which they are stored."""
    kernels = [op.kernel for op in layers if isinstance(op, Conv)]
    alike = len(kernels) == len(layers) and not reach.scattered and reach.least_synapses
    taps = math.prod(kernels[-1]) if kernels and alike else 0
    return {"least_synapses": reach.least_synapses, "kernel_synapses": taps * int(reach.axes[0].least.sum()),
            "differs": reach.differs, "source_readers": math.prod(a.most_readers for a in reach.axes),
            "channel_readers": reach.axes[0].most_readers}


def _signs(factor: Any) -> Array:
    """The weights of synapses that have none of their own: a whole factor multiplies their sums, as behind weights."""
    values = np.asarray(factor)
    return np.sign(values) if values.dtype.kind in "iu" else values


def _kernel(op: Op, entering: Shape, leaving: Shape) -> dict[str, int]:
    assert isinstance(op, Conv)
    return {"kernel_side": max(op.kernel), "kernel_taps": math.prod(op.kernel), "stride": max(op.stride),
            "padding": max(n for pair in op.padding for n in pair), "kernel_groups": op.groups,
            "kernel_dilation": max(op.dilation), "input_side": max(entering[1:]), "output_side": max(leaving[1:])}


def _pool_side(ops: Sequence[Op]) -> int:
    """1 without pools; their sides multiplied where each is square, with its side for a stride and no padding."""
    side = 1
    for op in (op for op in ops if isinstance(op, Pool)):
        if len({*op.kernel, *op.stride}) > 1 or any(n for pair in op.padding for n in pair):
            return ABSENT
        side *= op.kernel[0]
    return side


def _links(edges: Sequence[Edge]) -> list[dict[str, bool]]:
    """Which projections lie on a cycle, and which pass by populations: another way leads to the same place."""
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
