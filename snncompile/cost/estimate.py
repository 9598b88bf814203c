"""The cost of a network on a target, from counted or assumed activity and a named profile of constants.

Energies are constants of the profile times counters, and nothing else. Parts for which a profile has no constant are
not counted, and `Cost.uncounted` names them. All numbers are for one sample.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from snncompile.cost.activity import Activity
from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.schedule import Schedule
from snncompile.ir.types import Array, Stage
from snncompile.targets.arithmetic import MAX_BITS
from snncompile.targets.columns import DENSE, KERNEL, SPARSE
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.load import cost_profiles
from snncompile.targets.memory import least_cores
from snncompile.targets.sections import Costs
from snncompile.targets.target import Target

if TYPE_CHECKING:
    from snncompile.mapping.partitioned import Partition
    from snncompile.mapping.place import Placement

ASSUMED_RATE = 0.1
"""Spikes per neuron and tick where nothing was measured."""
ASSUMED_TICKS = 100
LISTINGS = {DENSE: "dense", SPARSE: "sparse", KERNEL: "conv"}


@dataclass(frozen=True)
class Messages:
    """The messages between cores for one sample.

    Attributes:
        cores: how many cores the network was cut for.
        remote: spikes that leave their core, once for each other core that they reach.
        hops_x, hops_y: hops of all messages along rows and along columns of the mesh; 0 without a placement.
    """

    cores: int
    remote: float
    hops_x: float = 0
    hops_y: float = 0

    @classmethod
    def of(cls, partition: Partition, placed: Placement | None, activity: Activity) -> Messages:
        """The messages of a partitioned network, as if all neurons of a population fired equally often."""
        firings = {n: f.fired / (max(f.neurons, 1) * max(activity.samples, 1)) for n, f in activity.populations.items()}
        ways = [partition.packets] if placed is None else [partition.packets, placed.hops_x, placed.hops_y]
        return cls(partition.cores, *(sum(count * firings.get(n, 0.0) for n, count in way.items()) for way in ways))


@dataclass(frozen=True, repr=False)
class Cost:
    """The cost of a network for one sample.

    Attributes:
        basis: in words, whether the activity was measured or assumed.
        profile: the name of the profile of constants; None where the target has none.
        neurons, synapses: numbers of the whole network, inputs not among the neurons.
        weight_bits, state_bits: bits of all weights, and of all states.
        resident_bits: bits of weights and states with all layers in memory at once.
        peak_bits: bits of the largest layer, if only one layer is in memory at a time.
        cores: how many cores the network was cut for; without a partition, the lower bound.
        ticks: ticks that the hardware takes for the sample.
        latency_ticks: ticks from an input to the last output.
        input_spikes, spikes: spikes of all inputs, and of all populations.
        accumulations, multiplications, dense: synaptic operations as NeuroBench counts them, see `activity`.
        events: synapses that hardware works off, see `activity.SynapseActivity`.
        bit_operations: synaptic operations times the bits of weight and value.
        energy_pj: energy in pJ by part: synapses, neurons, spikes, messages and hops.
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
    state_bits: int
    resident_bits: int
    peak_bits: int
    cores: int
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


def cost_of(graph: Graph, table: LayerTable, target: Target, activity: Activity, profile: str | None = None,
            messages: Messages | None = None, period: int = 1) -> Cost:
    """The cost of a LEGAL or later graph.

    Args:
        table: its layer table.
        profile: the name of a profile of constants; the first one of the target if it is None.
        messages: what cores send to each other, if the network was partitioned.
        period: hardware ticks for each tick of the network, as long as the graph has no schedule of its own.

    Raises:
        CompileError: SNN404 for a profile that does not exist.
    """
    known = cost_profiles(target)
    if profile is not None and profile not in known:
        fail("SNN404", "option profile", shorten(profile), ", ".join(known))
    name = profile or next(iter(target.costs), None)
    cells, samples = table.populations, max(activity.samples, 1)
    states, weights = _memory(table)
    layers = states + np.bincount(table.projections.target, weights, len(cells)).astype(np.int64)
    cores = messages.cores if messages else max((int(v[0]) for v in least_cores(table, target).values()), default=1)
    schedule = _schedule(graph, target, period)
    spikes = {n: f.spikes / samples for n, f in activity.populations.items()}
    counts = {n: sum(getattr(s, n) for s in activity.projections) / samples
              for n in ("accumulations", "multiplications", "dense", "events", "bit_operations")}
    cost = Cost(
        graph.name, target.name, activity.basis, name,
        neurons=int(cells.neurons[cells.is_input == 0].sum()), synapses=int(cells.synapses.sum()),
        weight_bits=int(weights.sum()), state_bits=int(states.sum()), resident_bits=int(layers.sum()),
        peak_bits=int(layers.max(initial=0)), cores=max(cores, 1), ticks=schedule.hardware_ticks(activity.ticks),
        latency_ticks=schedule.depth_ticks,
        input_spikes=sum(v for n, v in spikes.items() if n in graph.inputs),
        spikes=sum(v for n, v in spikes.items() if n in graph.populations), **counts)
    return cost if name is None else _priced(cost, known[name], table, activity, messages)


