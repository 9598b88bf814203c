"""The weights of a projection in integers: codes on a grid, and whole multipliers behind them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Scale, SumPool, Upsample
from snncompile.ir.types import Array
from snncompile.passes.quantize.given_weights import given_bits, is_given, narrowest, step_of
from snncompile.passes.quantize.rounders import NEAREST, Rounder
from snncompile.passes.quantize.units import multiplier
from snncompile.passes.quantize.weight_grid import WeightGrid
from snncompile.targets.arithmetic import Arithmetic

RounderOf = Callable[[tuple[Op, ...], Op, tuple[Op, ...]], Rounder]
KEEPS_CHANNELS = (SumPool, Upsample)


def keeps_channels(chain: tuple[Op, ...]) -> bool:
    """Whether the outputs of a chain's last weights are the channels of the population that it leads to, and whether
    each of them has weights of its own."""
    last = max(i for i, op in enumerate(chain) if isinstance(op, (Layer, Scale)))
    shared = any(isinstance(op, Layer) and not op.own_weights and (i == last or is_given(op))
                 for i, op in enumerate(chain[:last + 1]) if i >= last - 1)
    return not shared and all(isinstance(op, KEEPS_CHANNELS) for op in chain[last + 1:])


class Coded(NamedTuple):
    """A projection in integers, and what the mean of its sums lost, in reals; see `Rounder.lost`."""

    chain: tuple[Op, ...]
    lost: Array = np.zeros(())


@dataclass(frozen=True)
class WeightCodes:
    """A projection whose last weights have a grid, but no unit yet.

    Attributes:
        before: the operators before the last weights, in integers.
        last: the operator that holds the last weights.
        after: the operators behind it.
        weight: the last weights in reals, multiplied by the gain of the population, `[channel, ...]` or as they are.
        natural: the step of the grid that suits these weights alone, `[channel]` or 0-d.
        step: the real value that the code 1 delivers to the population, `[channel]` or 0-d: `natural` times the real
            value of an integer that enters.
        rounder: how weights become codes.
        gain: the factor of the sums that is not in the weights.
        apart: whether each channel has a power of two of its own behind its sums, as narrow membranes need.
        narrow: whether the grid is that of narrow integers which the weights arrived as. Its codes need a fine unit.
    """

    before: tuple[Op, ...]
    last: Layer | Scale
    after: tuple[Op, ...]
    grid: WeightGrid
    weight: Array
    natural: Array
    step: Array
    rounder: Rounder = NEAREST
    gain: float = 1.0
    apart: bool = False
    narrow: bool = False

    @classmethod
    def of(cls, chain: tuple[Op, ...], unit: float, gain: Array, channels: int, axes: int,
           arithmetic: Arithmetic, keep_given: bool, rounder_of: RounderOf = lambda before, layer, after: NEAREST
           ) -> WeightCodes:
        """The codes of a chain.

        Args:
            unit: the real value of an integer that enters the chain.
            gain: the factor of the population's input, `[channel]` or 0-d.
            channels: the number of units that the population has; 0 for one unit in all.
            axes: the axes of the population's shape.
            keep_given: whether weights that arrived as integers keep their codes.
            rounder_of: how real weights become codes, for the operators before them, the operator that holds
                them, and the operators behind it.
        """
        at = max(i for i, op in enumerate(chain) if isinstance(op, (Layer, Scale)))
        first = at - 1 if at and isinstance(chain[at], Scale) and is_given(chain[at - 1]) else at
        last, after = chain[first], chain[at + 1:]
        value = step_of(last, chain[at]) if is_given(last) else None
        if value is None or (value.ndim and not keep_given and isinstance(last, Layer) and not last.own_weights):
            value, first, last = None, at, chain[at]
        before, unit = _before(chain[:first], unit, arithmetic)
        assert isinstance(last, (Layer, Scale))
        if value is not None and keep_given:
            return GivenCodes.kept(before, last, after, value * unit, gain, channels)
        narrow = None if value is None else _narrow(last, value, arithmetic)
        last = last if value is None else _in_reals(last, value)
        grid, natural = narrow or (_grid_for(last, arithmetic), None)
        weight = weight_of(last, gain.size if gain.ndim else channels, axes)
        if gain.ndim or float(gain) <= 0:
            weight = np.asarray(weight * gain.reshape(-1, *(1,) * (weight.ndim - 1)) if gain.ndim else weight * gain,
                                weight.dtype)
            gain, natural = np.ones(()), None
        rounder = rounder_of(chain[:first], last, after) if value is None else NEAREST
        if natural is None:
            natural = rounder.step(grid, weight, bool(channels))
        elif channels:
            natural = np.full(channels, float(natural))
        return cls(before, last, after, grid, weight, natural, natural * unit * float(gain), rounder,
                   float(gain), arithmetic.membrane_bits is not None, narrow is not None)

    @property
    def largest(self) -> Array:
        """The real value that the largest code delivers, `[channel]` or 0-d."""
        return self.step * self.grid.largest

    def times(self, unit: Array, label: str, least: int = 1) -> Array:
        """What the sums of codes are multiplied by for a population of this unit, multiples of `least`.

        Raises:
            CompileError: SNN401 where a weight step is 2**31 units or more. `label` names the projection.
        """
        times = multiplier(self.step, unit, self.grid.coarse, least, self.apart)
        _bounded(times, label)
        return times

    def coded_step(self, unit: Array, times: Array) -> Array:
        """The real value of the code 1 of the weights, for a population of this unit."""
        return np.asarray(unit * times * np.divide(self.natural, self.step, out=np.ones_like(self.step),
                                                   where=self.step > 0))

    def quantized(self, unit: Array, label: str, least: int = 1, codes: Array | None = None) -> Coded:
        """The projection in integers for a population of this unit. It delivers multiples of `least` only.

        Args:
            codes: of the weights, if they are known already.

        Raises:
            CompileError: SNN401; see `times`.
        """
        times = self.times(unit, label, least)
        step = self.coded_step(unit, times)
        if codes is None:
            codes = self.rounder.codes(self.grid, self.weight, step, self.natural.ndim > 0)
        if isinstance(self.last, Scale):
            factor = codes.astype(np.int64) * np.reshape(times, (-1,) + (1,) * (codes.ndim - 1))
            return Coded((*self.before, Scale(_int(factor)), *self.after))
        return Coded(self._chain(dataclasses.replace(self.last, weight=codes, bias=None), times),
                     self.gain * self.rounder.lost(self.weight, codes, step))

    def _chain(self, op: Layer, times: Array) -> tuple[Op, ...]:
        """The chain with its last weights in integers, and its sums multiplied by `times`."""
        if np.all(times == 1):
            return (*self.before, op, *self.after)
        if not times.ndim:
            return (*self.before, op, *self.after, Scale(int(times)))
        return (*self.before, op, Scale(_channels(times, op)), *self.after)


@dataclass(frozen=True)
class GivenCodes(WeightCodes):
    """A projection whose weights arrived as integer codes, which are kept.

    Attributes:
        value: the real value that the code 1 delivers, with its sign, `[channel]` or 0-d.
    """

    value: Array = field(default_factory=lambda: np.ones(()))

    @classmethod
    def kept(cls, before: tuple[Op, ...], last: Op, after: tuple[Op, ...], value: Array, gain: Array,
             channels: int) -> GivenCodes:
        """The projection with the codes of `last`, each of which is worth `value` before the gain."""
        assert is_given(last)
        codes = narrowest(np.asarray(last.weight))
        value = np.asarray(np.broadcast_to(value * gain, (channels,)) if channels else value * gain)
        sizes = np.abs(value)
        step = sizes if channels else np.asarray(sizes[sizes > 0].min(initial=np.inf) if sizes.any() else 0.0)
        return cls(before, last, after, WeightGrid(given_bits(codes)), codes, step, step, value=value)

    @property
    def largest(self) -> Array:
        sizes = np.abs(self.value)
        return np.asarray((sizes if self.step.ndim else sizes.max()) * np.abs(self.weight.astype(np.int64)).max())

    def quantized(self, unit: Array, label: str, least: int = 1, codes: Array | None = None) -> Coded:
        ratio = self.value / unit
        times = np.sign(ratio) * np.maximum(np.rint(np.abs(ratio)), 1)
        assert isinstance(self.last, Layer)
        _bounded(times, label)
        return Coded(self._chain(dataclasses.replace(self.last, weight=self.weight, bias=None), times))


def _narrow(op: Op, value: Array, arithmetic: Arithmetic) -> tuple[WeightGrid, Array] | None:
    """The grid of given integers and the real value of the integer 1, where both are narrower than other weights.

    Hardware stores such a layer in as few bits as it was trained with. None where the integers of its outputs are worth
    different values, so that they have no grid in common.
    """
    assert is_given(op)
    codes = np.asarray(op.weight, np.int64)
    largest = int(np.abs(codes).max())
    coarse: int | Literal["ternary"] = 1 if np.all(codes) else "ternary"
    grid = WeightGrid(largest.bit_length() + 1 if largest > 1 else coarse)
    if grid.largest >= WeightGrid.of(arithmetic).largest or np.ptp(value) or not value.flat[0]:
        return None
    return grid, np.asarray(np.abs(value.flat[0]))


def _in_reals(op: Op, value: Array) -> Layer:
    """A layer of given integers as one of real weights, for neurons that cannot keep the integers."""
    assert isinstance(op, Layer)
    weight = np.asarray(op.weight)
    return dataclasses.replace(op, weight=weight * value.reshape(-1, *(1,) * (weight.ndim - 1)))


def _bounded(times: Array, label: str) -> None:
    if not np.max(np.abs(times)) < 2**31:
        fail("SNN401", f"projection {shorten(label)}", f"a weight step of {np.max(np.abs(times)):.3g} membrane steps",
             "below 2**31", "the threshold is too small beside the weights")


def _before(chain: tuple[Op, ...], unit: float, arithmetic: Arithmetic) -> tuple[tuple[Op, ...], float]:
    """The operators before the last weights in integers, and the real value of an integer that leaves them."""
    integers: list[Op] = []
    for op in chain:
        if isinstance(op, (Layer, Scale)):
            op, factor = _whole_layer(op, arithmetic)
            unit *= factor
        integers.append(op)
    return tuple(integers), unit


def _channels(times: Array, op: Layer) -> Any:
    """Multipliers `[out]`, shaped to broadcast against what the layer gives."""
    return _int(times.reshape(-1, *(1,) * (op.axes - 1)))


def _int(values: Array) -> Any:
    """Whole numbers as one Python integer where all are equal, else in the narrowest signed type that holds them.

    >>> _int(np.array([127.0, 128.0])).tolist()
    [127, 128]
    """
    whole = values.astype(np.int64)
    if np.all(whole == whole.flat[0]):
        return int(whole.flat[0])
    return whole.astype(np.min_scalar_type(-int(np.abs(whole).max()) - 1))


def _grid_for(op: Op, arithmetic: Arithmetic) -> WeightGrid:
    """The grid of an operator's weights. A scale has one weight a channel, and so keeps at least 8 bits."""
    grid = WeightGrid.of(arithmetic)
    return WeightGrid(8) if isinstance(op, Scale) and (grid.powers or grid.largest < 127) else grid


