"""What a compilation reports: per population and in all, as data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncompile.cost.estimate import Cost
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run, sample_chunks
from snncompile.ir.ops import Conv, Linear, Scale
from snncompile.ir.populations import Population
from snncompile.ir.ranges import population_ranges
from snncompile.ir.types import Array, Shape
from snncompile.mapping.chip import CoreUse
from snncompile.passes.quantize.calibrate import Calibration


@dataclass(frozen=True)
class PopulationReport:
    """One population in integers.

    Attributes:
        synapses: connections into it, borders counted exactly.
        weight_bits: bits that the weights of its projections use, the widest.
        unit_min, unit_max: real value of one membrane step, over its channels.
        state_bits: width of each state; state_range: what is proved to occur in it.
        output_range: what it can emit in one step.
        rate: emitted (absolute) values a neuron and tick on the calibration samples, in reals.
        spikes_equal, spikes_shared: float against integer network on those samples (see `Agreement`).
    """

    name: str
    rule: str
    shape: Shape
    synapses: int
    weight_bits: int
    unit_min: float
    unit_max: float
    state_bits: Mapping[str, int]
    state_range: Mapping[str, tuple[int, int]]
    output_range: tuple[int, int]
    rate: float | None
    spikes_equal: float | None
    spikes_shared: float | None

    @property
    def neurons(self) -> int:
        return math.prod(self.shape)


@dataclass
class Agreement:
    """Float and integer network on the same samples.

    Two measures for each population. `equal`: the share of outputs (a neuron in a tick) that are the same, most of
    which are silent. `shared`: `1 - sum |a - b| / sum max(|a|, |b|)` over all outputs, for spikes the share of
    those fired by either network that both fired in the same tick: silence does not flatter it.
    """

    samples: int = 0
    apart: dict[str, float] = field(default_factory=dict)
    fired: dict[str, float] = field(default_factory=dict)
    same: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    decisions_equal: int = 0
    float_correct: int | None = None
    integer_correct: int | None = None

    def shared(self, name: str) -> float:
        """The share of a population's spikes that both networks fired."""
        return 1 - self.apart[name] / self.fired[name] if self.fired.get(name) else 1.0

    def equal(self, name: str) -> float:
        """The share of a population's outputs that are the same."""
        return self.same[name] / self.outputs[name] if self.outputs.get(name) else 1.0

    @property
    def spikes_shared(self) -> float:
        fired = sum(self.fired.values())
        return 1 - sum(self.apart.values()) / fired if fired else 1.0

    @property
    def spikes_equal(self) -> float:
        outputs = sum(self.outputs.values())
        return sum(self.same.values()) / outputs if outputs else 1.0

    @property
    def decisions(self) -> float:
        return self.decisions_equal / self.samples if self.samples else 1.0


@dataclass(frozen=True)
class Report:
    """Everything that was measured or proved while compiling, and the options it was done with.

    `latency_ticks` is how many hardware ticks a sample takes beyond its own, of which each takes `dilation`. `cost` is
    what the golden vectors take on hardware whose ticks or events are described, `cores` how its cores are used.
    """

    name: str
    target: str
    populations: tuple[PopulationReport, ...]
    agreement: Agreement | None
    sizes_bytes: Mapping[str, int]
    seconds: Mapping[str, float]
    options: Mapping[str, Any] = field(default_factory=dict)
    latency_ticks: int = 0
    dilation: int = 1
    cost: Cost | None = None
    cores: CoreUse | None = None

    def to_json(self) -> dict[str, Any]:
        data = dataclasses.asdict(self)
        data["cost"] = self.cost.to_json() if self.cost else None
        if self.agreement:
            data["agreement"] = {"samples": self.agreement.samples, "spikes_equal": self.agreement.spikes_equal,
                                 "spikes_shared": self.agreement.spikes_shared,
                                 "decisions_equal": self.agreement.decisions,
                                 "float_correct": self.agreement.float_correct,
                                 "integer_correct": self.agreement.integer_correct}
        return data


