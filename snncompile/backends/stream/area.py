"""How many cells of an FPGA hardware takes: blocks and multipliers by rules, look-up tables and flip-flops by a fit.

Look-up tables are a weighted sum of what they are for: bits of adders, of choices, of counters and so on, which follow
from the stages. The weights were fitted to networks that Yosys synthesised; `benchmarks/fpga_cells.py` does that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.multipliers import multipliers_of
from snncompile.backends.stream.uses import uses

FITTED_AS = {"xc7": "xc7", "xcup": "xc7", "ecp5": "ecp5", "ice40": "ice40"}
"""The family whose weights stand for a family. UltraScale+ has the look-up tables of the 7 series."""


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
