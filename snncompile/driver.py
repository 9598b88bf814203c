"""`compile`: takes a network through all steps, from a source to a compiled model, in the order of docs/line.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from snncompile.backends.artifact import Golden
from snncompile.backends.backend import Backend, Request
from snncompile.backends.table import BACKENDS
from snncompile.cost.activity import measure
from snncompile.cost.estimate import Cost, cost_of
from snncompile.cost.work import Messages
from snncompile.diagnostics import CompileError, fail, shorten
from snncompile.frontends import load
from snncompile.golden import activity_rates, record_golden
from snncompile.inputs import expect_numbers, given_samples, integers
from snncompile.ir.graph import Graph
from snncompile.ir.stand_ins import with_stand_ins
from snncompile.ir.types import Array, Stage
from snncompile.ir.verify import verify
from snncompile.mapping.chip import Chip, CoreUse
from snncompile.mapping.partition import has_cores, partition
from snncompile.mapping.place import place
from snncompile.model import CompiledModel
from snncompile.observer import Observer
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.calibrate import Calibration, calibrate
from snncompile.passes.quantize.choose_widths import WidthSearch, Wish
from snncompile.passes.quantize.fixed_neuron import emulated
from snncompile.passes.quantize.quantize import Known, Quantize
from snncompile.passes.quantize.wide_weights import wide_weights
from snncompile.passes.table import Choices, passes_of
from snncompile.report.report import Agreement, Report, compare, population_reports
from snncompile.targets.arithmetic import AUTO, LAYER_OPTIONS, Arithmetic
from snncompile.targets.layer_options import ByLayer, Layers, by_population, own_of, split
from snncompile.targets.layer_table import LayerTable, layer_table
from snncompile.targets.load import load_target
from snncompile.targets.target import Target
from snncompile.targets.verdict import judge


def compile(source: Any, target: str | Path | Target = "c99", *, calibration: Any = None, labels: Any = None,
            observer: Observer | None = None, load_options: Mapping[str, Any] | None = None,
            dilate: int | Literal["auto"] = 1, layers: Layers = None, budget: Mapping[str, float] | None = None,
            max_drop: float | None = None, **arithmetic: Any) -> CompiledModel:
    """Compile a network for a target.

    Args:
        source: a graph, or anything that `load` takes. A graph of stage INT keeps its integers: it is not legalized,
            calibrated or quantized, and samples are used for golden vectors only.
        target: the name of a target, the path of its TOML file, or a `Target`.
        calibration: samples `[sample, tick, *shape]`, or a mapping of such arrays by input name, on which ranges are
            measured and the integer network is compared with the float network; or a function that takes the LEGAL
            graph (for a graph of stage INT, that graph) and returns such samples.
        labels: the class of each sample, whole numbers `[sample]`, with which correct decisions are counted.
        observer: callbacks for the end of each pass and for progress.
        load_options: options of the reader, for what the source leaves open; see `load`.
        dilate: hardware ticks for each tick of the network, on targets where a hop takes ticks; "auto" takes as many as
            the loop with the least delay for its hops needs.
        layers: options of single layers, by the name of the layer or of the population that it leads to, such as
            `{"conv1": {"weight_bits": 8}}`; or the path of a TOML file of them. A build folder holds such a file.
        arithmetic: options of the integer representation, by the names of the fields of `Arithmetic`; None stands for
            the choice of the target. `weight_bits` and `membrane_bits` can also be mappings, by layer, or "auto": then
            a width is chosen for each population, which takes some dozens of trials.
        budget: the memory for which widths are chosen, by the names of `choose_widths.BUDGETS`, such as
            `{"resident_kib": 64}`.
        max_drop: without a budget, the smallest memory is chosen with which at most this share of the calibration
            samples loses its decision; 0.01 if it is not given.

    Raises:
        CompileError: with all problems of the first step that has any.
    """
    observer = observer or Observer()
    chosen = load_target(target)
    backend = _backend(chosen)
    whole, by_layer = split(arithmetic, layers)
    wish = Wish.of([name for name in LAYER_OPTIONS if whole.get(name) == AUTO], budget, max_drop)
    known = {n: None if wish and n in wish.options else value for n, value in whole.items()}
    choices = Choices(chosen, chosen.arithmetic.with_options(known), dilate=dilate)
    mapping = passes_of(choices, "retime")  # made before the source is read, since wrong options are refused here
    graph = observer.timed("read", lambda: expect_numbers(verify(load(source, **(load_options or {})))))
    _expect_able(backend, graph, chosen)
    if graph.stage == Stage.INT:
        network = _given_integers(graph, choices, calibration, labels, {**by_layer, **whole}, observer)
    else:
        network = _to_integers(graph, choices, by_layer, wish, calibration, labels, observer)
    integer = network.graph.noting([*wide_weights(network.graph, chosen), *emulated(network.graph, chosen)])
    golden = observer.timed("golden", lambda: record_golden(integer, network.samples))
    rates = activity_rates(integer, network.calibration, golden)
    mapped = run_passes(integer, mapping, observer.note)
    chip = _on_chip(mapped, chosen, observer)
    artifact = observer.timed("emit", lambda: backend.emit(Request(mapped, chosen, chip, rates, golden)))
    described = chosen.costs or chosen.timing.hop_ticks
    cost = observer.timed("estimate", lambda: _cost(mapped, chosen, golden, chip)) if described else None
    report = Report(graph.name, chosen.name, population_reports(integer, network.calibration, network.agreement),
                    network.agreement, artifact.sizes_bytes, dict(observer.seconds),
                    _options(load_options or {}, network.arithmetic), mapped.schedule.depth_ticks,
                    mapped.schedule.period, cost, CoreUse.of(chip) if chip else None, network.layers)
    return CompiledModel(integer, mapped, artifact, golden, rates, report, integer.notes, network.legal, backend.name,
                         chip)


def legal_table(source: Any, target: Target, widths: Mapping[str, Any], layers: Layers,
                load_options: Mapping[str, Any]) -> tuple[Graph, LayerTable, Choices]:
    """A network in the form in which it is checked against a target, and its layer table.

    Args:
        source: a graph, whose weights may be bare shapes, or anything that `load` takes.
        widths, layers: the arithmetic of what is not an integer yet, and options of single layers; see `compile`.
        load_options: options of the reader.

    Returns:
        The LEGAL graph, or the graph itself where it is at a later stage; its layer table; and the choices that follow
        from the widths.
    """
    graph = with_stand_ins(verify(load(source, **load_options)))
    whole, by_layer = split(widths, layers)
    choices = Choices(target, target.arithmetic.with_options(whole))
    legal = graph if graph.stage != Stage.FLOAT else run_passes(graph, passes_of(choices, "legalize"), verified=False)
    choices = dataclasses.replace(choices, own=own_of(choices.arithmetic, by_population(by_layer, graph, legal)))
    return legal, _table(legal, choices), choices


def _table(graph: Graph, choices: Choices) -> LayerTable:
    return layer_table(graph, choices.arithmetic.stored_bits, choices.arithmetic.membrane_bits or 0, choices.own)


def _backend(target: Target) -> Backend:
    if target.backend not in BACKENDS:
        given = shorten(target.backend) if target.backend else "none: networks can only be checked for it"
        fail("SNN404", f"target {shorten(target.name)}, backend", given, ", ".join(BACKENDS))
    return BACKENDS[target.backend]


def _expect_able(backend: Backend, graph: Graph, target: Target) -> None:
    problems = backend.check(graph, target)
    if problems:
        raise CompileError(problems)


@dataclass(frozen=True)
class _Integers:
    """A network in integers, and what was used and measured on the way to it.

    Attributes:
        graph: the INT graph.
        samples: the calibration samples by input name; None where there were none.
        calibration: what was measured on the samples; nothing for a network that arrived in integers.
        legal: the LEGAL graph that was quantized; None for a network that arrived in integers.
        arithmetic: the options of the quantization; None for a network that arrived in integers.
        layers: those of them that a population can have for itself, by population.
        agreement: how far both graphs agree on the samples; None without samples.
    """

    graph: Graph
    samples: Mapping[str, Array] | None
    calibration: Calibration
    legal: Graph | None = None
    arithmetic: Arithmetic | None = None
    layers: ByLayer = field(default_factory=dict)
    agreement: Agreement | None = None


def _to_integers(graph: Graph, choices: Choices, by_layer: ByLayer, wish: Wish | None, calibration: Any, labels: Any,
                 observer: Observer) -> _Integers:
    """Legalize a network in real numbers for the target, and quantize it with what the samples show."""
    if graph.stage != Stage.FLOAT:
        fail("SNN204", f"graph {shorten(graph.name)}", f"stage {graph.stage.name}", "stage FLOAT or INT",
             "compile the network that this one was made from")
    legal = run_passes(graph, passes_of(choices, "legalize"), observer.note)
    options = by_population(by_layer, graph, legal)
    choices = dataclasses.replace(choices, own=own_of(choices.arithmetic, options))
    if wish is None:  # widths that are still to be chosen may be what fits
        judge(_table(legal, choices), choices.target, graph.name).expect_ok()
    samples, classes = given_samples(legal, calibration, labels)
    if samples is None and wish is not None:
        fail("SNN404", f"option {wish.options[0]}", f"{AUTO}, and no samples", "samples on which widths are chosen",
             "give some with `calibration` (--calibrate)")
    if samples is None:
        integer = run_passes(legal, passes_of(choices, "quantize", "ranges"), observer.note)
        return _Integers(integer, None, Calibration(), legal, choices.arithmetic, _layers(choices, legal))
    given = dict(samples)
    measured = observer.timed("calibrate", lambda: calibrate(legal, given, observer.counter("calibrate")))
    choices = dataclasses.replace(choices, calibration=measured)
    if wish is not None:
        choices = observer.timed("choose", lambda: _chosen(legal, choices, options, wish, given, classes, observer))
        judge(_table(legal, choices), choices.target, graph.name).expect_ok()
    integer = run_passes(legal, passes_of(choices, "quantize", "ranges"), observer.note)
    agreement = observer.timed("compare", lambda: compare(
        legal, integer, given, integers(integer, given), classes, observer.counter("compare")))
    return _Integers(integer, samples, measured, legal, choices.arithmetic, _layers(choices, legal), agreement)


def _chosen(legal: Graph, choices: Choices, options: ByLayer, wish: Wish, samples: Mapping[str, Array],
            labels: Array | None, observer: Observer) -> Choices:
    """The choices with widths for each population as the user wished, beside the options that it has."""
    def lost(integer: Graph) -> float:
        found = compare(legal, integer, samples, integers(integer, samples), labels)
        if found.float_correct is None or found.integer_correct is None:
            return 1 - found.decisions
        return max(found.float_correct - found.integer_correct, 0) / max(found.samples, 1)

    quantize = Quantize(choices.arithmetic, choices.calibration, choices.target, choices.own)
    known: Known = {}
    base = quantize.run(legal, known)
    search = WidthSearch(legal, quantize, base, integers(base, samples), options, lost, observer.counter("choose"),
                         known)
    return dataclasses.replace(choices, own=own_of(choices.arithmetic, search.choose(wish)))


def _layers(choices: Choices, legal: Graph) -> ByLayer:
    """The options of each population that it can have for itself, without those that are left to the compiler."""
    return {name: {option: value for option in LAYER_OPTIONS
                   if (value := getattr(choices.own.get(name, choices.arithmetic), option)) is not None}
            for name in legal.populations}


def _given_integers(graph: Graph, choices: Choices, calibration: Any, labels: Any, options: Mapping[str, Any],
                    observer: Observer) -> _Integers:
    """Bound the integers of a network that arrived in integers, which it keeps.

    Raises:
        CompileError: SNN404 where an option of the arithmetic is given, since there is nothing left to choose.
    """
    refused = [name for name, value in options.items() if value is not None]
    if refused:
        fail("SNN404", f"options {', '.join(refused)}", "a network that arrives in integers keeps them",
             "none of these")
    judge(_table(graph, choices), choices.target, graph.name).expect_ok()
    samples, _ = given_samples(graph, calibration, labels)
    return _Integers(run_passes(graph, passes_of(choices, "ranges"), observer.note), samples, Calibration())


def _on_chip(mapped: Graph, target: Target, observer: Observer) -> Chip | None:
    """Divide a network among the cores of a target and place them; None for a target without cores."""
    if not has_cores(target) or not mapped.populations:
        return None
    pieces = observer.timed("partition", lambda: partition(mapped, target))
    return Chip(pieces, observer.timed("place", lambda: place(pieces, target)))


def _cost(mapped: Graph, target: Target, golden: Golden, chip: Chip | None) -> Cost:
    """The estimated cost of the golden vectors on the target."""
    activity = measure(mapped, golden.inputs)
    messages = Messages.of(*chip, activity.firings) if chip else None
    return cost_of(mapped, layer_table(mapped), target, activity, messages=messages)


def _options(reading: Mapping[str, Any], arithmetic: Arithmetic | None) -> dict[str, Any]:
    """The options of the reader and of the arithmetic, by name, for the report.

    An array is replaced by its shape, and other values that JSON cannot hold by their text.
    """
    said = {n: v if isinstance(v, (bool, int, float, str)) else str(list(v.shape) if hasattr(v, "shape") else v)
            for n, v in reading.items() if v is not None}
    return {**said, **(dataclasses.asdict(arithmetic) if arithmetic else {})}
