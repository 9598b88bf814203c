"""Encodes static frames as input over time, by rate, latency or direct encoding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from snncompile.data.events import check_ticks
from snncompile.data.files import check_room
from snncompile.diagnostics import expect_known, fail
from snncompile.ir.types import Array

Encoder: TypeAlias = Callable[[Array, int, int], Array]


def encode(frames: Array, how: str, ticks: int, *, seed: int = 0, place: str = "frames") -> Array:
    """Encode frames `[sample, *shape]` as input `[sample, tick, *shape]`.

    - `direct` repeats the frame's numbers in every tick, as a read-only view.
    - `rate` gives a spike in every tick with the intensity as its probability. The random numbers come from a generator
      that is seeded for each sample.
    - `latency` gives one spike, at tick `round((1 - intensity) * (ticks - 1))`, and none for an intensity of 0. Bright
      values therefore spike early.

    Intensities, which `rate` and `latency` need, go from 0 to 1, or from 0 to 255 in 8-bit integers.

    Args:
        how: the encoding.
        ticks: the number of ticks for which each frame is shown.
        seed: of the rate encoding, 0 or more.
        place: the name of the data in messages.

    Raises:
        CompileError: SNN404 for an unknown encoding, number of ticks or seed; SNN501 for intensities out of range and
            for a result that would be too large.
    """
    expect_known(how, ENCODINGS, "option encode")
    encoder = ENCODINGS[how]
    if seed < 0:
        fail("SNN404", "option seed", str(seed), "a whole number of 0 or more")
    if how != "direct":
        check_room((len(frames), check_ticks(ticks), *frames.shape[1:]), place)
        frames = _intensities(frames, place)
    return encoder(frames, check_ticks(ticks), seed)


def _direct(frames: Array, ticks: int, seed: int) -> Array:
    return np.broadcast_to(frames[:, None], (len(frames), ticks, *frames.shape[1:]))


def _rate(frames: Array, ticks: int, seed: int) -> Array:
    out = np.empty((len(frames), ticks, *frames.shape[1:]), np.uint8)
    for i, frame in enumerate(frames):
        # The generator is seeded for each sample, so that its spikes do not depend on which other samples are read.
        out[i] = np.random.default_rng([seed, i]).random((ticks, *frame.shape)) < frame
    return out


def _latency(frames: Array, ticks: int, seed: int) -> Array:
    first = np.floor((1 - frames) * (ticks - 1) + 0.5)
    first[frames == 0] = ticks
    tick = np.arange(ticks).reshape(-1, *(1,) * (frames.ndim - 1))
    return np.asarray(first[:, None] == tick, np.uint8)


ENCODINGS: dict[str, Encoder] = {"rate": _rate, "latency": _latency, "direct": _direct}


def _intensities(frames: Array, place: str) -> Array:
    """The frames as float64 intensities from 0 to 1. Raises SNN501 for values out of range."""
    values = frames / 255 if frames.dtype == np.uint8 else frames.astype(np.float64)
    if values.size and not 0 <= values.min() <= values.max() <= 1:
        fail("SNN501", place, f"intensities from {values.min():g} to {values.max():g}",
             "intensities from 0 to 1, or 8-bit integers",
             "divide them by their largest value, as --scale 255 (scale=255) does, or use the direct encoding")
    return np.asarray(values)
