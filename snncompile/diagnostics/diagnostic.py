"""Diagnostics: what went wrong, where, what was found, what the limit is, and what to do.

Every problem the compiler reports carries a stable code from `CODES`. Problems are collected and
reported together: build a `Collector`, add to it, and call `Collector.finish`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal, NoReturn

from snncompile.diagnostics.codes import CODES

Severity = Literal["error", "warning", "note"]
NEARLY = 0.1
"""How much less alike than the best suggestion another one may be, as a share of the characters."""


@dataclass(frozen=True)
class Diagnostic:
    """One finding. Its texts do nothing to a terminal: what is not printable in them was replaced.

    Attributes:
        code: stable code, a key of `CODES`.
        place: where, in the user's own names (`node "conv1"`, `file net.nir`).
        found: what was found there.
        expected: what would have been accepted, and where that comes from: a bound, a form, or the reason of a note.
        help: what the user can do about it.
    """

    code: str
    place: str
    found: str
    expected: str = ""
    help: str = ""
    severity: Severity = "error"

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"{self.code} is not a diagnostic code; add it to snncompile/diagnostics/codes.py")
        for name in ("place", "found", "expected", "help"):
            if not getattr(self, name).isprintable():
                object.__setattr__(self, name, printable(getattr(self, name)))

    @property
    def title(self) -> str:
        return CODES[self.code].title

    def __str__(self) -> str:
        lines = [f"{self.severity}[{self.code}]: {self.title}", f"  --> {self.place}"]
        told = {"found": self.found, CODES[self.code].wanted: self.expected, "help": self.help}
        width = max((len(label) for label, text in told.items() if text), default=0) + 2
        lines += [f"  {label + ':':<{width}}{text}" for label, text in told.items() if text]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        keys = ("severity", "code", "title", "place", "found", "expected", "help")
        return {k: getattr(self, k) for k in keys}


class CompileError(Exception):
    """The compiler refused its input; `diagnostics` says why, most basic problem first."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]):
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = diagnostics


def fail(code: str, place: str, found: str, expected: str = "", help: str = "") -> NoReturn:
    """Raise a `CompileError` with this single diagnostic."""
    raise CompileError((Diagnostic(code, place, found, expected, help),))


@dataclass
class Collector:
    """Gathers findings so that all are reported at once."""

    found: list[Diagnostic] = field(default_factory=list)

    def error(self, code: str, place: str, found: str, expected: str = "", help: str = "") -> None:
        self.found.append(Diagnostic(code, place, found, expected, help))

    def warn(self, code: str, place: str, found: str, expected: str = "", help: str = "") -> None:
        self.found.append(Diagnostic(code, place, found, expected, help, "warning"))

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.found if d.severity == "error")

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.found if d.severity != "error")

    def finish(self) -> tuple[Diagnostic, ...]:
        """Raise `CompileError` when errors were gathered; otherwise return the warnings."""
        if self.errors:
            raise CompileError(self.errors)
        return self.notes


def alike(diagnostics: Iterable[Diagnostic], most: int = 3) -> list[Diagnostic]:
    """The findings as people are told them: those that differ in their place only are one, which names the places.

    Args:
        most: how many places are named; the others are counted.
    """
    places: dict[Diagnostic, list[str]] = {}
    for d in diagnostics:
        places.setdefault(dataclasses.replace(d, place=""), []).append(d.place)
    return [dataclasses.replace(d, place=_places(list(dict.fromkeys(found)), most)) for d, found in places.items()]


def _places(found: list[str], most: int) -> str:
    kinds = {place.partition('"')[0] for place in found}
    named = found[:most]
    if len(kinds) == 1:
        named = [found[0], *(place.removeprefix(*kinds) for place in named[1:])]
    if len(found) > most:
        return f"{', '.join(named)} and {len(found) - most:,} more"
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def shorten(name: object, limit: int = 60) -> str:
    """A name for a message: quoted, printable, at most `limit` characters; of a path the end is kept."""
    text = str(name).encode("unicode_escape").decode("ascii")
    if len(text) > limit:
        text = f"...{text[3 - limit:]}" if isinstance(name, PurePath) else f"{text[:limit - 3]}..."
    return f'"{text}"'


def few(names: Iterable[str]) -> str:
    """The first eight names for a message.

    >>> few("abcdefghij")
    '"a", "b", "c", "d", "e", "f", "g", "h", ...'
    """
    listed = [shorten(n, 30) for n in names]
    return ", ".join(listed[:8]) + (", ..." if len(listed) > 8 else "")


def expect_known(name: object, known: Iterable[str], place: str, help: str = "") -> None:
    """Refuse a name that is not among those known.

    Args:
        place: where the name was given.
        help: what to do where no known name looks alike; otherwise the help names those that do.

    Raises:
        CompileError: SNN404, with the known names.
    """
    names = list(known)
    if name not in names:
        fail("SNN404", place, shorten(name), ", ".join(names), did_you_mean(str(name), names) or help)


def did_you_mean(name: str, known: Iterable[str], most: int = 2) -> str:
    """A question that names the known name that looks most alike, and those nearly as much alike; or an empty text.

    >>> did_you_mean("loihi", ["c99", "loihi1", "loihi2"])
    'did you mean loihi1 or loihi2?'
    """
    from difflib import SequenceMatcher, get_close_matches

    near = get_close_matches(name, list(known), most)
    alike = {n: SequenceMatcher(None, n, name).ratio() for n in near}
    best = sorted(n for n in near if alike[n] > max(alike.values()) - NEARLY)
    return f"did you mean {' or '.join(best)}?" if best else ""


def printable(text: object) -> str:
    """Text that does nothing to a terminal or page but appear; line breaks are kept."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(text))
