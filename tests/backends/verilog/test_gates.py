"""After synthesis for iCE40, the gates still give the recorded outputs."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from benchmarks.fpga_cells import silence
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from tests.tools import needs


def layers(*sizes: int) -> Graph:
    """A fully connected network of random weights."""
    rng, nodes = np.random.default_rng(0), {"in": Input((sizes[0],))}
    for k, (before, after) in enumerate(itertools.pairwise(sizes)):
        nodes[f"weights{k}"] = Linear(rng.standard_normal((after, before)) / np.sqrt(before) * 2)
        nodes[f"lif{k}"] = Neuron.of("lif", Firing(), decay=0.9, threshold=1.0)
    nodes["out"] = Output()
    names = list(nodes)
    return Graph("gates", nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))


@needs("pyosys", "iverilog")
@pytest.mark.parametrize("sizes", [(12, 8, 4), pytest.param((64, 32, 10), marks=pytest.mark.slow)])
def test_gates_of_ice40_give_the_recorded_outputs(sizes: tuple[int, ...], tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    import pyosys
    from pyosys import libyosys as ys

    x = (np.random.default_rng(1).random((1, 6, sizes[0])) < 0.3).astype(float)
    model = sc.compile(layers(*sizes), "ice40-hx8k", calibration=x, weight_bits=4, lanes={"lif0": 4, "lif1": 2})
    folder = model.save(tmp_path / "build") / "verilog"
    monkeypatch.chdir(folder)
    sources = " ".join(p.name for p in sorted(folder.glob("*.v")) if "TESTBENCH" not in p.name)
    design = ys.Design()
    with silence():
        for step in (f"read_verilog {sources}", "synth_ice40 -top gates_AXIS", "write_verilog -noattr gates.net"):
            ys.run_pass(step, design)
    cells = Path(pyosys.__file__).parent / "share" / "ice40" / "cells_sim.v"
    (folder / "gates_net.v").write_text((folder / "gates.net").read_text())
    subprocess.run(["iverilog", "-g2012", "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-s", "testbench", "-o", "gates.vvp",
                    "gates_net.v", "gates_TESTBENCH.v", cells], check=True, capture_output=True)
    told = subprocess.run(["vvp", "-n", "gates.vvp"], check=True, capture_output=True, text=True).stdout
    assert "PASS" in told, told
