"""Whole signatures of the functions that pass options on: each option by its name, for editors and `inspect.signature`.

The options are those of the dataclasses and tables that check them; nothing is listed twice. `stub` is the text of
`snncompile/__init__.pyi`, which type checkers read; `make docs` writes it.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from snncompile.targets.arithmetic import AUTO, LAYER_OPTIONS, Arithmetic
from snncompile.targets.folding import FOLDED_LAYER, Folding
from snncompile.targets.program import Program

BASES: Mapping[str, str] = {"whole": "int", "real": "float", "flag": "bool", "whole or word": "int"}
"""The type of a figure by its kind; others are words only."""
TORCH: Mapping[str, str] = {"example_input": "Any"}
"""What `load` takes for PyTorch and nothing else; torch is not imported to ask."""
ONNX: Mapping[str, str] = {"states": "Mapping[str, str] | str | None", "initial": "Mapping[str, Any] | None"}
"""What `load` takes for ONNX and nothing else; the package onnx is not imported to ask."""


def reading() -> dict[str, str]:
    """The options of all readers, with their types."""
    from snncompile.frontends.netx.options import Options
    from snncompile.frontends.nir.conventions import OPTIONS

    nir = {n: _words(o.accepts.split(" | ")) if " | " in o.accepts else "float | str | None"
           for n, o in OPTIONS.items()}
    netx = {f.name: str(f.type) if "None" in str(f.type) else f"{f.type} | None" for f in dataclasses.fields(Options)}
    return {**TORCH, **nir, **ONNX, **netx}


def figures(*groups: Any) -> dict[str, str]:
    """The options of some groups of figures, with their types."""
    return {f.name: _figure(f.name, f.metadata) for group in groups for f in dataclasses.fields(group)}


def _figure(name: str, metadata: Mapping[str, Any]) -> str:
    words = [*metadata["words"], *([AUTO] if name in LAYER_OPTIONS else [])]
    base = [BASES[metadata["kind"]]] if metadata["kind"] in BASES else []
    one = " | ".join([*base, *([_literal(words)] if words else [])])
    many = [f"Mapping[str, {one}]"] if name in (*LAYER_OPTIONS, *FOLDED_LAYER) else []
    return " | ".join([one, *many, "None"])


def _words(words: Iterable[str]) -> str:
    return f"{_literal(words)} | None"


def _literal(words: Iterable[str]) -> str:
    return "Literal[" + ", ".join(f'"{w}"' for w in words) + "]"


OPTIONS: Mapping[str, Callable[[], dict[str, str]]] = {
    "load": reading,
    "check": reading,
    "estimate": reading,
    "compile": lambda: figures(Arithmetic, Folding, Program),
    "losses": lambda: figures(Arithmetic),
    "explore": lambda: figures(Folding),
}
"""The functions of the package that pass options on, and these options."""


def whole(name: str, function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function with its options in place of `**options`.

    An option that is not given is None; or `...` where None is an answer.
    """
    from snncompile.frontends.nir.conventions import NONE_IS_AN_ANSWER

    known = inspect.signature(function)
    own = [p for p in known.parameters.values() if p.kind is not p.VAR_KEYWORD]
    named = {p.name for p in own}
    options = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, annotation=kind,
                                 default=... if n in NONE_IS_AN_ANSWER else None)
               for n, kind in OPTIONS[name]().items() if n not in named]
    return known.replace(parameters=[*own, *options])


HEAD = '''\
"""Made from the code by `make docs`: what type checkers and editors know of the package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

'''


def stub(homes: Mapping[str, str]) -> str:
    """The text of the package's stub.

    Args:
        homes: the module of each public name, within the package.
    """
    plain = [f"from snncompile.{home} import {name} as {name}" for name, home in homes.items() if name not in OPTIONS]
    functions = {n: getattr(import_module(f"snncompile.{homes[n]}"), n) for n in OPTIONS}
    texts = [_function(name, whole(name, function)) for name, function in functions.items()]
    types = sorted({f"from {home} import {name} as {name}" for home, name in _NAMED if any(name in t for t in texts)})
    return HEAD + "\n".join(sorted({*plain, *types})) + "\n\n__version__: str\n\n" + "\n".join(texts)


_NAMED = [("snncompile.cost.estimate", "Cost"), ("snncompile.cost.estimate", "Rate"), ("snncompile.explorer", "Point"),
          ("snncompile.inputs", "Data"), ("snncompile.loss_sources", "Loss"), ("snncompile.targets.verdict", "Verdict"),
          ("snncompile.mapping.partitioned", "Partition"), ("snncompile.mapping.place", "Placement"),
          ("snncompile.targets.layer_options", "Layers"), ("snncompile.targets.layer_options", "Widths"),
          ("snncompile.ir.types", "Shape")]
"""Types that the signatures name and that are not public names themselves."""


def _function(name: str, signature: inspect.Signature) -> str:
    """A function of the stub, with a line for each of its parameters."""
    lines, keywords = [f"def {name}("], False
    for p in signature.parameters.values():
        if p.kind is p.KEYWORD_ONLY and not keywords:
            lines.append("    *,")
            keywords = True
        default = "" if p.default is p.empty else f" = {_value(p.default)}"
        lines.append(f"    {p.name}: {p.annotation}{default},")
    return "\n".join([*lines, f") -> {signature.return_annotation}: ..."]) + "\n"


def _value(default: Any) -> str:
    return "..." if default is ... else f'"{default}"' if isinstance(default, str) else repr(default)
