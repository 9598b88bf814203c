"""Reads the datasets of HDF5 files as NumPy arrays and strings; `file` names the specification that this follows."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from snncompile.frontends.hdf5.file import UNDEFINED, File, Message, bad, leaves
from snncompile.ir.types import Array, Shape

MAX_AXES = 32
DATASPACE, DATATYPE, EXTERNAL, LAYOUT, FILTERS = 1, 3, 7, 8, 11
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3


@dataclass(eq=False)
class Dataset:
    """An array of numbers or strings in the file.

    Attributes:
        messages: the messages of its object header, by kind.
    """

    file: File
    messages: Mapping[int, Message]

    @classmethod
    def of(cls, file: File, header: Mapping[int, list[Message]]) -> Dataset | None:
        """The dataset with this object header; None where the header is not that of a dataset."""
        messages = {kind: of_kind[-1] for kind, of_kind in header.items()}
        if not {DATASPACE, DATATYPE, LAYOUT} <= set(messages):
            return None
        if any(messages[k].flags & 2 for k in (DATASPACE, DATATYPE, LAYOUT, FILTERS) if k in messages):
            bad("a shared header message")
        return cls(file, messages)

    @cached_property
    def shape(self) -> Shape:
        """The length of each axis. Raises `Hdf5Error` for a null dataspace."""
        at = self.messages[DATASPACE].at
        version, axes, _, kind = self.file.unpack("<BBBB", at)
        if version not in (1, 2) or (version == 2 and kind == 2) or axes > MAX_AXES:
            bad(f"a dataspace of version {version} with {axes} axes")
        return self.file.unpack(f"<{axes}Q", at + (8 if version == 1 else 4))

    @cached_property
    def size(self) -> int:
        return math.prod(self.shape)

    @cached_property
    def dtype(self) -> np.dtype[Any] | None:
        """The dtype of numbers; `S` and a length for strings of fixed length; None for strings of variable length."""
        at = self.messages[DATATYPE].at
        word, size = self.file.unpack("<II", at)
        kind, bits = word & 15, word >> 8
        order = ">" if bits & 1 else "<"
        if kind == 0 and size in (1, 2, 4, 8):
            return np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}")
        if kind == 1 and (*self.file.unpack("<HHBBBB", at + 8),) == IEEE.get(size) and not bits & 64:
            return np.dtype(f"{order}f{size}")
        if kind == 3 and 0 < size < 1 << 31:  # NumPy has no longer strings
            return np.dtype(f"S{size}")
        if kind == 8 and size == 1:  # an enumeration, which is how h5py writes truth values
            return np.dtype("i1")
        if kind == 9 and bits & 15 == 1 and size == 16:
            return None
        bad(f"values of HDF5 class {kind} and {size} bytes; integers, IEEE floats and strings are read")

    @property
    def nbytes(self) -> int:
        """How many bytes reading the dataset allocates; for strings of variable length, without their characters."""
        return self.size * (16 if self.dtype is None else self.dtype.itemsize)

    def numbers(self) -> Array:
        """The values as a read-only array in native byte order. Raises `Hdf5Error` for strings."""
        if self.dtype is None or self.dtype.kind == "S":
            bad("strings where numbers are expected")
        native = self._elements(self.dtype).astype(self.dtype.newbyteorder("="), copy=False)
        native.flags.writeable = False
        return native

    def strings(self) -> Iterator[bytes]:
        """The values of a dataset of strings, in row-major order."""
        if self.dtype is not None:
            yield from (bytes(s) for s in self._elements(self.dtype).ravel())
            return
        for size, heap, index in self._elements(np.dtype("<u4,<u8,<u4")).ravel().tolist():
            yield self.file.heap_object(heap, index, size) if size else b""

    def _elements(self, dtype: np.dtype[Any]) -> Array:
        """The values in the dtype in which they are stored, from a compact, contiguous or chunked layout."""
        layout = self.messages[LAYOUT].at
        version, kind = self.file.unpack("<BB", layout)
        if version not in (3, 4) or (version, kind) == (4, 2) or EXTERNAL in self.messages:
            bad(f"a data layout {kind} of version {version}, or data in another file")
        if self.size == 0:
            return np.empty(self.shape, dtype)
        if kind == 2:
            return self._chunks(dtype, layout)
        at = layout + 4 if kind == 0 else self.file.unpack("<Q", layout + 2)[0]
        if kind > 2 or at == UNDEFINED:
            bad("a dataset that was never written")
        return self.file.array(at, dtype, self.shape)

    def _chunks(self, dtype: np.dtype[Any], layout: int) -> Array:
        """The values of a chunked dataset, whose layout message lies at an address.

        Raises:
            Hdf5Error: unless every chunk is there exactly once.
        """
        axes = len(self.shape)
        if axes == 0 or self.file.unpack("<B", layout + 2) != (axes + 1,):
            bad("chunks of another number of axes than their dataset")
        root, = self.file.unpack("<Q", layout + 3)
        chunk = self.file.unpack(f"<{axes}I", layout + 11)
        if root == UNDEFINED or any(not 0 < c <= n for c, n in zip(chunk, self.shape, strict=True)):
            bad("a dataset that was never written, or chunks larger than it")
        expected = math.prod(-(-n // c) for n, c in zip(self.shape, chunk, strict=True))
        array = np.zeros(self.shape, dtype)
        filters = tuple(self._filters())
        done: set[Shape] = set()
        for key in leaves(self.file, root, 1, 8 + 8 * (axes + 1)):
            stored, mask, *position = self.file.unpack(f"<II{axes}Q", key)
            origin = tuple(position)
            if origin in done or any(o % c or o >= n for o, c, n in zip(origin, chunk, self.shape, strict=True)):
                bad(f"a second or misplaced chunk at {origin}")
            done.add(origin)
            data = self.file.raw(self.file.unpack("<Q", key + 8 + 8 * (axes + 1))[0], stored)
            whole = _unfiltered(data, filters, mask, math.prod(chunk) * dtype.itemsize)
            part = array[tuple(slice(o, o + c) for o, c in zip(origin, chunk, strict=True))]
            part[...] = np.frombuffer(whole, dtype).reshape(chunk)[tuple(slice(n) for n in part.shape)]
        if len(done) < expected:
            bad(f"{len(done)} of {expected} chunks")
        return array

    def _filters(self) -> Iterator[tuple[int, int]]:
        """The kind and first parameter of each filter, in the order in which they were applied."""
        if FILTERS not in self.messages:
            return
        at = self.messages[FILTERS].at
        version, count = self.file.unpack("<BB", at)
        at += 8 if version == 1 else 2
        for _ in range(count):
            name_bytes = 0
            if version == 1:
                kind, name_bytes, _, values = self.file.unpack("<HHHH", at)
                at += 8 + -(-name_bytes // 8) * 8
            else:
                kind, _, values = self.file.unpack("<HHH", at)
                at += 6
            if kind not in (DEFLATE, SHUFFLE, FLETCHER32):
                bad(f"compression by filter {kind}; gzip, shuffle and fletcher32 are read")
            yield kind, self.file.unpack("<I", at)[0] if values else 0
            at += 4 * (values + values % 2 if version == 1 else values)


# By size in bytes of an IEEE float: bit offset, precision, exponent location and size, mantissa location and size.
IEEE: Mapping[int, tuple[int, ...]] = {2: (0, 16, 10, 5, 0, 10), 4: (0, 32, 23, 8, 0, 23), 8: (0, 64, 52, 11, 0, 52)}


def _unfiltered(data: bytes, filters: tuple[tuple[int, int], ...], mask: int, size: int) -> bytes:
    """The bytes of a chunk before the filters were applied.

    Args:
        filters: kind and first parameter of each, in the order in which they were applied.
        mask: its bit i is set where filter i was left out for this chunk.
        size: how many bytes the result must have.
    """
    used = [f for i, f in enumerate(filters) if not mask >> i & 1]
    for kind, width in reversed(used):
        if kind == DEFLATE:
            data = _inflated(data, size + 4)
        elif kind == FLETCHER32:
            data = data[:-4]
        else:
            data = _unshuffled(data, width)
    return data if len(data) == size else bad(f"a chunk of {len(data)} bytes instead of {size}")


def _inflated(data: bytes, limit: int) -> bytes:
    """At most `limit` bytes of data that were compressed by zlib."""
    try:
        return zlib.decompressobj().decompress(data, limit)
    except zlib.error as e:
        bad(f"a damaged compressed chunk: {e}")


def _unshuffled(data: bytes, width: int) -> bytes:
    """Elements of `width` bytes, from data that hold all first bytes, then all second bytes, and so on."""
    if width < 1 or len(data) % width:
        bad(f"{len(data)} shuffled bytes for elements of {width} bytes")
    planes = np.frombuffer(data, np.uint8).reshape(width, -1)
    return planes.T.tobytes()
