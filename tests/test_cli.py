"""The command line: every command, every exit code, JSON, and bad input of every kind."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import snncompile as sc
from snncompile.backends.c.host import compiler
from snncompile.cli.app import app
from snncompile.cli.build import Passes
from snncompile.cli.command import options_of
from snncompile.cli.options import Numbers, Reading, Samples
from snncompile.cli.out import exit_code
from snncompile.codes import CODES
from snncompile.data import read_input
from snncompile.diagnostics import Diagnostic
from snncompile.folder import MANIFEST
from snncompile.frontends.conventions import OPTIONS
from snncompile.line import GRAPHS
from snncompile.passes.arithmetic import Arithmetic
from tests.nets import SAMPLES, TICKS, nir_file, relay, small, spikes, two_inputs
from tests.test_folder import forge

ROOT = Path(__file__).parent.parent
needs_c = pytest.mark.skipif(compiler() is None, reason="no C compiler")


def snnc(*args, code: int = 0):
    """Run a command in this process; whatever happens, it ends with an exit code and no traceback."""
    result = CliRunner().invoke(app, [str(a) for a in args])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert result.exit_code == code, result.output
    return result


def answer(*args, code: int = 0):
    """What `--json` prints; nothing else may be printed."""
    result = snnc(*args, "--json", code=code)
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert found["ok"] is (code == 0)
    return found


def program(*args, folder=None, **environment):
    """Run the program in a process of its own."""
    run = subprocess.run([sys.executable, "-m", "snncompile", *map(str, args)], capture_output=True, text=True,
                         check=False, cwd=folder or ROOT, timeout=120, encoding="utf-8",
                         env={**os.environ, "PYTHONPATH": str(ROOT), **environment})
    assert "Traceback" not in run.stderr
    return run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network, samples with labels, and a build; tests write elsewhere."""
    folder = tmp_path_factory.mktemp("cli")
    x = spikes()
    decisions = sc.compile(small(), calibration=x).reference(x).decisions
    np.savez(folder / "data.npz", x=x, y=decisions)
    np.save(folder / "wrong.npy", np.zeros((2, 3, 7)))
    nir_file(folder)
    nir_file(folder, silent=True)
    sc.compile(folder / "small.nir", calibration=x).save(folder / "build")
    return folder


def tidy(text: str) -> str:
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


# --- looking ---------------------------------------------------------------------------------------------


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
    assert [t["name"] for t in answer("targets")["targets"]] == ["c99"]
    assert answer("targets", "c99")["backend"] == "c"
    (tmp_path / "mine.toml").write_text('title = "Mine"\nbackend = "c"\n')
    assert answer("targets", tmp_path / "mine.toml")["title"] == "Mine"
    assert "C99" in snnc("targets").stdout
    assert "arithmetic.rounding" in snnc("targets", "c99").stdout
    assert answer("targets", "c98", code=2)["diagnostics"][0]["code"] == "SNN404"


# --- compiling -------------------------------------------------------------------------------------------


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
    assert re.findall(r"^; after (.*)$", every, re.M) == [
        "read", "canonicalize", "form-populations", "fold-scales", "quantize", "prove-ranges"]


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
        return {n: hint.__metadata__[0].default for n, hint in options_of(group).items()}

    assert flags(Reading) == {n: o.flag for n, o in OPTIONS.items()}
    assert set(flags(Numbers)) == {f.name for f in dataclasses.fields(Arithmetic)}
    assert set(flags(Samples)) == set(inspect.signature(read_input).parameters) - {"path", "shape"}
    for name, hint in options_of(Reading).items():
        (option,) = hint.__metadata__
        words = {w for w in re.split(r" \| ", OPTIONS[name].accepts) if " " not in w}
        assert words <= set(option.metavar.split("|"))


def test_the_page_about_the_command_line_names_every_command_option_and_pass():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    words = set(re.findall(r"[\w-]+", page))
    hints = [hint for group in (Reading, Numbers, Samples, Passes) for hint in options_of(group).values()]
    assert {c.name for c in app.registered_commands} <= words
    assert [h.__metadata__[0].default for h in hints if f"`{h.__metadata__[0].default}" not in page] == []
    assert set(GRAPHS) <= words


# --- running ---------------------------------------------------------------------------------------------


