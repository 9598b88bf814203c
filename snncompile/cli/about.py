"""`snnc explain` and `snnc targets`: what the compiler knows about itself."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

import typer

from snncompile.cli.out import Out
from snncompile.codes import CODES
from snncompile.diagnostics import fail, shorten


def explain(
    out: Out,
    code: Annotated[str | None, typer.Argument(
        metavar="CODE", help="A diagnostic's code, such as SNN203; without it, all are listed.",
        show_default=False)] = None,
) -> dict[str, Any]:
    """Explain a diagnostic."""
    if code is None:
        out.table(("code", "title"), [(name, entry.title) for name, entry in CODES.items()])
        return {"codes": {name: entry.title for name, entry in CODES.items()}}
    name = code.upper() if code.upper().startswith("SNN") else f"SNN{code}"
    if name not in CODES:
        near = difflib.get_close_matches(name, CODES, 3)
        fail("SNN701", "argument CODE", shorten(code), f"SNN101 to {list(CODES)[-1]}",
             f"did you mean {' or '.join(near)}?" if near else "snnc explain lists them")
    entry = CODES[name]
    out.say(f"{name}: {entry.title}\n")
    out.say(entry.explanation, wrap=True)
    return {"code": name, "title": entry.title, "explanation": entry.explanation}


def targets(
    out: Out,
    name: Annotated[str | None, typer.Argument(
        metavar="NAME", help="A target's name, or its .toml file; without it, all are listed.",
        show_default=False)] = None,
) -> dict[str, Any]:
    """List the targets, or show one."""
    from snncompile.targets.target import NAMES, load_target

    if name is None:
        known = [load_target(n) for n in NAMES]
        out.table(("target", "title", "backend"), [(t.name, t.title, t.backend) for t in known])
        return {"targets": [{"name": t.name, "title": t.title, "backend": t.backend} for t in known]}
    target = load_target(name)
    facts = {"name": target.name, "title": target.title, "backend": target.backend, "graded": target.graded}
    numbers = dict(target.arithmetic)
    out.table(("fact", "value"), [*facts.items(), *((f"arithmetic.{k}", v) for k, v in numbers.items())])
    return {**facts, "arithmetic": numbers}
