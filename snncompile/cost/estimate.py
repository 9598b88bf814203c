"""The cost of a network on a target, from counted or assumed activity and a named profile of constants.

Energies are constants of the profile times counters, and nothing else. Parts for which a profile has no constant are
not counted, and `Cost.uncounted` names them. All numbers are for one sample.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from snncompile.cost.activity import Activity, assumed_activity
from snncompile.cost.totals import SUMS, layer_bits, totals
from snncompile.cost.work import (
    Messages,
    Sizes,
    Work,
    assumption,
    constants_of,
    expect_possible,
    figures,
    least_chips,
)
from snncompile.diagnostics import did_you_mean, fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.schedule import Schedule
from snncompile.ir.types import Stage
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.memory import least_cores
from snncompile.targets.target import Target

ASSUMED_RATE = 0.1
"""Spikes per neuron and tick where nothing was measured."""
ASSUMED_TICKS = 100
MAX_NAMED = 4
"""The most populations that a message names."""
Rate = float | Mapping[str, float]
"""Spikes per neuron and tick: of all populations and inputs, or by name, where those that are left out fire at
ASSUMED_RATE."""


@dataclass(frozen=True, repr=False)
class Cost:
    """The cost of a network for one sample.

    Attributes:
        basis: in words, whether the activity was measured or assumed.
        profile: the name of the profile of constants; None where the target has none.
        neurons, synapses: numbers of the whole network, inputs not among the neurons.
        weight_bits, state_bits: bits of all weights, and of all states.
        kept_bits: bits of the weights that are not zero: what a sparse format stores at least, without its indices.
        resident_bits: bits of weights and states with all layers in memory at once.
        peak_bits: bits of the largest layer, if only one layer is in memory at a time.
        cores: how many cores the network was cut for; without a partition, the lower bound.
        chips: how many chips the cores lie on; without a partition, the lower bound.
        ticks: ticks that the hardware takes for the sample.
        latency_ticks: ticks from an input to the last output.
        input_spikes, spikes: spikes of all inputs, and of all populations.
        accumulations, multiplications, dense: synaptic operations as NeuroBench counts them, see `activity`.
        events: synapses that hardware works off, see `activity.SynapseActivity`.
        bit_operations: synaptic operations times the bits of weight and value.
        energy_pj: energy in pJ by part: synapses, neurons, spikes, messages, hops, and messages between chips.
        time_ns: time in ns, with the work spread evenly over `cores`; None where the profile has no times.
        uncounted: the parts for which the profile has no energy.
    """

    network: str
    target: str
    basis: str
    profile: str | None
    neurons: int
    synapses: int
    weight_bits: int
    kept_bits: int
    state_bits: int
    resident_bits: int
    peak_bits: int
    cores: int
    chips: int
    ticks: int
    latency_ticks: int
    input_spikes: float
    spikes: float
    accumulations: float
    multiplications: float
    dense: float
    events: float
    bit_operations: float
    energy_pj: Mapping[str, float] = field(default_factory=dict)
    time_ns: float | None = None
    uncounted: tuple[str, ...] = ()

    @property
    def synaptic_operations(self) -> float:
        """Accumulations and multiply-accumulations together."""
        return self.accumulations + self.multiplications

    @property
    def total_pj(self) -> float | None:
        """The energy of all parts that the profile counts, in pJ; None where it counts none."""
        return sum(self.energy_pj.values()) if self.energy_pj else None

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "total_pj": self.total_pj}

    def __str__(self) -> str:
        parts = [f"{prefixed(self.synaptic_operations)}SynOps", f"{prefixed(self.spikes)}spikes"]
        if self.total_pj is not None:
            parts.append(f"{prefixed(self.total_pj * 1e-12)}J ({self.profile})")
        return f"{', '.join(parts)}, {self.ticks:,} ticks a sample; {self.basis}"

    def __repr__(self) -> str:
        return f"<Cost of {shorten(self.network)} on {self.target}: {self}>"

    def _repr_html_(self) -> str:
        """All figures, as a notebook shows them."""
        values = {n: f"{v:,}" if isinstance(v, (int, float)) else str(v) for n, v in self.to_json().items()}
        rows = "".join(f"<tr><td>{name}</td><td>{escape(value)}</td></tr>" for name, value in values.items())
        return f"<table>{rows}</table>"


def assumed_ticks(graph: Graph) -> int:
    """The ticks of a sample where nothing was measured: those that the network names itself, or ASSUMED_TICKS."""
    named = graph.meta.get("ticks")
    return named if isinstance(named, int) and not isinstance(named, bool) and named > 0 else ASSUMED_TICKS


def rates_of(table: LayerTable, rate: Rate, ticks: int) -> dict[str, float]:
    """The rate of each population and input of a layer table, by name.

    Raises:
        CompileError: SNN404 for the rate of a population that does not exist, and for impossible rates and ticks.
    """
    for each in rate.values() if isinstance(rate, Mapping) else [rate]:
        expect_possible(each, ticks)
    if not isinstance(rate, Mapping):
        return dict.fromkeys(table.names, rate)
    for name in rate:
        if name not in table.names:
            fail("SNN404", f"option rate, {shorten(name)}", "no population or input has this name",
                 ", ".join(map(shorten, table.names[:MAX_NAMED])), did_you_mean(str(name), table.names))
    return {name: rate.get(name, ASSUMED_RATE) for name in table.names}


def cost_of(graph: Graph, table: LayerTable, target: Target, activity: Activity, profile: str | None = None,
            messages: Messages | None = None) -> Cost:
    """The cost of a LEGAL or later graph whose activity was measured.

    Args:
        table: its layer table.
        profile: the name of a profile of constants; the first one of the target if it is None.
        messages: what cores send to each other, if the network was partitioned.

    Raises:
        CompileError: SNN404 for a profile that does not exist.
    """
    return _cost(graph, table, target, Work.measured(activity, table), activity.basis, activity.ticks, profile,
                 messages, _schedule(graph, target, 1))


def assumed_cost(graph: Graph, table: LayerTable, target: Target, ticks: int, rate: Rate = ASSUMED_RATE,
                 profile: str | None = None, messages: Messages | None = None, period: int = 1) -> Cost:
    """The cost of a LEGAL or later graph if its neurons and inputs fired at these rates.

    Args:
        ticks: ticks of the one sample that is assumed.
        rate: spikes per neuron and tick, of all or by name.
        period: hardware ticks for each tick of the network, as long as the graph has no schedule of its own.

    Raises:
        CompileError: SNN404 for a profile that does not exist, or for a rate or a number of ticks that is negative or
            not finite, or for the rate of a population that does not exist.
    """
    schedule = _schedule(graph, target, period)
    if isinstance(rate, Mapping):
        rates = rates_of(table, rate, ticks)
        activity = assumed_activity(table, ticks, rates, assumption(ticks, ASSUMED_RATE, len(rate)))
        return _cost(graph, table, target, Work.measured(activity, table), activity.basis, ticks, profile, messages,
                     schedule)
    sums = dict(zip(SUMS, totals(table).sum(1).tolist(), strict=True))
    return _cost(graph, table, target, Work.assumed(sums, ticks, rate), assumption(ticks, rate), ticks, profile,
                 messages, schedule)


def _cost(graph: Graph, table: LayerTable, target: Target, work: Work, basis: str, ticks: int, profile: str | None,
          messages: Messages | None, schedule: Schedule) -> Cost:
    sums = dict(zip(SUMS, totals(table).sum(1).tolist(), strict=True))
    cores = messages.cores if messages else max((int(v[0]) for v in least_cores(table, target).values()), default=1)
    chips = messages.chips if messages else int(least_chips(sums, cores, target.limits))
    sizes = Sizes.of(sums, int(layer_bits(table).max(initial=0)), max(cores, 1), chips,
                     schedule.hardware_ticks(ticks), schedule.depth_ticks)
    name, constants = constants_of(target, profile)
    return Cost(graph.name, target.name, basis, name, **figures(sizes, work, constants, messages))


def _schedule(graph: Graph, target: Target, period: int) -> Schedule:
    """The schedule of a MAPPED graph; for others, a hop for each projection on the longest path is assumed."""
    if graph.stage == Stage.MAPPED:
        return graph.schedule
    return Schedule({graph.name: target.timing.hop_ticks * max(graph.levels.values())}, period)


def prefixed(value: float) -> str:
    """A number with three digits and an SI prefix; the unit is to follow.

    >>> prefixed(4.1e6) + "J", prefixed(97.3e-6) + "J", prefixed(12) + "J"
    ('4.1 MJ', '97.3 uJ', '12 J')
    """
    steps = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))
    factor, prefix = next(((f, p) for f, p in steps if abs(value) >= f), (1e-12, "p") if value else (1, ""))
    return f"{value / factor:.3g} {prefix}"
