"""The report as a single HTML file that needs no network, and a summary of it for notebooks.

Names come from the user's files, so every value is escaped, and characters that cannot be printed are replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from snncompile import __version__
from snncompile.diagnostics import alike, printable
from snncompile.mapping.chip import CoreUse
from snncompile.report import chip_svg, graph_svg
from snncompile.report.figures import figures
from snncompile.report.palette import variables
from snncompile.report.pictures import STYLE, pictures
from snncompile.report.replay import Replay
from snncompile.report.report import PopulationReport, Report
from snncompile.report.steps import error, line, percent
from snncompile.report.svg import STYLE as SHARED

if TYPE_CHECKING:
    from jinja2 import Environment

    from snncompile.model import CompiledModel

MAX_DRAWN = 400
MEMORY = {
    "weights": "weights and other constants",
    "states": "states of the populations",
    "working": "sums of synaptic input, and scratch",
    "rows": "emitted values, for a chunk of ticks",
    "total_one_tick": "everything but constants, where the program runs tick by tick",
}
"""What each size of a backend's memory is called on the page."""

UNITS = {"synapse memory": "bits of synapse memory", "in-axons": "axons that reach it",
         "out-axons": "axons that leave it, for each core that they reach"}
"""What some resources of a core are called on the page; others keep their names."""


@dataclass(frozen=True)
class Row:
    """The cells of a population's row in the table of populations, as text."""

    name: str
    rule: str
    shape: str
    neurons: str
    synapses: str
    weight_bits: str
    unit: str
    states: tuple[str, ...]
    output: str
    rate: str
    equal: str
    shared: str
    counts: str
    error: str


@cache
def environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("snncompile"), undefined=StrictUndefined, trim_blocks=True,
                       lstrip_blocks=True, keep_trailing_newline=True, autoescape=True, finalize=_plain)


def _plain(value: Any) -> Any:
    """A value as the page prints it: HTML stays as it is, of everything else only what can be printed."""
    return value if hasattr(value, "__html__") else printable(value)


def page(model: CompiledModel) -> str:
    """The report of a model as an HTML document: steps, warnings, pictures, populations, memory, files, options."""
    graph = model.float_graph or model.graph
    drawn = len(graph.nodes) + len(graph.edges) <= MAX_DRAWN
    return environment().get_template("report/page.html.j2").render(
        name=model.report.name, target=model.report.target, version=__version__, figures=figures(model.report),
        colours=_markup(variables()), styles=_markup("\n".join([SHARED, graph_svg.STYLE, chip_svg.STYLE, STYLE])),
        pictures=pictures(model.report, Replay.of(model.graph, model.float_graph, model.golden.inputs)),
        steps=line(model), notes=alike(model.notes), drawing=graph_svg.to_svg(graph, None) if drawn else None,
        chip=_chip(model), cores=_cores(model), fullest=_fullest(model.report.cores),
        rows=[_row(p) for p in model.report.populations],
        totals=[_whole(sum(p.neurons for p in model.report.populations)),
                _whole(sum(p.synapses for p in model.report.populations))],
        measured=model.report.agreement is not None,
        memory=[(MEMORY.get(n, n), f"{b:,}") for n, b in model.report.sizes_bytes.items()],
        files=[(n, f"{len(content):,}") for n, content in sorted(model.artifact.files.items())],
        options={n: "automatic" if v is None else v for n, v in model.report.options.items()}, svg=_markup,
    )


def _markup(text: str) -> Any:
    """Text that the page takes as it is: style, or a drawing."""
    from markupsafe import Markup

    return Markup(text)


def _chip(model: CompiledModel) -> str | None:
    """The drawing of the chip; None where the target has no mesh, or one that is too large to draw."""
    if model.chip is None or model.chip.placement is None or not chip_svg.drawable(model.chip.placement):
        return None
    return chip_svg.to_svg(model.chip.partition, model.chip.placement, None)


def _cores(model: CompiledModel) -> str:
    """How many of the cores of a mesh are in use; empty without a mesh."""
    if model.chip is None or model.chip.placement is None:
        return ""
    many, whole = model.chip.partition.cores, chip_svg.all_cores(model.chip.placement)
    return f"{many:,} of {whole:,} cores {'is' if many == 1 else 'are'} in use"


def _fullest(cores: CoreUse | None) -> list[tuple[str, str, str]]:
    """For each resource of a core: its name, the most that any core uses of it, and how much a core has."""
    return [(UNITS.get(name, name), f"{used:,}", f"{cores.limits[name]:,}" if name in cores.limits else "–")
            for name, used in cores.used.items() if used or name in cores.limits] if cores else []


def summary(report: Report) -> str:
    """The report as a short HTML fragment, which notebooks show."""
    return environment().get_template("report/summary.html.j2").render(
        name=report.name, target=report.target, rows=[_row(p) for p in report.populations],
        figures=figures(report), measured=report.agreement is not None)


def table(rows: Sequence[Mapping[str, object]], most: int) -> str:
    """The first rows of some, by the names of their columns, as an HTML fragment."""
    return environment().get_template("report/table.html.j2").render(
        names=list(rows[0]) if rows else [], rows=[list(row.values()) for row in rows[:most]],
        more=max(len(rows) - most, 0))


def _row(p: PopulationReport) -> Row:
    return Row(
        p.name, p.rule, " × ".join(map(str, p.shape)), _whole(p.neurons), _whole(p.synapses), str(p.weight_bits or "–"),
        f"{p.unit_min:.3g}" if p.unit_min == p.unit_max else f"{p.unit_min:.3g} to {p.unit_max:.3g}",
        tuple(f"{n}: {bits} bits, {_interval(p.state_range[n])}" for n, bits in p.state_bits.items()),
        _interval(p.output_range), "–" if p.rate is None else f"{p.rate:.3g}",
        "–" if p.spikes_equal is None else percent(p.spikes_equal),
        "–" if p.spikes_shared is None else percent(p.spikes_shared),
        "–" if p.counts_shared is None else percent(p.counts_shared),
        "–" if p.graded_error is None else error(p.graded_error))


def _interval(ends: tuple[int, int]) -> str:
    low, high = (f"{n:,}".replace("-", "−") for n in ends)
    return f"{low} to {high}"


def _whole(count: int) -> str:
    return f"{count:,}"
