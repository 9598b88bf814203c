"""NetX files of chains: what the frontend reads from them is the network that was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.lava.emit import emit
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.loihi import LoihiLif
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Linear, Output, Reshape, SumPool
from snncompile.ir.populations import Population
from snncompile.ir.types import Array, Stage
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.prove_ranges import ProveRanges
from snncompile.passes.retime.retime import Retime

SHAPE = (2, 5, 6)


def whole(*shape: int, low: int = -60, high: int = 90, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(low, high, shape) * 2


def chain(*layers: tuple[tuple[Op, ...], Any], back: Array | None = None, **entry: Any) -> Graph:
    """Populations one after the other, each behind its operators; the last may feed itself."""
    nodes: dict[str, Op] = {"x": Input(SHAPE, **entry)}
    edges = []
    for i, (ops, registers) in enumerate(layers):
        edges.append(Edge(list(nodes)[-1], f"n{i}", 0, ops))
        nodes[f"n{i}"] = registers if isinstance(registers, Population) else registers.population()
    last = list(nodes)[-1]
    edges += [Edge(last, last, 1, (Linear(back),))] if back is not None else []
    return run_passes(Graph("chain", {**nodes, "y": Output()}, (*edges, Edge(last, "y")), Stage.INT),
                      [ProveRanges(), Retime()])


def written(graph: Graph) -> bytes | None:
    files = emit(graph).files
    found = next((c for n, c in files.items() if n.endswith(".net")), None)
    assert not isinstance(found, str)
    return found


CONV = (Conv(whole(3, 2, 3, 3), None, (2, 1), ((1, 1), (0, 0)), (1, 2)),), LoihiLif(150, 3000, 100)
DENSE = (Reshape((18,)), Linear(whole(7, 18, seed=1))), LoihiLif(200, 4096, 0)
POOLED = (SumPool((3, 1), (3, 1)), Reshape((6,)), Linear(whole(7, 6, low=1, seed=2))), LoihiLif(90, 1000, 4096)


@pytest.mark.parametrize(("layers", "back"), [
    ((CONV, DENSE), None), ((CONV, POOLED), None), ((CONV, DENSE), whole(7, 7, seed=3)),
    (((CONV[0], LoihiLif(1, 0, 0)), DENSE), None),
], ids=["conv, dense", "pool in a dense layer", "recurrent", "no decay"])
def test_what_is_written_is_read_back(layers: Any, back: Array | None, tmp_path: Path) -> None:
    graph = chain(*layers, back=back)
    content = written(graph)
    assert content is not None
    (tmp_path / "chain.net").write_bytes(content)
    again = sc.load(tmp_path / "chain.net")
    x = (np.random.default_rng(0).random((2, 20, *SHAPE)) < 0.4).astype(np.int64)
    wanted = run(graph, graph.schedule.present({"x": x}), record=True, states=True)
    found = run(again, graph.schedule.present({"input": x}), record=True, states=True)
    assert np.any(wanted.outputs["y"])
    assert np.array_equal(found.outputs["output"], wanted.outputs["y"])
    for (a, mine), (b, theirs) in zip(wanted.states.items(), found.states.items(), strict=True):
        assert np.array_equal(mine["v"], theirs["v"]), (a, b)


def test_a_bias_that_netx_can_hold_is_written_where_the_network_need_not_wait(tmp_path: Path) -> None:
    """A network that came from NetX has a tick for every projection already."""
    nodes = {"x": Input(SHAPE), "n": LoihiLif(150, bias=64 * np.arange(3).reshape(3, 1, 1)).population(), "y": Output()}
    edges = (Edge("x", "n", 1, (Conv(whole(3, 2, 3, 3)),)), Edge("n", "y"))
    graph = run_passes(Graph("chain", nodes, edges, Stage.INT), [ProveRanges(), Retime()])
    content = written(graph)
    assert content is not None
    (tmp_path / "chain.net").write_bytes(content)
    again = sc.load(tmp_path / "chain.net")
    x = (np.random.default_rng(0).random((2, 20, *SHAPE)) < 0.4).astype(np.int64)
    assert np.array_equal(run(again, x).outputs["output"], run(graph, x).outputs["y"])


def with_weight(weight: Array) -> Graph:
    return chain(((Conv(weight),), LoihiLif(100)))


@pytest.mark.parametrize(("graph", "why"), [
    (chain(((Conv(whole(3, 2, 3, 3), None, (1, 1), ((1, 0), (0, 0))),), LoihiLif(100))), "padding on one side"),
    (chain(((SumPool((5, 6), (5, 6)), Conv(whole(3, 2, 1, 1))), LoihiLif(100))), "a pool before a convolution"),
    (chain((CONV[0], LoihiLif(np.arange(3).reshape(3, 1, 1) + 50))), "a threshold a channel"),
    (chain((CONV[0], LoihiLif(100, bias=64))), "a bias that would act before its first tick"),
    (with_weight(whole(3, 2, 3, 3) + 400), "weights beyond 255"),
    (with_weight(0 * whole(3, 2, 3, 3)), "weights of zero, which NetX cannot scale"),
    (with_weight(np.array([-129, 3]).reshape(1, 2, 1, 1)), "odd weights of both signs that cannot be doubled"),
    (chain(CONV, values="real", high=3), "numbers as input"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_what_netx_cannot_say_exactly_is_not_written(graph: Graph, why: str) -> None:
    assert written(graph) is None


@pytest.mark.parametrize("weight", [[-128, 127], [-256, 254], [1, 255], [-1, 2]], ids=str)
def test_weights_on_the_grid_are_written(weight: list[int]) -> None:
    assert written(with_weight(np.array(weight).reshape(1, 2, 1, 1))) is not None


@pytest.mark.parametrize("links", ["branch", "backward", "delay"])
def test_a_network_that_is_no_chain_is_not_written(links: str) -> None:
    nodes = {"x": Input((4,)), "a": LoihiLif(100).population(), "b": LoihiLif(100).population(), "y": Output()}
    weight = (Linear(whole(4, 4)),)
    edges = {"branch": [("x", "a", 0), ("x", "b", 0), ("a", "b", 0)],
             "backward": [("x", "a", 0), ("a", "b", 0), ("b", "a", 3)],
             "delay": [("x", "a", 0), ("a", "b", 2), ("a", "b", 0)]}[links]
    whole_graph = Graph("net", nodes, (*(Edge(a, b, d, weight) for a, b, d in edges), Edge("b", "y")), Stage.INT)
    assert written(run_passes(whole_graph, [ProveRanges(), Retime()])) is None
