"""`snnc inspect`, `explain` and `targets`."""

from __future__ import annotations

import snncompile as sc
from snncompile.diagnostics.codes import CODES
from snncompile.passes.pipeline_text import passes_from_text
from snncompile.passes.table import Choices
from snncompile.targets.load import NAMES
from tests.cli.running import answer, snnc, tidy


def test_inspect_shows_nodes_and_edges(files, golden):
    shown = [snnc("inspect", files / "small.nir", *more).stdout for more in ([], ["--stage", "legal"])]
    golden("cli-inspect.txt", tidy("\n".join(shown)))


def test_inspect_shows_a_build_in_integers(files):
    found = answer("inspect", files / "build")
    assert (found["name"], found["stage"]) == ("small", "int")
    assert [n["kind"] for n in found["nodes"]] == ["input", "population", "population", "output"]


def test_inspect_prints_the_text_form_which_parses_back(files, tmp_path):
    text = snnc("inspect", files / "small.nir", "--text").stdout
    assert text == str(sc.load(files / "small.nir"))


def test_inspect_runs_the_passes_that_were_named(files):
    pipeline = "canonicalize,form-populations{shared=flatten},quantize{weight_bits=4},retime{hop_ticks=2}"
    graph = sc.load(files / "small.nir")
    passes = passes_from_text(pipeline, Choices(sc.load_target("c99")))
    args = ["inspect", files / "small.nir", "--passes", pipeline.replace("hop_ticks=2", "hop_ticks=2 dilate=auto")]
    text = snnc("inspect", files / "small.nir", "--passes", "canonicalize", "--text").stdout
    assert text == str(passes[0].run(graph))
    found = answer(*args)
    assert found["stage"] == "mapped"
    assert found["passes"].startswith("canonicalize,form-populations{shared=flatten},quantize{weight_bits=4 ")
    assert f"after {found['passes']}\n" in snnc(*args).stdout
    assert answer("inspect", files / "small.nir")["passes"] == ""


def test_options_of_passes_follow_from_the_target(files):
    shown = {t: answer("inspect", files / "small.nir", "--passes", "form-populations", "-t", t)["passes"]
             for t in ("c99", "loihi1")}
    assert shown == {"c99": "form-populations{shared=accumulate}", "loihi1": "form-populations{shared=flatten}"}
    legal = answer("inspect", files / "small.nir", "--stage", "legal")
    assert answer("inspect", files / "small.nir", "--passes", legal["passes"]) == legal


def test_passes_run_on_the_integers_of_a_build(files):
    assert answer("inspect", files / "build", "--passes", "prove-ranges,retime")["stage"] == "mapped"


def test_inspect_draws(files, tmp_path):
    snnc("inspect", files / "small.nir", "--dot", tmp_path / "a.dot", "--svg", tmp_path / "a.svg")
    assert (tmp_path / "a.dot").read_text().startswith("digraph")
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
    assert snnc("inspect", files / "small.nir", "--svg", "-").stdout == (tmp_path / "a.svg").read_text()
    assert snnc("inspect", files / "small.nir", "--dot", tmp_path / "no" / "a.dot", code=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.dot", "a.svg"]


def test_defaults_that_were_assumed_are_said_once_each_on_stderr(files):
    result = snnc("inspect", files / "silent.nir")
    assert result.stderr.count("--compare (compare=...)") == 1
    assert "SNN105" not in result.stdout
    assert {d["code"] for d in answer("inspect", files / "silent.nir")["diagnostics"]} == {"SNN105"}
    assert snnc("inspect", files / "silent.nir", "--as", "norse", "--dt", "1e-4").stderr == ""


def test_warnings_are_not_lost_when_something_fails_later(files):
    args = ["compile", files / "silent.nir", "--calibrate", files / "wrong.npy"]
    assert "warning[SNN105]" in snnc(*args, code=2).stderr
    assert {"SNN105", "SNN501"} == {d["code"] for d in answer(*args, code=2)["diagnostics"]}


def test_explain_tells_about_every_code():
    for name, entry in CODES.items():
        assert answer("explain", name) == {"ok": True, "code": name, "title": entry.title,
                                           "explanation": entry.explanation, "diagnostics": []}
    assert answer("explain", "203")["code"] == answer("explain", "snn203")["code"] == "SNN203"
    assert list(answer("explain")["codes"]) == list(CODES)
    assert "did you mean" in snnc("explain", "SNN2033", code=2).stderr


def test_explain_reads_well(golden):
    golden("cli-explain.txt", tidy(snnc("explain", "SNN301").stdout + snnc("explain", "nonsense", code=2).stderr))


def test_targets_are_listed_and_shown(tmp_path):
    assert [t["name"] for t in answer("targets")["targets"]] == list(NAMES)
    assert answer("targets", "c99")["backend"] == "c"
    (tmp_path / "mine.toml").write_text('title = "Mine"\nbackend = "c"\n')
    assert answer("targets", tmp_path / "mine.toml")["title"] == "Mine"
    assert "C99" in snnc("targets").stdout
    assert "arithmetic.rounding" in snnc("targets", "c99").stdout
    figures = {f["key"]: f for f in answer("targets", "loihi2")["figures"]}
    assert figures["limits.neurons_per_core"]["value"] == 8192
    assert figures["timing.max_delay_ticks"]["provisional"]
    assert "8,192" in snnc("targets", "loihi2").stdout
    assert answer("targets", "c98", code=2)["diagnostics"][0]["code"] == "SNN404"
