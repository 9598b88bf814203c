"""Groups of options: a class stands for several options of a command."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, get_origin, get_type_hints


class Option(NamedTuple):
    """A parameter of a command, as typer takes it.

    Attributes:
        annotation: `Annotated[type, typer.Option(...)]`.
        default: the value where the user gives none.
    """

    annotation: Any
    default: Any


def flag_of(name: str) -> str:
    """The flag of an option, `--reset-when` for `reset_when`; `as_` stands for a word that Python reserves."""
    return f"--{name.rstrip('_').replace('_', '-')}"


class OptionGroup:
    """A dataclass whose annotated fields are options; other fields are not.

    A subclass whose options follow from something else than its fields overrides both methods.
    """

    @classmethod
    def options(cls) -> Mapping[str, Option]:
        """The options by the name of the parameter."""
        kind: Any = cls
        hints = get_type_hints(cls, include_extras=True)
        return {f.name: Option(hints[f.name], f.default) for f in dataclasses.fields(kind)
                if get_origin(hints[f.name]) is not None and hasattr(hints[f.name], "__metadata__")}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Any:
        """The group with the values that the user gave, one for each option."""
        return cls(**values)
