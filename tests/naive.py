"""A second interpreter, written apart from the first: one sample, one tick, one node, one number at a time.

It reads no neuron program: every rule is written out again by hand, from the formulas of its docstring.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Input, Linear, MaxPool, Pad, Pool, Rectify, Reshape, Scale, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape
from tests.naive_neurons import Cell

Tensor = dict[Shape, float]


def run_naive(graph: Graph, x: Mapping[str, Array]) -> dict[str, Array]:
    """What every node gives, `[sample, tick, *shape]`, for a FLOAT or LEGAL graph."""
    samples = len(next(iter(x.values())))
    runs = [_run_sample(graph, {name: values[i] for name, values in x.items()}) for i in range(samples)]
    return {name: np.stack([r[name] for r in runs]) for name in graph.nodes}


def _run_sample(graph: Graph, x: Mapping[str, Array]) -> dict[str, Array]:
    ticks = len(next(iter(x.values())))
    cells = {n: Cell(op, graph.shapes[n]) for n, op in graph.nodes.items() if isinstance(op, Neuron)}
    past: dict[str, list[Tensor]] = {n: [] for n in graph.nodes}
    for t in range(ticks):
        for name in _order(graph):
            op = graph.nodes[name]
            if isinstance(op, Input):
                past[name].append({i: float(x[name][(t, *i)]) for i in _indices(op.shape)})
                continue
            total: Tensor = {}
            for edge in graph.edges_into[name]:
                for i, value in _delivered(graph, edge, past, t).items():
                    total[i] = total.get(i, 0.0) + value
            arriving = graph.arriving(graph.edges_into[name][0])
            past[name].append(cells[name].step(total) if name in cells else _apply(op, total, arriving))
    return {n: _dense(values, graph.shapes[n]) for n, values in past.items()}


def _delivered(graph: Graph, edge: Edge, past: Mapping[str, list[Tensor]], t: int) -> Tensor:
    """Zeros at first, then what the source gave `delay` ticks ago, through the chain."""
    if t < edge.delay:
        return dict.fromkeys(_indices(graph.arriving(edge)), 0.0)
    value, shape = past[edge.src][t - edge.delay], graph.shapes[edge.src]
    for op in edge.chain:
        value, shape = _apply(op, value, shape), op.infer(shape)
    return value


def _order(graph: Graph) -> list[str]:
    """The nodes, each after those whose edges reach it within the tick."""
    order: list[str] = []
    while len(order) < len(graph.nodes):
        order += [n for n in graph.nodes
                  if n not in order and all(e.delay or e.src in order for e in graph.edges_into[n])]
    return order


def _indices(shape: Shape) -> list[Shape]:
    return list(itertools.product(*map(range, shape)))


def _dense(values: list[Tensor], shape: Shape) -> Array:
    return np.array([[v[i] for i in _indices(shape)] for v in values]).reshape(len(values), *shape)


def _apply(op: Op, x: Tensor, shape: Shape) -> Tensor:
    """One operator on one tensor."""
    for kind, function in FUNCTIONS.items():
        if isinstance(op, kind):
            return function(op, x, shape)
    return x


def _linear(op: Any, x: Tensor, shape: Shape) -> Tensor:
    return {(o,): math.fsum(op.weight[o, i] * x[(i,)] for i in range(shape[0])) + _at(op.bias, o)
            for o in range(op.weight.shape[0])}


def _at(bias: Any, channel: int) -> float:
    return 0.0 if bias is None else float(bias[channel])


def _conv(op: Any, x: Tensor, shape: Shape) -> Tensor:
    out = op.infer(shape)
    fan_in = op.weight.shape[1]
    y: Tensor = {}
    for o, *place in _indices(out):
        first = o // (out[0] // op.groups) * fan_in
        total = _at(op.bias, o)
        for c, *tap in _indices(op.weight.shape[1:]):
            where = [p * s + k * d - pad[0] for p, s, k, d, pad
                     in zip(place, op.stride, tap, op.dilation, op.padding, strict=True)]
            total += op.weight[(o, c, *tap)] * x.get((first + c, *where), 0.0)
        y[(o, *place)] = total
    return y


def _token_mix(op: Any, x: Tensor, shape: Shape) -> Tensor:
    heads, out, _ = op.weight.shape
    y: Tensor = {}
    for c, o in _indices((shape[0], out)):
        head = c * heads // shape[0]
        bias = 0.0 if op.bias is None else float(op.bias[head, o])
        y[(c, o)] = math.fsum(op.weight[head, o, t] * x[(c, t)] for t in range(shape[1])) + bias
    return y


def _spike_product(op: Any, x: Tensor, shape: Shape) -> Tensor:
    tokens, rows, columns = shape[1], op.left // op.heads, (shape[0] - op.left) // op.heads
    y: Tensor = {}
    for head in range(op.heads):
        left = [[x[(head * rows + c, t)] for t in range(tokens)] for c in range(rows)]
        right = [[x[(op.left + head * columns + c, t)] for t in range(tokens)] for c in range(columns)]
        if op.over == "channels":
            left, right = ([list(column) for column in zip(*part, strict=True)] for part in (left, right))
        if op.over == "nothing":
            return {(c, t): left[c][t] * right[c][t] for c, t in _indices((rows, tokens))}
        for i, j in _indices((len(left), len(right))):
            y[(head * len(left) + i, j)] = math.fsum(a * b for a, b in zip(left[i], right[j], strict=True))
    return y


def _pool(op: Pool, x: Tensor, shape: Shape) -> Tensor:
    y: Tensor = {}
    for c, *place in _indices(op.infer(shape)):
        inside = []
        for tap in _indices(op.kernel):
            where = [p * s + k - pad[0] for p, s, k, pad in zip(place, op.stride, tap, op.padding, strict=True)]
            if (c, *where) in x:
                inside.append(x[(c, *where)])
        y[(c, *place)] = max(inside) if isinstance(op, MaxPool) else sum(inside)
    return {i: v / math.prod(op.kernel) for i, v in y.items()} if isinstance(op, AvgPool) else y


def _upsample(op: Upsample, x: Tensor, shape: Shape) -> Tensor:
    return {(c, *place): x[(c, *(p // f for p, f in zip(place, op.factor, strict=True)))]
            for c, *place in _indices(op.infer(shape))}


def _scale(op: Scale, x: Tensor, shape: Shape) -> Tensor:
    factor, bias = (np.broadcast_to(np.asarray(0.0 if v is None else v), shape) for v in (op.factor, op.bias))
    return {i: float(factor[i]) * v + float(bias[i]) for i, v in x.items()}


def _reshape(op: Reshape, x: Tensor, shape: Shape) -> Tensor:
    return dict(zip(_indices(op.infer(shape)), [x[i] for i in _indices(shape)], strict=True))


def _rectify(op: Rectify, x: Tensor, shape: Shape) -> Tensor:
    return {i: v if v * op.sign > 0 else 0.0 for i, v in x.items()}


def _pad(op: Pad, x: Tensor, shape: Shape) -> Tensor:
    return {i: x.get(tuple(n - a for n, (a, _) in zip(i, op.amounts, strict=True)), 0.0)
            for i in _indices(op.infer(shape))}


FUNCTIONS: dict[Any, Callable[[Any, Tensor, Shape], Tensor]] = {
    Linear: _linear, Conv: _conv, Pool: _pool, Upsample: _upsample, Scale: _scale, Reshape: _reshape,
    Rectify: _rectify, Pad: _pad, TokenMix: _token_mix, SpikeProduct: _spike_product,
}
