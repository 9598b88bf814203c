"""How many multipliers of an FPGA products of two values take."""

from __future__ import annotations

from collections.abc import Mapping

from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.hardware import Hardware
from snncompile.targets.sections import Fabric

MULTIPLIERS: Mapping[str, tuple[int, int]] = {"ecp5": (18, 18), "ice40": (16, 16), "xc7": (25, 18), "xcup": (27, 18)}
"""The widths of the two values that a multiplier takes, by family of devices."""
LEAST_PRODUCT_BITS = 9
"""Products of fewer bits become look-up tables."""


def multipliers_of(hardware: Hardware) -> int:
    """The multipliers that products of two values take."""
    return sum(multipliers(stage.fabric, *bits) * times for stage in hardware.stages for bits, times in products(stage))


def products(stage: Stage) -> list[tuple[tuple[int, int], int]]:
    """The widths of the two values of each product of a stage, and how many of those there are."""
    values = max((k.stream.value_bits for k in stage.links if k.words is not None), default=0)
    wires = stage.unit.wires
    weighed = [((stage.weight_bits, values), stage.lanes)] if values and stage.floor is None else []
    return weighed + [((wires[w.args[0]].bits, wires[w.args[1]].bits), stage.units) for w in wires if w.op == "mul"]


def multipliers(fabric: Fabric, one: int, other: int) -> int:
    """The multipliers of a product of two values of so many bits, signs included; 0 where look-up tables compute it."""
    return 0 if fabric.multipliers == 0 else multipliers_for(fabric.family or "xc7", one, other)


def multipliers_for(family: str, one: int, other: int) -> int:
    """The multipliers of a family that a product takes: one for each pair of pieces whose product is wide enough."""
    wide, narrow = MULTIPLIERS[family]
    return min(sum(part + piece >= LEAST_PRODUCT_BITS and min(part, piece) > 1
                   for part in _pieces(one, first) for piece in _pieces(other, second))
               for first, second in ((wide, narrow), (narrow, wide)))


def _pieces(bits: int, most: int) -> list[int]:
    """The widths of the pieces of a value that is wider than a multiplier, signs included.

    >>> _pieces(19, 18)
    [18, 2]
    """
    pieces = []
    while bits > most:
        pieces.append(most)
        bits -= most - 1
    return [*pieces, bits]
