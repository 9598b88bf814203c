"""Memories of an FPGA: what a memory becomes, and how many blocks that takes.

Each memory that is emitted says what it has to become, so that the blocks of a network are known before a tool runs. A
memory of 12 bits and 2,048 words takes two blocks of 9 bits and 2,048 words:

>>> blocks_of(XC7, 12, 2048)
2
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.sections import Fabric

XC7 = Fabric("xc7", lut_inputs=6, lut_memory_bits=64, block_widths=(1, 2, 4, 9, 18, 36),
             block_depths=(16384, 8192, 4096, 2048, 1024, 512))
"""AMD's 7 series, for which a network is lowered where no device is given."""
BLOCK, DISTRIBUTED, LOGIC = "block", "distributed", "logic"
LUT_MEMORIES_OF_A_BLOCK = {False: 20, True: 14}
"""The most memories of look-up tables that are taken rather than a block, by whether those have six inputs, as in
Yosys."""
BYTE = 9
"""The bits that a block writes together."""
FEW_BITS = 64
"""The most bits of a memory that becomes flip-flops where look-up tables cannot be memories."""
SHALLOW, FEW_CONSTANTS = 64, 640
"""The fewest words of constants that become a block, and the most bits that do not."""


@dataclass(frozen=True)
class MemoryUse:
    """A memory.

    Attributes:
        name: what it holds.
        bits, words: its width and depth.
        constants: for each bank of a memory that is never written, how many of its bits differ between words; tools
            leave out the others. Empty for a memory that is written.
        wanted: what it shall become; None for what suits its size.
    """

    name: str
    bits: int
    words: int
    constants: tuple[int, ...] = ()
    wanted: str | None = None

    def style(self, fabric: Fabric) -> str:
        """What it becomes. Constants in look-up tables are logic."""
        if self.wanted is not None:
            return LOGIC if self.wanted == DISTRIBUTED and self.constants else self.wanted
        return BLOCK if len(self.constants) > 1 else style_of(fabric, self.bits, self.words, bool(self.constants))

    def blocks(self, fabric: Fabric) -> int:
        """The blocks that it takes."""
        if self.style(fabric) != BLOCK:
            return 0
        constant = bool(self.constants)
        return sum(blocks_of(fabric, bits, self.words, constant) for bits in self.constants or (self.bits,))


def differing_bits(words: Array, bits: int) -> int:
    """How many bits of words of several values differ between them.

    >>> differing_bits(np.array([[0, 5], [2, 5]]), 4)
    1

    Args:
        words: `[word, value]`.
        bits: of a value.
    """
    wide = np.asarray(words, np.int64)
    flips = np.bitwise_or.reduce(wide ^ wide[:1], axis=0) & ((1 << bits) - 1)
    return sum(int(n).bit_count() for n in flips.tolist())


def style_of(fabric: Fabric, bits: int, words: int, constant: bool = False) -> str:
    """What a memory becomes that is read behind a register: blocks, memories of look-up tables, or logic.

    Look-up tables are taken for as many as are worth less than the blocks. Constants of few words are logic.
    """
    if constant:
        return BLOCK if words >= SHALLOW and bits * words > FEW_CONSTANTS else LOGIC
    if not fabric.lut_memory_bits:
        return LOGIC if bits * words <= FEW_BITS else BLOCK
    worth = LUT_MEMORIES_OF_A_BLOCK[fabric.lut_inputs >= 6] * blocks_of(fabric, bits, words)
    return DISTRIBUTED if lut_memories(fabric, bits, words) <= worth else BLOCK


def lut_memories(fabric: Fabric, bits: int, words: int) -> int:
    """How many of the smallest memories of look-up tables it takes, each of four look-up tables.

    They have 16 words of 4 bits where look-up tables have four inputs, and else 32 words of 6 bits, or 64 of 3.
    """
    if fabric.lut_inputs < 6:
        return -(-words // 16) * -(-bits // 4)
    return -(-bits // 6) if words <= 32 else -(-words // 64) * -(-bits // 3)


def blocks_of(fabric: Fabric, bits: int, words: int, constant: bool = False) -> int:
    """How many blocks a memory takes: of the shape of which it takes fewest.

    Where it is deeper than a block, parts of it lie side by side. Constants of 6 bits and 2,560 words fill three parts
    of 1,024 words, 18 bits together, which is one block:

    >>> blocks_of(XC7, 6, 2560, constant=True)
    1

    Parts of a memory that is written begin where a byte of 9 bits does, since a block writes whole bytes. iCE40 writes
    single bits.
    """
    shapes = [*zip(fabric.block_widths or (), fabric.block_depths or (), strict=False)]
    if fabric.family == "ecp5":  # read and written through one port each, a block is twice as wide
        shapes.append((36, 512))
    return min((_of_shape(width, bits, -(-words // depth), constant or fabric.family == "ice40")
                for width, depth in shapes), default=0)


def _of_shape(width: int, bits: int, parts: int, close: bool) -> int:
    """How many blocks of a width so many parts of a memory take, which lie close together or at whole bytes."""
    step = 1 if close or parts == 1 else min(BYTE, width)
    return -(-parts * -(-bits // step) * step // width)
