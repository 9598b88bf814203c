"""Reads the structures of HDF5 files: object headers, global heaps, and version 1 B-trees.

Some damaged files make the HDF5 library loop for ever or crash, and its callers cannot prevent that. This reader always
ends: steps are counted and limited, every address is checked against the file's size, and an array is allocated only
when it is asked for. It knows everything that h5py and the NIR package write by default. `dataset` reads arrays and
strings, `groups` finds the members of groups.

The layout follows the HDF5 File Format Specification, version 3.0, sections II to IV, whose terms are used throughout.
"""

from __future__ import annotations

import io
import itertools
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from snncompile.ir.types import Array, Shape

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = (1 << 64) - 1
# The type of the header message that says where an object header goes on.
CONTINUATION = 16
SUPERBLOCK = 48
"""The least length of the first structure of a file in bytes."""
MAX_MESSAGES = 1_000
MAX_STEPS = 8_000_000


class Hdf5Error(ValueError):
    """The file is damaged, or uses a feature of HDF5 that this reader lacks; the message says which."""


class TooLarge(Hdf5Error):
    """The file holds, or declares, more than this reader accepts."""


def bad(message: str) -> NoReturn:
    """Raise an `Hdf5Error`."""
    raise Hdf5Error(message)


@dataclass(frozen=True)
class Message:
    """A message of an object header.

    Attributes:
        kind: the message type of the specification.
        at: the address of its body.
        size: the body's size in bytes.
    """

    kind: int
    flags: int
    at: int
    size: int



