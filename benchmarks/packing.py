"""How often the rules say yes where a packing says no: networks of eight random convolutions on the first Loihi.

    python -m benchmarks.packing --accepted 200

Networks are drawn until so many keep all rules. Each of those is divided among cores. Prints every network that is
refused then, with the bound that the rules know, and the share of them.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.rules import Firing
from snncompile.search import Net

TARGET = "loihi1"
SIDES, WIDTHS, KERNELS, STRIDES = (16, 20, 24, 28, 32), (8, 16, 24, 32, 48, 64, 96, 128), (1, 3, 3, 3, 5), (1, 1, 1, 2)


def network(seed: int) -> Graph:
    """Eight convolutions with random widths, kernels and strides on an input of two channels."""
    rng = np.random.default_rng(seed)
    side = int(rng.choice(SIDES))
    net = Net((2, side, side), name=f"network{seed}")
    for _ in range(8):
        kernel, stride = int(rng.choice(KERNELS)), int(rng.choice(STRIDES)) if net.shape[1] >= 4 else 1
        net.conv(int(rng.choice(WIDTHS)), kernel, stride=stride).lif(0.5, firing=Firing(reset="value"))
    return net.graph()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accepted", type=int, default=200, help="networks that keep all rules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    target, start = sc.load_target(TARGET), time.process_time()
    accepted, refused, seed, rules = 0, 0, options.first, Counter[str]()
    while accepted < options.accepted:
        graph, seed = network(seed), seed + 1
        verdict = sc.check(graph, target, cost=False)
        rules.update({v.rule for v in verdict.violations})
        if not verdict.ok:
            continue
        accepted += 1
        packed = sc.check(graph, target, cost=False, packed=True)
        if not packed.ok:
            refused += 1
            least = round((1 + verdict.margins["cores"]) * (target.limits.cores or 1))
            print(f"{graph.name}: at least {least} cores by rules; {packed.diagnostics[0].found}", flush=True)
    print(f"{seed - options.first} networks, broken rules {dict(rules)}; {accepted} kept all rules, of which {refused} "
          f"were not packed, {refused / max(accepted, 1):.1%}; {time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main()
