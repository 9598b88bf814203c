"""quantize: each population gets a unit, and everything that reaches it is expressed in whole numbers of that unit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from snncompile.diagnostics import Diagnostic, fail, shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Input
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.types import Array, Stage
from snncompile.passes.quantize.calibrate import Calibration
from snncompile.passes.quantize.fixed_neuron import fixed_neuron
from snncompile.passes.quantize.given_weights import given_notes
from snncompile.passes.quantize.population import UNCALIBRATED_BITS, PopulationQuantizer
from snncompile.passes.quantize.probe import Probe
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.target import Target

Known: TypeAlias = "dict[Any, tuple[Population, dict[Edge, Edge]]]"
"""Populations and the projections that lead to them, by all that they follow from in one graph."""
LOOP_BITS = 14
"""The width over which the values of a graded population inside a loop are spread."""


@dataclass(frozen=True)
class Quantize:
    """Turn a LEGAL graph into integers.

    Weights go to the grid of `weight_bits`; thresholds, biases and initial states to the unit of their
    population; decays to m / 2**n. Weights that arrived as integers stay as they are. Where several
    projections meet, or the membrane needs a finer unit than the weights, a projection ends in a `Scale` by whole
    numbers.

    Attributes:
        arithmetic: how numbers become integers.
        own: the arithmetic of populations that have another one, by name.
        calibration: the ranges and the activity that were seen on samples; empty without samples.
        target: the hardware, whose figures say how wide the registers of its fixed neuron are.
    """

    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    calibration: Calibration = field(default_factory=Calibration)
    target: Target = field(default_factory=lambda: Target("any", "Any hardware"))
    own: Mapping[str, Arithmetic] = field(default_factory=dict)
    name: ClassVar[str] = "quantize"
    needs: ClassVar[Stage] = Stage.LEGAL
    ensures: ClassVar[Stage] = Stage.INT

    def run(self, graph: Graph, known: Known | None = None) -> Graph:
        """The graph in integers.

        Args:
            known: populations that were quantized before with the same calibration, to which new ones are added. They
                are not quantized again.
        """
        # Populations that are known, or rounded without samples, do not depend on what those before them send.
        follow = known is None and self.arithmetic.weight_rounding == "calibrated"
        sent: dict[str, Array] | None = {} if follow else None
        known = {} if known is None else known
        nodes: dict[str, Op] = {n: self._input(n, op) for n, op in graph.inputs.items()}
        units: dict[str, float] = {n: op.unit for n, op in nodes.items() if isinstance(op, Input)}
        units.update(self._loop_units(graph))
        edges: dict[Edge, Edge] = {}
        fixed = fixed_neuron(self.arithmetic.neuron, self.target)
        recorded = self.calibration.recorded
        probe = None if recorded is None else Probe(recorded, units, sent)
        for name in _order(graph):
            neuron = graph.nodes[name]
            assert isinstance(neuron, Neuron)
            key = name, self._of(name), units.get(name), *(units[e.src] for e in graph.edges_into[name])
            if key not in known:
                quantizer = PopulationQuantizer(graph, name, neuron, self._of(name), self.calibration, units, fixed,
                                                probe)
                known[key] = quantizer.run()
            population, projections = known[key]
            nodes[name] = population
            units[name] = float(population.unit) if population.graded else 1.0
            edges.update(projections)
        ordered = {n: nodes.get(n, op) for n, op in graph.nodes.items()}
        notes = [*_range_notes(self.arithmetic, self.calibration), *given_notes(graph, self.arithmetic, fixed)]
        return graph.replace(nodes=ordered, edges=tuple(edges.get(e, e) for e in graph.edges),
                             stage=Stage.INT).noting(notes)

    def _of(self, name: str) -> Arithmetic:
        return self.own.get(name, self.arithmetic)

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
        for name in backward:
            bits = min(LOOP_BITS, self._of(name).graded_width - 2)
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
        low, high = min(low, 0.0), max(high, self.arithmetic.input_high or 0.0, 0.0)
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
    assumed = f"no calibration samples: input ranges are as declared, membranes have {UNCALIBRATED_BITS} bits"
    return [Diagnostic("SNN405", "quantize", assumed, "samples of the data that the network will get",
                       "give samples with `calibration` (--calibrate)", "warning")]
