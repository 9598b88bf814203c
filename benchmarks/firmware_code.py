"""Fits what code takes on microcontrollers, and tells how far RAM and flash of other networks are off.

    python benchmarks/firmware_code.py --graphs 150 --write   # fits, and first tells how far graphs left out are off
    python benchmarks/firmware_code.py --graphs 40 --first 9000000

Random graphs of the tests are quantized in random ways, emitted and linked for each processor. What `size` tells of the
self-test is compared with the report.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from snncompile.backends.firmware.code import FITTED_AS, printed  # noqa: E402
from snncompile.backends.firmware.lower import lowered  # noqa: E402
from snncompile.backends.firmware.memory import constant_bytes, memory_use  # noqa: E402
from snncompile.diagnostics import CompileError  # noqa: E402
from snncompile.targets.load import load_target  # noqa: E402
from snncompile.targets.sections import PROCESSORS  # noqa: E402
from tests.backends.exactness import random_case  # noqa: E402
from tests.backends.firmware.running import firmware, linked, program_bytes, symbols  # noqa: E402
from tests.strategies import random_graphs  # noqa: E402

FITTED = ROOT / "snncompile/backends/firmware/fitted_code.json"
STARTS = {"helper": "SNN_", "words": "SNN_words_", "project": "KERNEL", "update": "UPDATE"}
"""The first letters of the functions of each part, behind the prefix of the network; all others are the rest."""
LEFT_OUT = 4
"""Each graph with a number that is a multiple of this is left out of a first fit, and compared with it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=150)
    parser.add_argument("--first", type=int, default=8_000_000, help="the first seed")
    parser.add_argument("--processors", nargs="+", choices=PROCESSORS, default=list(PROCESSORS))
    parser.add_argument("--write", action="store_true", help="fit, and write the weights into the package")
    options = parser.parse_args()
    if options.write:
        options.processors = sorted(set(FITTED_AS.values()))
    known = json.loads(FITTED.read_text("utf-8"))["bytes"] if FITTED.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SNNC_CACHE"] = f"{folder}/cache"
        for processor in options.processors:
            found = [row for seed, graph in random_graphs(options.first, options.graphs)
                     for row in _measured(seed, graph, processor)]
            shutil.rmtree(os.environ["SNNC_CACHE"], ignore_errors=True)
            if options.write:
                left = [row for i, row in enumerate(found) if i % LEFT_OUT]
                _tell(f"{processor}, left out", found[::LEFT_OUT], _fit(left))
                known[processor] = _fit(found)
            _tell(processor, found, known[FITTED_AS[processor]])
    if options.write:
        text = json.dumps({"made by": "benchmarks/firmware_code.py", "bytes": known}, indent=1, sort_keys=True)
        FITTED.write_text(text + "\n", encoding="utf-8")


def _measured(seed: int, graph, processor: str):
    """What is printed, the code by part and the constants as linked, and RAM as reported and as linked, of one
    graph."""
    try:
        case = random_case(graph, seed)
    except CompileError:
        return
    net = lowered(case.graph, load_target(processor), case.rates)
    emitted = firmware(case.graph, processor, case.rates, case.golden)
    flash, ram = program_bytes(linked(case.graph, emitted, processor))
    sizes = symbols(case.graph, emitted, processor)
    parts = {part: sum(size for name, size in sizes.items() if name.startswith(f"{net.prefix}_{start}"))
             for part, start in STARTS.items()}
    parts["helper"] -= parts["words"]
    parts["rest"] = flash - constant_bytes(net) - sum(parts.values())
    yield printed(net), parts, constant_bytes(net), memory_use(net, processor).ram.used, ram


def _fit(rows) -> dict[str, float]:
    """The weights of each part, fitted to the bytes of that part; what counts is by which share of the flash they are
    off."""
    fitted: dict[str, float] = {}
    share = 1 / np.array([sum(parts.values()) + constants for _, parts, constants, _, _ in rows])
    for part in (*STARTS, "rest"):
        names = sorted({n for row, *_ in rows for n in row if n.startswith(f"{part}: ")})
        counts = np.array([[row.get(n, 0.0) for n in names] for row, *_ in rows])
        code = np.array([parts[part] for _, parts, *_ in rows], float)
        weights, _ = nnls(counts * share[:, None], code * share)
        fitted |= {n: round(float(w), 1) for n, w in zip(names, weights, strict=True) if w > 0}
    return fitted


def _tell(processor: str, rows, weights) -> None:
    flash = np.array([(sum(weights.get(n, 0.0) * c for n, c in row.items()) + constants)
                      / (sum(parts.values()) + constants) - 1 for row, parts, constants, _, _ in rows])
    ram = np.array([told / used - 1 for *_, told, used in rows])
    near = np.abs(flash)
    print(f"{processor}: {len(rows)} networks, flash off by {near.mean():.1%} on average, by at most 5 % in "
          f"{np.mean(near <= 0.05):.0%}, at most {near.max():.1%}; RAM off by at most {np.abs(ram).max():.2%}",
          flush=True)


if __name__ == "__main__":
    main()
