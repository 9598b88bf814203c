"""Reading the description of a target: makes a `Target` of a TOML text, and reports every problem with its line.

A figure is written `cores = {value = 128, source = "..."}`, or without a source as `cores = 128`. A source may be a key
of the table `[sources]`, which holds the full text.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from snncompile.diagnostics import fail, shorten
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.figures import MAX_TEXT, FigureReader
from snncompile.targets.sections import SECTIONS, Costs
from snncompile.targets.target import Target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOP = {"title": str, "backend": str, "provisional": bool, "arithmetic": dict, "sources": dict, "costs": dict,
       "kernels": dict}
KINDS = {str: "text", bool: "true or false", dict: "a table"}


def parse(text: str, name: str, file: str = "") -> Target:
    """A target from the text of a TOML file.

    Args:
        name: the name of the target.
        file: the path of the file as messages quote it; empty for a target that comes with the compiler.

    Raises:
        CompileError: SNN102 with all problems, each with its line.
    """
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as e:  # also of integers of more digits than Python converts
        fail("SNN102", f"file {file}" if file else f"target {shorten(name)}", str(e)[:200], "TOML")
    return _target(FigureReader(text, name, file), table)


def figure_value(text: str) -> Any:
    """The value of a figure in the notation of TOML; a text that is none stands for itself, and `none` for None.

    >>> figure_value("4"), figure_value("[1,2]"), figure_value("lists"), figure_value("none")
    (4, [1, 2], 'lists', None)
    """
    try:
        return None if text.lower() == "none" else tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _target(reader: FigureReader, table: Mapping[str, Any]) -> Target:
    for key in [k for k in table if k not in TOP and k not in SECTIONS]:
        reader.unknown("", key, (*TOP, *SECTIONS))
    for key, kind in {**TOP, **dict.fromkeys(SECTIONS, dict)}.items():
        if key in table and not isinstance(table[key], kind):
            reader.wrong("", key, repr(table[key]), KINDS[kind])
    if "title" not in table:
        reader.problems.error("SNN102", reader.place("", ""), "no title", 'title = "..."')
    tables = {k: v for k, v in table.items() if isinstance(v, dict)}
    reader.sources = {k: str(v)[:MAX_TEXT] for k, v in tables.get("sources", {}).items()}
    arithmetic = reader.figures("arithmetic", Arithmetic, tables.get("arithmetic", {}))
    sections = {n: kind(**reader.figures(n, kind, tables.get(n, {}))) for n, kind in SECTIONS.items()}
    fabric = sections["fabric"]
    if len(fabric.block_widths or ()) != len(fabric.block_depths or ()):
        reader.wrong("fabric", "block_depths", f"{len(fabric.block_depths or ())} depths",
                     f"{len(fabric.block_widths or ())}, one for each of the block_widths")
    costs = {n: Costs(**_profile(reader, n, v)) for n, v in tables.get("costs", {}).items()}
    kernels = reader.numbers("kernels", tables.get("kernels", {}))
    reader.problems.finish()
    return Target(reader.name, table["title"], table.get("backend"), table.get("provisional", False),
                  Arithmetic(**arithmetic), **sections, costs=costs, kernels=kernels, origins=reader.origins)


def _profile(reader: FigureReader, name: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        reader.wrong("costs", name, repr(values), "a table")
        return {}
    return reader.figures(f"costs.{name}", Costs, values)
