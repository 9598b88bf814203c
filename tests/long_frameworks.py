"""As many random networks of a framework as you like: `python -m tests.long_frameworks --framework norse`.

Every network is read from its PyTorch module, run by the reference interpreter, and compared with the framework's own
run in every spike of every neuron. Prints what differs, and a summary; exits with 1 if anything did. With `--single`
both compute in float32, where sums of synapses in another order may differ by a rounding: those are counted.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter

import torch

from snncompile.diagnostics import CompileError
from tests.frontends.torch.random_cells import FRAMEWORKS
from tests.frontends.torch.random_networks import compare, random_case


def main() -> int:
    options = _options()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    start, total, refused = time.perf_counter(), Counter[str](), Counter[str]()
    for seed in range(options.first, options.first + options.networks):
        case = random_case(options.framework, seed, torch.float32 if options.single else torch.float64)
        try:
            found = compare(case)
        except CompileError as e:
            refused[f"{e.diagnostics[0].code} {e.diagnostics[0].found[:60]}"] += 1
            continue
        total.update(populations=found.populations, active=found.active, values=found.values,
                     different=sum(found.wrong.values()), networks=bool(found.wrong))
        if found.wrong:
            print(f"seed {seed}: {found.wrong}", flush=True)
    print(f"{options.framework}, {options.networks} networks, {total['populations']} populations ({total['active']} of "
          f"them active), {total['different']} of {total['values']} values differ in {total['networks']} networks, "
          f"{sum(refused.values())} refused {dict(refused)}, {time.perf_counter() - start:.0f} s")
    return int(total["networks"] > 0 or bool(refused))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=FRAMEWORKS, required=True)
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1_000_000, help="the first seed")
    parser.add_argument("--single", action="store_true", help="compute in float32 instead of float64")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
