"""Which faults the tests see: `make mutants`, or `python -m tests.mutants --count 200 --seed 3 --under snncompile/ir`.

The package gets one small fault at a time, chosen by a seed and spread over the files. For each, the tests run that
reach its line, as a first run with pytest-cov has found. Goldens are not compared, so that a fault which only a golden
shows counts as unseen. Prints a line for each fault, and a table by folder; those that survived are for a person to
judge: some make no difference.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import coverage

from tests.mutations import Mutation, mutations

ROOT = Path(__file__).parents[1]
COPIED = ("snncompile", "tests", "docs", "examples", "benchmarks", "pyproject.toml", "README.md", "CHANGELOG.md")
MOST_TESTS = 300
"""The most tests that run for a fault: half of them those that reach the fewest lines, half of them a random choice."""
TIMEOUT_S = 900
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ignore-golden")


@dataclass(frozen=True)
class Fault:
    """A mutation of a file, and the tests that reach its line."""

    file: str
    mutation: Mutation
    tests: tuple[str, ...]

    def __str__(self) -> str:
        m = self.mutation
        return f"{self.file}:{m.line}:{m.start + 1}  {m.before!r} -> {m.after!r}"


def main() -> int:
    options = _options()
    rng = random.Random(options.seed)
    reached = _reached(options.tests, Path(options.coverage))
    files = sorted(f for f in reached if f.startswith(options.under) and f.endswith(".py"))
    faults = list(_chosen(files, reached, options.count, rng))
    survived: list[Fault] = []
    seen: Counter[tuple[str, bool]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for i in range(options.processes):
            copies.put(_copy(Path(folder) / str(i)))
        with ThreadPoolExecutor(options.processes) as pool:
            for fault, killer in pool.map(lambda f: _tried(f, copies), faults):
                told = f"seen      {fault}  {killer}" if killer else f"SURVIVED  {fault}  {len(fault.tests)} tests"
                print(told, flush=True)
                seen[fault.file.rpartition("/")[0], bool(killer)] += 1
                survived += [] if killer else [fault]
    print(f"\n{'folder':<40}{'seen':>6}{'of':>6}")
    for place in sorted({place for place, _ in seen}):
        print(f"{place:<40}{seen[place, True]:>6}{seen[place, True] + seen[place, False]:>6}")
    print(f"{len(faults) - len(survived)} of {len(faults)} faults were seen; seed {options.seed}")
    return int(bool(survived))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="how many faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--under", default="snncompile", help="the folder or file of the faults")
    parser.add_argument("--tests", nargs="*", default=["tests"], help="the tests that may see them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--coverage", default=str(ROOT / ".mutants" / "reached.json"),
                        help="where the tests of each line are kept; delete it after changes")
    return parser.parse_args()


def _reached(tests: list[str], kept: Path) -> dict[str, dict[str, list[str]]]:
    """The tests that reach each line, by file and line number; "0" stands for lines that run on import."""
    if kept.exists():
        known: dict[str, dict[str, list[str]]] = json.loads(kept.read_text())
        return known
    kept.parent.mkdir(exist_ok=True)
    data = kept.with_name("coverage")
    done = subprocess.run([*PYTEST, "-n", "auto", "-rfE", "--cov=snncompile", "--cov-context=test", "--cov-report=",
                           *tests], cwd=ROOT, env={**os.environ, "COVERAGE_FILE": str(data)}, stdout=subprocess.PIPE,
                          text=True, errors="replace", check=False)
    failed = set(_failures(done.stdout))
    if failed:
        print(f"Left out, since they fail without a fault: {', '.join(sorted(failed))}", flush=True)
    measured = coverage.CoverageData(str(data))
    measured.read()
    found = {}
    for file in sorted(measured.measured_files()):
        lines = measured.contexts_by_lineno(file)
        found[str(Path(file).relative_to(ROOT))] = {
            str(line): sorted({context.partition("|")[0] for context in contexts if context} - failed)
            for line, contexts in lines.items()}
    kept.write_text(json.dumps(found))
    return found


def _chosen(files: list[str], reached: Mapping[str, Mapping[str, list[str]]], count: int, rng: random.Random
            ) -> Iterator[Fault]:
    """Faults spread over the files: each file gets one before any gets a second."""
    possible = {f: mutations((ROOT / f).read_text()) for f in files}
    breadth = Counter(test for lines in reached.values() for tests in lines.values() for test in tests)
    for found in possible.values():
        rng.shuffle(found)
    while count and any(possible.values()):
        order = [f for f in files if possible[f]]
        rng.shuffle(order)
        for file in order[:count]:
            fault = possible[file].pop()
            yield Fault(file, fault, _tests(fault.line, reached[file], breadth, rng))
            count -= 1


def _tests(line: int, reached: Mapping[str, list[str]], breadth: Mapping[str, int], rng: random.Random
           ) -> tuple[str, ...]:
    """The tests that reach a line; of a line that runs on import, those that reach any line of the file.

    Args:
        reached: the tests of each line of the file.
        breadth: how many lines of the package each test reaches.
    """
    own = reached.get(str(line)) or sorted({test for tests in reached.values() for test in tests})
    own = sorted(own, key=lambda test: breadth[test])
    first, others = own[:MOST_TESTS // 2], own[MOST_TESTS // 2:]
    return (*first, *rng.sample(others, min(len(others), MOST_TESTS - len(first))))


def _copy(folder: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    return folder


def _tried(fault: Fault, copies: SimpleQueue[Path]) -> tuple[Fault, str]:
    """The fault, and the first test that sees it, or an empty text."""
    folder = copies.get()
    place = folder / fault.file
    whole = place.read_text()
    try:
        place.write_text(fault.mutation.of(whole))
        return fault, _first_failure(fault.tests, folder)
    finally:
        place.write_text(whole)
        copies.put(folder)


def _first_failure(tests: Iterable[str], folder: Path) -> str:
    listed = folder / "tests.txt"
    listed.write_text("\n".join(tests))
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1",
                   "SNNC_SHARED_DATA": os.environ.get("SNNC_SHARED_DATA", str(ROOT.parent / "shared" / "data"))}
    try:
        done = subprocess.run([*PYTEST, "-x", "--no-header", "-rfE", f"@{listed}"], cwd=folder, env=environment,
                              capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return "it does not end"
    if done.returncode in (0, 5):
        return ""
    told = _failures(done.stdout)
    return told[0] if told else f"pytest ends with {done.returncode}"


def _failures(printed: str) -> list[str]:
    """The tests that failed, of what pytest printed with `-rfE`."""
    told = [line for line in printed.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return [line.split(" ", 1)[1].split(" - ")[0] for line in told]


if __name__ == "__main__":
    sys.exit(main())
