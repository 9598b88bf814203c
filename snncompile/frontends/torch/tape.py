"""A recorded forward pass: its calls, with references in place of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from snncompile.diagnostics import shorten
from torch import Tensor, nn

MAX_NESTING = 32
Report: TypeAlias = Callable[[str, str, str], None]
"""Called with a place, what was found there, and a help."""


@dataclass(frozen=True)
class Ref:
    """The result `slot` of the call at position `call`."""

    call: int
    slot: int = 0


@dataclass(frozen=True, eq=False)
class Const:
    """A tensor that was there before the pass."""

    value: Tensor


@dataclass(frozen=True)
class Lost:
    """A tensor that cannot be followed, and why."""

    why: str


@dataclass(frozen=True)
class Where:
    """A module: its path from the top, its class, and whether it holds no others."""

    path: str
    kind: str
    single: bool

    def __str__(self) -> str:
        return f"module {shorten(self.path)} ({self.kind})" if self.path else f"the network ({self.kind})"


@dataclass(eq=False)
class Call:
    """One call.

    Attributes:
        name: of the torch function, without underscores; `neuron` for a neuron module, `input` for an input.
        args, kwargs: with `Ref`, `Const` or `Lost` for tensors.
        line: the file, line and instruction of the code outside torch that made it.
        results: the tensors it gave, in order.
        neuron: the neuron module.
        keeps: whether the neuron module keeps a state from this call to the next.
        top: for a neuron, which result belongs to which entry of what `forward` returned.
    """

    name: str
    where: Where
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    line: tuple[str, int, int] = ("", 0, 0)
    results: list[Tensor] = field(default_factory=list)
    neuron: nn.Module | None = None
    keeps: bool = False
    top: tuple[int, ...] = ()

    @property
    def place(self) -> str:
        """The module, and the line where it stands in a file of the user's."""
        file, line, _ = self.line
        known = (self.where.single and self.where.path) or not file
        return str(self.where) if known else f"{self.where}, {Path(file).name} line {line}"


@dataclass(frozen=True)
class Tape:
    """A recorded pass: its calls, and what `forward` returned, with references for tensors."""

    calls: list[Call]
    returned: Any

    @cached_property
    def sources(self) -> list[tuple[int, ...]]:
        """For every call, the calls whose results it was given."""
        return [tuple(r.call for r in references((call.args, call.kwargs))) for call in self.calls]


def tensors_in(value: Any, depth: int = 0) -> Iterator[Tensor]:
    """The tensors in nested lists, tuples and dicts, in order."""
    if isinstance(value, Tensor):
        yield value
    elif depth < MAX_NESTING and isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(item, depth + 1)


def replaced(value: Any, swap: Callable[[Any], Any], depth: int = 0) -> Any:
    """Nested data with every leaf replaced; named tuples become tuples."""
    if not isinstance(value, (list, tuple, dict)) or depth >= MAX_NESTING:
        return swap(value)
    if isinstance(value, dict):
        return {k: replaced(v, swap, depth + 1) for k, v in value.items()}
    items = [replaced(v, swap, depth + 1) for v in value]
    return items if isinstance(value, list) else tuple(items)


def references(value: Any) -> list[Ref]:
    """The references in nested data."""
    found: list[Any] = []
    replaced(value, found.append)
    return [r for r in found if isinstance(r, Ref)]
