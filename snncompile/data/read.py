"""Reads any data file as the tensor that a network takes: `read_input` and `read_labels`."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from snncompile.data.encode import encode as encode_frames
from snncompile.data.events import (
    MAX_SAMPLES,
    Events,
    bin_events,
    check_ticks,
    csv_header,
    read_event_csv,
    read_event_file,
)
from snncompile.data.files import check_room, npz_names, place_of, read_bytes, read_npy, read_npz
from snncompile.diagnostics import CompileError, fail, shorten
from snncompile.ir.layouts import LAYOUTS, sample_first
from snncompile.ir.types import Array, Shape

Source = str | os.PathLike[str]
ARRAY_SUFFIXES = (".npz", ".npy")
EVENT_SUFFIXES = (".bs2", ".bin")
INPUT_KEYS = ("x", "input", "inputs", "data", "spikes", "frames", "images")
LABEL_KEYS = ("y", "label", "labels", "target", "targets")


def read_input(path: Source | Sequence[Source], shape: Shape, *, key: str | None = None, ticks: int | None = None,
               tick_us: int = 1000, encode: str | None = None, seed: int = 0, scale: float | None = None,
               layout: str = LAYOUTS[0]) -> Array:
    """Read input `[sample, tick, *shape]` from a file, from a folder of recordings, or from a list of either.

    - An `.npz` or `.npy` file holds a tensor `[sample, tick, *shape]`, or with `encode` static frames
      `[sample, *shape]`. Axes of length 1 may be missing, and the shape may be flattened to one axis.
    - A `.bs2` or `.bin` file holds a recording in N-MNIST's format, a `.csv` file a list of events (`t,x,y,p` or
      `t,index`); see `bin_events`.
    - A `.csv` file with the column `file` lists recordings, which lie in its folder.
    - A folder stands for its recordings in natural order (`2.bs2` before `10.bs2`).

    Args:
        shape: the shape of the network's input for one tick.
        key: the array to read where an `.npz` file holds several; by default the only one with a usual name.
        ticks: the number of ticks of every sample. Longer samples are cut, shorter ones are filled with zeros.
            Encodings need it.
        tick_us: the length of a tick in microseconds, for events.
        encode: the encoding of static frames: `rate`, `latency` or `direct`.
        seed: of the rate encoding.
        scale: a number by which arrays are divided first, such as 16 for frames from 0 to 16.
        layout: "time-first" for an array `[tick, sample, *shape]`.

    Raises:
        CompileError: SNN404 for options, SNN501 for data that do not fit the network, SNN502 for a file that cannot be
            read. No other exception is raised, whatever the file holds.
    """
    paths = [Path(path)] if isinstance(path, (str, os.PathLike)) else [Path(p) for p in path]
    if len(paths) == 1 and paths[0].suffix.lower() in ARRAY_SUFFIXES:
        return _from_array(paths[0], shape, key, ticks, encode, seed, scale, layout)
    if encode is not None:
        fail("SNN404", "option encode", shorten(encode), "an encoding of frames in .npz or .npy files only",
             "leave the option out; events have times already")
    recordings = [r for p in paths for r in _recordings(p)]
    if not recordings:
        fail("SNN502", ", ".join(map(place_of, paths[:3])) or "input", "no recordings", "at least one recording")
    return bin_events(recordings, shape, tick_us=tick_us, ticks=ticks)


def read_labels(path: Source, *, key: str | None = None, inputs: Source | None = None) -> Array:
    """Read labels `[sample]`, which are whole numbers from 0.

    They stand in the column `label` of a CSV file, or in a vector of an `.npz` or `.npy` file.

    Args:
        key: the array to read from an `.npz` file; by default the only one with a usual name for labels.
        inputs: the path that `read_input` was given. If it is a folder, the labels are put into the order of its
            recordings, by the CSV file's column `file`.

    Raises:
        CompileError: SNN501 for labels that are not whole numbers from 0 or that are missing, SNN502 for a file that
            cannot be read.
    """
    file = Path(path)
    folder = Path(inputs) if inputs is not None else None
    if file.suffix.lower() in ARRAY_SUFFIXES:
        return _as_labels(_read_array(file, key, LABEL_KEYS), place_of(file))
    rows = _csv_rows(file, "label")
    if folder is not None and folder.is_dir():
        labels = {row.get("file", ""): row["label"] for row in rows}
        rows = [{"label": _label_of(recording, labels, file)} for recording in _listed(folder)]
    return _label_column(rows, place_of(file))


def labels_beside(path: Source) -> str | None:
    """The name of an array of labels in an `.npz` file of samples; None where there is none, or for other files."""
    if not isinstance(path, (str, os.PathLike)) or Path(path).suffix.lower() != ".npz":
        return None
    try:
        return next((name for name in npz_names(Path(path)) if name.lower() in LABEL_KEYS), None)
    except CompileError:  # reading the samples says what is wrong
        return None


def _from_array(path: Path, shape: Shape, key: str | None, ticks: int | None, encode: str | None, seed: int,
                scale: float | None, layout: str) -> Array:
    raw = sample_first(_read_array(path, key, INPUT_KEYS), layout)
    x = _fit(raw, shape, 2 if encode is None else 1, place_of(path))
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        fail("SNN501", place_of(path), f"{int((~np.isfinite(x)).sum())} of {x.size} values are NaN or infinite",
             "finite numbers")
    if scale is not None:
        x = _scaled(x, scale)
    if encode is None:
        return x if ticks is None else _of_length(x, check_ticks(ticks), place_of(path))
    if ticks is None:
        fail("SNN404", "option ticks", "nothing", "the number of ticks for which an encoding shows a frame",
             "give --ticks 16 (ticks=16), or as many as the network was trained with")
    return encode_frames(x, encode, ticks, seed=seed, place=place_of(path))


def _scaled(x: Array, scale: float) -> Array:
    if not (math.isfinite(scale) and scale > 0):
        fail("SNN404", "option scale", str(scale), "a finite number above 0")
    return np.asarray(x / scale, np.float32)


def _fit(x: Array, shape: Shape, lead: int, place: str) -> Array:
    """The array with the axes after the first `lead` ones in the shape of the network's input.

    Args:
        lead: 2 for an array `[sample, tick, ...]`, 1 for static frames `[sample, ...]`.

    Raises:
        CompileError: SNN501 where the array does not fit the shape.
    """
    rest = x.shape[lead:]
    if lead == 2 and len(shape) > 1 and x.shape[1:] == shape:
        fail("SNN501", place, f"an array {list(x.shape)}: frames without a tick axis",
             f"[sample, tick, {', '.join(map(str, shape))}]", "choose an encoding, or add an axis of one tick")
    fits = x.ndim >= lead and (rest == (math.prod(shape),) or _without_ones(rest) == _without_ones(shape))
    if not fits:
        axes = "sample, tick" if lead == 2 else "sample"
        fail("SNN501", place, f"an array {list(x.shape)}", f"[{', '.join([axes, *map(str, shape)])}]",
             "static frames need an encoding, such as --encode direct --ticks 16 (encode=..., ticks=...)"
             if lead == 2 else "for an array with a tick axis, leave out the encoding")
    check_room(x.shape, place)
    if 0 in x.shape[:lead]:
        fail("SNN501", place, f"an array {list(x.shape)}", "at least one sample and one tick")
    if x.dtype == np.bool_:
        x = x.view(np.uint8)
    return x.reshape(*x.shape[:lead], *shape)


def _without_ones(shape: Shape) -> Shape:
    return tuple(n for n in shape if n != 1)


def _of_length(x: Array, ticks: int, place: str) -> Array:
    """Every sample with so many ticks: cut, or filled with zeros at its end."""
    missing = ticks - x.shape[1]
    if missing <= 0:
        return x[:, :ticks]
    check_room((len(x), ticks, *x.shape[2:]), place)
    return np.pad(x, ((0, 0), (0, missing), *((0, 0),) * (x.ndim - 2)))


def _read_array(path: Path, key: str | None, usual: tuple[str, ...]) -> Array:
    """The array with the name `key`, or else the only array of the file, or the only one with a usual name."""
    if path.suffix.lower() == ".npy":
        return read_npy(path)
    names = npz_names(path)
    chosen = [key] if key is not None else list(names) if len(names) == 1 else [n for n in names if n in usual]
    if len(chosen) != 1 or chosen[0] not in names:
        fail("SNN502", place_of(path), f"arrays {', '.join(shorten(n, 30) for n in names[:8])}",
             f"an array {shorten(key)}" if key is not None else f"one array, or one named {' or '.join(usual[:3])}",
             "name the array: --key NAME (key=...)")
    return read_npz(path, chosen[0])


def _recordings(path: Path) -> tuple[Events, ...]:
    """The recordings in a file, in a folder, or in the files that a CSV file lists."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return tuple(r for file in _listed(path) for r in _recordings(file))
    if suffix in EVENT_SUFFIXES:
        return (read_event_file(path),)
    if suffix != ".csv":
        fail("SNN502", place_of(path), f"a name that ends in {shorten(suffix)}",
             f"{', '.join((*ARRAY_SUFFIXES, *EVENT_SUFFIXES, '.csv'))}, or a folder of recordings")
    if "file" not in csv_header(path):
        return read_event_csv(path)
    return tuple(read_event_file(_beside(path, row["file"])) for row in _csv_rows(path, "file"))


