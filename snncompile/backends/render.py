"""Strict templates: everything a template names must be in its context, and nothing is escaped or guessed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from snncompile.backends.c.expressions import literal
from snncompile.backends.c.layout import c_type_of

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    env = Environment(loader=PackageLoader("snncompile"), undefined=StrictUndefined, trim_blocks=True,
                      lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)
    env.filters["ctype"] = c_type_of
    env.globals.update(literal=literal, lowest=_lowest)
    return env


def render(template: str, **context: Any) -> str:
    """The text of a template of `snncompile/templates`."""
    return environment().get_template(template).render(**context)


def _lowest(kind: str) -> str:
    """The C constant of the smallest value of a type."""
    return "0" if kind.startswith("u") else kind.replace("_t", "").upper() + "_MIN"
