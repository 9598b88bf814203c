"""The line, top to bottom: a source in, a compiled model out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from snncompile.backends.artifact import Golden
from snncompile.backends.table import BACKENDS
from snncompile.diagnostics import Collector, fail, shorten
from snncompile.frontends import load
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.schedule import Schedule
from snncompile.ir.types import Array, ShapeOnly, Stage
from snncompile.ir.verify import verify
from snncompile.model import CompiledModel, by_name, integers
from snncompile.passes.activity import measure
from snncompile.passes.arithmetic import Arithmetic
from snncompile.passes.calibrate import Calibration, calibrate
from snncompile.passes.canonicalize import Canonicalize
from snncompile.passes.estimate import Cost, cost_of
from snncompile.passes.fold_scales import FoldScales
from snncompile.passes.form_populations import FormPopulations
from snncompile.passes.merge_chains import MergeChains
from snncompile.passes.or_pools import OrPools
from snncompile.passes.pipeline import Pass, run_passes
from snncompile.passes.plain_neurons import PlainNeurons
from snncompile.passes.prove_ranges import ProveRanges
from snncompile.passes.quantize import Quantize
from snncompile.passes.retime import Retime
from snncompile.passes.unify_thresholds import UnifyThresholds
from snncompile.report import Agreement, Report, compare, population_reports, synapses_into
from snncompile.targets.table import layer_table
from snncompile.targets.target import Target, load_target
from snncompile.targets.verdict import judge

if TYPE_CHECKING:
    Progress = Callable[[str, int, int], None]

GOLDEN_VALUES = 2_000_000
GOLDEN_SAMPLES = 4
TRIAL_SAMPLES = 2
TRIAL_TICKS = (4, 16)
TRIAL_RATE = 0.2
TRIAL_OPERATIONS = 1 << 30


@dataclass
class Watch:
    """What the caller wants to see on the way.

    Attributes:
        stage: called with the name of a pass or step, the graph it gave (or None), and the seconds it took.
        progress: called with what is under way, how much is done, and how much there is.
    """

    stage: Callable[[str, Graph | None, float], None] | None = None
    progress: Progress | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def saw(self, name: str, graph: Graph | None, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        if self.stage:
            self.stage(name, graph, seconds)

    def timed(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        self.saw(name, result if isinstance(result, Graph) else None, time.perf_counter() - start)
        return result

    def counter(self, name: str) -> Callable[[int, int], None] | None:
        report = self.progress
        return None if report is None else lambda done, whole: report(name, done, whole)


def legalize_passes(target: Target) -> tuple[Pass, ...]:
    """From operators to populations that the target allows."""
    shared: Literal["accumulate", "flatten"] = "accumulate" if target.network.graded else "flatten"
    return (
        Canonicalize(),                                             # first: less to look at for the rest
        PlainNeurons(),                                             # gains that weights take in
        FormPopulations(shared),                                    # projections, so that scales meet weights
        OrPools.of(target),                                         # populations that the next may scale
        UnifyThresholds(target.neurons.thresholds_per_population),  # scales, to be folded
        FoldScales(),                                               # before weights are measured for their grid
        MergeChains(target.network.operators),                      # last: what is left has no other form
    )


def integer_passes(arithmetic: Arithmetic, calibration: Calibration) -> tuple[Pass, ...]:
    """From real numbers to integers whose ranges are proved."""
    return (Quantize(arithmetic, calibration), *given_integers_passes())


def given_integers_passes() -> tuple[Pass, ...]:
    """What a network that arrives in integers goes through: its arithmetic is its own."""
    return (ProveRanges(),)


def mapping_passes(target: Target, dilate: int | Literal["auto"] = 1) -> tuple[Pass, ...]:
    """From populations to what the target does in each of its ticks; nothing where a hop takes no tick."""
    timing = target.timing
    if dilate not in (1, "auto") and not (timing.hop_ticks and timing.dilation):
        fail("SNN404", "option dilate", str(dilate), f"1: target {shorten(target.name)} takes an input every tick")
    if timing.hop_ticks == 0:
        return ()
    dilate = dilate if timing.dilation else 1
    programmable = target.neurons.rules is None
    return (Retime(timing.hop_ticks, timing.max_delay_ticks, timing.relays, programmable, dilate),)


def compile(source: Any, target: str | Path | Target = "c99", *, calibration: Any = None, labels: Any = None,
            watch: Watch | None = None, load_options: Mapping[str, Any] | None = None,
            dilate: int | Literal["auto"] = 1, **arithmetic: Any) -> CompiledModel:
    """Compile a network.

    Args:
        source: a graph, or anything `load` takes. A graph of stage INT keeps its integers: there is nothing to
            legalize, calibrate or quantize, and samples are for golden vectors only.
        target: a target's name, its TOML file, or a `Target`.
        calibration: samples `[sample, tick, *shape]` (by input name, for several inputs) on which ranges are
            measured and float and integer network compared; or a function that gives them for the graph.
        labels: the samples' classes, `[sample]`, to count correct decisions.
        watch: callbacks for passes and progress.
        load_options: what the source does not say; see `load`.
        dilate: hardware ticks for each tick of the network, where a hop takes one; "auto" for as many as the quickest
            loop needs.
        arithmetic: options of the integer representation, by the names of `passes.arithmetic.Arithmetic`.

    Raises:
        CompileError: with every problem found.
    """
    watch = watch or Watch()
    chosen = load_target(target)
    _expect_backend(chosen)
    numbers = arithmetic_of(chosen, arithmetic)
    graph = watch.timed("read", lambda: _with_numbers(verify(load(source, **(load_options or {})))))
    legal = None if _in_integers(graph, arithmetic) else run_passes(graph, legalize_passes(chosen), watch.saw)
    judge(layer_table(legal or graph, numbers.stored_bits, numbers.membrane_bits or 0), chosen, graph.name).expect_ok()
    samples, classes = _given(legal or graph, calibration, labels)
    seen = _calibrated(legal, samples, watch)
    integer = run_passes(legal or graph, integer_passes(numbers, seen) if legal else given_integers_passes(), watch.saw)
    agreement = _compared(legal, integer, samples, classes, watch)
    golden = watch.timed("golden", lambda: record_golden(integer, samples))
    rates = activity_rates(integer, seen, golden)
    mapped = run_passes(integer, mapping_passes(chosen, dilate), watch.saw)
    backend = BACKENDS[str(chosen.backend)]
    artifact = watch.timed("emit", lambda: backend.emit(mapped, rates=rates, golden=golden))
    schedule = Schedule.of(mapped) if mapped.stage == Stage.MAPPED else Schedule({})
    described = chosen.costs or chosen.timing.hop_ticks
    cost = watch.timed("estimate", lambda: _cost(mapped, chosen, schedule, golden)) if described else None
    report = Report(integer.name, chosen.name, population_reports(integer, seen, agreement), agreement,
                    artifact.sizes_bytes, dict(watch.seconds), _options(load_options or {}, numbers if legal else None),
                    schedule.depth_ticks, schedule.period, cost)
    return CompiledModel(integer, artifact, golden, rates, report, integer.notes, legal, backend.name)


def _cost(mapped: Graph, target: Target, schedule: Schedule, golden: Golden) -> Cost:
    """What the golden vectors cost on the hardware."""
    ticks = next(iter(golden.inputs.values())).shape[1]
    activity = dataclasses.replace(measure(mapped, schedule.present(golden.inputs)), ticks=ticks)
    return cost_of(mapped, layer_table(mapped), target, activity)


def _expect_backend(target: Target) -> None:
    if target.backend not in BACKENDS:
        found = shorten(target.backend) if target.backend else "none: networks can only be checked for it"
        fail("SNN404", f"target {shorten(target.name)}, backend", found, ", ".join(BACKENDS))


def arithmetic_of(target: Target, given: Mapping[str, Any]) -> Arithmetic:
    """The target's arithmetic with the user's choices."""
    known = {f.name for f in dataclasses.fields(Arithmetic)}
    for name in (*given, *target.arithmetic):
        if name not in known:
            fail("SNN404", f"option {name}", "no such option", ", ".join(sorted(known)))
    return Arithmetic(**{**target.arithmetic, **{k: v for k, v in given.items() if v is not None}})


def _options(reading: Mapping[str, Any], numbers: Arithmetic | None) -> dict[str, Any]:
    """Every option that had a say, those of reading first; of tensors their shape, what is no plain data as text."""
    said = {n: v if isinstance(v, (bool, int, float, str)) else str(list(v.shape) if hasattr(v, "shape") else v)
            for n, v in reading.items() if v is not None}
    return {**said, **(dataclasses.asdict(numbers) if numbers else {})}


def _in_integers(graph: Graph, arithmetic: Mapping[str, Any]) -> bool:
    """Whether a graph arrives in integers, which leave no choice of arithmetic. Graphs half way are refused."""
    if graph.stage not in (Stage.FLOAT, Stage.INT):
        fail("SNN204", f"graph {shorten(graph.name)}", f"stage {graph.stage.name}", "stage FLOAT or INT",
             "compile the network that this one was made from")
    chosen = [name for name, value in arithmetic.items() if value is not None]
    if graph.stage == Stage.INT and chosen:
        fail("SNN404", f"options {', '.join(chosen)}", "a network that arrives in integers keeps them", "none of these")
    return graph.stage == Stage.INT


def _with_numbers(graph: Graph) -> Graph:
    """The graph, if its weights are more than shapes."""
    operators = [*((f"node {shorten(n)}", op) for n, op in graph.nodes.items()),
                 *((f"edge {shorten(e.label)}", op) for e in graph.edges for op in e.chain)]
    found = Collector()
    for place, op in operators:
        for name, value in op.arrays().items():
            if isinstance(value, ShapeOnly):
                found.error("SNN203", f"{place}, {name}", "a shape without numbers", "weights, to compile them")
    found.finish()
    return graph


def _given(graph: Graph, calibration: Any, labels: Any) -> tuple[Mapping[str, Array] | None, Array | None]:
    """The calibration samples by input name, and their classes."""
    if calibration is None:
        if labels is not None:
            fail("SNN501", "labels", "labels without samples", "calibration samples that they belong to")
        return None, None
    samples = by_name(graph, calibration(graph) if callable(calibration) else calibration)
    if next(iter(samples.values())).shape[1] == 0:
        fail("SNN501", "calibration samples", "samples of 0 ticks", "at least one tick")
    if labels is None:
        return samples, None
    if graph.stage == Stage.INT:
        fail("SNN501", "labels", "labels for a network that arrives in integers", "none: it is compared with nothing",
             "model.run(x).decisions are its decisions")
    classes, count = np.asarray(labels), len(next(iter(samples.values())))
    if classes.shape != (count,) or classes.dtype.kind not in "iu":
        fail("SNN501", "labels", f"shape {list(classes.shape)} of type {classes.dtype}",
             f"[{count}] whole numbers, one a calibration sample")
    return samples, classes


def _calibrated(legal: Graph | None, samples: Mapping[str, Array] | None, watch: Watch) -> Calibration:
    if legal is None or samples is None:
        return Calibration()
    found: Calibration = watch.timed("calibrate", lambda: calibrate(legal, dict(samples), watch.counter("calibrate")))
    return found


def _compared(legal: Graph | None, integer: Graph, samples: Mapping[str, Array] | None,
              classes: Array | None, watch: Watch) -> Agreement | None:
    if legal is None or samples is None:
        return None
    found: Agreement = watch.timed("compare", lambda: compare(
        legal, integer, samples, integers(integer, samples), classes, watch.counter("compare")))
    return found


def record_golden(graph: Graph, samples: Mapping[str, Array] | None) -> Golden:
    """Golden vectors: the first calibration samples, or seeded random input, with the interpreter's outputs."""
    if samples is None:
        inputs = trial_inputs(graph)
    else:
        whole = {n: v[:GOLDEN_SAMPLES] for n, v in samples.items()}
        values = sum(v[0].size for v in whole.values())
        inputs = integers(graph, {n: v[:max(1, GOLDEN_VALUES // max(values, 1))] for n, v in whole.items()})
    return Golden(inputs, run(graph, inputs).outputs)


def trial_inputs(graph: Graph) -> dict[str, Array]:
    """Seeded random input in the declared range; shorter for networks that take long to interpret."""
    operations = sum(synapses_into(graph, n) for n in graph.populations)
    ticks = min(max(TRIAL_OPERATIONS // max(operations, 1), TRIAL_TICKS[0]), TRIAL_TICKS[1])
    samples = TRIAL_SAMPLES if ticks == TRIAL_TICKS[1] else 1
    rng = np.random.default_rng(0)
    found = {}
    for name, op in graph.inputs.items():
        active = rng.random((samples, ticks, *op.shape)) < TRIAL_RATE
        found[name] = active * rng.integers(int(op.low), int(op.high) + 1, active.shape)
    return found


def activity_rates(graph: Graph, seen: Calibration, golden: Golden) -> dict[str, float]:
    """Share of active elements: of the inputs in the golden vectors, of the populations in calibration."""
    rates = {n: float(np.mean(v != 0)) if v.size else 0.0 for n, v in golden.inputs.items()}
    for name, population in graph.populations.items():
        activity = seen.activity.get(name)
        graded = getattr(population, "graded", False)
        if activity is not None:
            rates[name] = 1.0 if graded else min(1.0, activity.rate)
        elif graded:
            rates[name] = 1.0
    return rates
