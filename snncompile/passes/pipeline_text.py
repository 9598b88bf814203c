"""Pipelines as text: the passes to run, in order, each with options in braces.

    canonicalize,form-populations{shared=flatten},quantize{weight_bits=4 rounding=floor},retime{hop_ticks=2}

Passes are separated by commas, the options of a pass by spaces. An option is `NAME=VALUE`; a value is a number
(`4`, `0.25`, `1e-3`), `true`, `false`, `none`, a word, or a list of these separated by commas. Nothing after the `=` is
the empty list.

The options of a pass are the fields of its dataclass. A field that holds an `Arithmetic` contributes the fields of that
instead (`weight_bits` and the others), and a field that holds measured data (a `Calibration`) cannot be written.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from snncompile.diagnostics import Collector, CompileError, did_you_mean, fail, shorten
from snncompile.ir.types import Stage
from snncompile.passes.pipeline import Pass
from snncompile.passes.table import PASSES, Choices
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.figures import value_of

Value: TypeAlias = "int | float | bool | str | None"

MAX_LENGTH = 10_000
"""Longest text, in characters, that is read as a pipeline."""
PASS = re.compile(r"\s*([^\s,{}=]+)\s*(?:\{([^{}]*)\}\s*)?(,|\Z)")
WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")
NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,25})?(e[+-]?[0-9]{1,3})?")
CONSTANTS: Mapping[str, Value] = {"true": True, "false": False, "none": None}
FORM = "NAME or NAME{OPTION=VALUE OPTION=VALUE}, with commas between passes"


@dataclass(frozen=True)
class PassText:
    """A pass as it is written in a pipeline.

    Attributes:
        options: for each option the values that stand after its `=`, one unless a list was written.
    """

    name: str
    options: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        options = " ".join(f"{name}={','.join(map(_value_text, values))}" for name, values in self.options.items())
        return f"{self.name}{{{options}}}" if options else self.name


# --- reading ---------------------------------------------------------------------------------------------

def parse(text: str, place: str = "pipeline") -> tuple[PassText, ...]:
    """Read a pipeline, without asking whether its passes and options exist.

    Args:
        place: what a diagnostic names as the origin of the text, such as `option --passes`.

    Raises:
        CompileError: SNN701 where the text is not a pipeline.
    """
    if len(text) > MAX_LENGTH:
        fail("SNN701", place, f"{len(text)} characters", f"at most {MAX_LENGTH}")
    passes, at, more = [], 0, True
    while more:
        m = PASS.match(text, at)
        if m is None:
            fail("SNN701", place, f"{shorten(text[at:])} at character {at + 1}" if text[at:].strip() else
                 "no pass where one should stand", FORM)
        passes.append(PassText(m[1], _options(m[2] or "", m[1], place)))
        at, more = m.end(), m[3] == ","
    return tuple(passes)


def _options(text: str, name: str, place: str) -> dict[str, tuple[Value, ...]]:
    options: dict[str, tuple[Value, ...]] = {}
    for part in text.split():
        option, equals, values = part.partition("=")
        if not option or not equals:
            fail("SNN701", f"{place}, pass {shorten(name)}", shorten(part), "OPTION=VALUE, with spaces between options")
        if option in options:
            fail("SNN701", f"{place}, pass {shorten(name)}", f"option {shorten(option)} stands twice", "each once")
        options[option] = tuple(map(_value, values.split(","))) if values else ()
    return options


def _value(text: str) -> Value:
    if WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return CONSTANTS.get(text, text)


def _value_text(value: Value) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


# --- from text to passes ---------------------------------------------------------------------------------

def passes_from_text(text: str, choices: Choices, place: str = "pipeline") -> tuple[Pass, ...]:
    """The passes that a pipeline names, in its order.

    An option that is not written follows from the choices, as in `compile`. Where the target needs no such pass,
    it has the default of the pass.

    Raises:
        CompileError: SNN701 for text that is not a pipeline and for unknown passes, SNN404 for unknown options and for
            values that an option cannot have; all of them together, except for the first.
    """
    problems = Collector()
    passes = [_pass(written, choices, place, problems) for written in parse(text, place)]
    problems.finish()
    return tuple(p for p in passes if p is not None)


def _pass(written: PassText, choices: Choices, place: str, problems: Collector) -> Pass | None:
    entries = {entry.name: entry for entry in PASSES}
    if written.name not in entries:
        problems.error("SNN701", place, f"unknown pass {shorten(written.name)}", ", ".join(entries),
                       did_you_mean(written.name, entries))
        return None
    entry = entries[written.name]
    start: Any = entry.make(choices) or entry.kind()
    values = _checked(written, entry.kind, problems)
    try:
        return _changed(start, values)
    except CompileError as e:
        problems.found += e.diagnostics
        return None


def _checked(written: PassText, kind: type[Pass], problems: Collector) -> dict[str, Any]:
    """The values of the options that exist and may have them; the others become problems.

    An `Arithmetic` checks its values itself.
    """
    hints, known, values = _hints(kind), options_of(kind), {}
    for name, given in written.options.items():
        place = f"pass {written.name}, option {shorten(name)}"
        forms = [*given, given] if len(given) == 1 else [given]     # one word is a word, or a list of one
        fitting = [form for form in forms if name not in hints or _fits(hints[name], form)]
        if name not in known:
            problems.error("SNN404", place, "no such option", ", ".join(known) or "none: the pass has no options",
                           did_you_mean(name, known))
        elif not fitting:
            shown = ",".join(map(_value_text, given))
            problems.error("SNN404", place, shorten(shown), known[name])
        else:
            values[name] = fitting[0]
    return values


def _changed(start: Any, values: Mapping[str, Any]) -> Pass:
    """The pass with other values of some options."""
    changes = {}
    for f in dataclasses.fields(start):
        value = getattr(start, f.name)
        if isinstance(value, Arithmetic):
            changes[f.name] = dataclasses.replace(value, **{n: v for n, v in values.items() if hasattr(value, n)})
        elif f.name in values:
            changes[f.name] = values[f.name]
    changed: Pass = dataclasses.replace(start, **changes)
    return changed


def expect_stages(passes: Iterable[Pass], stage: Stage, place: str = "pipeline") -> None:
    """Check that each pass is given a graph of the stage that it needs.

    Args:
        stage: the stage of the graph that the first pass is given.

    Raises:
        CompileError: SNN701 with the first pass for which this is not so.
    """
    for p in passes:
        if stage != p.needs:
            raising = [e.name for e in PASSES if e.kind.needs < p.needs == e.kind.ensures]
            fail("SNN701", f"{place}, pass {p.name}", f"a graph of stage {stage.name}", f"stage {p.needs.name}",
                 f"run {' or '.join(raising)} before it" if stage < p.needs else
                 "no pass leads back: put it earlier, or take the network that this one was made from")
        stage = p.ensures


# --- from passes to text ---------------------------------------------------------------------------------

def to_text(passes: Iterable[Pass]) -> str:
    """The pipeline that `passes_from_text` reads back as these passes; every option is written.

    Calibration has no text: a pass that holds one is read back without it.
    """
    return ",".join(str(PassText(p.name, {n: v if isinstance(v, tuple) else (v,) for n, v in _values(p).items()}))
                    for p in passes)


def _values(holder: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, hint in _hints(type(holder)).items():
        value = getattr(holder, name)
        if hint is Arithmetic:
            values |= vars(value)
        elif _is_plain(hint):
            values[name] = value
    return values


# --- what an option can be -------------------------------------------------------------------------------

def options_of(kind: type[Pass]) -> dict[str, str]:
    """The options of a pass that can be written, each with its possible values in words."""
    options: dict[str, str] = {}
    for name, hint in _hints(kind).items():
        if hint is Arithmetic:
            options |= {f.name: value_of(f.metadata) + (", or none" if f.default is None else "")
                        for f in dataclasses.fields(Arithmetic)}
        elif _is_plain(hint):
            options[name] = _in_words(hint)
    return options


def _is_plain(hint: Any) -> bool:
    """Whether a value of an annotated type can be written; a calibration and a target cannot."""
    return not any(dataclasses.is_dataclass(part) for part in (hint, *get_args(hint)))


def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value has an annotated type.

    The type may consist of int, float, bool, str, None, `Literal`, `|` and `tuple`.
    """
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(part, value) for part in parts)
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(parts[0], v) for v in value)
    return type(value) is hint or (hint is float and type(value) is int)


def _in_words(hint: Any) -> str:
    parts = get_args(hint)
    if get_origin(hint) is Literal:
        return " or ".join(map(str, parts))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_in_words, parts))
    if get_origin(hint) is tuple:
        return f"a list of {_in_words(parts[0]).removeprefix('a ')}s"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}.get(hint, "none")
