"""Reads and writes ONNX files that hold one step (one tick) of a network.

Such a step function takes the inputs of a tick and all present states, and returns the outputs of the tick and all next
states. This folder is the only one that needs the package `onnx`; it imports it only when a file is read or written.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph


def load_onnx(path: str | Path, **options: Any) -> Graph:
    """Read an ONNX file that holds one step of a network, and return its graph.

    Args:
        options: see `snncompile.frontends.onnx.read.read_onnx`.

    Raises:
        CompileError: SNN108 where the package `onnx` is missing; otherwise as `read_onnx` does.
    """
    _needs_onnx()
    from snncompile.frontends.onnx.read import read_onnx

    return read_onnx(Path(path), **options)


def export_onnx(graph: Graph, path: str | Path, dtype: Literal["float64", "float32"] = "float64") -> Path:
    """Write a graph of any stage as an ONNX file. The file is either written completely or not at all.

    The file holds one step of the network: it takes the inputs of a tick, every state and every delayed value, and
    returns the outputs of the tick and the next states and delayed values. All have the shape `[batch, *shape]`. The
    metadata `snncompile.step` say which input belongs to which output, and the initial values; docs/onnx.md shows
    how to run such a file.

    Args:
        dtype: the arithmetic of FLOAT and LEGAL graphs; INT graphs are always written in int64. A float64 file computes
            exactly what `run` computes, and gathers the windows of convolutions by constant indices, because ONNX
            Runtime has Conv for float32 only. A float32 file uses Conv and AveragePool.

    Returns:
        The path that was written.

    Raises:
        CompileError: SNN106 where only the shape of a weight is known, or where weights exceed 2 GB; SNN108 where the
            package `onnx` is missing; SNN404 for an unknown dtype; SNN602 where the file cannot be written.
    """
    _needs_onnx()
    from snncompile.frontends.onnx.export import write_onnx

    return write_onnx(graph, Path(path), dtype)


def _needs_onnx() -> None:
    if find_spec("onnx") is None:
        fail("SNN108", "package onnx", "it is not installed", help="pip install snncompile[onnx]")
