"""As many random networks as you like through the whole line: `python -m tests.long --graphs 20000`.

Every graph is quantized in a random way, emitted as C, built, and compared with the integer interpreter in every
spike, state, tick and sample; with `--machine mips` it is cross-compiled and runs in an emulator. Prints what differs,
and a summary; exits with 1 if anything did.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Graph
from tests.backends import machines
from tests.backends.exactness import Case, differences, families, flags, random_case, random_costs
from tests.strategies import random_graphs

CLEAN_EVERY = 500


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SNNC_CACHE"] = os.path.join(folder, "cache")
        wrong = _run(options)
    return int(wrong > 0)


def _run(options: argparse.Namespace) -> int:
    return run_all(random_graphs(options.first, options.graphs, options.operator),
                   lambda seed, case: _differences(case, seed, options))


def run_all(graphs: Iterable[tuple[int, Graph]], compared: Callable[[int, Case], list[str]], title: str = "",
            clean_every: int = CLEAN_EVERY) -> int:
    """Quantize graphs in random ways and compare each; tells what differs, and a summary.

    Args:
        graphs: with their seeds.
        compared: where a case differs from the interpreter, given its seed.
        title: begins the summary.
        clean_every: after so many graphs, the built programs are deleted.

    Returns:
        How many graphs differ.
    """
    start, wrong, populations, active, done = time.perf_counter(), 0, 0, 0, 0
    refused: Counter[str] = Counter()
    for done, (seed, graph) in enumerate(graphs, start=1):
        try:
            case = random_case(graph, seed)
            found = compared(seed, case)
        except CompileError as e:
            refused[f"{e.diagnostics[0].code} {e.diagnostics[0].found[:60]}"] += 1
            continue
        populations += len(case.wanted.emitted)
        active += sum(bool(np.any(v)) for v in case.wanted.emitted.values())
        if found:
            wrong += 1
            print(f"seed {seed}: {found[:3]}", flush=True)
        if done % clean_every == 0:
            shutil.rmtree(os.environ["SNNC_CACHE"], ignore_errors=True)
            print(f"{done} graphs, {wrong} wrong, {time.perf_counter() - start:.0f} s", flush=True)
    print(f"{title}{done} graphs, {populations} populations ({active} of them active), {wrong} graphs wrong, "
          f"{sum(refused.values())} refused {dict(refused)}, {time.perf_counter() - start:.0f} s", flush=True)
    return wrong


def _differences(case: Case, seed: int, options: argparse.Namespace) -> list[str]:
    if options.machine is None:
        built = tuple(options.flags.split()) if options.flags else flags()
        vectors = families()[seed % len(families())] if options.kernels else ()
        return differences(case, (*built, *vectors), costs=random_costs(seed) if options.kernels else None)
    machine = next(m for m in machines.MACHINES if m.name == options.machine)
    with tempfile.TemporaryDirectory() as folder:
        return machines.differences(case, machine, Path(folder))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1_000_000, help="the first seed")
    parser.add_argument("--operator", help="only graphs that hold an operator of this kind, such as tokenmix")
    parser.add_argument("--flags", help="of the C compiler, instead of strict ones with a sanitizer; CC names it")
    parser.add_argument("--machine", choices=[m.name for m in machines.MACHINES])
    parser.add_argument("--kernels", action="store_true",
                        help="take kernels by chance, and each family of vector instructions in turn")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
