"""Opening data files that nobody vouches for: bounded in size before anything is allocated, never unpickled."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from snncompile.diagnostics import fail, shorten
from snncompile.ir.types import Array, Shape

MAX_FILE_BYTES = 1 << 31
MAX_LIST_BYTES = 1 << 28
MAX_ARRAYS = 1000
MAX_VALUES = 1 << 30
MAX_TICKS = 1 << 20

# What NumPy's parser of headers, a Python literal in text, has been seen to raise on altered ones.
HEADER_ERRORS = (ValueError, TypeError, KeyError, SyntaxError, OverflowError, MemoryError, RecursionError,
                 tokenize.TokenError)
ZIP_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, ValueError, struct.error)


def place_of(path: Path) -> str:
    return f"file {shorten(path)}"


def check_size(path: Path, limit: int = MAX_FILE_BYTES) -> int:
    """The size of a regular file in bytes; SNN502 where there is none or it is too large."""
    try:
        if not path.is_file():
            fail("SNN502", place_of(path), "no such file" if not path.exists() else "not a regular file")
        size = path.stat().st_size
    except (OSError, ValueError) as e:
        fail("SNN502", place_of(path), _reason(e))
    if size > limit:
        fail("SNN502", place_of(path), f"{size} bytes", f"at most {limit}")
    return size


def read_bytes(path: Path) -> bytes:
    """The content of an event file or a CSV file."""
    check_size(path, MAX_LIST_BYTES)
    try:
        return path.read_bytes()
    except OSError as e:
        fail("SNN502", place_of(path), _reason(e))


def check_room(shape: Shape, place: str) -> None:
    """SNN501 where a tensor of this shape would be too large to hold."""
    values = 1
    for n in shape:
        values *= n
    if values > MAX_VALUES:
        fail("SNN501", place, f"{list(shape)} would hold {values} values", f"at most {MAX_VALUES}",
             "read fewer samples or ticks at a time")


def read_npy(path: Path) -> Array:
    """The array of a `.npy` file."""
    size = check_size(path)
    try:
        with path.open("rb") as stream:
            return _read_array(stream, size, place_of(path))
    except OSError as e:
        fail("SNN502", place_of(path), _reason(e))


def npz_names(path: Path) -> tuple[str, ...]:
    """The names of the arrays in a `.npz` file, in its order."""
    check_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = tuple(n[:-4] for n in archive.namelist() if n.endswith(".npy"))
    except ZIP_ERRORS as e:
        fail("SNN502", place_of(path), _reason(e), "an .npz archive as NumPy writes it")
    if not names or len(names) > MAX_ARRAYS:
        fail("SNN502", place_of(path), f"{len(names)} arrays", f"1 to {MAX_ARRAYS}")
    return names


def read_npz(path: Path, name: str) -> Array:
    """One array of a `.npz` file."""
    place = f"{place_of(path)}, array {shorten(name)}"
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(name + ".npy")
            if member.file_size > MAX_FILE_BYTES:
                fail("SNN502", place, f"{member.file_size} bytes once unpacked", f"at most {MAX_FILE_BYTES}")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                fail("SNN502", place, f"compression method {member.compress_type}", "stored or deflated")
            with archive.open(member) as stream:
                return _read_array(stream, member.file_size, place)
    except ZIP_ERRORS as e:
        fail("SNN502", place, _reason(e), "an .npz archive as NumPy writes it")


def _read_array(stream: IO[bytes], size: int, place: str) -> Array:
    """An array, after its header has been found to promise no more than the file holds."""
    try:
        version = npy.read_magic(stream)
        header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if header is None:
            fail("SNN502", place, f"format version {version[0]}.{version[1]}", "an array of plain numbers")
        shape, _, dtype = header(stream)
        if dtype.kind not in "biuf":
            fail("SNN502", place, f"values of type {dtype.name}", "booleans, integers or floats")
        _check_promise(shape, dtype.itemsize, size, place)
        stream.seek(0)
        return np.asarray(npy.read_array(stream, allow_pickle=False))
    except HEADER_ERRORS as e:
        fail("SNN502", place, _reason(e), "an array as NumPy writes it")


def _check_promise(shape: Shape, item_bytes: int, size: int, place: str) -> None:
    promised = item_bytes
    for n in shape:
        promised *= n
    if min(shape, default=0) < 0 or promised > size:
        fail("SNN502", place, f"its header promises {list(shape)[:8]}, {promised} bytes; the file has {size}",
             help="the file was truncated or altered")


def _reason(e: BaseException) -> str:
    return (str(e) or type(e).__name__)[:200]
