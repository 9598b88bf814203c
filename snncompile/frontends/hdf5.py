"""HDF5 files as NumPy arrays, read in Python alone.

The HDF5 library loops for ever or worse on some damaged files, which no caller can prevent. This reader cannot: every
walk goes forward or down, steps are counted, offsets checked, and nothing is allocated that was not asked for. It
knows the classic layout (superblock 0 and 1, symbol-table groups), which h5py and the NIR package write by default.

Layout after the HDF5 File Format Specification, version 3.0, sections II to IV; its names are used throughout.
"""

from __future__ import annotations

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
MAX_NAME_BYTES = 1 << 16
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3


class Hdf5Error(ValueError):
    """The file is damaged, or uses a part of HDF5 that is not read here; the message says which."""


def bad(message: str) -> NoReturn:
    raise Hdf5Error(message)


@dataclass(frozen=True)
class Message:
    """A header message: its kind, its flags, and where its body lies."""

    kind: int
    flags: int
    at: int
    size: int


DATASPACE, DATATYPE, LINK_INFO, EXTERNAL, LAYOUT, FILTERS, CONTINUATION, SYMBOL_TABLE = 1, 3, 2, 7, 8, 11, 16, 17


@dataclass(eq=False)
class File:
    """The bytes of an HDF5 file, what was found of its global heaps, and how many steps reading took."""

    data: bytes
    heaps: dict[int, dict[int, tuple[int, int]]] = field(default_factory=dict)
    steps: int = 0

    def step(self, count: int = 1) -> None:
        """Count work, so that structures that refer to each other end somewhere."""
        self.steps += count
        if self.steps > MAX_STEPS:
            bad(f"more than {MAX_STEPS} entries")

    def unpack(self, layout: str, at: int) -> tuple[Any, ...]:
        if not 0 <= at <= len(self.data) - struct.calcsize(layout):
            bad(f"a structure at byte {at}, outside the file")
        return struct.unpack_from(layout, self.data, at)

    def raw(self, at: int, size: int) -> memoryview:
        if not 0 <= at <= at + size <= len(self.data):
            bad(f"{size} bytes at byte {at}, outside the file")
        return memoryview(self.data)[at:at + size]

    def expect(self, magic: bytes, at: int, what: str) -> None:
        if self.raw(at, len(magic)) != magic:
            bad(f"no {what} at byte {at}")

    @property
    def root(self) -> Group:
        """The root group."""
        self.expect(SIGNATURE, 0, "HDF5 signature")
        version, offsets, lengths = self.data[8], *self.raw(13, 2)
        if version > 1 or (offsets, lengths) != (8, 8):
            bad(f"superblock version {version} with {offsets}-byte addresses; 0 or 1 with 8-byte ones is read")
        base = 24 if version == 0 else 28
        if self.unpack("<Q", base) != (0,):
            bad("a base address other than 0")
        found = self.open(self.unpack("<Q", base + 40)[0])
        return found if isinstance(found, Group) else bad("a root that is no group")

    def open(self, address: int) -> Group | Dataset:
        """The object whose header lies at an address."""
        messages = {m.kind: m for m in self.messages(address)}
        if SYMBOL_TABLE in messages:
            return Group(self, *self.unpack("<QQ", messages[SYMBOL_TABLE].at))
        if not {DATASPACE, DATATYPE, LAYOUT} <= set(messages):
            bad(f"the object at byte {address} is neither a classic group nor a dataset")
        if any(messages[k].flags & 2 for k in (DATASPACE, DATATYPE, LAYOUT, FILTERS) if k in messages):
            bad("a shared header message")
        return Dataset(self, messages)

    def messages(self, address: int) -> Iterator[Message]:
        """The messages of an object header of version 1, its continuations included."""
        version, _, count, _, size = self.unpack("<BBHII", address)
        if version != 1:
            bad(f"no object header of version 1 at byte {address}")
        blocks = [(address + 16, size)]
        left = min(count, MAX_MESSAGES)
        while blocks and left:
            at, size = blocks.pop(0)
            end = at + len(self.raw(at, size))
            while at + 8 <= end and left:
                self.step()
                kind, length, flags = self.unpack("<HHB", at)
                if at + 8 + length > end:
                    bad(f"a header message at byte {at} that leaves its block")
                yield Message(kind, flags, at + 8, length)
                if kind == CONTINUATION:
                    blocks.append(self.unpack("<QQ", at + 8))
                at, left = at + 8 + length, left - 1

    def heap_object(self, address: int, index: int, size: int) -> bytes:
        """The first `size` bytes of an object of the global heap."""
        if address not in self.heaps:
            self.heaps[address] = dict(self._heap(address))
        at, length = self.heaps[address].get(index) or bad(f"no object {index} in the heap at byte {address}")
        return bytes(self.raw(at, size)) if size <= length else bad(f"{size} bytes of a heap object of {length}")

    def _heap(self, address: int) -> Iterator[tuple[int, tuple[int, int]]]:
        self.expect(b"GCOL\x01", address, "global heap")
        end = address + self.unpack("<Q", address + 8)[0]
        at = address + 16
        self.raw(address, end - address)
        while at + 16 <= end:
            self.step()
            index, _, _, size = self.unpack("<HHIQ", at)
            if index == 0:
                return
            yield index, (at + 16, size)
            at += 16 + (size + 7) // 8 * 8


