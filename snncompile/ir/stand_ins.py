"""Stand-ins: numbers in place of the small arrays of a candidate whose shapes alone are known.

A candidate of a search has no numbers yet. Whether hardware can run it depends on its weights only by their shapes, but
on its biases, thresholds, decays and scales also by whether they are there, differ, or can be multiplied into weights.
So these get numbers as a trained network would have: all different, none zero. All passes then treat the candidate as
they will treat the trained network.
"""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Quantity
from snncompile.ir.types import Array, Shape, ShapeOnly

SMALL = 0.1
"""Stands for parameters whose default is 0, such as a bias or a resting potential: below any threshold."""
SHARED = 1 << 10
"""Stand-ins that are kept, since layers of many candidates have the same shapes."""
_FILLED = "_filled"
"""Where an operator remembers itself with stand-ins: one object, so that it is verified once. None needs none."""


def with_stand_ins(graph: Graph) -> Graph:
    """The graph with numbers in place of all bare shapes but those of the weights of layers.

    The same graph where it has no such shapes.
    """
    nodes = {name: _filled(op) for name, op in graph.nodes.items()}
    edges = tuple(_filled_edge(edge) for edge in graph.edges) if any(e.chain for e in graph.edges) else graph.edges
    same = all(op is graph.nodes[name] for name, op in nodes.items()) and all(
        a is b for a, b in zip(edges, graph.edges, strict=True))
    return graph if same else graph.replace(nodes=nodes, edges=edges).with_shapes(graph.shapes)


@lru_cache(SHARED)
def stand_in(shape: Shape, size: float = SMALL) -> Array:
    """Different numbers, all between 0.9 and 1 times `size`.

    >>> stand_in((3,), 2.0).tolist()
    [1.8, 1.9, 2.0]
    """
    values = np.asarray(size * np.linspace(0.9, 1.0, math.prod(shape)).reshape(shape))
    values.flags.writeable = False
    return values


def _filled_edge(edge: Edge) -> Edge:
    chain = tuple(map(_filled, edge.chain))
    return edge if all(a is b for a, b in zip(chain, edge.chain, strict=True)) else dataclasses.replace(
        edge, chain=chain)


def _filled(op: Op) -> Op:
    known: dict[str, Op | None] = op.__dict__
    if _FILLED not in known:
        bare = {name: value for name, value in op.arrays.items() if isinstance(value, ShapeOnly)}
        if isinstance(op, Layer):
            bare.pop("weight", None)
        known[_FILLED] = _fill(op, bare) if bare else None
    return known[_FILLED] or op


def _fill(op: Op, bare: dict[str, ShapeOnly]) -> Op:
    if isinstance(op, Neuron):
        params = {name: stand_in(bare[name].shape, _size(op.rule.params.get(name))) if name in bare else value
                  for name, value in op.params.items()}
        initial = {name: stand_in(value.shape) if isinstance(value, ShapeOnly) else value
                   for name, value in op.initial.items()}
        return dataclasses.replace(op, params=params, initial=initial)
    return dataclasses.replace(op, **{
        name: _factor(value.shape) if isinstance(op, Scale) and name == "factor" else stand_in(value.shape)
        for name, value in bare.items()})


@lru_cache(SHARED)
def _factor(shape: Shape) -> Array:
    """Factors of both signs, since those of a batch norm may have both."""
    values = stand_in(shape, 1.0).ravel() * np.resize([1, -1], math.prod(shape))
    values.flags.writeable = False
    return np.asarray(values.reshape(shape))


def _size(quantity: Quantity | None) -> float:
    """About how large the stand-ins of a parameter are: as its default; a parameter that may be absent is negative,
    such as the least membrane."""
    if quantity is None or quantity.default == 0:
        return SMALL
    return -1.0 if quantity.default is None else quantity.default
