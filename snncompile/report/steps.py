"""Each step of the line in a few words with figures, for the command line and for the report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from snncompile.cost.estimate import Cost
from snncompile.ir.graph import Graph
from snncompile.ir.operations import bit_width
from snncompile.ir.ops import Conv, Linear
from snncompile.ir.populations import Population
from snncompile.ir.ranges import population_ranges
from snncompile.mapping.chip import CoreUse
from snncompile.passes.table import names_of
from snncompile.report.report import Agreement, Report, synapses_into, weight_bits

if TYPE_CHECKING:
    from snncompile.model import CompiledModel

PARTS: Mapping[str, tuple[str, ...]] = {
    "read": ("read",),
    "legalize": tuple(names_of("legalize")),
    "calibrate": ("calibrate",),
    "quantize": tuple(names_of("quantize")),
    "ranges": tuple(names_of("ranges")),
    "retime": tuple(names_of("retime")),
    "partition": ("partition",),
    "place": ("place",),
    "compare": ("compare",),
    "estimate": ("estimate",),
    "emit": ("golden", "emit"),
}
"""What is timed while a network is compiled, by the step that it belongs to."""
GRAPHS = tuple(part for step in ("read", "legalize", "quantize", "ranges", "retime") for part in PARTS[step])
"""The parts that give a graph."""


@dataclass(frozen=True)
class Step:
    """One line: the step's name, what it found in a word, more figures, and how long it took."""

    name: str
    found: str
    detail: str
    seconds: float | None = None


def line(model: CompiledModel) -> list[Step]:
    """The steps of a compiled model, as far as it knows them."""
    report, seconds = model.report, model.report.seconds
    steps = [reading(model.float_graph, report.name)] if model.float_graph else []
    steps += [legalized(model.float_graph)] if model.float_graph else []
    if report.agreement:
        steps.append(Step("calibrate", plural(report.agreement.samples, "sample"), rates(report)))
    steps += [quantized(model.graph), proved(model.graph)]
    steps += compared(report.agreement) if report.agreement else []
    steps += [retimed(report.latency_ticks, report.dilation)] if report.latency_ticks else []
    steps += on_cores(report.cores) if report.cores else []
    steps += [costed(report.cost)] if report.cost else []
    steps.append(Step("emit", report.target, sizes(report.sizes_bytes)))
    return [Step(s.name, s.found, s.detail, took(seconds, s.name)) for s in steps]


def took(seconds: Mapping[str, float], step: str) -> float | None:
    """The seconds of all parts of a step; None where none was timed."""
    parts = [seconds[p] for p in PARTS.get(step, ()) if p in seconds]
    return sum(parts) if parts else None


def reading(graph: Graph, source: str) -> Step:
    layers = [op for op in (*graph.nodes.values(), *(o for e in graph.edges for o in e.chain))
              if isinstance(op, (Linear, Conv))]
    weights = sum(op.weight.size for op in layers)
    return Step("read", source, f"{plural(len(layers), 'layer')} with {plural(weights, 'weight')}, "
                                f"{plural(len(graph.populations), 'population')}")


def legalized(graph: Graph) -> Step:
    populations = graph.populations
    projections = sum(len(graph.edges_into[n]) for n in populations)
    synapses = sum(synapses_into(graph, n) for n in populations)
    neurons = sum(math.prod(graph.shapes[n]) for n in populations)
    return Step("legalize", plural(len(populations), "population"),
                f"{plural(neurons, 'neuron')}, {plural(projections, 'projection')}, {plural(synapses, 'synapse')}")


def quantized(graph: Graph) -> Step:
    """The widths that weights came to use, and the size of a membrane's step."""
    units = [np.asarray(op.unit) for op in graph.populations.values() if isinstance(op, Population)]
    bits = [b for b in (weight_bits(graph, n) for n in graph.populations) if b]
    low, high = min((float(u.min()) for u in units), default=1.0), max((float(u.max()) for u in units), default=1.0)
    steps = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    return Step("quantize", f"{spread(bits)}-bit weights" if bits else "no weights", f"membranes in steps of {steps}")


def proved(graph: Graph) -> Step:
    """The widths of membranes, and the widest integer that occurs anywhere in an update."""
    states = [s.bits for op in graph.populations.values() if isinstance(op, Population) for s in op.states.values()]
    widest = 0
    for name in graph.populations:
        ranges = population_ranges(graph, name)
        widest = max([widest, *map(bit_width, (*ranges.steps, ranges.x))])
    found = f"{spread(states)}-bit states" if states else "no states"
    return Step("ranges", found, f"no integer of an update exceeds {widest} bits")


def compared(found: Agreement) -> list[Step]:
    """How often float and integer network agree, and how often each is right."""
    steps = [Step("compare", f"spikes equal {percent(found.spikes_equal)}",
                  f"{percent(found.spikes_shared)} of those fired are shared, decisions equal "
                  f"{percent(found.decisions)}")]
    if found.float_correct is not None:
        steps.append(Step("accuracy", f"integer {found.integer_correct} of {found.samples}",
                          f"float {found.float_correct} of {found.samples}"))
    return steps


def costed(cost: Cost) -> Step:
    """What a sample takes on the hardware."""
    first, _, rest = str(cost).partition(", ")
    return Step("estimate", first, rest)


def retimed(latency_ticks: int, dilation: int) -> Step:
    """How much later hardware does the same."""
    return Step("retime", f"{plural(latency_ticks, 'tick')} later",
                f"{plural(dilation, 'hardware tick')} for each tick of the network")


def on_cores(found: CoreUse) -> list[Step]:
    """How many cores a network takes, and how far its spikes go."""
    steps = [Step("partition", plural(found.cores, "core"), f"lower bound {found.least:,} ({found.binding}), "
                  f"{plural(found.packets, 'packet')} between them if every neuron fires once")]
    if found.mean_hops is not None and found.packets:
        steps.append(Step("place", f"{found.mean_hops:.3g} hops a packet", f"at least {found.least_mean_hops:.3g}"))
    return steps


def rates(report: Report) -> str:
    """The quietest and the busiest population."""
    seen = sorted((p.rate, p.name) for p in report.populations if p.rate is not None)
    if not seen:
        return ""
    return f"spikes a neuron and tick: {seen[0][0]:.3g} to {seen[-1][0]:.3g}"


def sizes(sizes_bytes: Mapping[str, int]) -> str:
    known = {"weights": "of weights", "total_one_tick": "of memory tick by tick"}
    return ", ".join(f"{size(sizes_bytes[k])} {words}" for k, words in known.items() if k in sizes_bytes)


def spread(values: Iterable[int]) -> str:
    """`8`, or `4- to 8`."""
    distinct = sorted(set(values))
    return str(distinct[0]) if len(distinct) == 1 else f"{distinct[0]}- to {distinct[-1]}"


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def percent(share: float) -> str:
    """A share with two decimals, rounded down: what is not all never reads as 100 %."""
    return f"{math.floor(share * 1e4 + 1e-9) / 100:g} %"


def size(count_bytes: int) -> str:
    for limit, unit in ((10**6, "MB"), (10**5, "kB")):
        if count_bytes >= limit:
            return f"{count_bytes / (10**6 if unit == 'MB' else 10**3):,.1f} {unit}"
    return f"{count_bytes:,} bytes"
