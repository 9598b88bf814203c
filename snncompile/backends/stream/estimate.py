"""What hardware will take: clock cycles of recorded samples, and cells of the device; and whether it fits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.backends.stream.area import Cells, cells_of
from snncompile.backends.stream.cycles import busiest, cycles_of, emissions
from snncompile.backends.stream.hardware import Hardware
from snncompile.diagnostics import Collector, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array
from snncompile.targets.sections import Fabric

SHARES = (50, 99)
"""The percentiles of cycles that are told."""
WORDS = 60_000
"""The most words whose cycles are predicted, unless a single sample has more."""


@dataclass(frozen=True)
class Activity:
    """What streams carry in recorded samples.

    Attributes:
        samples: for each sample, what each stream carries, `[tick, element]`, by its name.
        ticks: of a sample.
    """

    samples: tuple[Mapping[str, Array], ...]
    ticks: int

    @classmethod
    def of(cls, graph: Graph, hardware: Hardware, x: Mapping[str, Array]) -> Activity:
        """The activity in the first samples `[sample, tick, *shape]`, as many as have WORDS words, and at least one."""
        ticks = next(iter(x.values())).shape[1]
        found = emissions(graph, hardware, x)
        count = len(next(iter(found.values()))) // ticks
        parts = [{n: v[k * ticks:(k + 1) * ticks] for n, v in found.items()} for k in range(count)]
        words = 0
        kept: list[Mapping[str, Array]] = []
        for part in parts:
            words += sum(int((v != 0).sum()) for v in part.values())
            if kept and words > WORDS:
                break
            kept.append(part)
        return cls(tuple(kept), ticks)

    def cycles(self, hardware: Hardware) -> list[int]:
        """The cycles of each sample alone, from its first word to its last result."""
        return [cycles_of(hardware, sample, self.ticks) for sample in self.samples]

    @property
    def words(self) -> list[int]:
        """The events of each sample."""
        return [sum(int(np.count_nonzero(v)) for v in sample.values()) for sample in self.samples]

    def most(self, cost: Sequence[int], count: int) -> Activity:
        """The activity of so many samples that cost most, the first of them foremost."""
        order = sorted(range(len(cost)), key=lambda k: -cost[k])[:count]
        return Activity(tuple(self.samples[k] for k in order), self.ticks)

    def busy(self, hardware: Hardware) -> dict[str, int]:
        """The most cycles of a sample in which each stage is busy, by the name of its stream."""
        each = [busiest(hardware, sample) for sample in self.samples]
        return {name: max(found[name] for found in each) for name in each[0]}


@dataclass(frozen=True)
class Estimate:
    """What a network takes on an FPGA.

    Attributes:
        clock_mhz: the clock that times are told for.
        cycles: of each recorded sample alone, from its first word to its last result.
        worst_cycles: where every element is sent in every tick; None for a network of too many words.
        interval_cycles: from one sample to the next, when they follow each other: those of the busiest stage.
        cells: what it takes; limits: what the device has.
    """

    clock_mhz: int
    cycles: tuple[int, ...]
    worst_cycles: int | None
    interval_cycles: int
    cells: Cells
    limits: Cells

    @property
    def latency_us(self) -> float:
        """The longest time of a recorded sample."""
        return max(self.cycles) / self.clock_mhz

    @property
    def samples_per_s(self) -> float:
        return self.clock_mhz * 1e6 / self.interval_cycles

    def to_json(self) -> dict[str, Any]:
        shares = {f"cycles_p{share}": round(float(np.percentile(self.cycles, share))) for share in SHARES}
        return {"clock_mhz": self.clock_mhz, "cycles": list(self.cycles), "cycles_mean": round(np.mean(self.cycles)),
                **shares, "cycles_worst": self.worst_cycles, "latency_us": self.latency_us,
                "samples_per_s": self.samples_per_s, **{f"{n}": v for n, v in dataclasses.asdict(self.cells).items()},
                **{f"{n}_of_device": v for n, v in dataclasses.asdict(self.limits).items()}}

    def expect_fits(self, name: str, hardware: Hardware) -> None:
        """Raises SNN416 with each kind of cells of which the device has too few."""
        problems = Collector()
        for kind, (used, most) in excess(self.cells, self.limits).items():
            words = kind.replace("_", " ")
            help = "use fewer lanes and units, fewer weights or --weight-bits, or a larger device"
            if kind == "blocks":
                most_of = max(hardware.stages, key=lambda s: sum(m.blocks(hardware.fabric) for m in s.memories))
                taken = sum(m.blocks(hardware.fabric) for m in most_of.memories)
                help = f"population {shorten(most_of.stream.label)} takes {taken:,}; {help}"
            problems.error("SNN416", f"network {shorten(name)}", f"{used:,} {words}", f"{most:,} {words}", help)
        problems.finish()


def excess(cells: Cells, limits: Cells) -> dict[str, tuple[int, int]]:
    """The cells of which a device has too few: how many are taken, and how many there are."""
    used, most = dataclasses.asdict(cells), dataclasses.asdict(limits)
    return {name: (used[name], most[name]) for name in used
            if used[name] is not None and most[name] is not None and used[name] > most[name]}


def estimate(hardware: Hardware, activity: Activity, clock_mhz: int) -> Estimate:
    """What hardware takes, in recorded samples and on its device."""
    return Estimate(clock_mhz, tuple(activity.cycles(hardware)), None, max(activity.busy(hardware).values(), default=1),
                    cells_of(hardware), limits_of(hardware.fabric))


def worst_cycles(hardware: Hardware, ticks: int) -> int | None:
    """The cycles of a sample of which every element is sent in every tick; None where that is more than WORDS words.

    A word that is sent can delay others only, so that no sample takes longer.
    """
    full = {name: np.ones((ticks, stream.size), np.int64) for name, stream in hardware.streams.items()}
    return cycles_of(hardware, full, ticks) if sum(v.size for v in full.values()) <= WORDS else None


def limits_of(fabric: Fabric) -> Cells:
    """The cells of a device; None for those that its description does not give."""
    return Cells(fabric.luts, fabric.flip_flops, fabric.blocks, fabric.multipliers)
