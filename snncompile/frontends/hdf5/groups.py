"""Finds the members of HDF5 groups.

Old-style groups list their members in a symbol table, new-style groups in link messages, in the group's header or in a
fractal heap. HDF5 writes new-style groups where a name is not ASCII, or where the order of creation is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from snncompile.frontends.hdf5.dataset import Dataset
from snncompile.frontends.hdf5.file import UNDEFINED, File, Message, TooLarge, bad, leaves

MAX_NAME_BYTES = 1 << 16
LINK_INFO, LINK, SYMBOL_TABLE = 2, 6, 17


@dataclass(eq=False)
class Group:
    """A group, whose members are objects of the same file.

    Attributes:
        header: the messages of its object header, by kind.
    """

    file: File
    header: Mapping[int, list[Message]]

    def addresses(self, limit: int) -> dict[str, int]:
        """The address of every member's object header, by name, in alphabetical order.

        Raises:
            Hdf5Error: for links to other places, names that occur twice, and more members than `limit`.
        """
        addresses: dict[str, int] = {}
        for name, address in self._links():
            if name in addresses:
                bad(f"a group with two members {name!r}")
            if len(addresses) >= limit:
                raise TooLarge(f"a group of more than {limit} members")
            addresses[name] = address
        return dict(sorted(addresses.items()))

    def _links(self) -> Iterator[tuple[str, int]]:
        if SYMBOL_TABLE in self.header:
            yield from _symbols(self.file, *self.file.unpack("<QQ", self.header[SYMBOL_TABLE][0].at))
            return
        for message in self.header.get(LINK, ()):
            yield _link(self.file, message.at, message.at + message.size)
        at = self.header[LINK_INFO][0].at
        ordered = self.file.unpack("<BB", at)[1] & 1
        heap, index = self.file.unpack("<QQ", at + (10 if ordered else 2))
        if heap != UNDEFINED:
            dense = Heap(self.file, heap)
            for at, size in map(dense.locate, _records(self.file, index)):
                yield _link(self.file, at, at + size)


def open_object(file: File, address: int) -> Group | Dataset:
    """The group or dataset whose object header lies at an address. Raises `Hdf5Error` for anything else."""
    header = file.header(address)
    if SYMBOL_TABLE in header or LINK_INFO in header:
        return Group(file, header)
    return Dataset.of(file, header) or bad(f"the object at byte {address} is neither a group nor a dataset")


def _symbols(file: File, tree: int, heap: int) -> Iterator[tuple[str, int]]:
    """The names and addresses in a symbol table.

    Args:
        tree: the address of the B-tree, whose leaves are symbol table nodes.
        heap: the address of the local heap that holds the names.
    """
    file.expect(b"HEAP\x00", heap, "local heap")
    size, _, start = file.unpack("<QQQ", heap + 8)
    file.inside(start, size)
    for node in leaves(file, tree, 0, 8):
        file.expect(b"SNOD\x01", node, "symbol table node")
        for i in range(file.unpack("<H", node + 6)[0]):
            file.step()
            name_at, address, cache = file.unpack("<QQI", node + 8 + 40 * i)
            name = _name(_terminated(file, start + name_at, start + size))
            if cache == 2:
                bad(f"{name!r} is a link to another place")
            yield name, address


def _terminated(file: File, at: int, end: int) -> bytes:
    """The bytes from an address up to the next null byte. Raises `Hdf5Error` where none comes before `end`."""
    raw, more = b"", 64
    while b"\0" not in raw:
        if at >= end or len(raw) > MAX_NAME_BYTES:
            bad("a name that leaves its heap, or is too long")
        raw += file.raw(at, min(more, end - at))
        at, more = at + more, 1024
    return raw[:raw.index(b"\0")]


def _name(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        bad(f"the name {raw[:40]!r}, which is not UTF-8")


def _link(file: File, at: int, end: int) -> tuple[str, int]:
    """The name and address in the link message that lies between two addresses."""
    file.step()
    version, flags = file.unpack("<BB", at)
    kind = file.unpack("<B", at + 2)[0] if flags & 8 else 0
    at += 2 + (flags >> 3 & 1) + (8 if flags & 4 else 0) + (flags >> 4 & 1)
    length = file.unpack("<" + "BHIQ"[flags & 3], at)[0]
    at += 1 << (flags & 3)
    if version != 1 or length > MAX_NAME_BYTES or at + length > end:
        bad("a damaged link")
    name = _name(file.raw(at, length))
    if kind != 0:
        bad(f"{name!r} is a link to another place")
    return name, file.unpack("<Q", at + length)[0]


@dataclass(eq=False)
class Heap:
    """A fractal heap, which stores objects in a tree of blocks.

    Attributes:
        at: the address of its header.
    """

    file: File
    at: int

    @cached_property
    def widths(self) -> tuple[int, int, int]:
        """The widths in bytes of an object's id, and of the offset and the size within it.

        Raises:
            Hdf5Error: for compressed heaps, and for ids that this reader does not know.
        """
        self.file.expect(b"FRHP\x00", self.at, "fractal heap")
        id_bytes, filters, _ = self.file.unpack("<HHB", self.at + 5)
        offset_bytes = (self.file.unpack("<H", self.at + 128)[0] + 7) // 8
        if filters or not 0 < id_bytes - 1 - offset_bytes <= 8 or offset_bytes > 8:
            bad("a heap of links that is compressed, or has ids of unusual widths")
        return id_bytes, offset_bytes, id_bytes - 1 - offset_bytes

    def locate(self, record: int) -> tuple[int, int]:
        """The address and size of the object to which an index record refers."""
        id_bytes, offset_bytes, size_bytes = self.widths
        raw = self.file.raw(record + 4, id_bytes)
        if raw[0] & 0xF0:
            bad("a link too long for its heap")
        offset = int.from_bytes(raw[1:1 + offset_bytes], "little")
        size = int.from_bytes(raw[1 + offset_bytes:1 + offset_bytes + size_bytes], "little")
        root, rows = self.file.unpack("<QH", self.at + 132)
        address = root + offset if rows == 0 else self._descend(root, rows, offset)
        self.file.inside(address, size)
        return address, size

    def _descend(self, block: int, rows: int, offset: int) -> int:
        """The address of the byte at an offset of the heap, found through its indirect blocks.

        In rows 0 and 1 of an indirect block, blocks have the starting size, in row 2 twice that size, and so on.

        Args:
            block: the address of the root indirect block.
            rows: how many rows it has.
        """
        width, start, largest = self.file.unpack("<HQQ", self.at + 110)
        if not width or not start or start & (start - 1) or width & (width - 1):
            bad("a heap whose row width or block size is not a power of two")
        for _ in range(64):
            self.file.expect(b"FHIB\x00", block, "indirect block")
            entries = block + 13 + self.widths[1]
            size, row = start, 0
            while row < rows and offset >= width * size:
                offset -= width * size
                row += 1
                size = start << max(row - 1, 0)
            if row >= rows:
                break
            column, offset = divmod(offset, size)
            child = self.file.unpack("<Q", entries + 8 * (row * width + column))[0]
            if size <= largest:
                return int(child) + offset
            block, rows = child, size.bit_length() - (start * width).bit_length() + 1
        bad("an offset outside of its heap")


def _records(file: File, tree: int) -> Iterator[int]:
    """The addresses of all records of a version 2 B-tree that indexes links by name."""
    file.expect(b"BTHD\x00\x05", tree, "index of links")
    node_bytes, record_bytes, depth = file.unpack("<IHH", tree + 6)
    root, count = file.unpack("<QH", tree + 16)
    if record_bytes < 5 or node_bytes < 64 or depth > 16:
        bad("an index with impossible node sizes or depth")
    counts = _counts(node_bytes, record_bytes, depth)
    stack = [(root, count, depth)] if count else []
    while stack:
        at, count, level = stack.pop()
        file.step(count + 1)
        file.expect(b"BTIN\x00\x05" if level else b"BTLF\x00\x05", at, "node of an index")
        yield from (at + 6 + i * record_bytes for i in range(count))
        own, total = counts[0][1], counts[level - 1][2] if level > 1 else 0
        child = at + 6 + count * record_bytes
        for _ in range(count + 1 if level else 0):
            address = file.unpack("<Q", child)[0]
            stack.append((address, int.from_bytes(file.raw(child + 8, own), "little"), level - 1))
            child += 8 + own + total


def _counts(node_bytes: int, record_bytes: int, depth: int) -> list[tuple[int, int, int]]:
    """The capacity of a version 2 B-tree, level by level, from the leaves on.

    Returns:
        For every level: how many records a subtree of that height can hold, the width in bytes of a child's record
        count, and the width in bytes of a subtree's total count (0 for leaves).
    """
    most = (node_bytes - 10) // record_bytes
    own = (most.bit_length() + 7) // 8 or 1
    levels = [(most, own, 0)]
    for _ in range(depth):
        below, _, below_bytes = levels[-1]
        pointer = 8 + own + below_bytes
        here = (node_bytes - 10 - pointer) // (record_bytes + pointer)
        total = (here + 1) * below + here
        levels.append((total, own, (total.bit_length() + 7) // 8))
    return levels
