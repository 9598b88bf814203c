"""Random networks on images: convolutions, pools, upsamplings, and neurons whose parameters and first states differ."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Conv, Input, MaxPool, Output, SumPool, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Shape


def image_graph(seed: int) -> Graph:
    """A chain of one to three layers, with spikes or real values for input, which follows from the seed."""
    rng = np.random.default_rng([5, seed])
    shape = (int(rng.integers(1, 4)), int(rng.integers(3, 9)), int(rng.integers(1, 7)))
    nodes: dict[str, Any] = {"in": Input(shape, "real", low=-1.0, high=1.0) if rng.random() < 0.4 else Input(shape)}
    for k in range(int(rng.integers(1, 4))):
        op = _operator(rng, shape)
        shape = op.infer(shape)
        nodes[f"op{k}"], nodes[f"n{k}"] = op, _neuron(rng, shape)
    nodes["out"] = Output()
    return Graph("images", nodes, tuple(itertools.starmap(Edge, itertools.pairwise(nodes))))


def _operator(rng: np.random.Generator, shape: Shape) -> Any:
    channels, height, width = shape
    kind = rng.integers(0, 5)
    if kind == 0 and height > 1 and width > 1:
        return (MaxPool if rng.random() < 0.6 else SumPool)((2, 2), (2, 2))
    if kind == 1:
        return Upsample((2, 1))
    tall, wide = int(rng.integers(1, min(height, 4) + 1)), int(rng.integers(1, min(width, 3) + 1))
    out, stride, before = int(rng.integers(1, 7)), int(rng.integers(1, 3)), int(rng.integers(0, tall))
    bias = rng.standard_normal(out) * 0.2 if rng.random() < 0.3 else None
    return Conv(rng.standard_normal((out, channels, tall, wide)), bias, (stride, 1), ((before, before), (0, 0)))


def _neuron(rng: np.random.Generator, shape: Shape) -> Neuron:
    match rng.integers(0, 4):
        case 0:
            return Neuron.of("if", Firing(), threshold=rng.uniform(0.5, 1.5, shape))
        case 1:
            return Neuron.of("if", Firing(), threshold=1.0, bias=0.3)
        case _:
            first = {"v": rng.standard_normal(shape)} if rng.random() < 0.5 else {}
            decay = rng.uniform(0.2, 0.9, shape) if rng.random() < 0.4 else 0.5
            return Neuron.of("lif", Firing(), {}, first, decay=decay, threshold=1.0)
