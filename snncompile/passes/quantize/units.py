"""The unit of a population: the real value of one integer step of its membrane.

A leaky neuron with the threshold 1.0, whose only projection has weights in steps of 0.01, gets the unit 0.000625. The
unit starts at 0.01, where the threshold is 100 units. It is halved four times, until the threshold is at least 2**10
units: 1600 of them. The code 1 of a weight, which is worth 0.01, is then 16 units:

>>> scales = Scales([np.array(0.01)], np.array(1.0), leaky=True)
>>> unit = choose_unit(scales, Arithmetic(), None, False)
>>> float(unit)
0.000625
>>> int(multiplier(np.array(0.01), unit, exact=False))
16
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.arithmetic import MAX_BITS, Arithmetic

LEAKY_THRESHOLD_BITS = 10
"""The threshold of a leaky neuron is at least 2**10 units, since every tick rounds its leak."""
THRESHOLD_BITS = 6
"""Other thresholds are at least 2**6 units."""
COARSE_BITS = 6
"""By how many bits a unit is finer than a weight step, at least, where coarse grids of several projections meet."""
GRADED_BITS = 12
"""The largest membrane of a leaky readout is at least 2**12 units."""
CHAINED_BITS = 16
"""The width of graded values that pass from population to population."""
MAX_EXTRA_BITS = 16
"""By how many bits a unit is finer than the finest weight step, at most."""
SUM_BITS = 34
"""The width of a sum of synapses that is finer than the membrane."""
KEPT_THRESHOLD_BITS = 20
"""Where integer weights are kept, a threshold is rounded to one in 2**20."""
PASSING_THRESHOLD_BITS = 27
"""The same for a neuron whose membrane is no state."""
MAX_KEPT_BITS = 24
"""By how many bits a unit is finer than the finest step of kept weights, at most."""
KEPT_SPREAD_BITS = 12
"""By how many bits a sum is finer than a kept step, where that step is no power of two of the unit."""


@dataclass(frozen=True)
class Scales:
    """The real numbers that the unit of one population depends on.

    Attributes:
        steps: for each projection, the real value of one step of its weights: `[channel]`, or 0-d.
        threshold: `[channel]`, or 0-d; None where the population does not fire.
        leaky: whether the membrane is multiplied in every tick. It then needs a finer unit.
        graded: for each projection that carries graded values, the real value of its largest weight times one unit of
            its source. The steps of such projections say nothing about how fine the unit must be: if they did, units
            would become finer from layer to layer.
        chained: whether graded values arrive from a population, or leave for one.
        kept: for each projection whose weights arrived as integers, the real value of one of its codes. The unit
            divides the finest of them.
        passing: whether the membrane is no state, so that only counts are kept from one tick to the next. Such counts
            multiply what is rounded.
    """

    steps: list[Array]
    threshold: Array | None
    leaky: bool
    graded: tuple[Array, ...] = ()
    chained: bool = False
    kept: tuple[Array, ...] = ()
    passing: bool = False


def choose_unit(scales: Scales, arithmetic: Arithmetic, peak: float | None, coarse: bool, headroom: int = 0) -> Array:
    """The unit of a population's membrane, `[channel]` or 0-d.

    It starts at the finest weight step, and is halved until the threshold is at least 2**10 units for a leaky neuron
    (2**6 otherwise). It is then enlarged a little, so that the threshold is a whole number of units. With a membrane
    of k bits, the threshold stays within 2**(k-2) units. Where weights arrived as integers, the unit is their step
    over a power of two, and it is the threshold that is rounded: to one in 2**20, or in 2**27 (see `Scales.passing`).

    Args:
        peak: the largest membrane that was seen on samples, in reals; None without samples.
        coarse: whether codes are -1, 0 and 1 only, so that the steps of several projections rarely divide each other.
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
    bits = (arithmetic.membrane_bits or MAX_BITS) - 2 - headroom
    most = 2.0**bits if headroom >= 0 else 2.0**bits - 1
    room = np.floor(np.log2(most * step / threshold) + 1e-9)
    units = np.maximum(np.floor(threshold * 2.0 ** np.minimum(extra, room) / step + 1e-6), 1)
    return np.asarray(threshold / np.minimum(units, most))


def _dividing(scales: Scales, threshold: Array, arithmetic: Arithmetic) -> Array:
    """The finest kept step over a power of two, so fine that the threshold is precise enough, as far as there is room.
    """
    step = _finest(list(scales.kept), threshold)
    room = (arithmetic.membrane_bits or MAX_BITS) - 2
    wanted = min(PASSING_THRESHOLD_BITS if scales.passing else KEPT_THRESHOLD_BITS, room)
    extra = min(np.ceil(np.max(np.log2(2.0**wanted * step / threshold))), MAX_KEPT_BITS)
    most = np.floor(np.min(np.log2(2.0**room * step / threshold)))
    return np.asarray(step / 2.0 ** min(max(extra, 0), most))