def decide(graph: Graph, outputs: Mapping[str, Array]) -> Array:
    """The class that each sample is given, `[sample]`: the strongest element of the first output."""
    name, op = next(iter(graph.outputs.items()))
    values = outputs[name]
    flat = values.reshape(*values.shape[:2], math.prod(values.shape[2:])).astype(np.float64)
    if flat.shape[1] == 0:
        return np.zeros(len(flat), np.int64)
    score = flat.sum(1) if op.decode == "rate" else flat[:, -1] if op.decode == "last" else flat.max(1)
    return np.asarray(score.argmax(1))


def compare(legal: Graph, integer: Graph, reals: Mapping[str, Array], integers: Mapping[str, Array],
            labels: Array | None = None, progress: Callable[[int, int], None] | None = None) -> Agreement:
    """Run both graphs on the same samples and count where they agree."""
    found = Agreement()
    samples, ticks = next(iter(reals.values())).shape[:2]
    if labels is not None:
        found.float_correct = found.integer_correct = 0
    for part in sample_chunks(legal, samples, ticks):
        a = run(legal, {n: v[part] for n, v in reals.items()}, record=True, dtype=np.float32)
        b = run(integer, {n: v[part] for n, v in integers.items()}, record=True)
        for name, op in integer.populations.items():
            assert isinstance(op, Population)
            _count(found, name, a.emitted[name], b.emitted[name] * (op.unit if op.graded else 1))
        decided = decide(legal, a.outputs), decide(integer, b.outputs)
        found.samples += part.stop - part.start
        found.decisions_equal += int((decided[0] == decided[1]).sum())
        if labels is not None:
            found.float_correct = (found.float_correct or 0) + int((decided[0] == labels[part]).sum())
            found.integer_correct = (found.integer_correct or 0) + int((decided[1] == labels[part]).sum())
        if progress:
            progress(part.stop, samples)
    return found


def _count(found: Agreement, name: str, a: Array, b: Array) -> None:
    larger = np.maximum(np.abs(a), np.abs(b)).sum(dtype=np.float64)
    found.apart[name] = found.apart.get(name, 0.0) + float(np.abs(a - b).sum(dtype=np.float64))
    found.fired[name] = found.fired.get(name, 0.0) + float(larger)
    found.same[name] = found.same.get(name, 0) + int((a == b).sum())
    found.outputs[name] = found.outputs.get(name, 0) + a.size


def population_reports(graph: Graph, calibration: Calibration, agreement: Agreement | None
                       ) -> tuple[PopulationReport, ...]:
    """A row for every population of an INT graph."""
    rows = []
    for name, op in graph.populations.items():
        assert isinstance(op, Population)
        ranges = population_ranges(graph, name)
        seen = calibration.activity.get(name)
        rows.append(PopulationReport(
            name, op.rule, graph.shapes[name], synapses_into(graph, name), weight_bits(graph, name),
            float(np.min(op.unit)), float(np.max(op.unit)), {n: s.bits for n, s in op.states.items()},
            dict(ranges.states), (op.output_low, op.output_high), seen.rate if seen else None,
            agreement.equal(name) if agreement else None, agreement.shared(name) if agreement else None))
    return tuple(rows)


def synapses_into(graph: Graph, name: str) -> int:
    """Connections of all projections into a population; one a neuron for a projection without weights."""
    total = 0
    for edge in graph.edges_into[name]:
        shape = graph.shapes[edge.src]
        for op in edge.chain:
            total += op.synapses(shape) if isinstance(op, (Linear, Conv)) else 0
            shape = op.infer(shape)
        if not any(isinstance(op, (Linear, Conv)) for op in edge.chain):
            total += math.prod(shape)
    return total


def weight_bits(graph: Graph, name: str) -> int:
    """The narrowest signed width that holds the weights of all projections into a population."""
    ops = [op for e in graph.edges_into[name] for op in e.chain if isinstance(op, (Linear, Conv, Scale))]
    weights = [np.asarray(op.factor if isinstance(op, Scale) else op.weight) for op in ops]
    layers = [w for op, w in zip(ops, weights, strict=True) if not isinstance(op, Scale)] or weights
    if not layers:
        return 0
    if all(np.all(np.abs(w) == 1) for w in layers):
        return 1
    return max(max(int(w.max()).bit_length(), (-int(w.min()) - 1).bit_length() if w.min() < 0 else 0) + 1
               for w in layers)
