"""How many cells of an FPGA hardware takes: blocks and multipliers by rules, look-up tables and flip-flops by a fit.

Look-up tables are a weighted sum of what they are for: bits of adders, of choices, of counters and so on, which follow
from the stages. The weights were fitted to networks that Yosys synthesised; `benchmarks/fpga_cells.py` does that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.links import bits_below
from snncompile.backends.stream.memory import DISTRIBUTED, LOGIC, lut_memories
from snncompile.backends.stream.wires import CHAINS, NeuronUnit, Wire

FITTED_AS = {"xc7": "xc7", "xcup": "xc7", "ecp5": "ecp5", "ice40": "ice40"}
"""The family whose weights stand for a family. UltraScale+ has the look-up tables of the 7 series."""
MULTIPLIERS: Mapping[str, tuple[int, int]] = {"ecp5": (18, 18), "ice40": (16, 16), "xc7": (25, 18), "xcup": (27, 18)}
"""The widths of the two values that a multiplier takes, by family of devices."""
LEAST_PRODUCT_BITS = 9
"""Products of fewer bits become look-up tables."""


@dataclass(frozen=True)
class Cells:
    """The cells of a device.

    Attributes:
        luts: look-up tables, those that are memories and shift registers among them; None where nothing was fitted.
        flip_flops: registers of a bit.
        blocks: memory blocks, in the unit of the description of the device.
        multipliers: of two values.
    """

    luts: int | None
    flip_flops: int | None
    blocks: int | None
    multipliers: int | None


def cells_of(hardware: Hardware) -> Cells:
    """What hardware takes on its device."""
    weights = fitted().get(FITTED_AS.get(hardware.fabric.family or "xc7", ""))
    if weights is None:
        return Cells(None, None, hardware.blocks, multipliers_of(hardware))
    bits = uses(hardware)
    luts, flip_flops = (sum(weights[kind].get(n, 0.0) * v for n, v in bits.items()) for kind in ("luts", "flip_flops"))
    return Cells(round(luts), round(flip_flops), hardware.blocks, multipliers_of(hardware))


@cache
def fitted() -> dict[str, dict[str, dict[str, float]]]:
    """The fitted weights, by family, kind of cells, and use."""
    text = files("snncompile.backends.stream").joinpath("fitted_cells.json").read_text("utf-8")
    found: dict[str, dict[str, dict[str, float]]] = json.loads(text)["weights"]
    return found


def uses(hardware: Hardware) -> dict[str, float]:
    """What look-up tables and flip-flops are for, by name: bits of values for most."""
    total: dict[str, float] = {"network": 1}
    parts = [*map(_stage_uses, hardware.stages), _buffer_uses(hardware)]
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + float(value)
    return total


def _stage_uses(stage: Stage) -> dict[str, float]:
    fabric, sums, styles = stage.fabric, sum(stage.accumulators), stage.styles
    memories = {m.name: m for m in stage.memories}
    weighing = [k for k in stage.links if k.words is not None]
    spatial = any(not k.plain for k in weighing)
    values = max((k.stream.value_bits for k in weighing), default=0)
    axes = [axis for k in weighing for axis in (k.rows, k.columns)] if spatial else []
    address, group = bits_below(stage.weight_words), bits_below(stage.groups + 1)
    return {
        "stages": 1, "links": len(stage.links) - 1,
        "counters": address + 2 * group + bits_below(stage.steps + 1) * (1 + stage.selects),
        "places": spatial * (address + group) * len(weighing), "tables of axes": sum(
            len(a.reached) * a.most * (address + group) for a in axes),
        "sums": stage.lanes * sums, "choice of lanes": stage.selects * stage.lanes * sums,
        "products": 0 if not values or stage.floor is not None or _multipliers(stage, stage.weight_bits, values) else
        stage.lanes * stage.weight_bits * values,
        "largest": (stage.floor is not None) * stage.lanes * sums,
        "joined banks": (stage.banks > 1) * stage.banks * stage.lanes * stage.weight_bits,
        "banks": stage.banks - 1,
        "several units": (stage.units > 1) * stage.units * (stage.stream.value_bits + 1),
        "pipeline": (stage.latency + stage.extra * sum(stage.units * s.bits for s in stage.states)),
        "distributed memories": sum(lut_memories(fabric, m.bits, m.words) for n, m in memories.items()
                                    if styles[n] == DISTRIBUTED),
        "constants": sum(m.bits * m.words for n, m in memories.items() if styles[n] == LOGIC and m.constants),
        "flip-flop memories": sum(m.bits * m.words for n, m in memories.items() if styles[n] == LOGIC
                                  and not m.constants),
        "initial states": sum(stage.units * s.bits * stage.steps for s in stage.states
                              if isinstance(s.initial, np.ndarray)),
        **{name: stage.units * bits for name, bits in _unit_uses(stage).items()}}


def _unit_uses(stage: Stage) -> dict[str, float]:
    unit = stage.unit
    held = sum(unit.wires[i].bits * (last - unit.wires[i].level) for i, last in unit.last_use().items()
               if unit.wires[i].op != "const")
    return {"carry chains": sum(w.bits for w in unit.wires if w.op in CHAINS),
            "choices": sum(w.bits for w in unit.wires if w.op in ("choose", "saturate", "both", "either")),
            "comparisons": sum(unit.wires[w.args[0]].bits for w in unit.wires if w.op in ("ge", "gt")),
            "registers": held,
            "tables": sum(np.size(stage.tables[str(w.value)]) * w.bits for w in unit.wires if w.op == "rom"),
            "small products": sum(unit.wires[w.args[0]].bits * unit.wires[w.args[1]].bits for w in _products(unit)
                                  if not _multipliers(stage, *(unit.wires[a].bits for a in w.args)))}


def _products(unit: NeuronUnit) -> list[Wire]:
    return [w for w in unit.wires if w.op == "mul"]


def _buffer_uses(hardware: Hardware) -> dict[str, float]:
    slots = sum(hardware.streams[name].bits for name, found in hardware.branches.items() for b in found if b.slot)
    fifos = [(m, m.style(hardware.fabric)) for m in hardware.buffers]
    return {"slots": slots, "buffers": len(fifos),
            "buffer counters": sum(3 * bits_below(m.words + 1) for m, _ in fifos),
            "buffer words": sum(m.bits for m, _ in fifos),
            "distributed memories": sum(lut_memories(hardware.fabric, m.bits, m.words) for m, style in fifos
                                        if style == DISTRIBUTED),
            "flip-flop memories": sum(m.bits * m.words for m, style in fifos if style == LOGIC)}


def multipliers_of(hardware: Hardware) -> int:
    """The multipliers that products of two values take."""
    total = 0
    for stage in hardware.stages:
        values = max((k.stream.value_bits for k in stage.links if k.words is not None), default=0)
        if values and stage.floor is None:
            total += stage.lanes * _multipliers(stage, stage.weight_bits, values)
        total += stage.units * sum(_multipliers(stage, *(stage.unit.wires[a].bits for a in w.args))
                                   for w in _products(stage.unit))
    return total


def _multipliers(stage: Stage, one: int, other: int) -> int:
    """The multipliers of a product of two values of so many bits, signs included; 0 where look-up tables compute it."""
    return 0 if stage.fabric.multipliers == 0 else multipliers_for(stage.fabric.family or "xc7", one, other)


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

