"""`Graph` as a value: neighbours, shapes, the order of a tick."""

from __future__ import annotations

import dataclasses

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from snncompile.diagnostics import Diagnostic
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import ShapeError
from snncompile.ir.ops import Conv, Identity, Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Stage
from tests.strategies import graphs


def small(*edges: Edge, **nodes: object) -> Graph:
    return Graph("g", {"x": Input((3,)), "y": Output(), **nodes}, edges)


def test_nodes_cannot_be_changed_in_place():
    given_nodes = {"x": Input((3,))}
    graph = Graph("g", given_nodes, ())
    given_nodes["z"] = Output()
    assert list(graph.nodes) == ["x"]
    with pytest.raises(TypeError):
        graph.nodes["z"] = Output()
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.name = "other"


@given(graphs())
def test_a_copy_remembers_nothing_that_is_not_its_own(graph):
    """What a graph remembers of its edges goes over to copies with the same edges and nodes, and to no others."""
    def remembered(one):
        return one.edges_into, one.edges_from, one.tick_order, one.components, one.inputs, one.outputs, one.shapes

    remembered(graph)
    names = list(graph.nodes)
    late = tuple(dataclasses.replace(e, delay=e.delay + 1) for e in graph.edges)
    for changes in ({"name": "h"}, {"nodes": {n: graph.nodes[n] for n in names}}, {"edges": late},
                    {"nodes": {n: graph.nodes[n] for n in reversed(names)}}):
        copy = graph.replace(**changes)
        assert remembered(copy) == remembered(Graph(copy.name, copy.nodes, copy.edges))


def test_replace_gives_a_new_graph_and_leaves_the_old_one():
    graph = small(Edge("x", "y"))
    other = graph.replace(name="h", stage=Stage.LEGAL)
    assert (graph.name, other.name, other.stage, other.edges) == ("g", "h", Stage.LEGAL, graph.edges)


def test_noting_adds_each_warning_once_and_nothing_new_gives_the_same_object():
    graph = small(Edge("x", "y"))
    note = Diagnostic("SNN105", 'node "n"', "dt = 1", severity="warning")
    noted = graph.noting([note])
    assert noted.notes == (note,)
    assert noted.noting([note]) is noted
    assert graph.notes == ()


def test_neighbours_are_found_in_both_directions():
    a, b, c = Edge("x", "n"), Edge("n", "n", 1), Edge("n", "y")
    graph = small(a, b, c, n=Neuron.of("if"))
    assert graph.edges_into == {"x": (), "y": (c,), "n": (a, b)}
    assert graph.edges_from == {"x": (a,), "y": (), "n": (b, c)}
    assert (graph.loops("n"), graph.loops("x")) == (True, False)


def test_ends_and_populations_are_listed_by_name():
    graph = small(Edge("x", "n"), Edge("n", "y"), n=Neuron.of("if"), i=Identity())
    assert (list(graph.inputs), list(graph.outputs), list(graph.populations)) == (["x"], ["y"], ["n"])


def test_shapes_follow_operators_and_chains():
    graph = small(Edge("x", "n", chain=(Linear(np.ones((4, 3))), Linear(np.ones((2, 4))))), Edge("n", "y"),
                  n=Neuron.of("if"))
    assert graph.shapes == {"x": (3,), "n": (2,), "y": (2,)}
    assert graph.arriving(graph.edges[0]) == (2,)


def test_shapes_reach_around_loops_and_leave_out_what_no_input_reaches():
    graph = small(Edge("x", "n"), Edge("n", "m"), Edge("m", "n", 1), Edge("n", "y"), Edge("lost", "lost", 1),
                  n=Neuron.of("if"), m=Neuron.of("if"), lost=Identity())
    assert graph.shapes == {"x": (3,), "n": (3,), "m": (3,), "y": (3,)}


def test_a_shape_that_does_not_fit_names_the_node_or_the_edge():
    node = small(Edge("x", "fc"), Edge("fc", "y"), fc=Linear(np.ones((2, 4))))
    with pytest.raises(ShapeError, match=r'node "fc": \[3\] arrives; expects \[4\]'):
        node.shapes  # noqa: B018
    edge = small(Edge("x", "y", chain=(Conv(np.ones((1, 1, 3, 3))),)))
    with pytest.raises(ShapeError, match=r'edge "x -> y", conv: \[3\] arrives; expects \[1, height, width\]'):
        edge.shapes  # noqa: B018


@given(graphs())
def test_components_cover_the_graph_once_and_respect_every_edge(graph):
    place = {n: i for i, c in enumerate(graph.components) for n in c}
    assert sorted(place) == sorted(graph.nodes)
    assert sum(map(len, graph.components)) == len(graph.nodes)
    for edge in graph.edges:
        assert place[edge.src] <= place[edge.dst]
    strong = nx.strongly_connected_components(nx.DiGraph([(e.src, e.dst) for e in graph.edges]))
    assert {frozenset(c) for c in strong} == {frozenset(c) for c in graph.components}


@given(graphs())
def test_the_order_of_a_tick_is_the_lexicographical_one_of_the_edges_without_a_delay(graph):
    tick = nx.DiGraph()
    tick.add_nodes_from(graph.nodes)
    tick.add_edges_from((e.src, e.dst) for e in graph.edges if e.delay == 0)
    position = {name: i for i, name in enumerate(graph.nodes)}
    assert list(graph.tick_order) == list(nx.lexicographical_topological_sort(tick, position.__getitem__))


def test_nodes_of_a_loop_without_a_delay_and_those_behind_it_have_no_place_in_the_order_of_a_tick():
    graph = small(Edge("x", "a"), Edge("a", "b"), Edge("b", "a"), Edge("b", "y"), a=Identity(), b=Identity())
    assert graph.tick_order == ("x",)


@given(graphs())
def test_nodes_inside_a_component_stand_in_the_order_of_a_tick(graph):
    for component in graph.components:
        rank = {n: i for i, n in enumerate(component)}
        for edge in graph.edges:
            if edge.delay == 0 and edge.src in rank and edge.dst in rank:
                assert rank[edge.src] < rank[edge.dst]


def test_components_keep_the_order_of_the_nodes_where_the_edges_leave_it_open():
    graph = Graph("g", {n: Input((1,)) for n in "cab"} | {"y": Output()}, tuple(Edge(n, "y") for n in "abc"))
    assert graph.components == (("c",), ("a",), ("b",), ("y",))


def test_a_graph_introduces_itself_in_one_line_and_as_a_drawing():
    graph = small(Edge("x", "y"))
    assert repr(graph) == '<Graph "g" FLOAT: 2 nodes, 1 edges>'
    assert graph._repr_svg_().startswith("<svg")


def test_printing_a_graph_gives_its_text_form():
    assert str(small(Edge("x", "y"))).splitlines()[0] == "snnc 1"
