"""The contents of memories: words in hexadecimal, and the banks that blocks of a device suggest."""

from __future__ import annotations

import numpy as np

from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.links import bits_below
from snncompile.backends.stream.scatter import Axis
from snncompile.backends.verilog.context import AxisTable, Memory, WeightMemory, count_bits
from snncompile.ir.operations import bit_width, extent
from snncompile.ir.types import Array

JOINED = 4
"""Banks whose words are joined in front of a register."""


class Files(dict[str, str]):
    """The memory files of one stage, by their paths; `prefix` begins the names of all."""

    def __init__(self, prefix: str):
        super().__init__()
        self.prefix = prefix

    def memory(self, name: str, values: Array, bits: int | None = None, file: str | None = None) -> Memory:
        """A memory of words of one value, or `[word, value]`; a value is as wide as the widest, or has so many bits.

        Its file has its name, or `file`.
        """
        values = np.asarray(values)
        values = values.reshape(len(values), -1)
        bits = bits or bit_width(extent(values))
        return Memory(name, self.add(file or name, values, bits), bits, len(values))

    def add(self, name: str, rows: Array, bits: int) -> str:
        """Words of several values of so many bits, the first in the lowest bits. Gives the path of the file."""
        file = f"{self.prefix}_M_{name}.hex"
        mask = (1 << bits) - 1
        self[file] = "".join(f"{sum((value & mask) << (lane * bits) for lane, value in enumerate(row)):x}\n"
                             for row in rows.tolist())
        return file

    def axis(self, name: str, axis: Axis, groups: int, addresses: int) -> AxisTable:
        """The table of an axis.

        Args:
            groups, addresses: from one place behind to the next, and from one tap to the next.
        """
        there, group, address = axis.table(groups, addresses)
        group_bits, address_bits = count_bits(max(int(group.max()), 1)), count_bits(max(int(address.max()), 1))
        words = there << (group_bits + address_bits) | group << address_bits | address
        index_bits, tap_bits = (bits_below(n) for n in words.shape)
        return AxisTable(self.memory(name, words.reshape(-1), 1 + group_bits + address_bits), index_bits, tap_bits,
                         group_bits, address_bits)

    def weights(self, stage: Stage) -> WeightMemory:
        """The weights of a stage, in banks as deep as a block of their width."""
        words, bits, joined, deep, banks = stage.stored, stage.weight_bits, stage.joined, stage.bank_words, stage.banks
        for n in range(banks) if banks > 1 else ():
            part = words[n * deep:(n + 1) * deep]
            self.add(f"weights{n}", np.pad(part, ((0, deep - len(part)), (0, 0))), bits)
        if banks == 1:
            self.add("weights", words, bits)
        row_bits = max(1, stage.links[0].stream.channel_bits)
        address_bits = row_bits + joined if joined else max(1, bits_below(len(words)))
        parts = np.array_split(np.arange(banks), -(-banks // JOINED))
        joins = tuple(" | ".join(f"weight{n}" for n in part) for part in parts)
        return WeightMemory(len(words), banks, deep, address_bits, bits_below(deep), joins, joined, row_bits)
