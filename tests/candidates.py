"""Candidates of a search: networks whose weights are bare shapes, beside the same networks with numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from snncompile.ir.graph import Graph
from snncompile.ir.op import Op
from snncompile.ir.populations import Neuron
from snncompile.ir.types import ShapeOnly


def in_full(graph: Graph, seed: int = 0) -> Graph:
    """The graph with other real numbers: weights of both signs without a zero, and parameters that all differ."""
    rng = np.random.default_rng(seed)

    def weights(values: Any) -> Any:
        return rng.uniform(0.5, 1, values.shape) * np.resize([1, -1], values.size).reshape(values.shape)

    def params(values: Any) -> Any:
        return np.where(values == 0, 0.1, values) * rng.uniform(0.9, 1.0, values.shape)

    return _replaced(graph, weights, params)


def bare(graph: Graph) -> Graph:
    """The graph with bare shapes in place of its arrays."""
    return _replaced(graph, lambda values: ShapeOnly(values.shape), lambda values: ShapeOnly(values.shape))


def _replaced(graph: Graph, weights: Callable[[Any], Any], params: Callable[[Any], Any]) -> Graph:
    def new(op: Op) -> Op:
        if isinstance(op, Neuron):
            held = {n: params(v) if isinstance(v, np.ndarray) else v for n, v in op.params.items()}
            return dataclasses.replace(op, params=held)
        arrays = {n: weights(v) for n, v in op.attributes() if isinstance(v, np.ndarray)}
        return dataclasses.replace(op, **arrays) if arrays else op

    return graph.replace(nodes={n: new(op) for n, op in graph.nodes.items()})