@dataclass(eq=False)
class Group:
    """A group: names that lead to objects of the same file."""

    file: File
    tree: int
    heap: int

    def addresses(self, limit: int) -> dict[str, int]:
        """The address of every member. Raises `Hdf5Error` for links to other places, or more members than `limit`."""
        self.file.expect(b"HEAP\x00", self.heap, "local heap")
        size, _, start = self.file.unpack("<QQQ", self.heap + 8)
        end = start + len(self.file.raw(start, size))
        found: dict[str, int] = {}
        for node in _leaves(self.file, self.tree, 0, 8):
            self.file.expect(b"SNOD\x01", node, "symbol table node")
            for i in range(self.file.unpack("<H", node + 6)[0]):
                self.file.step()
                name_at, address, cache = self.file.unpack("<QQI", node + 8 + 40 * i)
                name = _name(self.file.data, start + name_at, end)
                if cache == 2:
                    bad(f"{name!r} is a link to another place")
                if name in found or len(found) >= limit:
                    bad(f"a group with two members {name!r}" if name in found else f"a group of more than {limit}")
                found[name] = address
        return dict(sorted(found.items()))


def _name(data: bytes, at: int, heap_end: int) -> str:
    end = data.find(b"\0", at, min(heap_end, at + MAX_NAME_BYTES))
    if end < 0:
        bad("a name outside its heap, or an endless one")
    try:
        return data[at:end].decode("utf-8")
    except UnicodeDecodeError:
        bad(f"the name {data[at:end][:40]!r}, which is not UTF-8")


def _leaves(file: File, root: int, kind: int, key_bytes: int) -> Iterator[int]:
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
        if kind == 9 and bits & 15 == 1 and size == 16:
            return None
        bad(f"values of HDF5 class {kind} and {size} bytes; integers, IEEE floats and strings are read")

    @property
    def nbytes(self) -> int:
        """What reading will allocate or refer to."""
        return self.size * (16 if self.dtype is None else self.dtype.itemsize)

    def numbers(self) -> Array:
        """The values, read-only: a view of the file where it holds them as they are."""
        if self.dtype is None or self.dtype.kind == "S":
            bad("strings where numbers are expected")
        array = self._elements(self.dtype)
        native = array.astype(self.dtype.newbyteorder("="), copy=not array.flags.aligned)
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
        if version != 3 or EXTERNAL in self.messages:
            bad(f"a data layout of version {version}, or data in another file")
        if self.size == 0:
            return np.empty(self.shape, dtype)
        if kind == 2:
            return self._chunks(dtype, layout)
        at = layout + 4 if kind == 0 else self.file.unpack("<Q", layout + 2)[0]
        if kind > 2 or at == UNDEFINED:
            bad("a dataset that was never written")
        return np.frombuffer(self.file.raw(at, self.size * dtype.itemsize), dtype).reshape(self.shape)

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
        for key in _leaves(self.file, root, 1, 8 + 8 * (axes + 1)):
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


def _unfiltered(data: memoryview, filters: tuple[tuple[int, int], ...], mask: int, size: int) -> bytes:
    """A chunk as it was before the filters, which must be `size` bytes."""
    used = [f for i, f in enumerate(filters) if not mask >> i & 1]
    for kind, width in reversed(used):
        if kind == DEFLATE:
            data = _inflated(data, size + 4)
        elif kind == FLETCHER32:
            data = data[:-4]
        else:
            data = _unshuffled(data, width)
    return bytes(data) if len(data) == size else bad(f"a chunk of {len(data)} bytes, not {size}")


def _inflated(data: memoryview, limit: int) -> memoryview:
    try:
        return memoryview(zlib.decompressobj().decompress(data, limit))
    except zlib.error as e:
        bad(f"a compressed chunk: {e}")


def _unshuffled(data: memoryview, width: int) -> memoryview:
    if width < 1 or len(data) % width:
        bad(f"{len(data)} shuffled bytes of elements of {width}")
    planes = np.frombuffer(data, np.uint8).reshape(width, -1)
    return memoryview(planes.T.tobytes())


def begins(data: bytes) -> str:
    """The first bytes of something that may not be HDF5, for a message."""
    return "".join(itertools.islice((chr(b) if 32 <= b < 127 else "." for b in data), 16))
