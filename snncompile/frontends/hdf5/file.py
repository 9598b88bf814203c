"""HDF5 files as NumPy arrays, read in Python alone.

The HDF5 library loops for ever or worse on some damaged files, which no caller can prevent. This reader cannot: every
walk goes forward or down, steps are counted, offsets checked, and nothing is allocated that was not asked for. It
knows all that h5py and the NIR package write by default. `groups` finds the members of groups.

Layout after the HDF5 File Format Specification, version 3.0, sections II to IV; its names are used throughout.
"""

from __future__ import annotations

import io
import itertools
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NoReturn

import numpy as np

from snncompile.ir.types import Array, Shape

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = (1 << 64) - 1
MAX_MESSAGES = 1_000
MAX_STEPS = 8_000_000
MAX_AXES = 32
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3


class Hdf5Error(ValueError):
    """The file is damaged, or uses a part of HDF5 that is not read here; the message says which."""


class TooLarge(Hdf5Error):
    """The file holds, or claims to hold, more than is read."""


def bad(message: str) -> NoReturn:
    raise Hdf5Error(message)


@dataclass(frozen=True)
class Message:
    """A header message: its kind, its flags, and where its body lies."""

    kind: int
    flags: int
    at: int
    size: int


DATASPACE, DATATYPE, EXTERNAL, LAYOUT, FILTERS, CONTINUATION = 1, 3, 7, 8, 11, 16


@dataclass(eq=False)
class File:
    """An HDF5 file, what was found of its global heaps, and how many steps reading took so far."""

    stream: io.BufferedIOBase
    size: int
    heaps: dict[int, dict[int, tuple[int, int]]] = field(default_factory=dict)
    steps: int = 0

    def step(self, count: int = 1) -> None:
        """Count work, so that structures that refer to each other end somewhere."""
        self.steps += count
        if self.steps > MAX_STEPS:
            raise TooLarge(f"more than {MAX_STEPS} entries")

    def inside(self, at: int, size: int) -> None:
        if not 0 <= at <= at + size <= self.size:
            bad(f"{size} bytes at byte {at}, outside the file")

    def raw(self, at: int, size: int) -> bytes:
        self.inside(at, size)
        self.stream.seek(at)
        data = self.stream.read(size)
        return data if len(data) == size else bad("a file that became shorter")

    def array(self, at: int, dtype: np.dtype[Any], shape: Shape) -> Array:
        """An array of its own, filled from the file."""
        self.inside(at, math.prod(shape) * dtype.itemsize)
        array = np.empty(shape, dtype)
        self.stream.seek(at)
        if self.stream.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
            bad("a file that became shorter")
        return array

    def unpack(self, layout: str, at: int) -> tuple[Any, ...]:
        return struct.unpack(layout, self.raw(at, struct.calcsize(layout)))

    def expect(self, magic: bytes, at: int, what: str) -> None:
        if self.raw(at, len(magic)) != magic:
            bad(f"no {what} at byte {at}")

    @property
    def root(self) -> int:
        """The address of the root group's header."""
        self.expect(SIGNATURE, 0, "HDF5 signature")
        version = self.raw(8, 1)[0]
        widths = self.raw(13 if version < 2 else 9, 2)
        if version > 3 or widths != b"\x08\x08":
            bad(f"superblock version {version}, or addresses that are not of 8 bytes")
        base = (24, 28, 12, 12)[version]
        if self.unpack("<Q", base) != (0,):
            bad("a base address other than 0")
        return int(self.unpack("<Q", base + (40 if version < 2 else 24))[0])

    def header(self, address: int) -> dict[int, list[Message]]:
        """The messages of the object whose header lies at an address, by kind."""
        found: dict[int, list[Message]] = {}
        for message in self._messages(address):
            found.setdefault(message.kind, []).append(message)
        return found

    def _messages(self, address: int) -> Iterator[Message]:
        if self.raw(address, 4) == b"OHDR":
            blocks, form, left = *self._second_header(address), MAX_MESSAGES
        else:
            version, _, count, _, size = self.unpack("<BBHII", address)
            if version != 1:
                bad(f"no object header at byte {address}")
            blocks, form, left = [(address + 16, size)], "<HHB3x", min(count, MAX_MESSAGES)
        head = struct.calcsize(form)
        while blocks and left:
            at, size = blocks.pop(0)
            self.inside(at, size)
            end = at + size
            while at + head <= end and left:
                self.step()
                kind, length, flags = self.unpack(form, at)
                if at + head + length > end:
                    bad(f"a header message at byte {at} that leaves its block")
                yield Message(kind, flags, at + head, length)
                if kind == CONTINUATION:
                    more, size = self.unpack("<QQ", at + head)
                    # Blocks of the second form lie between a signature and a checksum.
                    blocks.append((more, size) if form == "<HHB3x" else (more + 4, max(size - 8, 0)))
                at, left = at + head + length, left - 1

    def _second_header(self, address: int) -> tuple[list[tuple[int, int]], str]:
        """The first block of an object header of version 2, and the form of its messages."""
        version, flags = self.unpack("<BB", address + 4)
        if version != 2:
            bad(f"an object header of version {version}")
        at = address + 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
        size = self.unpack("<" + "BHIQ"[flags & 3], at)[0]
        return [(at + (1 << (flags & 3)), size)], "<BHB2x" if flags & 4 else "<BHB"

    def heap_object(self, address: int, index: int, size: int) -> bytes:
        """The first `size` bytes of an object of the global heap."""
        if address not in self.heaps:
            self.heaps[address] = dict(self._heap(address))
        at, length = self.heaps[address].get(index) or bad(f"no object {index} in the heap at byte {address}")
        return self.raw(at, size) if size <= length else bad(f"{size} bytes of a heap object of {length}")

    def _heap(self, address: int) -> Iterator[tuple[int, tuple[int, int]]]:
        self.expect(b"GCOL\x01", address, "global heap")
        end = address + self.unpack("<Q", address + 8)[0]
        at = address + 16
        self.inside(address, end - address)
        while at + 16 <= end:
            self.step()
            index, _, _, size = self.unpack("<HHIQ", at)
            if index == 0:
                return
            yield index, (at + 16, size)
            at += 16 + (size + 7) // 8 * 8


