"""What the readers of file formats in HDF5 (NIR, NetX) share: opening a file, and reading values within bounds.

Nothing is allocated before its declared size was checked, no link is followed, and only numbers and strings are read.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

from snncompile.diagnostics import Collector, CompileError, Diagnostic, fail, shorten
from snncompile.frontends.hdf5.dataset import Dataset
from snncompile.frontends.hdf5.file import SIGNATURE, File, Hdf5Error, TooLarge, begins
from snncompile.frontends.hdf5.groups import Group, open_object
from snncompile.ir.types import Array

MAX_FIELDS = 200
MAX_NAME = 1_000
MAX_STRING = 1 << 24
MAX_AXES = 8
MAX_BYTES = 1 << 32
# Constant arrays are common and compress a thousandfold. A file may therefore declare SMALL_BYTES plus MAX_RATIO times
# its own size.
SMALL_BYTES, MAX_RATIO = 1 << 28, 64
MAX_PROBLEMS = 20

Value: TypeAlias = "Array | str"
T = TypeVar("T")


def read_hdf5(path: Path, read: Callable[[str, File], T], written_by: str, help: str) -> T:
    """Open an HDF5 file, and return what a function reads from it.

    Args:
        read: takes the file's name for messages, and the open file.
        written_by: the program that writes such files, for messages.
        help: advice for a file that is not HDF5.

    Raises:
        CompileError: SNN101 where the file is not a readable HDF5 file, SNN103 where it is too large; and what `read`
            raises.
    """
    place = f"file {shorten(path.name)}"
    try:
        if not path.is_file():
            fail("SNN101", place, "no such file")
        with io.BufferedReader(io.FileIO(path), 1 << 16) as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            first = stream.read(16)
            if not first.startswith(SIGNATURE):
                fail("SNN101", place, begins(first), "an HDF5 file", help)
            return _read(read, place, File(stream, size))
    except TooLarge as e:
        fail("SNN103", place, str(e), "the limits of the HDF5 reader")
    except Hdf5Error as e:
        fail("SNN101", place, str(e), f"an undamaged HDF5 file in the layout that {written_by} writes",
             "check that the file is complete; if it is, read it with the package that wrote it, and write it again")
    except (OSError, ValueError) as e:
        fail("SNN101", place, str(getattr(e, "strerror", None) or e))


def _read(read: Callable[[str, File], T], place: str, file: File) -> T:
    """What a function reads from a file. Where that fails and the file is not whole, this is said first (SNN101)."""
    try:
        return read(place, file)
    except (Hdf5Error, CompileError) as e:
        unfinished = "" if isinstance(e, TooLarge) else file.unfinished()
        if not unfinished:
            raise
        rest = e.diagnostics if isinstance(e, CompileError) else ()
        told = f"{unfinished} ({e})" if isinstance(e, Hdf5Error) else unfinished
        raise CompileError((Diagnostic("SNN101", place, told, "a whole file, which its writer closed",
                                       "copy the file again, or write it again: with h5py inside `with h5py.File(...)`,"
                                       " so that it is closed whatever happens"), *rest)) from None


class Values:
    """Reads values from one file, within a budget of bytes, and collects its problems.

    Attributes:
        place: the file's name in messages.
        byte_budget: how many bytes the file may declare in all, given its size.
        bytes: how many bytes it has declared so far.
    """

    def __init__(self, place: str, source: File):
        self.place, self.source = place, source
        self.byte_budget = min(MAX_BYTES, SMALL_BYTES + MAX_RATIO * source.size)
        self.bytes = 0
        self.problems = Collector()

    def problem(self, code: str, place: str, found: str, expected: str = "") -> None:
        """Record an error; raise all of them once there are `MAX_PROBLEMS`."""
        self.problems.error(code, place, found, expected)
        if len(self.problems.found) >= MAX_PROBLEMS:
            self.problems.finish()

    def members(self, group: Group, place: str, limit: int = MAX_FIELDS) -> dict[str, Group | Dataset]:
        """The groups and datasets in a group, by name.

        Raises:
            CompileError: SNN102 for a name that is too long.
            Hdf5Error: for more members than `limit`, and for links to other places.
        """
        members: dict[str, Group | Dataset] = {}
        for name, address in group.addresses(limit).items():
            if len(name) > MAX_NAME:
                fail("SNN102", place, f"the name {shorten(name)}", f"at most {MAX_NAME} characters")
            members[name] = open_object(self.source, address)
        return members

    def value(self, dataset: Dataset, place: str) -> Value:
        """The content of a dataset: an array of numbers, or a single string. Raises SNN102 for several strings."""
        self.claim(dataset, place)
        if dataset.dtype is not None and dataset.dtype.kind != "S":
            return dataset.numbers()
        if dataset.size != 1:
            fail("SNN102", place, f"strings of shape {list(dataset.shape)}", "numbers, or a single string")
        return self.decoded(next(dataset.strings()), place)

    def claim(self, dataset: Dataset, place: str) -> None:
        """Count a dataset's declared size against the budget.

        Raises:
            CompileError: SNN102 for more than `MAX_AXES` axes, SNN103 where the budget is exceeded.
        """
        if len(dataset.shape) > MAX_AXES:
            fail("SNN102", place, f"a dataset of {len(dataset.shape)} axes", f"at most {MAX_AXES} axes")
        self.bytes += dataset.nbytes
        if self.bytes > self.byte_budget:
            fail("SNN103", place, f"the file declares {self.bytes} bytes of data",
                 f"{self.byte_budget} bytes for a file of its size")

    def decoded(self, data: bytes, place: str) -> str:
        """A string from its UTF-8 bytes. Raises SNN102 for other bytes, SNN103 where it is too long."""
        self.bytes += len(data)
        if len(data) > MAX_STRING:
            fail("SNN103", place, f"a string of {len(data)} bytes", f"at most {MAX_STRING} bytes")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            fail("SNN102", place, f"the bytes {shorten(data[:40])}", "a UTF-8 string")