def _listed(folder: Path) -> list[Path]:
    """The recordings of a folder in natural order."""
    try:
        files = [p for p in folder.iterdir() if p.suffix.lower() in EVENT_SUFFIXES]
    except OSError as e:
        fail("SNN502", f"folder {shorten(folder)}", str(e)[:200])
    if not 0 < len(files) <= MAX_SAMPLES:
        fail("SNN502", f"folder {shorten(folder)}", f"{len(files)} recordings ({', '.join(EVENT_SUFFIXES)})",
             f"1 to {MAX_SAMPLES} recordings")
    return sorted(files, key=_natural)


def _natural(path: Path) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts `2.bs2` before `10.bs2`."""
    parts = re.split(r"([0-9]{1,18})", path.name)
    return tuple((0, int(p), p) if p[:1] in tuple("0123456789") else (1, 0, p) for p in parts if p)


def _beside(listing: Path, name: str) -> Path:
    """The path of a file that a list names. Raises SNN502 where it would lie outside the list's folder."""
    relative = PurePosixPath(name)
    outside = relative.is_absolute() or ".." in relative.parts or "\\" in name or "\0" in name
    if not name or outside or relative.suffix.lower() not in EVENT_SUFFIXES:
        fail("SNN502", place_of(listing), f"file {shorten(name)}",
             f"a {' or '.join(EVENT_SUFFIXES)} file in the list's own folder")
    return listing.parent / relative


