"""As many damaged files as you like, of every kind that is read: `python -m tests.long_files --count 40000 --seed 0`.

Each file must be read or refused with a diagnostic: no traceback, within 5 seconds of processor time, and with at most
1 GB of address space beyond what the process had. Prints every file that breaks one of these, by its number, and a
summary by kind; exits with 1 if there was any. `--keep FOLDER` writes the damaged files of the numbers that follow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from tests.damage.worker import Outcome, outcomes

EVERY = 1000


def main() -> int:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SNNC_CACHE"] = os.path.join(folder, "cache")
        if options.keep:
            return _keep(options.keep, options.numbers, Path(folder))
        return int(_run(range(options.seed, options.seed + options.count), Path(folder)) > 0)


def _run(numbers: range, folder: Path) -> int:
    start, found, slowest = time.perf_counter(), defaultdict[str, Counter[str]](Counter), dict[str, Outcome]()
    wrong: list[Outcome] = []
    for done, outcome in enumerate(outcomes(numbers, folder), start=1):
        found[outcome.kind]["wrong" if outcome.wrong else outcome.what] += 1
        slowest[outcome.kind] = max(slowest.get(outcome.kind, outcome), outcome, key=lambda o: o.seconds)
        if outcome.wrong:
            wrong.append(outcome)
            print(f"file {outcome.number} ({outcome.kind}): {outcome.what}", flush=True)
        if done % EVERY == 0:
            print(f"{done} files, {len(wrong)} wrong, {time.perf_counter() - start:.0f} s", flush=True)
    for kind, counts in sorted(found.items()):
        last = slowest[kind]
        print(f"{kind}: {sum(counts.values())} files, {dict(counts.most_common())}, slowest {last.seconds:.2f} s "
              f"(file {last.number})")
    print(f"{len(numbers)} files, {len(wrong)} wrong, {time.perf_counter() - start:.0f} s")
    return len(wrong)


def _keep(folder: Path, numbers: list[int], scratch: Path) -> int:
    from tests.damage.cases import Cases

    cases = Cases(scratch)
    for number in numbers:
        path = cases.make(number)
        shutil.copytree(path.parent, folder / str(number), symlinks=True, dirs_exist_ok=True)
        print(folder / str(number) / path.name)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="the number of the first file")
    parser.add_argument("--keep", type=Path, help="write files of these numbers into a folder, and read none")
    parser.add_argument("numbers", type=int, nargs="*")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
