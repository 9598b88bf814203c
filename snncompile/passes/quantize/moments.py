"""Moments: how the inputs of a layer add up in membranes on samples, which tells which errors of weights matter.

A membrane adds up what arrives, and leaks. So the inputs of a layer are first run through a neuron that has the leak
of the population and never fires: z_t = decay z_(t-1) + x_t for a LIF. The mean of z z^T over samples, ticks and
positions is H. An error e of the weights of a neuron changes its membrane by e^T z, and in the mean square by e^T H e.
What resets take away of that is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from snncompile.ir.expr import evaluate
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Linear
from snncompile.ir.packed import Packed
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array, Shape

ROWS, ROWS_OF_A_TAP, WORK = 80_000, 4, 2e10
"""So many inputs of a neuron are looked at, but no more than make WORK products; or so many for each of its weights,
whichever is more."""
CHUNK_BYTES = 1 << 26
"""The memory that the inputs of a layer take at a time."""
PART_OF_THRESHOLD = 0.5
"""What arrives of a neuron whose response is asked for, as a share of its threshold."""
NEVER = 1e30
"""A threshold that no membrane reaches."""
LEAST_DAMPING = 0.1
"""What is added to the diagonal of H at least, as a share of its mean. Frantar et al., "GPTQ" (ICLR 2023), add 0.01.
More is better here, because spikes that arrive from rounded layers differ from those that were recorded: on trained
networks, a tenth left fewer spikes different than 0.01 did."""
NOISE = 0.01
"""The mean of the diagonal of H around the mean is taken to be at least this share of what it is around 0."""
FEW_ROWS_DAMPING = 0.02
"""What is added at least, as a share of that mean, times the weights of a neuron for each input that was looked at."""


@dataclass(frozen=True)
class Moments:
    """What inputs of a layer are together.

    Attributes:
        second: H, the mean of z z^T, `[group, tap, tap]`: one for the channels of each group of a convolution.
        added: the mean of z, `[group, tap]`.
        mean: the mean of the inputs x themselves, `[group, tap]`.
        rows: how many inputs were looked at.
        around_mean: whether H is that of what differs from the mean.
    """

    second: Array
    added: Array
    mean: Array
    rows: int
    around_mean: bool = False

    def centred(self) -> Moments:
        """The moments of what differs from the mean, for a layer whose bias can make the mean of an error good."""
        return replace(self, second=self.second - self.added[:, :, None] * self.added[:, None, :], around_mean=True)

    def damped(self) -> Moments:
        """The moments with a diagonal added, so that what few samples show by chance is not relied on."""
        taps = self.second.shape[-1]
        share = max(LEAST_DAMPING, FEW_ROWS_DAMPING * taps / max(self.rows, 1))
        mean = np.trace(self.second, axis1=1, axis2=2) / taps
        if self.around_mean:  # what is left beside a large mean may be rounding errors of the sums
            mean = np.maximum(mean, NOISE * (mean + np.square(self.added).mean(1)))
        second, diagonal = self.second.copy(), np.arange(taps)
        second[:, diagonal, diagonal] += np.where(mean > 0, share * mean, 1.0)[:, None]
        return replace(self, second=second)


def response(neuron: Neuron, ticks: int) -> Array:
    """What an input of 1 in the first tick has added to the membrane after each tick, `[tick]`, at most 1.

    The program of the rule is run without and with the input, with a threshold that is never reached. The membrane is
    the state `v`, or in a rule that has none of this name, the state that takes most. Parameters that differ between
    neurons are replaced by their means.

    >>> response(Neuron.of("lif", decay=0.5, threshold=1.0), 4).tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    params = {n: np.asarray(np.mean(v, dtype=np.float64)) for n, v in neuron.params.items()}
    size = PART_OF_THRESHOLD
    if neuron.rule.threshold is not None:
        size *= float(params[neuron.rule.threshold]) or 1.0
        params[neuron.rule.threshold] = np.asarray(NEVER)
    traced = neuron.traced
    traces: dict[str, list[Array]] = {name: [] for name in traced.states}
    states = {n: np.full(2, np.mean(neuron.first(n)), np.float64) for n in traced.states}
    with np.errstate(all="ignore"):
        for tick in range(ticks):
            x = np.array([0.0, size if tick == 0 else 0.0])
            _, states = evaluate(traced.program, params, states, x)
            for name, value in states.items():
                traces[name].append(value[1] - value[0])
    found = {n: np.abs(np.nan_to_num(np.array(t, np.float64))) for n, t in traces.items()}
    best = found.get("v", max(found.values(), key=lambda t: float(t.sum()), default=np.zeros(ticks)))
    return np.asarray(best / best.max() if best.max(initial=0) > 0 else np.eye(1, ticks)[0])


def added_up(x: Array, by: Array) -> Array:
    """Inputs `[sample, tick, ...]` as a membrane with this response adds them up."""
    ratio = by[1] / by[0] if len(by) > 1 and by[0] > 0 else 0.0
    if not len(by) or np.allclose(by, by[0] * ratio ** np.arange(len(by)), atol=1e-6):
        z = np.empty(x.shape, np.float32)
        for tick in range(x.shape[1]):
            z[:, tick] = x[:, tick] + (ratio * z[:, tick - 1] if tick else 0)
        return z
    from scipy.signal import fftconvolve  # which takes as long to import as all the rest

    kernel = by.astype(np.float32).reshape(1, -1, *(1,) * (x.ndim - 2))
    return np.asarray(fftconvolve(x.astype(np.float32), kernel, axes=1)[:, :x.shape[1]])


class Reader(NamedTuple):
    """A layer, and what it reads.

    Attributes:
        source: the input or population that sends, late by `delay` ticks.
        before: the operators between the source and the layer.
    """

    source: str
    delay: int
    before: tuple[Op, ...]
    layer: Op


