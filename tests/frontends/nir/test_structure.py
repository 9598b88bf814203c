"""Nested graphs, pass-through nodes, loops and order."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snncompile.diagnostics import Collector, CompileError
from snncompile.frontends.nir.file import NirGraph, NirNode
from snncompile.frontends.nir.nested import flatten
from snncompile.frontends.nir.structure import Wire, contract, data_order, natural, recur

EMPTY = NirNode("IF", {})
IN, OUT = NirNode("Input", {}), NirNode("Output", {})


def flat(top: NirGraph) -> tuple[set[str], set[tuple[str, str]]]:
    problems = Collector()
    result = flatten(top, problems)
    problems.finish()
    wires = contract(result.edges, dict.fromkeys(result.ends))
    return set(result.nodes) - result.ends, {(w.src, w.dst) for w in wires}


def layer(*edges: tuple[str, str]) -> NirGraph:
    return NirGraph({"input": IN, "lif": EMPTY, "w": EMPTY, "output": OUT}, edges)


INNER = (("input", "lif"), ("lif", "w"), ("w", "lif"), ("lif", "output"))
OPENED = ({"a", "b", "rnn.lif", "rnn.w"}, {("a", "rnn.lif"), ("rnn.lif", "rnn.w"), ("rnn.w", "rnn.lif"),
                                          ("rnn.lif", "b")})


def outer(nested: NirGraph, *edges: tuple[str, str]) -> NirGraph:
    return NirGraph({"a": EMPTY, "rnn": nested, "b": EMPTY}, edges)


def test_a_nested_graph_is_opened_and_its_ends_vanish() -> None:
    assert flat(outer(layer(*INNER), ("a", "rnn"), ("rnn", "b"))) == OPENED


def test_the_parent_may_name_the_ends_of_a_nested_graph() -> None:
    assert flat(outer(layer(*INNER), ("a", "rnn.input"), ("rnn.output", "b"))) == OPENED


def test_the_parent_may_name_inner_nodes() -> None:
    assert flat(outer(layer(*INNER), ("a", "rnn.lif"), ("rnn.lif", "b"))) == OPENED


def test_a_nested_graph_may_use_full_names() -> None:
    full = layer(*((f"rnn.{a}", f"rnn.{b}") for a, b in INNER))
    assert flat(outer(full, ("a", "rnn"), ("rnn", "b"))) == OPENED


def test_members_that_carry_the_full_name_keep_it() -> None:
    nested = NirGraph({f"rnn.{n}": x for n, x in layer().nodes.items()},
                      tuple((f"rnn.{a}", f"rnn.{b}") for a, b in INNER))
    assert flat(outer(nested, ("a", "rnn"), ("rnn", "b"))) == OPENED


def test_a_nested_graph_without_ends_is_entered_and_left_at_its_loose_nodes() -> None:
    nested = NirGraph({"x": EMPTY, "y": EMPTY}, (("x", "y"),))
    assert flat(outer(nested, ("a", "rnn"), ("rnn", "b")))[1] == {("a", "rnn.x"), ("rnn.x", "rnn.y"), ("rnn.y", "b")}


def test_one_edge_name_and_one_node_that_differ_are_the_same_with_a_warning() -> None:
    nested = NirGraph({"input": IN, "lif1": EMPTY, "output": OUT}, (("input", "lif"), ("lif", "output")))
    problems = Collector()
    result = flatten(outer(nested, ("a", "rnn"), ("rnn", "b")), problems)
    assert ("rnn.input", "rnn.lif1") in result.edges
    assert [d.code for d in problems.notes] == ["SNN102"]
    assert "lif1" in problems.notes[0].found


def test_names_that_collide_after_opening_stay_distinct() -> None:
    top = NirGraph({"r.x": EMPTY, "r": NirGraph({"x": EMPTY}, ())}, ())
    assert set(flatten(top, Collector()).nodes) == {"r.x", "r.x_1"}


def errors(top: NirGraph) -> list[str]:
    problems = Collector()
    flatten(top, problems)
    return [d.code for d in problems.errors]


def test_edges_to_missing_nodes_are_errors() -> None:
    assert errors(NirGraph({"a": EMPTY, "b": EMPTY}, (("a", "nobody"), ("b", "none")))) == ["SNN201", "SNN201"]


def test_a_double_edge_is_an_error() -> None:
    assert errors(NirGraph({"a": EMPTY, "b": EMPTY}, (("a", "b"), ("a", "b")))) == ["SNN201"]


def test_a_nested_graph_with_two_inputs_must_be_entered_by_name() -> None:
    nested = NirGraph({"i": IN, "j": IN, "x": EMPTY, "o": OUT}, (("i", "x"), ("j", "x"), ("x", "o")))
    assert errors(outer(nested, ("a", "rnn"), ("rnn", "b"))) == ["SNN201"]
    assert errors(outer(nested, ("a", "rnn.i"), ("b", "rnn.j"), ("rnn", "b"))) == []


def test_a_name_of_many_dots_is_looked_up_without_recursion() -> None:
    assert errors(outer(NirGraph({"x": EMPTY}, (("rnn." * 3000, "x"),)), ("a", "rnn"))) != []


# --- pass-through nodes ----------------------------------------------------------------------------------


def test_delays_in_a_row_add_up() -> None:
    assert contract([("a", "d"), ("d", "e"), ("e", "b")], {"d": 2, "e": 3}) == (Wire("a", "b", 5, True),)


def test_a_delay_between_several_nodes_delays_every_pair() -> None:
    wires = contract([("a", "d"), ("b", "d"), ("d", "x"), ("d", "y")], {"d": 1})
    assert {(w.src, w.dst, w.delay) for w in wires} == {(s, t, 1) for s in "ab" for t in "xy"}


def test_ends_of_nested_graphs_leave_no_delay_behind() -> None:
    assert contract([("a", "end"), ("end", "b")], {"end": None}) == (Wire("a", "b", 0, False),)


def test_a_loop_of_nothing_but_delays_is_refused() -> None:
    with pytest.raises(CompileError, match="SNN301"):
        contract([("d", "e"), ("e", "d")], {"d": 1, "e": 1})


def test_connections_that_multiply_are_bounded() -> None:
    edges = []
    for i in range(60):
        edges += [(f"p{i}", f"q{i}"), (f"p{i}", f"r{i}"), (f"q{i}", f"p{i + 1}"), (f"r{i}", f"p{i + 1}")]
    passing: dict[str, int | None] = {n: None for e in edges for n in e if n != "p60"}
    with pytest.raises(CompileError, match="SNN205"):
        contract([("a", "p0"), *edges], passing)


# --- loops -----------------------------------------------------------------------------------------------


def delayed(edges: list[tuple[str, str]], neurons: str = "ABC", inputs: str = "i") -> set[tuple[str, str]]:
    wires = tuple(Wire(a, b) for a, b in edges)
    return {(w.src, w.dst) for w in recur(wires, {n for e in edges for n in e}, set(inputs), set(neurons)) if w.delay}


def test_recurrent_weights_see_the_spikes_of_the_step_before() -> None:
    assert delayed([("i", "A"), ("A", "w"), ("w", "A"), ("A", "o")]) == {("A", "w")}


def test_a_neuron_that_feeds_itself() -> None:
    assert delayed([("i", "A"), ("A", "A")]) == {("A", "A")}


def test_a_backward_connection_is_delayed_where_it_leaves_the_last_neuron() -> None:
    assert delayed([("i", "A"), ("A", "v"), ("v", "B"), ("B", "back"), ("back", "A"), ("B", "o")]) == {("B", "back")}


def test_weights_that_also_lead_forward_are_not_delayed_as_a_whole() -> None:
    assert delayed([("i", "A"), ("A", "w"), ("w", "A"), ("w", "o")]) == {("w", "A")}


def test_weights_that_also_serve_an_outside_neuron_delay_the_loop_only() -> None:
    assert delayed([("i", "B"), ("B", "w"), ("i", "A"), ("A", "w"), ("w", "A")]) == {("A", "w")}


def test_a_loop_without_neurons_is_delayed_too() -> None:
    assert delayed([("i", "x"), ("x", "y"), ("y", "x"), ("y", "o")], neurons="") == {("y", "x")}


def test_two_loops_around_one_neuron() -> None:
    edges = [("i", "A"), ("A", "v"), ("v", "A"), ("A", "w"), ("w", "B"), ("B", "u"), ("u", "A")]
    assert delayed(edges) == {("A", "v"), ("B", "u")}


def test_a_loop_that_already_has_a_delay_is_left_alone() -> None:
    wires = (Wire("i", "A"), Wire("A", "w"), Wire("w", "A", 3, True))
    assert recur(wires, "iAw", "i", "A") == wires


def test_a_delay_of_nothing_in_a_loop_is_refused() -> None:
    with pytest.raises(CompileError, match="SNN301"):
        recur((Wire("i", "A"), Wire("A", "w"), Wire("w", "A", 0, True)), "iAw", "i", "A")


PAIRS = st.tuples(st.sampled_from("iABCwxyz"), st.sampled_from("ABCwxyz"))
EDGES = st.lists(PAIRS, min_size=1, max_size=25, unique=True)


@given(EDGES)
def test_every_loop_gets_a_delay_and_nothing_else_does(edges: list[tuple[str, str]]) -> None:
    late = delayed(edges)
    rest = nx.DiGraph([e for e in edges if e not in late])
    assert nx.is_directed_acyclic_graph(rest)
    loops = {n: i for i, c in enumerate(nx.strongly_connected_components(nx.DiGraph(edges))) for n in c}
    assert all(loops[a] == loops[b] for a, b in late)
    assert delayed(edges[::-1]) == late


# --- order -----------------------------------------------------------------------------------------------


def test_names_sort_by_their_numbers() -> None:
    assert sorted(["10", "2", "conv10", "conv2", "1"], key=natural) == ["1", "2", "10", "conv2", "conv10"]


def test_nodes_come_in_the_order_of_a_tick() -> None:
    wires = [Wire("i", "A"), Wire("A", "w", 1), Wire("w", "A"), Wire("A", "o"), Wire("i", "0")]
    assert data_order(wires, ["o", "w", "A", "i", "0"], ["i"]) == ["i", "0", "w", "A", "o"]
