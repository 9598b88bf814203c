"""Bad input of every kind: a diagnostic, its exit code, nothing written, no traceback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.cli.out import Out, exit_code
from snncompile.diagnostics import Diagnostic
from tests.cli.running import answer, snnc
from tests.nets import SAMPLES, relay

REFUSALS = {
    "no file": (["compile", "none.nir"], 2, "SNN101"),
    "no source": (["compile", "none.tflite"], 2, "SNN107"),
    "not HDF5": (["compile", "text.nir"], 2, "SNN101"),
    "not the text form": (["inspect", "bad.snn"], 2, "SNN102"),
    "a folder": (["compile", "folder.nir"], 2, "SNN101"),
    "a loop without delay": (["compile", "loop.snn"], 1, "SNN301"),
    "a choice for given integers": (["compile", "build/graph.snn", "--weight-bits", "4"], 2, "SNN404"),
    "a bad option": (["compile", "small.nir", "--weight-bits", "33"], 2, "SNN404"),
    "a bad dilation": (["compile", "small.nir", "-t", "loihi2", "--dilate", "half"], 2, "SNN404"),
    "nothing to dilate": (["compile", "small.nir", "--dilate", "2"], 2, "SNN404"),
    "no number": (["compile", "small.nir", "--weight-bits", "²"], 2, "SNN404"),
    "a bad reading": (["compile", "small.nir", "--dt", "fast"], 2, "SNN404"),
    "an option of NIR": (["compile", "plain.snn", "--dt", "1"], 2, "SNN404"),
    "a bad target": (["compile", "small.nir", "-t", "abacus"], 2, "SNN404"),
    "no samples": (["compile", "small.nir", "--calibrate", "none.npz"], 2, "SNN502"),
    "wrong samples": (["compile", "small.nir", "--calibrate", "wrong.npy"], 2, "SNN501"),
    "labels alone": (["compile", "small.nir", "--labels", "data.npz"], 2, "SNN501"),
    "samples' options alone": (["compile", "small.nir", "--ticks", "3"], 2, "SNN701"),
    "no pass": (["compile", "small.nir", "--print-after", "vectorise"], 2, "SNN701"),
    "a foreign folder": (["compile", "small.nir", "-o", "."], 2, "SNN602"),
    "an output below a file": (["compile", "small.nir", "-o", "text.nir/build"], 2, "SNN602"),
    "no build": (["verify", "folder.nir"], 2, "SNN604"),
    "a changed build": (["verify", "changed"], 2, "SNN604"),
    "nothing to verify": (["verify", "none"], 2, "SNN604"),
    "nothing to run": (["run", "none", "data.npz"], 2, "SNN107"),
    "no data": (["run", "build", "none.npz"], 2, "SNN502"),
    "wrong data": (["run", "build", "wrong.npy"], 2, "SNN501"),
    "a build's options": (["run", "build", "data.npz", "--weight-bits", "4"], 2, "SNN701"),
    "a build's reading": (["run", "build", "data.npz", "--as", "norse"], 2, "SNN701"),
    "a build's samples": (["run", "build", "data.npz", "--calibrate", "data.npz"], 2, "SNN701"),
    "a strange output": (["run", "build", "data.npz", "-o", "out.csv"], 2, "SNN701"),
    "an output nowhere": (["run", "build", "data.npz", "-o", "none/out.npz"], 2, "SNN602"),
    "other labels": (["run", "build", "data.npz", "--labels", "labels.npy"], 2, "SNN501"),
    "no stage": (["inspect", "small.nir", "--stage", "int"], 2, "SNN701"),
    "no passes": (["inspect", "small.nir", "--passes", ""], 2, "SNN701"),
    "an unknown pass": (["inspect", "small.nir", "--passes", "canonicalise"], 2, "SNN701"),
    "a pass too early": (["inspect", "small.nir", "--passes", "canonicalize,quantize"], 2, "SNN701"),
    "a pass too late": (["inspect", "build", "--passes", "canonicalize"], 2, "SNN701"),
    "an unknown option of a pass": (["inspect", "small.nir", "--passes", "canonicalize{hard=true}"], 2, "SNN404"),
    "a wrong option of a pass": (["inspect", "small.nir", "--passes", "form-populations{shared=2}"], 2, "SNN404"),
    "passes and a stage": (["inspect", "small.nir", "--passes", "canonicalize", "--stage", "legal"], 2, "SNN701"),
    "passes without weights": (["inspect", "shapes.snn", "--passes", "form-populations,quantize"], 1, "SNN203"),
    "a build's stage": (["inspect", "build", "--stage", "legal"], 2, "SNN701"),
    "no code": (["explain", "SNN000"], 2, "SNN701"),
    "no target": (["targets", "none.toml"], 2, "SNN101"),
}


@pytest.fixture
def here(files, tmp_path, monkeypatch):
    """A working folder with good and bad files."""
    for path in files.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "text.nir").write_text("not HDF5")
    (tmp_path / "bad.snn").write_text("snnc 1\nnonsense\n")
    (tmp_path / "shapes.snn").write_text(str(relay("plain")).replace("p.gain=1.0", "p.gain=?float32[2]"))
    (tmp_path / "folder.nir").mkdir()
    np.save(tmp_path / "labels.npy", np.zeros(SAMPLES + 1, int))
    plain = str(relay("plain"))
    (tmp_path / "plain.snn").write_text(plain)
    (tmp_path / "loop.snn").write_text(plain + 'edge "lif" "join"\n')
    sc.open_build(files / "build").save(tmp_path / "changed")
    with (tmp_path / "changed" / "c" / "small.c").open("a") as source:
        source.write("/* changed */\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder: Path) -> list[str]:
    return sorted(str(p) for p in folder.rglob("*"))


@pytest.mark.parametrize(("args", "code", "diagnostic"), REFUSALS.values(), ids=REFUSALS)
def test_bad_input_ends_in_a_diagnostic_and_writes_nothing(here, args, code, diagnostic):
    before = everything(here)
    result = snnc(*args, code=code)
    assert f"error[{diagnostic}]" in result.stderr
    assert "error[" not in result.stdout
    found = answer(*args, code=code)
    assert diagnostic in {d["code"] for d in found["diagnostics"]}
    assert everything(here) == before


@pytest.mark.parametrize("args", [
    ["compile", "small.nir", "--print-after-all", "--json"], ["inspect", "small.nir", "--text", "--json"],
    ["inspect", "small.nir", "--svg", "-", "--json"],
])
def test_json_stands_alone(here, args):
    assert json.loads(snnc(*args, code=2).stdout)["diagnostics"][0]["code"] == "SNN701"


@pytest.mark.parametrize("args", [[], ["compile"], ["compile", "a", "b"], ["frobnicate"], ["compile", "--frob", "a"],
                                  ["compile", "a.nir", "--decay-bits", "many"], ["run", "build"],
                                  ["inspect", "[/bold]", "[red]"]])
def test_usage_is_explained(args):
    result = snnc(*args, code=2)
    assert "Usage" in result.output


def test_all_problems_are_reported_together(files):
    result = snnc("compile", files / "small.nir", "--decay-bits", "99", "--rounding", "up", code=2)
    assert result.stderr.count("error[SNN404]") == 2
    assert result.stderr.endswith("2 problems\n")


def test_names_in_messages_do_nothing_to_a_terminal(tmp_path):
    graph = relay("x\x1b[2J[bold]y[/bold]", "\x1b]0;title\x07 [link=http://x]n[/]")
    sc.compile(graph).save(tmp_path / "build")
    for args in (["inspect", tmp_path / "build"], ["verify", tmp_path / "build"]):
        shown = snnc(*args).output
        assert all(c.isprintable() or c == "\n" for c in shown)
    shown = snnc("inspect", tmp_path / "build").stdout
    assert "[link=http://x]n[/]" in shown
    result = snnc("compile", "a\x1b[2J.nir", code=2)
    assert "\x1b" not in result.output


@pytest.mark.parametrize(("codes", "expected"), [
    (["SNN101"], 2), (["SNN501"], 2), (["SNN701"], 2), (["SNN404"], 2), (["SNN405"], 2), (["SNN602"], 2),
    (["SNN604"], 2), (["SNN201"], 1), (["SNN301"], 1), (["SNN401"], 1), (["SNN601"], 1), (["SNN603"], 1),
    (["SNN301", "SNN102"], 2),
])
def test_the_exit_code_follows_from_the_diagnostics(codes, expected):
    assert exit_code([Diagnostic(c, "here", "something") for c in codes]) == expected


@pytest.mark.parametrize(("args", "place"), [
    (["--weight-bits", "99"], "option --weight-bits"), (["-t", "lohi"], "option --target"),
    (["--dilate", "4"], "option --dilate"), (["--chunk", "4", "-t", "loihi2"], "options --chunk"),
    (["--budget", "corse=3", "--weight-bits", "auto"], "option --budget"), (["--v-min", "x"], "option --v-min"),
    (["--states", "a=b"], "option --states of a NIR file")])
def test_options_are_named_as_the_user_types_them(files, args, place):
    [problem] = answer("compile", files / "small.nir", *args, code=2)["diagnostics"]
    assert problem["place"] == place


@pytest.mark.parametrize(("place", "shown"), [
    ("option weight_bits", "option --weight-bits"), ("options lanes, units", "options --lanes, --units"),
    ('option "dt" of a file', "option --dt of a file"),
    ('option states, "values": "reset"', 'option --states, "values": "reset"'),
    ('file "my option reset.nir"', 'file "my option reset.nir"'), ('node "option values"', 'node "option values"'),
    ("options of layer lanes", "options of layer lanes")])
def test_nothing_but_options_becomes_a_flag(place, shown):
    known = ("weight_bits", "lanes", "units", "dt", "states", "values", "reset")
    flags = {name: f"--{name.replace('_', '-')}" for name in known}
    assert Out(flags=flags)._as_typed(Diagnostic("SNN404", place, "x")).place == shown
