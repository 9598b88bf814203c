"""The most important figures of a report: each is one function of this file, and one entry of its table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from snncompile.cost.estimate import prefixed
from snncompile.report.report import Report
from snncompile.report.steps import fpga_cells, measures, size

Shown = Iterator[tuple[str, str]]
"""Figures as they are shown: what each is, and its value with its unit."""


def network(report: Report) -> Shown:
    yield "populations", f"{len(report.populations):,}"
    yield "neurons", f"{sum(p.neurons for p in report.populations):,}"
    yield "synapses", f"{sum(p.synapses for p in report.populations):,}"


def memory(report: Report) -> Shown:
    for key, words in (("weights", "weights"), ("total_one_tick", "working memory")):
        if key in report.sizes_bytes:
            yield words, size(report.sizes_bytes[key])


def cost(report: Report) -> Shown:
    if report.cost:
        yield "synaptic operations a sample", f"{round(report.cost.synaptic_operations):,}"
    if report.cost and report.cost.total_pj is not None:
        yield f"energy a sample, {report.cost.profile}", f"{prefixed(report.cost.total_pj * 1e-12)}J"


def fpga(report: Report) -> Shown:
    """What a network takes on an FPGA."""
    if "cycles" in report.figures:
        yield "clock cycles a sample, at most", f"{max(report.figures['cycles']):,}"
        yield f"time a sample at {report.figures['clock_mhz']} MHz", f"{report.figures['latency_us']:,.1f} us"
        yield from fpga_cells(report.figures)


def agreement(report: Report) -> Shown:
    """Of the float and the integer network, on the samples of the calibration and on those that were held out."""
    for measured, where in ((report.agreement, ""), (report.validation, ", held out")):
        if measured is None:
            continue
        yield from ((f"{what}{where}", shown) for what, shown in measures(measured) if what != "decisions equal")
        yield f"decisions equal{where}", f"{measured.decisions_equal:,} of {measured.samples:,}"
        if measured.float_correct is not None:
            yield f"correct{where}, integer", f"{measured.integer_correct:,} of {measured.samples:,}"
            yield f"correct{where}, float", f"{measured.float_correct:,} of {measured.samples:,}"


FIGURES: list[Callable[[Report], Shown]] = [network, memory, cost, fpga, agreement]


def figures(report: Report) -> dict[str, str]:
    """All figures of a report that there are, by what they are."""
    return dict(shown for figure in FIGURES for shown in figure(report))
