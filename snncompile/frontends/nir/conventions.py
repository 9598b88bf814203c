"""Answers the questions that NIR leaves open, from options, metadata, presets and defaults.

NIR files contain differential equations. A network that computes in ticks also needs a time step, a discretization, a
reset, a comparison with the threshold, and a limit of spikes per step. `Choices.pick` answers each question for one
node, from the first of these that says something: an option of the caller, the node's metadata, the graph's metadata,
the preset, the node itself (a `v_reset`), the default. Defaults that were used are reported, one SNN105 per question.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from snncompile.diagnostics import Diagnostic, did_you_mean, expect_known, fail, shorten

DEFAULTS: Mapping[str, Any] = {
    "dt": 1e-4,
    "discretization": "euler",
    "gain": "auto",
    "reset": "value",
    "reset_when": "same",
    "compare": ">=",
    "max_spikes": 1,
    "v_min": None,
    "filter": "decay-first",
    "v_init": 0.0,
    "recurrent_delay": 1,
    "values": "spike",
    "decode": "rate",
}

# The questions whose answer changes the spikes, and what was assumed where the default answered them.
QUESTIONS: Mapping[str, str] = {
    "dt": "a time step of 0.0001 s was assumed",
    "discretization": "forward Euler (decay = 1 - dt / tau) was assumed",
    "reset": "a reset of the membrane to 0 was assumed",
    "compare": "firing at membrane >= threshold was assumed",
    "max_spikes": "at most 1 spike of a neuron in a step was assumed",
    "v_min": "a membrane without lower bound was assumed",
    "filter": "a synaptic current that decays before the step's input is added was assumed",
    "v_init": "a membrane that starts at 0, not at its reset or leak potential, was assumed",
    "recurrent_delay": "a delay of 1 step was assumed, as all frameworks do",
}

# The answers of each framework's own NIR importer.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "snntorch": {"dt": 1e-4, "discretization": "euler", "gain": "unit", "reset": "zero", "reset_when": "same",
                 "compare": ">", "max_spikes": 1, "v_min": None, "filter": "decay-first", "v_init": 0.0},
    "spikingjelly": {"dt": 1e-4, "discretization": "euler", "gain": "auto", "reset": "value", "reset_when": "same",
                     "compare": ">=", "max_spikes": 1, "v_min": None, "filter": "decay-first", "v_init": "reset"},
    "sinabs": {"dt": 1.0, "discretization": "exp", "gain": "euler", "reset": "subtract", "reset_when": "same",
               "compare": ">=", "max_spikes": None, "v_min": None, "filter": "decay-first", "v_init": 0.0},
    "norse": {"discretization": "euler", "gain": "auto", "reset": "value", "reset_when": "same", "compare": ">",
              "max_spikes": 1, "v_min": None, "filter": "decay-first", "v_init": "leak"},
    "rockpool": {"discretization": "exp", "gain": "rockpool", "reset": "subtract", "reset_when": "same",
                 "compare": ">=", "max_spikes": None, "v_min": None, "filter": "decay-first", "v_init": 0.0},
}

# Answers for one node type, where a framework's importer treats it unlike the others.
PRESETS_BY_KIND: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("snntorch", "IF"): {"reset": "subtract"},
    ("sinabs", "IF"): {"v_min": "-threshold"},
}

# Answers of a preset that may be wrong, because the framework's exporter does not write the setting; and why.
DOUBTS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("snntorch", "reset"): ("a reset to 0 was taken, as snnTorch's importer does",
                            "snnTorch writes v_reset = 0 whatever the neuron's reset_mechanism was"),
}


# The checks below return the normalised value of an option, or raise ValueError, TypeError or OverflowError.


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError
    return number


def _positive(value: Any) -> float:
    if _number(value) <= 0:
        raise ValueError
    return _number(value)


def _number_or(*words: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        return value if isinstance(value, str) and value in words else _number(value)
    return check


def _v_min(value: Any) -> Any:
    return None if value in (None, "none") else _number_or("-threshold")(value)


def _count(value: Any) -> int | None:
    if value in (None, "unlimited"):
        return None
    if _number(value) != int(_number(value)) or not 1 <= int(value) < 1 << 31:
        raise ValueError
    return int(value)


def _one_of(*words: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or value not in words:
            raise ValueError
        return value
    return check


@dataclass(frozen=True)
class Option:
    """An option of the NIR frontend.

    Attributes:
        flag: its flag on the command line.
        accepts: the accepted values, in words.
        check: returns the normalised value, or raises ValueError, TypeError or OverflowError.
    """

    flag: str
    accepts: str
    check: Callable[[Any], Any] = field(repr=False)


def _words(flag: str, *words: str) -> Option:
    return Option(flag, " | ".join(words), _one_of(*words))


OPTIONS: Mapping[str, Option] = {
    "as_": _words("--as", *PRESETS),
    "dt": Option("--dt", "seconds, above 0", _positive),
    "discretization": _words("--discretization", "euler", "exp"),
    "gain": _words("--gain", "auto", "ode", "euler", "unit", "rockpool"),
    "reset": _words("--reset", "subtract", "value", "zero", "none"),
    "reset_when": _words("--reset-when", "same", "before-decay", "after-decay", "drop-input", "carried"),
    "compare": _words("--compare", ">=", ">"),
    "max_spikes": Option("--max-spikes", "a number from 1, or unlimited", _count),
    "v_min": Option("--v-min", "a number, -threshold, or none", _v_min),
    "filter": _words("--filter", "decay-first", "add-first", "decay-both"),
    "v_init": Option("--v-init", "a number, reset, or leak", _number_or("reset", "leak")),
    "values": _words("--values", "spike", "real"),
    "decode": _words("--decode", "rate", "last", "max"),
}

# For these options None is an answer; for all others it means that the option was not given.
NONE_IS_AN_ANSWER = {"max_spikes", "v_min"}


def checked(name: str, value: Any, place: str) -> Any:
    """A value of the option `name`, normalised.

    Args:
        place: where the value comes from, for the message.

    Raises:
        CompileError: SNN404 where the option does not accept the value.
    """
    try:
        return OPTIONS[name].check(value)
    except (ValueError, TypeError, OverflowError):
        accepts = OPTIONS[name].accepts
        fail("SNN404", place, shorten(value), accepts, did_you_mean(str(value), accepts.split(" | ")))


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, checked. Raises SNN404 for unknown names and values."""
    for name in options:
        expect_known(name, OPTIONS, f"option {shorten(name)} of a NIR file")
    said = {n: v for n, v in options.items() if v is not None or n in NONE_IS_AN_ANSWER}
    return {n: checked(n, v, f"option {n}") for n, v in said.items()}


