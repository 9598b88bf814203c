"""Strict templates: everything a template names must be in its context, and nothing is escaped or guessed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def strict_environment() -> Environment:
    """A fresh environment for the templates of `snncompile/templates`, to which a backend may add its own words."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("snncompile"), undefined=StrictUndefined, trim_blocks=True,
                       lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)


@cache
def environment() -> Environment:
    return strict_environment()


def render(template: str, **context: Any) -> str:
    """The text of a template of `snncompile/templates`."""
    return environment().get_template(template).render(**context)
