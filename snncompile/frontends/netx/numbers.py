"""The fields of a layer as whole numbers in range; what is wrong is gathered, and stood in for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncompile.diagnostics import Collector
from snncompile.ir.types import Array, Shape


@dataclass(frozen=True)
class Numbers:
    """The fields of one layer or neuron.

    Attributes:
        place: of the group, for messages.
        found: where problems go; whoever reads goes on with a value that is in range.
    """

    fields: Mapping[str, Array]
    place: str
    found: Collector

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def problem(self, name: str, what: str, limit: str, help: str = "") -> None:
        self.found.error("SNN102", f"{self.place}, {name}", what, limit, help)

    def whole(self, name: str, low: int, high: int) -> Array:
        """The numbers of a field, int64; zeros, or what lies nearest to them, where they are not what they must be."""
        values = self.fields.get(name, np.zeros((), np.int64))
        if not np.isfinite(values).all() or np.any(values != np.rint(values)):
            self.problem(name, "fractions, NaN or infinite values", "whole numbers",
                         "export the network with quantized weights")
        elif values.size and (values.min() < low or values.max() > high):
            self.problem(name, f"values from {values.min():g} to {values.max():g}", f"{low} to {high}")
        else:
            return np.asarray(values, np.int64)
        return np.full(values.shape, min(max(0, low), high), np.int64)

    def number(self, name: str, low: int, high: int, default: int = 0) -> int:
        """The single number of a field, or the default where the file has none."""
        if name not in self:
            return default
        values = self.whole(name, low, high)
        if values.size != 1:
            self.problem(name, f"shape {list(values.shape)}", "one number")
            return min(max(0, low), high)
        return int(values.reshape(()))

    def pair(self, name: str, low: int, high: int) -> tuple[int, int]:
        """Two numbers, along the height and the width; one stands for both."""
        values = self.whole(name, low, high).reshape(-1)
        if values.size not in (1, 2):
            self.problem(name, f"{values.size} numbers", "one number, or two: height and width")
            return max(low, 0), max(low, 0)
        return int(values[0]), int(values[-1])

    def shape(self, name: str, most: int) -> Shape:
        """A shape of one to three axes, of at most so many values in all."""
        values = self.whole(name, 1, most).reshape(-1).tolist()
        if not 1 <= len(values) <= 3 or np.prod(values, dtype=object) > most:
            self.problem(name, f"{values[:8]}", f"one to three axes, {most} values in all")
            return (1,)
        return tuple(values)