@needs_c
def test_run_gives_what_the_model_gives(files, tmp_path):
    found = answer("run", files / "build", files / "data.npz", "--labels", files / "data.npz",
                   "-o", tmp_path / "out.npz")
    result = sc.open_build(files / "build").reference(spikes())
    assert found["backend"] == "c"
    assert found["decisions"] == result.decisions.tolist()
    assert found["correct"] == found["samples"] == SAMPLES
    assert found["spike_counts"]["lif1"] == result.spike_counts["lif1"].tolist()
    with np.load(tmp_path / "out.npz", allow_pickle=False) as written:
        assert np.array_equal(written["output0"], result.outputs)
        assert written["decisions"].tolist() == found["decisions"]
        assert written["population_names"].tolist() == ["lif1", "lif2"]
        assert written["output_names"].tolist() == ["out"]
        assert written["unit0"] == 1.0
        assert written["spike_counts"].shape == (2, SAMPLES)
    assert [p.name for p in tmp_path.iterdir()] == ["out.npz"]


def test_run_can_be_told_to_use_the_reference(files):
    a = answer("run", files / "build", files / "data.npz", "--reference")
    b = answer("run", files / "build", files / "data.npz")
    assert a["backend"] == "interpreter"
    assert (a["decisions"], a["spike_counts"]) == (b["decisions"], b["spike_counts"])
    assert a["correct"] is None