@dataclass(frozen=True)
class Recorded:
    """What the inputs and populations of a network sent on the first samples, by name.

    Attributes:
        values: `[sample, tick, *shape]` by name.
    """

    values: dict[str, Packed]

    @property
    def samples(self) -> int:
        """How many samples were recorded."""
        return len(next(iter(self.values.values())))

    @property
    def ticks(self) -> int:
        """Ticks of a sample."""
        return next(iter(self.values.values())).shape[1]

    def moments(self, readers: Sequence[Reader], by: Array) -> Moments | None:
        """The moments of what reaches some layers of one population, their weights one behind another.

        Args:
            by: the response of the population; see `response`.

        Returns:
            None for layers of another kind than linear and convolution, or of which several have groups or different
            positions.
        """
        taps = [self._taps(reader) for reader in readers]
        known = [t for t in taps if t is not None]
        apart = len({t.positions for t in known}) > 1 or (len(known) > 1 and any(t.groups > 1 for t in known))
        if len(known) < len(taps) or apart:
            return None
        samples, ticks = self.values[readers[0].source].shape[:2]
        groups, each = known[0].groups, sum(t.each for t in known)
        per_sample = ticks * known[0].positions
        rows = _drawn(samples * per_sample, max(min(ROWS, int(WORK / each**2)), ROWS_OF_A_TAP * each))
        second = np.zeros((groups, each, each))
        added, mean = np.zeros((2, groups, each))
        widest = max(math.prod(self.values[r.source].shape[1:]) for r in readers)
        chunk = max(1, CHUNK_BYTES // (4 * max(widest, 1)))
        for start in range(0, samples, chunk):
            here = rows[(rows >= start * per_sample) & (rows < (start + chunk) * per_sample)] - start * per_sample
            if not len(here):
                continue
            x = [_arriving(self.values[r.source][start:start + chunk], r) for r in readers]
            z = [added_up(one, by) for one in x]
            for part in np.array_split(here, max(1, -(-len(here) * each * groups * 4 // CHUNK_BYTES))):
                seen = np.concatenate([t.read(one, part) for t, one in zip(known, z, strict=True)], 2)
                second += np.matmul(seen.transpose(1, 2, 0), seen.transpose(1, 0, 2))
                added += seen.sum(0, dtype=np.float64)
                mean += np.concatenate([t.read(one, part).sum(0, dtype=np.float64)
                                        for t, one in zip(known, x, strict=True)], 1)
        return Moments(second / len(rows), added / len(rows), mean / len(rows), len(rows))

    def _taps(self, reader: Reader) -> Taps | None:
        sent = self.values.get(reader.source)
        if sent is None or not np.prod(sent.shape) or not isinstance(reader.layer, (Linear, Conv)):
            return None
        return Taps.of(reader.layer, _shape_behind(reader.before, sent.shape[2:]))


def _shape_behind(ops: Sequence[Op], shape: Shape) -> Shape:
    for op in ops:
        shape = op.shape_behind(shape)
    return shape


def _arriving(sent: Array, reader: Reader) -> Array:
    """What the layer reads in each tick, `[sample, tick, *shape]`."""
    x = np.zeros(sent.shape, np.float32)
    x[:, reader.delay:] = sent[:, :max(sent.shape[1] - reader.delay, 0)]
    for op in reader.before:
        y = op.apply(x.reshape(-1, *x.shape[2:]))
        x = y.reshape(*x.shape[:2], *y.shape[1:])
    return x


def _drawn(count: int, most: int) -> Array:
    """At most so many different numbers below `count`, in their order: the same ones in every run."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.random.default_rng(0).integers(0, count, most))


@dataclass(frozen=True)
class Taps:
    """What the neurons of a layer read, as rows of the same order as its weights.

    Attributes:
        groups, each: groups of channels, and weights of a neuron.
        positions: of the output, at each of which the same weights are used.
        padding: zeros before and after each axis that the layer reads.
        at: for each axis behind the channels, which element each tap of each position reads, `[position, tap]`.
    """

    groups: int
    each: int
    positions: int
    padding: tuple[tuple[int, int], ...] = ()
    at: tuple[Array, ...] = ()

    @classmethod
    def of(cls, layer: Linear | Conv, shape: Shape) -> Taps:
        if isinstance(layer, Linear):
            return cls(1, shape[0], 1)
        out = layer.shape_behind(shape)[1:]
        places = np.unravel_index(np.arange(math.prod(out)), out)
        reach = np.unravel_index(np.arange(math.prod(layer.kernel)), layer.kernel)
        at = tuple(p[:, None] * s + k[None] * d for p, k, s, d in zip(places, reach, layer.stride, layer.dilation,
                                                                    strict=True))
        return cls(layer.groups, math.prod(layer.weight.shape[1:]), math.prod(out), layer.padding, at)

    def read(self, x: Array, rows: Array) -> Array:
        """What is read in some rows, `[row, group, tap]`, of `x[sample, tick, *shape]`.

        Args:
            rows: numbers of combinations of a sample, a tick and a position.
        """
        moment, position = np.divmod(rows, self.positions)
        flat = x.reshape(-1, *x.shape[2:])
        if not self.at:
            return np.asarray(flat[moment][:, None])
        padded = np.pad(flat, ((0, 0), (0, 0), *self.padding)) if any(map(any, self.padding)) else flat
        index = tuple(a[position][:, None] for a in self.at)
        seen = padded[(moment[:, None, None], np.arange(padded.shape[1])[None, :, None], *index)]
        return np.asarray(seen.reshape(len(rows), self.groups, self.each))
