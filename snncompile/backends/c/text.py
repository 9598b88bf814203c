"""The texts of the C backend: its templates, and the templates of its kernels."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from snncompile.backends.c.types import c_type_of, literal
from snncompile.backends.render import strict_environment

if TYPE_CHECKING:
    from jinja2 import Environment

    from snncompile.backends.c.context import KernelView

HELPER = re.compile(r"\bsnn_(?=[a-z])")
"""The beginning of the name of a helper function in a template."""


@cache
def environment() -> Environment:
    """The environment of the C templates, with the filter `ctype` and the functions that they call."""
    env = strict_environment()
    env.filters["ctype"] = c_type_of
    env.globals.update(literal=literal, lowest=_lowest)
    return env


def own_helpers(text: str, prefix: str) -> str:
    """A text in which the names of helper functions begin with the prefix of the network.

    Templates call them `snn_NAME`; the program has `PREFIX_SNN_NAME`, so that several networks can be one translation
    unit. No other identifier begins with `snn_`, see `backends.names`.
    """
    return HELPER.sub(f"{prefix}_SNN_", text)


def render(template: str, **context: Any) -> str:
    """The text of a template of `snncompile/templates/c`, filled in from the context."""
    return environment().get_template(f"c/{template}").render(**context)


def kernel_text(kernel: KernelView, index: str) -> str:
    """The C statements of a kernel, from the text of its class or else from the template `kernels/NAME.c.j2`.

    A template is given `k`, the kernel, and `index`, the type of the indices of events. Its statements name `src`,
    `dst`, the constants of the kernel, and its scratch memory: `found`, the list of events, and `bits`.
    """
    env, own = environment(), kernel.texts.get("c")
    template = env.get_template(f"c/kernels/{kernel.name}.c.j2") if own is None else env.from_string(own)
    return template.render(k=kernel, index=index)


def _lowest(kind: str) -> str:
    """The smallest value of an integer type, as a C constant."""
    return "0" if kind.startswith("u") else kind.replace("_t", "").upper() + "_MIN"
