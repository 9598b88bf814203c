"""Candidates are named by a family and a notation, and what means nothing is refused with what could be meant."""

import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snncompile.checker import check
from snncompile.cost.estimate import ASSUMED_TICKS
from snncompile.diagnostics import CompileError, Diagnostic
from snncompile.ir.populations import Neuron
from snncompile.search.families.family import MAX_NESTING, digits, genotype, number, parameters, parts, split
from snncompile.search.families.table import FAMILIES, candidate, family
from snncompile.search.net import Net
from tests.search.families.reference import refusal


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_says_what_it_is(name):
    found = family(name)
    assert all((found.name, found.title, found.notation))
    for preset in found.presets:
        assert preset == preset.strip()


@pytest.mark.parametrize(("text", "ticks"), [
    ("snasnet:cifar10-bw", 5), ("matrices:example", 5), ("spikenas-bench:demo", 5), ("autosnn:autosnn", 8),
    ("autosnn:srb5,mp,srb5,skip,mp,srb3,srb5,mp:16:cifar10-dvs", 20), ("bcnas:vgg11", 4), ("bcnas:vgg11::tiny", 5),
    ("bcnas:vgg11::cifar10-dvs", 10), ("spikedhs:cifar10", 6), ("litesnn:code", 5), ("neuevo:cifar-new0", 10),
    ("stdano:vgg11:00011100:cifar10-dvs:8", 8), ("stdano:dvs-gesture-vgg11-t20", 20), ("stdano:vgg11:00011100", None),
])
def test_costs_are_for_the_ticks_of_the_paper(text, ticks):
    assert candidate(text).meta.get("ticks") == ticks
    assert check(candidate(text), "c99").cost.ticks == (ticks or ASSUMED_TICKS)


@pytest.mark.parametrize("name", FAMILIES)
def test_spaces_travel_to_other_processes(name):
    """And every one of them has a candidate that builds."""
    for make in family(name).spaces.values():
        space = pickle.loads(pickle.dumps(make()))
        pick = {choice: values[-1] for choice, values in make().choices.items()}
        assert str(space.graph(**pick)) == str(make().graph(**pick))


@pytest.mark.parametrize(("text", "compare", "reset"), [
    ("backbone:vgg11", ">", {"value"}), ("bcnas:vgg11", ">=", {"value"}), ("snasnet:cifar10-bw", ">=", {"value"}),
    ("lightsnn:0303-0030-2002-0200", ">=", {"value"}), ("spikenas-bench:demo", ">=", {"value"}),
    ("autosnn:autosnn", ">=", {"value"}), ("qsnn:vggsnn-1w2u", ">=", {"value"}), ("spikedhs:cifar10", ">", {"value"}),
    ("qsnn:vggsnn:1w2u:cifar10:code", ">", {"value"}), ("litesnn:code", ">", {"value"}),
    ("stdano:cifar10-resnet18-t2", ">=", {"value", "subtract"}), ("neuevo:cifar-new0", ">", {"value"}),
    ("msenas:2:1,2,3,4", ">", {"value"}), ("ebnas:example", ">", {"value"}), ("layerwise:example", ">", {"value"}),
    ("blocks:emo-snas-example", ">", {"value"}), ("blocks:conv8+lif/0.5/1,conv8+if/1,conv8+plif/1", ">=", {"value"}),
    ("tennlab:xor", ">=", {"value"}), ("stmixer:8,2,16,1,2,1,2", ">=", {"value"}),
    ("autost:64:4:3", ">=", {"value"}), ("spikernel:03-00:3,5", ">=", {"value"}),
    ("autospikformer:64:4:3", ">=", {"value"})])
def test_neurons_compare_and_reset_as_in_the_paper(text, compare, reset):
    """Comparison with a threshold that is reached exactly is not seen in tests with random numbers."""
    firings = {op.firing for op in candidate(text).nodes.values() if isinstance(op, Neuron)}
    assert {f.compare for f in firings} == {compare}
    assert {f.reset for f in firings} == reset
    assert {(f.when, f.max_spikes) for f in firings} == {("same", 1)}


