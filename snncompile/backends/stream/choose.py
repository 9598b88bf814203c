"""Choosing a folding: as few cells as a demand allows, or as fast as the device allows.

The busiest stage is made faster, step by step: it gets more lanes where most of its cycles are for events, and more
neuron units where they are for sweeps, whichever saves more cycles for each look-up table that it takes more. Where
others wait for it, or it for them, it can send rows as soon as they are complete, or words can queue in front of those
that read what it sends. When a demand is met, what turned out to be needless is taken back. Where a network does not
fit, populations keep the sums of a few rows only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from snncompile.backends.network_ticks import inputs_in_hardware_ticks
from snncompile.backends.plan.layouts import as_image
from snncompile.backends.stream.area import Cells, cells_of
from snncompile.backends.stream.context import Fold
from snncompile.backends.stream.estimate import Activity, Estimate, estimate, excess, worst_cycles
from snncompile.backends.stream.fold import folds_of, legal_units
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.lower import Lowering
from snncompile.backends.stream.memory import XC7
from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array
from snncompile.targets.folding import Folding
from snncompile.targets.sections import Fabric

STEPS = 64
"""The most steps."""
COMPARED = 4
"""The samples by which foldings are compared; others that turn out to miss a demand join."""
QUEUE = 32
"""Words that wait in the smallest memory of look-up tables of most devices."""


class Choice:
    """The folding of one network.

    Attributes:
        lowering: makes hardware of it.
        every: the activity of all recorded samples.
        activity: of those by which foldings are compared: the ones of most events, and others that are slow.
        clock_mhz: the clock that times are told for.
    """

    def __init__(self, lowering: Lowering, folding: Folding, own: Mapping[str, Mapping[str, Any]], every: Activity,
                 clock_mhz: int):
        self.lowering, self.folding, self.own = lowering, folding, own
        self.every, self.clock_mhz = every, clock_mhz
        self.activity = every.most(every.words, COMPARED)

    @classmethod
    def of(cls, graph: Graph, x: Mapping[str, Array], fabric: Fabric, folding: Folding,
           own: Mapping[str, Mapping[str, Any]]) -> Choice:
        """The choice for an INT or MAPPED graph.

        Args:
            x: recorded inputs `[sample, tick, *shape]` by name, in ticks of the network.
            fabric: the FPGA; one that says nothing of its memory counts as one of AMD's 7 series.
            folding: of the whole network.
            own: options of single populations.
        """
        lowering = Lowering(graph, folding.chains or 1, fabric if fabric.bank_shapes else XC7)
        every = Activity.of(graph, lowering.hardware({}), inputs_in_hardware_ticks(x, graph))
        return cls(lowering, folding, own, every, folding.clock_of(fabric))

    def run(self) -> tuple[dict[str, Fold], Hardware, Estimate]:
        """The folding, the hardware, and what it takes.

        Raises:
            CompileError: SNN420 for a demand that no folding meets, SNN416 for a network that does not fit.
        """
        while True:
            folds, hardware = self._chosen()
            found = self.estimated(folds)
            if self._meets(found):
                return folds, hardware, found
            slower = self.every.most(found.cycles, len(self.activity.samples) + COMPARED)
            if len(slower.samples) == len(self.activity.samples):
                self._expect_met(found)
            self.activity = slower

    def estimated(self, folds: Mapping[str, Fold]) -> Estimate:
        """What a folding takes, by all recorded samples."""
        hardware = self.lowering.hardware(folds)
        found = estimate(hardware, self.every, self.clock_mhz)
        return replace(found, worst_cycles=worst_cycles(hardware, self.every.ticks))

    def _chosen(self) -> tuple[dict[str, Fold], Hardware]:
        """The folding that is chosen by some of the samples."""
        wishes = self.folding.fastest or self.folding.latency_us is not None or self.folding.samples_per_s is not None
        for folds, found in self.points():  # noqa: B007
            if not wishes or (not self.folding.fastest and self._meets(found)):
                break
        self._expect_met(found)
        if wishes and not self.folding.fastest:
            folds, found = self._smaller(folds, found)
        return folds, self.lowering.hardware(folds)

    def points(self) -> Iterator[tuple[dict[str, Fold], Estimate]]:
        """The foldings on the way from the smallest to the fastest that fits.

        Raises:
            CompileError: SNN416 for a network that does not fit.
        """
        folds = folds_of(self.lowering, self.folding, self.own)
        hardware = self.lowering.hardware(folds)
        found = self._estimate(hardware)
        if excess(found.cells, found.limits):
            folds = {name: replace(f, lines=f.lines or self._may_line(name)) for name, f in folds.items()}
            hardware = self.lowering.hardware(folds)
            found = self._estimate(hardware)
        found.expect_fits(self.lowering.graph.name, hardware)
        for _ in range(STEPS):
            yield folds, found
            faster = self._faster(folds, hardware, found)
            if faster is None:
                return
            folds = faster
            hardware = self.lowering.hardware(folds)
            found = self._estimate(hardware)

    def _smaller(self, folds: dict[str, Fold], found: Estimate) -> tuple[dict[str, Fold], Estimate]:
        """The folding with fewer lanes and units, as long as the demand is met with fewer look-up tables."""
        for _ in range(STEPS):
            best = folds, found
            for name, fold in folds.items():
                for less in self._previous(name, fold):
                    trial = {**folds, name: less}
                    taken = self._estimate(self.lowering.hardware(trial))
                    fits = self._meets(taken) and not excess(taken.cells, taken.limits)
                    if fits and _size(taken.cells, trial) < _size(best[1].cells, best[0]):
                        best = trial, taken
            if best[0] is folds:
                break
            folds, found = best
        return folds, found

    def _estimate(self, hardware: Hardware) -> Estimate:
        return estimate(hardware, self.activity, self.clock_mhz)

    def _meets(self, found: Estimate) -> bool:
        latency, rate = self.folding.latency_us, self.folding.samples_per_s
        return (latency is None or found.latency_us <= latency) and (rate is None or found.samples_per_s >= rate)

    def _expect_met(self, found: Estimate) -> None:
        latency, rate = self.folding.latency_us, self.folding.samples_per_s
        place = f"network {shorten(self.lowering.graph.name)}, {{}} at {self.clock_mhz} MHz"
        help = "use a faster --clock-mhz, a larger device, or a smaller network"
        if latency is not None and found.latency_us > latency:
            fail("SNN420", place.format("latency_us"), f"{found.latency_us:.1f} us with the fastest folding that fits",
                 f"{latency:g} us", help)
        if rate is not None and found.samples_per_s < rate:
            fail("SNN420", place.format("samples_per_s"), f"{found.samples_per_s:,.0f} with the fastest folding that "
                 "fits", f"{rate:g}", help)

    def _faster(self, folds: Mapping[str, Fold], hardware: Hardware, before: Estimate) -> dict[str, Fold] | None:
        """The folding in which the busiest stage that can be made faster is so; None where none can, or none fits."""
        busy = self.activity.busy(hardware)
        names = {s.stream.name: s.stream.label for s in hardware.stages if s.stream.label in folds and not s.relayed}
        for stream in sorted(names, key=lambda n: -busy[n]):
            name, best = names[stream], None
            trials = [({**folds, name: fold}, False) for fold in self._next(name, folds[name])]
            for trial, waits_less in (*trials, *((t, True) for t in self._overlapping(hardware, stream, folds))):
                made = self.lowering.hardware(trial)
                cells = cells_of(made)
                saved = busy[stream] - self.activity.busy(made)[stream]
                if waits_less:
                    saved = max(before.cycles) - max(self.activity.cycles(made))
                if saved <= 0 or excess(cells, before.limits):
                    continue
                worth = saved / max(_size(cells, trial) - _size(before.cells, folds), 1)
                if best is None or worth > best[0]:
                    best = worth, trial
            if best:
                return best[1]
        return None

    def _overlapping(self, hardware: Hardware, stream: str, folds: Mapping[str, Fold]) -> Iterator[dict[str, Fold]]:
        """Foldings in which others wait less for a stream: rows are sent early, or words queue in front of a reader."""
        name = hardware.streams[stream].label
        if not folds[name].lines and self._may_line(name):
            yield {**folds, name: replace(folds[name], lines=True)}
        for branch in hardware.branches[stream]:
            readers = [s.stream.label for s in hardware.stages if branch.reader in s.links and s.relayed is None]
            for name in readers:
                if branch.slot and "queue" not in self.own.get(name, {}) and not self.folding.queue:
                    for depth in sorted({min(QUEUE, branch.most), branch.most}):
                        yield {**folds, name: replace(folds[name], queue=depth)}

    def _may_line(self, name: str) -> bool:
        """Whether it is left to this choice that a population keeps the sums of a few rows only."""
        return name in self.lowering.lineable and self.own.get(name, {}).get("lines", self.folding.lines) is None

    def _next(self, name: str, fold: Fold) -> list[Fold]:
        """Foldings that are one step faster."""
        own, channels = self.own.get(name, {}), as_image(self.lowering.graph.shapes[name])[0]
        found = []
        if "lanes" not in own and fold.lanes < channels:
            lanes = min(2 * fold.lanes, channels)
            found.append(replace(fold, lanes=lanes, units=max(n for n in legal_units(lanes) if n <= fold.units)))
            if "units" not in own and 2 * fold.units in legal_units(lanes):
                found.append(replace(fold, lanes=lanes, units=2 * fold.units))
        if "units" not in own and 2 * fold.units in legal_units(fold.lanes):
            found.append(replace(fold, units=2 * fold.units))
        return found

    def _previous(self, name: str, fold: Fold) -> list[Fold]:
        """Foldings that are one step smaller."""
        own = self.own.get(name, {})
        found = []
        if "units" not in own and fold.units > 1:
            found.append(replace(fold, units=fold.units // 2))
        if fold.lines and self._may_line(name):
            found.append(replace(fold, lines=False))
        if "queue" not in own and not self.folding.queue and fold.queue > 1:
            found.append(replace(fold, queue=1))
        if "lanes" not in own and fold.lanes > (self.folding.lanes or 1):
            lanes = -(-fold.lanes // 2)
            units = max(n for n in legal_units(lanes) if n <= fold.units)
            if "units" not in own or units == fold.units:
                found.append(replace(fold, lanes=lanes, units=units))
        return found


def _size(cells: Cells, folds: Mapping[str, Fold]) -> int:
    """Look-up tables, or lanes and units where those of the device are not known."""
    return cells.luts if cells.luts is not None else sum(f.lanes + f.units for f in folds.values())
