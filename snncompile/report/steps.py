"""What each step of a compilation did, in one line with figures, for the command line and for the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from snncompile.cost.estimate import Cost
from snncompile.ir.graph import Graph
from snncompile.ir.layer import Layer
from snncompile.ir.operations import bit_width
from snncompile.ir.populations import Population
from snncompile.ir.ranges import population_ranges
from snncompile.mapping.chip import CoreUse
from snncompile.passes.table import PASSES, names_of
from snncompile.report.report import Agreement, Report, synapses_into, weight_bits

if TYPE_CHECKING:
    from snncompile.model import CompiledModel

PARTS: Mapping[str, tuple[str, ...]] = {
    "read": ("read",),
    "legalize": tuple(names_of("legalize")),
    "calibrate": ("calibrate",),
    "choose": ("choose",),
    "quantize": tuple(names_of("quantize")),
    "ranges": tuple(names_of("ranges")),
    "retime": tuple(names_of("retime")),
    "partition": ("partition",),
    "place": ("place",),
    "compare": ("compare",),
    "validate": ("validate",),
    "estimate": ("estimate",),
    "emit": ("golden", "emit"),
}
"""The parts of each step that are timed, under the names that `observer.Observer` is given."""
GRAPHS = ("read", *(entry.name for entry in PASSES))
"""The parts that give a graph: reading the source, and every pass."""


@dataclass(frozen=True)
class StepReport:
    """What one step of a compilation did.

    Attributes:
        name: the step, a key of `PARTS` or another word such as `run`.
        result: the most important figure or name.
        detail: further figures.
        seconds: how long the step took; None where that is not known.
    """

    name: str
    result: str
    detail: str
    seconds: float | None = None


def line(model: CompiledModel) -> list[StepReport]:
    """The steps by which a model was compiled, without their seconds; those that it does not know are left out."""
    report = model.report
    steps = [reading(model.float_graph, report.name)] if model.float_graph else []
    steps += [legalized(model.float_graph)] if model.float_graph else []
    if report.agreement:
        steps.append(StepReport("calibrate", plural(report.agreement.samples, "sample"), rates(report)))
    steps += [quantized(model.graph), proved(model.graph)]
    steps += compared(report)
    steps += [retimed(report.latency_ticks, report.dilation)] if report.latency_ticks else []
    steps += on_cores(report.cores) if report.cores else []
    steps += [costed(report.cost)] if report.cost else []
    return [*steps, StepReport("emit", report.target, sizes(report.sizes_bytes))]


def took(seconds: Mapping[str, float], step: str) -> float | None:
    """The seconds of all parts of a step; None where none was timed."""
    parts = [seconds[p] for p in PARTS.get(step, ()) if p in seconds]
    return sum(parts) if parts else None


def reading(graph: Graph, source: str) -> StepReport:
    """Layers, weights and populations of the graph that was read."""
    layers = [op for op in (*graph.nodes.values(), *(o for e in graph.edges for o in e.chain))
              if isinstance(op, Layer)]
    weights = sum(op.weight.size for op in layers)
    return StepReport("read", source, f"{plural(len(layers), 'layer')} with {plural(weights, 'weight')}, "
                                      f"{plural(len(graph.populations), 'population')}")


def legalized(graph: Graph) -> StepReport:
    """Populations, neurons, projections and synapses of a LEGAL graph."""
    populations = graph.populations
    projections = sum(len(graph.edges_into[n]) for n in populations)
    synapses = sum(synapses_into(graph, n) for n in populations)
    neurons = sum(math.prod(graph.shapes[n]) for n in populations)
    return StepReport("legalize", plural(len(populations), "population"),
                      f"{plural(neurons, 'neuron')}, {plural(projections, 'projection')}, "
                      f"{plural(synapses, 'synapse')}")


def quantized(graph: Graph) -> StepReport:
    """Widths of the weights of an INT graph, and the real values that one step of a membrane stands for."""
    units = [np.asarray(op.unit) for op in graph.populations.values() if isinstance(op, Population)]
    bits = [b for b in (weight_bits(graph, n) for n in graph.populations) if b]
    low, high = min((float(u.min()) for u in units), default=1.0), max((float(u.max()) for u in units), default=1.0)
    steps = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    return StepReport("quantize", f"{spread(bits)}-bit weights" if bits else "no weights",
                      f"membranes in steps of {steps}")


def proved(graph: Graph) -> StepReport:
    """The widths of membranes, and the widest integer that occurs anywhere in an update."""
    states = [s.bits for op in graph.populations.values() if isinstance(op, Population) for s in op.states.values()]
    widest = 0
    for name in graph.populations:
        ranges = population_ranges(graph, name)
        widest = max([widest, *map(bit_width, (*ranges.steps, ranges.x))])
    widths = f"{spread(states)}-bit states" if states else "no states"
    return StepReport("ranges", widths, f"no integer of an update exceeds {widest} bits")


def compared(report: Report) -> list[StepReport]:
    """How often the float and the integer network agree, and how often each decides for the given class: on the samples
    of the calibration, and on those that were held out."""
    return [step for name, agreement in (("compare", report.agreement), ("validate", report.validation)) if agreement
            for step in _agreeing(name, agreement)]


def _agreeing(name: str, agreement: Agreement) -> list[StepReport]:
    held_out = " held out" if name == "validate" else ""
    first, *others = (f"{what} {shown}" for what, shown in measures(agreement))
    steps = [StepReport(name, first, ", ".join(others))]
    if agreement.float_correct is not None:
        steps.append(StepReport("accuracy", f"integer {agreement.integer_correct} of {agreement.samples}{held_out}",
                                f"float {agreement.float_correct} of {agreement.samples}"))
    return steps


def measures(agreement: Agreement) -> list[tuple[str, str]]:
    """How far two networks agree, in words and percent: of the spikes, of graded values where there are any, and of
    the decisions."""
    spikes = [("spikes equal", percent(agreement.spikes_equal)), ("spikes shared", percent(agreement.spikes_shared)),
              ("counts", percent(agreement.counts_shared))] if agreement.spiking else []
    graded = [] if agreement.graded_error is None else [("graded error", error(agreement.graded_error))]
    return [*spikes, *graded, ("decisions equal", percent(agreement.decisions))]


FPGA_CELLS = {"luts": "LUT", "blocks": "blocks", "multipliers": "multipliers"}
"""The cells of an FPGA that are told, and their words."""


def costed(cost: Cost) -> StepReport:
    """What one sample costs on the hardware: synaptic operations, ticks, energy and time where they are known."""
    first, _, rest = str(cost).partition(", ")
    return StepReport("estimate", first, rest)


def fpga_cells(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The cells of an FPGA that a network takes, by kind; what is not known of a device is left out."""
    return [(words, f"{figures[n]:,} of {figures[f'{n}_of_device']:,}") for n, words in FPGA_CELLS.items()
            if figures[n] is not None and figures[f"{n}_of_device"]]