WORDS = ["conv32k3", "+", "lif/0.5/1", "784", "rlif", "2", "conv_3x3_p@0", "conv_3x3_n@1", "1/0101", "23451",
         "resnet18", "vgg11", "cifar10", "0303-0030-2002-0200", "00011100", "17-1", "5-5", "1w2u", "srb5", "mp", "skip",
         "32,2,16,1,4,2,4", "384", "12,6", "4,3.5", "4,1,2", "eca3", "cbam16", "3,5", "max", "03-00",
         "[[1,1],[0,1],[3,2],[2,1],[7,1],[8,1]]", "0,1,2,3,7,8", "00111222", "14222214", "99999999999", "-1", "[", "²",
         "\x00", "{}", "null", "code", "\ud800"]


@given(st.sampled_from(sorted(FAMILIES)), st.lists(st.sampled_from([*WORDS, ":", ",", " ", "-"]) | st.text(max_size=4),
                                                   max_size=12))
@settings(max_examples=300)
def test_any_text_builds_or_is_refused(name, words):
    refused: tuple[Diagnostic, ...] = ()
    try:
        assert candidate(f"{name}:{''.join(words)}").nodes
    except CompileError as e:
        refused = e.diagnostics
    assert all(d.found and d.expected for d in refused)


def test_a_candidate_is_a_notation_or_a_preset():
    assert str(candidate("backbone:resnet18")) == str(candidate(" backbone : resnet18"))
    assert len(candidate("backbone:vgg11:cifar100").populations) == 8


@pytest.mark.parametrize(("text", "found", "help"), [
    ("backbon:resnet18", '"backbon"', "did you mean backbone?"),
    ("backbone", '"backbone"', "did you mean backbone?"),
    ("backbone:resnet81", '"resnet81"', "resnet18"),
    ("backbone:vgg11:mnist", '"mnist"', "BACKBONE:DATA"),
    ("", '""', ""),
    ("x" * 100_000, "100,000 characters", ""),
])
def test_what_is_not_known_is_refused(text, found, help):
    diagnostic = refusal(lambda: candidate(text))
    assert diagnostic.code == "SNN404"
    assert found in diagnostic.found
    assert help in diagnostic.help
    assert diagnostic.expected


def test_only_the_family_that_is_asked_for_is_imported():
    code = ("import sys; from snncompile.search.families.table import family; family('backbone'); "
            "print([m for m in sys.modules if m.startswith('snncompile.search.families.')])")
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "backbones" in told.stdout
    assert "stdano" not in told.stdout


@pytest.mark.parametrize(("read", "found", "expected"), [
    (lambda: digits("f", "digits", "012", 4, 2), "3 characters", "expected 4, found 3"),
    (lambda: digits("f", "digits", "0130", 4, 2), '"3"', "0 to 2"),
    (lambda: digits("f", "digits", "01²0", 4, 2), "xb2", "0 to 2"),
    (lambda: number("f", "width", "99", 1, 64), '"99"', "1 to 64"),
    (lambda: number("f", "width", "9" * 5000, 1, 64), "999", "1 to 64"),
    (lambda: number("f", "width", "-1", 1, 64), '"-1"', "1 to 64"),
    (lambda: number("f", "width", "²", 1, 64), "xb2", "1 to 64"),
    (lambda: parts("f", "edges", "a,b,c", 1, 2), "3", "1 to 2"),
    (lambda: parts("f", "edges", "", 8, 8), "0", "8"),
    (lambda: split("f", "a:b:c", "A:B", 1), "3 fields", "A:B, 1 to 2 fields"),
    (lambda: genotype("f", "cell", "[" * (MAX_NESTING + 1) + "]" * (MAX_NESTING + 1)), "9 deep", "at most 8"),
    (lambda: genotype("f", "cell", "[1, NaN]"), "NaN", "JSON"),
    (lambda: genotype("f", "cell", "[1,"), "Expecting", "JSON"),
])
def test_parts_of_a_notation_are_refused_with_what_is_expected(read, found, expected):
    diagnostic = refusal(read)
    assert diagnostic.code == "SNN404"
    assert found in diagnostic.found
    assert expected in diagnostic.expected


def test_parameters_are_those_of_layers_and_norms():
    graph = Net((3, 4, 4)).conv(5, 3).norm().lif(0.5).linear(7, bias=True).scale(2.0).graph()
    assert parameters(graph) == 5 * 3 * 9 + 2 * 5 + 7 * 80 + 7
    assert genotype("f", "cell", "[[1, 2], [3]]") == [[1, 2], [3]]
