"""form-populations: paths of operators become projections, biases constant inputs, and outputs stay the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.op import Op
from snncompile.ir.ops import (
    Conv,
    Identity,
    Input,
    Linear,
    MaxPool,
    Output,
    Pad,
    Rectify,
    Reshape,
    Scale,
    SumPool,
)
from snncompile.ir.populations import Neuron
from snncompile.ir.stand_ins import with_stand_ins
from snncompile.ir.types import ShapeOnly, Stage
from snncompile.ir.verify import verify
from snncompile.passes.legalize.form_populations import FormPopulations
from tests.passes.chains import chain, joined
from tests.strategies import Features, graphs, inputs_for

IF = Neuron.of("if")


def formed(graph: Graph, shared: Any = "accumulate") -> Graph:
    return verify(FormPopulations(shared).run(verify(graph)))


def same(graph: Graph, shared: Any = "accumulate") -> Graph:
    """The formed graph, which gives exactly what the graph gives."""
    x, found = inputs_for(graph), formed(graph, shared)
    wanted, got = run(graph, x).outputs, run(found, x).outputs
    for name, values in wanted.items():
        np.testing.assert_array_equal(values, got[name])
    return found


@given(graphs())
def test_it_computes_the_same(graph: Graph) -> None:
    assert same(graph).stage == Stage.LEGAL


@given(graphs(Features(layers=4)))
def test_it_computes_the_same_with_shared_sums_spread(graph: Graph) -> None:
    same(graph, "flatten")


def projections(graph: Graph) -> list[tuple[str, int, tuple[str, ...]]]:
    return [(e.label, e.delay, tuple(op.kind() for op in e.chain)) for e in graph.edges]


# --- paths -----------------------------------------------------------------------------------------------

def test_a_path_of_operators_becomes_one_projection_with_its_delays_added():
    nodes = {"a": Linear(np.eye(4)), "b": Reshape((2, 2)), "n": IF}
    graph = joined(nodes, Edge("x", "a", 1), Edge("a", "b"), Edge("b", "n", 2), Edge("n", "y"))
    assert projections(same(graph)) == [("x -> n", 3, ("linear", "reshape")), ("n -> y", 0, ())]


def residual(blocks: int) -> Graph:
    """A residual stream: every block adds to a sum that all later blocks read."""
    nodes: dict[str, Op] = {}
    edges, last = [], "x"
    for k in range(blocks):
        nodes |= {f"n{k}": IF, f"fc{k}": Linear(np.eye(4)), f"sum{k}": Identity()}
        edges += [Edge(last, f"n{k}"), Edge(f"n{k}", f"fc{k}"), Edge(f"fc{k}", f"sum{k}"), Edge(last, f"sum{k}")]
        last = f"sum{k}"
    return joined({**nodes, "last": IF}, *edges, Edge(last, "last"), Edge("last", "y"))


def test_a_sum_that_several_read_becomes_an_accumulator():
    found = same(residual(3))
    assert [n for n, op in found.populations.items() if op.rule.name == "accumulator"] == ["sum0", "sum1"]
    assert len(found.edges) == 3 + 2 * 3 + 1


def test_a_sum_that_several_read_is_spread_where_only_spikes_travel():
    found = same(residual(3), "flatten")
    assert all(op.rule.name == "if" for op in found.populations.values())
    assert len(found.edges) == 1 + 2 + 3 + 4 + 1


def doubling(levels: int) -> Graph:
    """Each level doubles the number of paths, without weights and with one reader a sum."""
    nodes: dict[str, Op] = {}
    edges, last = [], "x"
    for k in range(levels):
        nodes |= {f"turn{k}": Reshape((2, 2) if k % 2 == 0 else (4, 1)), f"sum{k}": Identity()}
        edges += [Edge(last, f"turn{k}"), Edge(f"turn{k}", f"sum{k}"), Edge(f"turn{k}", f"sum{k}")]
        last = f"sum{k}"
    return joined({**nodes, "n": IF}, *edges, Edge(last, "n"), Edge("n", "y"))


def test_paths_that_double_again_and_again_are_refused_before_they_are_made():
    with pytest.raises(CompileError) as caught:
        formed(doubling(200))
    (found,) = caught.value.diagnostics
    assert (found.code, found.found) == ("SNN205", "1.61e+60 projections")
    assert len(same(doubling(6)).edges) == 2**6 + 1


def test_a_chain_may_be_longer_than_python_recurses():
    turns = [Reshape((4,) if k % 2 else (2, 2)) for k in range(3000)]
    assert [len(e.chain) for e in formed(chain(*turns, IF)).edges] == [3000, 0]


# --- biases ----------------------------------------------------------------------------------------------

def bias_of(graph: Graph, name: str = "n") -> Any:
    op = graph.nodes[name]
    assert isinstance(op, Neuron)
    return op.params.get("bias")


def test_a_bias_becomes_a_constant_input_beside_the_neurons_own():
    nodes = {"fc": Linear(np.eye(4), np.arange(4.0)), "n": Neuron.of("if", bias=0.5)}
    found = same(joined(nodes, Edge("x", "fc"), Edge("fc", "n"), Edge("n", "y")))
    np.testing.assert_array_equal(bias_of(found), np.arange(4) + 0.5)
    assert found.edges[0].chain[0].bias is None


def test_biases_that_cancel_leave_none():
    found = same(chain(Linear(np.eye(4), np.full(4, -0.5)), Neuron.of("if", bias=0.5)))
    assert bias_of(found, "b") is None


def test_a_bias_passes_pools_and_paddings():
    """Two channels of biases 1 and 2, summed in windows of 2 x 2, then bordered by zeros on one side."""
    conv = Conv(np.zeros((2, 1, 1, 1)), np.array([1.0, 2.0]))
    nodes = {"conv": conv, "pool": SumPool((2, 2), (2, 2)), "pad": Pad(((0, 0), (1, 0), (0, 0))), "n": IF}
    edges = [Edge("x", "conv"), Edge("conv", "pool"), Edge("pool", "pad"), Edge("pad", "n"), Edge("n", "y")]
    bias = bias_of(same(joined(nodes, *edges, shape=(1, 4, 4))))
    np.testing.assert_array_equal(bias[:, 0], 0)
    np.testing.assert_array_equal(bias[:, 1:], np.broadcast_to([[[4.0]], [[8.0]]], (2, 2, 2)))


def test_a_bias_before_a_padded_convolution_differs_at_the_border():
    first = Conv(np.ones((1, 1, 1, 1)), np.array([1.0]))
    second = Conv(np.ones((1, 1, 3, 3)), None, (1, 1), ((1, 1), (1, 1)))
    graph = joined({"a": first, "b": second, "n": IF}, Edge("x", "a"), Edge("a", "b"), Edge("b", "n"), Edge("n", "y"),
                   shape=(1, 3, 3))
    np.testing.assert_array_equal(bias_of(same(graph))[0], [[4, 6, 4], [6, 9, 6], [4, 6, 4]])


def test_a_bias_that_is_the_same_for_a_channel_or_for_all_is_kept_once():
    each = same(chain(Conv(np.zeros((2, 1, 1, 1)), np.array([1.0, 2.0])), IF, shape=(1, 3, 3)))
    assert bias_of(each, "b").shape == (2, 1, 1)
    alike = same(chain(Conv(np.zeros((2, 1, 1, 1)), np.array([1.0, 1.0])), IF, shape=(1, 3, 3)))
    assert bias_of(alike, "b") == 1.0


def test_a_bias_behind_a_delay_waits_as_well():
    nodes = {"fc": Linear(np.eye(4), np.ones(4)), "far": Scale(0.5), "n": IF}
    found = same(joined(nodes, Edge("x", "fc"), Edge("fc", "far"), Edge("far", "n", 3), Edge("n", "y")))
    assert bias_of(found) is None
    assert bias_of(found, "far") == 0.5


def test_a_bias_after_a_delay_does_not_wait():
    nodes = {"fc": Linear(np.eye(4), np.ones(4)), "n": IF}
    found = same(joined(nodes, Edge("x", "fc", 3), Edge("fc", "n"), Edge("n", "y")))
    assert list(found.nodes) == ["x", "n", "y"]


# --- what must emit its own value --------------------------------------------------------------------------

def test_what_a_non_linear_operator_reads_is_summed_first():
    nodes = {"a": Linear(np.eye(4) * 2), "b": Linear(-np.eye(4)), "relu": Rectify(), "n": IF}
    edges = [Edge("x", "a"), Edge("x", "b"), Edge("a", "relu"), Edge("b", "relu"), Edge("relu", "n"), Edge("n", "y")]
    found = same(joined(nodes, *edges))
    assert [e for e in projections(found) if "rectify" in e[2]] == [("relu.sum -> n", 0, ("rectify",))]


def test_a_pool_of_spikes_is_part_of_a_projection():
    found = same(chain(MaxPool((2, 2), (2, 2)), Conv(np.ones((1, 2, 1, 1))), IF, shape=(2, 4, 4)))
    assert projections(found)[0] == ("x -> c", 0, ("maxpool", "conv"))


def test_a_linear_loop_keeps_an_accumulator():
    nodes: dict[str, Op] = {"sum": Identity(), "half": Scale(0.5), "n": IF}
    edges = [Edge("x", "sum"), Edge("sum", "half"), Edge("half", "sum", 1), Edge("sum", "n"), Edge("n", "y")]
    for shared in ("accumulate", "flatten"):
        found = same(joined(nodes, *edges), shared)
        assert ("sum -> sum", 1, ("scale",)) in projections(found)


def test_two_linear_loops_that_share_an_operator_are_both_cut():
    nodes: dict[str, Op] = {"a": Identity(), "b": Scale(0.25), "c": Scale(0.5), "n": IF}
    edges = [Edge("x", "a"), Edge("a", "b"), Edge("b", "a", 1), Edge("b", "c"), Edge("c", "b", 2), Edge("b", "n"),
             Edge("n", "y")]
    same(joined(nodes, *edges))


def test_an_output_that_sums_reads_one_accumulator():
    nodes = {"n": IF, "m": Neuron.of("if", threshold=2.0)}
    found = same(joined(nodes, Edge("x", "n"), Edge("x", "m"), Edge("n", "y"), Edge("m", "y", 1)))
    (edge,) = found.edges_into["y"]
    assert (edge.src, edge.chain) == ("y.sum", ())
    assert [e.delay for e in found.edges_into["y.sum"]] == [0, 1]


def test_a_node_that_has_the_name_of_a_new_sum_keeps_it():
    nodes = {"n": IF, "y.sum": Neuron.of("if", threshold=2.0)}
    found = same(joined(nodes, Edge("x", "n"), Edge("x", "y.sum"), Edge("n", "y"), Edge("y.sum", "y", 1)))
    assert found.edges_into["y"][0].src == "y.sum_"


def test_several_outputs_may_read_one_operator():
    nodes = {"x": Input((4,)), "fc": Linear(np.eye(4)), "y": Output(), "z": Output("last")}
    found = same(Graph("g", nodes, (Edge("x", "fc"), Edge("fc", "y"), Edge("fc", "z", 2))))
    assert projections(found) == [("x -> fc", 0, ("linear",)), ("fc -> y", 0, ()), ("fc -> z", 2, ())]


# --- candidates without numbers ------------------------------------------------------------------------------

def test_shapes_without_numbers_pass():
    layers = (Linear(ShapeOnly((4, 4)), ShapeOnly((4,))), Linear(np.eye(4), np.ones(4)), Linear(ShapeOnly((2, 4))),
              Neuron.of("if", threshold=ShapeOnly((2,)), bias=ShapeOnly((2,))))
    found = formed(with_stand_ins(chain(*layers)))
    assert projections(found)[0] == ("x -> d", 0, ("linear", "linear", "linear"))
    assert np.all(bias_of(found, "d") != 0)