@dataclass(eq=False)
class File:
    """An open HDF5 file.

    Attributes:
        size: in bytes.
        heaps: the global heaps read so far: for each address, the address and size of every object by index.
        steps: how many entries were read so far.
    """

    stream: io.BufferedIOBase
    size: int
    heaps: dict[int, dict[int, tuple[int, int]]] = field(default_factory=dict)
    steps: int = 0

    def step(self, count: int = 1) -> None:
        """Count entries that were read. Raises `TooLarge` after `MAX_STEPS`, so that circular structures end."""
        self.steps += count
        if self.steps > MAX_STEPS:
            raise TooLarge(f"more than {MAX_STEPS} entries")

    def inside(self, at: int, size: int) -> None:
        """Raise `Hdf5Error` unless so many bytes at an address lie inside the file."""
        if not 0 <= at <= at + size <= self.size:
            bad(f"{size} bytes at byte {at}, which lie outside the file")

    def raw(self, at: int, size: int) -> bytes:
        """The bytes at an address."""
        self.inside(at, size)
        self.stream.seek(at)
        data = self.stream.read(size)
        return data if len(data) == size else bad("a file that became shorter while it was read")

    def array(self, at: int, dtype: np.dtype[Any], shape: Shape) -> Array:
        """A new array with the values that lie at an address in row-major order."""
        self.inside(at, math.prod(shape) * dtype.itemsize)
        array = np.empty(shape, dtype)
        self.stream.seek(at)
        if self.stream.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
            bad("a file that became shorter while it was read")
        return array

    def unpack(self, layout: str, at: int) -> tuple[Any, ...]:
        """The values at an address, in a layout of the module `struct`."""
        return struct.unpack(layout, self.raw(at, struct.calcsize(layout)))

    def expect(self, signature: bytes, at: int, structure: str) -> None:
        """Raise `Hdf5Error`, naming the structure, unless its signature lies at an address."""
        if self.raw(at, len(signature)) != signature:
            bad(f"no {structure} at byte {at}")

    @property
    def root(self) -> int:
        """The address of the root group's object header."""
        self.expect(SIGNATURE, 0, "HDF5 signature")
        version = self.raw(8, 1)[0]
        widths = self.raw(13 if version < 2 else 9, 2)
        if version > 3 or widths != b"\x08\x08":
            bad(f"superblock version {version}, or addresses that are not of 8 bytes")
        base = (24, 28, 12, 12)[version]
        if self.unpack("<Q", base) != (0,):
            bad("a base address other than 0")
        return int(self.unpack("<Q", base + (40 if version < 2 else 24))[0])

    def unfinished(self) -> str:
        """What says that this is not the whole file, or that its writer never closed it; empty where nothing does.

        A superblock holds the length that the file had when it was last written, and from version 3 on a flag that its
        writer removes at the end.
        """
        if self.size < SUPERBLOCK:
            return f"the file ends after {self.size} bytes"
        version = self.raw(8, 1)[0]
        if version > 3:
            return ""
        length = self.unpack("<Q", (24, 28, 12, 12)[version] + 16)[0]
        if length > self.size:
            return f"the file ends after {self.size} of {length} bytes"
        if length < self.size:
            return f"its writer ended before it closed the file: {length} of its {self.size} bytes were recorded"
        if version == 3 and self.raw(11, 1)[0] & 1:
            return "its writer ended before it closed the file, which is still marked as being written"
        return ""

    def header(self, address: int) -> dict[int, list[Message]]:
        """The messages of the object header at an address, by kind."""
        messages: dict[int, list[Message]] = {}
        for message in self._messages(address):
            messages.setdefault(message.kind, []).append(message)
        return messages

    def _messages(self, address: int) -> Iterator[Message]:
        """The messages of an object header in all of its blocks, at most `MAX_MESSAGES`."""
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
                    bad(f"a header message at byte {at} that reaches beyond its block")
                yield Message(kind, flags, at + head, length)
                if kind == CONTINUATION:
                    more, size = self.unpack("<QQ", at + head)
                    # A continuation block of a version 2 header lies between a signature and a checksum.
                    blocks.append((more, size) if form == "<HHB3x" else (more + 4, max(size - 8, 0)))
                at, left = at + head + length, left - 1

    def _second_header(self, address: int) -> tuple[list[tuple[int, int]], str]:
        """The first block of a version 2 object header, and the layout of the start of its messages."""
        version, flags = self.unpack("<BB", address + 4)
        if version != 2:
            bad(f"an object header of version {version}")
        at = address + 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
        size = self.unpack("<" + "BHIQ"[flags & 3], at)[0]
        return [(at + (1 << (flags & 3)), size)], "<BHB2x" if flags & 4 else "<BHB"

    def heap_object(self, address: int, index: int, size: int) -> bytes:
        """The first `size` bytes of an object in the global heap at an address."""
        if address not in self.heaps:
            self.heaps[address] = dict(self._heap(address))
        at, length = self.heaps[address].get(index) or bad(f"no object {index} in the heap at byte {address}")
        return self.raw(at, size) if size <= length else bad(f"{size} bytes of a heap object of {length}")

    def _heap(self, address: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """The index, and the address and size, of every object in a global heap."""
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
    """The addresses to which the leaves of a version 1 B-tree refer.

    Args:
        root: the address of the root node.
        kind: 0 for a tree of symbol table nodes, 1 for a tree of chunks. For chunks, the addresses of the keys are
            yielded, because a key also holds the chunk's size and position.
        key_bytes: the size of a key.
    """
    stack: list[tuple[int, int | None]] = [(root, None)]
    while stack:
        at, level = stack.pop()
        file.expect(b"TREE", at, "B-tree node")
        node_kind, node_level, count = file.unpack("<BBH", at + 4)
        if node_kind != kind or (level is not None and node_level != level):
            bad(f"a B-tree node at byte {at} of the wrong kind or level")
        file.step(count + 1)
        keys = [at + 24 + i * (key_bytes + 8) for i in range(count)]
        children = [file.unpack("<Q", key + key_bytes)[0] for key in keys]
        if node_level == 0:
            yield from keys if kind == 1 else children
        else:
            stack += [(child, node_level - 1) for child in reversed(children)]


# How files begin that are given by mistake for another kind.
BEGINNINGS = {b"version https://": "a git-lfs pointer, which stands for the file", b"PK\x03\x04": "a zip archive",
              b"\x80\x02": "a pickled object", b"\x80\x04": "a pickled object", b"\x80\x05": "a pickled object"}


def begins(data: bytes) -> str:
    """How a file begins that is not HDF5, from its first 16 bytes."""
    if not data:
        return "an empty file; its writer may have ended before it wrote anything"
    if not any(data):
        return "a file that begins with zeros, as one whose writer ended before its data reached the disk"
    known = next((f"{what}: " for first, what in BEGINNINGS.items() if data.startswith(first)), "")
    return f'{known}it begins with "{_printable(data)}"'


def _printable(data: bytes) -> str:
    """The first 16 bytes of a file as printable text, for a message."""
    return "".join(itertools.islice((chr(b) if 32 <= b < 127 else "." for b in data), 16))
