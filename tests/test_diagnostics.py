"""Diagnostics: their text, their JSON, collecting them, and names that try to be clever."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import snncompile
from snncompile.diagnostics import Collector, CompileError, Diagnostic, alike, fail, shorten
from snncompile.diagnostics.codes import CODES

FULL = Diagnostic("SNN301", 'edge "b -> a"', "3 edges of delay 0 form a loop", "at least one delay", "give it a delay")


def test_a_diagnostic_prints_place_found_expected_and_help():
    assert str(FULL) == (
        "error[SNN301]: a cycle without delay\n"
        '  --> edge "b -> a"\n'
        "  found:    3 edges of delay 0 form a loop\n"
        "  expected: at least one delay\n"
        "  help:     give it a delay"
    )


@pytest.mark.parametrize(("code", "label"), [("SNN416", "limit"), ("SNN105", "since"), ("SNN411", "expected")])
def test_the_code_says_whether_a_bound_a_form_or_a_reason_follows(code, label):
    lines = str(Diagnostic(code, "here", "5", "4", "do")).splitlines()[2:]
    assert [line.split() for line in lines] == [["found:", "5"], [f"{label}:", "4"], ["help:", "do"]]
    assert {line.rindex(" ") for line in lines} == {len(f"  {label}:")}
    assert Diagnostic(code, "here", "5", "4").to_json()["expected"] == "4"


def test_what_is_not_known_is_not_printed():
    assert str(Diagnostic("SNN105", "file", "dt = 1", severity="warning")).splitlines() == [
        "warning[SNN105]: a default was assumed", "  --> file", "  found: dt = 1"]


def test_json_holds_the_same_facts():
    assert json.loads(json.dumps(FULL.to_json())) == {
        "severity": "error", "code": "SNN301", "title": "a cycle without delay", "place": 'edge "b -> a"',
        "found": "3 edges of delay 0 form a loop", "expected": "at least one delay", "help": "give it a delay"}


def test_a_code_that_does_not_exist_cannot_be_used():
    with pytest.raises(KeyError, match="SNN999"):
        Diagnostic("SNN999", "here", "something")


def test_fail_raises_one_diagnostic():
    with pytest.raises(CompileError, match="SNN101") as caught:
        fail("SNN101", "file net.nir", "no such file")
    assert [d.place for d in caught.value.diagnostics] == ["file net.nir"]


def test_all_errors_are_reported_together_and_warnings_are_handed_back():
    found = Collector()
    found.warn("SNN105", "a", "dt = 1")
    assert [d.severity for d in found.finish()] == ["warning"]
    found.error("SNN201", "b", "lost")
    found.error("SNN202", "c", "odd")
    with pytest.raises(CompileError) as caught:
        found.finish()
    assert [d.code for d in caught.value.diagnostics] == ["SNN201", "SNN202"]
    assert str(caught.value).count("-->") == 2


@given(st.text(max_size=200))
def test_a_name_in_a_message_is_one_printable_line_of_bounded_length(name):
    text = shorten(name)
    assert text.isprintable()
    assert len(text) <= 62
    assert text[0] == text[-1] == '"'


def test_a_name_cannot_steer_a_terminal():
    assert shorten("\x1b[2Jconv") == '"\\x1b[2Jconv"'


def test_every_code_has_a_title_and_an_explanation():
    for code, entry in CODES.items():
        assert re.fullmatch(r"SNN[1-7]\d\d", code)
        assert entry.title
        assert not entry.title.endswith(".")
        assert entry.explanation.endswith(".")


def test_every_code_is_used_and_every_used_code_exists():
    sources = Path(snncompile.__file__).parent.rglob("*.py")
    text = "\n".join(p.read_text(encoding="utf-8") for p in sources if p.name != "codes.py")
    assert set(re.findall(r"SNN\d{3}", text)) == set(CODES)


def test_a_long_name_keeps_its_beginning_and_a_long_path_its_end():
    assert shorten("a" * 50 + "b" * 50) == f'"{"a" * 50}{"b" * 7}..."'
    assert shorten(Path("x" * 100) / "net.nir").endswith('xx/net.nir"')
    assert len(shorten(Path("x" * 100))) == len(shorten("x" * 100)) == 62


@pytest.mark.parametrize(("places", "told"), [
    (['node "a"'], 'node "a"'), (['node "a"', 'node "b"'], 'node "a" and "b"'),
    (['node "a"', 'node "b"', 'node "a"', 'node "c"'], 'node "a", "b" and "c"'),
    ([f'node "{c}"' for c in "abcde"], 'node "a", "b", "c" and 2 more'),
    (['node "a"', 'edge "b"'], 'node "a" and edge "b"'), (["quantize", "quantize"], "quantize"),
])
def test_findings_that_differ_in_their_place_only_are_told_as_one(places, told):
    found = alike([Diagnostic("SNN105", place, "x", severity="warning") for place in places])
    assert [d.place for d in found] == [told]


def test_findings_that_differ_elsewhere_stay_apart_and_in_order():
    given = [Diagnostic("SNN105", "a", "x"), Diagnostic("SNN105", "a", "y"), Diagnostic("SNN105", "b", "x", "z")]
    assert alike(given) == given
