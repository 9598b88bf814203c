"""A process that reads damaged files under limits, and one that watches it."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import resource
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOM = 1 << 30
"""How many bytes of address space a file may take beyond what the process had before."""
SECONDS = 5.0
MAX_MESSAGE = 20_000
GRACE = 4
"""A process that is not done after this multiple of the time limit is ended."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        kind: its kind, a key of `cases.KINDS`.
        what: `read`, the code of its first diagnostic, or what went wrong.
        wrong: whether reading ended in anything but a network, data or a diagnostic, or took too long.
        seconds: the processor time that it took.
    """

    number: int
    kind: str
    what: str
    wrong: bool
    seconds: float


def outcomes(numbers: range, folder: Path, room: int = ROOM) -> Iterator[Outcome]:
    """Read the damaged files of these numbers in another process, and yield what became of each.

    A process that dies or hangs is replaced by a new one, which goes on with the next number.
    """
    context = multiprocessing.get_context("spawn")
    left = list(numbers)
    while left:
        ours, theirs = context.Pipe()
        attempt = folder / f"from{left[0]}"
        attempt.mkdir(parents=True)
        process = context.Process(target=_work, args=(theirs, left, attempt, room), daemon=True)
        process.start()
        theirs.close()
        for outcome in _watched(ours, process, left):
            yield outcome
            left = left[left.index(outcome.number) + 1:]
        process.kill()
        process.join()


def _watched(pipe: Connection, process: Any, numbers: list[int]) -> Iterator[Outcome]:
    """The outcomes that a process sends, and one for the file during which it died or hung."""
    kind, number = "", numbers[0]
    for _ in numbers:
        try:
            if not pipe.poll(120):
                raise TimeoutError
            number, kind = pipe.recv()
            if not pipe.poll(GRACE * SECONDS):
                raise TimeoutError
            yield pipe.recv()
        except TimeoutError:
            yield Outcome(number, kind, f"no end after {GRACE * SECONDS:.0f} s", True, GRACE * SECONDS)
            return
        except EOFError:
            process.join(5)
            yield Outcome(number, kind, f"the process ended with {process.exitcode}", True, 0.0)
            return


def _work(pipe: Connection, numbers: list[int], folder: Path, room: int) -> None:
    from tests.damage.cases import KINDS, Cases

    warnings.simplefilter("ignore")
    cases = Cases(folder)
    for kind, files in cases.sound.items():
        for file in files:
            with contextlib.suppress(Exception):
                KINDS[kind].read(file)
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + room, held + room))
    for number in numbers:
        kind = cases.kind(number)
        try:
            path = cases.make(number)
        except Exception as e:  # what makes damaged files may fail itself; such a number is left out
            pipe.send((number, kind))
            pipe.send(Outcome(number, kind, f"not made: {type(e).__name__}", False, 0.0))
            continue
        pipe.send((number, kind))
        pipe.send(_outcome(number, kind, path, KINDS[kind].read))


def _outcome(number: int, kind: str, path: Path, read: Any) -> Outcome:
    from snncompile.diagnostics import CompileError

    start, heard = time.process_time(), io.StringIO()
    try:
        with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
            read(path)
        what, wrong = "read", False
    except CompileError as e:
        text = str(e)
        strange = len(text) > MAX_MESSAGE or any(not (c.isprintable() or c == "\n") for c in text)
        what, wrong = ("a message of strange letters or length" if strange else e.diagnostics[0].code), strange
    except BaseException as e:
        frame = traceback.extract_tb(e.__traceback__)
        own = [f for f in frame if "snncompile" in f.filename] or frame
        what = f"{type(e).__name__}: {str(e)[:100]!r} in {Path(own[-1].filename).name}:{own[-1].lineno}"
        wrong = True
    seconds = time.process_time() - start
    if seconds > SECONDS:
        what, wrong = f"{seconds:.1f} s ({what})", True
    return Outcome(number, kind, what, wrong, seconds)


