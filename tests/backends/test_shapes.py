"""Networks of unusual shapes and delays: the emitted C equals the interpreter, states included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snncompile.backends.c.host import compiler
from snncompile.inputs import integers
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Identity, Input, Linear, Output, Pad, Reshape, Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array, Shape
from tests.backends.exactness import Case, differences
from tests.passes.chains import chain, integer, joined

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler on this machine")
LIF = Neuron.of("lif", decay=0.75)


def inputs(graph: Graph, ticks: int, samples: int = 2) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {n: rng.integers(0, int(op.high) + 1, (samples, ticks, *op.shape)) * 1.0 if op.values == "spike"
            else rng.integers(-16, 17, (samples, ticks, *op.shape)) / 16 for n, op in graph.inputs.items()}


def exact(graph: Graph, ticks: int = 9, silent: bool = False, **options: Any) -> dict[str, Array]:
    """Quantize a graph, compare its emitted C with the interpreter, and return the outputs by name."""
    x = inputs(graph, ticks)
    whole = integer(graph, x if ticks else inputs(graph, 3), **options)
    given = integers(whole, x)
    wanted = run(whole, given, record=True, states=True)
    assert differences(Case(whole, given, {}, wanted)) == []
    assert silent or all(v.any() for v in wanted.outputs.values())
    return dict(wanted.outputs)


def dense(shape: Shape, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-20, 40, shape) / 32.0


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1), (3, 1, 1), (1, 3, 1), (1, 1, 3), (3, 1), (2, 3, 4, 5),
                                   (2, 1, 3, 1, 2), (300, 1, 1), (2, 40, 40)])
@pytest.mark.parametrize("per", ["channel", "layer"])
def test_tensors_of_any_axes(shape: Shape, per: str) -> None:
    """Thresholds of every neuron, of every channel, and biases along the last axis."""
    each = 0.5 + np.random.default_rng(0).integers(0, 8, shape) / 8
    channel = (0.25 + np.arange(shape[0]) / shape[0] / 2).reshape(-1, *(1,) * (len(shape) - 1))
    last = np.arange(shape[-1]) / shape[-1] / 4
    graph = chain(Neuron.of("lif", threshold=each, decay=0.5 + channel / 2), Scale(channel + 0.5),
                  Neuron.of("alif", threshold=0.5, bias=last, jump_b=channel, initial={"v": each / 4}), shape=shape)
    exact(graph, per=per)


def test_tensors_of_four_axes_change_their_shape():
    ops = (Reshape((2, 3, 2, 2)), LIF, Pad(((0, 0), (1, 0), (0, 1), (0, 0))), LIF, Reshape((48,)),
           Linear(dense((5, 48))), LIF, Reshape((1, 5, 1, 1)), LIF)
    exact(chain(*ops, shape=(24,)))


def test_one_neuron_drives_itself():
    graph = joined({"n": Neuron.of("if", threshold=2.0), "w": Linear(np.array([[0.5]]))}, Edge("x", "n"),
                   Edge("n", "w", 2), Edge("w", "n"), Edge("n", "y"), shape=(1,))
    exact(graph, 20)


@pytest.mark.parametrize("shape", [(4,), (3, 2, 2)])
@pytest.mark.parametrize("delay", [0, 1, 5])
def test_an_input_reaches_an_output_with_nothing_between(shape: Shape, delay: int) -> None:
    graph = Graph("wire", {"x": Input(shape), "y": Output()}, (Edge("x", "y", delay),))
    x = inputs(graph, 9)["x"]
    y = exact(graph)["y"]
    np.testing.assert_array_equal(y[:, delay:], x[:, :9 - delay])
    assert not y[:, :delay].any()


def test_one_source_arrives_twice_with_different_delays():
    nodes: dict[str, Op] = {"a": Linear(dense((6, 4))), "n": LIF, "b": Scale(0.5), "c": Scale(-0.25), "m": LIF}
    edges = [Edge("x", "a"), Edge("a", "n"), Edge("n", "m"), Edge("n", "b", 1), Edge("b", "m"), Edge("n", "c", 4),
             Edge("c", "m"), Edge("n", "m", 2), Edge("n", "m", 2), Edge("m", "y")]
    exact(joined(nodes, *edges), 20)


def test_several_outputs_read_one_population_at_different_times():
    nodes = {"x": Input((3, 2, 2)), "n": LIF, "now": Output(), "later": Output("last"), "latest": Output("max")}
    edges = [Edge("x", "n"), Edge("n", "now"), Edge("n", "later", 3), Edge("n", "latest", 7)]
    outputs = exact(Graph("g", nodes, tuple(edges)), 15)
    np.testing.assert_array_equal(outputs["now"][:, :-3], outputs["later"][:, 3:])
    np.testing.assert_array_equal(outputs["now"][:, :-7], outputs["latest"][:, 7:])


@pytest.mark.parametrize("delay", [10, 100, 300])
def test_delays_may_exceed_a_chunk_or_the_whole_run(delay: int) -> None:
    graph = joined({"n": LIF, "m": LIF}, Edge("x", "n"), Edge("n", "m", delay), Edge("n", "m", 1), Edge("m", "y", 70))
    exact(graph, 150)


@pytest.mark.parametrize("ticks", [0, 1, 63, 64, 65, 129])
def test_runs_of_any_length(ticks: int) -> None:
    graph = joined({"n": LIF, "m": LIF}, Edge("x", "n"), Edge("n", "m", 2), Edge("m", "n", 1), Edge("m", "y", 3))
    assert exact(graph, ticks, silent=ticks < 4)["y"].shape[1] == ticks


def test_an_input_that_nothing_reads():
    nodes = {"x": Input((4,)), "unread": Input((2, 3, 4), "real", low=-1.0), "n": LIF, "y": Output()}
    exact(Graph("g", nodes, (Edge("x", "n"), Edge("n", "y"))))


def test_frames_that_stay_the_same_are_computed_once_and_a_reset_forgets_them():
    """A still frame, another, the first again; the second sample begins with what the first one ended with."""
    graph = chain(Conv(dense((2, 1, 2, 2))), LIF, shape=(1, 4, 4), values="real", low=-1.0, high=1.0)
    frames = np.random.default_rng(0).integers(-16, 17, (3, 1, 4, 4)) / 16
    x = {"x": np.stack([frames[[0, 0, 0, 1, 1, 0]], frames[[0, 0, 2, 2, 2, 0]]])}
    whole = integer(graph, x)
    given = integers(whole, x)
    wanted = run(whole, given, record=True, states=True)
    assert wanted.outputs["y"].any()
    assert differences(Case(whole, given, {}, wanted)) == []


def test_a_loop_of_three_populations_with_a_delay_inside():
    nodes: dict[str, Op] = {"a": LIF, "b": LIF, "c": Neuron.of("if", Firing(max_spikes=None), threshold=0.5),
                            "back": Linear(dense((4, 4), 1) / 4)}
    edges = [Edge("x", "a"), Edge("a", "b"), Edge("b", "c", 2), Edge("c", "back", 1), Edge("back", "a"), Edge("c", "y"),
             Edge("a", "c")]
    exact(joined(nodes, *edges), 100)


def test_sums_for_many_readers_and_an_output_of_their_own():
    nodes: dict[str, Op] = {"fc": Linear(dense((4, 4)), np.full(4, 0.125)), "sum": Identity(), "n": LIF, "m": LIF,
                            "z": Output("last")}
    edges = [Edge("x", "fc"), Edge("fc", "sum"), Edge("x", "sum", 1), Edge("sum", "n"), Edge("sum", "m", 2),
             Edge("n", "y"), Edge("m", "y"), Edge("sum", "z", 1)]
    exact(joined(nodes, *edges), 20)
