"""Hardware rules: each one on both sides of its limit, and the same verdict for one network and for a stack."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

import snncompile as sc
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Linear, Output, Reshape, SumPool
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import ShapeOnly
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.hardware_rules import HARDWARE_RULES
from snncompile.targets.layer_table import layer_table, stack
from snncompile.targets.load import load_target
from snncompile.targets.memory import MEMORY_MODELS, memory_model
from snncompile.targets.parts import measure
from snncompile.targets.sections import SECTIONS, Memory
from snncompile.targets.target import Target
from snncompile.targets.verdict import judge
from tests.nets import small
from tests.strategies import Features, random_graph

ANY = Target("any", "No limits")
LIF = Neuron.of("lif", Firing(), decay=0.5, threshold=1.0)


def chain(*ops: Op, edges: tuple[Edge, ...] = ()) -> Graph:
    """Operators one after another, named a, b, c and so on, into an output."""
    nodes = dict(zip("abcdefgh", ops, strict=False)) | {"out": Output()}
    names = list(nodes)
    return Graph("net", nodes, (*(Edge(*pair) for pair in itertools.pairwise(names)), *edges))


def legal(graph: Graph) -> Graph:
    return run_passes(graph, passes_of(Choices(ANY), "legalize"))


def fire(**firing: Any) -> Graph:
    return chain(Input((3,)), Linear(np.ones((4, 3))), Neuron.of("lif", Firing(**firing), decay=0.5))


CONV = chain(Input((2, 9, 9)), Conv(np.ones((4, 2, 5, 3)), None, (2, 2), ((1, 3), (1, 1))), LIF)
POOLED = chain(Input((2, 8, 8)), SumPool((2, 2), (2, 2)), Conv(np.ones((4, 2, 3, 3))), LIF)
GROUPED = chain(Input((2, 9, 9)), Conv(np.ones((4, 1, 3, 3)), None, (1, 1), ((0, 0), (0, 0)), (2, 1), 2), LIF)
DENSE = chain(Input((6,)), Linear(np.full((5, 6), -1.0)), LIF, Linear(ShapeOnly((4, 5))), LIF)
LOOP = chain(Input((6,)), Linear(np.ones((5, 6))), LIF, edges=(Edge("c", "c", 3),))
PASSED = chain(Input((5,)), Linear(np.ones((5, 5))), LIF, Linear(np.ones((5, 5))), LIF, Linear(np.ones((5, 5))), LIF,
               edges=(Edge("c", "g"),))
GRADED = chain(Input((3,)), Linear(np.ones((4, 3))), Neuron.of("li", decay=0.5), Linear(np.ones((2, 4))), LIF)
BIASED = chain(Input((3,)), Linear(np.ones((4, 3)), np.ones(4)), LIF)
THRESHOLDS = chain(Input((3,)), Linear(np.ones((4, 3))), Neuron.of("if", threshold=np.array([1.0, 2.0, 1.0, 2.0])))
LISTS = {"model": "lists", "word_bits": 8, "index_bits": 4, "list_header_bits": 8, "shared_kernels": True}
LAYERS = {"layer_per_core": True, "model": "dynapcnn"}
TWO_LAYERS = chain(Input((1, 4, 4)), Conv(np.ones((2, 1, 2, 2))), LIF, Conv(np.ones((2, 2, 2, 2))), LIF)

# Rule: network, what the target allows that lets it pass, and what refuses it.
SIDES: dict[str, tuple[Graph, dict[str, Any], dict[str, Any]]] = {
    "neuron-rule": (DENSE, {"rules": ("if", "lif")}, {"rules": ("if", "cubalif")}),
    "reset": (fire(reset="value"), {"resets": ("value",)}, {"resets": ("subtract", "none")}),
    "reset-time": (fire(when="before-decay"), {"reset_times": ("before-decay",)}, {"reset_times": ("same",)}),
    "compare": (fire(compare=">"), {"compare": (">",)}, {"compare": (">=",)}),
    "spikes-per-tick": (fire(max_spikes=3), {"spikes_per_tick": 3}, {"spikes_per_tick": 2}),
    "thresholds": (THRESHOLDS, {"thresholds_per_population": 2}, {"thresholds_per_population": 1}),
    "bias": (BIASED, {"bias": True}, {"bias": False}),
    "state-width": (small(), {"state_bits": 17}, {"state_bits": 16}),
    "device-memory": (small(), {"blocks": 4, "block_widths": (8,), "block_depths": (64,)},
                      {"blocks": 1, "block_widths": (8,), "block_depths": (64,)}),
    # 65 x 16 weights of 8 bits are 1,040 bytes.
    "flash": (chain(Input((65,)), Linear(np.ones((16, 65))), LIF), {"flash_kib": 2}, {"flash_kib": 1}),
    # Membranes of 11 neurons, of unknown width, take a byte each at least.
    "ram": (small(), {"ram_kib": 1, "stack_bytes": 1024 - 11}, {"ram_kib": 1, "stack_bytes": 1024 - 10}),
    "operators": (POOLED, {"operators": ("conv", "sumpool")}, {"operators": ("conv", "linear")}),
    "graded": (GRADED, {"graded": True}, {"graded": False}),
    "real-input": (chain(Input((3,), "real"), Linear(np.ones((4, 3))), LIF), {"real_inputs": True},
                   {"real_inputs": False}),
    "recurrence": (LOOP, {"recurrence": True}, {"recurrence": False}),
    "shortcut": (PASSED, {"shortcuts": True}, {"shortcuts": False}),
    "chain": (PASSED, {"chain": False}, {"chain": True}),
    "readers": (PASSED, {"readers_per_population": 2}, {"readers_per_population": 1}),
    "delay": (LOOP, {"relays": False, "max_delay_ticks": 3}, {"relays": False, "max_delay_ticks": 2}),
    "kernel-side": (CONV, {"kernel_side": 5}, {"kernel_side": 4}),
    "padding": (CONV, {"padding": 3}, {"padding": 2}),
    "stride": (CONV, {"strides": (1, 2)}, {"strides": (1, 4)}),
    "pool-side": (POOLED, {"pool_sides": (2,)}, {"pool_sides": (1, 4)}),
    "input-side": (CONV, {"input_side": 9}, {"input_side": 8}),
    "output-side": (CONV, {"output_side": 5}, {"output_side": 4}),
    "channels": (CONV, {"channels": 4}, {"channels": 3}),
    "groups": (GROUPED, {"grouped_kernels": True}, {"grouped_kernels": False}),
    "dilation": (GROUPED, {"dilated_kernels": True}, {"dilated_kernels": False}),
    "weight-bits": (small(), {"weight_bits": 9, "mixed_step": 2}, {"weight_bits": 8, "mixed_step": 2}),
    "weights-per-neuron": (DENSE, {"weights_per_neuron": 6}, {"weights_per_neuron": 5}),
    "fan-in": (small(), {"fan_in": 14}, {"fan_in": 13}),
    "in-axons": (small(), {"in_axons_per_core": 14}, {"in_axons_per_core": 13}),
    # A neuron alone on a core: 6 lists of a synapse of 8 bits with a header of 8.
    "synapse-memory": (DENSE, {**LISTS, "synapse_bits_per_core": 96}, {**LISTS, "synapse_bits_per_core": 95}),
    "inputs": (small(), {"inputs": 6}, {"inputs": 5}),
    "neurons": (small(), {"neurons": 11}, {"neurons": 10}),
    "hidden-neurons": (small(), {"hidden_neurons": 8}, {"hidden_neurons": 7}),
    "outputs": (small(), {"outputs": 3}, {"outputs": 2}),
    "synapses": (small(), {"synapses": 136}, {"synapses": 135}),
    "cores": (small(), {"neurons_per_core": 4, "cores": 3}, {"neurons_per_core": 4, "cores": 2}),
    # 2 channels of 3 x 3 neurons take 2 x 4 x 4 words; 2 kernels of 2 x 2 for 2 channels take 2 x 8.
    "layer-memory": (TWO_LAYERS, {**LAYERS, "neuron_words": (32, 32), "kernel_words": (16, 16)},
                     {**LAYERS, "neuron_words": (31, 31), "kernel_words": (16, 16)}),
    "layer-cores": (TWO_LAYERS, {**LAYERS, "neuron_words": (32, 8), "kernel_words": (16, 16)},
                    {**LAYERS, "neuron_words": (32, 8), "kernel_words": (16, 15)}),
}


def table_for(name: str, graph: Graph) -> Any:
    """Widths of states are known of integers only."""
    return layer_table(sc.compile(graph).graph if name == "state-width" else legal(graph))


def broken(name: str, graph: Graph, figures: dict[str, Any]) -> list[Any]:
    verdict = judge(table_for(name, graph), ANY.with_(**figures), graph.name)
    return [v for v in verdict.violations if v.rule == name]


def test_every_rule_has_both_sides():
    assert set(SIDES) == set(HARDWARE_RULES)


@pytest.mark.parametrize("name", SIDES)
def test_a_network_at_the_limit_passes(name):
    graph, allowed, _ = SIDES[name]
    assert broken(name, graph, allowed) == []


@pytest.mark.parametrize("name", SIDES)
def test_a_network_beyond_the_limit_is_refused_with_place_and_numbers(name):
    graph, _, forbidden = SIDES[name]
    violations = broken(name, graph, forbidden)
    assert violations
    for violation in violations:
        assert violation.used > violation.limit
        diagnostic = violation.diagnostic
        assert diagnostic.found
        assert diagnostic.expected
        assert diagnostic.help
        assert "on any (a variant of any)" in diagnostic.expected
        assert diagnostic.place.startswith(("network", "population", "projection"))


def test_a_target_without_limits_allows_everything():
    for graph, _, _ in SIDES.values():
        assert judge(layer_table(legal(graph)), ANY, "net").ok


def test_every_figure_that_limits_is_read_by_a_rule_or_a_memory_model():
    figures = {key for _, allowed, forbidden in SIDES.values() for key in (*allowed, *forbidden)}
    known = {f.name for s in ("neurons", "network", "weights", "limits") for f in dataclasses.fields(SECTIONS[s])}
    assert known - figures == {"out_axons_per_core", "chips"}  # packings know; tests/mapping/test_spread.py


def test_every_word_for_a_memory_model_has_one():
    field, = (f for f in dataclasses.fields(Memory) if f.name == "model")
    assert tuple(MEMORY_MODELS) == field.metadata["words"]


def test_places_are_the_users_own_names():
    violations = judge(layer_table(legal(PASSED)), ANY.with_(shortcuts=False, channels=4), "net").violations
    places = [v.diagnostic.place for v in violations]
    assert 'projection "c -> g"' in places
    assert 'population "a"' in places


def test_all_violations_are_reported_at_once():
    verdict = judge(layer_table(legal(PASSED)), ANY.with_(shortcuts=False, channels=4, neurons=3), "net")
    assert {v.rule for v in verdict.violations} == {"shortcut", "channels", "neurons"}
    with pytest.raises(sc.CompileError) as caught:
        verdict.expect_ok()
    assert caught.value.diagnostics == verdict.diagnostics


@pytest.mark.parametrize(("most", "found"), [(3, "3 spikes of a neuron in a tick"), (None, "any number of spikes in a "
                                                                                    "tick")])
def test_spikes_without_a_bound_are_no_number(most: int | None, found: str):
    verdict = judge(layer_table(legal(fire(max_spikes=most))), ANY.with_(spikes_per_tick=1), "net")
    assert [v.diagnostic.found for v in verdict.violations] == [found]


def test_what_is_the_same_in_several_places_is_said_once():
    verdict = judge(layer_table(legal(PASSED)), ANY.with_(channels=4), "net")
    (diagnostic,) = verdict.diagnostics
    assert diagnostic.place == 'populations "a", "c", "e", "g"'
    assert [v.diagnostic.place for v in verdict.violations] == [f'population "{n}"' for n in "aceg"]
    several = judge(layer_table(legal(PASSED)), ANY.with_(weight_bits=1), "net").diagnostics
    assert [d.place for d in several] == ['projections "a -> c", "c -> e", "e -> g", "c -> g"']


def test_of_many_places_the_first_are_named():
    ops = [op for _ in range(7) for op in (Linear(np.ones((2, 2))), LIF)]
    nodes = {"in": Input((2,)), **{f"n{i}": op for i, op in enumerate(ops)}, "out": Output()}
    graph = Graph("net", nodes, tuple(Edge(*pair) for pair in itertools.pairwise(nodes)))
    (diagnostic,) = judge(layer_table(legal(graph)), ANY.with_(rules=("if",)), "net").diagnostics
    assert diagnostic.place == 'populations "n1", "n3", "n5", "n7" and 3 more'


def test_margins_say_how_much_is_left():
    verdict = judge(layer_table(legal(small())), ANY.with_(fan_in=28, neurons=10), "net")
    assert verdict.margins == {"fan-in": -0.5, "neurons": pytest.approx(0.1)}


def test_a_limit_names_its_source_and_whether_it_is_provisional():
    limit = judge(layer_table(legal(small())), load_target("truenorth"), "small").violations[0].diagnostic.expected
    assert "Cassidy" in limit
    assert "provisional" in limit


@pytest.mark.parametrize("target", ["loihi1", "loihi2", "speck2f", "xylo-a2", "truenorth", "c99"])
def test_a_stack_of_networks_gets_the_verdicts_of_each(target):
    chosen = load_target(target)
    if target == "loihi1":
        chosen = chosen.with_(neurons_per_core=8, cores=4, in_axons_per_core=20)
    tables = [layer_table(legal(random_graph(seed, Features()))) for seed in range(40)]
    limits, parts = measure(stack(tables), chosen)
    together = limits.judge(parts)
    for i, table in enumerate(tables):
        verdict = judge(table, chosen, str(i))
        assert together.ok[i] == verdict.ok
        rules = {together.rules[r] for r in np.flatnonzero(together.broken[i])}
        assert rules == {v.rule for v in verdict.violations}
        assert dict(zip(together.rules, together.constraints[i].tolist(), strict=True)) == verdict.constraints


def test_a_population_that_reshapes_its_input_counts_the_same_as_one_that_does_not():
    flat = chain(Input((2, 3, 3)), Reshape((18,)), Linear(np.ones((4, 18))), LIF)
    table = layer_table(legal(flat))
    assert table.populations.fan_in.tolist() == [0, 18]
    assert table.projections.synapses.tolist() == [72]


def test_weights_that_are_bare_shapes_are_taken_for_both_signs():
    table = layer_table(legal(DENSE))
    assert table.projections.mixed.tolist() == [0, 1]


def test_two_projections_from_one_population_share_its_axons():
    twice = chain(Input((6,)), Linear(np.ones((5, 6))), LIF, edges=(Edge("a", "b", 2),))
    assert judge(layer_table(legal(twice)), ANY.with_(in_axons_per_core=6), "net").ok
    assert not judge(layer_table(legal(twice)), ANY.with_(fan_in=6), "net").ok


@pytest.mark.parametrize("seed", range(30))
def test_populations_left_over_are_those_of_the_best_matching(seed):
    rng = np.random.default_rng(seed)
    few_or_many = rng.integers(1, 8) if seed % 3 else rng.integers(63, 80)  # more cores than an int64 has bits
    words = tuple(int(n) for n in rng.choice([16, 64, 256, 1024], few_or_many, p=[0.7, 0.1, 0.1, 0.1]))
    sizes = [int(n) for n in rng.choice([2, 4, 8, 16, 32], rng.integers(1, 7))]
    names = [f"n{i}" for i in range(len(sizes))]
    nodes = {"in": Input((1, 1, 1)), **{n: Neuron.of("if") for n in names}, "out": Output()}
    edges = [Edge("in", n, 0, (Reshape((1,)), Linear(np.ones((size * size, 1))), Reshape((1, size, size))))
             for n, size in zip(names, sizes, strict=True)]
    graph = Graph("net", nodes, (*edges, Edge(names[0], "out")), sc.ir.types.Stage.LEGAL)
    target = ANY.with_(**LAYERS, neuron_words=words)
    fits = memory_model(target).fitting_cores(layer_table(graph))
    able = fits[fits.any(1)]
    matched = np.count_nonzero(maximum_bipartite_matching(csr_array(able), "column") >= 0)
    left = sum(v.used for v in judge(layer_table(graph), target, "net").violations if v.rule == "layer-cores")
    assert left == len(able) - matched


@pytest.mark.parametrize(("option", "words", "told"), [
    ("resets", ("subtract", "none"), "reset: subtract, reset: none"), ("compare", (">",), "v > threshold"),
    ("rules", ("cubalif", "if"), "cubalif, if")])
def test_the_words_that_a_target_allows_are_told(option, words, told):
    graph = fire(reset="value", compare=">=")
    diagnostics = judge(layer_table(legal(graph)), ANY.with_(**{option: words}), "net").diagnostics
    assert {d.expected.partition(" on any")[0] for d in diagnostics} == {told}
