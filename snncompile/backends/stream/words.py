"""The words of a stream: integers become the words that hardware takes, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from snncompile.backends.plan.layouts import channels_last
from snncompile.backends.stream.context import Stream
from snncompile.ir.types import Array


def words(stream: Stream, x: Array) -> str:
    """The words of samples `[sample, tick, *shape]`, in hexadecimal: the events of each tick, then its end."""
    order, index, lines = channels_last(stream.shape), indices(stream).tolist(), []
    mask = (1 << stream.value_bits) - 1
    for sample in np.asarray(x, np.int64).reshape(*x.shape[:2], -1)[:, :, order]:
        for tick, values in enumerate(sample):
            for i in np.flatnonzero(values):
                lines.append(index[i] << stream.value_bits | int(values[i]) & mask)
            last = tick == len(sample) - 1
            lines.append(1 << (stream.bits - 2) | last << (stream.bits - 1))
    return "".join(f"{word:x}\n" for word in lines)


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
