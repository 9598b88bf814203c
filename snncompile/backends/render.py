"""Templates of emitted files. A name that is missing in a template's context is an error, and no text is escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def strict_environment() -> Environment:
    """A new Jinja environment for `snncompile/templates`, to which a backend may add filters and functions."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("snncompile"), undefined=StrictUndefined, trim_blocks=True,
                       lstrip_blocks=True, keep_trailing_newline=True, autoescape=False)


@cache
def environment() -> Environment:
    """The environment of templates without filters of their own."""
    return strict_environment()


def render(template: str, **context: Any) -> str:
    """The text of a template with this path in `snncompile/templates`, filled in from the context."""
    return environment().get_template(template).render(**context)
