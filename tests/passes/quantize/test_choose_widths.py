"""Widths that the compiler chooses: within a budget, or as narrow as decisions allow."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import snncompile as sc
from snncompile.cost.budget import BUDGETS as OF_CHECK
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from snncompile.passes.quantize.allocation import Choice, cheapest
from snncompile.passes.quantize.choose_widths import BUDGETS
from tests.passes.chains import joined

X = (np.random.default_rng(0).random((20, 12, 6)) < 0.4).astype(float)


def network(**entry) -> Graph:
    """Three populations, of which the last is read out; the second has a backward projection."""
    rng = np.random.default_rng(5)
    return joined({"a": Linear(rng.normal(0, 0.6, (8, 6)), None), "b": Neuron.of("lif", decay=0.75),
                   "c": Linear(rng.normal(0, 0.6, (8, 8)), None), "d": Neuron.of("if"),
                   "r": Linear(rng.normal(0, 0.2, (8, 8)), None),
                   "e": Linear(rng.normal(0, 0.6, (4, 8)), None), "f": Neuron.of("lif", decay=0.5)},
                  Edge("x", "a"), Edge("a", "b"), Edge("b", "c"), Edge("c", "d"), Edge("d", "r", 1), Edge("r", "d"),
                  Edge("d", "e"), Edge("e", "f"), Edge("f", "y"), shape=(6,), **entry)


def kib(model: sc.CompiledModel) -> tuple[float, float]:
    """KiB of weights and of states, by the widths of the file of layers; states without a width have that of the graph.
    """
    weights = sum(op.weight.size * model.report.layers[e.dst]["weight_bits"] for e in model.graph.edges
                  for op in e.chain if isinstance(op, Linear))
    states = sum(p.neurons * model.report.layers[p.name].get("membrane_bits", max(p.state_bits.values()))
                 for p in model.report.populations)
    return weights / 8192, states / 8192


@given(st.lists(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 40)), min_size=1, max_size=4), min_size=1,
                max_size=4), st.integers(1, 150))
def test_the_cheapest_choices_are_those_that_trying_all_finds(table, room):
    groups = [[Choice(str(i), "weight_bits", None, bits, cost / 64) for bits, cost in group]
              for i, group in enumerate(table)]
    fitting = [way for way in itertools.product(*groups) if sum(c.bits for c in way) <= room]
    found = cheapest(groups, {("weight_bits",): room})
    assert (found is None) == (not fitting)
    if found is not None:
        assert sum(c.bits for c in found) <= room
        assert sum(c.cost for c in found) == min(sum(c.cost for c in way) for way in fitting)
        least = cheapest(groups, {}, sum(c.cost for c in found))
        assert sum(c.bits for c in least) <= sum(c.bits for c in found)


def test_the_solver_prints_nothing_to_stdout(capfd):
    """It printed a line for one of some 400 programmes, where commands print their JSON."""
    rng = np.random.default_rng(0)
    for _ in range(150):
        groups = [[Choice(str(i), "weight_bits", None, int(n) * bits, float(cost))
                   for bits, cost in zip((8, 7, 6, 5, 4, 3, 2), np.sort(rng.random(7) ** 4), strict=True)]
                  for i, n in enumerate(rng.integers(100, 3_000_000, rng.integers(2, 14)))]
        cheapest(groups, {("weight_bits",): sum(g[0].bits for g in groups) * rng.uniform(0.26, 1)})
        cheapest(groups, {}, float(rng.random()))
    print("kept")
    assert capfd.readouterr().out == "kept\n"


@pytest.mark.parametrize(("options", "budget"), [
    ({"weight_bits": "auto"}, {"weight_kib": 208 * 4.5 / 8192}),
    ({"membrane_bits": "auto"}, {"state_kib": 20 * 6 / 8192}),
    ({"weight_bits": "auto", "membrane_bits": "auto"}, {"resident_kib": (208 * 5 + 20 * 6) / 8192}),
])
def test_the_chosen_widths_keep_the_budget_and_are_exact(options, budget):
    model = sc.compile(network(), calibration=X, budget=budget, **options)
    weights, states = kib(model)
    (name, limit), = budget.items()
    assert {"weight_kib": weights, "state_kib": states, "resident_kib": weights + states}[name] <= limit
    np.testing.assert_array_equal(model.run(X).outputs, model.reference(X).outputs)


def test_the_budgets_are_those_of_checks():
    assert set(BUDGETS) < set(OF_CHECK)


def test_a_larger_budget_changes_no_more_of_the_outputs():
    shared = [sc.compile(network(), calibration=X, weight_bits="auto", budget={"weight_kib": bits * 208 / 8192}
                         ).report.agreement.counts("f") for bits in (2, 4, 8)]
    assert shared[0] < shared[2]
    assert shared[1] >= shared[0] - 0.02


def test_without_a_budget_decisions_are_kept_with_less_memory():
    widest = sc.compile(network(), calibration=X)
    kept = sc.compile(network(), calibration=X, weight_bits="auto", max_drop=0.05)
    free = sc.compile(network(), calibration=X, weight_bits="auto", max_drop=1.0)
    assert kept.report.agreement.decisions >= min(0.95, widest.report.agreement.decisions)
    assert kib(free)[0] <= kib(kept)[0] < kib(widest)[0]
    assert [own["weight_bits"] for own in free.report.layers.values()] == [2, 2, 2]


def test_widths_that_are_given_stay():
    model = sc.compile(network(), calibration=X, weight_bits="auto", layers={"c": {"weight_bits": 7}}, max_drop=1.0)
    assert [own["weight_bits"] for own in model.report.layers.values()] == [2, 7, 2]


def test_the_choice_can_be_given_back_and_is_watched(tmp_path):
    seen = []
    observer = sc.Observer(progress=lambda name, done, count: seen.append((name, done, count)))
    model = sc.compile(network(), calibration=X, weight_bits="auto", budget={"weight_kib": 0.1}, observer=observer)
    model.save(tmp_path / "build")
    again = sc.compile(network(), calibration=X, layers=tmp_path / "build" / "layers.toml")
    assert str(again.graph) == str(model.graph)
    counted = [(done, count) for name, done, count in seen if name == "choose"]
    assert counted == [(i + 1, 18) for i in range(18)]
    assert "choose" in model.report.seconds


def test_widths_that_are_all_given_are_used():
    layers = {name: {"weight_bits": 5} for name in "bdf"}
    model = sc.compile(network(), calibration=X, weight_bits="auto", layers=layers)
    assert model.report.layers == layers
    assert str(model.graph) == str(sc.compile(network(), calibration=X, layers=layers).graph)


def test_names_and_counts_of_any_kind_are_chosen_for():
    rng = np.random.default_rng(1)
    graph = joined({"a": Linear(rng.normal(0, 0.01, (6, 6)), None), "q": Neuron.of("lif", decay=0.5),
                    "b": Linear(rng.normal(0, 1, (4, 6)), None), "from q": Neuron.of("lif", decay=0.5)},
                   Edge("x", "a"), Edge("a", "q"), Edge("q", "b"), Edge("b", "from q"), Edge("from q", "y"), shape=(6,),
                   high=128)
    model = sc.compile(graph, calibration=128 * X, weight_bits="auto", budget={"weight_kib": 1})
    assert min(own["weight_bits"] for own in model.report.layers.values()) >= 4  # narrow ones change what 128 gives
    assert model.report.agreement.counts_shared > 0.9


def test_powers_of_two_are_chosen_from_as_many_bits_as_they_can_have():
    model = sc.compile(network(), calibration=X, weight_bits="auto", weight_grid="powers", budget={"weight_kib": 1})
    assert {own["weight_bits"] for own in model.report.layers.values()} <= {2, 3, 4, 5}
    np.testing.assert_array_equal(model.run(X).outputs, model.reference(X).outputs)


@pytest.mark.parametrize(("options", "place", "code"), [
    ({"weight_bits": "auto", "budget": 5}, "option budget", "SNN404"),
    ({"layers": 5}, "option layers", "SNN404"),
    ({"budget": {"weight_kib": 1}}, "option budget", "SNN404"),
    ({"max_drop": 0.1}, "option max_drop", "SNN404"),
    ({"weight_bits": "auto", "max_drop": 0.1, "budget": {"weight_kib": 1}}, "option budget", "SNN404"),
    ({"weight_bits": "auto", "max_drop": 2}, "option max_drop", "SNN404"),
    ({"weight_bits": "auto", "budget": {"cores": 1}}, "option budget", "SNN404"),
    ({"weight_bits": "auto", "budget": {"weight_kib": 0}}, "option budget, weight_kib", "SNN404"),
    ({"weight_bits": "auto", "calibration": None}, "option weight_bits", "SNN404"),
    ({"weight_bits": "auto", "budget": {"weight_kib": 0.01}}, 'network "net", budget weight_kib', "SNN420"),
    ({"rounding": "auto"}, "option rounding", "SNN404"),
    ({"layers": {"a": {"weight_bits": "auto"}}}, 'layer "a", option "weight_bits"', "SNN404"),
])
def test_what_nothing_can_be_chosen_for_is_refused(options, place, code):
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(network(), **{"calibration": X, **options})
    assert [(d.code, d.place) for d in caught.value.diagnostics] == [(code, place)]