def leaves(file: File, root: int, kind: int, key_bytes: int) -> Iterator[int]:
    """What the lowest level of a version 1 B-tree refers to; for chunks, the place of the key instead."""
    stack: list[tuple[int, int | None]] = [(root, None)]
    while stack:
        at, level = stack.pop()
        file.expect(b"TREE", at, "B-tree node")
        found_kind, found_level, count = file.unpack("<BBH", at + 4)
        if found_kind != kind or (level is not None and found_level != level):
            bad(f"a B-tree node at byte {at} of the wrong kind or level")
        file.step(count + 1)
        places = [at + 24 + i * (key_bytes + 8) for i in range(count)]
        children = [file.unpack("<Q", place + key_bytes)[0] for place in places]
        if found_level == 0:
            yield from places if kind == 1 else children
        else:
            stack += [(child, found_level - 1) for child in reversed(children)]


@dataclass(eq=False)
class Dataset:
    """An array of numbers or strings."""

    file: File
    messages: Mapping[int, Message]

    @classmethod
    def of(cls, file: File, header: Mapping[int, list[Message]]) -> Dataset | None:
        """The dataset of a header, if it is one."""
        messages = {kind: found[-1] for kind, found in header.items()}
        if not {DATASPACE, DATATYPE, LAYOUT} <= set(messages):
            return None
        if any(messages[k].flags & 2 for k in (DATASPACE, DATATYPE, LAYOUT, FILTERS) if k in messages):
            bad("a shared header message")
        return cls(file, messages)

    @cached_property
    def shape(self) -> Shape:
        """Raises `Hdf5Error` for a null dataspace."""
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
        """The dtype of numbers; None for strings of variable length; `S` for those of fixed length."""
        at = self.messages[DATATYPE].at
        word, size = self.file.unpack("<II", at)
        kind, bits = word & 15, word >> 8
        order = ">" if bits & 1 else "<"
        if kind == 0 and size in (1, 2, 4, 8):
            return np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}")
        if kind == 1 and (*self.file.unpack("<HHBBBB", at + 8),) == IEEE.get(size) and not bits & 64:
            return np.dtype(f"{order}f{size}")
        if kind == 3 and size:
            return np.dtype(f"S{size}")
        if kind == 8 and size == 1:  # an enumeration, as truth values are written
            return np.dtype("i1")
        if kind == 9 and bits & 15 == 1 and size == 16:
            return None
        bad(f"values of HDF5 class {kind} and {size} bytes; integers, IEEE floats and strings are read")

    @property
    def nbytes(self) -> int:
        """What reading will allocate or refer to."""
        return self.size * (16 if self.dtype is None else self.dtype.itemsize)

    def numbers(self) -> Array:
        """The values, read-only."""
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
            stored, mask, *where = self.file.unpack(f"<II{axes}Q", key)
            origin = tuple(where)
            if origin in done or any(o % c or o >= n for o, c, n in zip(origin, chunk, self.shape, strict=True)):
                bad(f"a chunk at {origin}")
            done.add(origin)
            data = self.file.raw(self.file.unpack("<Q", key + 8 + 8 * (axes + 1))[0], stored)
            whole = _unfiltered(data, filters, mask, math.prod(chunk) * dtype.itemsize)
            place = tuple(slice(o, o + c) for o, c in zip(origin, chunk, strict=True))
            part = array[place]
            part[...] = np.frombuffer(whole, dtype).reshape(chunk)[tuple(slice(n) for n in part.shape)]
        if len(done) < expected:
            bad(f"{len(done)} of {expected} chunks")
        return array

    def _filters(self) -> Iterator[tuple[int, int]]:
        """Each filter with its first parameter."""
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


# Bit offset, precision, exponent location and size, mantissa location and size.
IEEE: Mapping[int, tuple[int, ...]] = {2: (0, 16, 10, 5, 0, 10), 4: (0, 32, 23, 8, 0, 23), 8: (0, 64, 52, 11, 0, 52)}


def _unfiltered(data: bytes, filters: tuple[tuple[int, int], ...], mask: int, size: int) -> bytes:
    """A chunk as it was before the filters, which must be `size` bytes."""
    used = [f for i, f in enumerate(filters) if not mask >> i & 1]
    for kind, width in reversed(used):
        if kind == DEFLATE:
            data = _inflated(data, size + 4)
        elif kind == FLETCHER32:
            data = data[:-4]
        else:
            data = _unshuffled(data, width)
    return data if len(data) == size else bad(f"a chunk of {len(data)} bytes, not {size}")


def _inflated(data: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, limit)
    except zlib.error as e:
        bad(f"a compressed chunk: {e}")


def _unshuffled(data: bytes, width: int) -> bytes:
    if width < 1 or len(data) % width:
        bad(f"{len(data)} shuffled bytes of elements of {width}")
    planes = np.frombuffer(data, np.uint8).reshape(width, -1)
    return planes.T.tobytes()


def begins(data: bytes) -> str:
    """The first bytes of something that may not be HDF5, for a message."""
    return "".join(itertools.islice((chr(b) if 32 <= b < 127 else "." for b in data), 16))
