"""`snnc losses`: where the difference between the float and the integer network comes from."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from snncompile.cli.build import Labels, Source, TargetName, labels_of
from snncompile.cli.data import reader
from snncompile.cli.options import ArithmeticOptions, SampleOptions, SourceOptions
from snncompile.cli.out import Out

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
    from snncompile.report.steps import percent

    classes = labels_of(labels, calibrate)
    with out.counting() as counter:
        rows = measure(source, target, calibration=reader(calibrate, samples, lambda *_: None), labels=classes,
                       observer=Observer(progress=counter), load_options=reading.given(), **arithmetic.given())
    shown = []
    for row in rows:
        agreements = (row.alone,) if row.source in (ALL, NONE) else (row.alone, row.without)
        figures = [percent(f) for a in agreements for f in (a.spikes_shared, a.counts_shared, a.decisions)]
        shown.append([row.source, *figures, *[""] * (6 - len(figures))])
    out.table(("source", "#alone: spikes", "#counts", "#decisions", "#without: spikes", "#counts", "#decisions"), shown)
    return {"losses": [{"source": r.source, "alone": r.alone.to_json(), "without": r.without.to_json()} for r in rows]}
