"""What a compilation reports, as data: for each population, and for the whole network."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from snncompile.cost.estimate import Cost
from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.layer import Layer
from snncompile.ir.ops import Scale
from snncompile.ir.populations import Population
from snncompile.ir.ranges import population_ranges
from snncompile.ir.types import Array, Shape
from snncompile.mapping.chip import CoreUse
from snncompile.passes.quantize.calibrate import Calibration
from snncompile.targets.layer_options import ByLayer


@dataclass(frozen=True)
class PopulationReport:
    """One population of an INT graph.

    Attributes:
        synapses: connections into the population; a convolution has none to the padding around its input.
        weight_bits: the width that the widest weight of its projections needs.
        unit_min, unit_max: real value of one membrane step: the least and the largest over the channels.
        state_bits: width of each state.
        state_range: for each state the least and the largest value that it can have, as proved.
        output_range: the least and the largest value that a neuron can emit in a tick, as proved.
        rate: magnitude of what a neuron emits in a tick, averaged over the calibration samples, in real values (for
            spikes, the firing rate); None without samples.
        spikes_equal, spikes_shared, counts_shared: agreement of float and integer network on those samples, see
            `Agreement`; None without samples, and for a graded population.
        graded_error: how far the values of a graded population are from those of the float network, see `Agreement`;
            None without samples, and for spikes.
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
    counts_shared: float | None
    graded_error: float | None = None

    @property
    def neurons(self) -> int:
        return math.prod(self.shape)


