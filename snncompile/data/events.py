"""Reads event recordings (N-MNIST's binary files and CSV lists), and counts their events per tick."""

from __future__ import annotations

import io
import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snncompile.data.files import MAX_TICKS, check_room, place_of, read_bytes
from snncompile.diagnostics import fail, shorten
from snncompile.ir.types import Array, Shape

RECORD_BYTES = 5
MAX_SAMPLES = 1 << 20
FEW_VALUES, VALUES_PER_EVENT = 1 << 28, 4000
"""A tensor of counts may have so many values, and larger ones so many for each event."""
SENSOR_COLUMNS = ("x", "y", "p")
INDEX_COLUMNS = ("index",)


@dataclass(frozen=True, eq=False)
class Events:
    """One recording of events.

    Attributes:
        t: the time of each event in microseconds, `[event]`, in any order.
        address: the position of each event, `[event, coordinate]`. The coordinates are `x`, `y` and the polarity `p`;
            or there is one coordinate, the row-major index in the network's input.
        place: the recording's name in messages.
    """

    t: Array
    address: Array
    place: str = "events"


def read_event_file(path: Path) -> Events:
    """Read a recording in N-MNIST's format (Orchard et al., Frontiers in Neuroscience, 2015).

    An event has five bytes: x, y, and three bytes with the polarity in the highest bit and the time in microseconds in
    the other 23 bits.

    Raises:
        CompileError: SNN502 where the file is missing, too large, or ends within an event.
    """
    data = read_bytes(path)
    if len(data) % RECORD_BYTES:
        fail("SNN502", place_of(path), f"{len(data)} bytes, which is not a whole number of events",
             f"{RECORD_BYTES} bytes per event", "the file was truncated, or is not an N-MNIST recording")
    b = np.frombuffer(data, np.uint8).reshape(-1, RECORD_BYTES).astype(np.int64)
    t = (b[:, 2] & 0x7F) << 16 | b[:, 3] << 8 | b[:, 4]
    return Events(t, np.stack([b[:, 0], b[:, 1], b[:, 2] >> 7], 1), place_of(path))


def csv_header(path: Path) -> tuple[str, ...]:
    """The column names of a CSV file, in lower case."""
    line, _, _ = read_bytes(path).partition(b"\n")
    return tuple(c.strip().lower() for c in line.decode("utf-8-sig", "replace").split(","))


def read_event_csv(path: Path) -> tuple[Events, ...]:
    """Read the recordings in a CSV list of events, which has a header line and one line per event.

    All columns hold integers: the time `t` in microseconds; the position as `x,y,p`, or as `index` (row-major, from 0);
    and, where the file has several recordings, the number of the recording as `sample`, from 0. A recording whose
    number does not occur has no events.

    Raises:
        CompileError: SNN502 where columns are missing or unknown, or where a value is not an integer.
    """
    header = csv_header(path)
    address = SENSOR_COLUMNS if "x" in header else INDEX_COLUMNS
    known = {"t", *address, "sample"}
    if len(set(header)) != len(header) or not {"t", *address} <= set(header) <= known:
        fail("SNN502", place_of(path), f"columns {shorten(','.join(header))}",
             "t,x,y,p or t,index, with sample for several recordings; or file,label for a list of files")
    column = dict(zip(header, _csv_integers(path, len(header)).T, strict=True))
    if column["t"].size and column["t"].min() < 0:
        fail("SNN502", place_of(path), f"the time {column['t'].min()}", "microseconds, 0 or more")
    where = np.stack([column[c] for c in address], 1)
    sample = column.get("sample", np.zeros(len(where), np.int64))
    return _by_sample(sample, column["t"], where, place_of(path))


def _csv_integers(path: Path, columns: int) -> Array:
    text = io.BytesIO(read_bytes(path))
    try:
        with warnings.catch_warnings():
            # A list without events is allowed, although NumPy warns about it. A fraction is not allowed, although NumPy
            # only warns about it.
            warnings.filterwarnings("ignore", message=".*input contained no data.*")
            warnings.filterwarnings("error", category=DeprecationWarning)
            table = np.loadtxt(text, np.int64, delimiter=",", skiprows=1, ndmin=2, encoding="utf-8", comments=None)
    except (ValueError, OverflowError, DeprecationWarning) as e:
        fail("SNN502", place_of(path), shorten(e, 160), "integers, equally many in every line")
    if table.size and table.shape[1] != columns:
        fail("SNN502", place_of(path), f"{table.shape[1]} values per line", f"{columns} values, as in the header")
    return np.asarray(table).reshape(-1, columns)


