"""The choices of an integer representation: what a target computes with, and what the user asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snncompile.diagnostics import Collector
from snncompile.ir.expr import ROUNDINGS, Rounding

MAX_BITS = 30
"""Widest membrane that is chosen unasked: with its input it adds up in 32 bits."""


@dataclass(frozen=True)
class Arithmetic:
    """How numbers become integers.

    Attributes:
        weight_bits: 2 to 16 for a symmetric signed grid, 1 for bipolar (+-1), "ternary" for -1, 0, +1.
        membrane_bits: width of membranes, 4 to 32; None takes the narrowest of 16, 24, 30 and 32 that
            holds the threshold and twice what calibration saw, and 30 without calibration.
        decay_bits: decays are m / 2**decay_bits; None takes 12, or more for a leak too slow for that.
        rounding: of products with decays: floor, zero (toward it) or nearest (halves up).
        overflow: a membrane that leaves its width saturates or wraps.
        per: one unit for each channel where the neuron allows it, or one for the layer.
        spike_bits: width of a spike count, where a neuron may fire several times in a step.
        input_bits: width of real-valued inputs.
        table_bits: look-up tables have at most 2**table_bits entries.
        graded_bits: width of graded outputs.
        neuron: "loihi" puts the neurons that have Loihi's form into its registers; "any" lowers every program.
    """

    weight_bits: int | Literal["ternary"] = 8
    membrane_bits: int | None = None
    decay_bits: int | None = None
    rounding: Rounding = "zero"
    overflow: Literal["saturate", "wrap"] = "saturate"
    per: Literal["channel", "layer"] = "channel"
    spike_bits: int = 8
    input_bits: int = 8
    table_bits: int = 10
    graded_bits: int = 32
    neuron: Literal["any", "loihi"] = "any"

    def __post_init__(self) -> None:
        found = Collector()
        limits = {"membrane_bits": (4, 32), "decay_bits": (1, 24), "spike_bits": (1, 16), "input_bits": (1, 16),
                  "table_bits": (2, 16), "graded_bits": (8, 32)}
        if self.weight_bits != "ternary":
            limits["weight_bits"] = (1, 16)
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and low <= value <= high):
                found.error("SNN404", f"option {name}", repr(value)[:60], f"{low} to {high}")
        words = {"rounding": ROUNDINGS, "overflow": ("saturate", "wrap"), "per": ("channel", "layer"),
                 "neuron": ("any", "loihi")}
        for name, allowed in words.items():
            if getattr(self, name) not in allowed:
                found.error("SNN404", f"option {name}", repr(getattr(self, name))[:60], ", ".join(allowed))
        found.finish()

    @property
    def stored_bits(self) -> int:
        """The width of a weight as a signed integer."""
        return 2 if self.weight_bits == "ternary" else self.weight_bits

    @property
    def graded_width(self) -> int:
        """The width in which a graded population is kept and sent."""
        return min(self.membrane_bits or MAX_BITS, self.graded_bits)

    @property
    def max_count(self) -> int:
        """The most spikes that one neuron's output can carry in a step."""
        return (1 << self.spike_bits) - 1
