"""`check`: verdicts from any source, with and without weights, before anything is quantized."""

from __future__ import annotations

import dataclasses

import pytest

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Linear
from snncompile.ir.types import ShapeOnly
from tests.nets import nir_file, small


def without_numbers(graph: Graph) -> Graph:
    nodes = {n: dataclasses.replace(op, weight=ShapeOnly(op.weight.shape)) if isinstance(op, Linear) else op
             for n, op in graph.nodes.items()}
    return graph.replace(nodes=nodes)


@pytest.mark.parametrize("target", ["c99", "loihi1", "loihi2", "speck2f", "xylo-a2", "truenorth"])
def test_weights_are_not_needed(target):
    with_weights, without = sc.check(small(), target), sc.check(without_numbers(small()), target)
    assert [(v.rule, v.diagnostic.place) for v in with_weights.violations] == [
        (v.rule, v.diagnostic.place) for v in without.violations]
    assert with_weights.margins == without.margins


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
    target = sc.load_target("c99").with_(hop_ticks=2)
    (violation,) = sc.check(small(), target).violations
    assert (violation.rule, violation.diagnostic.code) == ("cycles", "SNN302")
    assert sc.check(small(), target, dilate=2).ok
    assert sc.check(small(), target.with_(hop_ticks=1)).ok


def test_a_membrane_that_is_asked_to_be_wider_than_the_hardware_is_refused():
    with pytest.raises(sc.CompileError) as caught:
        sc.compile(small(), "loihi2", membrane_bits=25)
    assert {d.code for d in caught.value.diagnostics} == {"SNN417"}
    assert sc.compile(small(), "loihi2", membrane_bits=24).report.target == "loihi2"


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
    assert str(bad).endswith('"small" is infeasible on loihi1: 2 problems')
    assert repr(good) == f"<Verdict {good}>"
    assert "reset: subtract" in repr(bad)
    assert "<td>fan-in</td>" not in good._repr_html_()
    assert "<td>cores</td>" in good._repr_html_()
    odd = sc.check(small("<b>"), "loihi1")
    assert "<b>" not in odd._repr_html_()
    assert good.to_json()["feasible"]
    assert [v["code"] for v in bad.to_json()["violations"]] == ["SNN411", "SNN411"]
