"""Writes a graph as an ONNX step function.

The metadata `snncompile.graph` hold the graph itself in the text form, so that `read` can return it unchanged; the
metadata `snncompile.step` describe inputs, outputs and states for whoever runs the file.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from onnx import ModelProto, checker, helper
from snncompile.diagnostics import fail, shorten
from snncompile.frontends.onnx.write_cells import ProgramWriter
from snncompile.frontends.onnx.write_layers import write_layer
from snncompile.frontends.onnx.writer import IR_VERSION, OPSET, Writer
from snncompile.ir.expr import Program
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import with_bias
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.text import arrays_of, to_text
from snncompile.ir.types import ShapeOnly, Stage
from snncompile.ir.verify import verify

GRAPH, STEP = "snncompile.graph", "snncompile.step"
MAX_BYTES = (1 << 31) - (1 << 20)


def write_onnx(graph: Graph, path: Path, dtype: str) -> Path:
    """Write a graph to a file; see `snncompile.frontends.onnx.export_onnx`, which first checks for the package."""
    model = onnx_model(graph, dtype)
    place = f"file {shorten(path.name)}"
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".onnx")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(model.SerializeToString(deterministic=True))
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
    except OSError as e:
        fail("SNN602", place, e.strerror or type(e).__name__)
    return path


def onnx_model(graph: Graph, dtype: str = "float64") -> ModelProto:
    """The ONNX model of a graph. Raises as `export_onnx` does, except for SNN602."""
    if dtype not in ("float64", "float32"):
        fail("SNN404", "option dtype", shorten(dtype), "float64, float32")
    verify(graph)
    ops = [*graph.nodes.items(), *((e.label, op) for e in graph.edges for op in e.chain)]
    for name, op in ops:
        if any(isinstance(a, ShapeOnly) for a in op.arrays.values()):
            fail("SNN106", f"node {shorten(name)}", "weights of which only the shape is known", "weights with values")
    size = sum(a.nbytes for a in arrays_of(graph).values())
    if size > MAX_BYTES:
        fail("SNN106", f"graph {shorten(graph.name)}", f"{size} bytes of weights",
             f"at most {MAX_BYTES} bytes, since protobuf files end at 2 GB")
    w = Writer(np.dtype(np.int64 if graph.stage >= Stage.INT else dtype))
    step = _Step(graph, w)
    step.write()
    model = helper.make_model(
        helper.make_graph(w.nodes, "step", w.inputs, w.outputs, list(w.initializers.values())),
        producer_name="snncompile", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)])
    helper.set_model_props(model, {GRAPH: to_text(graph), STEP: json.dumps(step.about)})
    checker.check_model(model)
    return model


@dataclass
class _Step:
    """Writes one tick of a graph.

    Attributes:
        w: receives the ONNX nodes.
        values: the ONNX name of each graph node's present output, by the graph node's name.
        late: the ONNX input that carries a node's output of `ago` ticks before, by `(node, ago)`.
        about: the content of the metadata `snncompile.step`.
    """

    graph: Graph
    w: Writer
    values: dict[str, str] = field(default_factory=dict)
    late: dict[tuple[str, int], str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=lambda: {"inputs": {}, "outputs": {}, "states": []})

    def write(self) -> None:
        for array in arrays_of(self.graph).values():
            self.w.stored(array)
        for name, entry in self.graph.inputs.items():
            self.values[name] = self.about["inputs"][name] = self.w.enter(name, entry.shape)
        self._enter_late()
        outputs: dict[str, str] = {}
        nexts: list[tuple[dict[str, Any], str, str]] = []
        for name in (n for c in self.graph.components for n in c):
            op = self.graph.nodes[name]
            if not isinstance(op, Input):
                self.values[name] = self._node(name, op, nexts)
            if isinstance(op, Output):
                outputs[name] = self.values[name]
        for name, value in outputs.items():
            self.about["outputs"][name] = self.w.leave(name, value, self.graph.shapes[name])
        self._leave_states(nexts)

    def _enter_late(self) -> None:
        """Add an input for every past output that a delayed edge reads: of the last tick, the one before, and so on."""
        for edge in self.graph.edges:
            for ago in range(1, edge.delay + 1):
                if (edge.src, ago) not in self.late:
                    self.late[edge.src, ago] = self.w.enter(f"{edge.src}.ago{ago}", self.graph.shapes[edge.src])

    def _leave_states(self, nexts: list[tuple[dict[str, Any], str, str]]) -> None:
        """Add the outputs of all next states and past values, and describe each of them in `about`."""
        for about, name, value in nexts:
            shape = self.graph.shapes[about["node"]]
            self.about["states"].append({**about, "out": self.w.leave(f"{name}.next", value, shape)})
        for (src, ago), entered in self.late.items():
            value = self.values[src] if ago == 1 else self.late[src, ago - 1]
            out = self.w.leave(f"{src}.ago{ago}.next", value, self.graph.shapes[src])
            self.about["states"].append({"node": src, "ago": ago, "in": entered, "initial": 0, "out": out})

    def _node(self, name: str, op: Op, nexts: list[tuple[dict[str, Any], str, str]]) -> str:
        """Write a graph node, and return the ONNX name of its output.

        Args:
            nexts: receives, for each state of the node, its description, its name, and its next value's ONNX name.
        """
        arriving = [self._arriving(e) for e in self.graph.edges_into[name]]
        x = arriving[0]
        for part in arriving[1:]:
            x = self.w.op("Add", x, part)
        if not isinstance(op, (Neuron, Population)):
            return write_layer(self.w, op, x, self.graph.arriving(self.graph.edges_into[name][0]))
        program, firsts = _behaviour(op)
        states = {n: self.w.enter(f"{name}.{n}", self.graph.shapes[name]) for n in firsts}
        output, following = ProgramWriter(self.w, program, op.params, states, x).write()
        for state, value in following.items():
            about = {"node": name, "state": state, "in": states[state], "initial": self._initial(firsts[state])}
            nexts.append((about, f"{name}.{state}", value))
        return output

    def _initial(self, value: Any) -> Any:
        """An initial value for the metadata: a number, or the name of the initializer that holds the array."""
        return self.w.stored(value) if isinstance(value, np.ndarray) else value

    def _arriving(self, edge: Edge) -> str:
        """The ONNX name of what an edge delivers in this tick, with the operators on the edge applied."""
        x = self.late[edge.src, edge.delay] if edge.delay else self.values[edge.src]
        shape = self.graph.shapes[edge.src]
        for op in edge.chain:
            x, shape = write_layer(self.w, op, x, shape), op.infer(shape)
        return x


def _behaviour(op: Neuron | Population) -> tuple[Program, dict[str, Any]]:
    """The rule program of a neuron or integer population, and the initial values of its states by name."""
    if isinstance(op, Population):
        return op.program, {n: s.initial for n, s in op.states.items()}
    program = with_bias(op.traced.program) if op.bias is not None else op.traced.program
    return program, {n: op.first(n) for n in op.traced.states}
