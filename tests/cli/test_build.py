"""`snnc compile`: its lines, its options, its JSON, and the page that describes it."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re

import pytest

import snncompile as sc
from snncompile.cli.app import app
from snncompile.cli.build import PassOptions
from snncompile.cli.options import ArithmeticOptions, SampleOptions, SourceOptions, TimingOptions, metavar
from snncompile.data import read_input
from snncompile.frontends.netx.options import LIMITS
from snncompile.frontends.nir.conventions import OPTIONS
from snncompile.ir.operations import ROUNDINGS
from snncompile.passes.table import PASSES
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.figures import LARGEST
from snncompile.targets.folding import Folding
from snncompile.targets.program import Program
from tests.cli.running import ROOT, answer, snnc, tidy
from tests.nets import SAMPLES, nir_file


def shown_options(group):
    """The flag and the metavar of each option of a group, by the name that the library has for it."""
    options = {n: option.annotation.__metadata__[0] for n, option in group.options().items()}
    return {n: (option.default, option.metavar) for n, option in options.items()}


def test_compile_prints_the_line_and_writes_the_build(files, tmp_path, golden):
    shown = snnc("compile", files / "small.nir", "--calibrate", files / "data.npz", "--labels", files / "data.npz",
                 "-o", tmp_path / "build").stdout
    assert sc.open_build(tmp_path / "build").verify().ok
    shown = re.sub(r"\d+([.,]\d+)*(e[-+]\d+)?", "#", re.sub(rf"{re.escape(str(tmp_path))}(/build/ +)?", "TMP", shown))
    golden("cli-compile.txt", re.sub(r" {2,}", "  ", tidy(shown)))


def test_compile_without_an_output_writes_nothing(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "nothing written" in snnc("compile", files / "small.nir").stdout
    assert list(tmp_path.iterdir()) == []


def test_compile_answers_with_the_report(files, tmp_path):
    found = answer("compile", files / "small.nir", "--calibrate", files / "data.npz", "--labels", files / "data.npz",
                   "--output", tmp_path / "build", "--weight-bits", "4")
    assert found["folder"] == str(tmp_path / "build")
    assert "c/small.c" in found["files"]
    assert [p["name"] for p in found["populations"]] == ["lif1", "lif2"]
    assert found["agreement"]["samples"] == SAMPLES
    assert found["options"]["weight_bits"] == 4
    saved = json.loads((tmp_path / "build" / "report.json").read_text())
    assert saved["options"] == found["options"]


def test_compile_passes_every_option_on(files):
    reading = {"dt": "0.5", "discretization": "exp", "gain": "ode", "reset": "zero", "reset-when": "after-decay",
               "compare": ">", "max-spikes": "2", "v-min": "-1", "filter": "add-first", "v-init": "reset",
               "values": "spike", "decode": "max"}
    numbers = {"weight-bits": "ternary", "membrane-bits": "20", "decay-bits": "9", "rounding": "floor",
               "overflow": "wrap", "per": "layer", "spike-bits": "3", "input-bits": "4", "table-bits": "6",
               "graded-bits": "16"}
    flags = [x for n, v in {**reading, **numbers}.items() for x in (f"--{n}", v)]
    options = answer("compile", files / "silent.nir", "--as", "norse", *flags)["options"]
    assert options["as_"] == "norse"
    for name, value in {**reading, **numbers}.items():
        assert str(options[name.replace("-", "_")]) == value


def test_quiet_prints_only_warnings(files):
    result = snnc("compile", files / "small.nir", "--quiet")
    assert result.stdout == ""
    assert "warning[SNN405]" in result.stderr
    assert snnc("compile", files / "small.nir", "-q", "--calibrate", files / "data.npz").output == ""


def test_graphs_are_printed_after_the_passes_that_were_named(files):
    shown = snnc("compile", files / "small.nir", "-q", "--print-after", "read", "--print-after", "quantize").stdout
    first, second = shown.split("; after quantize\n")
    assert first == f"; after read\n{sc.load(files / 'small.nir')}"
    assert 'graph "small" int' in second
    every = snnc("compile", files / "small.nir", "-q", "--print-after-all").stdout
    names = [entry.name for entry in PASSES if entry.step != "retime"]
    assert re.findall(r"^; after (.*)$", every, re.M) == ["read", *names]


def test_passes_are_timed(files):
    shown = snnc("compile", files / "small.nir", "--time-passes").stdout
    assert re.search(r"^quantize +\d+\.\d{3}", shown, re.M)
    assert re.search(r"^emit +\d+\.\d{3}", shown, re.M)


def test_a_users_target_file_is_taken(files, tmp_path):
    (tmp_path / "mine.toml").write_text('title = "Mine"\nbackend = "c"\n[arithmetic]\nrounding = "floor"\n')
    found = answer("compile", files / "small.nir", "--target", tmp_path / "mine.toml")
    assert (found["target"], found["options"]["rounding"]) == ("mine", "floor")


def test_the_flags_are_the_options_of_the_library():
    """One list in each place: a new option must appear on the command line, under its own flag."""
    def flags(group):
        return {n: flag for n, (flag, _) in shown_options(group).items()}

    assert flags(SourceOptions) == {**{n: o.flag for n, o in OPTIONS.items()}, "states": "--states",
                                     "example_input": "--example-input",
                                     **{n: f"--{n.replace('_', '-')}" for n in (*LIMITS, "input_shape")}}
    assert set(flags(ArithmeticOptions)) == {f.name for f in dataclasses.fields(Arithmetic)} | {"layers"}
    assert set(flags(SampleOptions)) == set(inspect.signature(read_input).parameters) - {"path", "shape"}
    for name, (_, shown) in shown_options(SourceOptions).items():
        if name in OPTIONS:
            words = {w for w in re.split(r" \| ", OPTIONS[name].accepts) if " " not in w}
            assert words <= set(shown.split("|"))


def test_the_options_of_integers_are_the_fields_of_arithmetic():
    options = shown_options(ArithmeticOptions)
    assert options["weight_bits"] == ("--weight-bits", "1..16|ternary|auto")
    assert options["membrane_bits"] == ("--membrane-bits", "2..32|auto")
    assert options["rounding"] == ("--rounding", "|".join(ROUNDINGS))
    assert metavar({"kind": "whole", "low": 3, "high": LARGEST, "words": ()}) == "3.."
    assert metavar({"kind": "flag", "low": 0, "high": LARGEST, "words": ()}) is None
    told = snnc("compile", "--help").stdout
    for f in dataclasses.fields(Arithmetic):
        assert f"--{f.name.replace('_', '-')}" in told
        assert f.metadata["what"].split()[0] in told


def test_a_chip_is_one_of_the_steps(files):
    shown = snnc("compile", files / "small.nir", "--target", "loihi2").stdout
    steps = [line.split()[0] for line in shown.splitlines() if line.startswith(" ")]
    assert [s for s in steps if s in ("retime", "partition", "estimate")] == ["retime", "partition", "estimate"]
    assert "lower bound 1 " in shown


def test_time_is_dilated_where_that_is_asked_for(files):
    dilated = answer("compile", files / "small.nir", "--target", "loihi2", "--dilate", "3")
    assert (dilated["dilation"], dilated["latency_ticks"]) == (3, 2)
    assert answer("compile", files / "small.nir", "--target", "loihi2", "--dilate", "auto")["dilation"] == 1


def test_the_page_about_the_command_line_names_every_command_option_and_pass():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    words = set(re.findall(r"[\w-]+", page))
    groups = (SourceOptions, ArithmeticOptions, TimingOptions, SampleOptions, PassOptions)
    flags = [flag for group in groups for flag, _ in shown_options(group).values()]
    assert {c.name for c in app.registered_commands} <= words
    assert [flag for flag in flags if f"`{flag}" not in page] == []
    assert {"passes.md", "`read`"} <= set(re.findall(r"passes\.md|`read`", page))


def test_widths_are_chosen_edited_and_given_back(files, tmp_path):
    data = ["--calibrate", files / "data.npz"]
    chosen = answer("compile", files / "small.nir", *data, "-o", tmp_path / "build", "--weight-bits", "auto",
                    "--budget", "weight_kib=100")
    first, second = (own["weight_bits"] for own in chosen["layers"].values())
    assert first > 4
    path = tmp_path / "layers.toml"
    path.write_text((tmp_path / "build" / "layers.toml").read_text().replace(str(first), "4", 1))
    again = answer("compile", files / "small.nir", *data, "--layers", path)
    assert [own["weight_bits"] for own in again["layers"].values()] == [4, second]
    assert [p["weight_bits"] for p in again["populations"]] == [4, second]
    weights = [answer("check", files / "small.nir", *more)["cost"]["weight_bits"] for more in ((), ("--layers", path))]
    assert weights[1] < weights[0]
    least = answer("compile", files / "small.nir", *data, "--weight-bits", "auto", "--max-drop", "1")
    assert [own["weight_bits"] for own in least["layers"].values()] == [2, 2]


def test_samples_held_out_have_lines_of_their_own(files):
    data = files / "data.npz"
    held_out = ["--validate", data, "--validate-labels", data]
    shown = snnc("compile", files / "small.nir", "--calibrate", data, *held_out).stdout
    compared, validated = (line for line in shown.splitlines() if "spikes equal" in line)
    assert re.sub(r"[\d.]+ s$", "", compared).split()[1:] == re.sub(r"[\d.]+ s$", "", validated).split()[1:]
    assert f"of {SAMPLES} held out" in shown
    refusal = answer("compile", files / "small.nir", "--validate-labels", data, code=2)
    assert refusal["diagnostics"][0]["place"] == "option --validate-labels"


VALUES = {"lines": (), "fastest": (), "memory": ("block",), "latency_us": ("1000",), "samples_per_s": ("10",),
          "weights_as": ("binary",)}
"""What options of folding and programs take on the command line; the others take a number."""


@pytest.mark.parametrize("name", [*Folding.names(), *Program.names()])
def test_every_option_of_folding_and_of_programs_reaches_the_compiler(tmp_path, name):
    """An option may be called like a parameter on the way."""
    target = "c99" if name in Program.names() else "ecp5-25f"
    flag = f"--{name.replace('_', '-')}"
    result = snnc("compile", nir_file(tmp_path), "--target", target, flag, *VALUES.get(name, ("1",)))
    assert "defect" not in result.output
    assert "nothing written" in result.output
