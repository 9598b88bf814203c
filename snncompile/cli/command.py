"""Commands from plain functions: groups of options are dataclasses, and all end in an answer or a refusal."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_origin, get_type_hints

import typer

from snncompile.cli.out import Out
from snncompile.diagnostics import CompileError

Work = Callable[..., dict[str, Any]]


def command(app: typer.Typer, name: str) -> Callable[[Work], Work]:
    """Register a function as a command.

    A parameter whose type is a dataclass stands for the options that its annotated fields declare. The function
    returns what `--json` prints.
    """
    def register(work: Work) -> Work:
        signature = inspect.signature(work, eval_str=True)
        hints = {n: p.annotation for n, p in signature.parameters.items()}
        groups: dict[str, Any] = {n: hint for n, hint in hints.items() if dataclasses.is_dataclass(hint)}

        def call(**given: Any) -> None:
            made = {n: group(**{f: given.pop(f) for f in options_of(group)}) for n, group in groups.items()}
            out = next(v for v in made.values() if isinstance(v, Out))
            try:
                answer = work(**made, **given)
            except CompileError as e:
                raise typer.Exit(out.refuse(e.diagnostics)) from None
            out.answer(answer)

        parameters = list(_parameters(signature))
        call.__doc__ = work.__doc__
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        call.__dict__["__signature__"] = inspect.Signature(parameters)
        app.command(name)(call)
        return work

    return register


def options_of(group: Any) -> Mapping[str, Any]:
    """The annotated fields of a group, which are its options."""
    hints = get_type_hints(group, include_extras=True)
    return {f.name: hints[f.name] for f in dataclasses.fields(group) if get_origin(hints[f.name]) is not None
            and hasattr(hints[f.name], "__metadata__")}


def _parameters(signature: inspect.Signature) -> list[inspect.Parameter]:
    """The function's parameters with groups spread out, all by keyword."""
    found = []
    for name, parameter in signature.parameters.items():
        group = parameter.annotation
        if not dataclasses.is_dataclass(group):
            found.append((name, group, parameter.default))
            continue
        defaults = {f.name: f.default for f in dataclasses.fields(group)}
        found += [(n, hint, defaults[n]) for n, hint in options_of(group).items()]
    return [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
            for n, hint, default in found]
