"""Axons: a lower bound on the in-axons that a projection takes on all cores together, before anything is cut.

A core has an axon for each neuron of other populations that its own neurons read. Neighbouring neurons of a convolution
read nearly the same inputs, so that a core with many of them needs few axons for each. But a core holds only so many
neurons, and has only so many axons. The bound is what a neuron takes in the best case, times the neurons.

Neurons at the border of a frame read less than others, but there are few of them. So the bound is computed for the
whole frame, and for its inner parts alone, and the largest counts.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from snncompile.ir.types import Array
from snncompile.targets.reach import CACHED, Axis, Reach

LONGEST = 256
"""Axes of more outputs are not looked at output by output."""
MAX_PIXELS = 1 << 14
"""Of cores with room for more pixels, nothing is known: no axons are certain."""
MAX_PARTS = 8
"""The most rows, and the most columns, that inner parts begin behind."""
FAR = 1 << 40
"""More than any axis has inputs."""
ROUNDING = 1e-9
"""More than the rounding errors of the bound on pixels, which is a whole number in exact arithmetic or above one."""


class Part(NamedTuple):
    """An inner part of a frame.

    Attributes:
        pixels: how many pixels it has.
        read: `[p - 1]`, how many pixels of the source any `p` of its pixels read at least.
    """

    pixels: int
    read: Array


class Need(NamedTuple):
    """What a projection needs of all cores together, at least.

    Attributes:
        axons: in-axons, summed over the cores.
        spread: cores over which each channel of the population is spread.
    """

    axons: int
    spread: int


def crowded(axons: Array, per_core: int) -> Array:
    """What so many axons of a core stand for where those count that leave no room for others.

    More than three quarters of a core stand for all of it, less than a quarter for nothing, and the rest for itself. In
    spite of that, what lies on a core never stands for more than its axons: either one part has more than three
    quarters, so that each other part has less than a quarter and stands for nothing; or no part stands for more than it
    has. (Such functions are called dual feasible: Fekete and Schepers, "New classes of fast lower bounds for bin
    packing problems", Mathematical Programming 91, 2001.)

    Two neurons that read 3,200 inputs each do not lie on one core of 4,096 axons:

    >>> crowded(np.array([1000, 1024, 3072, 3200]), 4096).tolist()
    [0, 1024, 3072, 4096]
    """
    return np.asarray(np.where(4 * axons > 3 * per_core, per_core, np.where(4 * axons < per_core, 0, axons)))


@lru_cache(CACHED)
def least_need(reach: Reach, per_core: int, neurons_per_core: int, alike_per_core: int, crowding: bool = False) -> Need:
    """What a projection into a population needs at least.

    On a frame of 32 x 32, a convolution of 3 x 3 from 64 channels to 16 has 16,384 neurons. In the inside of the frame,
    36 pixels read at least 64 pixels of 64 channels, which are the 4,096 axons of a core: 7.1 axons for each neuron of
    these pixels. The inside has 900 pixels, which lie on 25 cores at least.

    >>> from snncompile.ir.ops import Conv
    >>> from snncompile.ir.types import ShapeOnly
    >>> from snncompile.targets.reach import reach_of
    >>> conv = Conv(ShapeOnly((16, 64, 3, 3)), padding=((1, 1), (1, 1)))
    >>> least_need(reach_of((conv,), (64, 32, 32)), 4096, 1024, 1024)
    Need(axons=102400, spread=25)

    Args:
        per_core, neurons_per_core: in-axons and neurons of a core.
        alike_per_core: the most neurons that read the same inputs of which a core can store the synapses.
        crowding: whether axons are counted as `crowded` does.
    """
    if reach.scattered:
        alike = math.prod(len(a) for a in reach.axes)
        channels = _Channels(alike, math.prod(a.fewest_certain for a in reach.axes), alike)
        parts: tuple[Part, ...] = (Part(1, np.ones(1, np.int64)),)
    else:
        channels, pixels = _channels(reach.axes[0]), len(reach.axes[1]) * len(reach.axes[2])
        most = min(neurons_per_core, pixels)
        parts = parts_of(reach.axes[1], reach.axes[2], most) if most <= MAX_PIXELS else ()
    needs = [_need(channels, part, per_core, neurons_per_core, alike_per_core, crowding) for part in parts]
    return Need(max((n.axons for n in needs), default=0), max((n.spread for n in needs), default=1))


class _Channels(NamedTuple):
    """How many channels a population has, how many of its source each neuron reads at least, and how many channels of
    neurons read the same ones."""

    total: int
    read: int
    alike: int


def _need(channels: _Channels, part: Part, per_core: int, neurons_per_core: int, alike_per_core: int, crowding: bool
          ) -> Need:
    """What the neurons of a part of the frame need.

    A core with `p` pixels has room for `neurons_per_core` neurons, and for `alike_per_core` of those at each pixel that
    read the same. So neurons take what those of the best `p` take. And if not all neurons at a pixel that read the same
    have room on a core, the pixel lies on several cores, each of which needs the axons of its pixels.
    """
    axons = channels.read * part.read
    axons = axons[axons <= per_core]
    if not len(axons):
        return Need(0, 1)  # not even a single neuron fits on a core: another rule says so
    pixels = np.arange(1, len(axons) + 1)
    axons = crowded(axons, per_core) if crowding else axons
    held = np.minimum(pixels * min(channels.alike, alike_per_core), neurons_per_core)
    times = channels.total // channels.alike * -(-channels.alike // alike_per_core)
    return Need(max(int((channels.total * part.pixels * axons // held).min()),
                    int((times * part.pixels * axons // pixels).min())), -(-part.pixels // len(axons)))


def _channels(channels: Axis) -> _Channels:
    apart = (channels.low[1:] > channels.high[:-1]) | (channels.low[1:] == channels.low[:-1]) & (
        channels.high[1:] == channels.high[:-1])
    grouped = channels.is_plain and apart.all() and channels.count.all()
    return _Channels(len(channels), channels.fewest_certain,
                     int(np.bincount(channels.low).max()) if grouped else len(channels))


@lru_cache(CACHED)
def parts_of(rows: Axis, columns: Axis, most: int) -> tuple[Part, ...]:
    """The frame, and what is left of it without the rows or columns whose windows hang over the border.

    Args:
        most: the most pixels of which is asked what they read.
    """
    return tuple(Part(len(y) * len(x), least_pixels(fewest_read(rows, y), fewest_read(columns, x), most))
                 for y, x in itertools.product(_inner(rows), _inner(columns)))


def _inner(axis: Axis) -> list[range]:
    """The whole axis, and the parts of it that are left when one after another of the outputs at both ends is taken
    away that reads fewer inputs than those in the middle. Of many such parts, MAX_PARTS are taken."""
    whole = np.flatnonzero(axis.count == axis.count.max())
    first, last = int(whole[0]), int(whole[-1])
    hanging = max(first, len(axis) - 1 - last)
    taken = sorted({round(n) for n in np.linspace(0, hanging, min(hanging + 1, MAX_PARTS)).tolist()})
    return [range(min(n, first), max(len(axis) - n, last + 1)) for n in taken]


def least_pixels(f: Array, g: Array, most: int) -> Array:
    """How many pixels of its source any `p` pixels of a layer read at least, `[p - 1]`.

    Let the `p` pixels lie in `r` rows, in any arrangement. Along a row, `l` of them read at least `g(l)` columns of the
    source, so that all rows together read at least `q = r g(1) + (p - r) t` pairs of a row of the layer and a column of
    the source, where `t` is the least slope of `g` from 1 on. A column that is read by `m <= r` rows is read in at
    least `m h` rows of the source, where `h` is the least `f(m) / m`. So `q h` pixels are read at least, for the `r`
    with which that is the fewest.

    Of a kernel of 3 x 3, 4 x 4 pixels inside of a large frame read 6 x 6:

    >>> least_pixels(np.arange(3, 33), np.arange(3, 33), 16)[[0, 3, 15]].tolist()
    [9, 16, 36]

    Args:
        f, g: how many rows and how many columns any `m` rows and `l` columns of the layer read at least, `[m - 1]` and
            `[l - 1]`.
        most: the largest `p` that is asked for.
    """
    slope = float(((g[1:] - g[0]) / np.arange(1, len(g))).min()) if len(g) > 1 else 0.0
    h = np.minimum.accumulate(f / np.arange(1, len(f) + 1)).tolist()
    p = np.arange(1, min(len(f) * len(g), most) + 1)
    least = np.full(len(p), np.inf)
    for r in range(1, min(len(f), len(p)) + 1):
        possible = slice(r - 1, r * len(g))
        np.minimum(least[possible], h[r - 1] * (r * g[0] + (p[possible] - r) * slope), out=least[possible])
    return np.asarray(np.ceil(least - ROUNDING), np.int64)


def fewest_read(axis: Axis, part: range) -> Array:
    """How many inputs any `l` outputs of a part of an axis read at least, `[l - 1]`.

    Windows are intervals, and their ends never decrease. So of the outputs that are chosen from left to right, each
    adds what lies beyond the end of the one before it, and the fewest are found by going through all outputs that can
    be the last. Of a kernel of 3 with a stride of 2 and a padding of 1 in front, the first reads 2 inputs:

    >>> from snncompile.ir.windows import Window
    >>> fewest_read(Axis.same(6).through([Window(6, 3, taps=3, stride=2, before=1)]), range(3)).tolist()
    [2, 4, 6]

    Of axes that are long or not known exactly, what a single output reads is taken for any number of them.
    """
    low, high, count = axis.low[part.start:part.stop], axis.high[part.start:part.stop], len(part)
    if not axis.is_plain or not axis.count.all() or count > LONGEST:
        return np.full(count, axis.fewest_certain)
    added = np.maximum(high - np.maximum(high[:, None], low - 1), 0)  # [before, output]
    added = np.where(np.arange(count)[:, None] < np.arange(count), added, FAR)
    least = [high - low + 1]
    for _ in range(1, count):
        least.append((least[-1][:, None] + added).min(0))
    return np.array([ends.min() for ends in least])
