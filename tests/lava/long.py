"""As many random networks as you like through Lava: `python -m tests.lava.long --graphs 100`.

Every graph is quantized in a random way, retimed, emitted, run in Lava, and compared with the integer interpreter in
every spike, state, tick and sample. Prints what differs, and a summary; exits with 1 if anything did.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

import numpy as np

from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.types import Array
from tests.backends.exactness import random_case
from tests.lava.emitting import differences, network, package
from tests.lava.networks import PLAIN, random_loihi
from tests.strategies import EVERYTHING, random_graph, random_graphs

PROCESSES = ("LIF", "Sparse", "Synapses", "Delay")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=100)
    parser.add_argument("--first", type=int, default=2_000_000, help="the first seed")
    parser.add_argument("--loihi", action="store_true", help="quantize into Loihi's registers")
    parser.add_argument("--operator", help="only graphs that hold an operator of this kind, such as tokenmix")
    options = parser.parse_args()
    start, wrong, populations, active = time.perf_counter(), 0, 0, 0
    refused: Counter[str] = Counter()
    used: Counter[str] = Counter()
    features = PLAIN if options.loihi else EVERYTHING
    for seed, _ in random_graphs(options.first, options.graphs, options.operator, features):
        try:
            graph, x = random_loihi(seed) if options.loihi else _random(seed)
            found = differences(graph, x)
        except CompileError as e:
            refused[f"{e.diagnostics[0].code} {e.diagnostics[0].found[:60]}"] += 1
            continue
        text = network(package(graph).files)
        used.update({word: text.count(f" = {word}(") for word in PROCESSES})
        emitted = run(graph, x, record=True).emitted
        populations += len(emitted)
        active += sum(bool(np.any(v)) for v in emitted.values())
        wrong += bool(found)
        if found:
            print(f"seed {seed}: {found[:3]}", flush=True)
    print(f"{options.graphs} graphs, {populations} populations ({active} of them active), processes {dict(used)}, "
          f"{wrong} graphs wrong, {sum(refused.values())} refused {dict(refused)}, {time.perf_counter() - start:.0f} s")
    return int(wrong > 0)


def _random(seed: int) -> tuple[Graph, dict[str, Array]]:
    case = random_case(random_graph(seed), seed)
    return case.graph, case.x


if __name__ == "__main__":
    sys.exit(main())
