"""The texts of the C backend: its templates, and the templates of its kernels."""

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
    """The environment of the C templates, with the filter `ctype` and the functions that they call."""
    env = strict_environment()
    env.filters["ctype"] = c_type_of
    env.globals.update(literal=literal, lowest=_lowest, kernel_text=kernel_text)
    return env


def render(template: str, **context: Any) -> str:
    """The text of a template of `snncompile/templates/c`, filled in from the context."""
    return environment().get_template(f"c/{template}").render(**context)


def kernel_text(kernel: KernelView, projection: Projection) -> str:
    """The C statements of a kernel, from the text of its class or else from the template `kernels/NAME.c.j2`.

    A template is given `k`, the kernel; `index`, the type of the indices of events; and `name`, the member of the
    network's scratch memory that belongs to the projection.
    """
    env, own = environment(), kernel.texts.get("c")
    template = env.get_template(f"c/kernels/{kernel.name}.c.j2") if own is None else env.from_string(own)
    return template.render(k=kernel, index=projection.index_type, name=projection.name)


def _lowest(kind: str) -> str:
    """The smallest value of an integer type, as a C constant."""
    return "0" if kind.startswith("u") else kind.replace("_t", "").upper() + "_MIN"
