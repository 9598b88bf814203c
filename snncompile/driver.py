"""`compile`: takes a network through all steps, from a source to a compiled model, in the order of docs/line.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from snncompile.backends.artifact import Golden
from snncompile.backends.backend import Backend, Request
from snncompile.backends.table import BACKENDS
from snncompile.cost.activity import measure
from snncompile.cost.estimate import Cost, cost_of
from snncompile.cost.work import Messages
from snncompile.diagnostics import CompileError, expect_known, fail, shorten
from snncompile.frontends import load
from snncompile.golden import activity_rates, measured_inputs, record_golden
from snncompile.inputs import expect_numbers
from snncompile.ir.graph import Graph
from snncompile.ir.layouts import LAYOUTS
from snncompile.ir.verify import verify
from snncompile.lowering import Order, Samples, lower
from snncompile.mapping.chip import Chip, CoreUse
from snncompile.mapping.partition import has_cores, partition
from snncompile.mapping.place import place
from snncompile.model import CompiledModel
from snncompile.observer import Observer
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.fixed_neuron import emulated
from snncompile.passes.quantize.wide_weights import wide_weights
from snncompile.passes.table import passes_of
from snncompile.report.report import Report, population_reports
from snncompile.targets.arithmetic import Arithmetic
from snncompile.targets.layer_options import Layers, merged
from snncompile.targets.layer_table import layer_table
from snncompile.targets.load import load_target
from snncompile.targets.target import Target


def compile(source: Any, target: str | Path | Target = "c99", *, calibration: Any = None, labels: Any = None,
            observer: Observer | None = None, load_options: Mapping[str, Any] | None = None,
            dilate: int | Literal["auto"] = 1, layers: Layers = None, budget: Mapping[str, float] | None = None,
            max_drop: float | None = None, validation: Any = None, validation_labels: Any = None,
            layout: str = LAYOUTS[0], **options: Any) -> CompiledModel:
    """Compile a network for a target.

    Args:
        source: a graph, or anything that `load` takes. A graph of stage INT keeps its integers: it is not legalized,
            calibrated or quantized, and samples are used for golden vectors only.
        target: the name of a target, the path of its TOML file, or a `Target`.
        calibration: samples `[sample, tick, *shape]`, by input name for several, on which ranges are measured and the
            integer network is compared with the float network; a data loader of such batches, or a dataset of samples
            `[tick, *shape]`; or a function that takes the LEGAL (or INT) graph and returns any of these.
        labels: the class of each sample, whole numbers `[sample]`, or those of the loader or dataset.
        validation, validation_labels: samples not used for anything else, on which the networks are compared too.
        layout: "time-first" for samples `[tick, sample, *shape]`.
        observer: callbacks for the end of each pass and for progress.
        load_options: options of the reader, for what the source leaves open; see `load`.
        dilate: hardware ticks for each tick of the network, on targets where a hop takes ticks; "auto" takes as many as
            the loop with the least delay for its hops needs.
        layers: options of single layers, by the name of the layer or of the population that it leads to, such as
            `{"conv1": {"weight_bits": 8}}`; or the path of a TOML file of them. A build folder holds such a file.
        options: of the integer representation, by the names of the fields of `Arithmetic`; None stands for the choice
            of the target. `weight_bits` and `membrane_bits` can also be mappings, by layer, or "auto": then a width is
            chosen for each population, which takes some dozens of trials. For an FPGA, options of `Folding` too, such
            as `lanes`, which can be a mapping by layer; for emitted C, those of `Program`, such as `chunk`.
        budget: the memory for which widths are chosen, such as `{"resident_kib": 64}`; see `choose_widths.BUDGETS`.
        max_drop: without a budget, the smallest memory is chosen with which at most this share of the calibration
            samples loses its decision; 0.01 if it is not given.

    Raises:
        CompileError: with all problems of the first step that has any.
    """
    observer = observer or Observer()
    chosen = load_target(target)
    backend = _backend(chosen)
    order = Order.of(chosen, options, layers, dilate=dilate, budget=budget, max_drop=max_drop,
                     calibration=Samples(calibration, labels, layout),
                     validation=Samples(validation, validation_labels, layout))
    mapping = passes_of(order.choices, "retime")  # made before the source is read, since wrong options are refused here
    graph = observer.timed("read", lambda: expect_numbers(verify(load(source, **(load_options or {})))))
    _expect_able(backend, graph, chosen)
    network = lower(graph, order, observer)
    integer = network.graph.noting([*wide_weights(network.graph, chosen), *emulated(network.graph, chosen)])
    golden = observer.timed("golden", lambda: record_golden(integer, network.samples))
    rates = activity_rates(integer, network.calibration, golden)
    mapped = run_passes(integer, mapping, observer.note)
    chip = _on_chip(mapped, chosen, observer)
    artifact = observer.timed("emit", lambda: backend.emit(Request(
        mapped, chosen, chip, rates, golden, measured_inputs(integer, network.samples, golden, chosen), order.program,
        order.folding, network.folding)))
    cost = _cost(mapped, chosen, golden, chip, observer)
    report = Report(graph.name, chosen.name, population_reports(integer, network.calibration, network.agreement),
                    network.agreement, artifact.sizes_bytes, dict(observer.seconds),
                    _options(load_options or {}, network.arithmetic), mapped.schedule.depth_ticks,
                    mapped.schedule.period, cost, CoreUse.of(chip) if chip else None,
                    merged(network.layers, artifact.layers), network.validation, artifact.figures, integer.notes)
    return CompiledModel(integer, mapped, artifact, golden, rates, report, network.legal, backend.name, chip)


def _backend(target: Target) -> Backend:
    place = f"target {shorten(target.name)}, backend"
    if not target.backend:
        fail("SNN404", place, "none: networks can only be checked for it", ", ".join(BACKENDS),
             "use `check`, or a target that has one; `snnc targets` lists them")
    expect_known(target.backend, BACKENDS, place)
    return BACKENDS[target.backend]


def _expect_able(backend: Backend, graph: Graph, target: Target) -> None:
    problems = backend.check(graph, target)
    if problems:
        raise CompileError(problems)


def _on_chip(mapped: Graph, target: Target, observer: Observer) -> Chip | None:
    """Divide a network among the cores of a target and place them; None for a target without cores."""
    if not has_cores(target) or not mapped.populations:
        return None
    pieces = observer.timed("partition", lambda: partition(mapped, target))
    return Chip(pieces, observer.timed("place", lambda: place(pieces, target)))


def _cost(mapped: Graph, target: Target, golden: Golden, chip: Chip | None, observer: Observer) -> Cost | None:
    """The estimated cost of the golden vectors on the target; None where its description has no costs."""
    def estimated() -> Cost:
        activity = measure(mapped, golden.inputs)
        messages = Messages.of(*chip, activity.firings) if chip else None
        return cost_of(mapped, layer_table(mapped), target, activity, messages=messages)

    return observer.timed("estimate", estimated) if target.costs or target.timing.hop_ticks else None


def _options(reading: Mapping[str, Any], arithmetic: Arithmetic | None) -> dict[str, Any]:
    """The options of the reader and of the arithmetic, by name, for the report.

    An array is replaced by its shape, and other values that JSON cannot hold by their text.
    """
    said = {n: v if isinstance(v, (bool, int, float, str)) else str(list(v.shape) if hasattr(v, "shape") else v)
            for n, v in reading.items() if v is not None}
    return {**said, **(dataclasses.asdict(arithmetic) if arithmetic else {})}
