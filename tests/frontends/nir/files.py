"""Writes NIR files directly with h5py, in the forms that other tools and other versions of NIR use."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snncompile.diagnostics import CompileError
from snncompile.frontends import load
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array

Edges = list[tuple[str, str]]


def node(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def inner(nodes: Mapping[str, Any], edges: Edges) -> dict[str, Any]:
    """A nested graph."""
    return {"type": "NIRGraph", "nodes": nodes, "edges": edges}


def write(path: Path, nodes: Mapping[str, Any], edges: Edges, metadata: Mapping[str, Any] | None = None,
          **how: Any) -> Path:
    """Write a NIR file of these nodes; `how` is passed to h5py."""
    with h5py.File(path, "w", **how) as file:
        file["version"] = "1.0.8"
        _fill(file.create_group("node"), {**inner(nodes, edges), **({"metadata": metadata} if metadata else {})})
    return path


def _fill(group: Any, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if name == "edges":
            group.create_dataset(name, data=np.array(value or [], dtype=h5py.string_dtype()).reshape(-1, 2))
        elif isinstance(value, Mapping):
            _fill(group.create_group(name), value)
        else:
            group[name] = value


def chain(path: Path, shape: tuple[int, ...], *nodes: Mapping[str, Any], out: tuple[int, ...] = (),
          metadata: Mapping[str, Any] | None = None) -> Path:
    """Write a file with a chain of nodes `n0`, `n1`, ... between `input` and `output`."""
    named: dict[str, Any] = {"input": node("Input", shape=np.array(shape))}
    named |= {f"n{i}": n for i, n in enumerate(nodes)}
    named["output"] = node("Output", shape=np.array(out, np.int64))
    names = list(named)
    return write(path, named, list(itertools.pairwise(names)), metadata)


def lif(n: int = 1, **changes: Any) -> dict[str, Any]:
    """A LIF node with a time constant of ten steps of 0.1 ms."""
    full = {"tau": 1e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, **changes}
    return node("LIF", **{k: np.full(n, v) if np.ndim(v) == 0 else v for k, v in full.items() if v is not None})


def if_(*shape: int, threshold: float = 1.0, r: float = 1.0, **more: Any) -> dict[str, Any]:
    return node("IF", r=np.full(shape, r), v_threshold=np.full(shape, threshold), **more)


def affine(weight: Any, bias: Any = None) -> dict[str, Any]:
    w = np.asarray(weight, np.float32)
    return node("Linear", weight=w) if bias is None else node("Affine", weight=w, bias=np.asarray(bias, np.float32))


def codes(path: Path, **options: Any) -> list[str]:
    """The codes of the diagnostics when a file is loaded; empty where it loads."""
    try:
        load(path, **options)
    except CompileError as e:
        return [d.code for d in e.diagnostics]
    return []


def refusal(path: Path, **options: Any) -> str:
    """The whole message with which a file is refused."""
    try:
        load(path, **options)
    except CompileError as e:
        return str(e)
    raise AssertionError("the file was loaded")


def canonical(graph: Graph) -> str:
    """A network's text without names, which is equal for networks of equal structure and numbers."""
    numbers = {name: f"n{i}" for i, name in enumerate(graph.nodes)}
    nodes = {numbers[n]: op for n, op in graph.nodes.items()}
    edges = tuple(type(e)(numbers[e.src], numbers[e.dst], e.delay, e.chain) for e in graph.edges)
    return str(Graph("", nodes, edges, graph.stage, graph.meta))


def spikes(ticks: int, *shape: int, seed: int = 0, rate: float = 0.3) -> Array:
    """Random binary input of one sample, `[1, tick, *shape]`."""
    return np.asarray(np.random.default_rng(seed).random((1, ticks, *shape)) < rate, np.float64)
