"""The templates of the C backend, and the text of each kernel."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from snncompile.backends.c.types import c_type_of, literal
from snncompile.backends.render import strict_environment

if TYPE_CHECKING:
    from jinja2 import Environment

    from snncompile.backends.c.context import KernelView, Projection


@cache
def environment() -> Environment:
    env = strict_environment()
    env.filters["ctype"] = c_type_of
    env.globals.update(literal=literal, lowest=_lowest, kernel_text=kernel_text)
    return env


def render(template: str, **context: Any) -> str:
    """The text of a template of `snncompile/templates/c`."""
    return environment().get_template(f"c/{template}").render(**context)


def kernel_text(kernel: KernelView, projection: Projection) -> str:
    """The statements of a kernel: from its own text, or the template of its name."""
    env, own = environment(), kernel.texts.get("c")
    template = env.get_template(f"c/kernels/{kernel.name}.c.j2") if own is None else env.from_string(own)
    return template.render(k=kernel, index=projection.index_type, name=projection.name)


def _lowest(kind: str) -> str:
    """The C constant of the smallest value of a type."""
    return "0" if kind.startswith("u") else kind.replace("_t", "").upper() + "_MIN"
