"""What a user gets for an FPGA: a project that checks itself, folded as asked, which `verify` runs in a simulator."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.artifact import Artifact
from snncompile.backends.verilog import host
from snncompile.backends.verilog.simulators import Icarus, Verilator, simulator
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import ShapeOnly
from tests.cli.running import snnc
from tests.nets import nir_file, small, spikes
from tests.tools import needs

DEVICES = ("ecp5-25f", "ecp5-85f", "ice40-hx8k", "ice40-up5k", "xc7a35t", "xc7z020", "xczu3eg")


@pytest.fixture(autouse=True)
def _icarus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Icarus starts quickly; one test asks for Verilator itself."""
    monkeypatch.setattr(host, "simulator", Icarus)


@needs("iverilog", "make")
@pytest.mark.parametrize("device", DEVICES)
def test_a_project_says_pass_and_after_a_change_fail(device: str, tmp_path: Path) -> None:
    folder = sc.compile(small(), device, calibration=spikes(), lanes=2).save(tmp_path / "build") / "verilog"

    def says() -> str:
        return subprocess.run(["make", "-s"], cwd=folder, capture_output=True, text=True, check=True).stdout

    assert "PASS" in says()
    expected = next(folder.glob("expected_*.hex"))
    *others, _, end = expected.read_text().splitlines()
    expected.write_text("\n".join([*others, end]) + "\n")
    assert "FAIL" in says()
    assert (folder / "vivado.tcl").exists() == device.startswith("xc")


@needs("iverilog")
def test_it_runs_traces_and_verifies() -> None:
    x = spikes()
    model = sc.compile(small(), "ecp5-25f", calibration=x, lanes=3)
    result = model.run(x)
    assert result.backend == "verilog"
    np.testing.assert_array_equal(result.outputs, model.reference(x).outputs)
    assert {n: v.tolist() for n, v in result.spike_counts.items()} == {
        n: v.tolist() for n, v in model.reference(x).spike_counts.items()}
    assert model.verify().ok
    weights = next(n for n in model.artifact.files if n.endswith("M_weights.hex"))
    silent = "".join("0\n" for _ in str(model.artifact.files[weights]).splitlines())
    changed = dataclasses.replace(model, artifact=Artifact({**model.artifact.files, weights: silent}))
    assert not changed.verify().ok


@needs("verilator", "g++", "perl")
def test_verilator_shows_what_icarus_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNC_CACHE", str(tmp_path))
    tool = simulator()
    assert isinstance(tool, Verilator)
    monkeypatch.setattr(host, "simulator", lambda: tool)
    model = sc.compile(small(), "xc7a35t", calibration=spikes())
    assert model.verify().ok
    built = list(tmp_path.glob("*.sim"))
    assert len(built) == 1
    assert model.verify().ok
    assert list(tmp_path.glob("*.sim")) == built


def test_lanes_by_layer_are_written_and_given_back(tmp_path: Path) -> None:
    model = sc.compile(small(), "ecp5-25f", calibration=spikes(), lanes=2)
    name, *_ = model.graph.populations
    assert all(own["lanes"] == 2 for own in model.report.layers.values())
    path = model.save(tmp_path / "build") / "layers.toml"
    path.write_text(path.read_text().replace("lanes = 2", "lanes = 1", 1))
    again = sc.compile(small(), "ecp5-25f", calibration=spikes(), layers=path)
    assert again.report.layers[name]["lanes"] == 1
    integers = sc.compile(model.graph, "ecp5-25f", lanes={name: 2})
    assert integers.report.layers[name] == {"lanes": 2, "units": 1, "queue": 1, "lines": False}


def test_a_folding_that_cannot_be_names_the_nearest_that_can() -> None:
    with pytest.raises(CompileError) as caught:
        sc.compile(small(), "ecp5-25f", calibration=spikes(), lanes={next(iter(small().populations)): 1000})
    (problem,) = caught.value.diagnostics
    assert problem.code == "SNN404"
    assert problem.help.startswith("lanes = ")


@pytest.mark.parametrize("options", [{"lanes": 2}, {"layers": {"hidden": {"lanes": 2}}}, {"clock_mhz": 100}])
def test_only_fpgas_are_folded(options) -> None:
    with pytest.raises(CompileError) as caught:
        sc.compile(small(), "c99", **options)
    assert "FPGA" in caught.value.diagnostics[0].expected


def test_a_network_larger_than_the_memory_of_a_device_is_refused() -> None:
    verdict = sc.check(small(), sc.load_target("ice40-up5k").with_(blocks=1, block_widths=(1,), block_depths=(8,)))
    assert [v.rule for v in verdict.violations] == ["device-memory"]
    assert "of population" in verdict.violations[0].diagnostic.found


