"""Reads an ONNX file as a graph.

A file that `export_onnx` wrote holds its graph in the metadata. That graph is returned if exporting it again gives the
same nodes and weights; otherwise somebody changed the file, and the graph is built from the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from snncompile.diagnostics import CompileError, Diagnostic, expect_known, fail, shorten
from snncompile.frontends.onnx.export import GRAPH, onnx_model
from snncompile.frontends.onnx.file import Model, Node, plain, read_model
from snncompile.frontends.onnx.step import INPUTS, step_graph
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
            that do not exist, are of another type, or do not fit the file.
    """
    for name in unknown:
        expect_known(name, OPTIONS, f"option {shorten(name)} of an ONNX file")
    pairs, firsts = _pairs(states), _firsts(initial)
    if values is not None and (not isinstance(values, str) or values not in INPUTS):
        fail("SNN404", "option values", shorten(values), ", ".join(INPUTS))
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
    graph = step_graph(model, f"file {shorten(path.name)}", pairs, firsts, values or "spike")
    return verify(graph).noting(notes)


def _pairs(states: object) -> dict[str, str]:
    """The output of each state by its input, empty where the option is not given. Raises SNN404 for anything else."""
    if isinstance(states, str):
        parts = [pair.partition("=") for pair in states.split(",")]
        pairs = {before.strip(): after.strip() for before, _, after in parts}
        if len(pairs) < len(parts) or not all(before and after for before, after in pairs.items()):
            fail("SNN404", "option states", shorten(states), "in=out,..., each input once")
        return pairs
    return {n: o if isinstance(o, str) else _refuse(f"states, {shorten(n)}", o, "the name of an output")
            for n, o in _named("states", states, '{"mem": "mem_out"} or the text mem=mem_out').items()}


def _firsts(initial: object) -> dict[str, Array]:
    """The initial values by state input. Raises SNN404 for values that are no finite numbers."""
    firsts: dict[str, Array] = {}
    for name, value in _named("initial", initial, '{"mem": 0.5}').items():
        try:
            firsts[name] = np.asarray(value)
        except (ValueError, TypeError, RuntimeError):
            firsts[name] = np.asarray(None)
        if firsts[name].dtype.kind not in "biuf" or not np.all(np.isfinite(firsts[name])):
            _refuse(f"initial, {shorten(name)}", value, "a finite number, or an array of them")
    return firsts


def _named(option: str, given: object, example: str) -> Mapping[str, Any]:
    """What an option gives by name, empty for None. Raises SNN404 for anything else than a mapping with names."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(n, str) for n in given):
        _refuse(option, given, f"a mapping such as {example}")
    return given


def _refuse(option: str, given: object, expected: str) -> NoReturn:
    fail("SNN404", f"option {option}", shorten(given), expected)


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
