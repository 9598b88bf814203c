"""Random numbers in place of bare shapes: a candidate without training, so that it can be run and compiled."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from snncompile.ir.graph import Edge, Graph, unused
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Linear, Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array, Shape, ShapeOnly

GAIN = 1.8
"""By how much weights exceed `sqrt(1 / fan-in)`, so that spikes at about 15 % drive membranes to thresholds near 1."""
DENSE_GAIN = 4.0
"""The same for fully connected layers, which often stand behind a mean over many neurons."""
WIDE = 16
"""The most bits of a weight that is drawn as an integer with a step; wider ones are drawn as real numbers."""


def with_random_numbers(graph: Graph, seed: int = 0, gain: float = 1.0) -> Graph:
    """The graph with random numbers in place of all bare shapes.

    Weights are normal, and scaled by the number of inputs of a neuron so that most populations fire. A weight with a
    density is zero elsewhere. A weight with bits of 1 to 16 becomes integers, -1 and 1 for one bit, with a `Scale`
    behind the layer that holds the value of their step. The factors of batch norms lie around 1, and biases around 0.1.
    Parameters of neurons lie around the defaults of their rule.

    Args:
        graph: a FLOAT graph.
        seed: the same seed gives the same numbers.
        gain: multiplies all weights; above 1 for networks in which many means thin out what arrives.
    """
    rng = np.random.default_rng(seed)
    nodes: dict[str, Op] = {}
    steps: dict[str, str] = {}
    for name, op in graph.nodes.items():
        nodes[name] = filled = _filled(op, rng, gain)
        if isinstance(filled, (Conv, Linear)) and np.asarray(filled.weight).dtype.kind == "i":
            steps[name] = unused(f"{name}.step", graph.nodes)
            nodes[name], nodes[steps[name]] = _with_step(filled, gain)
    edges = [*(Edge(steps.get(e.src, e.src), e.dst, e.delay) for e in graph.edges),
             *(Edge(name, step) for name, step in steps.items())]
    return graph.replace(nodes=nodes, edges=tuple(edges))


def _filled(op: Op, rng: np.random.Generator, gain: float) -> Op:
    bare = {n: v for n, v in op.arrays.items() if isinstance(v, ShapeOnly)}
    if not bare:
        return op
    if isinstance(op, Neuron):
        params = {n: _parameter(op, n, bare[n].shape, rng) if n in bare else v for n, v in op.params.items()}
        initial = {n: np.zeros(v.shape) if isinstance(v, ShapeOnly) else v for n, v in op.initial.items()}
        return dataclasses.replace(op, params=params, initial=initial)
    new = {n: _factor(v.shape, rng) if isinstance(op, Scale) and n == "factor" else
           _weight(v, rng, gain) if n == "weight" else _bias(v.shape, rng) for n, v in bare.items()}
    return dataclasses.replace(op, **new)


def _parameter(op: Neuron, name: str, shape: Shape, rng: np.random.Generator) -> Array:
    """A parameter of neurons within a tenth of its default; within 0.5 of it where that is 0."""
    quantity = op.rule.params.get(name)
    default = 0.1 if quantity is None or quantity.default is None else quantity.default
    return default * rng.uniform(0.9, 1.1, shape) if default else rng.uniform(-0.5, 0.5, shape)


def _factor(shape: Shape, rng: np.random.Generator) -> Array:
    return rng.uniform(0.8, 1.2, shape)


def _bias(shape: Shape, rng: np.random.Generator) -> Array:
    return rng.normal(0.1, 0.1, shape)


def _weight(bare: ShapeOnly, rng: np.random.Generator, gain: float) -> Array:
    """A weight `[out, in, ...]`: integers where the shape names few bits, else real numbers."""
    if bare.bits is not None and bare.bits <= WIDE:
        drawn: Any = _codes(bare.shape, bare.bits, 0 if bare.density is None else 1, rng)
    else:
        fan_in = max(bare.nonzero // max(bare.shape[0], 1), 1)
        drawn = rng.normal(0, gain * _gain(bare.shape) / math.sqrt(fan_in), bare.shape)
    if bare.density is not None:
        kept = np.zeros(bare.size, bool)
        kept[:bare.nonzero] = True
        drawn = drawn * rng.permutation(kept).reshape(bare.shape)
    return np.asarray(drawn)


def _gain(shape: Shape) -> float:
    return DENSE_GAIN if len(shape) == 2 else GAIN


def _codes(shape: Shape, bits: int, least: int, rng: np.random.Generator) -> Array:
    """Integers of a width, of a magnitude of at least `least`; the largest is about three standard deviations."""
    sign = rng.choice(np.array([-1, 1], np.int16), shape)
    if bits == 1:
        return np.asarray(sign)
    largest = (1 << (bits - 1)) - 1
    size = np.clip(np.rint(np.abs(rng.normal(0, max(largest / 3, 1), shape))), least, largest)
    return np.asarray((sign * size).astype(np.int16))


def _with_step(op: Conv | Linear, gain: float) -> tuple[Op, Op]:
    """The layer without its bias, and the value of the integer 1 as a scale with that bias; one step for each output.

    The step gives the weights of an output the size that real ones would have.
    """
    codes = np.asarray(op.weight)
    rows = codes.reshape(len(codes), -1).astype(np.float64)
    step = gain * _gain(codes.shape) / np.sqrt(np.maximum((rows ** 2).sum(1), 1))
    shape = (-1, *(1,) * (len(op.kernel) if isinstance(op, Conv) else 0))
    bias = None if op.bias is None else np.asarray(op.bias).reshape(shape)
    return dataclasses.replace(op, bias=None), Scale(step.reshape(shape), bias)
