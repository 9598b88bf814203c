"""`snnc explain` and `snnc targets`: the diagnostics and the targets of the compiler."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli import complete
from snncompile.cli.out import Out
from snncompile.diagnostics import did_you_mean, fail, shorten
from snncompile.diagnostics.codes import CODES

if TYPE_CHECKING:
    from snncompile.targets.figures import Figure
    from snncompile.targets.target import Target

PROVISIONAL = "provisional"


def explain(
    out: Out,
    code: Annotated[str | None, typer.Argument(
        metavar="CODE", autocompletion=complete.codes,
        help="A diagnostic's code, such as SNN203; all are listed without it.",
        show_default=False)] = None,
) -> dict[str, Any]:
    """Explain a diagnostic."""
    if code is None:
        out.table(("code", "title"), [(name, entry.title) for name, entry in CODES.items()])
        return {"codes": {name: entry.title for name, entry in CODES.items()}}
    name = code.upper() if code.upper().startswith("SNN") else f"SNN{code}"
    if name not in CODES:
        fail("SNN701", "argument CODE", shorten(code), f"SNN101 to {list(CODES)[-1]}",
             did_you_mean(name, CODES, 3) or "snnc explain lists them")
    entry = CODES[name]
    out.say(f"{name}: {entry.title}\n")
    out.say(entry.explanation, wrap=True)
    return {"code": name, "title": entry.title, "explanation": entry.explanation}


def targets(
    out: Out,
    name: Annotated[str | None, typer.Argument(
        metavar="NAME", autocompletion=complete.targets,
        help="A target's name, or its .toml file; all are listed without it.",
        show_default=False)] = None,
) -> dict[str, Any]:
    """List the targets, or show one."""
    from snncompile.targets.load import NAMES, load_target

    if name is None:
        known = [load_target(n) for n in NAMES]
        out.table(("target", "title", "#cores", "emits", ""), [
            (t.name, t.title, "" if t.limits.cores is None else f"{t.limits.cores:,}", t.backend or "nothing",
             PROVISIONAL if t.provisional else "") for t in known])
        out.say("\nsnnc targets NAME shows every figure with its source")
        return {"targets": [_head(t) for t in known]}
    target = load_target(name)
    figures = [_figure(f) for f in target.figures()]
    out.say(f"{target.name}: {target.title}{f' ({PROVISIONAL})' if target.provisional else ''}\n")
    out.table(("figure", "value", "meaning", "source"), [
        (f["key"], _value(f["value"]), f["what"],
         f["source"] + (f" ({PROVISIONAL})" if f["provisional"] else "")) for f in figures])
    arithmetic = dataclasses.asdict(target.arithmetic)
    out.table(("default", "value"), [(f"arithmetic.{n}", "automatic" if v is None else v)
                                     for n, v in arithmetic.items()])
    return {**_head(target), "figures": figures, "arithmetic": arithmetic}


def _head(target: Target) -> dict[str, Any]:
    return {"name": target.name, "title": target.title, "backend": target.backend, "provisional": target.provisional}


def _figure(figure: Figure) -> dict[str, Any]:
    return {"key": figure.key, "value": figure.value, "what": figure.what, "source": figure.origin.source,
            "provisional": figure.origin.provisional}


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(_value, value))
    return f"{value:,}" if isinstance(value, int) else str(value)
