"""The pictures of a report: bars for each population, and one sample of the golden vectors in both networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from snncompile.cost.estimate import prefixed
from snncompile.ir.ops import Input
from snncompile.ir.types import Array
from snncompile.report import bars_svg, curve_svg, raster_svg
from snncompile.report.bars_svg import Bar
from snncompile.report.curve_svg import COLOURS, Curves, Line
from snncompile.report.raster_svg import Raster
from snncompile.report.replay import Difference, Replay
from snncompile.report.report import Agreement, Report
from snncompile.report.steps import error, percent, plural, size
from snncompile.report.svg import short

MAX_ENDS = 6
"""The most inputs and outputs that are drawn."""
NAME = 30
STYLE = "\n".join([bars_svg.STYLE, raster_svg.STYLE, curve_svg.STYLE])


@dataclass(frozen=True)
class Pictures:
    """SVG for a page, and what it shows, in words.

    Attributes:
        bars: a panel for each measure.
        sample: inputs and outputs of one sample, and one membrane.
        difference: where the first difference between the float and the integer network lies; empty without a float
            network.
        shown: which sample is shown.
    """

    bars: list[str]
    sample: list[str]
    difference: str
    shown: str


def pictures(report: Report, replay: Replay) -> Pictures:
    """The pictures of a report.

    Agreement and rates are those of the calibration samples where there were some, and of the golden vectors otherwise;
    operations are those of the golden vectors.
    """
    samples = len(next(iter(replay.inputs.values())))
    return Pictures(list(_bars(report, replay)), list(_sample(replay)), _difference(replay, samples),
                    f"sample {replay.sample} of the golden vectors, {plural(replay.ticks, 'tick')}")


def _bars(report: Report, replay: Replay) -> Iterator[str]:
    names = [p.name for p in report.populations]
    agreement = report.agreement or _agreement(replay)
    if agreement is not None:
        yield bars_svg.panel("shared with the float network", [_shared(n, agreement) for n in names], 1.0)
    measured = {p.name: p.rate for p in report.populations if p.rate is not None}
    rates = [(n, measured.get(n, replay.rates[n])) for n in names if not replay.graded(n)]
    if rates:
        yield bars_svg.panel("spikes of a neuron in a tick", [Bar(n, (r,), f"{r:.3g}") for n, r in rates])
    yield bars_svg.panel("memory of weights and states", [
        Bar(n, (weights, states), size(round(weights + states)).replace(" bytes", " B"))
        for n, (weights, states) in replay.bytes_of.items()])
    yield bars_svg.panel("synaptic operations a sample", [
        Bar(n, (count,), _count(count)) for n, count in replay.operations.items()])


def _count(count: float) -> str:
    return f"{round(count):,}" if count < 1e6 else prefixed(count).strip()


def _agreement(replay: Replay) -> Agreement | None:
    if replay.exact is None:
        return None
    agreement = Agreement()
    agreement.count(replay.graph, replay.exact.emitted, replay.integer.emitted)
    return agreement


def _shared(name: str, agreement: Agreement) -> Bar:
    """The share of spikes that both networks have; of graded values, what their error leaves."""
    if name in agreement.squares:
        apart = agreement.error(name)
        return Bar(name, (max(1 - apart, 0.0),), f"error {error(apart)}")
    return Bar(name, (agreement.shared(name),), percent(agreement.shared(name)))


def _difference(replay: Replay, samples: int) -> str:
    if replay.exact is None:
        return ""
    first = replay.first_difference
    if first is None:
        graded = " Graded values are rounded and not compared." if any(map(replay.graded, replay.graph.populations)) \
            else ""
        return f"Every spike of {plural(samples, 'sample')} of {plural(replay.ticks, 'tick')} is equal.{graded}"
    many = int(np.prod(replay.graph.shapes[first.population], dtype=np.int64))
    return (f"The first difference lies in tick {first.tick} of sample {first.sample}, in population "
            f'"{short(first.population, NAME)}": neuron {_place(first.neuron)} {_did(first)}. '
            f"{first.neurons:,} of {plural(many, 'neuron')} differ in this tick.")


def _did(first: Difference) -> str:
    if 0 in (first.exact, first.integer):
        fires, rests = ("integer", "float") if first.exact == 0 else ("float", "integer")
        return f"fires in the {fires} network and not in the {rests} network"
    return f"emits {first.exact:g} in the float network and {first.integer:g} in the integer network"


def _place(neuron: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, neuron))}]"


def _sample(replay: Replay) -> Iterator[str]:
    """Inputs, outputs, and one membrane."""
    graph = replay.graph
    for name in [*graph.inputs, *graph.outputs][:MAX_ENDS]:
        op = graph.nodes[name]
        if isinstance(op, Input):
            yield raster_svg.to_svg(Raster(f'input "{short(name, NAME)}"', _flat(replay.inputs[name], replay.sample)))
            continue
        integer = _flat(replay.integer.outputs[name], replay.sample)
        exact = None if replay.exact is None else _flat(replay.exact.outputs[name], replay.sample)
        source = graph.edges_into[name][0].src
        if replay.graded(source):
            yield _values(f'output "{short(name, NAME)}"', integer * replay.unit(source), exact)
        else:
            yield raster_svg.to_svg(Raster(f'output "{short(name, NAME)}"', integer, exact))
    curve = replay.curve()
    if curve is not None:
        first = replay.first_difference
        exact_line = [] if curve.exact is None else [Line(curve.exact, "float")]
        exact_row = [] if curve.exact_fired is None else [("float", curve.exact_fired)]
        yield curve_svg.to_svg(Curves(
            f'{short(curve.what, NAME)} of neuron {_place(curve.neuron)} of "{short(curve.population, NAME)}"',
            [*exact_line, Line(curve.integer, "integer")], [*exact_row, ("integer", curve.fired)], curve.threshold,
            first.tick if first else None))


def _values(title: str, integer: Array, exact: Array | None) -> str:
    """The values of an output that is no spikes: a colour for each of the elements that vary most."""
    rows = np.sort(np.argsort(-np.ptp(integer, axis=0), kind="stable")[:len(COLOURS)])
    few = f", the {len(rows)} of {integer.shape[1]:,} elements that vary most" if len(rows) < integer.shape[1] else ""
    lines = [] if exact is None else [Line(exact[:, i], "float", c) for i, c in zip(rows, COLOURS, strict=False)]
    lines += [Line(integer[:, i], "integer", c) for i, c in zip(rows, COLOURS, strict=False)]
    return curve_svg.to_svg(Curves(title + few, lines))


def _flat(values: Array, sample: int) -> Array:
    """`[tick, element]` of one sample."""
    return np.asarray(values[sample].reshape(values.shape[1], -1))
