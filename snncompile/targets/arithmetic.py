"""The options of the integer representation.

The fields of `Arithmetic` are the only list of these options: the table `[arithmetic]` of a target's description, the
keyword arguments of `compile` and the options of the command line are all made from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from snncompile.diagnostics import Collector, expect_known
from snncompile.targets.figures import accepts, figure, real, value_of, whole, word

if TYPE_CHECKING:
    from snncompile.ir.operations import Rounding  # the command line reads these fields, and must not load NumPy for it

LAYER_OPTIONS = ("weight_bits", "membrane_bits")
"""The options that a layer can have for itself; see `layer_options`."""
AUTO = "auto"
"""Stands for a width that the compiler chooses for each population; see `passes.quantize.choose_widths`."""
MAX_POWER_BITS = 5
"""The widest weights that are powers of two: the largest is 2**14."""
MAX_BITS = 30
"""The widest membrane unless the user asks for more. A membrane of 30 bits and its input add up in 32 bits."""


@dataclass(frozen=True)
class Arithmetic:
    """How real numbers become integers. All widths are in bits, and include the sign of signed numbers.

    Attributes:
        weight_bits: the width of weights: 2 to 16 for a symmetric signed grid, 1 for weights of -1 and +1, "ternary"
            for weights of -1, 0 and +1.
        membrane_bits: the width of membranes, 4 to 32; None takes the narrowest of 16, 24, 30 and 32 that holds the
            threshold and twice the largest membrane of the calibration, and 30 without a calibration.
        weight_grid: "even" for codes in even steps; "powers" for 0 and powers of two, with which hardware multiplies by
            a shift: 3 bits are 0, 1, 2, 4 and their negatives. It takes up to MAX_POWER_BITS bits.
        weight_rounding: "calibrated" rounds the weights of a layer together, so that membranes change little on the
            calibration samples; "nearest" rounds each weight to the nearest code, as is done without samples.
        decay_bits: decays are m / 2**decay_bits; None takes 12, or more where a decay is too close to 1 for that.
        rounding: how products with decays are rounded: "floor", "zero" (toward 0) or "nearest" (halves up).
        overflow: whether a membrane that leaves its width saturates or wraps around.
        per: "channel" for a unit of each channel, where the rule of the neurons allows that; "layer" for one unit of
            the whole population.
        spike_bits: the width of a spike count, where a neuron may fire several times in a tick.
        input_bits: the width of real-valued inputs.
        input_high: the largest value that inputs can take at run time, where samples do not reach it; None for what the
            samples reach, and for counts the next power of two.
        table_bits: look-up tables have at most 2**table_bits entries.
        graded_bits: the width of graded outputs.
        neuron: the neuron that the hardware has. "loihi" puts neurons of Loihi's form into the registers of that
            neuron; "any" makes every neuron a program.

    Raises:
        CompileError: SNN404 with every option that has another value.
    """

    weight_bits: int | Literal["ternary"] = figure("whole or word", "Width of weights; 1 is bipolar.", 8, 1, 16,
                                                   ("ternary",))
    membrane_bits: int | None = whole("Width of membranes.", 2, high=32)
    decay_bits: int | None = whole("Decays are m / 2^n, and this is n.", 1, high=24)
    weight_grid: Literal["even", "powers"] = word(
        "Whether codes of weights lie in even steps, or are 0 and powers of two.", "even", ("even", "powers"))
    weight_rounding: Literal["calibrated", "nearest"] = word(
        "Whether weights are rounded together by their effect on samples.", "calibrated", ("calibrated", "nearest"))
    rounding: Rounding = word("How products with decays are rounded.", "zero", ("floor", "zero", "nearest"))
    overflow: Literal["saturate", "wrap"] = word(
        "Whether a membrane that leaves its width saturates or wraps around.", "saturate", ("saturate", "wrap"))
    per: Literal["channel", "layer"] = word("One unit for each channel, or for the layer.", "channel",
                                            ("channel", "layer"))
    spike_bits: int = whole("Width of spike counts.", 1, 8, 16)
    input_bits: int = whole("Width of real inputs.", 1, 8, 16)
    input_high: float | None = real("Largest value of inputs, where samples do not reach it.")
    table_bits: int = whole("Look-up tables have up to 2^n entries.", 2, 10, 16)
    graded_bits: int = whole("Width of graded outputs.", 8, 32, 32)
    neuron: Literal["any", "loihi"] = word(
        "The neuron of the hardware whose registers hold neurons of its form; any for programs only.", "any",
        ("any", "loihi"))

    def __post_init__(self) -> None:
        problems = Collector()
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if not accepts(f.metadata, value) and not (value is None is f.default):
                problems.error("SNN404", f"option {f.name}", repr(value)[:60], value_of(f.metadata))
        if not problems.errors and self.weight_grid == "powers" and self.stored_bits > MAX_POWER_BITS:
            problems.error("SNN404", "option weight_grid", f'"powers" with {self.stored_bits} bits',
                           f"powers of two of up to {MAX_POWER_BITS} bits", "weight_bits=4, for 0 and 1 to 64")
        problems.finish()

    def with_options(self, options: Mapping[str, Any]) -> Arithmetic:
        """A copy with other values of some options, by name. The value None stands for no change.

        Raises:
            CompileError: SNN404 for an option that does not exist, or for a value that it cannot have.
        """
        for name in options:
            expect_known(name, sorted(f.name for f in dataclasses.fields(self)), f"option {name}",
                         "options of the reader, such as example_input or dt, go into load_options")
        return dataclasses.replace(self, **{n: v for n, v in options.items() if v is not None})

    @property
    def stored_bits(self) -> int:
        """The width of a stored weight in bits, its sign included; 2 for ternary weights."""
        return 2 if self.weight_bits == "ternary" else self.weight_bits

    @property
    def graded_width(self) -> int:
        """The width in bits of the membrane of a graded population, and of what it emits."""
        return min(self.membrane_bits or MAX_BITS, self.graded_bits)

    @property
    def max_count(self) -> int:
        """The most spikes that a neuron can emit in a tick."""
        return (1 << self.spike_bits) - 1
