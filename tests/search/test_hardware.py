"""Hardware as choices: variants of a target, and a target without shortcuts and loops."""

import pytest

import snncompile as sc
from snncompile.search.families.table import candidate
from snncompile.search.hardware import chain_only, variants
from snncompile.targets.load import load_target
from tests.search.families.reference import refusal


def test_variants_are_named_and_counted_like_a_product():
    found = variants("loihi1", cores=(32, 64), weight_bits=(4, 8))
    assert [(v.name, v.limits.cores, v.weights.weight_bits) for v in found] == [
        ("loihi1 cores=32 weight_bits=4", 32, 4), ("loihi1 cores=32 weight_bits=8", 32, 8),
        ("loihi1 cores=64 weight_bits=4", 64, 4), ("loihi1 cores=64 weight_bits=8", 64, 8)]


def test_a_variant_changes_the_verdict():
    graph = candidate("spikexplorer:100:64:10:lif:1")
    verdicts = [sc.check(graph, target, cost=False).ok
                for target in variants(load_target("loihi2").with_(cores=1), neurons_per_core=(32, 1024))]
    assert verdicts == [False, True]


def test_wrong_choices_are_refused():
    target = load_target("loihi1")
    assert refusal(lambda: variants(target, cores=())).found == "0"
    assert refusal(lambda: variants(target, cores=range(1 << 9), weight_bits=range(1 << 9))).found == "262,144"
    assert refusal(lambda: variants(target, cor=(1,))).code == "SNN102"


@pytest.mark.parametrize(("text", "rule"), [
    ("bcnas:vgg11:5-2", "recurrence"), ("backbone:resnet18", "shortcut"), ("spikexplorer:10:8:2:rlif:1", "recurrence")])
def test_shortcuts_and_loops_are_refused_where_liu_and_yi_search_none(text, rule):
    def broken(target):
        return {v.rule for v in sc.check(candidate(text), target, cost=False).violations}

    assert rule in broken(chain_only(load_target("loihi2")))
    assert rule not in broken(load_target("loihi2"))
