"""Runs step functions with ONNX Runtime, tick by tick, to compare the interpreter with an independent program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, numpy_helper

from snncompile.frontends.onnx.export import STEP, onnx_model
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, run
from snncompile.ir.types import Array


def runner(model: ModelProto) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # Fused operators compute some factors of float64 products in float32.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def steps(model: ModelProto, x: Mapping[str, Array], pairs: Mapping[str, tuple[str, Any]]) -> dict[str, Array]:
    """Every output of a step function after each tick, `[sample, tick, *shape]`.

    Args:
        x: the inputs `[sample, tick, *shape]`, by name.
        pairs: the output and the initial value of each state, by the state's input.
    """
    runs = runner(model)
    shapes = {i.name: i.shape[1:] for i in runs.get_inputs()}
    samples, ticks = next(iter(x.values())).shape[:2]
    kind = next(iter(x.values())).dtype
    state = {n: np.array(np.broadcast_to(np.asarray(first, kind), (samples, *shapes[n])))
             for n, (_, first) in pairs.items()}
    names = [o.name for o in runs.get_outputs()]
    values_of: dict[str, list[Array]] = {n: [] for n in names}
    for t in range(ticks):
        results = dict(zip(names, runs.run(names, {n: np.ascontiguousarray(v[:, t]) for n, v in x.items()} | state),
                       strict=True))
        for name, value in results.items():
            values_of[name].append(value)
        state = {n: results[out] for n, (out, _) in pairs.items()}
    return {n: np.stack(v, 1) for n, v in values_of.items()}


def oracle(graph: Graph, x: Mapping[str, Array], dtype: str = "float64") -> Traces:
    """What ONNX Runtime computes from the exported graph, in the form in which `run` returns it."""
    model = onnx_model(graph, dtype)
    about = json.loads({p.key: p.value for p in model.metadata_props}[STEP])
    arrays = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    pairs = {s["in"]: (s["out"], arrays.get(s["initial"], s["initial"])) for s in about["states"]}
    results = steps(model, {about["inputs"][n]: v for n, v in x.items()}, pairs)
    states: dict[str, dict[str, Array]] = {}
    for s in about["states"]:
        if "state" in s:
            states.setdefault(s["node"], {})[s["state"]] = results[s["out"]]
    return Traces({n: results[o] for n, o in about["outputs"].items()}, {}, states)


def differences(graph: Graph, x: Mapping[str, Array], tolerance: float = 0.0) -> list[str]:
    """The names of the outputs and states in which ONNX Runtime and the interpreter differ."""
    wanted, computed = run(graph, x, record=True, states=True), oracle(graph, x)
    different = [f"output {n}" for n, v in wanted.outputs.items() if not _same(v, computed.outputs[n], tolerance)]
    return different + [f"{n}.{s}" for n, states in wanted.states.items() for s, v in states.items()
                    if not _same(v, computed.states[n][s], tolerance)]


def _same(a: Array, b: Array, tolerance: float) -> bool:
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= tolerance * (1 + np.abs(a))))
