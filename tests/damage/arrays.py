"""Damage to the structure of array files: `.npy` headers, `.npz` archives and the headers of `.safetensors`."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from typing import Any

import numpy as np

from tests.damage import octets, texts

DESCRIPTIONS = ("'<f4'", "'|O'", "'<U3'", "'|S4'", "'>i8'", "'|b1'", "'<c16'", "'<M8[Y]'", "'|V8'", "[('a', '<i4')]",
                "0", "None", "'<f4', ", "'" + "<f4" * 9 + "'", "[" * 300, "()", "'<f2'", "b'<f4'", "('<f4', (3,))")
SHAPES = ("()", "(0,)", "(-1,)", "(1, 4, 6)", "(1, 4)", f"({1 << 40},)", f"({1 << 62}, 4)", "(1.5,)", "None",
          "[1, 4, 6]",
          "(1,) * 9", "(" + "1, " * 70 + ")", "(True, 4, 6)", "(" * 200, "('a',)", "(" + "9" * 4400 + ",)", "(4_0,)")


def npy(draw: random.Random) -> bytes:
    """An array file whose header says something else than its data."""
    order = draw.choice(("False", "False", "True", "0", "None"))
    text = f"{{'descr': {draw.choice(DESCRIPTIONS)}, 'fortran_order': {order}, 'shape': {draw.choice(SHAPES)}, }}"
    if draw.random() < 0.3:
        text = draw.choice(("{}", "[" * 5000, text * 2, text[:-9], "{'shape': (1,)}", "1", '"' * 50, text + "\\\n" * 9))
    body = text.encode("latin-1", "replace").ljust(117) + b"\n"
    version, size = draw.choice(((1, "<H"), (1, "<H"), (2, "<I"), (3, "<I"), (9, "<H")))
    length = draw.choice((len(body), len(body), 0, 65_535 if size == "<H" else 1 << 31))
    if size == "<H":
        length = min(length, 65_535)
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(size, length) + body + draw.randbytes(96)


def plain_npy(draw: random.Random) -> bytes:
    """A sound array file of unusual numbers."""
    kind = draw.choice((np.float64, np.float32, np.float16, np.uint8, np.int64, np.bool_, np.int8))
    shape = draw.choice(((2, 4, 6), (2, 4), (6,), (), (2, 4, 3, 2), (4, 6), (2, 0, 6), (2, 4, 6, 1)))
    with np.errstate(all="ignore"):
        values = np.full(shape, draw.choice((0, 1, -1, 300, 1e30, np.nan, np.inf, 0.5))).astype(kind)
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def npz(draw: random.Random) -> bytes:
    """An archive with members of strange names, sizes and contents; some unpack to a thousand times their size."""
    buffer = io.BytesIO()
    names = ["x.npy", "y.npy", "input0.npy", "data.npy", "x.npy", "../x.npy", "x", "é.npy", "x.npy/",
             "a" * 300 + ".npy"]
    method = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name in draw.sample(names, draw.choice((0, 1, 2, 4))):
            archive.writestr(name, draw.choice((npy, plain_npy))(draw) if draw.random() < 0.9 else _bomb(draw))
        if draw.random() < 0.02:
            for i in range(1200):
                archive.writestr(f"{i}.npy", b"")
    data = bytearray(buffer.getvalue())
    if draw.random() < 0.5:
        central = data.rfind(b"PK\x01\x02")
        for _ in range(draw.choice((1, 3))):
            at = max(0, central) + draw.randrange(60)
            data[at:at + 1] = bytes([draw.choice((0, 1, 255, 8, 99))])
    return bytes(data)


def _bomb(draw: random.Random) -> bytes:
    """Zeros in the shape of samples, which an archive packs a thousandfold."""
    values = draw.choice((1 << 20, 1 << 20, 1 << 27, 1 << 29)) // 24
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({values}, 4, 6), }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(values * 24)


def safetensors(data: bytes, draw: random.Random) -> bytes:
    """Another header in front of the same data, or data that are damaged themselves."""
    size = int.from_bytes(data[:8], "little")
    header: Any = json.loads(data[8:8 + size])
    text = texts.in_json(texts.altered_json(header, draw), draw).encode("utf-8", "replace")
    length = draw.choice((len(text), len(text), len(text), len(text) + 8, 0, 1 << 40, (1 << 64) - 1))
    made = length.to_bytes(8, "little") + text + data[8 + size:]
    return octets.damaged(made, draw) if draw.random() < 0.2 else made
