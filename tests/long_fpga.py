"""Emitted Verilog and HLS C++ at length: `python -m tests.long_fpga --networks 200 --foldings 3`.

Each random network is folded at random several times, simulated with ends that stall at random, and compared with the
integer interpreter in every spike and state; without stalls, the predicted cycles are compared too. With `--named`,
trained and public networks instead: each is compiled for both backends and compared on all its samples. Prints what
differs, and a summary; exits with 1 if anything did.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

import snncompile as sc
from snncompile.backends.table import BACKENDS
from snncompile.inputs import integers
from snncompile.ir.interp import run
from snncompile.model import inside_differences
from tests.backends.exactness import random_case
from tests.backends.hls import test_exact as hls
from tests.backends.verilog.test_exact import differences, folding, lower
from tests.fpga_networks import NETWORKS
from tests.image_graphs import image_graph
from tests.strategies import random_graphs

STALLS = (0, 40, 0)
"""For one folding after another, in how many of 100 clock cycles an end stalls."""


def main() -> int:
    options = _options()
    start = time.perf_counter()
    wrong = _named(options) if options.named else _random(options)
    print(f"{wrong} wrong, {time.perf_counter() - start:.0f} s")
    return int(wrong > 0)


def _random(options: argparse.Namespace) -> int:
    wrong, compared = 0, 0
    graphs = ((seed, image_graph(seed)) for seed in range(options.first, options.first + options.networks))
    graphs = graphs if options.images else random_graphs(options.first, options.networks)
    for done, (seed, graph) in enumerate(graphs, start=1):
        case = random_case(graph, seed)
        for n in range(options.foldings):
            at = seed * options.foldings + n
            if options.backend == "hls":
                hardware = lower(case.graph, *folding(case.graph, at))
                found = hls.differences(case, hardware)
            else:
                found = differences(case, at, STALLS[n % len(STALLS)])
            compared += 1
            if found:
                wrong += 1
                print(f"seed {seed}, folding {at}: {found[:3]}", flush=True)
        if done % 20 == 0:
            print(f"{done} networks, {compared} foldings, {wrong} wrong", flush=True)
    return wrong


def _named(options: argparse.Namespace) -> int:
    wrong = 0
    for name in options.named.split(","):
        sampled = NETWORKS[name]()
        for backend in options.backend.split(","):
            model = sc.compile(sampled.graph, f"xc7z020 backend={backend} luts=none blocks=none multipliers=none",
                               calibration=sampled.x, **sampled.options)
            x = integers(model.mapped, sampled.x)
            wanted = run(model.mapped, x, record=True, states=True)
            host = BACKENDS[backend].host(model.mapped, model.artifact)
            assert host is not None, f"nothing runs {backend} here"
            traces = host.trace(x)
            found = [*inside_differences(wanted, traces),
                     *(n for n, v in wanted.outputs.items() if not np.array_equal(v, traces.outputs[n]))]
            spikes = sum(int(np.count_nonzero(v)) for v in wanted.emitted.values())
            wrong += bool(found)
            print(f"{name}, {backend}: {len(sampled.x)} samples, {len(wanted.emitted)} populations, {spikes:,} events, "
                  f"{len(found)} differences {found[:3]}", flush=True)
    return wrong


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--first", type=int, default=2_000_000, help="the first seed")
    parser.add_argument("--foldings", type=int, default=3, help="of each network")
    parser.add_argument("--images", action="store_true", help="networks on images only")
    parser.add_argument("--backend", default="verilog", help="verilog or hls; with --named, several")
    parser.add_argument("--named", default="", help=f"networks instead: {','.join(NETWORKS)}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