def weight_of(op: Layer | Scale, channels: int, axes: int) -> Array:
    """The real weights, in float32 or float64. Where the population has units for channels, these are the first axis.

    A scale that is the same for all channels of a tensor with `axes` axes is repeated for each of them.
    """
    weight = np.asarray(op.factor if isinstance(op, Scale) else op.weight)
    weight = weight.astype(np.result_type(weight.dtype, np.float32), copy=False)
    if not isinstance(op, Scale):
        return weight
    if not channels:
        return weight.reshape(weight.shape or (1,))
    aligned = weight.reshape((1,) * (axes - weight.ndim) + weight.shape)
    return np.broadcast_to(aligned, (channels, *aligned.shape[1:]))


def _whole_layer(op: Layer | Scale, arithmetic: Arithmetic) -> tuple[Op, float]:
    """A layer inside a chain in integers, and the real value of its code 1."""
    if is_given(op):
        return dataclasses.replace(op, weight=narrowest(np.asarray(op.weight)), bias=None), 1.0
    grid = _grid_for(op, arithmetic)
    weight = weight_of(op, 0, 1)
    step = grid.step(weight, False)
    codes = grid.codes(weight, step, False)
    factor = float(step) or 1.0
    if isinstance(op, Scale):
        return Scale(_int(codes)), factor
    return dataclasses.replace(op, weight=codes, bias=None), factor
