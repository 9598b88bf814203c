"""Groups of options that several commands share, each passed on to a function of the library."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from snncompile.cli.complete import beginning
from snncompile.cli.group import Option, OptionGroup, flag_of
from snncompile.diagnostics import fail, shorten
from snncompile.targets.arithmetic import AUTO, LAYER_OPTIONS, Arithmetic
from snncompile.targets.figures import LARGEST, value_of
from snncompile.targets.folding import Folding
from snncompile.targets.program import Program

SOURCE = "What the file leaves open"
INTEGERS = "Integers"
SAMPLES = "Reading samples"
COST = "What the cost assumes"
TIMING = "Time on hardware"
FPGA = "On FPGAs"
PROGRAM = "The emitted C"
VERDICT = "What is checked beside the rules"
TYPES: Mapping[str, Any] = {"whole": int, "real": float, "flag": bool}
"""What the text of an option is converted to, by the kind of the figure; other kinds stay text."""


def _option(panel: str, flag: str, help: str, metavar: str | None = None) -> Any:
    """An option; a shell completes the words that `metavar` shows, but not what has capitals and stands for a value."""
    words = [word for word in (metavar or "").split("|") if word == word.lower() and ".." not in word]
    return typer.Option(flag, help=help, metavar=metavar, rich_help_panel=panel, show_default=False,
                        autocompletion=beginning(words) if words else None)


@dataclass(frozen=True)
class LibraryOptions(OptionGroup):
    """Options that are passed on to a function of the library, under the names that they have there.

    An option that the user did not give is None and is not passed on, so that the library's default holds.
    """

    def given(self) -> dict[str, Any]:
        """The options that the user gave, by name.

        Raises:
            CompileError: SNN404 for text that cannot be the value of an option.
        """
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) is not None}

    def expect_none(self, found: str, expected: str) -> None:
        """Refuse options that would have no effect.

        Args:
            found, expected: what the diagnostic says: why they would have none, and where they can be given.

        Raises:
            CompileError: SNN701 with the first option that was given.
        """
        for name in self.given():
            fail("SNN701", f"option {flag_of(name)}", found, expected)


@dataclass(frozen=True)
class SourceOptions(LibraryOptions):
    """What the file does not say: for NIR the names of `frontends.nir.conventions.OPTIONS`, for ONNX its states."""

    as_: Annotated[str | None, _option(SOURCE, "--as", "Read the file as this framework does.",
                                       "snntorch|spikingjelly|sinabs|norse|rockpool")] = None
    dt: Annotated[str | None, _option(SOURCE, "--dt", "Length of a tick.", "SECONDS")] = None
    discretization: Annotated[str | None, _option(SOURCE, "--discretization", "How decays follow from time constants.",
                                                  "euler|exp")] = None
    gain: Annotated[str | None, _option(SOURCE, "--gain", "Factor of a neuron's input.",
                                        "auto|ode|euler|unit|rockpool")] = None
    reset: Annotated[str | None, _option(SOURCE, "--reset", "What a spike does to the membrane.",
                                         "subtract|value|zero|none")] = None
    reset_when: Annotated[str | None, _option(SOURCE, "--reset-when", "When the reset takes effect: in the tick of the "
                                              "spike, or where in the next one.",
                                              "same|before-decay|after-decay|drop-input|carried")] = None
    compare: Annotated[str | None, _option(SOURCE, "--compare", "How the membrane is compared with the threshold.",
                                           ">=|>")] = None
    max_spikes: Annotated[str | None, _option(SOURCE, "--max-spikes", "The most spikes of a neuron in a tick.",
                                              "N|unlimited")] = None
    v_min: Annotated[str | None, _option(SOURCE, "--v-min", "Lower bound of the membrane.",
                                         "V|-threshold|none")] = None
    filter: Annotated[str | None, _option(SOURCE, "--filter", "Whether a synaptic current decays before or after the "
                                          "tick's input is added.", "decay-first|add-first|decay-both")] = None
    v_init: Annotated[str | None, _option(SOURCE, "--v-init", "Membrane before the first tick.",
                                          "V|reset|leak")] = None
    values: Annotated[str | None, _option(SOURCE, "--values", "What the inputs carry.", "spike|real")] = None
    decode: Annotated[str | None, _option(SOURCE, "--decode", "How outputs are decoded.", "rate|last|max")] = None
    states: Annotated[str | None, _option(SOURCE, "--states", "ONNX: the output that is an input's next value.",
                                          "IN=OUT,...")] = None
    example_input: Annotated[str | None, _option(SOURCE, "--example-input", "PyTorch: the shape of what one call "
                                                 "takes, its batch included.", "SIZE,...")] = None
    skip_layers: Annotated[int | None, _option(SOURCE, "--skip-layers", ".net: leave out the first layers.",
                                               "N")] = None
    num_layers: Annotated[int | None, _option(SOURCE, "--num-layers", ".net: read the first layers only.", "N")] = None
    input_shape: Annotated[str | None, _option(SOURCE, "--input-shape", ".net: the data's shape where a convolution is "
                                               "the first layer.", "WIDTH,HEIGHT,CHANNELS")] = None
    reset_interval: Annotated[int | None, _option(SOURCE, "--reset-interval", ".net: ticks between two resets of all "
                                                  "states.", "N")] = None
    reset_offset: Annotated[int | None, _option(SOURCE, "--reset-offset", ".net: tick of the first layer's first "
                                                "reset.", "N")] = None


@dataclass(frozen=True)
class FigureOptions(LibraryOptions):
    """Options that are made from the fields of a dataclass of figures.

    Attributes:
        values: what the user gave for each option, or None.
    """

    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Any:
        return cls(values)

    def given(self) -> dict[str, Any]:
        return {name: value for name, value in self.values.items() if value is not None}


@dataclass(frozen=True)
class ArithmeticOptions(FigureOptions):
    """How numbers become integers: an option for each field of `targets.arithmetic.Arithmetic`, and one for layers."""

    @classmethod
    def options(cls) -> Mapping[str, Option]:
        return {**{name: _arithmetic_option(name, metadata) for name, metadata in _arithmetic_fields().items()},
                "layers": Option(Annotated[str | None, layers_option()], None)}

    def given(self) -> dict[str, Any]:
        return {n: value if n == "layers" else arithmetic_value(n, value) for n, value in super().given().items()}


def layers_option() -> Any:
    """The option for a file of options by layer."""
    return _option(INTEGERS, "--layers", "Widths and folding of single layers: a TOML file with a table for each.",
                   "FILE")


def _arithmetic_fields() -> dict[str, Mapping[str, Any]]:
    return {f.name: f.metadata for f in dataclasses.fields(Arithmetic)}


def _arithmetic_option(name: str, metadata: Mapping[str, Any]) -> Option:
    shown, kind = metavar(metadata), TYPES.get(metadata["kind"], str)
    if name in LAYER_OPTIONS:
        shown, kind = f"{shown}|{AUTO}", str
    return Option(Annotated[kind | None, _option(INTEGERS, flag_of(name), metadata["what"], shown)], None)


def metavar(metadata: Mapping[str, Any]) -> str | None:
    """The values of a figure as help shows them: `1..16|ternary`, `floor|zero|nearest`; None for a flag."""
    low, high = metadata["low"], metadata["high"]
    numbers = [f"{low}.." if high == LARGEST else f"{low}..{high}"] if metadata["kind"].startswith("whole") else []
    return "|".join([*numbers, *metadata["words"]]) or None


def arithmetic_value(name: str, value: Any) -> Any:
    """The value of an arithmetic option; of one that takes numbers and words, the number that its text stands for.

    Raises:
        CompileError: SNN404 where the text is neither a number nor one of the words.
    """
    metadata = _arithmetic_fields()[name]
    if name not in LAYER_OPTIONS or value in (*metadata["words"], AUTO):
        return value
    if not value.isascii() or not value.isdigit() or len(value) > 3:
        fail("SNN404", f"option {flag_of(name)}", shorten(value), f"{value_of(metadata)}, or {AUTO}")
    return int(value)


@dataclass(frozen=True)
class FoldingOptions(FigureOptions):
    """How a network is folded on an FPGA: an option for each field of `targets.folding.Folding`."""

    @classmethod
    def options(cls) -> Mapping[str, Option]:
        return {f.name: _figure_option(FPGA, f.name, f.metadata) for f in dataclasses.fields(Folding)}


@dataclass(frozen=True)
class ProgramOptions(FigureOptions):
    """How an emitted C program is made: an option for each field of `targets.program.Program`."""

    @classmethod
    def options(cls) -> Mapping[str, Option]:
        return {f.name: _figure_option(PROGRAM, f.name, f.metadata) for f in dataclasses.fields(Program)}


def _figure_option(panel: str, name: str, metadata: Mapping[str, Any]) -> Option:
    kind = TYPES.get(metadata["kind"], str)
    return Option(Annotated[kind | None, _option(panel, flag_of(name), metadata["what"], metavar(metadata))], None)


@dataclass(frozen=True)
class TimingOptions(LibraryOptions):
    """How ticks of the network become ticks of the hardware."""

    dilate: Annotated[str | None, _option(TIMING, "--dilate", "Hardware ticks for each tick of the network; auto takes "
                                          "as many as the quickest loop needs.", "K|auto")] = None

    def given(self) -> dict[str, Any]:
        given = super().given()
        if given.get("dilate", "auto") == "auto":
            return given
        if not given["dilate"].isascii() or not given["dilate"].isdigit() or len(given["dilate"]) > 5:
            fail("SNN404", "option --dilate", shorten(given["dilate"]), "1 to 65536, or auto")
        return {"dilate": int(given["dilate"])}


@dataclass(frozen=True)
class VerdictOptions(LibraryOptions):
    """What a check looks at beside the rules: arguments of `check`."""

    packed: Annotated[bool | None, _option(VERDICT, "--packed", "Divide the network among the cores, as compile does: "
                                           "rules alone know lower bounds only.")] = None
    budget: Annotated[list[str] | None, _option(VERDICT, "--budget", "A limit of your own, such as cores=64 or "
                                                "energy_uj=5; can be given several times.", "NAME=N")] = None

    def given(self) -> dict[str, Any]:
        given = super().given()
        if "budget" in given:
            given["budget"] = dict(map(_limit, given["budget"]))
        return given


def _limit(text: str) -> tuple[str, float]:
    """The name and the number of a budget that is written as `NAME=N`."""
    name, _, number = text.partition("=")
    try:
        return name.strip(), float(number)
    except ValueError:
        fail("SNN404", "option --budget", shorten(text), "NAME=N, such as cores=64")


@dataclass(frozen=True)
class ChoiceOptions(LibraryOptions):
    """Within which limits widths are chosen that are "auto": arguments of `compile`."""

    budget: Annotated[list[str] | None, _option(INTEGERS, "--budget", "The memory for which automatic widths are "
                                                "chosen, such as resident_kib=64.", "NAME=N")] = None
    max_drop: Annotated[float | None, _option(INTEGERS, "--max-drop", "The share of samples that may lose their "
                                              "decision by automatic widths (0.01).", "X")] = None

    def given(self) -> dict[str, Any]:
        given = super().given()
        return {**given, "budget": dict(map(_limit, given["budget"]))} if "budget" in given else given


@dataclass(frozen=True)
class CostOptions(LibraryOptions):
    """What a cost assumes where nothing was measured: arguments of `estimate`."""

    rate: Annotated[float | None, _option(COST, "--rate", "Spikes a neuron and tick (0.1).", "X")] = None
    ticks: Annotated[int | None, _option(COST, "--ticks", "Ticks of a sample (100).", "N")] = None
    profile: Annotated[str | None, _option(COST, "--profile", "Name of the constants of energy and time; without it, "
                                           "the target's first.", "NAME")] = None


@dataclass(frozen=True)
class SampleOptions(LibraryOptions):
    """How data files become input: arguments of `data.read_input`."""

    ticks: Annotated[int | None, _option(SAMPLES, "--ticks", "Ticks of every sample: longer ones are cut, shorter ones "
                                         "end in silence.", "N")] = None
    tick_us: Annotated[int | None, _option(SAMPLES, "--tick-us", "Length of a tick of event recordings, in "
                                           "microseconds (1000).", "N")] = None
    encode: Annotated[str | None, _option(SAMPLES, "--encode", "How static frames become input over time.",
                                          "rate|latency|direct")] = None
    seed: Annotated[int | None, _option(SAMPLES, "--seed", "Seed of the rate encoding (0).", "N")] = None
    scale: Annotated[float | None, _option(SAMPLES, "--scale", "Number by which arrays are divided first.",
                                           "X")] = None
    layout: Annotated[str | None, _option(SAMPLES, "--layout", "The order of the leading axes of arrays.",
                                          "sample-first|time-first")] = None
    key: Annotated[str | None, _option(SAMPLES, "--key", "The array of an .npz file that holds the input.",
                                       "NAME")] = None
