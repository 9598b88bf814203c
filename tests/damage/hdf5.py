"""Damage to the structure of HDF5 files (NIR, NetX): objects are lost, renamed, linked, and replaced by others."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.damage import texts

TYPES = ("i1", "u1", "<i2", ">i4", "<i8", ">u8", "<f2", "<f4", ">f8", "c16", "S3", "S", "?", "V7")
NAMES = ("", "x", "type", "nodes", "edges", "weight", "0", "1", "-1", "a" * 900, "a" * 3000, "\u202e", "a b", "..x")


def damage(path: Path, draw: random.Random) -> None:
    """Change one to four objects of a file."""
    with h5py.File(path, "r+", libver=draw.choice(("earliest", "latest"))) as file:
        for _ in range(draw.choice((1, 1, 2, 4))):
            names: list[str] = []
            file.visit(names.append)
            if names:
                draw.choice(WAYS)(file, draw.choice(names), draw)


def lose(file: h5py.File, name: str, draw: random.Random) -> None:
    del file[name]


def rename(file: h5py.File, name: str, draw: random.Random) -> None:
    new = f"{name.rpartition('/')[0]}/{draw.choice(NAMES)}".strip("/")
    if new and new not in file and not new.startswith(f"{name}/"):
        file.move(name, new)


def link(file: h5py.File, name: str, draw: random.Random) -> None:
    """A hard link, also to a group above itself, a soft link, or one to another file, in the place of an object."""
    names: list[str] = ["/"]
    file.visit(names.append)
    target = draw.choice(names)
    new: Any = draw.choice((file[target], h5py.SoftLink(f"/{target}"), h5py.SoftLink("/nowhere"),
                            h5py.ExternalLink("/etc/passwd", "/"), h5py.ExternalLink("other.h5", "/node")))
    del file[name]
    file[name] = new


def replace(file: h5py.File, name: str, draw: random.Random) -> None:
    """Another dataset or group in the place of an object."""
    old = file[name]
    shape = old.shape if isinstance(old, h5py.Dataset) else ()
    del file[name]
    kind = draw.randrange(5)
    if kind == 0:
        file.create_group(name)
    elif kind == 1:
        file[name] = draw.choice(("", "text", "LIF", "conv", "x" * 70_000, np.array(["a", "b"], "S1"), "\ud7ff\0"))
    elif kind == 2:
        file[name] = draw.choice((0, -1, 1, 1 << 40, -(1 << 62), float("nan"), float("inf"), 1e300, 0.5, True))
    else:
        _dataset(file, name, shape, draw)


def _dataset(file: h5py.File, name: str, shape: tuple[int, ...], draw: random.Random) -> None:
    sizes = list(shape) or [1]
    at = draw.randrange(len(sizes))
    sizes[at] = draw.choice((0, 1, sizes[at], sizes[at] + 1, 1 << 20, 1 << 40))
    if draw.random() < 0.2:
        sizes = draw.choice(([1] * 12, [0], [], [1 << 31, 1 << 31], [2, *sizes]))
    dtype = np.dtype(draw.choice(TYPES) if draw.random() < 0.8 else [("a", "<i4"), ("b", "<f8")])
    small = np.prod(sizes, dtype=object) < 1 << 16
    how: dict[str, Any] = {}
    if sizes and (not small or draw.random() < 0.4):
        how = {"chunks": tuple(min(n, 64) or 1 for n in sizes), "compression": draw.choice((None, "gzip", "lzf")),
               "shuffle": draw.random() < 0.3, "fletcher32": draw.random() < 0.3,
               "maxshape": tuple(None for _ in sizes) if draw.random() < 0.5 else None}
    made = file.create_dataset(name, tuple(sizes), dtype, **how)
    if small and dtype.kind in "iufc" and sizes:
        made[...] = np.full(sizes, draw.choice((0, 1, -1, 100, np.nan, np.inf))).astype(dtype)


def numbers(file: h5py.File, name: str, draw: random.Random) -> None:
    """Other values in some places of a dataset of numbers."""
    item = file[name]
    if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and item.size:
        values = item[()]
        flat = np.array(values).reshape(-1)
        for _ in range(draw.choice((1, 3, flat.size))):
            with np.errstate(all="ignore"):
                flat[draw.randrange(flat.size)] = np.array(draw.choice((0, -1, 3, 127, 1e9, -1e18, np.nan, np.inf, 0.3))
                                                           ).astype(flat.dtype)
        item[...] = flat.reshape(np.shape(values))


def words(file: h5py.File, name: str, draw: random.Random) -> None:
    """Another text in the place of a text, which may be JSON."""
    item = file[name]
    if isinstance(item, h5py.Dataset) and item.dtype.kind in "SO" and item.shape == ():
        text = item.asstr()[()]
        try:
            new = texts.in_json(texts.altered_json(json.loads(text), draw), draw)
        except ValueError:
            new = texts.damaged(text, draw).decode("utf-8", "replace")
        del file[name]
        file[name] = new.replace("\0", "")


def add(file: h5py.File, name: str, draw: random.Random) -> None:
    """A further object, an attribute, or groups inside groups."""
    new = f"{name.rpartition('/')[0]}/{draw.choice(NAMES[1:])}".strip("/")
    if draw.random() < 0.3:
        file[name].attrs["x"] = np.zeros(draw.choice((1, 5000)))
    elif new not in file:
        depth = draw.choice((1, 3, 60, 400))
        file.create_group(new + "/a" * depth) if draw.random() < 0.5 else file.copy(file[name], file, new)


def many(file: h5py.File, name: str, draw: random.Random) -> None:
    holder = file[name] if isinstance(file[name], h5py.Group) else file
    for i in range(draw.choice((30, 300, 1500))):
        holder.require_group(f"g{i}")


WAYS = (lose, rename, link, replace, replace, replace, numbers, numbers, words, words, words, add, many)
