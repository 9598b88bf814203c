"""Reads the fields of a NetX layer as whole numbers within a range.

A field that is not as it must be is recorded as a problem, and replaced by a value within the range, so that reading
goes on and all problems are reported together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from snncompile.diagnostics import Collector, Diagnostic
from snncompile.ir.types import Array, Shape

LAYER = re.compile(r"layer (\d+)(?: \(\w+\))?")
MAX_NAMED = 8


class LayerProblems(Collector):
    """Gathers the problems of a file's layers; what is wrong with several layers in the same way is one problem."""

    def finish(self) -> tuple[Diagnostic, ...]:
        kinds: dict[Diagnostic, list[Diagnostic]] = {}
        for problem in self.found:
            kinds.setdefault(replace(problem, place=LAYER.sub("layer", problem.place, count=1)), []).append(problem)
        self.found = [same[0] if len(same) == 1 else replace(same[0], place=_of_several(same))
                      for same in kinds.values()]
        return super().finish()


def _of_several(problems: list[Diagnostic]) -> str:
    """The place of problems that differ in their layer only."""
    numbers = [m[1] for m in (LAYER.search(p.place) for p in problems) if m]
    named = ", ".join(numbers[:MAX_NAMED]) + (f", ... ({len(numbers)} layers)" if len(numbers) > MAX_NAMED else "")
    return LAYER.sub(f"layers {named}", problems[0].place, count=1)


@dataclass(frozen=True)
class Numbers:
    """The fields of one layer or neuron.

    Attributes:
        fields: the arrays of the file, by name.
        place: the name of the layer or neuron in messages.
        problems: receives the problems of its fields.
    """

    fields: Mapping[str, Array]
    place: str
    problems: Collector

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def problem(self, name: str, found: str, expected: str, help: str = "") -> None:
        """Record an error (SNN102) of a field; `found`, `expected` and `help` are those of `Diagnostic`."""
        self.problems.error("SNN102", f"{self.place}, {name}", found, expected, help)

    def whole(self, name: str, low: int, high: int) -> Array:
        """The numbers of a field as int64; a missing field is the number 0.

        After a problem, all numbers are 0, or the end of the range that is nearest to 0.

        Args:
            low: the smallest allowed value.
            high: the largest allowed value.
        """
        values = self.fields.get(name, np.zeros((), np.int64))
        if not np.isfinite(values).all() or np.any(values != np.rint(values)):
            self.problem(name, "fractions, NaN or infinite values", "whole numbers",
                         "export the network with quantized weights")
        elif values.size and (values.min() < low or values.max() > high):
            self.problem(name, f"values from {values.min():g} to {values.max():g}", f"values from {low} to {high}")
        else:
            return np.asarray(values, np.int64)
        return np.full(values.shape, min(max(0, low), high), np.int64)

    def number(self, name: str, low: int, high: int, default: int = 0) -> int:
        """The single number of a field, or the default where the file lacks the field."""
        if name not in self:
            return default
        values = self.whole(name, low, high)
        if values.size != 1:
            self.problem(name, f"an array of shape {list(values.shape)}", "one number")
            return min(max(0, low), high)
        return int(values.reshape(()))

    def by_channel(self, name: str, low: int, high: int, shape: Shape) -> int | Array:
        """The single number of a field, or one for each channel of `shape`, `[channel, 1, ...]`."""
        values = self.whole(name, low, high).reshape(-1)
        if values.size not in (1, shape[0]):
            self.problem(name, f"{values.size} numbers", f"one number, or {shape[0]}")
            values = values[:1] if values.size else np.zeros(1, np.int64)
        return int(values[0]) if values.size != shape[0] else values.reshape(-1, *(1,) * (len(shape) - 1))

    def pair(self, name: str, low: int, high: int) -> tuple[int, int]:
        """The two numbers of a field, for height and width; a single number stands for both."""
        values = self.whole(name, low, high).reshape(-1)
        if values.size not in (1, 2):
            self.problem(name, f"{values.size} numbers", "one number, or two: height and width")
            return max(low, 0), max(low, 0)
        return int(values[0]), int(values[-1])

    def shape(self, name: str, most: int) -> Shape:
        """A shape of one to three axes, with at most `most` values in all."""
        values = self.whole(name, 1, most).reshape(-1).tolist()
        if not 1 <= len(values) <= 3 or np.prod(values, dtype=object) > most:
            self.problem(name, f"{values[:8]}", f"one to three axes, and at most {most} values in all")
            return (1,)
        return tuple(values)