def _by_sample(sample: Array, t: Array, address: Array, place: str) -> tuple[Events, ...]:
    """Divide events into recordings, by the number of the sample to which each belongs."""
    if sample.size and not 0 <= sample.min() <= sample.max() < MAX_SAMPLES:
        fail("SNN502", place, f"samples {sample.min()} to {sample.max()}", f"samples from 0 to {MAX_SAMPLES - 1}")
    count = int(sample.max()) + 1 if sample.size else 1
    order = np.argsort(sample, kind="stable")
    ends = np.searchsorted(sample[order], np.arange(count + 1))
    several = count > 1
    return tuple(
        Events(t[order[a:b]], address[order[a:b]], f"{place}, sample {i}" if several else place)
        for i, (a, b) in enumerate(itertools.pairwise(ends))
    )


def bin_events(recordings: Sequence[Events], shape: Shape, *, tick_us: int = 1000,
               ticks: int | None = None) -> Array:
    """Count the events of recordings per tick and input value, as `[sample, tick, *shape]`.

    Events with `x,y,p` need a shape `[channel, height, width]`. With two channels, events of polarity 1 are counted in
    channel 1, all others in channel 0; a single channel counts both. Events after the last tick are left out.

    Args:
        tick_us: the length of a tick in microseconds.
        ticks: the number of ticks of every sample; by default as many as the longest recording needs.

    Raises:
        CompileError: SNN404 for an option out of range, SNN501 where an event lies outside the shape, or where the
            result would be too large, or large with hardly any event in it.
    """
    if tick_us < 1:
        fail("SNN404", "option tick_us", str(tick_us), "at least 1 microsecond")
    ends = [int(r.t.max()) // tick_us + 1 for r in recordings if r.t.size]
    length = check_ticks(max(ends, default=1) if ticks is None else ticks)
    whole = (len(recordings), length, *shape)
    place = recordings[0].place if recordings else "events"
    check_room(whole, place)
    _expect_dense(whole, sum(r.t.size for r in recordings), place)
    counts = [_counts(r, shape, tick_us, length) for r in recordings]
    top = max((int(events.max(initial=0)) for _, events in counts), default=0)
    out = np.zeros(whole, np.min_scalar_type(top))
    for sample, (occupied, events) in zip(out, counts, strict=True):
        sample.reshape(-1)[occupied] = events
    return out


def _expect_dense(shape: Shape, events: int, place: str) -> None:
    """Refuse a large tensor of hardly any events, as a wrong time stamp far behind the others makes it."""
    values, most = math.prod(shape), max(FEW_VALUES, VALUES_PER_EVENT * events)
    if values > most:
        fail("SNN501", place, f"a tensor {list(shape)} of {values:,} values for {events:,} events", f"at most {most:,}",
             "look for an event with a wrong time; --ticks N (ticks=N) leaves later ones out")


def check_ticks(ticks: int) -> int:
    """The number of ticks itself. Raises SNN404 where it is not from 1 to `MAX_TICKS`."""
    if not 1 <= ticks <= MAX_TICKS:
        fail("SNN404", "option ticks", str(ticks), f"1 to {MAX_TICKS}",
             "longer ticks are fewer: --tick-us N (tick_us=N)")
    return ticks


def _counts(recording: Events, shape: Shape, tick_us: int, ticks: int) -> tuple[Array, Array]:
    """The places in a flat `[tick, *shape]` where one recording has events, and how many it has there."""
    index = _flat_index(recording, shape)
    bins = recording.t // tick_us
    inside = bins < ticks
    size = math.prod(shape)
    occupied, events = np.unique(bins[inside] * size + index[inside], return_counts=True)
    return occupied, events


def _flat_index(recording: Events, shape: Shape) -> Array:
    """The row-major index of each event in the input. Raises SNN501 for events outside the shape."""
    if recording.address.shape[1] == len(INDEX_COLUMNS):
        index = recording.address[:, 0]
        _expect_inside(recording, (index >= 0) & (index < math.prod(shape)), shape)
        return index
    if len(shape) != 3 or shape[0] not in (1, 2):
        fail("SNN501", recording.place, f"events with x, y and polarity for an input of shape {list(shape)}",
             "an input of shape [1 or 2, height, width]", "for other shapes, use a CSV list with the columns t,index")
    channels, height, width = shape
    x, y, p = recording.address.T
    _expect_inside(recording, (x >= 0) & (x < width) & (y >= 0) & (y < height) & (abs(p) <= 1), shape)
    channel = (p > 0) if channels == 2 else np.zeros_like(p)
    return np.asarray((channel * height + y) * width + x)


def _expect_inside(recording: Events, inside: Array, shape: Shape) -> None:
    if not inside.all():
        first = recording.address[np.argmin(inside)].tolist()
        fail("SNN501", recording.place, f"{int((~inside).sum())} of {inside.size} events lie outside, the first at "
             f"{first}", f"addresses inside an input of shape {list(shape)}",
             "crop or scale the recording to the input")
