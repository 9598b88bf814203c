"""Quantizing one population, and the projections that lead to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.dimensions import Typed
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Scale
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array, ShapeOnly
from snncompile.passes.quantize.calibrate import Calibration
from snncompile.passes.quantize.fixed_neuron import FixedNeuron
from snncompile.passes.quantize.moments import Moments, Reader, response
from snncompile.passes.quantize.neuron_program import InputEntry, input_gain, is_curved, lower, typed_program
from snncompile.passes.quantize.probe import Changed, Probe
from snncompile.passes.quantize.projections import GivenCodes, WeightCodes, keeps_channels
from snncompile.passes.quantize.rounders import NEAREST, Calibrated, Rounder, codes_together
from snncompile.passes.quantize.units import Scales, choose_unit, input_shift, kept_fraction
from snncompile.passes.quantize.weight_grid import WeightGrid
from snncompile.targets.arithmetic import Arithmetic

# 30 comes before 32, so that a membrane and its input add up in 32 bits where possible.
MEMBRANE_BITS = (16, 24, 30, 32)
UNCALIBRATED_BITS = 30
COARSER = 1.5
"""Where a unit is so many times as large as the step of the weights, their sum is kept in that step."""
RATE_TOLERANCE, RATES, RATE_POWERS = 0.01, (0.7, 1.4), (0.5, 1.0, 1.5)
"""Where rounded weights let a population fire by more than the tolerance more or less often, with a rate within these
limits of the wanted one, weights are taken to be worth more or less by these powers of that rate."""
HEADROOMS = (0, -1, 1, 2, 3, 4)
"""The bits of headroom that are tried for narrow membranes, those that are preferred first."""


class _Real(NamedTuple):
    """A population in real numbers, and its weights on grids that have no unit yet.

    Attributes:
        typed: the program of the neuron with the kind of each step.
        gain_at, gain: the step that multiplies the input by a constant, which the synapses take over, and the constant.
        threshold: `[channel]` or 0-d; None for none.
        joint: the projections whose weights are rounded together, and the moments of what reaches them; None for none.
    """

    neuron: Neuron
    typed: Typed
    gain_at: int | None
    gain: Array
    threshold: Array | None
    codes: Mapping[Edge, WeightCodes]
    joint: tuple[list[Edge], Moments] | None


class _Layout(NamedTuple):
    """A unit for the membrane of a population, and its projections in it.

    Attributes:
        shift: by how many bits the sum of the synapses is finer than the membrane.
        lost: what rounding took of the mean of each projection; see `Rounder.lost`.
    """

    unit: Array
    shift: int
    projections: dict[Edge, Edge]
    lost: list[Array]


@dataclass
class PopulationQuantizer:
    """Quantizes one population and the projections that lead to it.

    Attributes:
        units: the real value of an integer that each source sends, by name: 1 for a source of spikes.
        fixed: the neuron that the hardware has; None where every neuron becomes a program.
        probe: what says how spikes differ on samples; None without samples.
    """

    graph: Graph
    name: str
    neuron: Neuron
    arithmetic: Arithmetic
    calibration: Calibration
    units: dict[str, float]
    fixed: FixedNeuron | None
    probe: Probe | None

    @property
    def place(self) -> str:
        return f"population {shorten(self.name)}"

    def run(self) -> tuple[Population, dict[Edge, Edge]]:
        _expect_numbers(self.place, (self.neuron,))
        edges = {e: self._prepare(e) for e in self.graph.edges_into[self.name]}
        found = (self.fixed and self._in_registers(self.fixed, edges)) or self._lowered(edges)
        if self.probe:
            self.probe.keep(self.name, found)
        return found

    def _in_registers(self, fixed: FixedNeuron, edges: Mapping[Edge, Edge]
                      ) -> tuple[Population, dict[Edge, Edge]] | None:
        """The population as the fixed neuron, or None where its rule, its sources or its numbers do not allow that."""
        fitted = fixed.fit(self.neuron, self.place)
        if fitted is None or any(self._is_graded(e.src) for e in edges):
            return None
        codes = self._codes(edges, np.asarray(fitted.gain), 0)
        held = fitted.population([c.step for c in codes.values()], any(c.narrow for c in codes.values()))
        if held is None:
            return None
        population, unit = held
        return population, {before: dataclasses.replace(e, chain=codes[before].quantized(
            unit, e.label, fixed.weight_multiple).chain) for before, e in edges.items()}

    def _codes(self, edges: Mapping[Edge, Edge], gain: Array, channels: int) -> dict[Edge, WeightCodes]:
        """The weights of every projection on their grids, multiplied by the gain."""
        axes = len(self.graph.shapes[self.name])
        keep = self.fixed is None or self.fixed.keeps_given_weights
        return {before: WeightCodes.of(e.chain, self.units[before.src], gain, channels, axes, self.arithmetic, keep,
                                       partial(self._rounder, before)) for before, e in edges.items()}

    def _rounder(self, edge: Edge, before: tuple[Op, ...], layer: Op, after: tuple[Op, ...]) -> Rounder:
        """How the weights of a projection become codes: by what their errors do to the membrane, if that is known."""
        recorded = self.calibration.recorded
        if self.arithmetic.weight_rounding == "nearest" or recorded is None:
            return NEAREST
        reader = Reader(edge.src, edge.delay, before, layer)
        moments = recorded.moments([reader], response(self.neuron, recorded.ticks))
        if moments is None:
            return NEAREST
        corrected = self.neuron.bias is not None and not after
        return Calibrated((moments.centred() if corrected else moments).damped(), reader, corrected)

    def _joint(self, codes: Mapping[Edge, WeightCodes]) -> tuple[list[Edge], Moments] | None:
        """The projections whose errors can make each other good, if there are several, and the moments of what reaches
        all of them."""
        recorded = self.calibration.recorded
        found = {e: c for e, c in codes.items() if isinstance(c.rounder, Calibrated)}
        rounders = [c.rounder for c in found.values() if isinstance(c.rounder, Calibrated)]
        if recorded is None or len(found) < 2 or len({c.grid for c in found.values()}) > 1 or any(
                c.after or c.weight.shape[0] != self.graph.shapes[self.name][0] for c in found.values()):
            return None
        moments = recorded.moments([r.reader for r in rounders], response(self.neuron, recorded.ticks))
        if moments is None:
            return None
        return list(found), (moments.centred() if all(r.corrected for r in rounders) else moments).damped()

    @staticmethod
    def _together(real: _Real, edges: Mapping[Edge, Edge], fine: Array) -> dict[Edge, Array]:
        """The codes of the projections whose errors can make each other good."""
        if real.joint is None:
            return {}
        found, moments = real.joint
        chosen = [real.codes[e] for e in found]
        parts = [(c.weight, c.coded_step(fine, c.times(fine, edges[e].label))) for e, c in zip(found, chosen,
                                                                                               strict=True)]
        return dict(zip(found, codes_together(parts, chosen[0].grid, moments), strict=True))

    def _lowered(self, edges: Mapping[Edge, Edge]) -> tuple[Population, dict[Edge, Edge]]:
        """The population with the program of its rule in integers, whatever that is.

        Of several ways to lay out a narrow membrane, and to make good that rounded weights let it fire less or more
        often, the one is taken that changes the fewest spikes.
        """
        neuron = self._capped()
        typed = typed_program(neuron, self.place)
        aligned = all(keeps_channels(e.chain) for e in edges.values())
        gain_at, gain = self._gain(typed, aligned)
        channels = self._channels(typed) if aligned else 0
        codes = self._codes(edges, gain, channels)
        real = _Real(neuron, typed, gain_at, gain, self._threshold(channels), codes, self._joint(codes))
        layouts = [self._layout(real, edges, headroom) for headroom in self._headrooms(codes)]
        ways = [(layout, self._in_units(real, layout)) for layout in layouts]
        rounded = any(isinstance(c.rounder, Calibrated) for c in codes.values())
        if len(ways) == 1 and not (rounded and neuron.rule.spiking):
            return ways[0][1]
        found = [self._changed(way) for _, way in ways]
        least = min(range(len(ways)), key=found.__getitem__)
        layout, best = ways[least]
        if not rounded or abs(found[least].rate - 1) <= RATE_TOLERANCE:
            return best
        rate = float(np.clip(found[least].rate, *RATES))
        return min([best, *(self._in_units(real, layout, rate**-power) for power in RATE_POWERS)], key=self._changed)

    def _layout(self, real: _Real, edges: Mapping[Edge, Edge], headroom: int) -> _Layout:
        """The unit that leaves so many bits of headroom, see `choose_unit`, and the projections in that unit."""
        unit, shift = self._units(real, headroom)
        fine = unit / 2.0**shift
        known = self._together(real, edges, fine)
        coded = {before: real.codes[before].quantized(fine, e.label, codes=known.get(before))
                 for before, e in edges.items()}
        return _Layout(unit, shift, {e: dataclasses.replace(edges[e], chain=c.chain) for e, c in coded.items()},
                       [c.lost for c in coded.values()])

    def _in_units(self, real: _Real, layout: _Layout, scale: float = 1.0) -> tuple[Population, dict[Edge, Edge]]:
        """The population in the units of a layout.

        Args:
            scale: by how much more a weight of 1 is worth than the layout says, so that neurons fire more often.
        """
        axes, unit = len(self.graph.shapes[self.name]), layout.unit * scale
        shaped, lost = _broadcastable(unit, axes), sum(_broadcastable(lost, axes) for lost in layout.lost)
        fine = _broadcastable(unit / 2.0**layout.shift, axes)
        entry = InputEntry(real.gain_at, self._bias(fine, real.gain, lost), layout.shift)
        lowered = lower(real.neuron, real.typed, shaped, entry, self._membrane_bits(real.neuron, unit), self.arithmetic,
                        self.place)
        population = Population(lowered.program, lowered.params, lowered.states, shaped, *lowered.output,
                                lowered.graded, real.neuron.rule.name)
        return population, layout.projections

    def _headrooms(self, codes: Mapping[Edge, WeightCodes]) -> tuple[int, ...]:
        """The bits of headroom that are tried: several where the width of the membrane is given, and spikes are known.
        Weights that are given have a unit that follows from their step.
        """
        given = any(isinstance(c, GivenCodes) for c in codes.values())
        known = self.probe is not None and self.neuron.rule.spiking and not given
        return HEADROOMS if known and self.arithmetic.membrane_bits is not None else (0,)

    def _changed(self, way: tuple[Population, dict[Edge, Edge]]) -> Changed:
        """By how much spikes differ on samples; by nothing without samples."""
        return self.probe.changed(self.name, way) if self.probe else Changed()

    def _units(self, real: _Real, headroom: int) -> tuple[Array, int]:
        """The unit of the membrane, and by how many bits the sum of the synapses is finer than it."""
        codes, threshold, gain = real.codes, real.threshold, real.gain
        graded = [s for edge, s in codes.items() if self._is_graded(edge.src)]
        emits = not self.neuron.rule.spiking
        onward = any(e.dst in self.graph.populations for e in self.graph.edges_from[self.name])
        scales = Scales([s.step for s in codes.values()], threshold, is_leaky(real.typed, real.gain_at),
                        tuple(s.largest for s in graded), chained=bool(graded) or (emits and onward),
                        kept=tuple(s.step for s in codes.values() if isinstance(s, GivenCodes)),
                        passing=all(q.dimension == "count" for q in self.neuron.traced.states.values()))
        unit = self._fixed_unit()
        if unit is None:
            coarse = WeightGrid.of(self.arithmetic).coarse
            unit = choose_unit(scales, self.arithmetic, self._peak(), coarse, headroom)
        bias = 0.0 if self.neuron.bias is None else self.neuron.bias
        numbers = [threshold, self._peak(), bias * np.max(np.abs(gain)),
                   *(s.largest for s in codes.values())]
        largest = max(float(np.max(np.abs(n))) for n in numbers if n is not None)
        fine = [kept_fraction(np.abs(s.value), unit) if isinstance(s, GivenCodes) else s.step
                for edge, s in codes.items() if emits or self._is_graded(edge.src) or isinstance(s, GivenCodes)
                or np.any(unit > COARSER * s.step)]
        return unit, input_shift(fine, unit, largest)

    def _capped(self) -> Neuron:
        """The neuron, with as many spikes a tick as a count of `spike_bits` can carry."""
        most, firing = self.arithmetic.max_count, self.neuron.firing
        if firing.max_spikes is not None and firing.max_spikes <= most:
            return self.neuron
        capped = Firing(firing.compare, firing.reset, firing.when, most)
        return dataclasses.replace(self.neuron, firing=capped)

    def _gain(self, typed: Typed, aligned: bool) -> tuple[int | None, Array]:
        """The step of the program that multiplies the input by a constant, and that constant, 0-d or `[channel]`.

        The synapses take the constant over. The step is None, and the constant 1, where they cannot.

        Args:
            aligned: whether the outputs of all weights are the channels of the population.
        """
        step = input_gain(typed)
        if step is None:
            return None, np.ones(())
        at, gain = step[0], np.asarray(step[1], np.float64)
        if gain.size == 1:
            return at, gain.reshape(())
        by_channel = gain.ndim == len(self.graph.shapes[self.name]) and gain.size == gain.shape[0]
        return (at, gain.reshape(-1)) if aligned and by_channel else (None, np.ones(()))

    def _prepare(self, edge: Edge) -> Edge:
        """A copy of the projection; one without weights gets a `Scale` of 1. Weights without numbers are refused."""
        _expect_numbers(f"projection {shorten(edge.label)}", edge.chain)
        if not any(isinstance(op, (Layer, Scale)) for op in edge.chain):
            return dataclasses.replace(edge, chain=(*edge.chain, Scale(1.0)))
        return dataclasses.replace(edge)

    def _is_graded(self, name: str) -> bool:
        """Whether a source sends graded values rather than spikes. Their unit may be finer than this population's."""
        op = self.graph.nodes[name]
        return op.values == "real" if isinstance(op, Input) else isinstance(op, Neuron) and not op.rule.spiking

    def _fixed_unit(self) -> Array | None:
        """The unit that was chosen already, for a graded population inside a loop; None for any other."""
        return np.asarray(self.units[self.name]) if self.name in self.units and not self.neuron.rule.spiking else None

    def _channels(self, typed: Typed) -> int:
        """The number of channels that have a unit of their own; 0 where the rule allows one unit in all only."""
        if self.arithmetic.per == "layer" or is_curved(typed) or not self.neuron.rule.spiking:
            return 0
        return self.graph.shapes[self.name][0]

    def _threshold(self, channels: int) -> Array | None:
        """The threshold, `[channel]` or 0-d; where it varies inside a channel, the smallest magnitude.

        None where the population does not fire, or where a threshold is 0.
        """
        value = self.neuron.threshold
        if value is None or not self.neuron.rule.spiking:
            return None
        full = np.abs(np.broadcast_to(np.asarray(value, np.float64), self.graph.shapes[self.name]))
        rows = full.reshape(max(channels, 1), -1).min(1)
        return None if not np.all(rows > 0) else rows if channels else rows[0]

    def _peak(self) -> float | None:
        """The largest membrane that calibration saw, in reals."""
        activity = self.calibration.activity.get(self.name)
        if activity is None:
            return None
        return max(activity.peak_state, activity.peak_output if not self.neuron.rule.spiking else 0)

    def _membrane_bits(self, neuron: Neuron, unit: Array) -> int:
        """The width asked for, or the narrowest that holds the threshold and twice what calibration saw."""
        if self.arithmetic.membrane_bits is not None:
            return self.arithmetic.membrane_bits
        peak = self._peak()
        if peak is None or not neuron.rule.spiking:
            return UNCALIBRATED_BITS
        threshold = 0.0 if neuron.threshold is None else float(np.max(np.abs(neuron.threshold)))
        steps = max(2 * peak, threshold) / float(np.min(unit))
        return next((bits for bits in MEMBRANE_BITS if steps < 1 << (bits - 1)), MEMBRANE_BITS[-1])

    def _bias(self, unit: Any, gain: Array, lost: Any) -> Any:
        """The bias in units of the sum of the synapses: one integer, an array, or None where there is none.

        Args:
            lost: what the weights have lost of the mean of that sum by rounding, which is added.
        """
        if self.neuron.bias is None:
            return None
        exact = np.asarray(self.neuron.bias, np.float64) * _broadcastable(gain, len(self.graph.shapes[self.name]))
        exact = (exact + lost) / unit
        whole = np.rint(exact)
        if np.abs(whole).max(initial=0) >= 2**40:
            fail("SNN401", f"{self.place}, bias", f"{np.abs(whole).max():.3g} membrane steps", "below 2**40")
        integers = whole.astype(np.int64)
        return int(integers.flat[0]) if integers.size == 1 else integers


def _expect_numbers(place: str, ops: tuple[Op, ...]) -> None:
    """Raises SNN401 for an operator whose weights are a shape without numbers."""
    for op in ops:
        for name, array in op.arrays.items():
            if isinstance(array, ShapeOnly):
                fail("SNN401", f"{place}, {name}", "a shape without numbers", "trained weights")


def is_leaky(typed: Typed, gain_at: int | None) -> bool:
    """Whether the rule multiplies something that changes by a real factor, so that a finer unit is more accurate.

    Args:
        gain_at: the step whose factor the synapses take over; it does not count.
    """
    kinds, steps = typed.kinds, typed.program.steps
    return any(s.op in ("mul", "div") and not typed.static(i) and i != gain_at
               and any(kinds[a] in ("real", "constant") for a in s.args) for i, s in enumerate(steps))


def _broadcastable(values: Any, axes: int) -> Any:
    """Values `[channel]`, shaped to broadcast against a tensor with that many axes; a 0-d array as one number."""
    array = np.asarray(values)
    return array.reshape(-1, *(1,) * (axes - 1)) if array.ndim else float(array)
