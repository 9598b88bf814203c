"""`snnc run` and `snnc verify`."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np

import snncompile as sc
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from tests.cli.running import answer, needs_c, snnc
from tests.nets import SAMPLES, TICKS, spikes, two_inputs
from tests.test_build_folder import forge


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


@needs_c
def test_threads_change_no_result(files):
    a, b = (answer("run", files / "build", files / "data.npz", "--threads", n) for n in (1, 2))
    assert (a["decisions"], a["spike_counts"]) == (b["decisions"], b["spike_counts"])
    refused = snnc("run", files / "build", files / "data.npz", "--threads", 0, code=2)
    assert "--threads" in refused.stderr
    assert "a whole number from 1 to 1024" in refused.stderr


def test_run_says_so_where_the_interpreter_takes_over(files, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    result = snnc("run", files / "build", files / "data.npz")
    assert "note[SNN608]" in result.stderr
    assert "a C compiler: cc, gcc or clang, or what CC names" in result.stderr
    assert re.search(r"^ run +interpreter", result.stdout, re.M)
    found = answer("run", files / "build", files / "data.npz")
    assert "SNN608" in [d["code"] for d in found["diagnostics"]]
    assert "SNN608" not in snnc("run", files / "build", files / "data.npz", "--reference").stderr


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


def test_verify_fails_where_only_the_interpreter_could_run(files, monkeypatch):
    """Comparing the interpreter with itself verifies nothing."""
    monkeypatch.setenv("CC", "no-such-compiler")
    result = snnc("verify", files / "build", code=1)
    assert result.stderr.startswith("error[SNN608]")
    assert "nothing was verified" in result.stderr
    assert "a C compiler" in result.stderr
    assert "reference" not in result.stdout


def test_names_with_line_breaks_stay_in_their_row(tmp_path):
    nodes = {"x": Input((2,)), "w": Linear(np.eye(2)), "a\nb": Neuron.of("if", threshold=1.0), "y": Output()}
    net = sc.Graph("net", nodes, tuple(sc.Edge(*link) for link in pairwise(nodes)))
    sc.compile(net).save(tmp_path / "build")
    np.save(tmp_path / "x.npy", np.ones((1, 3, 2)))
    told = snnc("run", tmp_path / "build", tmp_path / "x.npy", "--reference").stdout
    assert re.search(r"^a b +6\.0 +6 +6 *$", told, re.M)