def _memory(table: LayerTable) -> tuple[Array, Array]:
    """The bits of the states of each population, and of the weights of each projection."""
    cells, links = table.populations, table.projections
    width = np.where(cells.state_bits, cells.state_bits, MAX_BITS)
    return np.where(cells.is_input, 0, cells.neurons * cells.states * width), links.weights * links.weight_bits


def _schedule(graph: Graph, target: Target, period: int) -> Schedule:
    """The schedule of a MAPPED graph; for others, a hop for each projection on the longest path is assumed."""
    if graph.stage == Stage.MAPPED:
        return graph.schedule
    return Schedule({graph.name: target.timing.hop_ticks * max(graph.levels.values())}, period)


def _priced(cost: Cost, profile: Costs, table: LayerTable, activity: Activity, messages: Messages | None) -> Cost:
    """A cost with its energy and time: the constants of a profile times the counters."""
    samples = max(activity.samples, 1)
    firing = list(activity.populations.values())
    own = [f for f, is_input in zip(firing, table.populations.is_input, strict=True) if not is_input]
    updates, fired = cost.neurons * cost.ticks, sum(f.fired for f in own) / samples
    counters: dict[str, list[tuple[str, float]]] = {
        "synapses": _synapses(table, activity, samples, profile),
        "neurons": [("neuron", updates - fired), ("spiking_neuron", fired)],
        "spikes": [("spike", fired)],
        "messages": [("message", messages.remote)] if messages else [],
        "hops": [("hop_x", messages.hops_x), ("hop_y", messages.hops_y)] if messages else [],
    }
    energy = {part: _sum(profile, terms, "pj") for part, terms in counters.items()}
    work = [_sum(profile, counters[part], "ns") for part in ("synapses", "neurons", "spikes")]
    busy = [w for w in work if w is not None]
    time = sum(busy) / cost.cores + cost.ticks * (profile.tick_ns or 0) if busy else None
    missing = [part for part, value in energy.items() if value is None]
    return dataclasses.replace(cost, energy_pj={p: v for p, v in energy.items() if v is not None}, time_ns=time,
                               uncounted=tuple(missing))


def _synapses(table: LayerTable, activity: Activity, samples: int, profile: Costs) -> list[tuple[str, float]]:
    """How many synaptic events there are by constant of the profile.

    Events with graded values have a constant of their own only in some profiles.
    """
    terms = []
    for listing, did in zip(table.projections.listing.tolist(), activity.projections, strict=True):
        graded = did.graded_events if profile.mac_pj is not None else 0
        terms += [(f"{LISTINGS[listing]}_synop", (did.events - graded) / samples), ("mac", graded / samples)]
    return terms


def _sum(profile: Costs, terms: list[tuple[str, float]], unit: str) -> float | None:
    """The sum of constants times counters, in `unit` (pJ or ns); None where the profile has none of the constants."""
    known = [(getattr(profile, f"{name}_{unit}", None), count) for name, count in terms]
    return None if all(c is None for c, _ in known) else sum(c * count for c, count in known if c is not None)


def prefixed(value: float) -> str:
    """A number with three digits and an SI prefix; the unit is to follow.

    >>> prefixed(4.1e6) + "J", prefixed(97.3e-6) + "J", prefixed(12) + "J"
    ('4.1 MJ', '97.3 uJ', '12 J')
    """
    steps = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"))
    factor, prefix = next(((f, p) for f, p in steps if abs(value) >= f), (1e-12, "p") if value else (1, ""))
    return f"{value / factor:.3g} {prefix}"
