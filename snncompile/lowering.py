"""Lowering: from a network as it was read to its integers: legalized, calibrated, quantized, and compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from snncompile.comparison import compare
from snncompile.diagnostics import Diagnostic, fail, shorten
from snncompile.frontends import load
from snncompile.inputs import WIDER, given_samples, integers, range_of, taken
from snncompile.ir.graph import Graph
from snncompile.ir.layouts import LAYOUTS
from snncompile.ir.stand_ins import with_stand_ins
from snncompile.ir.types import Array, ShapeOnly, Stage
from snncompile.ir.verify import verify
from snncompile.observer import Observer
from snncompile.passes.pipeline import run_passes
from snncompile.passes.quantize.calibrate import Calibration, calibrate
from snncompile.passes.quantize.choose_widths import MEASURED, WidthSearch, Wish
from snncompile.passes.quantize.quantize import Known, Quantize
from snncompile.passes.table import Choices, passes_of
from snncompile.report.report import Agreement
from snncompile.targets.arithmetic import AUTO, LAYER_OPTIONS, MAX_POWER_BITS, Arithmetic
from snncompile.targets.folding import Folding
from snncompile.targets.layer_options import ByLayer, Layers, by_population, folded, own_of, split
from snncompile.targets.layer_table import LayerTable, layer_table
from snncompile.targets.program import Program
from snncompile.targets.target import Target
from snncompile.targets.verdict import judge


@dataclass(frozen=True)
class Samples:
    """Samples of a user, the class of each, and the order of their axes; None for what was not given. See `compile`."""

    x: Any = None
    labels: Any = None
    layout: str = LAYOUTS[0]


@dataclass(frozen=True)
class Order:
    """What a user asks for: the target, the arithmetic, the folding, and the samples.

    Attributes:
        choices: the target, and the arithmetic of the whole network.
        by_layer: options of single layers.
        wish: the widths that are left to the compiler; None for none.
        given: the options of the arithmetic that the user named.
        folding: of the whole network.
        program: how an emitted C program is made.
        calibration, validation: the samples on which ranges are measured, and those that are held out from that.
    """

    choices: Choices
    by_layer: ByLayer
    wish: Wish | None
    given: tuple[str, ...]
    folding: Folding = field(default_factory=Folding)
    program: Program = field(default_factory=Program)
    calibration: Samples = Samples()
    validation: Samples = Samples()

    @classmethod
    def of(cls, target: Target, options: Mapping[str, Any], layers: Layers = None, *,
           dilate: int | Literal["auto"] = 1, budget: Mapping[str, float] | None = None,
           max_drop: float | None = None, calibration: Samples | None = None, validation: Samples | None = None
           ) -> Order:
        """An order of a user; for its arguments see `compile`. Raises SNN404 for options that cannot be."""
        whole, by_layer = split(options, layers)
        folding, program = ({n: value for n, value in group.among(whole).items() if value is not None}
                            for group in (Folding, Program))
        whole = {n: value for n, value in whole.items() if n not in (*Folding.names(), *Program.names())}
        wish = Wish.of([name for name in LAYER_OPTIONS if whole.get(name) == AUTO], budget, max_drop)
        known = {n: None if wish and n in wish.options else value for n, value in whole.items()}
        if wish and "weight_bits" in wish.options and whole.get("weight_grid") == "powers":
            known["weight_bits"] = MAX_POWER_BITS
        choices = Choices(target, target.arithmetic.with_options(known), dilate=dilate)
        widths = [own for own in by_layer.values() if not set(own) <= set(Folding.names())]
        named = *(n for n, value in whole.items() if value is not None), *(["layers"] if widths else [])
        if folded(by_layer) or folding:
            _expect_folded(target)
        if program and target.backend not in ("c", "firmware"):
            fail("SNN404", f"options {', '.join(program)}", f"target {shorten(target.name)}", "a target for emitted C",
                 "see `snnc targets`")
        return cls(choices, by_layer, wish, named, Folding(**folding), Program(**program), calibration or Samples(),
                   validation or Samples())


def _expect_folded(target: Target) -> None:
    """Refuse options of folding for a target that is not made for one network."""
    if target.fabric.family is None:
        fail("SNN404", f"options {', '.join(Folding.names())}", f"target {shorten(target.name)}",
             "an FPGA, on which a network can be folded", "see `snnc targets`")


@dataclass(frozen=True)
class Lowered:
    """A network in integers, and what was used and measured on the way to it.

    Attributes:
        graph: the INT graph.
        samples: the calibration samples by input name; None where there were none.
        calibration: what was measured on the samples; nothing for a network that arrived in integers.
        legal: the LEGAL graph that was quantized; None for a network that arrived in integers.
        arithmetic: the options of the quantization; None for a network that arrived in integers.
        layers: those of them that a population can have for itself, by population.
        folding: the options of folding of single populations, as the user gave them.
        agreement, validation: how far both graphs agree on the samples, and on those held out; None without such.
    """

    graph: Graph
    samples: Mapping[str, Array] | None
    calibration: Calibration
    legal: Graph | None = None
    arithmetic: Arithmetic | None = None
    layers: ByLayer = field(default_factory=dict)
    folding: ByLayer = field(default_factory=dict)
    agreement: Agreement | None = None
    validation: Agreement | None = None


@dataclass(frozen=True)
class Calibrated:
    """A LEGAL graph, and all that its integers follow from.

    Attributes:
        options: those of populations, as the user gave them.
        samples, labels: of the calibration; None where there are none.
    """

    legal: Graph
    choices: Choices
    options: ByLayer
    samples: dict[str, Array] | None
    labels: Array | None

    @property
    def quantize(self) -> Quantize:
        return Quantize(self.choices.arithmetic, self.choices.calibration, self.choices.target, self.choices.own)


def lower(graph: Graph, order: Order, observer: Observer) -> Lowered:
    """A network in integers, that arrives in real numbers or in integers.

    Raises:
        CompileError: with all problems of the first step that has any.
    """
    if graph.stage == Stage.INT:
        return _given_integers(graph, order, observer)
    found = calibrated(graph, order, observer)
    held_out, classes = given_samples(found.legal, order.validation.x, order.validation.labels, "validation",
                                      order.validation.layout)
    if order.wish is not None:
        wish = order.wish
        found = observer.timed("choose", lambda: _with_widths(found, wish, observer))
        judge(_table(found.legal, found.choices), found.choices.target, graph.name).expect_ok()
    integer = run_passes(found.legal, passes_of(found.choices, "quantize", "ranges"), observer.note)
    if held_out is not None:
        integer = integer.noting(_cut(integer, held_out))
    return Lowered(integer, found.samples, found.choices.calibration, found.legal, found.choices.arithmetic,
                   _layers(found), folded(found.options),
                   _compared(found.legal, integer, found.samples, found.labels, "compare", observer,
                             found.choices.calibration),
                   _compared(found.legal, integer, held_out, classes, "validate", observer))


def calibrated(graph: Graph, order: Order, observer: Observer) -> Calibrated:
    """Legalize a network in real numbers for the target, and measure what the samples show.

    Raises:
        CompileError: with all problems of the first step that has any.
    """
    if graph.stage != Stage.FLOAT:
        fail("SNN204", f"graph {shorten(graph.name)}", f"stage {graph.stage.name}", "stage FLOAT or INT",
             "compile the network that this one was made from")
    legal = run_passes(graph, passes_of(order.choices, "legalize"), observer.note)
    options = by_population(order.by_layer, graph, legal)
    choices = dataclasses.replace(order.choices, own=own_of(order.choices.arithmetic, options))
    if order.wish is None:  # widths that are still to be chosen may be what fits
        judge(_table(legal, choices), choices.target, graph.name).expect_ok()
    samples, classes = given_samples(legal, order.calibration.x, order.calibration.labels,
                                     layout=order.calibration.layout)
    if samples is None:
        if order.wish is not None:
            fail("SNN404", f"option {order.wish.options[0]}", f"{AUTO}, and no samples",
                 "samples on which widths are chosen", "give some with `calibration` (--calibrate)")
        return Calibrated(legal, choices, options, None, None)
    given = dict(samples)
    measured = observer.timed("calibrate", lambda: calibrate(legal, given, observer.counter("calibrate")))
    return Calibrated(legal, dataclasses.replace(choices, calibration=measured), options, given, classes)


def _with_widths(found: Calibrated, wish: Wish, observer: Observer) -> Calibrated:
    """With widths for each population as the user wished, beside the options that it has."""
    samples = found.samples or {}

    def lost(integer: Graph) -> float:
        measured = compare(found.legal, integer, samples, found.labels, seen=found.choices.calibration, inside=False)
        if measured.float_correct is None or measured.integer_correct is None:
            return 1 - measured.decisions
        return max(measured.float_correct - measured.integer_correct, 0) / max(measured.samples, 1)

    known: Known = {}
    base = found.quantize.run(found.legal, known)
    first = integers(base, {n: v[:MEASURED] for n, v in samples.items()})
    search = WidthSearch(found.legal, found.quantize, base, first, found.options, lost,
                         observer.counter("choose"), known)
    own = own_of(found.choices.arithmetic, search.choose(wish))
    return dataclasses.replace(found, choices=dataclasses.replace(found.choices, own=own))


def _compared(legal: Graph, integer: Graph, samples: Mapping[str, Array] | None, labels: Array | None, step: str,
              observer: Observer, seen: Calibration | None = None) -> Agreement | None:
    """How far the float and the integer network agree on samples, if there are any; see `compare`."""
    if samples is None:
        return None
    agreement: Agreement = observer.timed(step, lambda: compare(
        legal, integer, samples, labels, seen=seen, progress=observer.counter(step)))
    return agreement


def _cut(integer: Graph, samples: Mapping[str, Array]) -> list[Diagnostic]:
    """A note for each input of which samples held out have values that the integer network cuts."""
    cut = taken(integer, samples)[1]
    return [Diagnostic("SNN501", f"input {shorten(name)}", f"{count:,} values of the samples held out are outside, and "
                       "were cut", range_of(integer.inputs[name]), WIDER, "note") for name, count in cut.items()]


def _layers(found: Calibrated) -> ByLayer:
    """The options of each population that it can have for itself, without those that follow from the samples."""
    own, whole = found.choices.own, found.choices.arithmetic
    return {name: {option: value for option in LAYER_OPTIONS
                   if (value := getattr(own.get(name, whole), option)) is not None} for name in found.legal.populations}


def _given_integers(graph: Graph, order: Order, observer: Observer) -> Lowered:
    """Bound the integers of a network that arrived in integers, which it keeps.

    Raises:
        CompileError: SNN404 where an option of the arithmetic is given, since there is nothing left to choose.
    """
    if order.given:
        fail("SNN404", f"options {', '.join(order.given)}", "a network that arrives in integers keeps them",
             "none of these")
    proved = run_passes(graph, passes_of(order.choices, "ranges"), observer.note)
    judge(_table(proved, order.choices), order.choices.target, graph.name).expect_ok()
    samples, _ = given_samples(graph, order.calibration.x, order.calibration.labels, layout=order.calibration.layout)
    given_samples(graph, order.validation.x, order.validation.labels, "validation", order.validation.layout)
    folding = by_population(order.by_layer, graph, graph)
    return Lowered(proved, samples, Calibration(), folding=folding)


def legal_table(source: Any, target: Target, widths: Mapping[str, Any], layers: Layers,
                load_options: Mapping[str, Any]) -> tuple[Graph, LayerTable, Choices]:
    """A network in the form in which it is checked against a target, and its layer table.

    Args:
        source: a graph, whose weights may be bare shapes, or anything that `load` takes.
        widths, layers: the arithmetic of what is not an integer yet, and options of single layers; see `compile`.
        load_options: options of the reader.

    Returns:
        The LEGAL graph; of an INT graph with numbers, the same graph with its ranges proved; else the graph itself. Its
        layer table. The choices that follow from the widths.
    """
    graph = with_stand_ins(verify(load(source, **load_options)))
    whole, by_layer = split(widths, layers)
    choices = Choices(target, target.arithmetic.with_options(whole))
    steps = {Stage.FLOAT: ["legalize"], Stage.INT: [] if has_bare_shapes(graph) else ["ranges"]}.get(graph.stage, [])
    legal = run_passes(graph, passes_of(choices, *steps), verified=False)
    choices = dataclasses.replace(choices, own=own_of(choices.arithmetic, by_population(by_layer, graph, legal)))
    return legal, _table(legal, choices), choices


def has_bare_shapes(graph: Graph) -> bool:
    """Whether weights or parameters of the graph are bare shapes without numbers."""
    ops = (*graph.nodes.values(), *(op for edge in graph.edges for op in edge.chain))
    return any(isinstance(value, ShapeOnly) for op in ops for value in op.arrays.values())


def _table(graph: Graph, choices: Choices) -> LayerTable:
    return layer_table(graph, choices.arithmetic.stored_bits, choices.arithmetic.membrane_bits or 0, choices.own)
