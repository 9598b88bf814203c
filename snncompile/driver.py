"""The line, top to bottom: a source in, a compiled model out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from snncompile.arrivals import arithmetic_of, expect_numbers, given_samples
from snncompile.backends.artifact import Golden
from snncompile.backends.backend import Backend
from snncompile.backends.table import BACKENDS
from snncompile.diagnostics import fail, shorten
from snncompile.frontends import load
from snncompile.golden import activity_rates, record_golden
from snncompile.ir.graph import Graph
from snncompile.ir.schedule import Schedule
from snncompile.ir.types import Array, Stage
from snncompile.ir.verify import verify
from snncompile.model import CompiledModel, integers
from snncompile.passes.activity import measure
from snncompile.passes.arithmetic import Arithmetic
from snncompile.passes.calibrate import Calibration, calibrate
from snncompile.passes.canonicalize import Canonicalize
from snncompile.passes.chip import Chip, CoreUse
from snncompile.passes.estimate import Cost, Messages, cost_of
from snncompile.passes.fold_scales import FoldScales
from snncompile.passes.form_populations import FormPopulations
from snncompile.passes.merge_chains import MergeChains
from snncompile.passes.or_pools import OrPools
from snncompile.passes.partition import has_cores, partition
from snncompile.passes.pipeline import Pass, run_passes
from snncompile.passes.place import place
from snncompile.passes.plain_neurons import PlainNeurons
from snncompile.passes.prompt_resets import PromptResets
from snncompile.passes.prove_ranges import ProveRanges
from snncompile.passes.quantize import Quantize
from snncompile.passes.registers import emulated
from snncompile.passes.retime import Retime
from snncompile.passes.unify_thresholds import UnifyThresholds
from snncompile.passes.wide_weights import wide_weights
from snncompile.report import Agreement, Report, compare, population_reports
from snncompile.targets.table import Table, layer_table
from snncompile.targets.target import Target, load_target
from snncompile.targets.verdict import judge
from snncompile.watch import Watch


def legalize_passes(target: Target) -> tuple[Pass, ...]:
    """From operators to populations that the target allows."""
    shared: Literal["accumulate", "flatten"] = "accumulate" if target.network.graded else "flatten"
    return (
        Canonicalize(),                                             # first: less to look at for the rest
        PlainNeurons(),                                             # gains that weights take in
        FormPopulations(shared),                                    # projections, so that scales meet weights
        PromptResets(target.neurons.reset_times),                   # neurons as they are before more are put in
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
    backend = _backend(chosen)
    numbers = arithmetic_of(chosen, arithmetic)
    graph = watch.timed("read", lambda: expect_numbers(verify(load(source, **(load_options or {})))))
    if graph.stage == Stage.INT:
        found = _given_integers(graph, chosen, calibration, labels, arithmetic, watch)
    else:
        found = _to_integers(graph, chosen, calibration, labels, numbers, watch)
    integer = found.graph.noting([*wide_weights(found.graph, chosen), *emulated(found.graph, chosen)])
    golden = watch.timed("golden", lambda: record_golden(integer, found.samples))
    rates = activity_rates(integer, found.seen, golden)
    mapped = run_passes(integer, mapping_passes(chosen, dilate), watch.saw)
    chip = _on_chip(mapped, chosen, watch)
    artifact = watch.timed("emit", lambda: backend.emit(mapped, rates=rates, golden=golden))
    schedule = Schedule.of(mapped) if mapped.stage == Stage.MAPPED else Schedule({})
    described = chosen.costs or chosen.timing.hop_ticks
    cost = watch.timed("estimate", lambda: _cost(mapped, chosen, golden, chip)) if described else None
    report = Report(graph.name, chosen.name, population_reports(integer, found.seen, found.agreement),
                    found.agreement, artifact.sizes_bytes, dict(watch.seconds),
                    _options(load_options or {}, found.numbers), schedule.depth_ticks, schedule.period, cost,
                    CoreUse.of(chip) if chip else None)
    return CompiledModel(integer, artifact, golden, rates, report, integer.notes, found.legal, backend.name,
                         chip)


def legal_table(source: Any, target: Target, weight_bits: int | str | None, load_options: Mapping[str, Any]
                ) -> tuple[Graph, Table]:
    """A network in the form in which a target is asked about it, and its layer table; weights may be bare shapes."""
    graph = verify(load(source, **load_options))
    legal = graph if graph.stage != Stage.FLOAT else run_passes(graph, legalize_passes(target))
    return legal, _table(legal, arithmetic_of(target, {"weight_bits": weight_bits}))


def _table(graph: Graph, numbers: Arithmetic) -> Table:
    return layer_table(graph, numbers.stored_bits, numbers.membrane_bits or 0)


def _backend(target: Target) -> Backend:
    if target.backend not in BACKENDS:
        found = shorten(target.backend) if target.backend else "none: networks can only be checked for it"
        fail("SNN404", f"target {shorten(target.name)}, backend", found, ", ".join(BACKENDS))
    return BACKENDS[target.backend]


@dataclass(frozen=True)
class _Integers:
    """A network in integers, and what is known of the way there; of one that arrived so, nothing."""

    graph: Graph
    samples: Mapping[str, Array] | None
    seen: Calibration
    legal: Graph | None = None
    numbers: Arithmetic | None = None
    agreement: Agreement | None = None


def _to_integers(graph: Graph, target: Target, calibration: Any, labels: Any, numbers: Arithmetic, watch: Watch
                 ) -> _Integers:
    """A network in real numbers, made legal for the target and quantized on the samples."""
    if graph.stage != Stage.FLOAT:
        fail("SNN204", f"graph {shorten(graph.name)}", f"stage {graph.stage.name}", "stage FLOAT or INT",
             "compile the network that this one was made from")
    legal = run_passes(graph, legalize_passes(target), watch.saw)
    judge(_table(legal, numbers), target, graph.name).expect_ok()
    samples, classes = given_samples(legal, calibration, labels)
    if samples is None:
        integer = run_passes(legal, integer_passes(numbers, Calibration()), watch.saw)
        return _Integers(integer, None, Calibration(), legal, numbers)
    given = dict(samples)
    seen = watch.timed("calibrate", lambda: calibrate(legal, given, watch.counter("calibrate")))
    integer = run_passes(legal, integer_passes(numbers, seen), watch.saw)
    agreement = watch.timed("compare", lambda: compare(
        legal, integer, given, integers(integer, given), classes, watch.counter("compare")))
    return _Integers(integer, samples, seen, legal, numbers, agreement)


def _given_integers(graph: Graph, target: Target, calibration: Any, labels: Any, arithmetic: Mapping[str, Any],
                    watch: Watch) -> _Integers:
    """A network that arrives in integers keeps them; they leave no choice of arithmetic."""
    chosen = [name for name, value in arithmetic.items() if value is not None]
    if chosen:
        fail("SNN404", f"options {', '.join(chosen)}", "a network that arrives in integers keeps them", "none of these")
    judge(_table(graph, arithmetic_of(target, {})), target, graph.name).expect_ok()
    samples, _ = given_samples(graph, calibration, labels)
    return _Integers(run_passes(graph, given_integers_passes(), watch.saw), samples, Calibration())


def _on_chip(mapped: Graph, target: Target, watch: Watch) -> Chip | None:
    """A network on the cores of a target; None where it has no cores to fill."""
    if not has_cores(target) or not mapped.populations:
        return None
    found = watch.timed("partition", lambda: partition(mapped, target))
    return Chip(found, watch.timed("place", lambda: place(found, target)))


def _cost(mapped: Graph, target: Target, golden: Golden, chip: Chip | None) -> Cost:
    """What the golden vectors cost on the hardware."""
    activity = measure(mapped, golden.inputs)
    messages = Messages.of(*chip, activity) if chip else None
    return cost_of(mapped, layer_table(mapped), target, activity, messages=messages)


def _options(reading: Mapping[str, Any], numbers: Arithmetic | None) -> dict[str, Any]:
    """Every option that had a say, those of reading first; of tensors their shape, what is no plain data as text."""
    said = {n: v if isinstance(v, (bool, int, float, str)) else str(list(v.shape) if hasattr(v, "shape") else v)
            for n, v in reading.items() if v is not None}
    return {**said, **(dataclasses.asdict(numbers) if numbers else {})}
