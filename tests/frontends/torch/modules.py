"""Helpers to compare a single neuron module of a framework with the cell that is read from it, in float64."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch

from snncompile.frontends.torch.cells import Cell
from snncompile.frontends.torch.neurons import cell_reader
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.op import Op
from snncompile.ir.ops import Identity, Input, Output
from snncompile.ir.types import Array, Shape
from snncompile.ir.verify import verify


@contextlib.contextmanager
def in_doubles() -> Iterator[None]:
    """Replace `.float()`, with which the frameworks cast spikes, by `.double()`, so that all is computed in float64."""
    with mock.patch.object(torch.Tensor, "float", torch.Tensor.double), torch.no_grad():
        yield


def cell(module: Any, shape: Shape) -> Cell:
    recognise = cell_reader(module)
    assert recognise is not None
    return recognise(module, shape, "net.lif")


def graph_of(cell: Cell, shape: Shape) -> Graph:
    """A graph of an Input, the cell and an Output."""
    nodes: dict[str, Op] = {"x": Input(shape, "real", -99, 99)}
    edges: list[Edge] = []

    def chain(last: str, ops: tuple[Op, ...], name: str) -> str:
        for i, op in enumerate(ops):
            nodes[f"{name}{i}"] = op
            edges.append(Edge(last, f"{name}{i}"))
            last = f"{name}{i}"
        return last

    first = chain("x", cell.before, "before")
    nodes["n"] = cell.neuron
    edges.append(Edge(first, "n"))
    last = chain("n", cell.after, "after")
    nodes["y"] = Output()
    edges.append(Edge(last, "y"))
    if cell.recurrent is not None:
        nodes["late"] = Identity()
        edges.append(Edge(last, "late", 0 if cell.recurrent_silence else 1))
        edges.append(Edge(chain("late", cell.recurrent, "back"), "n", 1 if cell.recurrent_silence else 0))
    graph = Graph("one", nodes, tuple(edges))
    verify(graph)
    return graph


def emitted(module: Any, x: Array) -> Array:
    """The spikes of the module's cell for an input `[sample, tick, *shape]`, in the same shape."""
    return run(graph_of(cell(module, x.shape[2:]), x.shape[2:]), x).outputs["y"]


def drive(rng: np.random.Generator, shape: Shape, threshold: float = 1.0, decimal: bool = True) -> Array:
    """A random input `[3, 12, *shape]`; in most cases membranes often land exactly on the threshold.

    Args:
        decimal: whether the numbers may be tenths. Their sums round, so that they may reach the threshold in one order
            of additions and miss it in another.
    """
    size = (3, 12, *shape)
    kind = rng.choice([0, 1, 2, 3] if decimal else [0, 2, 3])
    if kind == 0:
        return rng.integers(-2, 9, size) * threshold / 4
    if kind == 1:
        return rng.integers(-3, 12, size) / 10 * threshold
    if kind == 2:
        return rng.choice([0.0, threshold, threshold / 2, 2 * threshold, 3.5 * threshold], size)
    return rng.normal(0.4, 1.0, size) * threshold
