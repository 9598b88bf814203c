"""`snnc explore`: how fast a network can be on an FPGA, and what each speed takes of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from snncompile.cli import complete
from snncompile.cli.build import Calibrate, Lines, Source, compile_with
from snncompile.cli.options import ArithmeticOptions, FoldingOptions, SampleOptions, SourceOptions, TimingOptions
from snncompile.cli.out import Out
from snncompile.diagnostics import fail

Device = Annotated[str, typer.Option("--target", "-t", help="An FPGA: a target's name, or its .toml file.",
                                      autocompletion=complete.targets)]


def explore(
    out: Out,
    source: Source,
    reading: SourceOptions,
    arithmetic: ArithmeticOptions,
    timing: TimingOptions,
    folding: FoldingOptions,
    samples: SampleOptions,
    target: Device,
    calibrate: Calibrate = None,
) -> dict[str, Any]:
    """Show how fast a network can be on an FPGA, and what each speed takes of the device.

    Each row is a folding: lanes, neuron units, waiting words and lines of each population. None takes less of
    everything than another.
    """
    from pathlib import Path

    from snncompile.explorer import explore as measure

    given = folding.given()
    demands = [n for n in ("latency_us", "samples_per_s", "fastest") if given.get(n)]
    if demands:
        fail("SNN701", f"option --{demands[0].replace('_', '-')}", "all speeds are shown", "none of these",
             "give it to `snnc compile`")
    lines = Lines(out, Path(source).name)
    model = compile_with(out, lines, source, target, calibrate, None, reading, arithmetic, timing, samples)
    points = measure(model, target, arithmetic.given().get("layers"), **given)
    names = list(points[0].layers)
    shown = [[f"{p.figures['latency_us']:,.1f}", f"{p.cycles:,}", f"{p.figures['samples_per_s']:,.0f}",
              *("" if p.figures[n] is None else f"{p.figures[n]:,}" for n in ("luts", "flip_flops", "blocks",
                                                                              "multipliers")),
              *("/".join(map(_shown, p.layers[n].values())) for n in names)] for p in points]
    out.table(("#us", "#cycles", "#samples/s", "#LUT", "#FF", "#blocks", "#multipliers",
               *(f"#{n} lanes/units/queue/lines" for n in names)), shown)
    return {"points": [{"layers": {n: dict(v) for n, v in p.layers.items()}, **p.figures} for p in points]}


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
