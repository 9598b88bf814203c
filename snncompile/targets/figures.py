"""Figures: the numbers and words of a target's description, what each may be, and where each comes from.

A section of a description is a dataclass whose fields are made with `whole`, `real`, `flag`, `word` and the other
functions here. The metadata of such a field say what the figure means and which values it takes, so that reading,
checking and listing a description follow from the fields alone. None in a field means that there is no such limit, or
that any value is allowed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from snncompile.diagnostics import Collector, did_you_mean, shorten

Kind: TypeAlias = Literal["whole", "real", "flag", "words", "word", "wholes", "whole or word", "part"]

LARGEST = 1 << 62
MAX_TEXT = 1000
NUMBER: Mapping[str, Any] = {"kind": "real"}
"""The metadata of a figure in a table whose names are not fixed."""
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
"""The names of devices and packages, which reach scripts."""
HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")


def figure(kind: Kind, what: str, default: Any = None, low: float = 0, high: float = LARGEST,
           words: Sequence[str] = ()) -> Any:
    """A dataclass field that holds a figure.

    Args:
        kind: the type of the figure.
        what: what the figure means, in words.
        default: its value where a description does not give it.
        low, high: the least and the largest number that it can be, for whole numbers.
        words: the words that it can be, or that a list of words can hold.
    """
    return field(default=default, metadata={"kind": kind, "what": what, "low": low, "high": high,
                                            "words": tuple(words)})


def whole(what: str, low: int = 0, default: int | None = None, high: int = LARGEST) -> Any:
    """A field that holds a whole number from `low` to `high`."""
    return figure("whole", what, default, low, high)


def wholes(what: str, low: int = 0) -> Any:
    """A field that holds a list of whole numbers of at least `low`."""
    return figure("wholes", what, None, low)


def real(what: str) -> Any:
    """A field that holds a finite number of at least 0."""
    return figure("real", what)


def flag(what: str, default: bool) -> Any:
    """A field that holds true or false."""
    return figure("flag", what, default)


def word(what: str, default: str, words: Sequence[str]) -> Any:
    """A field that holds one of some words."""
    return figure("word", what, default, words=words)


def choice(what: str, words: Sequence[str]) -> Any:
    """A field that holds one of some words, or nothing."""
    return figure("word", what, None, words=words)


def part(what: str) -> Any:
    """A field that holds the name of a part of hardware, in letters, digits, dots, dashes and underscores."""
    return figure("part", what)


def words(what: str, allowed: Sequence[str]) -> Any:
    """A field that holds a list of words, each one of those allowed."""
    return figure("words", what, None, words=allowed)


class OptionGroup:
    """The base class of frozen dataclasses whose fields are options made with the functions of this file."""

    def __post_init__(self) -> None:
        """Raises SNN404 with every option that has another value than it can have."""
        problems = Collector()
        for f in dataclasses.fields(cast(Any, self)):
            value = getattr(self, f.name)
            if value is not None and not accepts(f.metadata, value):
                problems.error("SNN404", f"option {f.name}", repr(value)[:60], value_of(f.metadata))
        problems.finish()

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the options."""
        return tuple(f.name for f in dataclasses.fields(cast(Any, cls)))

    @classmethod
    def among(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Those of some options that belong to this group."""
        return {n: v for n, v in options.items() if n in cls.names()}


@dataclass(frozen=True)
class Origin:
    """Where a figure comes from: a source in words, and whether there is little public evidence for it."""

    source: str = ""
    provisional: bool = False


@dataclass(frozen=True)
class Figure:
    """One figure of a description, as it is listed.

    Attributes:
        key: `section.name`; the name ends in the unit of the figure.
        value: its value.
        what: what it means, in words.
        origin: where it comes from.
    """

    key: str
    value: Any
    what: str
    origin: Origin


@dataclass
class FigureReader:
    """Reads and checks the sections of one description.

    Attributes:
        text: the TOML text, in which the lines of problems are looked up; empty for figures that come from elsewhere.
        name: the name of the target.
        file: the path of the file as messages quote it; empty for a target that comes with the compiler.
        problems: the problems so far.
        sources: the table `[sources]`: full sources by the words that stand for them.
        origins: the origin of each figure that was read, by `section.name`.
    """

    text: str
    name: str
    file: str
    problems: Collector = field(default_factory=Collector)
    sources: Mapping[str, str] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)

    def figures(self, section: str, kind: type, values: Mapping[str, Any], lifting: bool = False) -> dict[str, Any]:
        """The values of the figures of a section by name, without those that are wrong, which become problems.

        Args:
            kind: the dataclass of the section.
            values: the figures as TOML gives them: bare values, or tables with `value`, `source` and `provisional`.
            lifting: whether the value None is allowed, which removes a limit.
        """
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
        """The numbers of a table whose names are not fixed, such as the costs of kernels, by name."""
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
        """The value of a figure, and its origin."""
        if not isinstance(given, dict):
            return given, Origin(f"file {self.file}" if self.file else "")
        for key in [k for k in given if k not in ("value", "source", "provisional")]:
            self.unknown(section, key, ("value", "source", "provisional"), of=name)
        source, provisional = given.get("source", ""), given.get("provisional", False)
        if not isinstance(source, str) or not isinstance(provisional, bool):
            self.wrong(section, name, repr(given), '{value = ..., source = "...", provisional = true}')
        return given.get("value"), Origin(self.sources.get(str(source), str(source))[:MAX_TEXT], provisional is True)

    def unknown(self, section: str, key: str, known: Iterable[str], of: str = "") -> None:
        """Add a problem (SNN102) for a key that does not exist; `of` is the figure in whose table it stands."""
        self.problems.error("SNN102", self.place(section, of or key), f"unknown key {shorten(key)}",
                            ", ".join(known), did_you_mean(key, known))

    def wrong(self, section: str, key: str, found: str, expected: str) -> None:
        """Add a problem (SNN102) for a value that a figure cannot have."""
        self.problems.error("SNN102", self.place(section, key), found[:80], expected)

    def place(self, section: str, key: str) -> str:
        """The place of a key for diagnostics: the file or target, the line if the text has the key, and the key."""
        line = line_of(self.text, section, key)
        source = f"file {self.file}" if self.file else f"target {shorten(self.name)}"
        path = ".".join(p for p in (section, key) if p)
        return source + (f", line {line}" if line else "") + (f", {shorten(path)}" if path else "")


def accepts(metadata: Mapping[str, Any], value: Any) -> bool:
    """Whether a figure with this metadata can have a value."""
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
        case "part":
            return isinstance(value, str) and PART.fullmatch(value) is not None
        case "whole or word":
            return _is_whole(value, metadata) or (isinstance(value, str) and value in metadata["words"])
        case "wholes":
            return several and 0 < len(value) <= MAX_TEXT and all(_is_whole(v, metadata) for v in value)
    return several and all(isinstance(v, str) and v in metadata["words"] for v in value)


def value_of(metadata: Mapping[str, Any]) -> str:
    """The values that a figure with this metadata can have, in words."""
    match metadata["kind"]:
        case "flag":
            return "true or false"
        case "whole":
            return f"a whole number, {_range(metadata)}"
        case "real":
            return "a finite number, at least 0"
        case "word":
            return " or ".join(metadata["words"])
        case "part":
            return "a name of up to 40 letters, digits, dots, dashes and underscores"
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
    """The line of a TOML text on which a key of a section stands, counted from 1; None where it is not there.

    The TOML reader of Python does not tell lines. An empty section stands for keys before the first section, and for
    the sections themselves.
    """
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
