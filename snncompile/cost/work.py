"""What a network takes and does for one sample, and what that costs with the constants of a profile.

Everything here is arithmetic on single numbers, so that the numbers can also be vectors with an element for each of
many networks: the same operations then give the same results, to the last bit.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from snncompile.cost.activity import Activity
from snncompile.cost.totals import LISTINGS
from snncompile.diagnostics import expect_known, fail
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.load import cost_profiles
from snncompile.targets.sections import Costs, Limits
from snncompile.targets.target import Target

if TYPE_CHECKING:
    from snncompile.mapping.partitioned import Partition
    from snncompile.mapping.place import Placement

Number = Any
"""A number, or a vector of numbers with an element for each network."""
MAX_TICKS = 1 << 32
"""The most ticks of a sample, with which counters stay far below the largest whole number."""


@dataclass(frozen=True)
class Messages:
    """The messages between cores for one sample.

    Attributes:
        cores: how many cores the network was cut for.
        remote: spikes that leave their core, once for each other core that they reach.
        chips: how many chips it was spread over.
        between_chips: those of `remote` that leave their chip.
        hops_x, hops_y: hops of all messages along rows and along columns of the mesh; 0 without a placement.
    """

    cores: int
    chips: int
    remote: float
    between_chips: float
    hops_x: float = 0
    hops_y: float = 0

    @classmethod
    def of(cls, partition: Partition, placed: Placement | None, firings: Mapping[str, float]) -> Messages:
        """The messages of a partitioned network.

        Args:
            firings: by population, the ticks of a sample in which one of its neurons fires, on average.
        """
        ways: list[Mapping[str, int]] = [partition.packets, partition.packets_between_chips]
        ways += [placed.hops_x, placed.hops_y] if placed else []
        return cls(partition.cores, partition.chips,
                   *(sum(count * firings.get(n, 0.0) for n, count in way.items()) for way in ways))


class Sizes(NamedTuple):
    """What a network takes; see `Cost`. `ticks` are those of the hardware for one sample."""

    neurons: Number
    synapses: Number
    weight_bits: Number
    kept_bits: Number
    state_bits: Number
    resident_bits: Number
    peak_bits: Number
    cores: Number
    chips: Number
    ticks: Number
    latency_ticks: Number

    @classmethod
    def of(cls, sums: Mapping[str, Number], peak_bits: Number, cores: Number, chips: Number, ticks: Number,
           latency_ticks: Number) -> Sizes:
        """The sizes of networks whose totals are known by the names of `totals.SUMS`."""
        return cls(sums["neurons"], sums["synapses"], sums["weight_bits"], sums["kept_bits"], sums["state_bits"],
                   sums["weight_bits"] + sums["state_bits"], peak_bits, cores, chips, ticks, latency_ticks)


def least_chips(sums: Mapping[str, Number], cores: Number, limits: Limits) -> Number:
    """Chips that networks need at least, given their cores and their totals by the names of `totals.SUMS`.

    >>> int(least_chips({"neurons": 1500, "synapses": 90}, 3, Limits(cores=4, neurons=1000)))
    2
    """
    needs = (cores, limits.cores), (sums["neurons"], limits.neurons), (sums["synapses"], limits.synapses)
    return functools.reduce(np.maximum, (-(-need // most) for need, most in needs if most is not None), 1)


class Work(NamedTuple):
    """What a network does for one sample; see `Cost`.

    Attributes:
        fired: neurons and ticks in which a neuron emits something.
        synops: how many events there are by the constant of a profile that stands for them.
    """

    input_spikes: Number
    spikes: Number
    fired: Number
    accumulations: Number
    multiplications: Number
    dense: Number
    events: Number
    bit_operations: Number
    synops: tuple[tuple[str, Number], ...]

    @classmethod
    def assumed(cls, sums: Mapping[str, Number], ticks: Number, rate: float) -> Work:
        """What networks of known totals would do if all neurons and inputs fired at the same rate.

        Weights of 0 are taken to be spread evenly over the synapses: a layer of 100 synapses and a tenth of its weights
        not zero makes 10 accumulations where all of its inputs fire.

        Args:
            sums: totals by the names of `totals.SUMS`.
            ticks: ticks of the sample.
            rate: spikes per neuron and tick.

        Raises:
            CompileError: SNN404 for a rate that is negative or not finite, or ticks out of 0 to MAX_TICKS.
        """
        expect_possible(rate, ticks)
        often = ticks * rate
        return cls(sums["inputs"] * often, sums["neurons"] * often, sums["neurons"] * (ticks * min(rate, 1)),
                   sums["nonzero"] * often, 0.0, sums["synapses"] * ticks, sums["synapses"] * often,
                   sums["nonzero_bits"] * often,
                   tuple((f"{listing}_synop", sums[listing] * often) for listing in LISTINGS.values()))

    @classmethod
    def measured(cls, activity: Activity, table: LayerTable) -> Work:
        """What a network was seen to do, on average over the samples.

        Args:
            table: its layer table, in whose order its populations and projections are.
        """
        samples, own = max(activity.samples, 1), table.populations.is_input == 0
        firing = list(activity.populations.values())
        spikes, fired = (np.array([getattr(f, name) for f in firing], np.float64) for name in ("spikes", "fired"))
        counts = {n: sum(getattr(s, n) for s in activity.projections) / samples
                  for n in ("accumulations", "multiplications", "dense", "events", "bit_operations")}
        return cls(float(spikes[~own].sum()) / samples, float(spikes[own].sum()) / samples,
                   float(fired[own].sum()) / samples, **counts, synops=tuple(_synops(activity, table, samples)))


def _synops(activity: Activity, table: LayerTable, samples: int) -> Iterator[tuple[str, float]]:
    """How many synaptic events a projection had with spikes, and how many with graded values."""
    for listing, did in zip(table.projections.listing.tolist(), activity.projections, strict=True):
        yield f"{LISTINGS[listing]}_synop", (did.events - did.graded_events) / samples
        if did.graded_events:
            yield f"{LISTINGS[listing]}_graded", did.graded_events / samples


def expect_possible(rate: float, ticks: Number) -> None:
    """Refuse rates and ticks that no network has.

    Raises:
        CompileError: SNN404 for a rate that is negative or not finite, or ticks out of 0 to MAX_TICKS.
    """
    known = isinstance(rate, Real) and 0 <= rate < math.inf
    if not known or np.any(np.asarray(ticks) < 0) or np.any(np.asarray(ticks) > MAX_TICKS):
        fail("SNN404", "option rate, ticks", f"{rate!r}, {ticks!r}",
             f"numbers, at least 0, and at most {MAX_TICKS:,} ticks")


def assumption(ticks: int, rate: float, given: int = 0) -> str:
    """The words for the basis of an assumed cost, in which so many populations have a rate that was given."""
    others = f"the rates that were given for {given}, and for others " if given else ""
    return f"assumed: {others}{rate:g} spikes a neuron and tick, {ticks} ticks"


def constants_of(target: Target, profile: str | None) -> tuple[str | None, Costs | None]:
    """The name and the constants of a profile of a target; None for both where the target has none.

    Args:
        profile: its name; None for the first one of the target.

    Raises:
        CompileError: SNN404 for a profile that does not exist.
    """
    known = cost_profiles(target)
    if profile is not None:
        expect_known(profile, known, "option profile")
    name = profile or next(iter(target.costs), None)
    return name, None if name is None else known[name]


def figures(sizes: Sizes, work: Work, constants: Costs | None, messages: Messages | None = None) -> dict[str, Any]:
    """The figures of a `Cost` by the names of its fields.

    Args:
        constants: those of a profile; without them there is no energy and no time.
        messages: what cores send to each other, where a network was partitioned.
    """
    known = work._asdict()
    del known["fired"], known["synops"]
    result = {**sizes._asdict(), **known}
    if constants is None:
        return result
    counters = _counters(sizes, work, constants, messages)
    energy = {part: _sum(constants, terms, "pj") for part, terms in counters.items()}
    return {**result, "energy_pj": {part: value for part, value in energy.items() if value is not None},
            "time_ns": _time(sizes, constants, counters),
            "uncounted": tuple(part for part, value in energy.items() if value is None)}


def _counters(sizes: Sizes, work: Work, constants: Costs, messages: Messages | None
              ) -> dict[str, list[tuple[str, Number]]]:
    """What is counted, by part of the network, each with the constant of the profile that it is multiplied by.

    Events with graded values have a constant of their own only in some profiles.
    """
    graded = "mac" if constants.mac_pj is not None else None
    synops = [(graded or name.replace("graded", "synop") if name.endswith("graded") else name, count)
              for name, count in work.synops]
    return {
        "synapses": synops,
        "neurons": [("neuron", sizes.neurons * sizes.ticks - work.fired), ("spiking_neuron", work.fired)],
        "spikes": [("spike", work.fired)],
        "messages": [("message", messages.remote)] if messages else [],
        **({"chips": [("chip_message", messages.between_chips)]} if messages and messages.chips > 1 else {}),
        "hops": [("hop_x", messages.hops_x), ("hop_y", messages.hops_y)] if messages else [],
    }


def _time(sizes: Sizes, constants: Costs, counters: Mapping[str, list[tuple[str, Number]]]) -> Number:
    """The time in ns, with the work spread evenly over the cores; None where the profile has no times."""
    work = [_sum(constants, counters[part], "ns") for part in ("synapses", "neurons", "spikes")]
    busy = [w for w in work if w is not None]
    return sum(busy) / sizes.cores + sizes.ticks * (constants.tick_ns or 0) if busy else None


def _sum(constants: Costs, terms: list[tuple[str, Number]], unit: str) -> Number:
    """The sum of constants times counters, in `unit` (pj or ns); None where the profile has none of the constants."""
    known = [(getattr(constants, f"{name}_{unit}", None), count) for name, count in terms]
    return None if all(c is None for c, _ in known) else sum(c * count for c, count in known if c is not None)
