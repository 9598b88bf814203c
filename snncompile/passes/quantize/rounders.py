"""How the weights of a projection become codes on their grid: each to the nearest, or all together by their effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from snncompile.ir.types import Array
from snncompile.passes.quantize.compensate import best_steps, better_steps, carried_by, rounded_together
from snncompile.passes.quantize.moments import Moments, Reader
from snncompile.passes.quantize.weight_grid import WeightGrid


class Rounder(Protocol):
    """Chooses the step of a grid, and the codes of weights."""

    def step(self, grid: WeightGrid, weight: Array, per_row: bool) -> Array:
        """The real value of the code 1, `[out]` with `per_row`, else 0-d; 0 where all weights are 0."""
        ...

    def codes(self, grid: WeightGrid, weight: Array, step: Array, per_row: bool) -> Array:
        """Codes in the shape of the weights. `step` is what `step` gave for them, or another one near it."""
        ...


    def lost(self, weight: Array, codes: Array, step: Array) -> Array:
        """What the mean of the sums of each output channel loses by rounding, if a bias is to make it good, `[out]`; 0
        otherwise, 0-d."""
        ...


class Nearest:
    """Each weight to the nearest code, of a grid that reaches the largest weight."""

    def step(self, grid: WeightGrid, weight: Array, per_row: bool) -> Array:
        return grid.step(weight, per_row)

    def codes(self, grid: WeightGrid, weight: Array, step: Array, per_row: bool) -> Array:
        return grid.codes(weight, step, per_row)


    def lost(self, weight: Array, codes: Array, step: Array) -> Array:
        return np.zeros(())


NEAREST = Nearest()


@dataclass(frozen=True)
class Calibrated:
    """Weights together, by what their errors do to the membranes of samples.

    Attributes:
        moments: of the inputs of the layer, one for each group of its output channels.
        reader: the layer, and what it reads.
        corrected: whether a bias makes good what errors change in the mean.
    """

    moments: Moments
    reader: Reader
    corrected: bool = False

    @cached_property
    def carried(self) -> list[Array]:
        """How errors are carried on, for each group of output channels; see `carried_by`."""
        return [carried_by(second) for second in self.moments.second]

    def step(self, grid: WeightGrid, weight: Array, per_row: bool) -> Array:
        steps = [better_steps(rows, best_steps(rows, grid, second, per_row), grid, second, carried, per_row)
                 for (rows, second), carried in zip(self._groups(weight), self.carried, strict=True)]
        return np.concatenate(steps) if per_row else np.asarray(max(float(s.max(initial=0)) for s in steps))

    def codes(self, grid: WeightGrid, weight: Array, step: Array, per_row: bool) -> Array:
        steps = np.split(np.broadcast_to(step, len(weight)), len(self.moments.second))
        found = [rounded_together(rows, s[:, None], grid, second, carried)
                 for (rows, second), s, carried in zip(self._groups(weight), steps, self.carried, strict=True)]
        return np.concatenate(found).reshape(weight.shape).astype(grid.dtype)

    def lost(self, weight: Array, codes: Array, step: Array) -> Array:
        if not self.corrected:
            return np.zeros(())
        error = weight.reshape(len(weight), -1) - codes.reshape(len(codes), -1) * np.reshape(step, (-1, 1))
        each = np.split(error, len(self.moments.mean))
        return np.concatenate([rows @ mean for rows, mean in zip(each, self.moments.mean, strict=True)])

    def _groups(self, weight: Array) -> list[tuple[Array, Array]]:
        """The weights of each group of output channels, `[row, tap]`, and H of their inputs."""
        rows = weight.reshape(len(weight), -1).astype(np.float64)
        return list(zip(np.split(rows, len(self.moments.second)), self.moments.second, strict=True))


def codes_together(parts: Sequence[tuple[Array, Array]], grid: WeightGrid, moments: Moments) -> list[Array]:
    """Codes of the weights of several projections into one population, whose errors make each other good.

    Args:
        parts: for each projection, its weights `[out, ...]` and the real value of the code 1, `[out]` or 0-d.
        moments: of the inputs of all of them, one behind another.
    """
    rows = [np.asarray(weight, np.float64).reshape(len(weight), -1) for weight, _ in parts]
    steps = [np.broadcast_to(np.reshape(step, (-1, 1)), row.shape) for row, (_, step) in zip(rows, parts, strict=True)]
    codes = rounded_together(np.concatenate(rows, 1), np.concatenate(steps, 1), grid, moments.second[0])
    ends = np.cumsum([row.shape[1] for row in rows])[:-1]
    return [found.reshape(weight.shape).astype(grid.dtype)
            for found, (weight, _) in zip(np.split(codes, ends, 1), parts, strict=True)]
