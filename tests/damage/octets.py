"""Damage to any file: cuts, flipped bits, and bytes that are lost, doubled, moved or replaced by telling values."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

NUMBERS = (0, 1, 2, 127, 255, 1 << 15, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)


def cut(data: bytearray, draw: random.Random) -> None:
    del data[draw.randrange(len(data) + 1):]


def flip(data: bytearray, draw: random.Random) -> None:
    for _ in range(draw.choice((1, 1, 2, 8, 40))):
        if data:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def flip_early(data: bytearray, draw: random.Random) -> None:
    """Flip bits in the first 400 bytes, where most formats have their headers."""
    for _ in range(draw.choice((1, 2, 4))):
        if data:
            data[draw.randrange(min(400, len(data)))] ^= 1 << draw.randrange(8)


def number(data: bytearray, draw: random.Random) -> None:
    """Put a number of 1 to 8 bytes somewhere."""
    size = draw.choice((1, 2, 4, 8))
    value = draw.choice(NUMBERS) & ((1 << 8 * size) - 1)
    at = draw.randrange(len(data) + 1) // draw.choice((1, size)) * 1
    data[at:at + size] = value.to_bytes(size, draw.choice(("little", "big")))


def real(data: bytearray, draw: random.Random) -> None:
    at = draw.randrange(len(data) + 1) // 4 * 4
    value = draw.choice((float("nan"), float("inf"), -1e300, 1e-320))
    packed = struct.pack("<d", value) if draw.random() < 0.5 else struct.pack("<f", min(max(value, -1e38), 1e38))
    data[at:at + len(packed)] = packed


def lose(data: bytearray, draw: random.Random) -> None:
    at = draw.randrange(len(data) + 1)
    del data[at:at + draw.choice((1, 3, 8, 100, 1000))]


def double(data: bytearray, draw: random.Random) -> None:
    at = draw.randrange(len(data) + 1)
    part = data[at:at + draw.choice((1, 8, 64, 500))]
    data[at:at] = part * draw.choice((1, 1, 3, 50))


def move(data: bytearray, draw: random.Random) -> None:
    size = draw.choice((1, 8, 64))
    a, b = (draw.randrange(len(data) + 1) for _ in range(2))
    data[b:b + size] = data[a:a + size]


def blank(data: bytearray, draw: random.Random) -> None:
    """A run of one byte, as where a writer died or a block of a disk was lost."""
    at, size = draw.randrange(len(data) + 1), draw.choice((4, 64, 512, 4096))
    data[at:at + size] = bytes([draw.choice((0, 0, 255, 32))]) * min(size, len(data) - at)


def noise(data: bytearray, draw: random.Random) -> None:
    at = draw.randrange(len(data) + 1)
    data[at:at + draw.choice((0, 4, 32))] = draw.randbytes(draw.choice((1, 4, 32)))


WAYS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    cut, flip, flip, flip_early, flip_early, number, number, real, lose, double, move, blank, noise)


def damaged(data: bytes, draw: random.Random) -> bytes:
    """The content of a file with one to three kinds of damage; 16 MB at most."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        draw.choice(WAYS)(changed, draw)
    return bytes(changed[:1 << 24])
