"""`snnc losses`: where the difference between the float and the integer network comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli.build import Labels, Source, TargetName, labels_of, note_on_labels
from snncompile.cli.data import reader
from snncompile.cli.options import ArithmeticOptions, SampleOptions, SourceOptions
from snncompile.cli.out import Out

if TYPE_CHECKING:
    from snncompile.report.report import Agreement

Compared = Annotated[str, typer.Option(
    "--calibrate", help="Samples on which ranges are measured, and float and integer network compared.", metavar="FILE",
    show_default=False)]


def losses(
    out: Out,
    source: Source,
    reading: SourceOptions,
    arithmetic: ArithmeticOptions,
    samples: SampleOptions,
    calibrate: Compared,
    target: TargetName = "c99",
    labels: Labels = None,
) -> dict[str, Any]:
    """Show what weights, inputs, decays and membranes each lose when a network becomes integers.

    The first row is the network as it is compiled. A row below says how far float and integer network agree with this
    source of loss alone, and how far without it.
    """
    from snncompile.loss_sources import ALL, NONE
    from snncompile.loss_sources import losses as measure
    from snncompile.observer import Observer

    note_on_labels(out, labels, calibrate)
    classes = labels_of(labels, calibrate)
    with out.counting() as counter:
        rows = measure(source, target, calibration=reader(calibrate, samples, lambda *_: None), labels=classes,
                       observer=Observer(progress=counter), load_options=reading.given(), **arithmetic.given())
    kinds = list(_figures(rows[0].alone))
    shown = []
    for row in rows:
        agreements = (row.alone,) if row.source in (ALL, NONE) else (row.alone, row.without)
        figures = [figure for a in agreements for figure in _figures(a).values()]
        shown.append([row.source, *figures, *[""] * (2 * len(kinds) - len(figures))])
    first, *others = kinds
    out.table(("source", *(f"#{kind}" for which in ("alone", "without") for kind in (f"{which}: {first}", *others))),
              shown)
    return {"losses": [{"source": r.source, "alone": r.alone.to_json(), "without": r.without.to_json()} for r in rows]}


def _figures(agreement: Agreement) -> dict[str, str]:
    """How far two networks agree, by kind: of spikes and counts where any population spikes, and of graded values."""
    from snncompile.report.steps import error, percent

    spikes = {"spikes": percent(agreement.spikes_shared), "counts": percent(agreement.counts_shared)}
    graded = {} if agreement.graded_error is None else {"error": error(agreement.graded_error)}
    return {**(spikes if agreement.spiking else {}), **graded, "decisions": percent(agreement.decisions)}
