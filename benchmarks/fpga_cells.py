"""Counts the cells of random networks with Yosys, and fits the weights of `backends/stream/area.py` to them.

    python -m benchmarks.fpga_cells count xc7 0 96    # adds to fpga_cells.jsonl; half a minute a network
    python -m benchmarks.fpga_cells fit               # writes fitted_cells.json; 24 networks are held out
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
from snncompile.backends.stream.context import Fold
from snncompile.backends.stream.fold import legal_units
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.lower import lower
from snncompile.backends.stream.multipliers import multipliers_of
from snncompile.backends.stream.uses import uses as uses_of
from snncompile.backends.verilog.emit import emit
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.ops import Conv, Input, Linear, Output, Reshape, SumPool
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array
from snncompile.targets.load import load_target

GRID = Path(__file__).parent / "fpga_cells.jsonl"
FITTED = Path(sc.__file__).parent / "backends" / "stream" / "fitted_cells.json"
FAMILIES = {"xc7": ("xc7z020", "synth_xilinx -family xc7 -flatten"), "ecp5": ("ecp5-85f", "synth_ecp5"),
            "ice40": ("ice40-hx8k", "synth_ice40")}
HELD_OUT, BUFFERED = range(96, 120), 1000
"""The designs that no fit sees, and the first one with buffers between stages."""
QUEUES = (4, 16, 40, 150, 600)
RULES = ("lif", "if", "lif", "cubalif", "alif")
PRIOR: dict[str, dict[str, float]] = {
    "luts": {
        "stages": 30, "links": 10, "counters": 2, "places": 3, "several units": 4, "tables of axes": 1.5,
        "constants": 1, "sums": 1, "choices of words": 1, "products": 1, "small products": 1, "largest": 1, "banks": 1,
        "joined banks": 1, "gated banks": 0.5, "states": 0.5, "distributed memories": 4, "flip-flop memories": 1,
        "carry chains": 1, "comparisons": 1, "third addends": 2, "further addends": 3, "choices": 0.7,
        "shift registers": 1, "buffers": 10, "buffer counters": 1},
    "flip_flops": {
        "stages": 40, "links": 5, "counters": 2, "places": 1, "several units": 2, "levels": 2, "sums": 1,
        "words read": 1, "banks": 0, "joined banks": 1, "registers": 1, "shift registers": 1, "flip-flop memories": 1,
        "slots": 1, "buffers": 3, "buffer counters": 1, "buffer words": 1}}
"""About how many look-up tables, or flip-flops, a bit of each use takes by itself, where the networks say little."""
EXACT = ("distributed memories",)
"""The uses whose cells are counted as what PRIOR says."""
FOLDS = 10
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
        units = int(rng.choice(legal_units(lanes)[:3]))
        folds[name] = Fold(lanes, units, int(rng.choice(QUEUES)) if number >= BUFFERED else 1)
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
    """Fits the weights of each family, and prints how wrong they are, on networks that took part in the fit or not."""
    rows = {(r["family"], r["design"]): r["cells"] for r in map(json.loads, GRID.read_text().splitlines())}
    weights: dict[str, Any] = {}
    for family in FAMILIES:
        numbers = np.array(sorted(n for f, n in rows if f == family))
        made = [hardware(int(n), family) for n in numbers]
        wanted = np.array([counts(rows[family, n], family) for n in numbers], float)
        exact = [(h.blocks, multipliers_of(h)) == tuple(w[2:]) for h, w in zip(made, wanted, strict=True)]
        print(f"{family}: blocks and multipliers equal in {sum(exact)} of {len(exact)};",
              "not in", [int(n) for n, same in zip(numbers, exact, strict=True) if not same])
        held = np.isin(numbers, HELD_OUT)
        uses, weights[family] = [uses_of(h) for h in made], {}
        for column, (kind, prior) in enumerate(PRIOR.items()):
            bits, y = np.array([[each.get(name, 0.0) for name in prior] for each in uses]), wanted[:, column]
            found = weighed(bits[~held], y[~held], prior)
            tell(f"{kind}, fitted to", bits[~held] @ found / y[~held] - 1)
            tell(f"{kind}, left out of the fit in turn", left_out(bits[~held], y[~held], prior))
            tell(f"{kind}, held out", bits[held] @ found / y[held] - 1)
            weights[family][kind] = {n: round(float(v), 4) for n, v in zip(prior, found, strict=True) if v > 1e-4}
    FITTED.write_text(json.dumps({
        "made_by": "benchmarks/fpga_cells.py, from fpga_cells.jsonl; Yosys 0.70", "weights": weights}, indent=1) + "\n")


def weighed(bits: Array, y: Array, prior: dict[str, float]) -> Array:
    """Non-negative least squares of relative errors, drawn a little towards `prior`."""
    scale = np.maximum(bits.mean(0), 1.0) / y.mean() / 4
    scale = np.where([name in EXACT for name in prior], 1e3, scale)
    left = np.vstack([bits / y[:, None], np.diag(scale)])
    found: Array = nnls(left, np.concatenate([np.ones(len(y)), scale * [*prior.values()]]), maxiter=100_000)[0]
    return found


def left_out(bits: Array, y: Array, prior: dict[str, float]) -> Array:
    """The relative error of each network where the weights are fitted to networks without it."""
    groups = np.random.default_rng(0).permutation(len(y)) % FOLDS
    wrong = np.zeros(len(y))
    for n in range(FOLDS):
        wrong[groups == n] = bits[groups == n] @ weighed(bits[groups != n], y[groups != n], prior) / y[groups == n] - 1
    return wrong


def tell(what: str, errors: Array) -> None:
    if len(errors):
        print(f"  {what} {len(errors)}: median {np.median(np.abs(errors)):.1%}, worst {np.abs(errors).max():.1%}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["count"]:
        count(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        fit()
