"""`check`: verdicts from any source, with and without weights, before anything is quantized."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.library import RULES
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Linear, Output, Rectify, Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import ShapeOnly
from snncompile.lowering import legal_table
from snncompile.mapping.partition import partition
from snncompile.passes.pipeline import run_passes
from snncompile.passes.table import Choices, passes_of
from snncompile.targets.layer_table import layer_table
from snncompile.targets.load import NAMES
from snncompile.targets.verdict import judge
from tests.candidates import bare, in_full
from tests.nets import nir_file, small
from tests.strategies import Features, random_graph

STRICT = sc.load_target("c99").with_(
    bias=False, rules=("if",), resets=("value",), thresholds_per_population=1, weights_per_neuron=3, weight_bits=7,
    mixed_step=2, operators=("linear", "conv", "sumpool"), recurrence=False, shortcuts=False, fan_in=20, neurons=40,
    synapses=300, graded=False, real_inputs=False, hop_ticks=1, dilation=True)
"""A target with a limit of every kind, in the middle of what random networks need."""


@pytest.mark.parametrize("target", [*NAMES, STRICT], ids=str)
@pytest.mark.parametrize("seed", range(25))
def test_numbers_are_not_needed(seed, target):
    full = in_full(random_graph(seed, Features(delays=True)), seed)
    with_numbers, without = (sc.check(graph, target, dilate="auto") for graph in (full, bare(full)))
    assert with_numbers.constraints == without.constraints
    assert [(v.rule, v.used, v.diagnostic) for v in with_numbers.violations] == [
        (v.rule, v.used, v.diagnostic) for v in without.violations]


def biased(bias: Any, *between: Op) -> Graph:
    """A layer with a bias, then other operators, and neurons."""
    ops = (Input((4,)), Linear(ShapeOnly((4, 4)), bias), *between, Neuron.of("lif"), Output())
    nodes = {f"n{i}": op for i, op in enumerate(ops)}
    return Graph("biased", nodes, tuple(Edge(*pair) for pair in pairwise(nodes)))


@pytest.mark.parametrize("between", [(), (Linear(ShapeOnly((4, 4))),), (Scale(ShapeOnly((4,))),), (Linear(np.eye(4)),)])
def test_a_bias_without_numbers_is_a_bias(between):
    no_bias = sc.load_target("c99").with_(bias=False)
    for bias in (ShapeOnly((4,)), np.ones(4)):
        (violation,) = sc.check(biased(bias, *between), no_bias).violations
        assert violation.rule == "bias"
    assert sc.check(biased(None, *between), no_bias).ok
    assert not sc.check(biased(None, Scale(1.0, ShapeOnly((4,))), *between), no_bias).ok


@pytest.mark.parametrize("rule", sorted(RULES))
def test_parameters_of_every_neuron_rule_may_be_bare_shapes(rule):
    names = [n for n, q in RULES[rule].params.items() if q.default is not None]
    nodes = {"in": Input((3,)), "fc": Linear(ShapeOnly((4, 3))),
             "n": Neuron(RULES[rule], {n: ShapeOnly((4,)) for n in names}), "out": Output()}
    graph = Graph("net", nodes, tuple(Edge(*pair) for pair in pairwise(nodes)))
    for target in NAMES:
        sc.check(graph, target, dilate="auto")
    assert sc.check(graph, "c99").ok


def test_what_would_change_between_two_ticks_is_known_without_numbers():
    slow = sc.load_target("loihi1").with_(hop_ticks=2)
    loop = biased(ShapeOnly((4,)))
    loop = loop.replace(edges=(*loop.edges, Edge("n2", "n1", 1)))
    assert "waiting" in sc.check(loop, slow, dilate="auto").forbidden


def stack(*widths: int, side: int = 16) -> Graph:
    """A candidate: convolutions of 3 x 3 on a frame, each with neurons that the first Loihi has."""
    nodes: dict[str, Op] = {"in": Input((2, side, side))}
    for i, (into, out) in enumerate(pairwise((2, *widths))):
        nodes[f"conv{i}"] = Conv(ShapeOnly((out, into, 3, 3)), padding=((1, 1), (1, 1)))
        nodes[f"lif{i}"] = Neuron.of("lif", Firing(reset="value"), decay=0.5)
    nodes["out"] = Output()
    return Graph("stack", nodes, tuple(Edge(*pair) for pair in pairwise(nodes)))


def test_a_packing_makes_sure():
    """Rules know lower bounds on cores, of which this network needs more."""
    graph, target, cores = stack(16, 128, 64, 32), sc.load_target("loihi1"), 64
    assert sc.check(graph, target).basis == "rules"
    tight = target.with_(cores=cores - 1)  # for which the packer has tried to empty cores
    by_rules, packed = sc.check(graph, tight), sc.check(graph, tight, packed=True)
    assert (by_rules.ok, packed.ok, packed.basis) == (True, False, "packing")
    assert packed.constraints["packing"] == 1
    assert "cores; at least" in packed.diagnostics[0].found
    assert sc.check(biased(None, Rectify()), tight, packed=True).constraints.keys() == packed.constraints.keys()
    fits = sc.check(graph, target.with_(cores=cores), packed=True)
    assert (fits.ok, fits.cores, fits.cost.cores) == (True, cores, cores)
    assert fits.to_json()["basis"] == "packing"


def test_a_packing_has_room_on_the_mesh():
    graph = stack(16, 64)
    target = sc.load_target("loihi1").with_(cores=512)
    cores = sc.check(graph, target, packed=True).cores
    full, few = target.with_(columns=cores, rows=1, cores_per_tile=1), target.with_(columns=cores - 1, rows=1,
                                                                                    cores_per_tile=1)
    assert sc.check(graph, full, packed=True).ok
    assert [d.place for d in sc.check(graph, few, packed=True).diagnostics] == ["mesh "]


@pytest.mark.parametrize("target", ["loihi1", "loihi2", "truenorth"])
@pytest.mark.parametrize("seed", range(12))
def test_what_is_packed_can_be_compiled_for_the_hardware(seed, target):
    chosen = sc.load_target(target).with_(neurons_per_core=12, in_axons_per_core=60, out_axons_per_core=60, cores=24)
    full = in_full(random_graph(seed, Features(delays=True)), seed)
    verdict = sc.check(bare(full), chosen, packed=True)
    try:
        legal, _, _ = legal_table(full, chosen, {}, None, {})
        choices = Choices(chosen)
        judge(layer_table(legal), chosen, "net").expect_ok()
        mapped = run_passes(legal, passes_of(choices, "quantize", "ranges", "retime"))
        partition(mapped, chosen)
    except sc.CompileError:
        compiles = False
    else:
        compiles = True
    assert compiles or not verdict.ok
    assert verdict.ok or not compiles or verdict.basis == "packing"


def test_budgets_are_limits_of_ones_own():
    graph = stack(32)
    cost = sc.check(graph, "loihi1").cost
    budget = {"cores": cost.cores, "resident_kib": cost.resident_bits / 8192, "energy_uj": cost.total_pj / 1e6,
              "latency_ticks": cost.latency_ticks}
    assert sc.check(graph, "loihi1", budget=budget).ok
    assert {n: v for n, v in sc.check(graph, "loihi1", budget=budget, cost=False).constraints.items()
            if n.startswith("budget-")} == dict.fromkeys((f"budget-{n}" for n in budget), 0)
    for name, limit in budget.items():
        verdict = sc.check(graph, "loihi1", budget={**budget, name: 0.9 * limit})
        (violation,) = verdict.violations
        assert (violation.rule, violation.diagnostic.code) == (f"budget-{name}", "SNN420")
        assert violation.diagnostic.place == f'network "stack", budget {name}'
        assert verdict.constraints[violation.rule] == pytest.approx(1 / 0.9 - 1)


@pytest.mark.parametrize(("budget", "found", "help"), [
    ({"core": 3}, '"core"', "did you mean cores?"), ({"cores": -1}, '"-1"', ""), ({"cores": "4"}, '"4"', ""),
    ({"cores": float("nan")}, '"nan"', ""), ({"cores": True}, '"True"', ""),
    ({"energy_uj": 1.0}, "c99 has no figures for it", "a target with a table [costs.NAME], see docs/targets.md"),
])
def test_a_budget_that_cannot_be_is_refused(budget, found, help):
    target = sc.load_target("c99")
    target = dataclasses.replace(target, costs={})
    with pytest.raises(sc.CompileError) as refusal:
        sc.check(stack(4), target, budget=budget)
    (diagnostic,) = refusal.value.diagnostics
    assert (diagnostic.code, diagnostic.found, diagnostic.help) == ("SNN404", found, help)


def test_a_cost_that_nobody_asked_for_is_not_estimated():
    assert sc.check(stack(4), "loihi1", cost=False).cost is None


def test_every_rule_is_a_number_that_is_at_most_0_where_it_is_kept():
    target = sc.load_target("loihi1")
    good, bad = sc.check(stack(32), target), sc.check(biased(None, Rectify()), target)
    assert good.constraints.keys() == bad.constraints.keys()
    assert all(value <= 0 for value in good.constraints.values())
    assert {n for n, value in bad.constraints.items() if value > 0} == {v.rule for v in bad.violations}
    assert bad.constraints["operators"] == 1


def test_a_file_is_a_source_and_its_options_are_those_of_load(tmp_path):
    path = nir_file(tmp_path, silent=True)
    assert not sc.check(path, "loihi1", reset="subtract").ok
    assert sc.check(path, "loihi1", reset="value").ok


def test_a_network_in_integers_is_judged_by_its_integers():
    model = sc.compile(small(), weight_bits=4)
    assert model.float_graph is not None
    for graph in (model.graph, model.float_graph):
        verdict = sc.check(graph, sc.load_target("loihi2").with_(weight_bits=5), weight_bits=4)
        assert verdict.ok
        assert verdict.margins["weight-bits"] == 0
    assert not sc.check(model.graph, sc.load_target("loihi2").with_(weight_bits=4)).ok


def test_a_loop_needs_a_tick_for_each_hop():
    target = sc.load_target("c99").with_(hop_ticks=2, dilation=True)
    (violation,) = sc.check(small(), target).violations
    assert (violation.rule, violation.diagnostic.code) == ("cycles", "SNN302")
    assert sc.check(small(), target, dilate=2).ok
    slow = sc.check(small(), target, dilate="auto")
    assert (slow.ok, slow.dilation) == (True, 2)
    assert str(slow).endswith("each of its ticks taking 2 of the hardware")
    assert sc.check(small(), target.with_(hop_ticks=1)).ok


def test_a_membrane_that_is_asked_to_be_wider_than_the_hardware_is_refused():
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(small(), "loihi2", membrane_bits=25)
    assert {d.code for d in caught.value.diagnostics} == {"SNN417"}
    assert sc.compile(small(), "loihi2", membrane_bits=24).report.target == "loihi2"


@pytest.mark.parametrize(("neuron", "quiet"), [
    (Neuron.of("if", Firing(">", "value")), True), (Neuron.of("lif", Firing(">", "value"), decay=1.0), True),
    (Neuron.of("lif", Firing(">", "value"), decay=0.5), False), (Neuron.of("lif", v_min=0.5, decay=1.0), False),
    (Neuron.of("cubalif", decay=1.0, decay_syn=0.5), False), (Neuron.of("li", decay=0.5), False),
    (Neuron.of("integrator"), True), (Neuron.of("lif", Firing(">", "value"), decay=np.array([1.0, 1.0, 0.5])), False),
])
def test_neurons_that_cannot_wait_allow_no_dilation(neuron, quiet):
    nodes = {"in": Input((3,)), "fc": Linear(np.ones((3, 3))), "n": neuron, "out": Output()}
    graph = Graph("net", nodes, tuple(Edge(a, b) for a, b in pairwise(nodes)))
    fixed = sc.load_target("loihi1").with_(rules=("if", "lif", "cubalif", "li", "integrator"), resets=None)
    waiting = [v for v in sc.check(graph, fixed, dilate=2).violations if v.rule == "waiting"]
    assert (not waiting) is quiet
    assert all(v.diagnostic.code == "SNN304" for v in waiting)
    assert not sc.check(graph, fixed).violations
    assert sc.check(graph, "loihi2", dilate=2).ok


@pytest.mark.parametrize("dilate", [1, 3])
def test_the_cost_takes_as_many_ticks_as_the_compiled_network(dilate):
    x = np.zeros((1, 7, *next(iter(small().inputs.values())).shape))
    compiled = sc.compile(small(), "loihi2", calibration=x, dilate=dilate).report.cost
    judged = sc.check(small(), "loihi2", ticks=7, dilate=dilate).cost
    assert judged.ticks == compiled.ticks == 6 * dilate + 1 + compiled.latency_ticks


@pytest.mark.parametrize("seed", range(25))
def test_any_network_can_be_judged_in_any_time(seed):
    graph = random_graph(seed, Features())
    for target in ("loihi1", "loihi2", "truenorth"):
        quick, slow = sc.check(graph, target), sc.check(graph, target, dilate="auto")
        assert not any(v.rule == "cycles" for v in slow.violations) or not sc.load_target(target).timing.dilation
        assert {v.rule for v in quick.violations} - {v.rule for v in slow.violations} <= {"cycles"}


def test_auto_takes_no_dilation_where_the_target_offers_none():
    """A link back to the same population, of one tick, on hardware where a hop takes two."""
    nodes = {"in": Input((3,)), "a": Neuron.of("if", threshold=1.0), "w": Linear(np.eye(3)), "v": Linear(np.eye(3)),
             "out": Output()}
    edges = (Edge("in", "w"), Edge("w", "a"), Edge("v", "a"), Edge("a", "v", 1), Edge("a", "out"))
    graph = Graph("loop", nodes, edges)
    target = sc.load_target("c99").with_(hop_ticks=2)
    verdict = sc.check(graph, target.with_(dilation=False), dilate="auto")
    assert (verdict.dilation, verdict.forbidden["cycles"]) == (1, 1)
    verdict = sc.check(graph, target.with_(dilation=True), dilate="auto")
    assert (verdict.dilation, verdict.forbidden["cycles"]) == (2, 0)


def test_compile_applies_the_same_rules_before_it_quantizes():
    target = sc.load_target("c99").with_(neurons=3, fan_in=5)
    wanted = sc.check(small(), target).diagnostics
    assert len(wanted) == 3
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(small(), target)
    assert caught.value.diagnostics == wanted


def test_a_verdict_says_what_it_found():
    good, bad = sc.check(small(), "loihi2"), sc.check(small(), "loihi1")
    assert str(good) == '"small" is feasible on loihi2'
    assert str(bad).endswith('"small" is infeasible on loihi1: 1 problem')
    assert repr(good) == f"<Verdict {good}>"
    assert "reset: subtract" in repr(bad)
    assert "<td>fan-in</td>" not in good._repr_html_()
    assert "<td>cores</td>" in good._repr_html_()
    odd = sc.check(small("<b>"), "loihi1")
    assert "<b>" not in odd._repr_html_()
    assert good.to_json()["feasible"]
    assert [v["code"] for v in bad.to_json()["violations"]] == ["SNN411", "SNN411"]


def dense(weight):
    return Graph("g", {"in": Input((40,)), "fc": Linear(weight), "n": Neuron.of("if"), "out": Output()},
                 (Edge("in", "fc"), Edge("fc", "n"), Edge("n", "out")))


def test_the_width_of_a_layer_comes_before_that_of_the_network():
    narrow = sc.load_target("loihi1").with_(weight_bits=4, mixed_step=1)
    for bits, ok in ((4, True), (5, False), (None, False)):
        verdict = sc.check(dense(ShapeOnly((30, 40), bits=bits)), narrow, weight_bits=8)
        assert (verdict.constraints["weight-bits"] <= 0) is ok
    assert sc.check(dense(ShapeOnly((30, 40), bits=1)), "c99").cost.weight_bits == 2 * 1200


@pytest.mark.parametrize(("bits", "density"), [(0, None), (33, None), (True, None), (None, 0), (None, 1.5),
                                               (None, float("nan")), (4.0, None)])
def test_impossible_widths_and_densities_are_refused(bits, density):
    with pytest.raises(sc.CompileError) as e:
        sc.check(dense(ShapeOnly((30, 40), bits=bits, density=density)), "c99")
    assert e.value.diagnostics[0].code == "SNN203"


@pytest.mark.parametrize("target", ["loihi1", "loihi2", "truenorth", "c99"])
@pytest.mark.parametrize("kept", [1, 7, 120, 599, 600, 1200])
def test_a_density_counts_as_weights_of_which_so_many_are_not_zero(kept, target):
    weights = np.zeros(1200)
    places = np.flatnonzero(np.diff(np.arange(1201) * kept // 1200))
    weights[places] = np.resize([1, -1], kept)
    with_numbers, without = dense(weights.reshape(30, 40)), dense(ShapeOnly((30, 40), density=kept / 1200))
    for packed in (False, True):
        one, other = (sc.check(g, target, packed=packed) for g in (with_numbers, without))
        assert (one.constraints, one.cores) == (other.constraints, other.cores)
    assert one.cost.synaptic_operations == pytest.approx(other.cost.synaptic_operations)
    assert one.cost.synaptic_operations == pytest.approx(kept * 10)


def test_the_width_of_a_membrane_comes_from_its_neuron_or_from_an_option():
    narrow = sc.load_target("loihi1").with_(state_bits=8, rules=None, resets=None)
    def neuron(rule, **params):
        nodes = {"in": Input((4,)), "n": Neuron.of(rule, **params), "out": Output()}
        return Graph("g", nodes, (Edge("in", "n"), Edge("n", "out")))

    assert sc.check(neuron("qlif", levels=127), narrow).ok
    assert not sc.check(neuron("qlif", levels=128), narrow).ok
    assert sc.check(neuron("if"), narrow, membrane_bits=8).ok
    assert not sc.check(neuron("if"), narrow, membrane_bits=9).ok