def test_the_memory_that_is_compared_is_that_of_weights_and_states() -> None:
    """40 weights of 4 bits, and 4 neurons with one state of 10 bits: 200 bits."""
    graph = Graph("net", {"in": Input((10,)), "weights": Linear(ShapeOnly((4, 10))),
                          "lif": Neuron.of("lif", Firing(), decay=0.5), "out": Output()},
                  (Edge("in", "weights"), Edge("weights", "lif"), Edge("lif", "out")))
    bits = {"block_widths": (1,), "block_depths": (1,), "lut_memory_bits": 0}
    devices = [sc.load_target("ecp5-25f").with_(blocks=n, **bits) for n in (199, 200)]
    verdicts = [sc.check(graph, d, weight_bits=4, membrane_bits=10, cost=False) for d in devices]
    assert [bool(v.violations) for v in verdicts] == [True, False]


def test_a_device_without_a_name_gets_sources_and_no_scripts(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\nbackend = "verilog"\n[fabric]\nfamily = "ecp5"\nluts = 1000\nlut_inputs = 5\n')
    files = sc.compile(small(), path, calibration=spikes(), lanes=2).artifact.files
    assert "synth" not in str(files["Makefile"])
    assert not any(n.endswith((".lpf", ".tcl")) for n in files)


def test_shapes_of_blocks_come_in_pairs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\n[fabric]\nblock_widths = [1, 2]\nblock_depths = [16]\n')
    with pytest.raises(CompileError) as caught:
        sc.load_target(path)
    assert "block_depths" in caught.value.diagnostics[0].place


@pytest.mark.parametrize("name", ["a b", "$(rm x)", "-x", "", "x" * 50, 3])
def test_names_of_devices_cannot_reach_scripts_as_commands(name) -> None:
    with pytest.raises(CompileError):
        sc.load_target("ecp5-25f").with_(device=name)


@needs("iverilog")
def test_the_command_line_folds_and_verifies(tmp_path: Path) -> None:
    compiled = snnc("compile", nir_file(tmp_path), "--target", "ice40-hx8k", "--lanes", "2", "-o", tmp_path / "build")
    assert f"make -C {tmp_path}/build/verilog" in compiled.output
    assert "emitted Verilog = reference" in snnc("verify", tmp_path / "build").output


@needs("make")
@pytest.mark.parametrize(("device", "tools"), [("ecp5-25f", ("yosys", "nextpnr-ecp5", "ecppack")),
                                               ("ice40-up5k", ("yosys", "nextpnr-ice40", "icepack")),
                                               ("xc7a35t", ("yosys",))])
@pytest.mark.parametrize("prefix", ["", "yowasp-"])
def test_the_makefile_finds_tools_by_either_name(device: str, tools: tuple[str, ...], prefix: str, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """The tools of these names here say how they were called, and write an empty file for what they should make."""
    folder = sc.compile(small(), device, calibration=spikes(), lanes=2).save(tmp_path / "build") / "verilog"
    path = tmp_path / "tools"
    path.mkdir()
    for tool in tools:
        (path / f"{prefix}{tool}").write_text('#!/bin/sh\necho "$0 $*" >> called; touch net.json cells.txt\n')
        (path / f"{prefix}{tool}").chmod(0o755)
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    goal = "bitstream" if len(tools) > 1 else "synth"
    subprocess.run(["make", "-s", goal], cwd=folder, check=True, capture_output=True)
    called = [Path(line.split()[0]).name for line in (folder / "called").read_text().splitlines()]
    assert called == [f"{prefix}{tool}" for tool in tools]


@needs("pyosys")
@pytest.mark.parametrize("device", ["ecp5-25f", "ice40-hx8k", "xc7a35t"])
def test_yosys_reads_the_sources_without_a_warning_of_its_checks(device: str, tmp_path: Path,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    from pyosys import libyosys as ys

    folder = sc.compile(small(), device, calibration=spikes(), lanes=2).save(tmp_path / "build") / "verilog"
    monkeypatch.chdir(folder)
    design = ys.Design()
    sources = " ".join(p.name for p in sorted(folder.glob("*.v")) if "TESTBENCH" not in p.name)
    top = next(folder.glob("*_FRAMES.v")).stem  # which holds the other top
    for step in (f"read_verilog {sources}", f"hierarchy -check -top {top}", "proc", "check -assert"):
        ys.run_pass(step, design)
