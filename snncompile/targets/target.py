"""Targets: frozen data, read from TOML. No pass or backend ever asks a target's name."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from snncompile.diagnostics import fail, shorten

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 1 << 20
NAMES = ("c99",)
"""The targets that come with the compiler, each a .toml file beside this one."""


@dataclass(frozen=True)
class Target:
    """What networks are compiled for.

    Attributes:
        backend: the backend that emits for it.
        graded: whether populations may send graded values to each other.
        arithmetic: defaults of the integer representation, by the names of `passes.arithmetic.Arithmetic`.
    """

    name: str
    title: str
    backend: str
    graded: bool = True
    arithmetic: Mapping[str, Any] = field(default_factory=dict)


def load_target(source: str | Path | Target) -> Target:
    """A target by name, or from the user's own TOML file.

    Raises:
        CompileError: SNN404 for a name that is not known, SNN101 and SNN102 for a file that can't be used.
    """
    if isinstance(source, Target):
        return source
    text = str(source)
    if not text.endswith(".toml"):
        if text not in NAMES:
            fail("SNN404", "option target", shorten(text), ", ".join(NAMES), "or the path of a .toml file")
        return parse(files("snncompile.targets").joinpath(f"{text}.toml").read_text("utf-8"), text)
    path = Path(text)
    try:
        if path.stat().st_size > MAX_BYTES:
            fail("SNN103", f"file {shorten(path)}", f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
        content = path.read_text("utf-8")
    except (OSError, ValueError) as e:
        fail("SNN101", f"file {shorten(path)}", str(e)[:200])
    return parse(content, path.stem)


def parse(text: str, name: str) -> Target:
    """A target from TOML text."""
    place = f"target {shorten(name)}"
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        fail("SNN102", place, str(e)[:200], "TOML")
    known = {"title": str, "backend": str, "graded": bool, "arithmetic": dict}
    for key, value in table.items():
        if key not in known or not isinstance(value, known[key]):
            fail("SNN102", f"{place}, {shorten(key)}", repr(value)[:60],
                 ", ".join(f"{k}: {v.__name__}" for k, v in known.items()))
    missing = [k for k in ("title", "backend") if k not in table]
    if missing:
        fail("SNN102", place, f"no {missing[0]}")
    return Target(name, **table)
