"""Reading the description of a target: TOML in, a `Target` out, and every problem with its line.

A figure is written `cores = {value = 128, source = "..."}`, or bare: `cores = 128`. A source may be a word that the
table `[sources]` spells out.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.ir.library import RULES
from snncompile.ir.loihi import LOIHI
from snncompile.targets.sections import SECTIONS, Costs
from snncompile.targets.target import Origin, Target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOP = {"title": str, "backend": str, "provisional": bool, "arithmetic": dict, "sources": dict, "costs": dict}
KINDS = {str: "text", bool: "true or false", dict: "a table"}
NEURONS = (*RULES, LOIHI)
LARGEST = 1 << 62
MAX_TEXT = 1000
HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")


def parse(text: str, name: str, file: str = "") -> Target:
    """A target from TOML text; `file` is its path as messages quote it.

    Raises:
        CompileError: SNN102 with every problem found, each at its line.
    """
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        fail("SNN102", f"file {file}" if file else f"target {shorten(name)}", str(e)[:200], "TOML")
    return _Reader(text, name, file).target(table)


def variant(target: Target, changes: Mapping[str, Any]) -> Target:
    """The target with other figures, by name; None lifts a limit."""
    home = {f.name: section for section, kind in SECTIONS.items() for f in dataclasses.fields(kind)}
    reader = _Reader("", target.name, "")
    by_section: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        if name in home:
            by_section.setdefault(home[name], {})[name] = value
        else:
            reader.unknown("", name, home)
    whole: dict[str, Any] = {"origins": {**target.origins}}
    for section, values in by_section.items():
        figures = reader.figures(section, SECTIONS[section], values, lifting=True)
        whole[section] = dataclasses.replace(getattr(target, section), **figures)
        whole["origins"] |= {f"{section}.{n}": Origin(f"a variant of {target.name}") for n in values}
    reader.found.finish()
    return dataclasses.replace(target, **whole)


@dataclass
class _Reader:
    """One description being read; problems gather in `found`."""

    text: str
    name: str
    file: str
    found: Collector = field(default_factory=Collector)
    sources: Mapping[str, str] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)

    def target(self, table: Mapping[str, Any]) -> Target:
        for key in [k for k in table if k not in TOP and k not in SECTIONS]:
            self.unknown("", key, (*TOP, *SECTIONS))
        for key, kind in {**TOP, **dict.fromkeys(SECTIONS, dict)}.items():
            if key in table and not isinstance(table[key], kind):
                self.wrong("", key, repr(table[key]), KINDS[kind])
        if "title" not in table:
            self.found.error("SNN102", self.place("", ""), "no title", 'title = "..."')
        tables = {k: v for k, v in table.items() if isinstance(v, dict)}
        self.sources = {k: str(v)[:MAX_TEXT] for k, v in tables.get("sources", {}).items()}
        sections = {n: kind(**self.figures(n, kind, tables.get(n, {}))) for n, kind in SECTIONS.items()}
        costs = {n: Costs(**self.profile(n, v)) for n, v in tables.get("costs", {}).items()}
        self.found.finish()
        return Target(self.name, table["title"], table.get("backend"), table.get("provisional", False),
                      table.get("arithmetic", {}), **sections, costs=costs, origins=self.origins)

    def profile(self, name: str, values: Any) -> dict[str, Any]:
        if not isinstance(values, dict):
            self.wrong("costs", name, repr(values), "a table")
            return {}
        return self.figures(f"costs.{name}", Costs, values)

    def figures(self, section: str, kind: type, values: Mapping[str, Any], lifting: bool = False) -> dict[str, Any]:
        """Those that are right; `lifting` allows None, which says nothing."""
        known = {f.name: f.metadata for f in dataclasses.fields(kind)}
        figures = {}
        for name, given in values.items():
            if name not in known:
                self.unknown(section, name, known)
                continue
            value, origin = self._spread(section, name, given)
            if not accepts(known[name], value) and not (value is None and lifting):
                self.wrong(section, name, repr(value), value_of(known[name]))
            figures[name] = tuple(value) if isinstance(value, (list, tuple)) else value
            self.origins[f"{section}.{name}"] = origin
        return figures

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
        near = difflib.get_close_matches(key, known, 2)
        meant = f"did you mean {' or '.join(near)}?" if near else ""
        self.found.error("SNN102", self.place(section, of or key), f"unknown key {shorten(key)}",
                         ", ".join(known), meant)

    def wrong(self, section: str, key: str, found: str, limit: str) -> None:
        self.found.error("SNN102", self.place(section, key), found[:80], limit)

    def place(self, section: str, key: str) -> str:
        """The file, the line where the key stands if it is found, and the key."""
        line = line_of(self.text, section, key)
        whole = f"file {self.file}" if self.file else f"target {shorten(self.name)}"
        path = ".".join(p for p in (section, key) if p)
        return whole + (f", line {line}" if line else "") + (f", {shorten(path)}" if path else "")


def accepts(metadata: Mapping[str, Any], value: Any) -> bool:
    """Whether a field can have a value."""
    low, several = metadata["low"], isinstance(value, (list, tuple))
    match metadata["kind"]:
        case "flag":
            return isinstance(value, bool)
        case "whole":
            return _is_whole(value, low)
        case "real":
            return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")
        case "word":
            return value in metadata["words"]
        case "wholes":
            return several and 0 < len(value) <= MAX_TEXT and all(_is_whole(v, low) for v in value)
    return several and all(isinstance(v, str) and v in (metadata["words"] or NEURONS) for v in value)


def value_of(metadata: Mapping[str, Any]) -> str:
    """What a field can have, in words."""
    match metadata["kind"]:
        case "flag":
            return "true or false"
        case "whole":
            return f"a whole number, at least {metadata['low']}"
        case "real":
            return "a finite number, at least 0"
        case "word":
            return " or ".join(metadata["words"])
        case "wholes":
            return f"a list of whole numbers, at least {metadata['low']}"
    return f"a list of {', '.join(metadata['words'] or NEURONS)}"


def _is_whole(value: Any, low: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= LARGEST


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
