"""ONNX: networks as step functions, their states going in and out. Needs the package `onnx`, and only here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph


def load_onnx(path: str | Path, **options: Any) -> Graph:
    """The graph of an ONNX file that holds one step of a network; see `read` for the options."""
    _needs_onnx()
    from snncompile.frontends.onnx.read import read_onnx

    return read_onnx(Path(path), **options)


def export_onnx(graph: Graph, path: str | Path, dtype: Literal["float64", "float32"] = "float64") -> Path:
    """Write a graph of any stage as an ONNX file. The file appears whole or not at all.

    The file holds one step of the network: it takes the inputs of a tick, every state and every delayed value, and
    gives the outputs of the tick and the next states and delayed values, all `[batch, *shape]`. Which belong
    together stands in the metadata `snncompile.step`, with the first values; docs/onnx.md shows how to run it.

    Args:
        dtype: the arithmetic of FLOAT and LEGAL graphs. In float64 the file computes what `run` does, windows being
            gathered, since ONNX Runtime convolves float32 only; in float32 it uses Conv and AveragePool. INT graphs
            are written in int64.

    Raises:
        CompileError: SNN106 for weights without numbers and for more than 2 GB, SNN108 without the package `onnx`,
            SNN602 where the file cannot be written.
    """
    _needs_onnx()
    from snncompile.frontends.onnx.export import write_onnx

    return write_onnx(graph, Path(path), dtype)


def _needs_onnx() -> None:
    if find_spec("onnx") is None:
        fail("SNN108", "package onnx", "it is not installed", help="pip install snncompile[onnx]")