def from_metadata(metadata: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The options that a metadata group states. Raises SNN404 for values that the option would refuse."""
    stated = {n: metadata[n] for n in OPTIONS if n != "as_" and n in metadata}
    return {n: checked(n, v, f"{place}, metadata, {n}") for n, v in stated.items()}


@dataclass(frozen=True)
class Choices:
    """The answers to the open questions of one file, and which of them were assumed.

    Attributes:
        given: the caller's options, checked.
        file: the options that the graph's metadata state, checked.
        assumed: for each question, the nodes for which its default was used.
        doubted: for each question, the nodes for which the preset's answer may be wrong (see `DOUBTS`).
    """

    given: Mapping[str, Any]
    file: Mapping[str, Any] = field(default_factory=dict)
    assumed: dict[str, list[str]] = field(default_factory=dict)
    doubted: dict[str, list[str]] = field(default_factory=dict)

    @property
    def preset(self) -> str | None:
        return self.given.get("as_")

    def pick(self, name: str, node: str, kind: str = "", said: Mapping[str, Any] | None = None,
             own: Mapping[str, Any] | None = None) -> Any:
        """The answer to the question `name` for a node.

        Args:
            kind: the node's NIR type.
            said: the options that the node's metadata state.
            own: the answers that follow from the node's fields, such as a reset potential.
        """
        for source in (self.given, said or {}, self.file):
            if name in source:
                return source[name]
        if self.preset is not None:
            if name in (special := PRESETS_BY_KIND.get((self.preset, kind), {})):
                return special[name]
            if name in PRESETS[self.preset]:
                if (self.preset, name) in DOUBTS:
                    self.doubted.setdefault(name, []).append(node)
                return PRESETS[self.preset][name]
        if own and name in own:
            return own[name]
        if name in QUESTIONS:
            self.assumed.setdefault(name, []).append(node)
        return DEFAULTS[name]

    def known(self, name: str) -> Any:
        """The answer for the file as a whole: from options, metadata or preset, or a default that was used, or None."""
        for source in (self.given, self.file, PRESETS.get(self.preset or "", {})):
            if name in source:
                return source[name]
        return DEFAULTS[name] if name in self.assumed else None

    def notes(self) -> tuple[Diagnostic, ...]:
        """A warning for every question that a default answered, or that the preset may have answered wrongly."""
        warnings = [_assumption(name, self.assumed[name]) for name in QUESTIONS if name in self.assumed]
        for name, nodes in self.doubted.items():
            taken, why = DOUBTS[(str(self.preset), name)]
            warnings.append(Diagnostic("SNN105", places(nodes), taken, why, _help(name), "warning"))
        return tuple(warnings)


def _assumption(name: str, nodes: list[str]) -> Diagnostic:
    place = places(nodes, "edge" if name == "recurrent_delay" else "node")
    return Diagnostic("SNN105", place, QUESTIONS[name], "the file does not say", _help(name), "warning")


def _help(name: str) -> str:
    if name not in OPTIONS:
        return "put a Delay node on the connection to set its delay"
    option = OPTIONS[name]
    return f"{option.flag} ({name}=...) sets it: {option.accepts}"


def places(names: Iterable[str], noun: str = "node", limit: int = 4) -> str:
    """The first few distinct names for a message, such as `nodes "a", "b" and 3 more`."""
    distinct = list(dict.fromkeys(names))
    rest = f" and {len(distinct) - limit} more" if len(distinct) > limit else ""
    return noun + ("s " if len(distinct) > 1 else " ") + ", ".join(shorten(n, 40) for n in distinct[:limit]) + rest
