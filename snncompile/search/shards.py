"""Screening into files, shard by shard: on one machine in several processes, on many, or with Ray.

    screen_files(space, "loihi2", "results", shards=64, jobs=2)

A shard that is there already is skipped, so that the same command goes on after an interruption. Files are whole or not
there: they are written under another name, and renamed.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import snncompile
from snncompile.diagnostics import CompileError, fail, shorten
from snncompile.search.results import Writing, about_file, columns_of, expect_format
from snncompile.search.screening import Screener, Targets, chosen, count_of, part_of, screened, terms_of
from snncompile.search.space import Space
from snncompile.search.terms import Terms

ATTEMPTS = 3
"""How often a shard is tried whose process has died."""
PART, MAX_ROWS = 1 << 18, 1 << 24
"""Candidates that are in memory at a time, and the most of a file."""
SAMPLED = 8
"""Networks of a space that are written out to tell it from others of its name."""
Told = Callable[[int, int], None]
"""Is told, after each shard, how many are done, and how many there are."""


def screen_files(space: Space, targets: Targets, out: str | Path, *, shards: int = 1,
                 only: Iterable[int] | None = None, jobs: int = 1, engine: Literal["processes", "ray"] = "processes",
                 file_format: str = "parquet", progress: Told | None = None, **options: Any
                 ) -> list[Path]:
    """Screen a space into one file for each target and shard.

    Args:
        out: the folder of the files, which is made if it is not there.
        shards: how many equal parts the candidates are divided into.
        only: the numbers of the shards to work on; all without it.
        jobs: processes at a time. Processes are copies of this one where the system can copy it, so that a space may be
            any function; elsewhere the space has to be one that pickle can send. Ray sends it by its own means.
        engine: "ray" works in the cluster that Ray knows of, or on this machine.
        file_format: "csv", or "parquet", which needs pyarrow.
        options: those of `screen`, but `shard`.

    Returns:
        The files of these shards, those that were there already among them.

    Raises:
        CompileError: SNN404 for an option that is wrong, or a file in `out` that holds another screening.
        RuntimeError: where the process of a shard died ATTEMPTS times.
    """
    expect_format(file_format)
    work = _Work(space, targets, Path(out), shards, file_format, options)
    work.expect_short()
    numbers = list(range(shards) if only is None else only)
    for number in numbers:
        part_of(range(shards), (number, shards))
    waiting = [number for number in numbers if not work.is_done(number)]
    done = len(numbers) - len(waiting)
    if waiting:
        work.screener  # noqa: B018 - made here, so that processes that are copied find it
    run = _by_ray if engine == "ray" else _by_processes if jobs > 1 else _here
    for _ in run(work, waiting, jobs):
        done += 1
        if progress:
            progress(done, len(numbers))
    return [path for number in numbers for path in work.paths(number)]


class _Work:
    """What has to be done, and how to do one shard of it."""

    def __init__(self, space: Space, targets: Targets, out: Path, shards: int, file_format: str,
                 options: Mapping[str, Any]):
        if "shard" in options:
            fail("SNN404", "screen_files, shard", "given", "shards, and only for some of them")
        self.space, self.out, self.shards, self.file_format = space, out, shards, file_format
        given = {n: v for n, v in options.items() if v is not None}
        self.seed = given.pop("seed", 0)
        self.numbers = chosen(space, given.pop("indices", None), given.pop("sample", None), self.seed)
        self.looked = {n: given.pop(n) for n in ("margins", "checked") if n in given}
        self.terms = terms_of(targets, **given)
        self.options = {n: list(v) if isinstance(v, range) else v for n, v in options.items() if n != "indices"}
        self.listed = None if options.get("indices") is None else _digest(repr(
            self.numbers if isinstance(self.numbers, range) else self.numbers.tolist()))

    @cached_property
    def screener(self) -> Screener:
        """Made once, before processes are copied: the tables of a chain take some seconds."""
        return Screener(self.space, self.terms)

    @cached_property
    def networks(self) -> str:
        """A digest of some networks of the space, by which one whose code was changed is told from what it was."""
        draw = random.Random(0)
        few = [draw.randrange(self.space.size) for _ in range(SAMPLED)]
        return _digest("\n".join(_text(self.space, index) for index in (0, *few, self.space.size - 1)))

    def paths(self, number: int) -> list[Path]:
        """The files of a shard, in the order of the targets."""
        return [self.out / f"{plain(self.space.name)}-{plain(t.target.name)}-{number}-of-{self.shards}."
                f"{self.file_format}" for t in self.terms]

    def about(self, number: int, term: Terms) -> dict[str, Any]:
        """What a file holds, as it says itself."""
        return {"space": self.space.name, "choices": {n: list(map(str, v)) for n, v in self.space.choices.items()},
                "target": term.target.name, "figures": _digest(repr(term.target)), "version": snncompile.__version__,
                "shard": [number, self.shards], "options": self.options,
                "indices": self.listed, "networks": self.networks}

    def is_done(self, number: int) -> bool:
        """Whether all files of a shard are there. Raises SNN404 for one that holds something else."""
        done = True
        for path, term in zip(self.paths(number), self.terms, strict=True):
            found = about_file(path, self.file_format) if path.exists() else None
            if path.exists() and found != self.about(number, term):
                fail("SNN404", f"file {shorten(path.name)}", "another screening", "a shard of this one",
                     "choose another folder, or remove the file")
            done = done and found is not None
        return done

    def do(self, number: int) -> int:
        """Screen a shard, part after part, and write its files."""
        numbers = part_of(self.numbers, (number, self.shards))
        with ExitStack() as stack:
            files = [stack.enter_context(Writing(path, self.about(number, term), self.file_format))
                     for path, term in zip(self.paths(number), self.terms, strict=True)]
            for first in range(0, max(count_of(numbers), 1), PART):
                found = screened(self.screener, numbers[first:first + PART], seed=self.seed, **self.looked)
                for file, term in zip(files, self.terms, strict=True):
                    file.add(columns_of(self.space, found.indices, found.targets[term.target.name]))
        return number

    def expect_short(self) -> None:
        """Raises SNN404 where a shard has more than MAX_ROWS candidates."""
        count = count_of(self.numbers)
        if -(-count // self.shards) > MAX_ROWS:
            fail("SNN404", f"space {shorten(self.space.name)}, files",
                 f"{count:,} candidates in {self.shards:,} file{'s' * (self.shards > 1)} for each target",
                 f"at most {MAX_ROWS:,} in a file",
                 f"ask for a sample (--sample), or for {-(-count // MAX_ROWS):,} shards or more (--shard 0/N)")


def plain(name: str) -> str:
    """A name as a part of the name of a file. Names that differ stay different: one that is changed gets a digest.

    >>> plain("small"), plain("loihi2 cores=32")
    ('small', 'loihi2_cores_32.05c9b118')
    """
    changed = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:80]
    return changed if changed == name else f"{changed}.{_digest(name)[:8]}"


def _text(space: Space, index: int) -> str:
    """The text form of a candidate; why it is none, where it cannot be built."""
    try:
        return str(space.build(index))
    except CompileError as e:
        return str(e)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _here(work: _Work, numbers: Sequence[int], jobs: int) -> Iterator[int]:
    return map(work.do, numbers)


_COPIED: _Work | None = None
"""The work of this process, which the processes that are copied from it find here."""


def _do_copied(number: int) -> int:
    assert _COPIED is not None
    return _COPIED.do(number)


def _by_processes(work: _Work, numbers: Sequence[int], jobs: int) -> Iterator[int]:
    """The shards, in several processes. Those whose process has died are tried again."""
    global _COPIED
    copies = "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if copies else None)
    left = list(numbers)
    for _ in range(ATTEMPTS):
        _COPIED = work
        try:
            with ProcessPoolExecutor(jobs, mp_context=context) as pool:
                for future in as_completed([pool.submit(_do_copied, n) if copies else pool.submit(work.do, n)
                                            for n in left]):
                    left.remove(future.result())
                    yield 0
            return
        except BrokenProcessPool:
            continue
        finally:
            _COPIED = None
    raise RuntimeError(f"the process of a shard died {ATTEMPTS} times; shards left: {left}")


def _by_ray(work: _Work, numbers: Sequence[int], jobs: int) -> Iterator[int]:
    """The shards as tasks of Ray, which repeats those that fail."""
    try:
        import ray
    except ImportError:
        fail("SNN404", "screen_files, engine", "ray, which is not installed", "processes",
             "install snncompile[ray], or leave the engine out")
    if not ray.is_initialized():
        ray.init(num_cpus=jobs, include_dashboard=False, configure_logging=False)
    shared = ray.put(work)
    task = ray.remote(max_retries=ATTEMPTS)(lambda held, number: held.do(number))
    waiting = [task.remote(shared, number) for number in numbers]
    while waiting:
        finished, waiting = ray.wait(waiting)
        yield ray.get(finished[0])
