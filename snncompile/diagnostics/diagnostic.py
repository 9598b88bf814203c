"""Diagnostics: what went wrong, where, what was found, what the limit is, and what to do.

Every problem the compiler reports carries a stable code from `CODES`. Problems are collected and
reported together: build a `Collector`, add to it, and call `Collector.finish`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal, NoReturn

from snncompile.diagnostics.codes import CODES

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Diagnostic:
    """One finding. Its texts do nothing to a terminal: what is not printable in them was replaced.

    Attributes:
        code: stable code, a key of `CODES`.
        place: where, in the user's own names (`node "conv1"`, `file net.nir`).
        found: what was found there.
        limit: what would have been accepted, and where that comes from.
        help: what the user can do about it.
    """

    code: str
    place: str
    found: str
    limit: str = ""
    help: str = ""
    severity: Severity = "error"

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise KeyError(f"{self.code} is not a diagnostic code; add it to snncompile/diagnostics/codes.py")
        for name in ("place", "found", "limit", "help"):
            if not getattr(self, name).isprintable():
                object.__setattr__(self, name, printable(getattr(self, name)))

    @property
    def title(self) -> str:
        return CODES[self.code].title

    def __str__(self) -> str:
        lines = [f"{self.severity}[{self.code}]: {self.title}", f"  --> {self.place}"]
        for label in ("found", "limit", "help"):
            text = getattr(self, label)
            if text:
                lines.append(f"  {label + ':':<7}{text}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        keys = ("severity", "code", "title", "place", "found", "limit", "help")
        return {k: getattr(self, k) for k in keys}


class CompileError(Exception):
    """The compiler refused its input; `diagnostics` says why, most basic problem first."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]):
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = diagnostics


def fail(code: str, place: str, found: str, limit: str = "", help: str = "") -> NoReturn:
    """Raise a `CompileError` with this single diagnostic."""
    raise CompileError((Diagnostic(code, place, found, limit, help),))


@dataclass
class Collector:
    """Gathers findings so that all are reported at once."""

    found: list[Diagnostic] = field(default_factory=list)

    def error(self, code: str, place: str, found: str, limit: str = "", help: str = "") -> None:
        self.found.append(Diagnostic(code, place, found, limit, help))

    def warn(self, code: str, place: str, found: str, limit: str = "", help: str = "") -> None:
        self.found.append(Diagnostic(code, place, found, limit, help, "warning"))

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


def did_you_mean(name: str, known: Iterable[str], most: int = 2) -> str:
    """A question that names some of the known names that look alike; empty where none does."""
    import difflib

    near = difflib.get_close_matches(name, list(known), most)
    return f"did you mean {' or '.join(near)}?" if near else ""


def printable(text: object) -> str:
    """Text that does nothing to a terminal or page but appear; line breaks are kept."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(text))
