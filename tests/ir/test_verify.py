"""`verify`: for every check, a graph that just passes and one that just does not."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, get_origin

import numpy as np
import pytest
from hypothesis import given

from snncompile.diagnostics import CompileError
from snncompile.ir import verify as module
from snncompile.ir.expr import Expr, Program, Step, flatten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import (
    AvgPool,
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
    Upsample,
)
from snncompile.ir.populations import IntState, Neuron, Population
from snncompile.ir.rules import Firing
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, ShapeOnly, Stage
from snncompile.ir.verify import findings, instant_cycle, verify
from snncompile.ir.wellformed import matches
from tests.strategies import graphs

X: dict[str, Op] = {"x": Input((2, 4, 4))}
Y: dict[str, Op] = {"y": Output()}


def graph(nodes: Mapping[str, Op], *edges: Edge, stage: Stage = Stage.FLOAT) -> Graph:
    return Graph("g", {**X, **nodes, **Y}, edges, stage)


def around(op: Op, shape: tuple[int, ...] = (2, 4, 4), stage: Stage = Stage.FLOAT) -> Graph:
    """An operator between an input of this shape and an output."""
    return Graph("g", {"x": Input(shape), "op": op, "y": Output()}, (Edge("x", "op"), Edge("op", "y")), stage)


def codes(g: Graph) -> list[str]:
    return [d.code for d in findings(g)]


def only(g: Graph) -> str:
    """The one finding of a graph, as text."""
    (found,) = findings(g)
    return str(found)


@given(graphs())
def test_random_graphs_are_well_formed(g):
    assert verify(g) is g


def test_all_findings_of_one_kind_come_at_once():
    g = graph({"a": Linear(np.full((2, 2), np.nan)), "b": Linear(np.full((2, 2), np.inf))},
              Edge("x", "a"), Edge("a", "b"), Edge("b", "y"))
    with pytest.raises(CompileError) as caught:
        verify(g)
    assert [d.place for d in caught.value.diagnostics] == ['node "a", weight', 'node "b", weight']


# --- edges -----------------------------------------------------------------------------------------------

def test_edges_must_join_nodes_that_exist():
    assert codes(graph({}, Edge("x", "y"))) == []
    assert 'node "z" does not exist' in only(graph({}, Edge("x", "y"), Edge("x", "z")))
    assert 'node "w" does not exist' in only(graph({}, Edge("x", "y"), Edge("w", "y")))


@pytest.mark.parametrize(("delay", "fine"), [(-1, False), (0, True), (module.MAX_DELAY, True),
                                             (module.MAX_DELAY + 1, False)])
def test_delays_are_bounded(delay, fine):
    assert codes(graph({}, Edge("x", "y", delay))) == ([] if fine else ["SNN201"])


def test_nothing_leads_into_an_input_or_out_of_an_output():
    loop = graph({"n": Identity()}, Edge("x", "n"), Edge("n", "y"), Edge("n", "x", 1))
    assert "edges lead into it" in only(loop)
    assert "edges lead out of it" in only(graph({"n": Identity()}, Edge("x", "n"), Edge("n", "y"), Edge("y", "n", 1)))


def test_every_node_but_an_input_is_led_into():
    assert 'node "n"' in only(graph({"n": Identity()}, Edge("x", "y")))


def test_a_graph_has_an_input_and_an_output():
    assert "no input" in only(Graph("g", {"n": Identity(), "y": Output()}, (Edge("n", "n", 1), Edge("n", "y"))))
    assert "no output" in only(Graph("g", {"x": Input((1,)), "n": Identity()}, (Edge("x", "n"),)))


def test_names_are_text():
    assert "not text" in only(Graph("g", {"x": Input((1,)), "\ud800": Output()}, (Edge("x", "\ud800"),)))


def test_the_number_of_nodes_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_NODES", 2)
    assert codes(graph({}, Edge("x", "y"))) == []
    assert codes(graph({"n": Identity()}, Edge("x", "n"), Edge("n", "y"))) == ["SNN205"]


def test_the_number_of_values_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_NEURONS", 64)
    assert codes(graph({}, Edge("x", "y"))) == []
    monkeypatch.setattr(module, "MAX_NEURONS", 63)
    assert codes(graph({}, Edge("x", "y"))) == ["SNN205"]


def test_sizes_beyond_64_bits_are_refused_too():
    nodes = {f"u{i}": Upsample((1 << 30, 1 << 30)) for i in range(3)}
    line = ["x", *nodes, "y"]
    assert codes(graph(nodes, *(Edge(a, b) for a, b in pairwise(line)))) == ["SNN205"]


# --- cycles ----------------------------------------------------------------------------------------------

def test_a_loop_needs_one_delay():
    nodes = {"a": Neuron.of("if"), "b": Neuron.of("if")}
    edges = (Edge("x", "a"), Edge("a", "b"), Edge("b", "y"))
    assert codes(graph(nodes, *edges, Edge("b", "a", 1))) == []
    found = only(graph(nodes, *edges, Edge("b", "a")))
    assert "SNN301" in found
    assert '"a" -> "b" -> "a"' in found


def test_a_node_may_not_feed_itself_at_once():
    edges = (Edge("x", "n"), Edge("n", "y"))
    assert codes(graph({"n": Neuron.of("if")}, *edges, Edge("n", "n", 1))) == []
    assert codes(graph({"n": Neuron.of("if")}, *edges, Edge("n", "n"))) == ["SNN301"]


def test_an_instant_cycle_is_found_behind_a_long_line_without_recursion():
    names = [f"n{i}" for i in range(5000)]
    edges = [Edge("x", "n0"), *(Edge(a, b) for a, b in pairwise(names)), Edge("n4999", "y")]
    g = graph({n: Identity() for n in names}, *edges)
    assert instant_cycle(g) == []
    assert instant_cycle(g.replace(edges=(*g.edges, Edge("n4999", "n4998")))) == ["n4998", "n4999"]


def test_two_paths_that_meet_are_no_cycle():
    nodes = {n: Identity() for n in "abc"}
    g = graph(nodes, Edge("x", "a"), Edge("x", "b"), Edge("a", "c"), Edge("b", "c"), Edge("a", "b"), Edge("c", "y"))
    assert instant_cycle(g) == []


# --- stages ----------------------------------------------------------------------------------------------

def counter(**changes: Any) -> Population:
    total = Expr("state", (), "v") + Expr("input")
    fields = {"program": flatten(total, {"v": total}), "params": {}, "states": {"v": IntState(16)}}
    return Population(**{**fields, **changes})


def test_populations_stand_only_in_integer_graphs():
    assert codes(around(counter())) == ["SNN204"]
    assert codes(around(counter(), stage=Stage.INT)) == []


@pytest.mark.parametrize("stage", [Stage.LEGAL, Stage.INT])
def test_from_legal_on_operators_stand_in_projections(stage):
    op = Scale(2)
    assert codes(around(op)) == []
    assert codes(around(op, stage=stage)) == ["SNN204"]
    assert codes(graph({}, Edge("x", "y", chain=(op,)), stage=stage)) == []


def test_neurons_stand_in_legal_graphs_but_not_in_integer_ones():
    assert codes(around(Neuron.of("if"), stage=Stage.LEGAL)) == []
    assert codes(around(Neuron.of("if"), stage=Stage.INT)) == ["SNN204"]


@pytest.mark.parametrize("op", [Input((2, 4, 4)), Output(), Neuron.of("if")])
def test_a_projection_holds_no_neurons_and_no_ends(op):
    assert codes(graph({}, Edge("x", "y", chain=(op,)), stage=Stage.LEGAL)) == ["SNN204"]


@pytest.mark.parametrize(("real", "whole"), [
    (Scale(0.5), Scale(2)),
    (Scale(np.full((2, 1, 1), 0.5)), Scale(np.full((2, 1, 1), 2))),
    (Conv(np.ones((1, 2, 3, 3))), Conv(np.ones((1, 2, 3, 3), np.int8))),
    (AvgPool((2, 2), (2, 2)), SumPool((2, 2), (2, 2))),
])
def test_integer_graphs_hold_no_real_numbers(real, whole):
    assert codes(graph({}, Edge("x", "y", chain=(whole,)), stage=Stage.INT)) == []
    assert codes(graph({}, Edge("x", "y", chain=(real,)), stage=Stage.INT)) == ["SNN204"]
    assert codes(graph({}, Edge("x", "y", chain=(real,)), stage=Stage.LEGAL)) == []


# --- numbers ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_are_finite(value):
    weight = np.ones((3, 2, 1, 1))
    assert codes(around(Conv(weight))) == []
    weight[0, 0] = value
    assert "1 of 6 values are NaN or infinite" in only(around(Conv(weight)))
    assert codes(around(Scale(value))) == ["SNN203"]
    assert codes(around(Neuron.of("lif", decay=value))) == ["SNN203"]
    assert codes(around(Neuron.of("lif", initial={"v": value}))) == ["SNN203"]
    assert codes(graph({}, Edge("x", "y", chain=(Scale(value),)), stage=Stage.LEGAL)) == ["SNN203"]


def test_a_float_graph_has_its_operators_at_nodes():
    edge = Edge("x", "y", chain=(Scale(2.0),))
    assert codes(graph({}, edge)) == ["SNN204"]
    assert codes(graph({}, edge, stage=Stage.LEGAL)) == []


def test_a_projection_has_no_bias():
    assert codes(graph({}, Edge("x", "y", chain=(Scale(2.0, 1.0),)), stage=Stage.LEGAL)) == ["SNN204"]


def test_parameters_are_those_of_the_rule():
    assert codes(around(Neuron.of("lif", decay=0.5, bias=1.0))) == []
    assert "'dekay'" in only(around(Neuron.of("lif", dekay=0.5)))
    assert "initial" in only(around(Neuron.of("lif", initial={"u": 0.5})))


def test_a_remembered_spike_is_a_state_only_where_the_reset_waits():
    waits = Firing(when="after-decay")
    assert codes(around(Neuron.of("lif", waits, initial={"spike": 1}))) == []
    assert codes(around(Neuron.of("lif", initial={"spike": 1}))) == ["SNN203"]


def test_parameters_are_numbers():
    assert codes(around(Neuron.of("lif", decay=ShapeOnly((2, 1, 1))))) == []
    for strange in ("0.5", None, [0.5], True, np.array(["a"])):
        assert codes(around(Neuron.of("lif", decay=strange))) == ["SNN203"]


def test_a_threshold_below_zero_is_allowed_only_for_single_spikes():
    assert codes(around(Neuron.of("if", threshold=-1.0))) == []
    assert codes(around(Neuron.of("if", Firing(max_spikes=None), threshold=0.5))) == []
    assert codes(around(Neuron.of("if", Firing(max_spikes=None), threshold=0.0))) == ["SNN203"]
    assert codes(around(Neuron.of("if", Firing(max_spikes=2), threshold=np.array([1.0, -1, 1, 1])))) == ["SNN203"]


def test_a_quantized_membrane_resets_at_once():
    assert codes(around(Neuron.of("qlif"))) == []
    assert codes(around(Neuron.of("qlif", Firing(when="after-decay")))) == ["SNN203"]


def test_options_and_firings_are_words_that_exist():
    assert codes(around(Neuron.of("cubalif", options={"filter": "add-first"}))) == []
    assert codes(around(Neuron.of("cubalif", options={"filter": "never"}))) == ["SNN203"]
    assert codes(around(Neuron.of("lif", options={"filter": "add-first"}))) == ["SNN203"]
    for firing in (Firing(compare="=="), Firing(reset="half"), Firing(when="never"), Firing(max_spikes="all")):
        assert "SNN203" in codes(around(Neuron.of("lif", firing)))
    assert codes(around(Neuron.of("lif", Firing(max_spikes=1)))) == []
    assert codes(around(Neuron.of("lif", Firing(max_spikes=0)))) == ["SNN203"]


# --- attributes ------------------------------------------------------------------------------------------

GOOD_AND_BAD: list[tuple[Op, list[Op]]] = [
    (Input((2, 4, 4), "real", -1, 1), [
        Input((2, 0, 4)), Input((2, 4.0, 4)), Input([2, 4, 4]), Input((2,), "floats"), Input((2,), low=2, high=1),
        Input((2,), high=np.inf), Input((2,), "spike", high=1.5), Input((2,), high=0), Input((2,), unit=0.0)]),
    (Output("last"), [Output("median")]),
    (Linear(np.ones((3, 2)), np.ones(3)), [
        Linear("weights"), Linear(np.ones(3)), Linear(np.ones((3, 2)), np.ones(2)), Linear(np.ones((3, 0))),
        Linear(np.ones((3, 2)), 1.0), Linear(np.array([["a", "b"]])), Linear(np.ones((3, 2), complex))]),
    (Conv(np.ones((4, 1, 3, 3)), np.ones(4), (1, 2), ((0, 1), (1, 0)), (2, 1), 2), [
        Conv(np.ones((4, 1, 3))), Conv(np.ones((4, 1))), Conv(np.ones((4, 1, 3, 3)), np.ones(3)),
        Conv(np.ones((4, 1, 3, 3)), stride=(0, 1)), Conv(np.ones((4, 1, 3, 3)), stride=(1,)),
        Conv(np.ones((4, 1, 3, 3)), padding=((0, -1), (0, 0))), Conv(np.ones((4, 1, 3, 3)), padding=(1, 1)),
        Conv(np.ones((4, 1, 3, 3)), dilation=(1, 0)), Conv(np.ones((4, 1, 3, 3)), groups=3),
        Conv(np.ones((4, 1, 3, 3)), groups=0), Conv(np.ones((4, 1, 3, 3)), groups=True)]),
    (TokenMix(np.ones((2, 3, 4)), np.ones((2, 3))), [
        TokenMix("weights"), TokenMix(np.ones((3, 4))), TokenMix(np.ones((0, 3, 4))),
        TokenMix(np.ones((2, 3, 4)), np.ones(3)), TokenMix(np.ones((2, 3, 4)), np.ones((2, 4)))]),
    (SpikeProduct(6, 3, "channels", 2), [
        SpikeProduct(6, 2, "channels", 2), SpikeProduct(6, 3, "rows", 2), SpikeProduct(0, 3, "tokens"),
        SpikeProduct(5, 3, "tokens", 2), SpikeProduct(6, 0, "tokens"), SpikeProduct(6, 3, "tokens", 0),
        SpikeProduct(6.0, 3, "tokens"), SpikeProduct(6, 2, "nothing"), SpikeProduct(6, 1, "nothing", 2)]),
    (SpikeProduct(5, 1, "nothing"), [SpikeProduct(0, 1, "nothing")]),
    (SumPool((2, 2), (2, 2)), [SumPool((0, 2), (2, 2)), SumPool((2, 2), (2,)), SumPool((2, 2), (0, 2)),
                               SumPool((2, 2), (2, 2), ((0, 0),)), SumPool((2, 2, 2), (2, 2, 2))]),
    (MaxPool((2,), (1,), ((1, 1),)), [MaxPool((2,), (1,), ((-1, 1),))]),
    (Upsample((2, 1)), [Upsample((2, 0)), Upsample(2)]),
    (Scale(1, np.ones((2, 1, 1))), [Scale("1"), Scale(1.0, True)]),
    (Reshape((8, 4)), [Reshape((32, -1)), Reshape((32.0,))]),
    (Rectify(-1), [Rectify(0), Rectify(2)]),
    (Pad(((1, 0), (0, 0), (0, 2))), [Pad(((-1, 0), (0, 0), (0, 0))), Pad((1, 0, 0)), Pad(((1, 0, 0),))]),
]


@pytest.mark.parametrize(("good", "bad"), GOOD_AND_BAD, ids=lambda case: case.kind() if isinstance(case, Op) else "")
def test_attributes_are_of_their_type_and_in_their_range(good, bad):
    assert module.faults(good) == []
    for op in bad:
        assert module.faults(op), f"{op} passes"


def program(*steps: Step, output: int = 0) -> dict[str, Any]:
    return {"program": Program(steps, output, ()), "states": {}}


PARAMS = {"params": {"a": 3, "t": np.arange(4)}}
INPUT, TABLE = Step("input"), Step("lut", (0,), ("t", -2, 1))
POPULATIONS: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    ({}, [{"states": {}}, {"states": {"v": IntState(16), "w": IntState(16)}}, {"states": {"v": IntState(0)}},
          {"states": {"v": IntState(16, 0.5)}}, {"states": {"v": IntState([16])}}, {"params": {"a": 0.5}},
          {"params": {"a": 1 << 63}}, {"unit": "V"}]),
    (program(INPUT), [program(), program(INPUT, output=1), program(INPUT, output=-1), program(Step("input", (), 1))]),
    (program(Step("const", (), 3)), [program(Step("const", (), 0.5)), program(Step("const")),
                                     program(Step("const", (), 1 << 63))]),
    (program(INPUT, Step("neg", (0,))), [program(INPUT, Step("neg", (1,))), program(INPUT, Step("neg")),
                                         program(INPUT, Step("exp", (0,))), program(INPUT, Step("root", (0,)))]),
    (program(INPUT, Step("shr", (0,), (3, "zero"))), [
        program(INPUT, Step("shr", (0,), (3, "up"))), program(INPUT, Step("shr", (0,), (-1, "zero"))),
        program(INPUT, Step("shr", (0,), 3)), program(INPUT, Step("shr", (0,), (64, "zero")))]),
    (program(INPUT, Step("wrap", (0,), 8)), [
        program(INPUT, Step("wrap", (0,), 0)), program(INPUT, Step("wrap", (0,)))]),
    (program(INPUT, TABLE, Step("param", (), "a")) | PARAMS, [
        program(INPUT, TABLE, Step("param", (), "t")) | PARAMS, program(INPUT, TABLE),
        program(INPUT, Step("param", (), "b")) | PARAMS, program(INPUT, Step("lut", (0,), ("a", 0, 0))) | PARAMS,
        program(INPUT, Step("lut", (0,), ("t", 0, -1))) | PARAMS, program(INPUT, Step("lut", (0,), "t")) | PARAMS]),
    (program(INPUT), [program(Step("state", (), "v")), program(Step("state", (), {}))]),
]


@pytest.mark.parametrize(("good", "bad"), POPULATIONS, ids=range(len(POPULATIONS)))
def test_integer_programs_hold_only_what_an_integer_machine_can_do(good, bad):
    assert codes(around(counter(**good), stage=Stage.INT)) == []
    for fields in bad:
        assert set(codes(around(counter(**fields), stage=Stage.INT))) == {"SNN203"}, fields


# --- shapes ----------------------------------------------------------------------------------------------

def test_shapes_must_fit_and_the_place_is_named():
    assert codes(around(Linear(np.ones((3, 2))), (2,))) == []
    found = only(around(Linear(np.ones((3, 2))), (4,)))
    assert 'node "op"' in found
    assert "[4] arrives" in found
    assert "expects [2]" in found


def test_edges_into_one_node_carry_one_shape():
    nodes = {"a": Linear(np.ones((3, 2))), "b": Linear(np.ones((3, 2))), "c": Linear(np.ones((4, 2)))}
    good = Graph("g", {"x": Input((2,)), "a": nodes["a"], "b": nodes["b"], **Y},
                 (Edge("x", "a"), Edge("x", "b"), Edge("a", "y"), Edge("b", "y")))
    bad = Graph("g", {"x": Input((2,)), "a": nodes["a"], "c": nodes["c"], **Y},
                (Edge("x", "a"), Edge("x", "c"), Edge("a", "y"), Edge("c", "y")))
    assert codes(good) == []
    assert "[[3], [4]]" in only(bad)


def test_every_node_is_reached_from_an_input():
    edges = (Edge("x", "y"), Edge("n", "n", 1))
    assert "no input reaches it" in only(graph({"n": Neuron.of("if")}, *edges))
    assert codes(graph({"n": Neuron.of("if")}, *edges, Edge("x", "n"))) == []


def test_a_hostile_name_is_printed_harmlessly():
    name = "\x1b]0;owned\x07: arrives; \n"
    found = only(Graph("g", {"x": Input((2,)), name: Linear(np.ones((3, 4))), **Y}, (Edge("x", name), Edge(name, "y"))))
    assert found.replace("\n", "").isprintable()
    assert "expects [4]" in found


def test_attributes_are_checked_against_the_class_of_arrays_whatever_the_version_of_numpy():
    """NumPy 2.5 made `NDArray` a type alias, which is no class that `isinstance` takes."""
    assert get_origin(Array) is np.ndarray
    assert matches(np.zeros(3), Array)
    assert not matches([0.0], Array)


def test_shapes_that_a_graph_was_given_are_inferred_anew():
    """Whoever makes a graph may say the shapes, and may be wrong; other names say nothing."""
    right = around(SumPool((2, 2), (2, 2)))
    given = around(SumPool((2, 2), (2, 2))).with_shapes({"x": (2, 4, 4), "op": (9, 9, 9), "y": (9, 9, 9), "z": (1,)})
    assert given.shapes == {"x": (2, 4, 4), "op": (9, 9, 9), "y": (9, 9, 9)}
    assert verify(given).shapes == right.shapes
    assert around(SumPool((2, 2), (2, 2))).with_shapes({"x": (9,)}).shapes == right.shapes
    assert codes(around(SumPool((5, 5), (5, 5))).with_shapes({"x": (2, 4, 4), "op": (2, 1, 1), "y": (2, 1, 1)})) == [
        "SNN202"]