@dataclass
class Agreement:
    """How far the float and the integer network agree on the same samples.

    There are these measures for each population. An output is what one neuron emits in one tick.

    - `equal`: the share of outputs that are the same. Most outputs are silent, so this is close to 1.
    - `shared`: `1 - sum |a - b| / sum max(|a|, |b|)` over all outputs a and b of the two networks. For spikes: of those
      that either network fired, the share that both fired in the same tick. Silence does not count.
    - `counts`: the same for what each neuron emits in a whole sample. A spike that comes a tick late is shared by
      counts and not by ticks. A network that is read out by counts depends on no more.
    - `rate_ratio`: what the integer network emits, for what the float network does.
    - `error`, for a graded population only: the root mean square of `a - b`, as a share of that of a or of b, whichever
      is larger. Its values are never equal to the last digit, so the measures of the whole network, `spikes_equal`,
      `spikes_shared` and `counts_shared`, leave graded populations out.

    Attributes:
        samples: how many samples were compared.
        apart, fired: `sum |a - b|` and `sum max(|a|, |b|)` by population.
        counts_apart, counts_most: the same for sums over the ticks of a sample.
        emitted: `sum |a|` and `sum |b|` by population.
        same, outputs: how many outputs are the same, and how many there are, by population.
        squares: `sum (a - b)^2`, `sum a^2` and `sum b^2`, by graded population.
        decisions_equal: samples for which both networks decide for the same class.
        float_correct, integer_correct: samples for which each network decides for the given class; None without labels.
    """

    samples: int = 0
    apart: dict[str, float] = field(default_factory=dict)
    fired: dict[str, float] = field(default_factory=dict)
    counts_apart: dict[str, float] = field(default_factory=dict)
    counts_most: dict[str, float] = field(default_factory=dict)
    emitted: dict[str, tuple[float, float]] = field(default_factory=dict)
    same: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    squares: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    decisions_equal: int = 0
    float_correct: int | None = None
    integer_correct: int | None = None

    def shared(self, name: str) -> float:
        """The measure `shared` of a population, from 0 to 1; 1 where neither network fired."""
        return 1 - self.apart[name] / self.fired[name] if self.fired.get(name) else 1.0

    def equal(self, name: str) -> float:
        """The measure `equal` of a population, from 0 to 1."""
        return self.same[name] / self.outputs[name] if self.outputs.get(name) else 1.0

    def counts(self, name: str) -> float:
        """The measure `counts` of a population, from 0 to 1; 1 where neither network fired."""
        return 1 - self.counts_apart[name] / self.counts_most[name] if self.counts_most.get(name) else 1.0

    def rate_ratio(self, name: str) -> float:
        """The measure `rate_ratio` of a population; 1 where the float network did not fire."""
        exact, integer = self.emitted.get(name, (0.0, 0.0))
        return integer / exact if exact else 1.0

    def error(self, name: str) -> float:
        """The measure `error` of a graded population, from 0 to 2; 0 where neither network gave anything but 0."""
        apart, exact, integer = self.squares[name]
        return math.sqrt(apart / max(exact, integer)) if apart else 0.0

    @property
    def spiking(self) -> list[str]:
        """The populations that emit spikes."""
        return [name for name in self.outputs if name not in self.squares]

    @property
    def counts_shared(self) -> float:
        return self._shared(self.counts_apart, self.counts_most)

    @property
    def spikes_shared(self) -> float:
        return self._shared(self.apart, self.fired)

    @property
    def spikes_equal(self) -> float:
        outputs = sum(self.outputs[n] for n in self.spiking)
        return sum(self.same[n] for n in self.spiking) / outputs if outputs else 1.0

    @property
    def graded_error(self) -> float | None:
        """The largest `error` of a graded population; None without such."""
        return max(map(self.error, self.squares), default=None)

    def _shared(self, apart: Mapping[str, float], most: Mapping[str, float]) -> float:
        """The share that all spiking populations together have in common."""
        whole = sum(most[n] for n in self.spiking)
        return 1 - sum(apart[n] for n in self.spiking) / whole if whole else 1.0

    @property
    def decisions(self) -> float:
        return self.decisions_equal / self.samples if self.samples else 1.0

    def __repr__(self) -> str:
        measures = import_module("snncompile.report.steps").measures(self)
        return f"<Agreement on {self.samples:,} samples: {', '.join(f'{what} {shown}' for what, shown in measures)}>"

    def count(self, integer: Graph, exact: Mapping[str, Array], emitted: Mapping[str, Array]) -> None:
        """Add what the populations of both networks emitted on the same samples, `[sample, tick, *shape]` by name.

        Args:
            integer: the INT graph.
            exact, emitted: of the float network, and of the integer network in its integers.
        """
        for name, op in integer.integer_populations.items():
            self._count(name, exact[name], emitted[name] * (op.unit if op.graded else 1), op.graded)

    def _count(self, name: str, a: Array, b: Array, graded: bool) -> None:
        a, b = _wide(a), _wide(b)
        for one, other, apart, most in ((a, b, self.apart, self.fired), (
                a.sum(1, dtype=np.float64), b.sum(1, dtype=np.float64), self.counts_apart, self.counts_most)):
            larger = np.maximum(np.abs(one), np.abs(other)).sum(dtype=np.float64)
            apart[name] = apart.get(name, 0.0) + float(np.abs(one - other).sum(dtype=np.float64))
            most[name] = most.get(name, 0.0) + float(larger)
        before = self.emitted.get(name, (0.0, 0.0))
        self.emitted[name] = (before[0] + float(np.abs(a).sum(dtype=np.float64)),
                              before[1] + float(np.abs(b).sum(dtype=np.float64)))
        self.same[name] = self.same.get(name, 0) + int((a == b).sum())
        self.outputs[name] = self.outputs.get(name, 0) + a.size
        if graded:
            known = self.squares.get(name, (0.0, 0.0, 0.0))
            added = [float(np.square(v, dtype=np.float64).sum()) for v in (a - b, a, b)]
            self.squares[name] = (known[0] + added[0], known[1] + added[1], known[2] + added[2])

    def to_json(self) -> dict[str, Any]:
        return {"samples": self.samples, "spikes_equal": self.spikes_equal, "spikes_shared": self.spikes_shared,
                "counts_shared": self.counts_shared, "graded_error": self.graded_error,
                "rate_ratios": {n: self.rate_ratio(n) for n in self.emitted},
                "decisions_equal": self.decisions, "float_correct": self.float_correct,
                "integer_correct": self.integer_correct}


