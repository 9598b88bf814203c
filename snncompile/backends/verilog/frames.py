"""Packed frames as input: a module in front of the network that turns words of 32 bits into events.

A frame is a tick: all elements of a tensor in its own order, so many to a word, the first in the lowest bits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncompile.backends.plan.layouts import channels_last
from snncompile.backends.render import render
from snncompile.backends.stream.hardware import Hardware, Port
from snncompile.backends.stream.links import Stream, bits_below
from snncompile.backends.stream.words import indices
from snncompile.backends.verilog.context import Memory
from snncompile.backends.verilog.memories import Files
from snncompile.ir.types import Array

WORD = 32
"""The bits of a word of a frame."""


@dataclass(frozen=True)
class Frames:
    """The frames of an input.

    Attributes:
        port: the input.
        memory: the index of each element; None where its number is its index.
    """

    port: Port
    memory: Memory | None

    @property
    def read(self) -> int:
        """The bits of an element that are read."""
        return self.port.stream.value_bits or 1

    @property
    def element(self) -> int:
        """The bits that an element takes."""
        return element_bits(self.port.stream)

    @property
    def lanes(self) -> int:
        """Elements of a word."""
        return WORD // self.element

    @property
    def words(self) -> int:
        """Words of a frame."""
        return -(-self.port.stream.size // self.lanes)

    @property
    def mask(self) -> int:
        """The elements of the last word, as bits."""
        return (1 << (self.port.stream.size - (self.words - 1) * self.lanes)) - 1

    @property
    def count_bits(self) -> int:
        return max(1, bits_below(self.words))

    @property
    def number_bits(self) -> int:
        return max(1, bits_below(self.words * self.lanes))

    @property
    def lane_bits(self) -> int:
        return max(1, bits_below(self.lanes))


def element_bits(stream: Stream) -> int:
    """The bits that an element of a frame takes: 1 for spikes, else 8, 16 or 32; 0 where no word holds it."""
    return next((n for n in (1, 8, 16, WORD) if n >= (stream.value_bits or 1)), 0)


def frames(hardware: Hardware) -> tuple[Frames, ...]:
    """The frames of all inputs; none where an element of one is wider than a word."""
    if not all(element_bits(p.stream) for p in hardware.inputs):
        return ()
    return tuple(Frames(p, _indices(hardware, p)[0]) for p in hardware.inputs)


def emit_frames(hardware: Hardware) -> Mapping[str, str]:
    """The module that takes packed frames, and its memories."""
    found = frames(hardware)
    if not found:
        return {}
    memories = {k: v for p in hardware.inputs for k, v in _indices(hardware, p)[1].items()}
    return {f"{hardware.name}_FRAMES.v": render("verilog/frames.v.j2", h=hardware, frames=found), **memories}


def _indices(hardware: Hardware, port: Port) -> tuple[Memory | None, Files]:
    """The memory of the index of each element of an input, if there has to be one, and its file."""
    stream, files = port.stream, Files(f"{hardware.name}_FRAMES_{port.name}")
    index = np.empty(stream.size, np.int64)
    index[channels_last(stream.shape)] = indices(stream)
    if np.array_equal(index, np.arange(stream.size)):
        return None, files
    return files.memory("index_of", index, stream.index_bits), files


def packed(stream: Stream, x: Array) -> list[int]:
    """The words of frames `[sample, tick, *shape]`, with the end of a sample in bit 32."""
    element, lanes = element_bits(stream), WORD // element_bits(stream)
    words, mask = -(-math.prod(stream.shape) // lanes), (1 << element) - 1
    found: list[int] = []
    for sample in np.asarray(x, np.int64).reshape(*x.shape[:2], -1).tolist():
        for tick, frame in enumerate(sample):
            values = [sum((v & mask) << (k * element) for k, v in enumerate(frame[at:at + lanes]))
                      for at in range(0, words * lanes, lanes)]
            values[-1] |= (tick == len(sample) - 1) << WORD
            found += values
    return found
