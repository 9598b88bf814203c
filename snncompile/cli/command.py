"""Commands from plain functions, each of which ends in an answer or a refusal."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import typer

from snncompile.cli.group import OptionGroup, flag_of
from snncompile.cli.out import Out
from snncompile.diagnostics import CompileError

Work = Callable[..., dict[str, Any]]


def command(app: typer.Typer, name: str) -> Callable[[Work], Work]:
    """Register a function as a command.

    A parameter whose type is an `OptionGroup` stands for the options of that group; one of them is an `Out`. The
    function returns what `--json` prints. A `CompileError` that it raises is printed and decides the exit code.
    """
    def register(work: Work) -> Work:
        signature = inspect.signature(work, eval_str=True)
        groups: dict[str, type[OptionGroup]] = {n: p.annotation for n, p in signature.parameters.items()
                                                if _is_group(p.annotation)}

        def call(**given: Any) -> None:
            values = {n: group.of({option: given.pop(option) for option in group.options()})
                      for n, group in groups.items()}
            out = next(v for v in values.values() if isinstance(v, Out))
            out.flags = flags
            try:
                answer = work(**values, **given)
            except CompileError as e:
                raise typer.Exit(out.refuse(e.diagnostics)) from None
            out.answer(answer)

        parameters = list(_parameters(signature))
        flags = dict(_flags(parameters))
        call.__doc__ = work.__doc__
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        call.__dict__["__signature__"] = inspect.Signature(parameters)
        app.command(name)(call)
        return work

    return register


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, OptionGroup)


def _parameters(signature: inspect.Signature) -> Iterator[inspect.Parameter]:
    """The function's parameters, each group replaced by its options; all are passed by keyword."""
    for name, parameter in signature.parameters.items():
        options = parameter.annotation.options() if _is_group(parameter.annotation) else {
            name: (parameter.annotation, parameter.default)}
        for option, (annotation, default) in options.items():
            yield inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _flags(parameters: Iterable[inspect.Parameter]) -> Iterator[tuple[str, str]]:
    """The options among the parameters, each with the flag that the user types."""
    for parameter in parameters:
        for info in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(info, typer.models.OptionInfo):
                declared = [text for text in info.param_decls or () if text.startswith("--")]
                yield parameter.name, (declared or [flag_of(parameter.name)])[0]
