"""Counts the cells of random networks with Yosys, and fits the weights of `backends/stream/area.py` to them.

    python -m benchmarks.fpga_cells count xc7 0 96    # adds to fpga_cells.jsonl; half a minute a network
    python -m benchmarks.fpga_cells fit               # writes fitted_cells.json; the last 24 networks are held out
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import nnls

import snncompile as sc
from snncompile.backends.plan.layouts import as_image
from snncompile.backends.stream import area
from snncompile.backends.stream.context import Fold
from snncompile.backends.stream.fold import legal_units
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.lower import lower
from snncompile.backends.verilog.emit import emit
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Conv, Input, Linear, Output, Reshape, SumPool
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.targets.load import load_target

GRID = Path(__file__).parent / "fpga_cells.jsonl"
FITTED = Path(sc.__file__).parent / "backends" / "stream" / "fitted_cells.json"
FAMILIES = {"xc7": ("xc7z020", "synth_xilinx -family xc7 -flatten"), "ecp5": ("ecp5-85f", "synth_ecp5"),
            "ice40": ("ice40-hx8k", "synth_ice40")}
HELD_OUT = 24
RULES = ("lif", "if", "lif", "cubalif", "alif")
PRIOR = {"stages": 30.0, "links": 10.0, "counters": 1.0, "places": 2.0, "tables of axes": 0.03, "sums": 1.0,
         "choice of lanes": 0.5, "products": 1.0, "largest": 0.5, "joined banks": 0.2, "banks": 5.0,
         "several units": 3.0, "distributed memories": 4.0, "constants": 0.02, "flip-flop memories": 1.0,
         "initial states": 0.02, "carry chains": 1.0, "choices": 0.7, "comparisons": 0.5, "registers": 0.0,
         "tables": 0.02, "small products": 1.0, "slots": 0.5, "buffers": 10.0, "buffer counters": 1.0}
"""What a look-up table is worth for each use, where the networks say little; registers likewise take a bit each."""
LUT_MEMORIES = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4}


def design(number: int) -> tuple[Graph, dict[str, Fold], int]:
    """An INT graph, its folding, and its carry chains, which follow from the number."""
    rng = np.random.default_rng([77, number])
    nodes: dict[str, Any] = {}
    conv = rng.random() < 0.4
    if conv:
        c, s = int(rng.choice([1, 2, 3])), int(rng.choice([6, 8, 12, 16]))
        nodes["in"] = Input((c, s, s), "real" if rng.random() < 0.3 else "spike")
        for k in range(int(rng.integers(1, 3))):
            o, side, stride = (int(rng.choice(v)) for v in ([4, 6, 8, 12, 16, 24], [3, 5], [1, 1, 2]))
            weight = rng.standard_normal((o, c, side, side)) / np.sqrt(c * side * side) * 2
            nodes[f"c{k}"] = Conv(weight, None, (stride, stride), ((1, 1), (1, 1)))
            nodes[f"n{k}"] = _neuron(rng, (o, 1, 1))
            c, s = o, (s + 2 - side) // stride + 1
        if rng.random() < 0.5 and s >= 2:
            nodes["p"], s = SumPool((2, 2), (2, 2)), s // 2
        n = c * s * s
        nodes["r"] = Reshape((n,))
    else:
        n = int(rng.choice([16, 40, 64, 128, 256, 784]))
        nodes["in"] = Input((n,))
    for k in range(int(rng.integers(1, 2 if conv else 4))):
        o = int(rng.choice([10, 16, 24, 32, 64, 100, 128]))
        weight = rng.standard_normal((o, n)) / np.sqrt(n) * 2
        nodes[f"l{k}"] = Linear(weight, rng.standard_normal(o) * 0.1 if rng.random() < 0.3 else None)
        nodes[f"m{k}"], n = _neuron(rng, (o,)), o
    nodes["out"] = Output()
    names = list(nodes)
    graph = Graph("net", nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))
    graph = sc.compile(graph, weight_bits=int(rng.choice([2, 4, 6, 8])),
                       membrane_bits=int(rng.choice([8, 10, 12, 16, 20])), weight_rounding="nearest").graph
    folds = {}
    for name in graph.populations:
        channels = as_image(graph.shapes[name])[0]
        lanes = int(rng.choice([v for v in (1, 2, 3, 4, 6, 8, 12, 16) if v <= channels]))
        folds[name] = Fold(lanes, int(rng.choice(legal_units(lanes)[:3])))
    return graph, folds, int(rng.integers(1, 4))


def _neuron(rng: np.random.Generator, shape: tuple[int, ...]) -> Neuron:
    rule = RULES[rng.integers(len(RULES))]
    firing = Firing(reset=str(rng.choice(["subtract", "value"])))  # type: ignore[arg-type]
    decay = float(rng.choice([0.5, 0.75, 0.9, 0.95]))
    threshold = np.abs(1 + 0.2 * rng.standard_normal(shape)) if rng.random() < 0.4 else 1.0
    more = {"if": {}, "cubalif": {"decay": decay, "decay_syn": 0.8}}.get(rule, {"decay": decay})
    return Neuron.of(rule, firing, threshold=threshold, **more)


def hardware(number: int, family: str) -> Hardware:
    graph, folds, chains = design(number)
    return lower(graph, folds, chains, load_target(FAMILIES[family][0]).fabric)


@contextmanager
def silence() -> Iterator[None]:
    """Yosys prints to the file descriptors of the process."""
    kept, null = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    try:
        for fd in (1, 2):
            os.dup2(null, fd)
        yield
    finally:
        for fd, old in zip((1, 2), kept, strict=True):
            os.dup2(old, fd)


def synthesised(made: Hardware, family: str) -> dict[str, int]:
    """The cells of a network by their type."""
    from pyosys import libyosys as ys

    sources = emit(made).files
    with tempfile.TemporaryDirectory() as folder:
        for name, text in sources.items():
            (Path(folder) / name).write_text(text if isinstance(text, str) else text.decode())
        wanted = " ".join(n for n in sources if n.endswith(".v") and "TESTBENCH" not in n and "AXIS" not in n)
        os.chdir(folder)
        design = ys.Design()
        with silence():
            for step in (f"read_verilog {wanted}", f"{FAMILIES[family][1]} -top {made.name}_TOP",
                         "tee -q -o cells.json stat -json"):
                ys.run_pass(step, design)
        found: dict[str, int] = json.loads(Path("cells.json").read_text())["design"]["num_cells_by_type"]
        os.chdir("/")
    return found


def counts(cells: dict[str, int], family: str) -> tuple[int, int, int, int]:
    """Look-up tables, flip-flops, blocks and multipliers.

    On ECP5, a carry cell is two look-up tables, and a memory of look-up tables four. On iCE40, carries lie beside their
    look-up tables.
    """
    if family == "ecp5":
        luts = cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0) + 4 * cells.get("TRELLIS_DPR16X4", 0)
        return luts, cells.get("TRELLIS_FF", 0), cells.get("DP16KD", 0), cells.get("MULT18X18D", 0)
    if family == "ice40":
        return (cells.get("SB_LUT4", 0), sum(v for k, v in cells.items() if k.startswith("SB_DFF")),
                cells.get("SB_RAM40_4K", 0), cells.get("SB_MAC16", 0))
    luts = sum(v for k, v in cells.items() if k.startswith(("LUT", "SRL")))
    luts += sum(n * cells.get(kind, 0) for kind, n in LUT_MEMORIES.items())
    return (luts, sum(v for k, v in cells.items() if k.startswith("FD")),
            2 * cells.get("RAMB36E1", 0) + cells.get("RAMB18E1", 0), cells.get("DSP48E1", 0))


def count(family: str, first: int, last: int) -> None:
    for number in range(first, last):
        row = {"design": number, "family": family, "cells": synthesised(hardware(number, family), family)}
        with GRID.open("a") as stream:
            stream.write(json.dumps(row) + "\n")


def fit() -> None:
    """Non-negative least squares of relative errors, drawn a little towards PRIOR."""
    rows = {(r["family"], r["design"]): r["cells"] for r in map(json.loads, GRID.read_text().splitlines())}
    weights: dict[str, Any] = {}
    for family in FAMILIES:
        numbers = sorted(n for f, n in rows if f == family)
        made = [hardware(n, family) for n in numbers]
        wanted = np.array([counts(rows[family, n], family) for n in numbers], float)
        exact = [(h.blocks, area.multipliers_of(h)) == tuple(w[2:]) for h, w in zip(made, wanted, strict=True)]
        print(f"{family}: blocks and multipliers equal in {sum(exact)} of {len(exact)};",
              "not in", [n for n, same in zip(numbers, exact, strict=True) if not same])
        uses = [area.uses(h) for h in made]
        names = sorted({name for each in uses for name in each})
        bits = np.array([[each.get(name, 0.0) for name in names] for each in uses])
        split = len(numbers) - HELD_OUT
        weights[family] = {}
        for column, kind in enumerate(("luts", "flip_flops")):
            y = wanted[:, column]
            scale = np.maximum(bits[:split].mean(0), 1.0) / y[:split].mean() / 4
            prior = np.array([PRIOR.get(name, 0.0) if kind == "luts" or name in ("registers", "slots", "sums") else 0.0
                              for name in names])
            left = np.vstack([bits[:split] / y[:split, None], np.diag(scale)])
            found, _ = nnls(left, np.concatenate([np.ones(split), scale * prior]), maxiter=100_000)
            wrong = np.abs(bits @ found / y - 1)
            for told, part in (("fitted to", wrong[:split]), ("held out", wrong[split:])):
                print(f"  {kind}, {told} {len(part)}: median {np.median(part):.1%}, worst {part.max():.1%}")
            weights[family][kind] = {n: round(float(v), 4) for n, v in zip(names, found, strict=True) if v > 1e-4}
    FITTED.write_text(json.dumps({
        "made_by": "benchmarks/fpga_cells.py, from fpga_cells.jsonl; Yosys 0.70", "weights": weights}, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["count"]:
        count(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        fit()
