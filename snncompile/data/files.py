"""Opens data files without trusting them: sizes are bounded before anything is allocated, and nothing is unpickled."""

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
# An archive of zeros unpacks to a thousand times its size. An array may therefore have SMALL_BYTES plus MAX_RATIO times
# the size of its archive; samples with a spike in every hundredth place pack to a fortieth.
SMALL_BYTES, MAX_RATIO = 1 << 28, 200
MAX_ARRAYS = 1000
MAX_VALUES = 1 << 30
MAX_TICKS = 1 << 20

# NumPy parses an array's header as a Python literal. These are the exceptions that it raises on damaged headers.
HEADER_ERRORS = (ValueError, TypeError, LookupError, SyntaxError, ArithmeticError, AttributeError, MemoryError,
                 RecursionError, tokenize.TokenError)
ZIP_ERRORS = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, ValueError, struct.error)


def place_of(path: Path) -> str:
    return f"file {shorten(path)}"


def check_size(path: Path, limit: int = MAX_FILE_BYTES) -> int:
    """The size of a regular file in bytes.

    Raises:
        CompileError: SNN502 where there is no such file, or where it is larger than `limit`.
    """
    try:
        if not path.is_file():
            fail("SNN502", place_of(path), "no such file" if not path.exists() else "not a regular file")
        size = path.stat().st_size
    except (OSError, ValueError) as e:
        fail("SNN502", place_of(path), _reason(e))
    if size > limit:
        fail("SNN502", place_of(path), f"{size} bytes", f"at most {limit} bytes")
    return size


def read_bytes(path: Path) -> bytes:
    """The content of an event file or CSV file, of at most `MAX_LIST_BYTES`."""
    check_size(path, MAX_LIST_BYTES)
    try:
        return path.read_bytes()
    except OSError as e:
        fail("SNN502", place_of(path), _reason(e))


def check_room(shape: Shape, place: str) -> None:
    """Raise SNN501 where a tensor of this shape would have more than `MAX_VALUES` values."""
    values = 1
    for n in shape:
        values *= n
    if values > MAX_VALUES:
        fail("SNN501", place, f"a tensor {list(shape)} of {values} values", f"at most {MAX_VALUES} values",
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
        fail("SNN502", place_of(path), f"{len(names)} arrays", f"1 to {MAX_ARRAYS} arrays")
    return names


def read_npz(path: Path, name: str) -> Array:
    """One array of a `.npz` file."""
    place = f"{place_of(path)}, array {shorten(name)}"
    most = min(MAX_FILE_BYTES, SMALL_BYTES + MAX_RATIO * check_size(path))
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(name + ".npy")
            if member.file_size > most:
                fail("SNN502", place, f"{member.file_size} bytes when unpacked",
                     f"at most {most} bytes for an archive of its size", "save it without compression, by np.savez")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                fail("SNN502", place, f"the compression method {member.compress_type}", "no compression, or deflate")
            with archive.open(member) as stream:
                return _read_array(stream, member.file_size, place)
    except ZIP_ERRORS as e:
        fail("SNN502", place, _reason(e), "an .npz archive as NumPy writes it")


def _read_array(stream: IO[bytes], size: int, place: str) -> Array:
    """The array in a stream, once its header is known to declare no more bytes than the stream has.

    Args:
        size: the length of the stream in bytes.

    Raises:
        CompileError: SNN502 for a damaged or truncated array, and for other values than numbers.
    """
    try:
        version = npy.read_magic(stream)
        header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if header is None:
            fail("SNN502", place, f"format version {version[0]}.{version[1]}", "format version 1.0 or 2.0")
        shape, _, dtype = header(stream)
        if dtype.kind not in "biuf":
            fail("SNN502", place, f"values of type {dtype.name}", "booleans, integers or floats")
        _check_declared(shape, dtype.itemsize, size, place)
        stream.seek(0)
        return np.asarray(npy.read_array(stream, allow_pickle=False))
    except HEADER_ERRORS as e:
        fail("SNN502", place, _reason(e), "an array as NumPy writes it")


def _check_declared(shape: Shape, item_bytes: int, size: int, place: str) -> None:
    declared = item_bytes
    for n in shape:
        declared *= n
    if min(shape, default=0) < 0 or declared > size:
        fail("SNN502", place, f"its header declares {list(shape)[:8]}, {declared} bytes, but the file has {size}",
             help="the file was truncated or altered")


def _reason(e: BaseException) -> str:
    return (str(e) or type(e).__name__)[:200]
