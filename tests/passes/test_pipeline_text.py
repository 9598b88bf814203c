"""Pipelines as text: what is written is read back, and whatever else a text holds ends in a diagnostic."""

from __future__ import annotations

import contextlib
import dataclasses
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from snncompile.diagnostics import CompileError
from snncompile.ir.types import Stage
from snncompile.passes.legalize.merge_chains import MergeChains
from snncompile.passes.legalize.or_pools import OrPools
from snncompile.passes.pipeline import run_passes
from snncompile.passes.pipeline_text import (
    MAX_LENGTH,
    PassText,
    expect_stages,
    options_of,
    parse,
    passes_from_text,
    to_text,
)
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.retime.retime import Retime
from snncompile.passes.table import PASSES, Choices, passes_of
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.load import NAMES, load_target
from tests.nets import relay
from tests.strategies import graphs

C99 = Choices(load_target("c99"))
ENTRIES = {entry.name: entry for entry in PASSES}

words = st.text(st.characters(codec="utf-8", exclude_characters=",{}", exclude_categories=["Z", "C"]), min_size=1,
                max_size=8)
names = words.filter(lambda w: "=" not in w)
numbers = st.integers(0, 10**18 - 1) | st.floats(-1e15, 1e15)
constants = st.none() | st.booleans() | numbers
values = constants | words.filter(lambda w: w not in ("none", "true", "false") and not re.match("-?[0-9]", w))
written = st.lists(st.builds(PassText, names, st.dictionaries(names, st.lists(values, max_size=3).map(tuple),
                                                              max_size=3)), min_size=1, max_size=4)


def text_of(pipeline) -> str:
    return ",".join(map(str, pipeline))


def refusal(text: str, choices: Choices = C99) -> str:
    with pytest.raises(CompileError) as e:
        passes_from_text(text, choices)
    return str(e.value)


@given(written)
def test_what_is_written_is_read_back(pipeline):
    assert parse(text_of(pipeline)) == tuple(pipeline)
    assert parse(f"\t{' , '.join(map(str, pipeline))}\n") == tuple(pipeline)


def test_numbers_are_read_as_numbers_if_they_are_finite():
    (p,) = parse("prune{a=1 b=0.5 c=-2 d=1e-3 e=1e999 f=1.}")
    assert [repr(v) for (v,) in p.options.values()] == ["1", "0.5", "-2.0", "0.001", "'1e999'", "'1.'"]


