"""Random numbers in place of bare shapes: a candidate without training, so that it can be run and compiled."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from snncompile.ir.expr import evaluate
from snncompile.ir.graph import Edge, Graph, unused
from snncompile.ir.interp import with_bias
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Output, Scale, kept_by_output
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array, Shape, ShapeOnly
from snncompile.ir.verify import verify

WIDE = 16
"""The most bits of a weight that is drawn as an integer with a step; wider ones are drawn as real numbers."""
SAMPLES, TICKS, RATE = 2, 4, 0.3
"""The random inputs on which numbers are scaled: their size, and the rate of spikes."""


def with_random_numbers(graph: Graph, seed: int = 0, gain: float = 1.0) -> Graph:
    """The graph with random numbers in place of all bare shapes.

    The network runs on random inputs while it is filled, so that populations fire however deep it is: the weights of a
    layer are scaled until its outputs have a standard deviation of `gain`, and batch norms center and scale each
    channel, as those of a network that begins to learn, but with factors around `gain` and biases around 0.1. Links of
    earlier ticks bring nothing during this run.

    Of a weight with a density, as many numbers of each output as it says are not zero. A weight with bits of 1 to 16
    becomes integers, -1 and 1 for one bit, with a `Scale` behind the layer that holds the value of their step.
    Parameters of neurons lie around the defaults of their rule.

    Args:
        graph: a FLOAT graph.
        seed: the same seed gives the same numbers.
        gain: of currents; larger numbers make more spikes.

    Raises:
        CompileError: for a graph that is not well-formed.
    """
    return _Drawing(verify(graph), np.random.default_rng(seed), gain).run()


class _Drawing:
    """One run of a graph in which each node gets its numbers when the values that enter it are known.

    `values` holds the outputs `[sample, tick, *shape]` that nodes still have to read.
    """

    def __init__(self, graph: Graph, rng: np.random.Generator, gain: float):
        self.graph, self.rng, self.gain = graph, rng, gain
        self.nodes: dict[str, Op] = dict(graph.nodes)
        self.steps: dict[str, str] = {}
        self.values: dict[str, Array] = {}
        self.readers = {n: sum(e.delay == 0 for e in graph.edges_from[n]) for n in graph.nodes}

    def run(self) -> Graph:
        for name in self.graph.tick_order:
            self.values[name] = self._filled(name)
            for edge in self.graph.edges_into[name]:
                self.readers[edge.src] -= edge.delay == 0
            for read in [n for n in self.values if self.readers[n] == 0]:
                del self.values[read]
        moved = (Edge(self.steps.get(e.src, e.src), e.dst, e.delay) for e in self.graph.edges)
        return self.graph.replace(nodes=self.nodes, edges=(*moved, *(Edge(a, b) for a, b in self.steps.items())))

    def _filled(self, name: str) -> Array:
        """Give a node its numbers, and return its values."""
        op = self.graph.nodes[name]
        if isinstance(op, Input):
            return _input(op, self.rng)
        x = self._arriving(name)
        if isinstance(op, Neuron):
            self.nodes[name] = neuron = _neuron(op, self.rng)
            return _fired(neuron, x)
        if isinstance(op, Layer) and isinstance(op.weight, ShapeOnly):
            return self._layer(name, op, op.weight, x)
        if isinstance(op, Scale):
            self.nodes[name] = op = _norm(op, x, self.rng, self.gain)
        elif isinstance(op, Layer):
            self.nodes[name] = op = _with_bias(op, self.rng)
        return x if isinstance(op, Output) else _over_time(op, x)

    def _arriving(self, name: str) -> Array:
        edges = self.graph.edges_into[name]
        parts = [self.values[e.src] for e in edges if e.delay == 0]
        shape = self.graph.arriving(edges[0])
        return sum(parts[1:], parts[0]) if parts else np.zeros((SAMPLES, TICKS, *shape), np.float32)

    def _layer(self, name: str, op: Layer, bare: ShapeOnly, x: Array) -> Array:
        """A layer whose outputs have a standard deviation of `gain`; where nothing enters, as if all inputs fired."""
        drawn = _weight(bare, self.rng)
        plain = dataclasses.replace(op, weight=drawn.astype(np.float32), bias=None)
        y = _over_time(plain, x)
        size = float(y.std()) or math.sqrt((drawn.astype(np.float64) ** 2).sum() / max(len(plain.rows()), 1)) or 1.0
        factor = self.gain / size
        filled = _with_bias(op, self.rng)
        bias = None if filled.bias is None else filled.bias_of(y.shape[2:]).astype(np.float32)
        if drawn.dtype.kind == "i":
            self.steps[name] = step = unused(f"{name}.step", self.nodes)
            self.nodes[name] = dataclasses.replace(op, weight=drawn, bias=None)
            self.nodes[step] = _step(op, factor, bias)
        else:
            self.nodes[name] = dataclasses.replace(filled, weight=(drawn * factor).astype(np.float32))
        y = y * np.float32(factor)
        return y if bias is None else y + bias


def _input(op: Input, rng: np.random.Generator) -> Array:
    """Frames that stand still, of a standard deviation of at most 1; or spikes."""
    if op.values == "spike":
        return np.asarray(rng.random((SAMPLES, TICKS, *op.shape)) < RATE, np.float32)
    middle, reach = (op.low + op.high) / 2, (op.high - op.low) / 2
    frames = middle + np.clip(rng.normal(0, min(1, reach / 2), (SAMPLES, 1, *op.shape)), -reach, reach)
    return np.asarray(frames, np.float32).repeat(TICKS, 1)


def _over_time(op: Op, x: Array) -> Array:
    y = op.apply(x.reshape(-1, *x.shape[2:]))
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _fired(op: Neuron, x: Array) -> Array:
    """What neurons emit for inputs `[sample, tick, *shape]`."""
    program = op.traced.program if op.bias is None else with_bias(op.traced.program)
    states = {n: np.broadcast_to(np.asarray(op.first(n), x.dtype), x[:, 0].shape) for n in op.traced.states}
    emitted = []
    for t in range(x.shape[1]):
        spikes, states = evaluate(program, op.params, states, x[:, t])
        emitted.append(spikes)
    return np.stack(emitted, 1)


def _neuron(op: Neuron, rng: np.random.Generator) -> Neuron:
    params = {n: _parameter(op, n, v.shape, rng) if isinstance(v, ShapeOnly) else v for n, v in op.params.items()}
    initial = {n: np.zeros(v.shape) if isinstance(v, ShapeOnly) else v for n, v in op.initial.items()}
    return dataclasses.replace(op, params=params, initial=initial)


def _parameter(op: Neuron, name: str, shape: Shape, rng: np.random.Generator) -> Array:
    """A parameter of neurons within a tenth of its default; within 0.5 of it where that is 0."""
    quantity = op.rule.params.get(name)
    default = 0.1 if quantity is None or quantity.default is None else quantity.default
    return default * rng.uniform(0.9, 1.1, shape) if default else rng.uniform(-0.5, 0.5, shape)


def _norm(op: Scale, x: Array, rng: np.random.Generator, gain: float) -> Scale:
    """A batch norm that centers and scales the values `[sample, tick, *shape]` of each channel, with random numbers."""
    if not isinstance(op.factor, ShapeOnly):
        return dataclasses.replace(op, bias=_bias(op.bias, rng))
    over = tuple(a for a in range(x.ndim) if a < 2 or op.factor.shape[a - x.ndim:][:1] == (1,))
    spread = x.std(over).reshape(op.factor.shape).astype(np.float64)
    factor = gain * rng.uniform(0.8, 1.2, op.factor.shape) / np.where(spread > 0, spread, 1.0)
    if not isinstance(op.bias, ShapeOnly):
        return dataclasses.replace(op, factor=factor.astype(np.float32))
    center = x.mean(over).reshape(op.factor.shape).astype(np.float64)
    bias = rng.normal(0.1, 0.1, op.bias.shape) - center * factor
    return Scale(factor.astype(np.float32), bias.astype(np.float32))


def _with_bias(op: Layer, rng: np.random.Generator) -> Layer:
    return dataclasses.replace(op, bias=_bias(op.bias, rng)) if isinstance(op.bias, ShapeOnly) else op


def _bias(bias: Any, rng: np.random.Generator) -> Any:
    return rng.normal(0.1, 0.1, bias.shape).astype(np.float32) if isinstance(bias, ShapeOnly) else bias


def _weight(bare: ShapeOnly, rng: np.random.Generator) -> Array:
    """A weight `[out, in, ...]`: integers where the shape names few bits, else real numbers."""
    if bare.bits is not None and bare.bits <= WIDE:
        drawn: Any = _codes(bare.shape, bare.bits, 0 if bare.density is None else 1, rng)
    else:
        drawn = rng.normal(0, 1, bare.shape)
    if bare.density is not None:
        drawn = drawn * _kept(bare, rng)
    return np.asarray(drawn)


def _kept(bare: ShapeOnly, rng: np.random.Generator) -> Array:
    """Which weights are not zero: of each output as many as a density means, at random places."""
    place = rng.random((bare.shape[0], math.prod(bare.shape[1:]))).argsort(1).argsort(1)
    return np.asarray(place < kept_by_output(bare)[:, None]).reshape(bare.shape)


def _codes(shape: Shape, bits: int, least: int, rng: np.random.Generator) -> Array:
    """Integers of a width, of a magnitude of at least `least`; the largest is about three standard deviations."""
    sign = rng.choice(np.array([-1, 1], np.int16), shape)
    if bits == 1:
        return np.asarray(sign)
    largest = (1 << (bits - 1)) - 1
    size = np.clip(np.rint(np.abs(rng.normal(0, max(largest / 3, 1), shape))), least, largest)
    return np.asarray((sign * size).astype(np.int16))


def _step(op: Layer, step: float, bias: Array | None) -> Scale:
    """What stands for the integer 1 of a layer, as a scale with the bias of the layer."""
    each = np.full(op.weight.shape[0], step).reshape(-1, *(1,) * (op.axes - 1)) if op.own_weights else step
    return Scale(each, bias)
