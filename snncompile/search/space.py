"""`Space`: a finite set of candidates, given by named choices and a function that builds the graph of one pick.

    def graph(width, kernel):
        return Net((2, 16, 16)).conv(width, kernel).lif(decay=0.5).linear(10).lif(decay=0.5).graph()

    space = Space("small", {"width": (16, 32), "kernel": (3, 5)}, graph)
    space.size, space.pick(3)          # 4, {"width": 32, "kernel": 5}
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array

Pick = dict[str, Any]
"""The value that was picked of each choice, by the name of the choice."""
MAX_CHOICES = 1 << 16
"""The most choices of a space, and the most values of a choice."""


@dataclass(frozen=True)
class Space:
    """Candidates that are numbered as in `itertools.product`: the last choice changes fastest.

    Attributes:
        name: of the space, in results and messages.
        choices: the values of each choice, in order, by its name.
        graph: builds the graph of a candidate from one value of each choice, given by name. Its weights may be bare
            shapes.

    Raises:
        CompileError: SNN404 for a choice without values, or a name that is no text.
    """

    name: str
    choices: Mapping[str, Sequence[Any]]
    graph: Callable[..., Graph]

    def __post_init__(self) -> None:
        if len(self.choices) > MAX_CHOICES:
            fail("SNN404", f"space {shorten(self.name)}", f"{len(self.choices)} choices", f"at most {MAX_CHOICES}")
        for name in (self.name, *self.choices):
            if not isinstance(name, str):
                fail("SNN404", f"space {shorten(self.name)}, name", f"{shorten(name)} of type {type(name).__name__}",
                     "text")
        if not callable(self.graph):
            fail("SNN404", f"space {shorten(self.name)}, graph", shorten(self.graph), "a function that builds a graph")
        object.__setattr__(self, "choices", {name: tuple(islice(values, MAX_CHOICES + 1))
                                              for name, values in self.choices.items()})
        for name, values in self.choices.items():
            if not 1 <= len(values) <= MAX_CHOICES:
                fail("SNN404", f"space {shorten(self.name)}, choice {shorten(name)}",
                     f"more than {MAX_CHOICES:,} values" if values else "no values", f"1 to {MAX_CHOICES:,} values")

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each choice."""
        return tuple(map(len, self.choices.values()))

    @property
    def size(self) -> int:
        """The number of candidates."""
        return math.prod(self.sizes)

    def places(self, index: int) -> tuple[int, ...]:
        """Which value of each choice a candidate has, by its place among the values of the choice.

        Raises:
            CompileError: SNN404 for a number that no candidate has.
        """
        if not 0 <= index < self.size:
            fail("SNN404", f"space {shorten(self.name)}, index", f"{index:,}", f"0 to {self.size - 1:,}")
        places = []
        for size in reversed(self.sizes):
            index, place = divmod(index, size)
            places.append(place)
        return tuple(reversed(places))

    def pick(self, index: int) -> Pick:
        """The candidate with a number. Raises SNN404 for a number that no candidate has."""
        return {name: values[place] for (name, values), place in
                zip(self.choices.items(), self.places(index), strict=True)}

    def index(self, pick: Mapping[str, Any]) -> int:
        """The number of a candidate.

        Raises:
            CompileError: SNN404 for a choice that the space lacks or the candidate leaves out, or a value that the
                choice does not have.
        """
        if set(pick) != set(self.choices):
            wrong = sorted(map(str, set(pick) ^ set(self.choices)))
            fail("SNN404", f"space {shorten(self.name)}", f"choices {', '.join(map(shorten, wrong))}",
                 ", ".join(map(shorten, self.choices)))
        index = 0
        for name, values in self.choices.items():
            if pick[name] not in values:
                fail("SNN404", f"space {shorten(self.name)}, {shorten(name)}", shorten(pick[name]),
                     ", ".join(map(shorten, values)))
            index = index * len(values) + values.index(pick[name])
        return index

    def build(self, index: int) -> Graph:
        """The graph of the candidate with a number."""
        return self.graph(**self.pick(index))

    def __iter__(self) -> Iterator[Pick]:
        """All candidates, in the order of their numbers."""
        return map(self.pick, range(self.size))


def numbers_of_candidates(numbers: Iterable[int]) -> Array:
    """Numbers of candidates as an array: Python's own integers where 63 bits are too few.

    NumPy would make real numbers of a small and a very large one together, and lose their last digits.

    >>> numbers_of_candidates([5, 2**63 + 1]).tolist() == [5, 2**63 + 1]
    True
    """
    if isinstance(numbers, np.ndarray):
        return numbers
    ends = (numbers[0], numbers[-1]) if isinstance(numbers, range) and numbers else None
    listed = numbers if ends else list(numbers)
    fit = all(n < 1 << 63 for n in (ends or listed))
    return np.array(listed, np.int64 if fit else object)


def divided(numbers: Array, by: int) -> tuple[Array, Array]:
    """The quotients and the remainders of whole numbers of at least 0. NumPy has no `divmod` of Python's integers."""
    return numbers // by, (numbers % by).astype(np.int64)
