"""The words of a stream: integers become the words that hardware takes, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from snncompile.backends.plan.layouts import channels_last
from snncompile.backends.stream.links import Stream
from snncompile.ir.types import Array


def words(stream: Stream, x: Array) -> str:
    """The words of samples `[sample, tick, *shape]`, in hexadecimal: the events of each tick, then its end.

    A tick that has the events of the one before sends its end only, where the stream can say so.
    """
    order, index, lines = channels_last(stream.shape), indices(stream).tolist(), []
    mask = (1 << stream.value_bits) - 1
    flat = np.asarray(x, np.int64).reshape(*x.shape[:2], -1)[:, :, order]
    for sample, again in zip(sent(stream, flat), repeats(stream, flat), strict=True):
        for tick, values in enumerate(sample):
            for i in np.flatnonzero(values):
                lines.append(index[i] << stream.value_bits | int(values[i]) & mask)
            last = tick == len(sample) - 1
            stays = not last and bool(again[tick + 1])
            lines.append(last << (stream.bits - 1) | 1 << (stream.bits - 2) | stays << stream.value_bits)
    return "".join(f"{word:x}\n" for word in lines)


def repeats(stream: Stream, x: Array) -> Array:
    """Whether each tick of samples `[sample, tick, ...]` is one of which the end alone is sent, `[sample, tick]`."""
    same = np.zeros(x.shape[:2], bool)
    if stream.stands:
        same[:, 1:] = (x[:, 1:] == x[:, :-1]).reshape(len(x), x.shape[1] - 1, -1).all(2)
    return same


def sent(stream: Stream, x: Array) -> Array:
    """Samples `[sample, tick, ...]` with zeros in ticks of which the end alone is sent."""
    return np.where(repeats(stream, x).reshape(*x.shape[:2], *(1,) * (x.ndim - 2)), 0, x)


def indices(stream: Stream) -> Array:
    """The index field of each element, channels last: its row, column and channel, one behind another."""
    channels, rows, columns = stream.image
    y, x, c = np.unravel_index(np.arange(stream.size), (rows, columns, channels))
    return np.asarray((y << (stream.column_bits + stream.channel_bits)) | (x << stream.channel_bits) | c)


def values_of(stream: Stream, found: Iterable[int], ticks: int) -> Array:
    """What words say, `[tick, element]`, channels last; what comes behind so many ticks is left out."""
    values, tick = np.zeros((ticks, stream.size), np.int64), 0
    element = {int(n): i for i, n in enumerate(indices(stream))}
    for word in found:
        if tick == ticks:
            break
        if word >> (stream.bits - 2) & 1:
            tick += 1
            continue
        raw = word & ((1 << stream.value_bits) - 1)
        signed = raw - (1 << stream.value_bits) if stream.value_bits and raw >> (stream.value_bits - 1) else raw
        index = (word >> stream.value_bits) & ((1 << stream.index_bits) - 1)
        values[tick, element[index]] = signed if stream.value_bits else 1
    return values


def in_shape(stream: Stream, values: Array, samples: int) -> Array:
    """Values `[tick, element]`, channels last, of so many samples one behind another, as `[sample, tick, *shape]`."""
    result = np.empty_like(values)
    result[:, channels_last(stream.shape)] = values
    return np.asarray(result.reshape(samples, -1, *stream.shape))
