"""retime: the same spikes some ticks later, whatever links a network has."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.loihi import LoihiLif
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import IntState, Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.serde import dump, restore
from snncompile.ir.types import Stage
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.prove_ranges import ProveRanges
from snncompile.passes.retime.retime import Retime, solve
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.load import load_target
from tests.passes.chains import integer
from tests.passes.retimed import PATTERNS, RESIDUAL, SIZE, chain, differences, hops, leakless, lif, retimed, wired
from tests.strategies import graphs, random_graph


def refusal(graph: Graph, **options: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(CompileError) as e:
        retimed(graph, **options)
    return [(d.code, d.place, d.found) for d in e.value.diagnostics]


# --- what cores will have to hold, before there are integers ---------------------------------------------

def links(graph: Graph) -> list[tuple[str, str, int]]:
    return sorted((e.src, e.dst, e.delay) for e in graph.edges)


@pytest.mark.parametrize("programmable", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_the_outline_of_a_legal_graph_has_the_projections_of_the_mapped_one(seed: int, programmable: bool) -> None:
    legal = run_passes(random_graph(seed), passes_of(Choices(load_target("c99")), "legalize"))
    pass_ = Retime(max_delay_ticks=2, programmable=programmable, dilate="auto")
    try:
        mapped = pass_.run(run_passes(legal, passes_of(Choices(load_target("c99")), "quantize", "ranges")))
    except CompileError:
        return
    outline = pass_.outline(legal)
    if programmable:
        assert links(outline) == links(mapped)
        assert outline.shapes == mapped.shapes
    fed = {dst for src, dst, _ in links(mapped) if src.startswith("always-on")}
    assert fed <= {dst for src, dst, _ in links(outline) if src.startswith("always-on")}


def test_neurons_with_a_bias_are_fed_in_an_outline_where_they_cannot_wait() -> None:
    nodes = {"x": Input((2,)), **{n: Neuron.of("lif", Firing(reset="value"), decay=0.5, bias=0.1) for n in "ab"},
             "y": Output()}
    edges = (Edge("x", "a", 0, (Linear(np.eye(2)),)), Edge("a", "b", 0, (Linear(np.eye(2)),)), Edge("b", "y"))
    legal = Graph("fed", nodes, edges, Stage.LEGAL)
    assert not [e for e in Retime(programmable=True).outline(legal).edges if e.src.startswith("always-on")]
    fed = {e.dst: e.delay for e in Retime(programmable=False).outline(legal).edges if e.src.startswith("always-on")}
    assert fed == {"a": 1, "b": 1}


# --- the same spikes -------------------------------------------------------------------------------------

@pytest.mark.parametrize("hardware", [
    {}, {"max_delay_ticks": 1}, {"max_delay_ticks": 2}, {"hop_ticks": 2, "max_delay_ticks": 3}, {"hop_ticks": 3},
    {"hop_ticks": 0}, {"programmable": False},
], ids=str)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_links_of_searched_networks_give_the_same_spikes_later(pattern: str, hardware: dict[str, Any]) -> None:
    make = lif if hardware.get("programmable", True) else leakless
    assert differences(wired(PATTERNS[pattern], make), dilate="auto", **hardware) == []


@settings(max_examples=60)
@given(st.data())
def test_random_graphs_give_the_same_spikes_later(data: st.DataObject) -> None:
    graph = integer(data.draw(graphs()))
    hop = data.draw(st.integers(1, 3))
    most = data.draw(st.sampled_from([None, 2 * hop - 1, 2 * hop, 9]))
    assert differences(graph, hop_ticks=hop, max_delay_ticks=most, dilate="auto") == []


@pytest.mark.parametrize("seed", range(40))
def test_fixed_neurons_give_the_same_spikes_later_or_are_named(seed: int) -> None:
    graph = integer(random_graph(seed))
    try:
        retimed(graph, programmable=False, dilate="auto")
    except CompileError:
        found = refusal(graph, programmable=False, dilate="auto")
        assert all(code == "SNN304" and place.startswith("population") for code, place, _ in found)
    else:
        assert differences(graph, programmable=False, dilate="auto") == []


# --- latencies and delays --------------------------------------------------------------------------------

def test_a_chain_costs_latency_only():
    mapped = retimed(wired(chain("x", "a", "b", "c", "y")))
    assert mapped.stage == Stage.MAPPED
    assert mapped.schedule.latency_ticks == {"x": 0, "a": 1, "b": 2, "c": 3, "y": 3}
    assert set(hops(mapped).values()) == {1}


def test_a_shortcut_gets_the_delay_of_what_it_goes_past():
    assert hops(retimed(wired(RESIDUAL))) == {
        "x -> a": 1, "a -> b": 1, "b -> c": 1, "c -> d": 1, "d -> e": 1, "a -> c": 2, "c -> e": 2}


def test_a_shortcut_longer_than_the_longest_delay_goes_through_relays_that_its_neighbours_share():
    links = [*chain("x", "a", "b", "c", "d", "e", "y"), ("x", "e", 0), ("x", "d", 0)]
    mapped = retimed(wired(links), max_delay_ticks=2)
    assert {k: v for k, v in hops(mapped).items() if k.startswith("x")} == {
        "x -> a": 1, "x -> x.relay": 2, "x.relay -> d": 2, "x.relay -> x.relay2": 2, "x.relay2 -> e": 1}
    assert mapped.schedule.latency_ticks["x.relay2"] == 4


def test_a_shortcut_is_refused_where_there_is_neither_delay_nor_relay():
    links = [*chain("x", "a", "b", "c", "y"), ("a", "c", 0)]
    assert retimed(wired(links), max_delay_ticks=2, relays=False).stage == Stage.MAPPED
    assert refusal(wired(links), max_delay_ticks=1, relays=False) == [
        ("SNN303", 'projection "a -> c"', "it must take 2 ticks, to arrive together with the longest path")]


def test_delays_that_a_network_has_already_are_used_up_first():
    """A recurrent link of one tick is one hop, and a slow forward link needs no latency."""
    mapped = retimed(wired([*chain("x", "a", "b", "y"), ("b", "b", 1), ("x", "b", 1)]))
    assert hops(mapped)["b -> b"] == 1
    mapped = retimed(wired([("x", "a", 3), ("a", "y", 0)]))
    assert mapped.schedule.latency_ticks["a"] == 0
    assert hops(mapped) == {"x -> a": 3}


def test_the_fewest_values_are_kept():
    """The wide input would wait for the narrow branch; better the narrow one waits for it."""
    graph = wired([*chain("x", "a", "b", "y"), ("x", "c", 0), ("c", "b", 0)])
    late = retimed(graph).schedule.latency_ticks
    assert late["a"] == late["c"] == 1
    brute = min(_kept(graph, {"x": 0, "a": a, "b": b, "c": c}) for a in range(1, 4) for b in range(1, 5)
                for c in range(1, 4) if b > a and b > c)
    assert _kept(graph, late) == brute


@pytest.mark.parametrize("seed", range(6))
def test_no_small_change_of_latencies_keeps_fewer_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    links = [("x", "a", 0), ("d", "y", 0)]
    links += [(s, t, int(rng.integers(0, 3))) for i, t in enumerate("bcd") for s in ["x", *"abc"[:i + 1]]
              if s == "abc"[i] or rng.random() < 0.6]
    graph = wired(links)
    late = dict(retimed(graph).schedule.latency_ticks)
    for name in "abcd":
        for step in (-1, 1):
            moved = {**late, name: late[name] + step}
            if moved[name] >= 0 and all(_delay(e, moved) >= 1 for e in _projections(graph)):
                assert _kept(graph, moved) >= _kept(graph, late)


def _projections(graph: Graph) -> list[Any]:
    return [e for e in graph.edges if e.dst != "y"]


def _delay(edge: Any, late: Any) -> int:
    return int(edge.delay + late[edge.dst] - late[edge.src])


def _kept(graph: Graph, late: Any) -> int:
    """Values that all sources keep, each for as long as its slowest projection takes."""
    longest: dict[str, int] = {}
    for e in _projections(graph):
        longest[e.src] = max(longest.get(e.src, 0), _delay(e, late))
    return sum(SIZE * v for v in longest.values())


def test_the_limit_on_delays_is_part_of_the_programme():
    graph = wired([*chain("x", "a", "b", "y"), ("x", "b", 0)])
    edges = _projections(graph)
    assert solve(graph, edges, {"x": 0, "a": 0, "b": 0}, 1, 2, 1) == {"x": 0, "a": 1, "b": 2}
    assert solve(graph, edges, {"x": 0, "a": 0, "b": 0}, 1, 1, 1) is None


def test_thousands_of_populations_are_retimed_within_seconds():
    names = [f"n{i}" for i in range(1500)]
    links = [*chain("x", *names, "y"), *((names[i], names[i + 2], 0) for i in range(0, 1498, 2)),
             *((names[i + 1], names[i], 2) for i in range(0, 1498, 3))]
    graph = wired(links)
    assert retimed(graph).schedule.latency_ticks["y"] == 1500


# --- cycles ----------------------------------------------------------------------------------------------

def test_a_cycle_is_legal_exactly_when_its_delay_covers_its_hops():
    loop = [*chain("x", "a", "b", "c", "y")]
    assert differences(wired([*loop, ("c", "a", 3)])) == []
    assert refusal(wired([*loop, ("c", "a", 2)])) == [
        ("SNN302", 'cycle "a" -> "b" -> "c" -> "a"', "2 ticks of delay for 3 hops")]
    assert differences(wired([*loop, ("c", "a", 2)]), dilate=2) == []


def test_the_diagnostic_says_what_would_make_the_cycle_legal():
    with pytest.raises(CompileError, match="a time dilation of 3, or longer delays on its backward links"):
        retimed(wired([*chain("x", "a", "b", "c", "y"), ("c", "a", 1)]))


def test_every_part_with_a_quick_cycle_is_reported():
    links = [*chain("x", "a", "b", "c", "d", "y"), ("b", "a", 1), ("d", "c", 1)]
    assert [place for _, place, _ in refusal(wired(links))] == ['cycle "a" -> "b" -> "a"', 'cycle "c" -> "d" -> "c"']


def test_time_is_dilated_by_the_worst_cycle_where_that_is_asked_for():
    links = [*chain("x", "a", "b", "c", "y"), ("c", "a", 1), ("b", "a", 2)]
    schedule = retimed(wired(links), dilate="auto").schedule
    assert schedule.period == 3
    assert retimed(wired(chain("x", "a", "y")), dilate="auto").schedule.period == 1


def test_a_sample_takes_its_dilated_ticks_and_the_latency():
    schedule = retimed(wired([*chain("x", "a", "b", "c", "y"), ("c", "a", 1)]), dilate="auto").schedule
    assert schedule.depth_ticks == 3
    assert schedule.hardware_ticks(10) == 3 * 9 + 1 + 3
    assert schedule.hardware_ticks(0) == 0


def test_a_leaky_neuron_cannot_be_dilated_where_it_cannot_wait():
    links = [*chain("x", "a", "b", "y"), ("b", "a", 1)]
    assert differences(wired(links), dilate=2) == []
    assert differences(wired(links, leakless), dilate=2, programmable=False) == []
    found = refusal(wired(links), dilate=2, programmable=False)
    assert [(code, place) for code, place, _ in found] == [("SNN304", 'population "a"'), ("SNN304", 'population "b"')]


# --- neurons that act by themselves ----------------------------------------------------------------------

BIASED = chain("x", "a", "b", "y")


def filtered() -> Neuron:
    """A bias that passes a current and a membrane, so that no one first value undoes it."""
    return Neuron.of("cubalif", Firing(), decay=0.75, decay_syn=0.5, threshold=1.0, bias=0.3)


def test_a_bias_is_fed_by_an_always_on_source_that_starts_with_its_population():
    graph = wired(BIASED, filtered)
    mapped = retimed(graph, programmable=False)
    schedule = mapped.schedule
    assert schedule.always_on == {"always-on": 0, "always-on2": 1}
    assert isinstance(mapped.nodes["always-on"], Input)
    assert hops(mapped)["always-on2 -> b"] == 1
    assert differences(graph, programmable=False) == []
    assert not any(s.op == "param" and s.value == "bias" for n in "ab" for s in mapped.nodes[n].program.steps)


def test_neurons_that_have_their_delays_already_begin_with_the_inputs():
    """As in NetX files: nothing is late, so that a bias needs no source."""
    graph = wired([("x", "a", 1), ("a", "b", 1), ("b", "y", 0)], filtered)
    mapped = retimed(graph, programmable=False)
    assert set(mapped.schedule.latency_ticks.values()) == {0}
    assert mapped.schedule.always_on == {}
    assert differences(graph, programmable=False) == []


def test_a_bias_waits_in_the_neuron_where_that_runs_a_program():
    graph = wired(BIASED, filtered)
    mapped = retimed(graph)
    assert mapped.schedule.always_on == {}
    assert "wait" in mapped.nodes["b"].states
    assert differences(graph) == []


@pytest.mark.parametrize("programmable", [False, True])
def test_a_bias_of_one_membrane_is_undone_by_where_that_starts(programmable: bool) -> None:
    graph = wired(BIASED, lambda: lif(bias=0.3))
    mapped = retimed(graph, programmable=programmable)
    assert mapped.schedule.always_on == {}
    assert set(mapped.nodes["b"].states) == {"v"}
    assert np.all(mapped.nodes["b"].states["v"].initial < mapped.nodes["a"].states["v"].initial)
    assert differences(graph, programmable=programmable) == []


def halving(first: int) -> Graph:
    """x to a to b to y: membranes that start at a number and lose half of it every tick."""
    op = LoihiLif(100, voltage_decay=2048).population()
    op = dataclasses.replace(op, states={"v": IntState(24, first)})
    chain = (Linear(np.array([[2]])),)
    edges = (Edge("x", "a", 0, chain), Edge("a", "b", 0, chain), Edge("b", "y"))
    return run_passes(Graph("net", {"x": Input((1,)), "a": op, "b": op, "y": Output()}, edges, Stage.INT),
                      [ProveRanges()])


@pytest.mark.parametrize(("options", "waits"), [
    ({}, True), ({"state_bits": 24}, True), ({"state_bits": 25}, False), ({"state_bits": 23}, True),
], ids=str)
def test_an_earlier_first_value_fits_the_states_of_the_hardware(options: dict[str, Any], waits: bool) -> None:
    """From -12,000,000, which takes 25 bits, a membrane halves to -3,000,000 in two ticks."""
    graph = halving(-3_000_000)
    mapped = retimed(graph, **options)
    assert ("wait" in mapped.nodes["b"].states) is waits
    assert ("wait" in mapped.nodes["a"].states) is (options == {"state_bits": 23})
    assert differences(graph, **options) == []


def test_the_target_says_how_wide_states_are() -> None:
    choices = Choices(load_target("loihi2"))
    (pass_,) = passes_of(choices, "retime")
    assert isinstance(pass_, Retime)
    assert pass_.state_bits == 24


@pytest.mark.parametrize("neuron", [
    Neuron.of("lif", Firing(reset="none"), decay=0.75, threshold=-0.5),
    Neuron.of("cubalif", Firing(), initial={"v": 0.5}, decay=0.75, decay_syn=0.5, threshold=1.0, bias=0.25),
], ids=str)
def test_a_neuron_that_acts_by_itself_waits_or_is_named(neuron: Neuron) -> None:
    graph = wired(BIASED, lambda: neuron)
    assert differences(graph) == []
    assert "wait" in retimed(graph).nodes["b"].states
    assert [code for code, _, _ in refusal(graph, programmable=False)] == ["SNN304", "SNN304"]


def test_a_membrane_that_keeps_its_first_value_need_not_wait():
    graph = wired(BIASED, lambda: leakless())
    assert "wait" not in retimed(graph).nodes["b"].states
    graph = wired(BIASED, lambda: Neuron.of("if", Firing(), initial={"v": 0.5}, threshold=1.0))
    assert "wait" not in retimed(graph).nodes["b"].states
    assert differences(graph, programmable=False) == []


def test_names_of_the_network_are_left_alone():
    links = [("x", "always-on", 0), ("x", "x.relay", 0), *chain("x.relay", "b", "always-on", "y")]
    graph = wired(links, lambda: leakless(bias=0.25))
    mapped = retimed(graph, programmable=False, max_delay_ticks=1)
    assert set(graph.nodes) < set(mapped.nodes)
    assert differences(graph, programmable=False, max_delay_ticks=1) == []


def test_a_retimed_graph_survives_the_text_form():
    graph = wired([*RESIDUAL, ("e", "a", 1)], lambda: lif(bias=0.3))
    mapped = retimed(graph, dilate="auto", max_delay_ticks=2, programmable=True)
    text, weights = dump(mapped)
    again = restore(text, weights)
    assert str(again) == text
    assert again.schedule == mapped.schedule


# --- options ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("options", "fine"), [
    ({"dilate": 1}, True), ({"dilate": 0}, False), ({"dilate": 1 << 16}, True), ({"dilate": (1 << 16) + 1}, False),
    ({"hop_ticks": 0}, True), ({"hop_ticks": -1}, False), ({"hop_ticks": 1 << 16}, True),
    ({"hop_ticks": (1 << 16) + 1}, False),
    ({"hop_ticks": 3, "max_delay_ticks": 5}, True), ({"hop_ticks": 3, "max_delay_ticks": 4}, False),
    ({"hop_ticks": 3, "max_delay_ticks": 3, "relays": False}, True), ({"max_delay_ticks": 0}, False),
], ids=str)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], fine: bool) -> None:
    if fine:
        Retime(**options)
        return
    with pytest.raises(CompileError, match="SNN404"):
        Retime(**options)
