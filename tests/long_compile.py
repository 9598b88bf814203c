"""As many small random candidates as you like, `check` against `compile`: `python -m tests.long_compile`.

No candidate that `check` refuses for resources may be divided among cores with the judge switched off, and none that it
accepts with `packed=True` may be refused by `compile` for hardware. Half of them lie within 20 % of a limit. Prints
what is wrong, and how many were accepted by target; exits with 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict

from tests.against_compile import TARGETS, Case, case


def main() -> int:
    options = _options()
    start, wrong = time.perf_counter(), 0
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(options.first, options.first + options.candidates):
        judged = case(seed)
        for word in _words(judged):
            found[judged.target][word] += 1
        for fault in judged.faults:
            wrong += 1
            print(f"candidate {seed}, {judged.target}: {fault}", flush=True)
    for target in TARGETS:
        print(f"{target}: {', '.join(f'{many} {word}' for word, many in sorted(found[target].items()))}")
    print(f"{options.candidates} candidates, {wrong} wrong, {time.perf_counter() - start:.0f} s")
    return int(wrong > 0)


def _words(judged: Case) -> list[str]:
    words = ["candidates", "near a limit" if judged.near else "with the target's own limits"]
    words.append("refused by rules" if not judged.rules.ok else
                 "accepted by a packing" if judged.packed.ok else "accepted by rules and not packed")
    if not judged.rules.ok and judged.unplaced not in ("", "it has no cores"):
        words.append("refused by rules and not placed")
    if judged.packed.ok:
        words.append("compiled" if not judged.refused else "not compiled for their numbers" if judged.numeric else
                     "not compiled for hardware")
    return words


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
