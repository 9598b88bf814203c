"""What a user of Vitis HLS gets: a project that checks itself, which `verify` compiles and runs."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.artifact import Artifact
from snncompile.backends.stream.lower import lower
from snncompile.diagnostics import CompileError
from tests.cli.running import snnc
from tests.nets import nir_file, small, spikes
from tests.tools import needs

TARGET = "xc7z020 backend=hls"


@needs("g++", "make", "hls4ml")
def test_a_project_says_pass_and_after_a_change_fail(tmp_path: Path) -> None:
    folder = sc.compile(small(), TARGET, calibration=spikes(), lanes=2).save(tmp_path / "build") / "hls"

    def says() -> tuple[int, str]:
        made = subprocess.run(["make", "-s", f"PYTHON={sys.executable}", "CXXFLAGS=-O0"], cwd=folder,
                              capture_output=True, text=True, check=False)
        return made.returncode, made.stdout

    code, text = says()
    assert (code, text[:5]) == (0, "PASS:")
    expected = next(folder.glob("expected_*.hex"))
    *others, _, end = expected.read_text().splitlines()
    expected.write_text("\n".join([*others, end]) + "\n")
    code, text = says()
    assert code != 0
    assert "FAIL" in text


@needs("g++", "hls4ml")
def test_it_runs_traces_and_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNC_CACHE", str(tmp_path))
    x = spikes()
    model = sc.compile(small(), TARGET, calibration=x, lanes=3)
    result = model.run(x)
    assert result.backend == "hls"
    np.testing.assert_array_equal(result.outputs, model.reference(x).outputs)
    assert {n: v.tolist() for n, v in result.spike_counts.items()} == {
        n: v.tolist() for n, v in model.reference(x).spike_counts.items()}
    assert model.verify().ok
    assert len(list(tmp_path.glob("*.sim"))) == 1
    stage = next(n for n in model.artifact.files if re.search(r"_S_.*\.cpp", n))
    silent = re.sub(r"(weights\[\d+\]\[\d+\] = \{)[^}]*", r"\g<1>0", str(model.artifact.files[stage]))
    changed = dataclasses.replace(model, artifact=Artifact({**model.artifact.files, stage: silent}))
    assert not changed.verify().ok


def test_it_is_folded_as_verilog_is_and_says_that_figures_are_estimates() -> None:
    verilog, hls = (sc.compile(small(), t, calibration=spikes(), latency_us=5.2) for t in ("xc7z020", TARGET))
    assert hls.report.figures == verilog.report.figures
    assert hls.report.layers == verilog.report.layers
    assert "These figures are estimates" in str(hls.artifact.files["README.md"])
    assert "set_part xc7z020clg400-1" in str(hls.artifact.files["vitis.tcl"])
    other = sc.compile(small(), "ecp5-25f backend=hls", calibration=spikes())
    assert "vitis.tcl" not in other.artifact.files


def test_weights_are_plain_integers_of_as_few_bytes_as_can_be() -> None:
    """Two weights of 4 bits to a byte, also at one lane."""
    model = sc.compile(small(), TARGET, calibration=spikes(), weight_bits=4, lanes=1)
    text = "".join(str(f) for n, f in model.artifact.files.items() if n.endswith(".cpp"))
    sizes = re.findall(r"static const uint8_t weights\[(\d+)\]\[1\]", text)
    weights = sum(s.words.size for s in lower(model.graph).stages)
    assert sum(map(int, sizes)) == weights // 2


def test_without_headers_nothing_is_said_to_be_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XILINX_HLS", "/absent")
    model = sc.compile(small(), TARGET, calibration=spikes())
    assert model.host is None


@needs("g++", "hls4ml")
def test_a_compiler_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNC_CACHE", str(tmp_path))
    model = sc.compile(small(), TARGET, calibration=spikes())
    broken = dataclasses.replace(model, artifact=Artifact({
        n: str(f).replace("ap_int<", "ap_ant<") if n.endswith(".cpp") else f for n, f in model.artifact.files.items()}))
    with pytest.raises(CompileError) as caught:
        broken.run(spikes())
    assert caught.value.diagnostics[0].code == "SNN607"


def test_a_backend_is_chosen_behind_the_name_of_a_target() -> None:
    assert sc.load_target("loihi2 backend=c").backend == "c"
    with pytest.raises(CompileError) as caught:
        sc.compile(small(), "xc7z020 backend=vhdl")
    assert "hls" in caught.value.diagnostics[0].expected
    with pytest.raises(CompileError) as caught:
        sc.load_target("xc7z020 backend=3")
    (problem,) = caught.value.diagnostics
    assert (problem.code, problem.expected) == ("SNN102", "the name of a backend")


@needs("g++", "hls4ml")
def test_the_command_line_verifies(tmp_path: Path) -> None:
    compiled = snnc("compile", nir_file(tmp_path), "--target", TARGET, "--lanes", "2", "-o", tmp_path / "build")
    assert f"make -C {tmp_path}/build/hls" in compiled.output
    assert "emitted HLS C++ = reference" in snnc("verify", tmp_path / "build").output