@given(st.text(max_size=60) | st.text("ab-{}=, \t\n\x00é9", max_size=60))
@example("a" * (MAX_LENGTH + 1))
@example(" " * MAX_LENGTH)
@example("a{" + " " * (MAX_LENGTH - 10) + "=")
@example("a{" * (MAX_LENGTH // 2))
@example("retime{hop_ticks=" + "9" * 5000 + "}")
@example("retime{hop_ticks=²}")
def test_any_text_is_read_or_refused(text):
    try:
        passes = passes_from_text(text, C99)
    except CompileError as e:
        codes, passes = {d.code for d in e.diagnostics}, ()
    else:
        codes = set()
        assert passes_from_text(to_text(passes), C99) == passes
    assert codes <= {"SNN701", "SNN404"}


@pytest.mark.parametrize("target", NAMES)
def test_the_passes_of_every_target_have_a_text(target):
    choices = Choices(load_target(target))
    passes = passes_of(choices, *{entry.step for entry in PASSES})
    assert passes_from_text(to_text(passes), choices) == passes
    assert to_text(passes_from_text(to_text(passes), C99)) == to_text(passes)
    assert passes_from_text(",".join(p.name for p in passes), choices) == passes


def test_an_option_that_is_not_written_follows_from_the_target():
    loihi = Choices(load_target("loihi2"), Arithmetic(per="layer"))
    assert passes_from_text("retime{relays=false}", loihi) == (Retime(1, 62, False, state_bits=24),)
    assert passes_from_text("retime", C99) == (Retime(),)  # the target needs none: as the pass itself has it
    assert passes_from_text("quantize{weight_bits=ternary membrane_bits=none}", loihi) == (
        Quantize(Arithmetic(per="layer", weight_bits="ternary"), target=loihi.target),)


def test_a_list_may_hold_one_word_or_none():
    assert passes_from_text("merge-chains{operators=conv}", C99) == (MergeChains(("conv",)),)
    assert passes_from_text("merge-chains{operators=}", C99) == (MergeChains(()),)
    assert passes_from_text("merge-chains{operators=none},or-pools{rule=if compare=>=}", C99) == (
        MergeChains(), OrPools("if", ">="))


@pytest.mark.parametrize(("text", "message"), [
    ("", "no pass where one should stand"),
    ("canonicalize,", "no pass where one should stand"),
    ("canonicalize fold-scales", '"canonicalize fold-scales" at character 1'),
    ("canonicalize,retime{hop_ticks=1", '"retime{hop_ticks=1" at character 14'),
    ("retime{hop_ticks}", '"hop_ticks"'),
    ("retime{hop_ticks=1 hop_ticks=2}", 'option "hop_ticks" stands twice'),
    ("merge-chain", "did you mean merge-chains?"),
    ("retime{hop_tick=1}", "did you mean hop_ticks?"),
    ("fold-scales{a=1}", "none: the pass has no options"),
    ("retime{hop_ticks=true}", "a whole number"),
    ("retime{relays=1}", "true or false"),
    ("retime{hop_ticks=1,2}", "a whole number"),
    ("retime{hop_ticks=-1}", "a whole number"),
    ("retime{max_delay_ticks=0}", "at least 1"),
    ("form-populations{shared=none}", "accumulate or flatten"),
    ("quantize{weight_bits=17}", "1 to 16, or ternary"),
    ("quantize{weight_bits=none}", "1 to 16, or ternary"),
    ("quantize{calibration=none}", "no such option"),
])
def test_what_cannot_be_is_refused_with_what_can(text, message):
    assert message in refusal(text)


def test_all_problems_are_told_together():
    message = refusal("canonicalise,retime{hop_ticks=many dilat=2},quantize{rounding=up per=tensor}")
    assert message.count("error[") == 5


def test_every_option_of_every_pass_says_what_it_can_be():
    for entry in PASSES:
        fields = {f.name for f in dataclasses.fields(entry.kind)} - {"arithmetic", "calibration", "target", "own"}
        extra = {f.name for f in dataclasses.fields(Arithmetic)} if entry.kind is Quantize else set()
        assert set(options_of(entry.kind)) == fields | extra
    assert options_of(Retime)["max_delay_ticks"] == "a whole number or none"
    assert options_of(MergeChains) == {"operators": "a list of words or none"}


@pytest.mark.parametrize(("names", "stage", "message"), [
    ("fold-scales", Stage.FLOAT, "run form-populations before it"),
    ("canonicalize,form-populations,retime", Stage.FLOAT, "run quantize before it"),
    ("form-populations,canonicalize", Stage.FLOAT, "no pass leads back: put it earlier"),
    ("prove-ranges", Stage.MAPPED, "a graph of stage MAPPED"),
])
def test_a_pass_that_needs_another_stage_is_refused_before_any_runs(names, stage, message):
    with pytest.raises(CompileError, match="SNN701") as e:
        expect_stages(passes_from_text(names, C99), stage)
    assert message in str(e.value)


@st.composite
def orders(draw: st.DrawFn) -> list[str]:
    """Passes in an order that their stages allow, some left out and some twice."""
    names = []
    for bridge in ("form-populations", "quantize", "retime"):
        stage = ENTRIES[bridge].kind.needs
        staying = [n for n, entry in ENTRIES.items() if entry.kind.needs == stage == entry.kind.ensures]
        names += draw(st.lists(st.sampled_from(staying), max_size=3))
        if draw(st.integers(0, 5)) == 0:
            break
        names.append(bridge)
    return names


@given(graphs(), orders(), st.sampled_from(NAMES))
def test_any_order_that_the_stages_allow_gives_a_graph_or_a_diagnostic(graph, names, target):
    """Passes that are left out or run twice must not make a graph that a later pass fails on."""
    assume(names)
    passes = passes_from_text(",".join(names), Choices(load_target(target)))
    expect_stages(passes, graph.stage)
    with contextlib.suppress(CompileError):
        assert run_passes(graph, passes).stage == passes[-1].ensures


def test_passes_run_as_written():
    passes = passes_from_text("canonicalize,form-populations,quantize{weight_bits=4},retime{hop_ticks=2}", C99)
    assert run_passes(relay("plain"), passes).schedule.latency_ticks["lif"] == 2
