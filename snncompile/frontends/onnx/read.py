"""Reads an ONNX file as a graph.

A file that `export_onnx` wrote holds its graph in the metadata. That graph is returned if exporting it again gives the
same nodes and weights; otherwise somebody changed the file, and the graph is built from the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from snncompile.diagnostics import CompileError, Diagnostic, expect_known, fail, shorten
from snncompile.frontends.onnx.export import GRAPH, onnx_model
from snncompile.frontends.onnx.file import Model, Node, plain, read_model
from snncompile.frontends.onnx.step import step_graph
from snncompile.ir.graph import Graph
from snncompile.ir.text import digest, from_text
from snncompile.ir.types import Array
from snncompile.ir.verify import verify

OPTIONS = ("states", "initial", "values")


def read_onnx(path: Path, states: Mapping[str, str] | str | None = None, initial: Mapping[str, Any] | None = None,
              values: str | None = None, **unknown: Any) -> Graph:
    """The graph of a file that holds one step of a network.

    Args:
        states: the output that returns each state's next value, by the state's input, or the same as a text
            `in=out,...`. docs/onnx.md says how the pairs are found without this option.
        initial: initial values by state input, numbers or arrays; other states start at 0.
        values: what the inputs carry, `spike` (the default) or `real`.

    Returns:
        A graph of the stage that was exported, where the file holds its graph; otherwise a FLOAT graph. Its notes say
        (SNN109) where the graph in the metadata was not used.

    Raises:
        CompileError: as `read_model` does; SNN104 with every node that the compiler cannot read; SNN404 for options
            that do not exist or do not fit the file.
    """
    for name in unknown:
        expect_known(name, OPTIONS, f"option {shorten(name)} of an ONNX file")
    model = read_model(path)
    notes: tuple[Diagnostic, ...] = ()
    if GRAPH in model.metadata and (states, initial, values) == (None, None, None):
        embedded = _embedded_graph(model)
        if embedded is not None:
            return embedded
        notes = (Diagnostic("SNN109", f"file {shorten(path.name)}",
                            "the graph in the metadata does not fit the nodes of the file",
                            "metadata as the compiler wrote them", "the nodes were read; export the graph again",
                            "warning"),)
    graph = step_graph(model, f"file {shorten(path.name)}", _pairs(states), initial or {}, values or "spike")
    return verify(graph).noting(notes)


def _pairs(states: Mapping[str, str] | str | None) -> dict[str, str]:
    if not isinstance(states, str):
        return dict(states or {})
    pairs = [pair.partition("=") for pair in states.split(",")]
    if not all(before and after for before, _, after in pairs):
        fail("SNN404", "option states", shorten(states), "in=out,...")
    return {before: after for before, _, after in pairs}


def _embedded_graph(model: Model) -> Graph | None:
    """The graph in the metadata if it is undamaged and exporting it gives this model, otherwise None."""
    arrays = {digest(a): a for a in model.constants.values()}
    try:
        graph = verify(from_text(model.metadata[GRAPH], arrays, where=f"metadata {GRAPH}"))
        float32 = any(tensor.dtype == np.float32 for tensor in model.inputs.values())
        again = plain(onnx_model(graph, "float32" if float32 else "float64"), "the graph in the metadata")
    except CompileError:
        return None
    return graph if _same(model, again) else None


def _same(a: Model, b: Model) -> bool:
    same = a.opset == b.opset and dict(a.inputs) == dict(b.inputs) and dict(a.outputs) == dict(b.outputs)
    return (same and len(a.nodes) == len(b.nodes) and all(map(_same_nodes, a.nodes, b.nodes))
            and a.constants.keys() == b.constants.keys()
            and all(_identical(v, b.constants[n]) for n, v in a.constants.items()))


def _same_nodes(a: Node, b: Node) -> bool:
    return ((a.op, a.inputs, a.outputs) == (b.op, b.inputs, b.outputs) and a.attributes.keys() == b.attributes.keys()
            and all(_identical(np.asarray(v), np.asarray(b.attributes[n])) for n, v in a.attributes.items()))


def _identical(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
