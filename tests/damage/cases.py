"""Damaged files by number: each kind's sound files, the ways to damage them, and what reads the result."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import snncompile as sc
from snncompile.build_folder import MANIFEST, expect_free
from snncompile.data import read_input, read_labels
from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input
from snncompile.ir.text import to_text
from tests.damage import arrays, hdf5, octets, onnx_files, sound, texts
from tests.nets import small

SMALL = 1 << 14
"""The most values of all tensors of a network that is also run."""


@dataclass(frozen=True)
class Kind:
    """How files of a kind are damaged and read.

    Attributes:
        damage: changes a copy of a sound file in place.
        read: reads it, and does something with what was read.
        weight: how many files of this kind a campaign has for each of weight 1.
    """

    damage: Callable[[Path, random.Random], None]
    read: Callable[[Path], None]
    weight: int = 1


class Cases:
    """The damaged files of a campaign, each made from its number alone.

    Args:
        folder: an empty folder for sound and damaged files.
    """

    def __init__(self, folder: Path):
        (folder / "sound").mkdir()
        self.sound = sound.write(folder / "sound")
        self.folder = folder / "damaged"
        self.kinds = [name for name, kind in KINDS.items() for _ in range(kind.weight)]

    def kind(self, number: int) -> str:
        return self.kinds[number % len(self.kinds)]

    def make(self, number: int) -> Path:
        """Write a damaged file, in place of the one before, and return its path."""
        draw, kind = random.Random(f"damaged {number}"), self.kind(number)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        source = draw.choice(self.sound[kind])
        path = self.folder / source.name
        if source.is_dir():
            shutil.copytree(source, path)
        else:
            for other in source.parent.glob(f"{source.stem}.*" if kind != "events" else "*.bs2"):
                shutil.copy(other, self.folder)
            shutil.copy(source, path)
        KINDS[kind].damage(path, draw)
        return path


# --- damage ----------------------------------------------------------------------------------------------


def _either(structure: Callable[[bytes, random.Random], bytes]) -> Callable[[Path, random.Random], None]:
    """Damage of a file's bytes, or of its structure."""
    def damage(path: Path, draw: random.Random) -> None:
        change = structure if draw.random() < 0.65 else octets.damaged
        path.write_bytes(change(path.read_bytes(), draw))

    return damage


def _hdf5(path: Path, draw: random.Random) -> None:
    if draw.random() < 0.65:
        hdf5.damage(path, draw)
    if draw.random() < 0.4:
        path.write_bytes(octets.damaged(path.read_bytes(), draw))


def _text(data: bytes, draw: random.Random) -> bytes:
    return texts.damaged(data.decode("utf-8", "replace"), draw)


def _snn(path: Path, draw: random.Random) -> None:
    if draw.random() < 0.6:
        return _either(_text)(path, draw)
    weights = path.with_suffix(".safetensors")
    weights.write_bytes(draw.choice((arrays.safetensors, octets.damaged))(weights.read_bytes(), draw))
    return None


def _build(path: Path, draw: random.Random) -> None:
    """Damage to the manifest, or to another file, whose hash in the manifest may then be made to fit."""
    manifest = path / MANIFEST
    if draw.random() < 0.5:
        value = texts.altered_json(json.loads(manifest.read_text()), draw)
        content = texts.in_json(value, draw).encode("utf-8", "replace")
        manifest.write_bytes(octets.damaged(content, draw) if draw.random() < 0.1 else content)
        return
    files = sorted(p for p in path.rglob("*") if p.is_file() and p != manifest)
    file = draw.choice([*files, *(path / n for n in ("graph.snn", "mapped.snn", "golden.npz", "graph.safetensors"))])
    if draw.random() < 0.1:
        _not_a_file(file, draw)
        return
    change = {".snn": _text, ".json": _text, ".safetensors": arrays.safetensors,
              ".npz": lambda data, how: arrays.npz(how)}.get(file.suffix, octets.damaged)
    file.write_bytes((change if draw.random() < 0.7 else octets.damaged)(file.read_bytes(), draw))
    if draw.random() < 0.8:
        told = json.loads(manifest.read_text())
        told["files"][file.relative_to(path).as_posix()] = hashlib.sha256(file.read_bytes()).hexdigest()
        manifest.write_text(json.dumps(told))


def _not_a_file(file: Path, draw: random.Random) -> None:
    """No file, a folder or a link in the place of a file."""
    file.unlink()
    kind = draw.randrange(3)
    if kind == 0:
        file.mkdir()
    elif kind == 1:
        os.symlink(draw.choice(("/etc/passwd", "nowhere", "/dev/zero", ".")), file)


# --- reading ---------------------------------------------------------------------------------------------


def _network(path: Path) -> None:
    graph = sc.load(path)
    to_text(graph)
    if sum(int(np.prod(s)) for s in graph.shapes.values()) < SMALL:
        _run(graph)


def _run(graph: Graph) -> None:
    """Two ticks of zeros, or of the value of the input's range that is nearest to 0."""
    zeros = {n: np.full((1, 2, *graph.shapes[n]), min(max(0, op.low), op.high))
             for n, op in graph.nodes.items() if isinstance(op, Input)}
    sc.run(graph, zeros)


def _data(path: Path) -> None:
    for work in (lambda: read_input(path, (6,), ticks=5), lambda: read_labels(path), lambda: _encoded(path)):
        with suppress(sc.CompileError):
            work()
    read_input(path, (6,) if path.suffix in (".npy", ".npz") or "indices" in path.name else (2, 34, 34))


def _encoded(path: Path) -> None:
    """Frames of 4 x 6 values; only few of them are encoded, since that takes longer than reading."""
    if read_input(path, (4, 6), encode="direct", ticks=3).size < SMALL:
        read_input(path, (4, 6), encode="rate", ticks=3)
        read_input(path, (4, 6), encode="latency", ticks=3)


def _target(path: Path) -> None:
    sc.check(small(), sc.load_target(path))


def _layers(path: Path) -> None:
    sc.check(small(), "c99", layers=path)


def _opened(path: Path) -> None:
    with suppress(sc.CompileError):
        expect_free(path)
    model = sc.open_build(path)
    json.dumps(model.report.to_json())
    model.reference(np.zeros((1, 2, 6)))


KINDS: Mapping[str, Kind] = {
    "nir": Kind(_hdf5, _network, 4), "onnx": Kind(_either(onnx_files.damaged), _network, 4),
    "net": Kind(_hdf5, _network, 3), "snn": Kind(_snn, _network, 2),
    "npz": Kind(_either(lambda data, draw: arrays.npz(draw)), _data, 2),
    "npy": Kind(_either(lambda data, draw: draw.choice((arrays.npy, arrays.plain_npy))(draw)), _data, 2),
    "events": Kind(_either(_text), _data), "target": Kind(_either(_text), _target, 2),
    "layers": Kind(_either(_text), _layers), "build": Kind(_build, _opened, 3),
}
