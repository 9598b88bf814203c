"""ONNX Runtime computes from an exported graph what the interpreter computes from the graph."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import snncompile as sc
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import AvgPool, Conv, Input, Linear, MaxPool, Output, SumPool, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.types import ShapeOnly
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.search.net import Net
from snncompile.search.numbers import with_random_numbers
from snncompile.targets.load import load_target
from tests.backends.exactness import random_case
from tests.frontends.onnx.running import differences, oracle
from tests.strategies import inputs_for, random_graph

CURVED = {"llif", "slif"}
# The last bit of tanh and exp differs between libraries; everything else must be equal.
LAST_BITS = 1e-12


def tolerance(graph):
    return LAST_BITS if CURVED & {op.rule.name for op in graph.populations.values()} else 0.0


@pytest.mark.parametrize("first", range(0, 150, 15))
def test_onnx_runtime_agrees_on_random_float_graphs(first):
    for seed in range(first, first + 15):
        graph = random_graph(seed)
        assert differences(graph, inputs_for(graph, seed), tolerance(graph)) == [], seed


@pytest.mark.parametrize("first", range(0, 150, 15))
def test_onnx_runtime_agrees_on_random_integer_graphs(first):
    for seed in range(first, first + 15):
        case = random_case(random_graph(seed), seed)
        assert differences(case.graph, case.x) == [], seed


def test_onnx_runtime_agrees_on_populations_and_projections():
    for seed in range(20):
        legal = run_passes(random_graph(seed), passes_of(Choices(load_target("c99")), "legalize"))
        assert differences(legal, inputs_for(legal, seed), tolerance(legal)) == [], seed


@pytest.mark.parametrize("stage", ["float", "legal"])
def test_onnx_runtime_agrees_on_products_of_spikes(stage):
    net = Net((4, 3))
    entry = net.tap()
    taps = [net.at(entry).conv(4, 1).lif(0.5).tap() for _ in range(3)]
    match = net.at(taps[0]).multiply(taps[1], "channels", heads=2).scale(0.5).tap()
    graph = with_random_numbers(net.at(taps[2]).multiply(match, "tokens", heads=2).lif(0.5).graph(), gain=2)
    if stage == "legal":
        graph = run_passes(graph, passes_of(Choices(load_target("c99")), "legalize"))
    assert differences(graph, inputs_for(graph, 0), 0.0) == []


def image_net() -> Graph:
    rng = np.random.default_rng(0)
    nodes = {
        "x": Input((2, 9, 8)), "conv": Conv(rng.integers(-8, 8, (4, 1, 3, 2)) / 8.0, np.arange(4) / 4.0, (2, 1),
                                            ((1, 0), (0, 2)), (1, 2), 2),
        "a": Neuron.of("if"), "sum": SumPool((2, 3), (1, 2), ((1, 0), (1, 1))), "avg": AvgPool((2, 2), (1, 1)),
        "b": Neuron.of("lif", decay=0.5), "max": MaxPool((2, 2), (1, 1), ((1, 0), (0, 1))), "up": Upsample((2, 1)),
        "y": Output()}
    return Graph("images", nodes, tuple(Edge(a, b) for a, b in zip(nodes, list(nodes)[1:], strict=False)))


def test_native_layers_of_float32_agree():
    graph = image_net()
    x = inputs_for(graph)
    wanted = run(graph, x, dtype=np.float32)
    computed = oracle(graph, {n: v.astype(np.float32) for n, v in x.items()}, "float32")
    assert np.array_equal(wanted.outputs["y"], computed.outputs["y"])
    assert wanted.outputs["y"].any()


def test_the_file_appears_whole_or_not_at_all(tmp_path):
    path = sc.export_onnx(random_graph(1), tmp_path / "net.onnx")
    before = path.read_bytes()
    with pytest.raises(CompileError, match="SNN106"):
        sc.export_onnx(Graph("g", {"x": Input((3,)), "fc": Linear(ShapeOnly((2, 3))), "y": Output()},
                             (Edge("x", "fc"), Edge("fc", "y"))), path)
    with pytest.raises(CompileError, match="SNN602"):
        sc.export_onnx(random_graph(1), tmp_path / "missing" / "net.onnx")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_equal_graphs_give_equal_bytes(tmp_path):
    first, second = (sc.export_onnx(random_graph(4), tmp_path / n).read_bytes() for n in ("a.onnx", "b.onnx"))
    assert first == second


def test_an_unknown_dtype_is_refused(tmp_path):
    with pytest.raises(CompileError, match="SNN404"):
        sc.export_onnx(random_graph(1), tmp_path / "net.onnx", dtype="float16")