def test_run_says_so_where_the_interpreter_takes_over(files, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    result = snnc("run", files / "build", files / "data.npz")
    assert result.stderr.startswith("note[SNN601]")
    assert "no C compiler was found" in result.stderr
    assert re.search(r"^ run +interpreter", result.stdout, re.M)
    found = answer("run", files / "build", files / "data.npz")
    assert found["diagnostics"][0]["code"] == "SNN601"
    assert snnc("run", files / "build", files / "data.npz", "--reference").stderr == ""


def test_run_compiles_a_source_first(files):
    shown = snnc("run", files / "small.nir", files / "data.npz", "--labels", files / "data.npz").stdout
    steps = re.findall(r"^ (\w+)", shown, re.M)
    assert steps == ["read", "legalize", "calibrate", "quantize", "ranges", "compare", "run", "decide", "correct"]
    found = answer("run", files / "small.nir", files / "data.npz", "--calibrate", files / "data.npz")
    assert found["decisions"] == answer("run", files / "build", files / "data.npz")["decisions"]


def test_run_takes_several_inputs_from_one_file(tmp_path):
    rng = np.random.default_rng(0)
    sc.compile(two_inputs()).save(tmp_path / "build")
    np.savez(tmp_path / "both.npz", frame=rng.uniform(-1, 1, (3, 5, 5)), spikes=rng.integers(0, 2, (3, 5, 4)))
    assert answer("run", tmp_path / "build", tmp_path / "both.npz")["samples"] == 3
    np.save(tmp_path / "one.npy", np.zeros((3, 5, 4)))
    assert answer("run", tmp_path / "build", tmp_path / "one.npy", code=2)["diagnostics"][0]["code"] == "SNN701"
    assert snnc("run", tmp_path / "build", tmp_path / "both.npz", "--key", "frame", code=2)


def test_static_frames_are_encoded(files, tmp_path):
    np.save(tmp_path / "frames.npy", np.random.default_rng(0).random((4, 6)) * 16)
    how = ["--encode", "rate", "--ticks", "7", "--scale", "16", "--seed"]
    found = [answer("run", files / "build", tmp_path / "frames.npy", *how, seed)["spike_counts"] for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_event_files_are_binned(files, tmp_path):
    (tmp_path / "events.csv").write_text("t,index\n0,0\n2500,3\n")
    assert answer("run", files / "build", tmp_path / "events.csv", "--tick-us", "500", "--ticks", "9")["samples"] == 1


# --- verifying -------------------------------------------------------------------------------------------


def test_verify_is_content_with_a_fresh_build(files):
    found = answer("verify", files / "build")
    assert (found["samples"], found["ticks"], found["populations"]) == (4, TICKS, 2)
    assert "every spike and state" in snnc("verify", files / "build").stdout


@needs_c
def test_verify_fails_with_the_differences(files, tmp_path):
    sc.open_build(files / "build").save(tmp_path / "build")
    source = (tmp_path / "build" / "c" / "small_weights.c").read_text()
    head, brace, rest = source.rpartition("= {")
    first = rest.strip().split(",")[0]
    forge(tmp_path / "build", "c/small_weights.c", (head + brace + rest.replace(first, "100", 1)).encode())
    result = snnc("verify", tmp_path / "build", code=1)
    assert result.stderr.startswith("error[SNN603]: verification failed\n")
    assert 'population "lif2"' in result.stderr
    assert "tick" in result.stderr
    assert {d["code"] for d in answer("verify", tmp_path / "build", code=1)["diagnostics"]} == {"SNN603"}


def test_verify_says_so_where_only_the_interpreter_ran(files, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    result = snnc("verify", files / "build")
    assert "no C compiler was found" in result.stderr
    assert "interpreter = reference" in result.stdout


# --- refusals --------------------------------------------------------------------------------------------


REFUSALS = {
    "no file": (["compile", "none.nir"], 2, "SNN101"),
    "no source": (["compile", "none.onnx"], 2, "SNN107"),
    "not HDF5": (["compile", "text.nir"], 2, "SNN101"),
    "not the text form": (["inspect", "bad.snn"], 2, "SNN102"),
    "a folder": (["compile", "folder.nir"], 2, "SNN101"),
    "a loop without delay": (["compile", "loop.snn"], 1, "SNN301"),
    "an integer graph": (["compile", "build/graph.snn"], 1, "SNN204"),
    "a bad option": (["compile", "small.nir", "--weight-bits", "33"], 2, "SNN404"),
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
                                  ["compile", "a.nir", "--membrane-bits", "many"], ["run", "build"],
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


# --- as a program ----------------------------------------------------------------------------------------


def test_the_version_is_printed():
    assert snnc("--version").stdout == f"snnc {sc.__version__}\n"
    assert program("--version").stdout == f"snnc {sc.__version__}\n"


def test_help_names_every_command():
    shown = program("--help").stdout
    for name in ("inspect", "compile", "run", "verify", "explain", "targets"):
        assert re.search(rf"\b{name}\b", shown)


@pytest.mark.parametrize("heavy", ["numpy", "networkx", "scipy", "h5py", "jinja2"])
def test_help_loads_nothing_heavy(heavy):
    code = f"import sys, snncompile.cli; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_program_compiles_verifies_and_runs(files, tmp_path):
    built = program("compile", files / "small.nir", "--calibrate", files / "data.npz", "-o", "build", folder=tmp_path)
    assert (built.returncode, built.stderr) == (0, "")
    assert "\x1b" not in built.stdout
    assert (tmp_path / "build" / MANIFEST).exists()
    assert program("verify", "build", folder=tmp_path).returncode == 0
    ran = program("run", "build", files / "data.npz", "--json", folder=tmp_path)
    assert json.loads(ran.stdout)["samples"] == SAMPLES
    refused = program("compile", "none.nir", folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error[SNN101]: cannot read the file\n")


def test_output_that_cannot_be_encoded_is_replaced(files):
    shown = program("inspect", files / "build", PYTHONIOENCODING="ascii")
    assert shown.returncode == 0
    assert "lif1" in shown.stdout
    svg = program("inspect", files / "build", "--svg", "-", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert svg.returncode == 0


BROKEN = ("import sys, snncompile.frontends\n"
          "def load(*args, **options):\n    raise KeyError('a defect')\n"
          "snncompile.frontends.load = load\n"
          "from snncompile.cli import main\nmain()\n")


@pytest.mark.parametrize("debug", [False, True])
def test_a_defect_is_one_line_unless_more_is_wanted(debug):
    options = ["--debug"] if debug else []
    run = subprocess.run([sys.executable, "-c", BROKEN, *options, "inspect", "a.nir"], cwd=ROOT, check=False,
                         capture_output=True, text=True)
    assert run.returncode == 3
    assert run.stdout == ""
    assert ("Traceback" in run.stderr) is debug
    if not debug:
        assert run.stderr.startswith("snnc: a defect of the compiler: KeyError: 'a defect'\nPlease report it")


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_colour_and_progress_are_for_terminals(files):
    import pty

    leader, follower = pty.openpty()
    try:
        run = subprocess.Popen([sys.executable, "-m", "snncompile", "compile", str(files / "small.nir")], cwd=ROOT,
                               stdout=follower, stderr=follower, stdin=follower,
                               env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)})
        run.wait(60)
        shown = os.read(leader, 1 << 16).decode()
    finally:
        os.close(leader)
        os.close(follower)
    assert run.returncode == 0
    assert "\x1b[1;36m read" in shown
