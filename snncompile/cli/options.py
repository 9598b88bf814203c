"""Groups of options that several commands share. An option that was not given is None, and is not passed on."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from snncompile.diagnostics import fail, shorten

READING = "What the file leaves open"
NUMBERS = "Integers"
SAMPLES = "Reading samples"
COST = "What the cost assumes"
TIMING = "Time on hardware"


def _option(panel: str, flag: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(flag, help=help, metavar=metavar, rich_help_panel=panel, show_default=False)


@dataclass(frozen=True)
class Group:
    """Options that go together."""

    def said(self) -> dict[str, Any]:
        """The options that were given, by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) is not None}

    def expect_none(self, found: str, limit: str) -> None:
        """Refuse options that would change nothing."""
        for name in self.said():
            fail("SNN701", f"option --{name.rstrip('_').replace('_', '-')}", found, limit)


@dataclass(frozen=True)
class Reading(Group):
    """What a file does not say: for NIR, in the words of `frontends.nir.conventions.OPTIONS`; for ONNX, its states."""

    as_: Annotated[str | None, _option(READING, "--as", "Read the file as this framework does.",
                                       "snntorch|spikingjelly|sinabs|norse|rockpool")] = None
    dt: Annotated[str | None, _option(READING, "--dt", "Length of a tick.", "SECONDS")] = None
    discretization: Annotated[str | None, _option(READING, "--discretization", "How decays follow from time constants.",
                                                  "euler|exp")] = None
    gain: Annotated[str | None, _option(READING, "--gain", "Factor of a neuron's input.",
                                        "auto|ode|euler|unit|rockpool")] = None
    reset: Annotated[str | None, _option(READING, "--reset", "What a spike does to the membrane.",
                                         "subtract|value|zero|none")] = None
    reset_when: Annotated[str | None, _option(READING, "--reset-when", "In the same step, or when in the next.",
                                              "same|before-decay|after-decay|drop-input|carried")] = None
    compare: Annotated[str | None, _option(READING, "--compare", "How the membrane is compared with the threshold.",
                                           ">=|>")] = None
    max_spikes: Annotated[str | None, _option(READING, "--max-spikes", "Spikes of a neuron in a tick.",
                                              "N|unlimited")] = None
    v_min: Annotated[str | None, _option(READING, "--v-min", "Lower bound of the membrane.",
                                         "V|-threshold|none")] = None
    filter: Annotated[str | None, _option(READING, "--filter", "Whether a synaptic current decays before or after the "
                                          "tick's input is added.", "decay-first|add-first|decay-both")] = None
    v_init: Annotated[str | None, _option(READING, "--v-init", "Where membranes start.", "V|reset|leak")] = None
    values: Annotated[str | None, _option(READING, "--values", "What the inputs carry.", "spike|real")] = None
    decode: Annotated[str | None, _option(READING, "--decode", "How outputs are decoded.", "rate|last|max")] = None
    states: Annotated[str | None, _option(READING, "--states", "ONNX: the output that is an input's next value.",
                                          "IN=OUT,...")] = None


@dataclass(frozen=True)
class Numbers(Group):
    """How numbers become integers; the words are those of `passes.arithmetic.Arithmetic`."""

    weight_bits: Annotated[str | None, _option(NUMBERS, "--weight-bits", "Width of weights; 1 is bipolar.",
                                               "1..16|ternary")] = None
    membrane_bits: Annotated[int | None, _option(NUMBERS, "--membrane-bits", "Width of membranes.", "4..32")] = None
    decay_bits: Annotated[int | None, _option(NUMBERS, "--decay-bits", "Decays are m / 2^n.", "1..24")] = None
    rounding: Annotated[str | None, _option(NUMBERS, "--rounding", "Of products with decays.",
                                            "floor|zero|nearest")] = None
    overflow: Annotated[str | None, _option(NUMBERS, "--overflow", "What a membrane does that leaves its width.",
                                            "saturate|wrap")] = None
    per: Annotated[str | None, _option(NUMBERS, "--per", "One unit for each channel, or for the layer.",
                                       "channel|layer")] = None
    spike_bits: Annotated[int | None, _option(NUMBERS, "--spike-bits", "Width of spike counts.", "1..16")] = None
    input_bits: Annotated[int | None, _option(NUMBERS, "--input-bits", "Width of real inputs.", "1..16")] = None
    table_bits: Annotated[int | None, _option(NUMBERS, "--table-bits", "Look-up tables have up to 2^n entries.",
                                              "2..16")] = None
    graded_bits: Annotated[int | None, _option(NUMBERS, "--graded-bits", "Width of graded outputs.", "8..32")] = None
    neuron: Annotated[str | None, _option(NUMBERS, "--neuron", "Programs of any kind, or Loihi's registers where a "
                                          "neuron has that form.", "any|loihi")] = None

    def said(self) -> dict[str, Any]:
        found = super().said()
        if "weight_bits" in found:
            found["weight_bits"] = bits_or_ternary(found["weight_bits"])
        return found


def bits_or_ternary(text: str) -> int | str:
    """What --weight-bits was given."""
    if text == "ternary":
        return text
    if not text.isascii() or not text.isdigit() or len(text) > 3:
        fail("SNN404", "option --weight-bits", shorten(text), "1 to 16, or ternary")
    return int(text)


@dataclass(frozen=True)
class Timing(Group):
    """How ticks of a network become ticks of hardware."""

    dilate: Annotated[str | None, _option(TIMING, "--dilate", "Hardware ticks for each tick of the network; auto takes "
                                          "as many as the quickest loop needs.", "K|auto")] = None

    def said(self) -> dict[str, Any]:
        given = super().said()
        if given.get("dilate", "auto") == "auto":
            return given
        if not given["dilate"].isascii() or not given["dilate"].isdigit() or len(given["dilate"]) > 5:
            fail("SNN404", "option --dilate", shorten(given["dilate"]), "1 to 65536, or auto")
        return {"dilate": int(given["dilate"])}


@dataclass(frozen=True)
class Assumed(Group):
    """What a cost is made of where nothing is measured; the words are those of `costing.estimate`."""

    rate: Annotated[float | None, _option(COST, "--rate", "Spikes a neuron and tick (0.1).", "X")] = None
    ticks: Annotated[int | None, _option(COST, "--ticks", "Ticks of a sample (100).", "N")] = None
    profile: Annotated[str | None, _option(COST, "--profile", "Constants of energy and time; the target's first "
                                           "without it.", "NAME")] = None


@dataclass(frozen=True)
class Samples(Group):
    """How data files become input; the words are those of `data.read_input`."""

    ticks: Annotated[int | None, _option(SAMPLES, "--ticks", "Ticks of every sample: longer ones are cut, shorter ones "
                                         "end in silence.", "N")] = None
    tick_us: Annotated[int | None, _option(SAMPLES, "--tick-us", "Length of a tick of event recordings, in "
                                           "microseconds (1000).", "N")] = None
    encode: Annotated[str | None, _option(SAMPLES, "--encode", "How static frames become input over time.",
                                          "rate|latency|direct")] = None
    seed: Annotated[int | None, _option(SAMPLES, "--seed", "Of the rate encoding (0).", "N")] = None
    scale: Annotated[float | None, _option(SAMPLES, "--scale", "What arrays are divided by first.", "X")] = None
    key: Annotated[str | None, _option(SAMPLES, "--key", "The array of an .npz file that holds the input.",
                                       "NAME")] = None
