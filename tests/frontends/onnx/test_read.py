"""The graph in a file's metadata is used only if exporting it gives the file; otherwise the nodes are read."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx

import snncompile as sc
from snncompile.diagnostics import CompileError
from snncompile.frontends.onnx.export import STEP, onnx_model
from snncompile.ir.interp import run
from snncompile.ir.text import to_text
from tests.backends.exactness import random_case
from tests.frontends.onnx.running import Traces
from tests.strategies import Features, inputs_for, random_graph


@pytest.mark.parametrize("first", range(0, 60, 15))
def test_an_exported_graph_reads_back_as_it_was(tmp_path, first):
    path = tmp_path / "net.onnx"
    for seed in range(first, first + 15):
        graph = random_graph(seed)
        for dtype in ("float64", "float32"):
            again = sc.load(sc.export_onnx(graph, path, dtype))
            assert to_text(again) == to_text(graph), seed
            assert not again.notes
        integer = random_case(graph, seed).graph
        assert to_text(sc.load(sc.export_onnx(integer, path))) == to_text(integer), seed


def stripped(graph, path, keep=()):
    """Write a graph without metadata; return the state pairs, the initial values, and the description of the step."""
    model = onnx_model(graph, "float32")
    about = json.loads({p.key: p.value for p in model.metadata_props}[STEP])
    kept = [p for p in model.metadata_props if p.key in keep]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    path.write_bytes(model.SerializeToString())
    arrays = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    initial = {s["in"]: arrays.get(s["initial"], s["initial"]) for s in about["states"] if "state" in s}
    return {s["in"]: s["out"] for s in about["states"]}, initial, about


def reread(graph, path, x) -> Traces:
    """The outputs of the network that is read from the nodes alone."""
    pairs, initial, about = stripped(graph, path)
    values = "real" if any(op.values == "real" for op in graph.inputs.values()) else "spike"
    again = sc.load(path, states=pairs, initial=initial, values=values)
    traces = run(again, {about["inputs"][n]: v for n, v in x.items() if about["inputs"][n] in again.inputs})
    by_name = dict(zip(about["outputs"], traces.outputs.values(), strict=True))
    return Traces(by_name)


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_nodes_alone_give_the_same_spikes(tmp_path, first):
    """Few networks are refused: those in which the elements of several neurons cannot be separated."""
    refused = 0
    for seed in range(first, first + 50):
        graph = random_graph(seed)
        x = inputs_for(graph, seed)
        wanted = run(graph, x).outputs
        try:
            reread_outputs = reread(graph, tmp_path / "net.onnx", x).outputs
        except CompileError as e:
            refused += {d.code for d in e.diagnostics} == {"SNN104"}
            continue
        for name, value in wanted.items():
            assert np.allclose(value, reread_outputs[name], rtol=1e-4, atol=1e-4), (seed, name)
    assert refused <= 3


PLAIN = Features(rules=("if", "lif", "cubalif", "alif", "qlif"), delays=False, loops=False, max_spikes=(1,),
                 linear_readout=False, skips=False, graded=())


def test_nodes_alone_give_the_same_populations(tmp_path):
    for seed in range(40):
        graph = random_graph(seed, PLAIN)
        pairs, initial, _ = stripped(graph, tmp_path / "net.onnx")
        again = sc.load(tmp_path / "net.onnx", states=pairs, initial=initial)
        stateful = {n for n, op in graph.populations.items() if op.traced.states}
        assert stateful == {n for n, op in again.populations.items() if op.traced.states}, seed


def test_a_graph_that_gives_another_file_does_not_count(tmp_path):
    graph = random_graph(4)
    path = sc.export_onnx(graph, tmp_path / "net.onnx")
    model = onnx.load(path)
    weights = next(i for i in model.graph.initializer if i.data_type == onnx.TensorProto.DOUBLE)
    weights.raw_data = (onnx.numpy_helper.to_array(weights) * 2).tobytes()
    onnx.save(model, path)
    changed = sc.load(path)
    assert [n.code for n in changed.notes] == ["SNN109"]
    assert to_text(changed) != to_text(graph)


def test_pairs_are_found_in_our_metadata(tmp_path):
    graph = random_graph(3, PLAIN)
    stripped(graph, tmp_path / "net.onnx", keep=(STEP,))
    x = inputs_for(graph)
    outputs = run(sc.load(tmp_path / "net.onnx"), x).outputs
    assert all(np.allclose(v, w) for v, w in zip(run(graph, x).outputs.values(), outputs.values(), strict=True))