@dataclass(frozen=True)
class Report:
    """Everything that was measured or proved while a network was compiled, and the options that were used.

    Attributes:
        agreement: how far float and integer network agree; None without samples.
        sizes_bytes: memory by purpose, in the words of the backend (`weights`, `states`, `total_one_tick`).
        seconds: the time of each part, by the names of `steps.PARTS`.
        latency_ticks: the largest latency of a population or output, in hardware ticks; a sample takes so many more.
        dilation: hardware ticks for each tick of the network.
        cost: what a sample of the golden vectors costs; None where the target describes neither costs nor hops.
        cores: how the cores of the target are used; None where it has none.
        figures: what else the backend knows of its program, by name: on an FPGA, cycles and cells.
        validation: how far they agree on samples that were held out; None without such.
        layers: the options of each population that was quantized, as `compile` takes them; see `layer_options`.
        notes: the warnings of the reader and of all passes.
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
    layers: ByLayer = field(default_factory=dict)
    validation: Agreement | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Diagnostic, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The report as JSON has it, without times, so that it is the same whenever the network is compiled."""
        data = dataclasses.asdict(self)
        del data["seconds"]
        data["cost"] = self.cost.to_json() if self.cost else None
        for name, measured in (("agreement", self.agreement), ("validation", self.validation)):
            data[name] = measured and measured.to_json()
        data["notes"] = [note.to_json() for note in self.notes]
        return data

    def rows(self) -> list[dict[str, Any]]:
        """A row for each population, as a data frame takes them: `pandas.DataFrame(report.rows())`.

        Mappings become columns of their own, such as `state_bits.v`; ranges become `output_range.low` and
        `output_range.high`.
        """
        return [_flat({**dataclasses.asdict(p), "neurons": p.neurons}) for p in self.populations]

    def __repr__(self) -> str:
        shown: Mapping[str, str] = import_module("snncompile.report.figures").figures(self)
        width = max(map(len, shown), default=0)
        head = f"Report of {shorten(self.name)} for {self.target}, {len(self.notes)} warnings"
        return "\n".join([head, *(f"  {what:<{width}}  {figure}" for what, figure in shown.items())])

    def _repr_html_(self) -> str:
        shown: str = import_module("snncompile.report.html").summary(self)
        return shown


def _wide(values: Array) -> Array:
    """Values in a type that holds sums and differences of two of them, and in the order of samples and ticks, in which
    they are then added up wherever they come from."""
    kind = np.float64 if values.dtype.kind == "f" else np.int16 if values.dtype.itemsize == 1 else np.int64
    return np.ascontiguousarray(values, kind)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name, without any that consist of several."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name.endswith("_range") and isinstance(value, tuple):
            value = dict(zip(("low", "high"), value, strict=True))
        elif name.endswith("_range"):
            value = _flat({f"{state}_range": ends for state, ends in value.items()})
            value = {key.replace("_range", ""): end for key, end in value.items()}
        if isinstance(value, Mapping):
            found |= {f"{name}.{key}": part for key, part in value.items()}
        else:
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def population_reports(graph: Graph, calibration: Calibration, agreement: Agreement | None
                       ) -> tuple[PopulationReport, ...]:
    """A report for every population of an INT graph, in the order of the graph.

    Args:
        calibration: rates measured on samples; empty without samples.
    """
    reports = []
    for name, op in graph.populations.items():
        assert isinstance(op, Population)
        ranges = population_ranges(graph, name)
        activity = calibration.activity.get(name)
        reports.append(PopulationReport(
            name, op.rule, graph.shapes[name], synapses_into(graph, name), weight_bits(graph, name),
            float(np.min(op.unit)), float(np.max(op.unit)), {n: s.bits for n, s in op.states.items()},
            dict(ranges.states), (op.output_low, op.output_high), activity.rate if activity else None,
            *_measured(name, agreement)))
    return tuple(reports)


def _measured(name: str, agreement: Agreement | None) -> tuple[float | None, float | None, float | None, float | None]:
    """What is equal and shared of the spikes and counts of a population, or the error of a graded one."""
    if agreement is None:
        return None, None, None, None
    if name in agreement.squares:
        return None, None, None, agreement.error(name)
    return agreement.equal(name), agreement.shared(name), agreement.counts(name), None


def synapses_into(graph: Graph, name: str) -> int:
    """Synapses of all projections into a population; a projection without weights has one for each of its outputs."""
    total = 0
    for edge in graph.edges_into[name]:
        shape = graph.shapes[edge.src]
        for op in edge.chain:
            total += op.synapses(shape) if isinstance(op, Layer) else 0
            shape = op.infer(shape)
        if not any(isinstance(op, Layer) for op in edge.chain):
            total += math.prod(shape)
    return total


def weight_bits(graph: Graph, name: str) -> int:
    """The narrowest signed width that holds the weights of all projections into a population.

    Where there are weights, the scales behind them do not count. 1 where all weights are -1 or 1; 0 without weights.
    """
    ops = [op for e in graph.edges_into[name] for op in e.chain if isinstance(op, (Layer, Scale))]
    weights = [np.asarray(op.factor if isinstance(op, Scale) else op.weight) for op in ops]
    layers = [w for op, w in zip(ops, weights, strict=True) if not isinstance(op, Scale)] or weights
    if not layers:
        return 0
    if all(np.all(np.abs(w) == 1) for w in layers):
        return 1
    return max(max(int(w.max()).bit_length(), (-int(w.min()) - 1).bit_length() if w.min() < 0 else 0) + 1
               for w in layers)
