"""Arrays of samples in few bytes: spikes take a bit each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array, Shape


@dataclass(frozen=True)
class Packed:
    """An array `[sample, ...]` that is read a range of samples at a time.

    >>> spikes = Packed.of(np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]))
    >>> spikes.data.tolist(), spikes[:1].tolist()
    ([[96], [128]], [[0, 1, 1]])

    Attributes:
        data: where `bits`, `[sample, byte]` with eight values in a byte, the first in its highest bit; else the values.
        shape: of the array.
        bits: whether there is nothing but 0 and 1.
    """

    data: Array
    shape: Shape
    bits: bool

    @classmethod
    def of(cls, values: Array) -> Packed:
        """Pack an array: bits, or else int8 if it holds whole numbers of that range, or else float32."""
        if not ((values != 0) & (values != 1)).any():
            flat = values.reshape(len(values), math.prod(values.shape[1:])) != 0
            return cls(np.packbits(flat, axis=1), values.shape, True)
        small = values.astype(np.int8) if np.abs(values).max(initial=0) < 128 else None
        whole = small is not None and np.array_equal(small, values)
        return cls(small if whole and small is not None else values.astype(np.float32), values.shape, False)

    @classmethod
    def joined(cls, parts: Sequence[Packed]) -> Packed:
        """One array of the samples of several."""
        shape = (sum(len(p) for p in parts), *parts[0].shape[1:])
        if all(p.bits for p in parts):
            return cls(np.concatenate([p.data for p in parts]), shape, True)
        return cls(np.concatenate([p[:] for p in parts]), shape, False)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, samples: slice) -> Array:
        """The values of some samples: int8 or float32."""
        if not self.bits:
            return self.data[samples]
        found = np.unpackbits(self.data[samples], axis=1, count=math.prod(self.shape[1:]))
        return found.view(np.int8).reshape(len(found), *self.shape[1:])

    @property
    def nbytes(self) -> int:
        return int(self.data.nbytes)
