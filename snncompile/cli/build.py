"""`snnc compile`, and the lines that are printed while a network is compiled."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli import complete
from snncompile.cli.data import reader
from snncompile.cli.group import OptionGroup
from snncompile.cli.options import (
    ArithmeticOptions,
    ChoiceOptions,
    FoldingOptions,
    ProgramOptions,
    SampleOptions,
    SourceOptions,
    TimingOptions,
)
from snncompile.cli.out import Out
from snncompile.diagnostics import Diagnostic, did_you_mean, fail, shorten

if TYPE_CHECKING:
    from snncompile.ir.graph import Graph
    from snncompile.model import CompiledModel
    from snncompile.report.steps import StepReport

LOOKING = "Looking at passes"

Source = Annotated[str, typer.Argument(
    metavar="SOURCE", autocompletion=complete.sources, show_default=False,
    help="A network: .nir, .net, the compiler's own .snn, or model.py:build for PyTorch.")]
TargetName = Annotated[str, typer.Option("--target", "-t", help="A target's name, or its .toml file.",
                                         autocompletion=complete.targets)]
Calibrate = Annotated[str | None, typer.Option(
    "--calibrate", help="Samples on which ranges and rates are measured, and float and integer network compared: .npz, "
    ".npy, event files, .csv, or a folder of recordings.", show_default=False, metavar="FILE")]
Labels = Annotated[str | None, typer.Option(
    "--labels", help="The samples' classes: a .csv with a column label, or an .npz or .npy vector.", metavar="FILE",
    show_default=False)]


@dataclass(frozen=True)
class PassOptions(OptionGroup):
    """What to print while the passes run."""

    print_after: Annotated[list[str] | None, typer.Option(
        "--print-after", help="Print the graph after this pass, in the text form; may be repeated.", metavar="PASS",
        autocompletion=complete.parts, rich_help_panel=LOOKING, show_default=False)] = None
    print_after_all: Annotated[bool, typer.Option(
        "--print-after-all", help="Print the graph after every pass.", rich_help_panel=LOOKING)] = False
    time_passes: Annotated[bool, typer.Option(
        "--time-passes", help="Print the time of every pass.", rich_help_panel=LOOKING)] = False

    def printed(self, out: Out) -> frozenset[str]:
        """The passes after which the graph is printed.

        Raises:
            CompileError: SNN701 for a pass that does not exist, and where `--json` leaves no room for graphs.
        """
        from snncompile.report.steps import GRAPHS

        names = GRAPHS if self.print_after_all else tuple(self.print_after or ())
        for name in names:
            if name not in GRAPHS:
                fail("SNN701", "option --print-after", shorten(name), ", ".join(GRAPHS), did_you_mean(name, GRAPHS))
        if names and out.json:
            fail("SNN701", "option --print-after", "graphs in the text form, and --json", "one of the two")
        return frozenset(names)


@dataclass(frozen=True)
class HeldOutOptions(OptionGroup):
    """Samples that are used for nothing but a comparison of the float and the integer network."""

    validate: Annotated[str | None, typer.Option(
        "--validate", help="Samples held out from the calibration, on which the networks are compared too.",
        metavar="FILE", show_default=False)] = None
    validate_labels: Annotated[str | None, typer.Option(
        "--validate-labels", help="The classes of the samples held out.", metavar="FILE", show_default=False)] = None

    def given(self, out: Out, samples: SampleOptions) -> dict[str, Any]:
        """The arguments of `compile` for them. Raises SNN701 for labels without samples."""
        if self.validate is None:
            if self.validate_labels is not None:
                fail("SNN701", "option --validate-labels", "no samples held out", "--validate FILE")
            return {}
        note_on_labels(out, self.validate_labels, self.validate, "--validate-labels")
        return {"validation": reader(self.validate, samples, lambda *_: None),
                "validation_labels": labels_of(self.validate_labels, self.validate)}


@dataclass
class Lines:
    """Prints a line for each step of a compilation when it ends.

    Attributes:
        source: name of the file that is compiled.
        printing: the passes after which the graph is printed.
        seconds: the time that each part took so far (see `report.steps.PARTS`).
        samples: how many calibration samples were read, and the ticks of each.
    """

    out: Out
    source: str
    printing: frozenset[str] = frozenset()
    seconds: dict[str, float] = field(default_factory=dict)
    samples: tuple[int, int] = (0, 0)

    def stage(self, part: str, graph: Graph | None, seconds: float) -> None:
        """Print what a part did: `observer.Observer` calls this when the part ends."""
        from snncompile.report.steps import PARTS, took

        self.seconds[part] = seconds
        for name, parts in PARTS.items():
            if part == parts[-1] and self.out.talks:
                self._show(self._steps().get(name), graph, took(self.seconds, name))
        if graph is not None:
            self.out.note(graph.notes)
        if part in self.printing:
            self.out.raw(f"; after {part}\n{graph}")

    def _show(self, make: Callable[[Any], StepReport] | None, graph: Graph | None, seconds: float | None) -> None:
        if make is not None:
            self.out.step(replace(make(graph), seconds=seconds))

    def _steps(self) -> Mapping[str, Callable[[Any], StepReport]]:
        from snncompile.report import steps as line
        from snncompile.report.steps import StepReport, plural

        samples, ticks = self.samples
        return {
            "read": lambda g: line.reading(g, self.source), "legalize": line.legalized, "quantize": line.quantized,
            "ranges": line.proved,
            "retime": lambda g: line.retimed(g.schedule.depth_ticks, g.schedule.period),
            "calibrate": lambda g: StepReport("calibrate", plural(samples, "sample"), f"{plural(ticks, 'tick')} each"),
            "choose": lambda g: StepReport("choose", "widths by layer", "tried one by one on the first samples"),
        }

    def count(self, samples: int, ticks: int) -> None:
        self.samples = samples, ticks


def compile_with(out: Out, lines: Lines, source: str, target: str, calibrate: str | None, labels: str | None,
                 reading: SourceOptions, arithmetic: ArithmeticOptions, timing: TimingOptions, samples: SampleOptions,
                 /, **more: Any) -> CompiledModel:
    """Compile a source, print its steps on the way, and return the model.

    Args:
        more: further arguments of `compile`, of any name.
    """
    from snncompile import driver
    from snncompile.observer import Observer
    from snncompile.report.steps import compared, costed, on_cores, on_fpga, took

    if calibrate is None:
        samples.expect_none("no samples to read", "--calibrate FILE")
    classes = labels_of(labels, calibrate)
    calibration = None if calibrate is None else reader(calibrate, samples, lines.count)
    with out.counting() as counter:
        observer = Observer(lines.stage, counter)
        model = driver.compile(source, target, calibration=calibration, labels=classes, observer=observer,
                               load_options=reading.given(), **timing.given(), **arithmetic.given(), **more)
    report = model.report
    steps = compared(report)
    steps += on_cores(report.cores) if report.cores else []
    steps += [costed(report.cost)] if report.cost else []
    steps += [on_fpga(report.figures)] if "cycles" in report.figures else []
    for step in steps:
        out.step(replace(step, seconds=took(lines.seconds, step.name)))
    return model


def labels_of(labels: str | None, samples: str | None) -> Any:
    """The classes of samples in a file; None where none was named."""
    from snncompile.data import read_labels

    return None if labels is None else read_labels(labels, inputs=samples)


def note_on_labels(out: Out, labels: str | None, samples: str | None, flag: str = "--labels") -> None:
    """Say where a file of samples holds labels too, and none were named."""
    from snncompile.data import labels_beside

    if labels is None and samples is not None and (name := labels_beside(samples)):
        out.note([Diagnostic("SNN105", f"file {shorten(Path(samples))}", f"the array {shorten(name)} was not used",
                             "labels are read where they are asked for",
                             f"give {flag} {shlex.quote(samples)} to count correct decisions", "note")])


def compile_(
    out: Out,
    source: Source,
    reading: SourceOptions,
    arithmetic: ArithmeticOptions,
    timing: TimingOptions,
    folding: FoldingOptions,
    program: ProgramOptions,
    limits: ChoiceOptions,
    held_out: HeldOutOptions,
    samples: SampleOptions,
    passes: PassOptions,
    target: TargetName = "c99",
    output: Annotated[str | None, typer.Option("--output", "-o", help="Folder to write; without it, nothing is "
                                               "written.", metavar="FOLDER", show_default=False)] = None,
    calibrate: Calibrate = None,
    labels: Labels = None,
) -> dict[str, Any]:
    """Compile a network for a target."""
    from snncompile.build_folder import expect_free

    if output is not None:
        expect_free(Path(output))
    lines = Lines(out, Path(source).name, passes.printed(out))
    note_on_labels(out, labels, calibrate)
    model = compile_with(out, lines, source, target, calibrate, labels, reading, arithmetic, timing, samples,
                         **folding.given(), **program.given(), **limits.given(), **held_out.given(out, samples))
    emitted = _emit(out, model, output, lines)
    if passes.time_passes:
        out.table(("part", "#seconds"), [(n, f"{s:.3f}") for n, s in lines.seconds.items()])
    return {"folder": output, "files": emitted, "seconds": dict(model.report.seconds),
            **model.report.to_json()}


def _emit(out: Out, model: CompiledModel, output: str | None, lines: Lines) -> list[str]:
    """Write the build folder if one was named, and print which commands come next.

    Returns:
        The paths of the files inside the folder.
    """
    from snncompile.backends.table import BACKENDS
    from snncompile.report.steps import StepReport, sizes, took

    began = time.perf_counter()
    folder = model.save(output) if output is not None else None
    seconds = (took(lines.seconds, "emit") or 0.0) + time.perf_counter() - began
    out.step(StepReport("emit", f"{folder}/" if folder else "nothing written", sizes(model.report.sizes_bytes),
                        seconds))
    if folder is None:
        out.say("Next: give -o FOLDER to write the program")
        return []
    start = BACKENDS[model.backend].start(str(folder))
    out.say(f"Next: snnc verify {folder}   |   {start}   |   open {folder}/report.html")
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
