"""How tensors lie in memory: channels last, so that the channels of one place are contiguous.

`order[i]` is the row-major index, in the user's shape, of what lies at position `i`.
"""

from __future__ import annotations

import math

import numpy as np

from snncompile.ir.types import Array, Shape


def channels_last(shape: Shape) -> Array:
    """The order of a tensor `[channel, *space]` stored as `[*space, channel]`; vectors keep theirs."""
    index = np.arange(math.prod(shape)).reshape(shape)
    return (np.moveaxis(index, 0, -1) if len(shape) > 1 else index).reshape(-1)


def is_plain(shape: Shape) -> bool:
    """Whether channels-last and row-major are the same thing."""
    return len(shape) < 2 or shape[0] == 1 or math.prod(shape[1:]) == 1


def per_channel(values: Array, shape: Shape) -> bool:
    """Whether values that broadcast against a tensor `[channel, *space]` are one for each channel."""
    return values.ndim == len(shape) and values.size == values.shape[0] == shape[0]


def as_image(shape: Shape) -> tuple[int, int, int]:
    """Channels, height and width of a tensor of one to three axes (or more: the middle ones are rows)."""
    if len(shape) == 1:
        return shape[0], 1, 1
    return shape[0], math.prod(shape[1:-1]), shape[-1]


def c_type(low: int, high: int) -> str:
    """The narrowest standard integer type that holds a range."""
    if low >= 0:
        for bits in (8, 16):
            if high < 1 << bits:
                return f"uint{bits}_t"
    for bits in (8, 16, 32):
        if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1):
            return f"int{bits}_t"
    return "int64_t"


def accumulator_type(low: int, high: int) -> str:
    """The narrowest of int16, int32 and int64 that holds a range."""
    kind = c_type(min(low, -1), max(high, 128))
    return kind if kind != "int8_t" else "int16_t"


DTYPES = {f"{u}int{b}_t": np.dtype(f"{u}int{b}") for u in ("", "u") for b in (8, 16, 32, 64)}


def c_type_of(array: Array) -> str:
    """The C type of the elements of an integer array."""
    return f"{'u' if array.dtype.kind == 'u' else ''}int{array.dtype.itemsize * 8}_t"


def narrow(array: Array) -> Array:
    """The array in the narrowest standard integer type that holds it."""
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    return array.astype(DTYPES[c_type(low, high)])
