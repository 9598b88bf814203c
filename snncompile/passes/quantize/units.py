"""Choosing the unit of a population: the real value of one integer step of its membrane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.arithmetic import MAX_BITS, Arithmetic

LEAKY_THRESHOLD_BITS = 10
THRESHOLD_BITS = 6
COARSE_BITS = 6
GRADED_BITS = 12
CHAINED_BITS = 16
MAX_EXTRA_BITS = 16
SUM_BITS = 34
KEPT_THRESHOLD_BITS = 20
PASSING_THRESHOLD_BITS = 27
MAX_KEPT_BITS = 24
KEPT_SPREAD_BITS = 12


@dataclass(frozen=True)
class Scales:
    """What a unit must suit, in reals.

    Attributes:
        steps: of the weights of each projection; one a channel, or 0-d.
        threshold: one a channel, or 0-d; None where the population does not fire.
        leaky: whether the membrane is multiplied every tick, and so wants fine steps.
        graded: of the projections that carry graded values, what the largest weight makes of a unit of its source.
            Steps of such projections are no measure of how fine this unit must be: it would shrink from layer to layer.
        chained: whether graded values arrive, or leave for another population.
        kept: steps of weights that arrived as integers. The unit divides the finest of them.
        passing: whether no state holds the membrane, only counts of something, which multiply what is rounded.
    """

    steps: list[Array]
    threshold: Array | None
    leaky: bool
    graded: tuple[Array, ...] = ()
    chained: bool = False
    kept: tuple[Array, ...] = ()
    passing: bool = False


def choose_unit(scales: Scales, arithmetic: Arithmetic, peak: float | None, coarse: bool) -> Array:
    """The unit, one a channel or 0-d.

    It is a power of two finer than the finest weight step, so fine that the threshold is at least 2**10
    units for a leaky neuron (2**6 otherwise), then enlarged a little so that the threshold is a whole
    number of units. With a membrane of k bits, the threshold stays within 2**(k-2) units. Where weights arrived as
    integers, it is their step that stays what it is, and the threshold that is rounded, to one in 2**20 or 2**27.
    """
    if scales.kept and scales.threshold is not None:
        return _dividing(scales, np.asarray(scales.threshold, np.float64), arithmetic)
    step = _finest(scales.steps, scales.threshold)
    extra = COARSE_BITS if coarse and len(scales.steps) > 1 else 0
    if scales.threshold is None:
        unit = np.maximum(_graded_unit(step, scales.leaky, extra, peak), _coarsest(scales, arithmetic, peak))
        return np.asarray(unit) if not scales.kept else _power_of(_finest(list(scales.kept), None), unit)
    threshold = np.asarray(scales.threshold, np.float64)
    wanted = 2.0 ** (LEAKY_THRESHOLD_BITS if scales.leaky else THRESHOLD_BITS)
    shortfall = float(np.max(np.log2(wanted * step / threshold)))
    extra = max(extra, _whole_bits(shortfall))
    units = np.maximum(np.floor(threshold * 2.0**extra / step + 1e-6), 1)
    most = 1 << ((arithmetic.membrane_bits or MAX_BITS) - 2)
    return np.asarray(threshold / np.minimum(units, most))


def _dividing(scales: Scales, threshold: Array, arithmetic: Arithmetic) -> Array:
    """The finest kept step over a power of two, so fine that thresholds come as near as said, where there is room."""
    step = _finest(list(scales.kept), threshold)
    room = (arithmetic.membrane_bits or MAX_BITS) - 2
    wanted = min(PASSING_THRESHOLD_BITS if scales.passing else KEPT_THRESHOLD_BITS, room)
    extra = min(np.ceil(np.max(np.log2(2.0**wanted * step / threshold))), MAX_KEPT_BITS)
    most = np.floor(np.min(np.log2(2.0**room * step / threshold)))
    return np.asarray(step / 2.0 ** min(max(extra, 0), most))


def _power_of(step: Array, unit: Array) -> Array:
    """The power of two times the step that comes nearest to a unit."""
    return np.asarray(step * 2.0 ** np.rint(np.log2(unit / step)))


def kept_fraction(step: Array, unit: Array) -> Array:
    """A step, or the fraction of it that a sum must be counted in so that whole multiples come near enough."""
    exact = np.log2(np.where(step > 0, step, unit) / unit)
    return np.asarray(step if np.allclose(exact, np.rint(exact), rtol=0, atol=1e-9) else step / 2.0**KEPT_SPREAD_BITS)


def _finest(steps: list[Array], threshold: Array | None) -> Array:
    """The smallest step of any projection; a channel without weights takes a share of its threshold."""
    empty = (np.asarray(threshold) if threshold is not None else np.ones(())) / 2.0**LEAKY_THRESHOLD_BITS
    shaped = np.broadcast_arrays(*(np.asarray(s, np.float64) for s in steps)) if steps else [empty]
    positive = [np.where(s > 0, s, np.inf) for s in shaped]
    finest = np.minimum.reduce(positive)
    return np.asarray(np.where(np.isfinite(finest), finest, empty))


def _graded_unit(step: Array, leaky: bool, extra: int, peak: float | None) -> Array:
    """A unit for a membrane that is read out: fine enough for its leak."""
    if leaky and peak:
        extra = max(extra, _whole_bits(np.log2(2.0**GRADED_BITS * float(np.max(step)) / peak)))
    elif leaky:
        extra = max(extra, COARSE_BITS)
    return np.asarray(step / 2.0**extra)


def _coarsest(scales: Scales, arithmetic: Arithmetic, peak: float | None) -> float:
    """The finest unit that the width of a readout allows, or that graded values deserve."""
    if peak:
        width = min(arithmetic.graded_width, CHAINED_BITS) if scales.chained else arithmetic.graded_width
        return peak / (1 << (width - 2))
    return max((float(np.max(g)) for g in scales.graded), default=0.0) / (2.0**COARSE_BITS if scales.leaky else 1.0)


def _whole_bits(bits: float) -> int:
    """Extra bits of a unit: whole, and within bounds."""
    return int(np.clip(np.ceil(bits), 0, MAX_EXTRA_BITS))


def input_shift(steps: list[Array], unit: Array, largest: float) -> int:
    """By how many bits a sum of synapses is finer than the membrane, so that weights keep their grids.

    Args:
        steps: of the weights that must.
        largest: of the numbers that are expressed in the finer unit, in reals; it stays within 2**SUM_BITS.
    """
    wanted = max([0.0, *(float(np.log2(np.max(unit / np.where(s > 0, s, np.inf)) + 1e-300)) for s in steps)])
    room = SUM_BITS - np.log2(max(largest, 1e-300) / float(np.min(unit)))
    return max(0, int(min(np.ceil(wanted - 1e-6), np.floor(room))))


def multiplier(step: Array, unit: Array, exact: bool, least: int = 1) -> Array:
    """Whole numbers by which a projection's sum is multiplied: its weight step in units, multiples of `least`.

    A power of two for the whole projection, so that no weight leaves its grid; or, with `exact`, for grids
    whose step carries all of the magnitude, the nearest whole number of each channel: 0 where all its weights are
    zero, since a bipolar grid has no code for that.
    """
    ratio = np.asarray(step, np.float64) / unit
    if exact:
        return np.where(ratio > 0, np.maximum(np.rint(ratio / least), 1) * least, 0)
    top = float(np.max(ratio, initial=0)) / least
    return np.asarray(least * 2.0 ** max(0, np.ceil(np.log2(top) - 1e-6)) if top > 0 else float(least))