def _power_of(step: Array, unit: Array) -> Array:
    """The step times the power of two that comes nearest to a unit."""
    return np.asarray(step * 2.0 ** np.rint(np.log2(unit / step)))


def kept_fraction(step: Array, unit: Array) -> Array:
    """The value in which a sum of synapses is counted, so that a step is (nearly) a whole number of it.

    That is the step itself where it is a power of two of the unit, and a 4096th of it elsewhere.
    """
    exact = np.log2(np.where(step > 0, step, unit) / unit)
    return np.asarray(step if np.allclose(exact, np.rint(exact), rtol=0, atol=1e-9) else step / 2.0**KEPT_SPREAD_BITS)


def _finest(steps: list[Array], threshold: Array | None) -> Array:
    """The smallest step of all projections, `[channel]` or 0-d.

    A channel without weights takes a 1024th of its threshold.
    """
    empty = (np.asarray(threshold) if threshold is not None else np.ones(())) / 2.0**LEAKY_THRESHOLD_BITS
    shaped = np.broadcast_arrays(*(np.asarray(s, np.float64) for s in steps)) if steps else [empty]
    positive = [np.where(s > 0, s, np.inf) for s in shaped]
    finest = np.minimum.reduce(positive)
    return np.asarray(np.where(np.isfinite(finest), finest, empty))


def _graded_unit(step: Array, leaky: bool, extra: int, peak: float | None) -> Array:
    """The unit of a membrane that is emitted as it is, fine enough for its leak."""
    if leaky and peak:
        extra = max(extra, _whole_bits(np.log2(2.0**GRADED_BITS * float(np.max(step)) / peak)))
    elif leaky:
        extra = max(extra, COARSE_BITS)
    return np.asarray(step / 2.0**extra)


def _coarsest(scales: Scales, arithmetic: Arithmetic, peak: float | None) -> float:
    """The finest unit that the width of a readout allows, or that the graded values which arrive make sense of."""
    if peak:
        width = min(arithmetic.graded_width, CHAINED_BITS) if scales.chained else arithmetic.graded_width
        return peak / (1 << (width - 2))
    return max((float(np.max(g)) for g in scales.graded), default=0.0) / (2.0**COARSE_BITS if scales.leaky else 1.0)


def _whole_bits(bits: float) -> int:
    """A number of bits rounded up, from 0 to `MAX_EXTRA_BITS`."""
    return int(np.clip(np.ceil(bits), 0, MAX_EXTRA_BITS))


def input_shift(steps: list[Array], unit: Array, largest: float) -> int:
    """By how many bits a sum of synapses must be finer than the membrane, so that weights keep their grids.

    Args:
        steps: the real steps of the projections whose weights must.
        unit: of the membrane.
        largest: the largest real number that is expressed in the finer unit; it stays within 2**SUM_BITS.

    Weights in steps of 0.25 need two more bits than a membrane whose unit is 1:

    >>> input_shift([np.array(0.25)], np.array(1.0), largest=100.0)
    2
    """
    wanted = max([0.0, *(float(np.log2(np.max(unit / np.where(s > 0, s, np.inf)) + 1e-300)) for s in steps)])
    room = SUM_BITS - np.log2(max(largest, 1e-300) / float(np.min(unit)))
    return max(0, int(min(np.ceil(wanted - 1e-6), np.floor(room))))


def multiplier(step: Array, unit: Array, exact: bool, least: int = 1, apart: bool = False) -> Array:
    """The whole numbers that a projection's sum is multiplied by: its weight step in units, in multiples of `least`.

    Without `exact`, it is one power of two for the projection, so that no weight leaves its grid; one for each channel
    if they are `apart`, as under narrow membranes. With `exact`, for grids of -1, 0 and 1 whose step carries all of the
    magnitude, it is the nearest whole number for each channel:

    >>> multiplier(np.array([3.4, 3.6]), np.ones(2), exact=False).item()
    4.0
    >>> multiplier(np.array([3.4, 3.6]), np.ones(2), exact=True).tolist()
    [3.0, 4.0]

    It is 0 for a channel whose weights are all zero, since a grid of -1 and 1 has no code for 0.

    Args:
        step: the real value of a weight of 1, one number or `[channel]`.
        unit: the real value of a membrane step, one number or `[channel]`.
        least: of what the result is a multiple.
    """
    ratio = np.asarray(step, np.float64) / unit
    if exact:
        return np.where(ratio > 0, np.maximum(np.rint(ratio / least), 1) * least, 0)
    bits = np.maximum(np.ceil(np.log2(np.where(ratio > 0, ratio, 1) / least) - 1e-6), 0)
    most = bits.max(initial=0)
    return np.asarray(least * 2.0 ** (np.where(ratio > 0, bits, most) if apart else most))
