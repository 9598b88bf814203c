"""Figures: the numbers and words of a target's description, what each may be, and where each comes from.

A section of a description is a dataclass whose fields are made with `whole`, `real`, `flag`, `word` and their like. The
metadata of such a field say what the figure means and which values it takes, so that reading, checking and listing a
description follow from the fields alone. A field that is None says nothing: there is no such limit, or any value will
do.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from snncompile.diagnostics import Collector, did_you_mean, shorten

Kind: TypeAlias = Literal["whole", "real", "flag", "words", "word", "wholes", "whole or word"]

LARGEST = 1 << 62
MAX_TEXT = 1000
NUMBER: Mapping[str, Any] = {"kind": "real"}
"""What describes a figure whose name is free."""
HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")


def figure(kind: Kind, what: str, default: Any = None, low: float = 0, high: float = LARGEST,
           words: Sequence[str] = ()) -> Any:
    """A field that holds a figure.

    Args:
        what: what the figure means, in words.
        low, high: the least and the largest number that it can be.
        words: the words that it can be, or that it can be a list of.
    """
    return field(default=default, metadata={"kind": kind, "what": what, "low": low, "high": high,
                                            "words": tuple(words)})


def whole(what: str, low: int = 0, default: int | None = None, high: int = LARGEST) -> Any:
    return figure("whole", what, default, low, high)


def wholes(what: str, low: int = 0) -> Any:
    return figure("wholes", what, None, low)


def real(what: str) -> Any:
    return figure("real", what)


def flag(what: str, default: bool) -> Any:
    return figure("flag", what, default)


def word(what: str, default: str, words: Sequence[str]) -> Any:
    return figure("word", what, default, words=words)


def words(what: str, allowed: Sequence[str]) -> Any:
    return figure("words", what, None, words=allowed)


@dataclass(frozen=True)
class Origin:
    """Where a figure comes from; `provisional` where the public record is thin."""

    source: str = ""
    provisional: bool = False


@dataclass(frozen=True)
class Figure:
    """One figure of a description, as it is listed: `key` is `section.name`, the name ending in its unit."""

    key: str
    value: Any
    what: str
    origin: Origin


@dataclass
class FigureReader:
    """Reads the sections of one description; the problems gather in `problems`, the origins in `origins`.

    Attributes:
        text: the TOML text, in which the lines of problems are looked up; empty where there is none.
        name: the target's name. `file`: the path as messages quote it, empty for a target that comes along.
        sources: what the words that stand for sources are short for.
    """

    text: str
    name: str
    file: str
    problems: Collector = field(default_factory=Collector)
    sources: Mapping[str, str] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)

    def figures(self, section: str, kind: type, values: Mapping[str, Any], lifting: bool = False) -> dict[str, Any]:
        """The figures of a section by name, those that are right; `lifting` allows None, which lifts a limit."""
        known = {f.name: f.metadata for f in dataclasses.fields(kind)}
        figures = {}
        for name, given in values.items():
            if name not in known:
                self.unknown(section, name, known)
                continue
            value, origin = self._spread(section, name, given)
            if not accepts(known[name], value) and not (value is None and lifting):
                self.wrong(section, name, repr(value), value_of(known[name]))
                continue
            figures[name] = tuple(value) if isinstance(value, (list, tuple)) else value
            self.origins[f"{section}.{name}"] = origin
        return figures

    def numbers(self, section: str, values: Mapping[str, Any]) -> dict[str, float]:
        """A table of numbers whose names are free, such as those of kernels that other packages bring."""
        numbers = {}
        for name, given in values.items():
            value, origin = self._spread(section, name, given)
            if not accepts(NUMBER, value):
                self.wrong(section, name, repr(value), value_of(NUMBER))
                continue
            numbers[name] = float(value)
            self.origins[f"{section}.{name}"] = origin
        return numbers

    def _spread(self, section: str, name: str, given: Any) -> tuple[Any, Origin]:
        """A figure's value and where it comes from."""
        if not isinstance(given, dict):
            return given, Origin(f"file {self.file}" if self.file else "")
        for key in [k for k in given if k not in ("value", "source", "provisional")]:
            self.unknown(section, key, ("value", "source", "provisional"), of=name)
        source, provisional = given.get("source", ""), given.get("provisional", False)
        if not isinstance(source, str) or not isinstance(provisional, bool):
            self.wrong(section, name, repr(given), '{value = ..., source = "...", provisional = true}')
        return given.get("value"), Origin(self.sources.get(str(source), str(source))[:MAX_TEXT], provisional is True)

    def unknown(self, section: str, key: str, known: Iterable[str], of: str = "") -> None:
        self.problems.error("SNN102", self.place(section, of or key), f"unknown key {shorten(key)}",
                            ", ".join(known), did_you_mean(key, known))

    def wrong(self, section: str, key: str, found: str, limit: str) -> None:
        self.problems.error("SNN102", self.place(section, key), found[:80], limit)

    def place(self, section: str, key: str) -> str:
        """The file, the line where the key stands if it is found, and the key."""
        line = line_of(self.text, section, key)
        whole = f"file {self.file}" if self.file else f"target {shorten(self.name)}"
        path = ".".join(p for p in (section, key) if p)
        return whole + (f", line {line}" if line else "") + (f", {shorten(path)}" if path else "")


def accepts(metadata: Mapping[str, Any], value: Any) -> bool:
    """Whether a figure can have a value."""
    several = isinstance(value, (list, tuple))
    match metadata["kind"]:
        case "flag":
            return isinstance(value, bool)
        case "whole":
            return _is_whole(value, metadata)
        case "real":
            return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
        case "word":
            return isinstance(value, str) and value in metadata["words"]
        case "whole or word":
            return _is_whole(value, metadata) or (isinstance(value, str) and value in metadata["words"])
        case "wholes":
            return several and 0 < len(value) <= MAX_TEXT and all(_is_whole(v, metadata) for v in value)
    return several and all(isinstance(v, str) and v in metadata["words"] for v in value)


def value_of(metadata: Mapping[str, Any]) -> str:
    """What a figure can be, in words."""
    match metadata["kind"]:
        case "flag":
            return "true or false"
        case "whole":
            return f"a whole number, {_range(metadata)}"
        case "real":
            return "a finite number, at least 0"
        case "word":
            return " or ".join(metadata["words"])
        case "whole or word":
            return f"a whole number, {_range(metadata)}, or {' or '.join(metadata['words'])}"
        case "wholes":
            return f"a list of whole numbers, {_range(metadata)}"
    return f"a list of {', '.join(metadata['words'])}"


def _range(metadata: Mapping[str, Any]) -> str:
    low, high = metadata["low"], metadata["high"]
    return f"at least {low}" if high == LARGEST else f"{low} to {high}"


def _is_whole(value: Any, metadata: Mapping[str, Any]) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and metadata["low"] <= value <= metadata["high"]


def line_of(text: str, section: str, key: str) -> int | None:
    """The line on which a key stands, counted from 1; TOML's reader does not say."""
    here = ""
    start = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""")
    for number, line in enumerate(text.splitlines(), 1):
        header = HEADER.match(line)
        if header:
            here = header[1]
            if not section and key in (here, here.split(".")[0]):
                return number
        elif key and here == section and start.match(line):
            return number
    return None
