"""Functions that are printed once, however many projections or populations call them.

A kernel or an update is written with the names of its parameters and none of its population. Where two have the same
text, one function does for both, so that a compiler translates each distinct loop once. Numbers in which the texts
differ, such as thresholds, become parameters; numbers that agree stay in the text, where a compiler can use them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from snncompile.backends.c.types import literal

if TYPE_CHECKING:
    from snncompile.backends.c.context import KernelView, UpdateView

    Content: TypeAlias = KernelView | UpdateView

MARK = re.compile(r"@(\d+)@")
"""Stands in a body for the number at this position of `Body.numbers`. No C holds this character."""


@dataclass(frozen=True)
class Parameter:
    """A pointer that a function takes: its declaration without the name, its name, and what is passed."""

    kind: str
    name: str
    argument: str


@dataclass(frozen=True)
class Number:
    """A number in a body, and the type that it has as a parameter."""

    kind: str
    value: int


@dataclass(frozen=True)
class Body:
    """What a function computes, for one caller.

    Attributes:
        word: what kind of function it is; it becomes part of the name.
        label: a comment.
        parameters: everything that the text may name, apart from its own variables.
        text: C statements, with marks for numbers.
        numbers: the numbers that the marks stand for.
        content: the kernel or update that the text was printed from.
    """

    word: str
    label: str
    parameters: tuple[Parameter, ...]
    text: str
    numbers: tuple[Number, ...] = ()
    content: Content | None = None

    @property
    def used(self) -> tuple[Parameter, ...]:
        """The parameters that the text names."""
        words = frozenset(re.findall(r"\w+", self.text))
        return tuple(p for p in self.parameters if p.name in words)

    def text_with(self, parameters: Collection[int]) -> str:
        """The text with its numbers in it; those at these positions are parameters `nPOSITION`."""
        def shown(mark: re.Match[str]) -> str:
            position = int(mark[1])
            return f"n{position}" if position in parameters else literal(self.numbers[position].value)

        return MARK.sub(shown, self.text)

    @property
    def shape(self) -> object:
        """What two bodies have in common that one function can stand for."""
        return (self.word, self.text, tuple((p.kind, p.name) for p in self.used), tuple(n.kind for n in self.numbers))


@dataclass(frozen=True)
class Function:
    """A function of the emitted program.

    Attributes:
        parameters: the declarations of its parameters.
        shared: whether it is called from more than one place.
        content: the kernel or update of the first body that it stands for.
    """

    name: str
    label: str
    parameters: str
    text: str
    shared: bool
    content: Content | None


def functions(bodies: Iterable[Body], prefix: str) -> tuple[tuple[Function, ...], tuple[str, ...]]:
    """As few functions as bodies of this order need, and for each body the C expression that calls its function.

    Args:
        prefix: begins the names of the functions.
    """
    groups: dict[object, list[int]] = {}
    every = list(bodies)
    for i, body in enumerate(every):
        groups.setdefault(body.shape, []).append(i)
    calls, made = [""] * len(every), list[Function]()
    for members in groups.values():
        first = every[members[0]]
        name = f"{prefix}_{first.word.upper()}{len(made)}"
        named = sorted({int(k) for k in MARK.findall(first.text)})
        differ = [k for k in named if len({every[i].numbers[k].value for i in members}) > 1]
        declared = [f"{p.kind}{p.name}" for p in first.used] + [f"const {first.numbers[k].kind} n{k}" for k in differ]
        made.append(Function(name, first.label, ", ".join(declared) or "void", first.text_with(differ),
                             len(members) > 1, first.content))
        for i in members:
            passed = [p.argument for p in every[i].used] + [literal(every[i].numbers[k].value) for k in differ]
            calls[i] = f"{name}({', '.join(passed)})"
    return tuple(made), tuple(calls)
