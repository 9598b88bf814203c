"""canonicalize: what does nothing goes, and what remains computes the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.op import Op
from snncompile.ir.ops import (
    AvgPool,
    Identity,
    Input,
    Linear,
    MaxPool,
    Output,
    Pad,
    Reshape,
    Scale,
    SumPool,
    Upsample,
)
from snncompile.ir.populations import Neuron
from snncompile.passes.legalize.canonicalize import Canonicalize
from tests.passes.chains import chain, joined
from tests.strategies import graphs, inputs_for

LIF = Neuron.of("lif")


def canonical(graph: Graph) -> Graph:
    return Canonicalize().run(graph)


@given(graphs())
def test_it_computes_the_same(graph: Graph) -> None:
    x = inputs_for(graph)
    before, after = run(graph, x).outputs, run(canonical(graph), x).outputs
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])


@given(graphs())
def test_it_finds_nothing_the_second_time(graph: Graph) -> None:
    once = canonical(graph)
    assert canonical(once) is once


NOTHING = ((0, 0), (0, 0))


@pytest.mark.parametrize("op", [
    Identity(), Reshape((2, 4, 4)), Scale(1.0), SumPool((1, 1), (1, 1)), AvgPool((1, 1), (1, 1)),
    MaxPool((1, 1), (1, 1)), Upsample((1, 1)), Pad(((0, 0), *NOTHING)),
])
def test_an_operator_that_changes_nothing_is_dissolved(op: Op) -> None:
    assert list(canonical(chain(op, LIF, shape=(2, 4, 4))).nodes) == ["x", "b", "y"]


@pytest.mark.parametrize("op", [
    Reshape((4, 2, 4)), Scale(2.0), Scale(1.0, 0.5), Scale(np.ones((2, 1, 1))), SumPool((1, 1), (2, 2)),
    SumPool((1, 1), (1, 1), ((0, 1), (0, 0))), Upsample((1, 2)), Pad(((0, 0), (0, 0), (1, 0))),
])
def test_an_operator_that_changes_something_stays(op: Op) -> None:
    graph = chain(op, LIF, shape=(2, 4, 4))
    assert canonical(graph) is graph


def test_delays_on_both_sides_of_a_dissolved_operator_add_up():
    graph = joined({"i": Identity(), "n": LIF}, Edge("x", "i", 2), Edge("i", "n", 1), Edge("n", "y"))
    assert [(e.src, e.dst, e.delay) for e in canonical(graph).edges] == [("n", "y", 0), ("x", "n", 3)]


def test_a_sum_that_several_read_stays():
    nodes: dict[str, Op] = {"a": Linear(np.eye(4)), "b": Linear(np.eye(4)), "sum": Identity(), "n": LIF, "m": LIF}
    edges = [Edge("x", "a"), Edge("x", "b"), Edge("a", "sum"), Edge("b", "sum"), Edge("sum", "n"), Edge("sum", "m"),
             Edge("n", "y"), Edge("m", "y")]
    graph = joined(nodes, *edges)
    assert canonical(graph) is graph


def test_an_identity_that_feeds_itself_stays():
    graph = joined({"i": Identity(), "n": LIF}, Edge("x", "i"), Edge("i", "i", 1), Edge("i", "n"), Edge("n", "y"))
    assert canonical(graph) is graph


def test_the_same_edge_given_twice_is_two_edges():
    twice = Edge("x", "i")
    graph = joined({"i": Identity(), "n": LIF}, twice, twice, Edge("i", "n"), Edge("n", "y"))
    assert len(canonical(graph).edges_into["n"]) == 2


def test_nodes_that_lead_to_no_output_go_with_a_warning_that_names_them():
    graph = joined({"n": LIF, "lost": Linear(np.eye(4)), "loster": LIF}, Edge("x", "n"), Edge("n", "lost"),
                   Edge("lost", "loster"), Edge("n", "y"))
    found = canonical(graph)
    assert list(found.nodes) == ["x", "n", "y"]
    (note,) = found.notes
    assert (note.code, note.severity) == ("SNN201", "warning")
    assert '"lost", "loster"' in note.found


def test_inputs_stay_although_nothing_reads_them():
    graph = Graph("g", {"x": Input((4,)), "unread": Input((2,)), "n": LIF, "y": Output()},
                  (Edge("x", "n"), Edge("n", "y")))
    assert "unread" in canonical(graph).nodes


def test_an_input_may_reach_an_output_with_nothing_between():
    assert [e.label for e in canonical(chain(Identity())).edges] == ["x -> y"]


def test_a_long_chain_takes_time_in_proportion_to_its_length():
    edges = [Edge(f"i{k}", f"i{k + 1}") for k in range(20_000)]
    nodes = {f"i{k}": Identity() for k in range(20_001)}
    graph = joined({**nodes, "n": LIF}, Edge("x", "i0"), *edges, Edge("i20000", "n"), Edge("n", "y"))
    assert len(canonical(graph).nodes) == 3
