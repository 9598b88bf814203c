"""The tape: the calls of a recorded forward pass, with references in place of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from snncompile.diagnostics import shorten
from torch import Tensor, nn

MAX_NESTING = 32
Report: TypeAlias = Callable[[str, str, str], None]
"""A function that records a problem; its arguments are the place, what was found there, and a help text."""


@dataclass(frozen=True)
class Ref:
    """A tensor that a recorded call returned.

    Attributes:
        call: the position of the call on the tape.
        slot: the position of the tensor among the results of the call.
    """

    call: int
    slot: int = 0


@dataclass(frozen=True, eq=False)
class Const:
    """A tensor that existed before the forward pass: a parameter, a buffer, or an attribute of a module."""

    value: Tensor


@dataclass(frozen=True)
class Untracked:
    """A tensor whose origin is not known; `why` is the text for the user."""

    why: str


@dataclass(frozen=True)
class ModulePlace:
    """The module in which a call was made.

    Attributes:
        path: dotted path from the network, empty for the network itself.
        kind: name of the module's class.
        single: whether the module has no submodules.
    """

    path: str
    kind: str
    single: bool

    def __str__(self) -> str:
        return f"module {shorten(self.path)} ({self.kind})" if self.path else f"the network ({self.kind})"


@dataclass(eq=False)
class RecordedCall:
    """One call of a torch function or of a neuron module.

    Attributes:
        name: name of the torch function without underscores; `neuron` for a neuron module, `input` for an input.
        where: the module that made the call, or the neuron module itself.
        args, kwargs: the arguments, with a `Ref`, `Const` or `Untracked` in place of each tensor.
        line: file, line number and bytecode offset of the calling code, the nearest outside torch and this package.
        results: the tensors that the call returned, in order.
        neuron: the neuron module, None for other calls.
        keeps_state: whether the neuron module changed its own state, so that it keeps it for its next call.
        entries: for a neuron module, for each tensor that it returned the entry of the returned tuple that holds it.
        random: whether torch's generator drew numbers for it.
        kept: for a neuron module, the attributes that hold its states after the call, which are the last `results`.
    """

    name: str
    where: ModulePlace
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    line: tuple[str, int, int] = ("", 0, 0)
    results: list[Tensor] = field(default_factory=list)
    neuron: nn.Module | None = None
    keeps_state: bool = False
    entries: tuple[int, ...] = ()
    kept: tuple[str, ...] = ()
    random: bool = False

    @property
    def place(self) -> str:
        """The place for a diagnostic: the module, and the user's line unless the module has no submodules."""
        file, line, _ = self.line
        path_suffices = (self.where.single and self.where.path) or not file
        return str(self.where) if path_suffices else f"{self.where}, {Path(file).name} line {line}"


@dataclass(frozen=True)
class Tape:
    """A recorded forward pass.

    Attributes:
        calls: the calls in the order in which they were made.
        returned: what `forward` returned, with references in place of tensors.
        rounded: the constants that the pass rounds, by the `id` of the tensor, with the step of the rounding where a
            call says it.
    """

    calls: list[RecordedCall]
    returned: Any
    rounded: Mapping[int, Tensor | None] = field(default_factory=dict)

    @cached_property
    def sources(self) -> list[tuple[int, ...]]:
        """For every call, the positions of the calls whose results are among its arguments."""
        return [tuple(r.call for r in references((call.args, call.kwargs))) for call in self.calls]


def tensors_in(value: Any, depth: int = 0) -> Iterator[Tensor]:
    """The tensors in nested lists, tuples and dicts, in order."""
    if isinstance(value, Tensor):
        yield value
    elif depth < MAX_NESTING and isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(item, depth + 1)


def map_leaves(value: Any, function: Callable[[Any], Any], depth: int = 0) -> Any:
    """Nested lists, tuples and dicts with the function applied to every leaf. Named tuples become plain tuples."""
    if not isinstance(value, (list, tuple, dict)) or depth >= MAX_NESTING:
        return function(value)
    if isinstance(value, dict):
        return {k: map_leaves(v, function, depth + 1) for k, v in value.items()}
    items = [map_leaves(v, function, depth + 1) for v in value]
    return items if isinstance(value, list) else tuple(items)


def leaves_of(value: Any) -> list[Any]:
    """All leaves of nested lists, tuples and dicts, in order."""
    leaves: list[Any] = []
    map_leaves(value, leaves.append)
    return leaves


def references(value: Any) -> list[Ref]:
    """The references in nested lists, tuples and dicts, in order."""
    return [leaf for leaf in leaves_of(value) if isinstance(leaf, Ref)]
