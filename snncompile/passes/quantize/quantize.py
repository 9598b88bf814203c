"""quantize: each population gets a unit, and everything that reaches it is expressed in whole numbers of that unit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np

from snncompile.diagnostics import Diagnostic, fail, shorten
from snncompile.ir.dimensions import Typed
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.interp import run
from snncompile.ir.ops import Input, Output, Scale
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array, ShapeOnly, Stage
from snncompile.passes.quantize.calibrate import Calibration
from snncompile.passes.quantize.fixed_neuron import FixedNeuron, fixed_neuron
from snncompile.passes.quantize.given_weights import given_notes
from snncompile.passes.quantize.moments import response
from snncompile.passes.quantize.neuron_program import InputEntry, input_gain, is_curved, lower, typed_program
from snncompile.passes.quantize.projections import GivenCodes, WeightCodes, keeps_channels
from snncompile.passes.quantize.rounders import NEAREST, Calibrated, Rounder
from snncompile.passes.quantize.units import Scales, choose_unit, input_shift, kept_fraction
from snncompile.passes.quantize.weight_grid import WeightGrid
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.target import Target

LOOP_BITS = 14
"""The width over which the values of a graded population inside a loop are spread."""
# 30 comes before 32, so that a membrane and its input add up in 32 bits where possible.
MEMBRANE_BITS = (16, 24, 30, 32)
UNCALIBRATED_BITS = 30
HEADROOMS, PROBED = (0, -1, 1, 2), 8


@dataclass(frozen=True)
class Quantize:
    """Turn a LEGAL graph into integers.

    Weights go to the grid of `weight_bits`; thresholds, biases and initial states to the unit of their
    population; decays to m / 2**n. Weights that arrived as integers stay as they are. Where several
    projections meet, or the membrane needs a finer unit than the weights, a projection ends in a `Scale` by whole
    numbers.

    Attributes:
        arithmetic: how numbers become integers.
        calibration: the ranges and the activity that were seen on samples; empty without samples.
        target: the hardware, whose figures say how wide the registers of its fixed neuron are.
    """

    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    calibration: Calibration = field(default_factory=Calibration)
    target: Target = field(default_factory=lambda: Target("any", "Any hardware"))
    name: ClassVar[str] = "quantize"
    needs: ClassVar[Stage] = Stage.LEGAL
    ensures: ClassVar[Stage] = Stage.INT

    def run(self, graph: Graph) -> Graph:
        nodes: dict[str, Op] = {n: self._input(n, op) for n, op in graph.inputs.items()}
        units: dict[str, float] = {n: op.unit for n, op in nodes.items() if isinstance(op, Input)}
        units.update(self._loop_units(graph))
        edges: dict[Edge, Edge] = {}
        fixed = fixed_neuron(self.arithmetic.neuron, self.target)
        for name in _order(graph):
            neuron = graph.nodes[name]
            assert isinstance(neuron, Neuron)
            quantizer = _PopulationQuantizer(graph, name, neuron, self.arithmetic, self.calibration, units, fixed)
            population, projections = quantizer.run()
            nodes[name] = population
            units[name] = float(population.unit) if population.graded else 1.0
            edges.update(projections)
        ordered = {n: nodes.get(n, op) for n, op in graph.nodes.items()}
        notes = [*_range_notes(self.arithmetic, self.calibration), *given_notes(graph, self.arithmetic, fixed)]
        return graph.replace(nodes=ordered, edges=tuple(edges.get(e, e) for e in graph.edges),
                             stage=Stage.INT).noting(notes)

    def _loop_units(self, graph: Graph) -> dict[str, float]:
        """The units of the populations that project backward: they are needed before the populations are reached.

        The unit of a graded one is the largest value of the calibration, spread over `LOOP_BITS` bits, or over fewer
        where its width is narrow.

        Raises:
            CompileError: SNN405 for a graded population inside a loop without calibration samples.
        """
        order = {n: i for i, n in enumerate(_order(graph))}
        backward = {e.src for e in graph.edges if e.src in order and e.dst in order and order[e.src] >= order[e.dst]}
        units: dict[str, float] = {}
        bits = min(LOOP_BITS, self.arithmetic.graded_width - 2)
        for name in backward:
            neuron = graph.nodes[name]
            assert isinstance(neuron, Neuron)
            activity = self.calibration.activity.get(name)
            if neuron.rule.spiking:
                units[name] = 1.0
            elif activity is None:
                fail("SNN405", f"population {shorten(name)}", "a graded population inside a loop",
                     help="give samples with `calibration`, so that its unit can be chosen")
            else:
                units[name] = (max(activity.peak_state, activity.peak_output) or 1.0) / (1 << bits)
        return units

    def _input(self, name: str, op: Input) -> Input:
        """The input with the range and the unit of its integers.

        Counts of spikes keep their values, in a range of whole bits. Real values are spread over `input_bits`.
        """
        low, high = (ends.get(name, 0.0) for ends in (self.calibration.input_low, self.calibration.input_high))
        if low == high:  # no samples, or samples without spikes
            low, high = op.low, max(op.high, 1e-12)
        low, high = min(low, 0.0), max(high, 0.0)
        if op.values == "spike":
            below, above = math.ceil(-low).bit_length(), max(1, math.ceil(high).bit_length())
            return dataclasses.replace(op, low=-(1 << below) if below else 0, high=(1 << above) - 1, unit=1.0)
        bits = self.arithmetic.input_bits
        largest = (1 << bits) - 1 if low >= 0 else max(1, (1 << (bits - 1)) - 1)
        unit = max(high, -low) / largest
        return dataclasses.replace(op, low=0 if low >= 0 else -largest, high=largest, unit=unit)


def _order(graph: Graph) -> list[str]:
    """The names of the populations, each one after its sources as far as loops allow."""
    return [n for c in graph.components for n in c if isinstance(graph.nodes[n], Neuron)]


def _range_notes(arithmetic: Arithmetic, calibration: Calibration) -> list[Diagnostic]:
    """A warning (SNN405) where ranges were assumed, since there were no samples."""
    if calibration.activity:
        return []
    assumed = f"input ranges as declared, {UNCALIBRATED_BITS}-bit membranes"
    return [Diagnostic("SNN405", "quantize", "no calibration samples were given", assumed,
                       "give samples with `calibration` (--calibrate)", "warning")]


@dataclass
class _PopulationQuantizer:
    """Quantizes one population and the projections that lead to it.

    Attributes:
        units: the real value of an integer that each source sends, by name: 1 for a source of spikes.
        fixed: the neuron that the hardware has; None where every neuron becomes a program.
    """

    graph: Graph
    name: str
    neuron: Neuron
    arithmetic: Arithmetic
    calibration: Calibration
    units: dict[str, float]
    fixed: FixedNeuron | None

    @property
    def place(self) -> str:
        return f"population {shorten(self.name)}"

    def run(self) -> tuple[Population, dict[Edge, Edge]]:
        _expect_numbers(self.place, (self.neuron,))
        edges = {e: self._prepare(e) for e in self.graph.edges_into[self.name]}
        return (self.fixed and self._in_registers(self.fixed, edges)) or self._lowered(edges)

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
            unit, e.label, fixed.weight_multiple)) for before, e in edges.items()}

    def _codes(self, edges: Mapping[Edge, Edge], gain: Array, channels: int) -> dict[Edge, WeightCodes]:
        """The weights of every projection on their grids, multiplied by the gain."""
        axes = len(self.graph.shapes[self.name])
        keep = self.fixed is None or self.fixed.keeps_given_weights
        return {before: WeightCodes.of(e.chain, self.units[before.src], gain, channels, axes, self.arithmetic, keep,
                                       partial(self._rounder, before)) for before, e in edges.items()}

    def _rounder(self, edge: Edge, before: tuple[Op, ...], layer: Op) -> Rounder:
        """How the weights of a projection become codes: by what their errors do to the membrane, where that is known."""
        recorded = self.calibration.recorded
        if self.arithmetic.weight_rounding == "nearest" or recorded is None:
            return NEAREST
        moments = recorded.moments(edge.src, edge.delay, before, layer, response(self.neuron, recorded.ticks))
        return NEAREST if moments is None else Calibrated(moments)

    def _lowered(self, edges: Mapping[Edge, Edge]) -> tuple[Population, dict[Edge, Edge]]:
        """The population with the program of its rule in integers, whatever that is."""
        neuron = self._capped()
        typed = typed_program(neuron, self.place)
        aligned = all(keeps_channels(e.chain) for e in edges.values())
        gain_at, gain = self._gain(typed, aligned)
        channels = self._channels(typed) if aligned else 0
        codes = self._codes(edges, gain, channels)

        def finished(headroom: int) -> tuple[Population, dict[Edge, Edge]]:
            return self._in_units(edges, codes, typed, neuron, gain_at, gain, channels, headroom)

        return min(map(finished, self._headrooms()), key=self._spikes_changed)

    def _in_units(self, edges, codes, typed, neuron, gain_at, gain, channels, headroom):
        axes = len(self.graph.shapes[self.name])
        unit, shift = self._units(codes, self._threshold(channels), is_leaky(typed, gain_at), gain, headroom)
        fine = unit / 2.0**shift
        projections = {before: dataclasses.replace(e, chain=codes[before].quantized(fine, e.label))
                       for before, e in edges.items()}
        shaped = _broadcastable(unit, axes)
        entry = InputEntry(gain_at, self._bias(_broadcastable(fine, axes), gain), shift)
        lowered = lower(neuron, typed, shaped, entry, self._membrane_bits(neuron, unit), self.arithmetic, self.place)
        population = Population(lowered.program, lowered.params, lowered.states, shaped, *lowered.output,
                                lowered.graded, neuron.rule.name)
        return population, projections

    def _headrooms(self) -> tuple[int, ...]:
        """How many bits of the membrane's width lie above twice the threshold: each is tried."""
        tight = self.arithmetic.membrane_bits is not None and self.neuron.rule.spiking
        return HEADROOMS if tight and self.calibration.recorded is not None else (0,)

    def _spikes_changed(self, made: tuple[Population, dict[Edge, Edge]]) -> int:
        """How many values differ that the population emits on recorded samples, given what its sources sent."""
        population, projections = made
        recorded = self.calibration.recorded
        if recorded is None or self.name not in recorded.values:
            return 0
        nodes: dict[str, Op] = {}
        edges, given = [], {}
        for edge in projections.values():
            source = f"from {edge.src}"
            sent = recorded.values[edge.src][:PROBED]
            unit = self.units[edge.src]
            given[source] = sent.astype(np.int64) if unit == 1.0 else np.rint(sent / unit).astype(np.int64)
            nodes[source] = Input(sent.shape[2:], low=int(given[source].min(initial=0)), high=int(given[source].max(initial=0)))
            edges.append(dataclasses.replace(edge, src=source))
        nodes |= {self.name: population, "to": Output()}
        probe = Graph("probe", nodes, (*edges, Edge(self.name, "to")), Stage.INT)
        emitted = run(probe, given).outputs["to"]
        return int(np.count_nonzero(emitted != recorded.values[self.name][:PROBED]))

    def _units(self, codes: Mapping[Edge, WeightCodes], threshold: Array | None, leaky: bool, gain: Array,
               headroom: int) -> tuple[Array, int]:
        """The unit of the membrane, and by how many bits the sum of the synapses is finer than it."""
        graded = [s for edge, s in codes.items() if self._is_graded(edge.src)]
        emits = not self.neuron.rule.spiking
        onward = any(e.dst in self.graph.populations for e in self.graph.edges_from[self.name])
        scales = Scales([s.step for s in codes.values()], threshold, leaky, tuple(s.largest for s in graded),
                        chained=bool(graded) or (emits and onward),
                        kept=tuple(s.step for s in codes.values() if isinstance(s, GivenCodes)),
                        passing=all(q.dimension == "count" for q in self.neuron.traced.states.values()))
        unit = self._fixed_unit()
        if unit is None:
            coarse = WeightGrid(self.arithmetic.weight_bits).coarse
            unit = choose_unit(scales, self.arithmetic, self._peak(), coarse, headroom)
        bias = 0.0 if self.neuron.bias is None else self.neuron.bias
        numbers = [threshold, self._peak(), bias * np.max(np.abs(gain)),
                   *(s.largest for s in codes.values())]
        largest = max(float(np.max(np.abs(n))) for n in numbers if n is not None)
        fine = [kept_fraction(np.abs(s.value), unit) if isinstance(s, GivenCodes) else s.step
                for edge, s in codes.items() if emits or self._is_graded(edge.src) or isinstance(s, GivenCodes) or np.any(unit > 1.5 * s.step)]
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

    def _bias(self, unit: Any, gain: Array) -> Any:
        """The bias in units of the sum of the synapses: one integer, an array, or None where there is none."""
        if self.neuron.bias is None:
            return None
        exact = np.asarray(self.neuron.bias, np.float64) * _broadcastable(gain, len(self.graph.shapes[self.name]))
        exact = exact / unit
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
