"""What readers of HDF5 formats share: opening a file, and taking values from it within bounds.

Nothing is allocated before its declared size was checked, no link is followed, and only numbers and strings are read.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.frontends.hdf5.file import SIGNATURE, Dataset, File, Hdf5Error, TooLarge, begins
from snncompile.frontends.hdf5.groups import Group, open_object
from snncompile.ir.types import Array

MAX_FIELDS = 200
MAX_NAME = 1_000
MAX_STRING = 1 << 24
MAX_AXES = 8
MAX_BYTES = 1 << 32
# Constant arrays compress a thousandfold and are common, so small files may declare far more than they hold.
SMALL_BYTES, MAX_RATIO = 1 << 28, 64
MAX_PROBLEMS = 20

Value: TypeAlias = "Array | str"
T = TypeVar("T")


def read_hdf5(path: Path, read: Callable[[str, File], T], written_by: str, help: str) -> T:
    """What a function makes of an open HDF5 file; it is given the place for messages, and the file.

    Args:
        written_by: the writer of well-formed files, for messages.
        help: what to do about a file that is not HDF5.

    Raises:
        CompileError: SNN101 where the file is no readable HDF5 file, SNN103 where it is too large.
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
                fail("SNN101", place, f"it begins with {shorten(begins(first))}", "an HDF5 file", help)
            return read(place, File(stream, size))
    except TooLarge as e:
        fail("SNN103", place, str(e), "the limits of the HDF5 reader")
    except Hdf5Error as e:
        fail("SNN101", place, str(e), f"an undamaged HDF5 file in the layout that {written_by} writes",
             "check that the file arrived whole; if it did, read it with its own package and write it again")
    except (OSError, ValueError) as e:
        fail("SNN101", place, str(getattr(e, "strerror", None) or e))


class Values:
    """One pass over a file, counting what it has been promised so far, and gathering what is wrong with it."""

    def __init__(self, place: str, source: File):
        self.place, self.source = place, source
        self.byte_budget = min(MAX_BYTES, SMALL_BYTES + MAX_RATIO * source.size)
        self.bytes = 0
        self.found = Collector()

    def problem(self, code: str, place: str, found: str, limit: str = "") -> None:
        self.found.error(code, place, found, limit)
        if len(self.found.found) >= MAX_PROBLEMS:
            self.found.finish()

    def members(self, group: Group, place: str, limit: int = MAX_FIELDS) -> dict[str, Group | Dataset]:
        """The groups and datasets in a group, by name."""
        found: dict[str, Group | Dataset] = {}
        for name, address in group.addresses(limit).items():
            if len(name) > MAX_NAME:
                fail("SNN102", place, f"the name {shorten(name)}", f"at most {MAX_NAME} characters")
            found[name] = open_object(self.source, address)
        return found

    def value(self, dataset: Dataset, place: str) -> Value:
        """An array of numbers, or a single string."""
        self.claim(dataset, place)
        if dataset.dtype is not None and dataset.dtype.kind != "S":
            return dataset.numbers()
        if dataset.size != 1:
            fail("SNN102", place, f"strings of shape {list(dataset.shape)}", "numbers, or a single string")
        return self.decoded(next(dataset.strings()), place)

    def claim(self, dataset: Dataset, place: str) -> None:
        """Refuse a dataset that declares more than a file of this size can mean."""
        if len(dataset.shape) > MAX_AXES:
            fail("SNN102", place, f"a dataset of {len(dataset.shape)} axes", f"at most {MAX_AXES} axes")
        self.bytes += dataset.nbytes
        if self.bytes > self.byte_budget:
            fail("SNN103", place, f"the file declares {self.bytes} bytes of data",
                 f"{self.byte_budget} for a file of its size")

    def decoded(self, data: bytes, place: str) -> str:
        self.bytes += len(data)
        if len(data) > MAX_STRING:
            fail("SNN103", place, f"a string of {len(data)} bytes", f"{MAX_STRING}")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            fail("SNN102", place, f"the bytes {shorten(data[:40])}", "UTF-8")
