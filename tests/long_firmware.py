"""Many random networks as firmware: `python -m tests.long_firmware --graphs 300 --processors cortex-m3 rv32imac`.

Every graph is quantized in a random way, emitted for each processor, built by its cross compiler, run in QEMU, and
compared with the integer interpreter in every spike, state, tick and sample. Prints what differs, and a summary; exits
with 1 if anything did.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time

import numpy as np

from snncompile.diagnostics import CompileError
from tests.backends.exactness import random_case
from tests.backends.firmware.running import ALL, differences
from tests.strategies import random_graphs

CLEAN_EVERY = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=300)
    parser.add_argument("--first", type=int, default=4_000_000, help="the first seed")
    parser.add_argument("--processors", nargs="+", choices=ALL, default=list(ALL))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SNNC_CACHE"] = os.path.join(folder, "cache")
        return sum(_run(name, options.first, options.graphs) for name in options.processors) > 0


def _run(processor: str, first: int, graphs: int) -> int:
    start, wrong, refused, populations, active = time.perf_counter(), 0, 0, 0, 0
    for done, (seed, graph) in enumerate(random_graphs(first, graphs), start=1):
        try:
            case = random_case(graph, seed)
            found = differences(case, processor)
        except CompileError as e:
            refused += 1
            print(f"seed {seed}: {e.diagnostics[0].code} {e.diagnostics[0].found[:200]}", flush=True)
            continue
        populations += len(case.wanted.emitted)
        active += sum(bool(np.any(v)) for v in case.wanted.emitted.values())
        if found:
            wrong += 1
            print(f"seed {seed}: {found[:3]}", flush=True)
        if done % CLEAN_EVERY == 0:
            shutil.rmtree(os.environ["SNNC_CACHE"], ignore_errors=True)
    print(f"{processor}: {graphs} graphs, {populations} populations ({active} of them active), {wrong} graphs wrong, "
          f"{refused} refused, {time.perf_counter() - start:.0f} s", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
