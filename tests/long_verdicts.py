"""Whether `screen` and `check` ever differ: `python -m tests.long_verdicts --candidates 20000`.

Candidates of random spaces, chains and spaces of graphs, are judged both ways, on every target and on variants whose
limits lie exactly on what candidates use, or one below. With `--all`, all networks of SpikeNAS-Bench and of BCNAS-SNN
over ResNet-18. Prints what differs, and a summary; exits with 1 if anything did.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter

from snncompile.search.families.table import space_of
from tests.random_spaces import random_space
from tests.verdicts import compare, compare_all

WHOLE = ("spikenas-bench:cifar10", "spikenas-bench:cifar100", "bcnas:resnet18")

BATCH = 500


def main() -> int:
    options = _options()
    start, seen = time.perf_counter(), Counter[str]()
    wrong = _whole(options, seen) if options.all else _random(options, seen)
    print(f"{wrong} differences, {dict(seen)}, {time.perf_counter() - start:.0f} s")
    return int(wrong > 0)


def _random(options: argparse.Namespace, seen: Counter[str]) -> int:
    wrong, candidates = 0, 0
    for seed in itertools.count(options.first):
        if candidates >= options.candidates:
            break
        space = random_space(seed)
        found = compare(space, options.each, seed, seen)
        candidates += min(options.each, space.size)
        wrong += len(found)
        print("\n".join([f"{space.name}: {space.size:,} candidates, {len(found)} differences", *found[:5]]), flush=True)
    print(f"{seed - options.first} spaces, {candidates} candidates")
    return wrong


def _whole(options: argparse.Namespace, seen: Counter[str]) -> int:
    wrong = 0
    place, parts = map(int, options.shard.split("/"))
    for name in options.spaces.split(","):
        space = space_of(name)
        numbers = range(space.size * place // parts, space.size * (place + 1) // parts)
        for first in range(numbers.start, numbers.stop, BATCH):
            batch = range(first, min(first + BATCH, numbers.stop))
            for found in compare_all(space, batch, options.targets.split(","), seen):
                wrong += 1
                print(found, flush=True)
            print(f"{name}: to {batch.stop:,} of {space.size:,}, {wrong} differences so far, {dict(seen)}", flush=True)
    return wrong


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=20_000)
    parser.add_argument("--each", type=int, default=1000, help="the most candidates of a space")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--all", action="store_true", help="all networks of published spaces, no random ones")
    parser.add_argument("--spaces", default=",".join(WHOLE), help="of --all")
    parser.add_argument("--shard", default="0/1", help="of --all: part I of N of each space")
    parser.add_argument("--targets", default="loihi2,c99,speck2f", help="of --all")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