def _csv_rows(path: Path, column: str) -> list[dict[str, str]]:
    """The lines of a CSV file, by column name. Raises SNN502 where the column is missing or a line is too short."""
    header = csv_header(path)
    if column not in header:
        fail("SNN502", place_of(path), f"columns {shorten(','.join(header))}", f"a column named {column}")
    text = read_bytes(path).decode("utf-8-sig", "replace")
    try:
        lines = [[c.strip() for c in line] for line in csv.reader(io.StringIO(text, newline="")) if line][1:]
    except csv.Error as e:
        fail("SNN502", place_of(path), str(e)[:200], "comma-separated values")
    if len(lines) > MAX_SAMPLES or any(len(line) != len(header) for line in lines):
        fail("SNN502", place_of(path), f"{len(lines)} lines, or another number of values in one",
             f"up to {MAX_SAMPLES} lines with {len(header)} values each")
    return [dict(zip(header, line, strict=True)) for line in lines]


def _label_of(recording: Path, labels: dict[str, str], file: Path) -> str:
    if recording.name not in labels:
        fail("SNN501", place_of(file), f"no label for {shorten(recording.name)}", "a line for every recording")
    return labels[recording.name]


def _label_column(rows: list[dict[str, str]], place: str) -> Array:
    bad = [row["label"] for row in rows if not re.fullmatch(r"[0-9]{1,9}", row["label"], re.ASCII)]
    if bad:
        fail("SNN501", place, f"the label {shorten(bad[0])}", "whole numbers from 0")
    return np.array([int(row["label"]) for row in rows], np.int64)


def _as_labels(y: Array, place: str) -> Array:
    whole = y.dtype.kind != "f" or bool((np.isfinite(y) & (y == np.floor(y))).all())
    if y.ndim != 1 or not whole or (y < 0).any():
        fail("SNN501", place, f"labels of shape {list(y.shape)} and type {y.dtype.name}",
             "a vector [sample] of whole numbers from 0")
    return y.astype(np.int64)