def on_fpga(figures: Mapping[str, Any]) -> StepReport:
    """What a network takes on an FPGA, in cycles and cells."""
    cells = [f"{used} {words}" for words, used in fpga_cells(figures)]
    return StepReport("estimate", f"{max(figures['cycles']):,} cycles",
                      f"{figures['latency_us']:,.1f} us at {figures['clock_mhz']} MHz; {', '.join(cells)}")


def retimed(latency_ticks: int, dilation: int) -> StepReport:
    """By how many hardware ticks an output is later than the input, and the hardware ticks of a network's tick."""
    return StepReport("retime", f"{plural(latency_ticks, 'tick')} later",
                      f"{plural(dilation, 'hardware tick')} for each tick of the network")


def on_cores(cores: CoreUse) -> list[StepReport]:
    """How many cores a network takes, and how many hops of the mesh a packet of spikes travels."""
    many, crossing = plural(cores.cores, "core"), ""
    if cores.chips > 1:
        many += f" on {cores.chips:,} chips"
        crossing = f", {cores.packets_between_chips:,} of them to another chip"
    steps = [StepReport("partition", many, f"lower bound {cores.least:,} ({cores.binding}), "
                        f"{plural(cores.packets, 'packet')} between them if every neuron fires once{crossing}")]
    if cores.mean_hops is not None and cores.packets:
        steps.append(StepReport("place", f"{cores.mean_hops:.3g} hops a packet",
                                f"at least {cores.least_mean_hops:.3g}"))
    return steps


def rates(report: Report) -> str:
    """The lowest and the highest firing rate of a population on the calibration samples; empty without samples."""
    measured = [p.rate for p in report.populations if p.rate is not None]
    return f"spikes a neuron and tick: {min(measured):.3g} to {max(measured):.3g}" if measured else ""


def sizes(sizes_bytes: Mapping[str, int]) -> str:
    """The memory of weights, and that of everything else when the program runs tick by tick."""
    known = {"weights": "of weights", "total_one_tick": "of memory tick by tick"}
    return ", ".join(f"{size(sizes_bytes[k])} {words}" for k, words in known.items() if k in sizes_bytes)


def spread(values: Iterable[int]) -> str:
    """The least and the largest of some widths, to stand before `-bit`: `8`, or `4- to 8`."""
    distinct = sorted(set(values))
    return str(distinct[0]) if len(distinct) == 1 else f"{distinct[0]}- to {distinct[-1]}"


def plural(count: int, word: str) -> str:
    """`1 tick`, `1,000 ticks`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """A share from 0 to 1 in percent with two decimals, rounded down, so that only a share of 1 reads as 100 %."""
    return f"{math.floor(share * 1e4 + 1e-9) / 100:g} %"


def error(share: float) -> str:
    """An error in percent with two decimals, rounded up, so that only an error of 0 reads as 0 %."""
    return f"{math.ceil(share * 1e4 - 1e-9) / 100:g} %"


def size(count_bytes: int) -> str:
    """A number of bytes: exact below 100 kB, else in kB or MB."""
    for limit, unit in ((10**6, "MB"), (10**5, "kB")):
        if count_bytes >= limit:
            return f"{count_bytes / (10**6 if unit == 'MB' else 10**3):,.1f} {unit}"
    return f"{count_bytes:,} bytes"
