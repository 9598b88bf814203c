"""Hardware rules on the memory of a whole device: of an FPGA, and of a microcontroller."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snncompile.diagnostics import shorten
from snncompile.ir.types import Array
from snncompile.targets.advice import unless_given
from snncompile.targets.hardware_rule import Measured, Words, rule, sum_at_most
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.memory import device_memory_bits, flash_bytes, ram_bytes
from snncompile.targets.target import Target


def _memory(table: LayerTable, target: Target, row: int) -> tuple[str, str]:
    own = np.where(table.populations.network == row, device_memory_bits(table), -1)
    largest = int(own.argmax())
    used, most = int(own[own >= 0].sum()), target.fabric.memory_bits
    return (f"{used:,} bits of weights and states, {own[largest]:,} of them of population "
            f"{shorten(table.names[largest])}", f"{most:,} bits of memory")


@rule("SNN416", "network", "fabric.blocks", words=_memory,
      help=unless_given("use fewer weights or --weight-bits, smaller frames, or a larger device",
                        "use fewer or smaller weights, smaller frames, or a larger device"))
def device_memory(table: LayerTable, target: Target) -> Measured:
    return None if target.fabric.blocks is None else sum_at_most(device_memory_bits(table), target.fabric.memory_bits)


def _bytes(measure: Callable[[LayerTable], Array], limit: Callable[[Target], int], what: str) -> Words:
    """The words of a rule on a microcontroller's memory: what a network takes at least, and of which population."""
    def say(table: LayerTable, target: Target, row: int) -> tuple[str, str]:
        own = np.where(table.populations.network == row, measure(table), -1)
        largest = int(own.argmax())
        return (f"at least {int(own[own >= 0].sum()):,} bytes, {own[largest]:,} of them of "
                f"{shorten(table.names[largest])}", f"{limit(target):,} bytes of {what}")

    return say


@rule("SNN416", "network", "board.flash_kib", words=_bytes(flash_bytes, lambda t: t.board.flash_bytes, "flash"),
      help=unless_given("use fewer weights or --weight-bits, or a board with more flash (flash_kib)",
                        "use fewer or smaller weights, or a board with more flash (flash_kib)"))
def flash(table: LayerTable, target: Target) -> Measured:
    return None if target.board.flash_kib is None else sum_at_most(flash_bytes(table), target.board.flash_bytes)


@rule("SNN416", "network", "board.ram_kib",
      words=_bytes(ram_bytes, lambda t: t.board.data_bytes, "RAM beside the stack"),
      help=unless_given("use smaller layers or --membrane-bits, or a board with more RAM (ram_kib)",
                        "use smaller layers, or a board with more RAM (ram_kib)"))
def ram(table: LayerTable, target: Target) -> Measured:
    return None if target.board.ram_kib is None else sum_at_most(ram_bytes(table), target.board.data_bytes)
