"""`snnc run` and `snnc verify`: run a compiled network on samples, or on the vectors recorded when it was compiled."""

from __future__ import annotations

import io
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snncompile.cli.build import Calibrate, Labels, Lines, TargetName, compile_with, labels_of, note_on_labels
from snncompile.cli.data import samples_for
from snncompile.cli.options import ArithmeticOptions, LibraryOptions, SampleOptions, SourceOptions, TimingOptions
from snncompile.cli.out import Out
from snncompile.diagnostics import CompileError, Diagnostic, fail, shorten

if TYPE_CHECKING:
    from snncompile.ir.types import Array
    from snncompile.model import CompiledModel, Result

SHOWN_DECISIONS = 20
MAX_DIFFERENCES = 20


def run(
    out: Out,
    network: Annotated[str, typer.Argument(metavar="BUILD_OR_SOURCE", help="A build folder; or a network (.nir, .snn), "
                                           "which is compiled first.", show_default=False)],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Samples: .npz, .npy, event files, .csv, or a folder of "
                                        "recordings.", show_default=False)],
    reading: SourceOptions,
    arithmetic: ArithmeticOptions,
    timing: TimingOptions,
    samples: SampleOptions,
    labels: Labels = None,
    output: Annotated[str | None, typer.Option("--output", "-o", help="Write outputs, decisions and spike counts.",
                                               metavar="FILE.npz", show_default=False)] = None,
    outside: Annotated[str, typer.Option("--outside", help="What becomes of values outside of the range that the "
                                         "network was compiled for.", metavar="cut|error")] = "cut",
    threads: Annotated[int, typer.Option("--threads", help="How many parts of the samples run at the same time.",
                                         metavar="N")] = 1,
    reference: Annotated[bool, typer.Option("--reference", help="Run the integer interpreter.")] = False,
    target: TargetName = "c99",
    calibrate: Calibrate = None,
) -> dict[str, Any]:
    """Run a compiled network on samples.

    A source is compiled first; without --calibrate, its ranges are measured on the samples themselves.
    """
    if output is not None and Path(output).suffix.lower() != ".npz":
        fail("SNN701", "option --output", shorten(output), "a name that ends in .npz")
    if Path(network).is_dir():
        model = _opened(network, (reading, arithmetic, timing), calibrate)
    else:
        lines = Lines(out, Path(network).name)
        model = compile_with(out, lines, network, target, calibrate or data, None, reading, arithmetic, timing,
                             samples)
    given = samples_for(model.graph, data, samples)
    note_on_labels(out, labels, data)
    classes = labels_of(labels, data)
    options = {"outside": outside} if reference else {"outside": outside, "threads": threads}
    result, seconds = _timed(out, model, given, reference, options)
    correct = None if classes is None else _correct(result, classes)
    if output is not None:
        _write(output, result)
    _show(out, result, next(iter(given.values())).shape, seconds, correct)
    return {"backend": result.backend, "samples": len(result.decisions), "seconds": seconds, "correct": correct,
            "cut": dict(result.cut), "decisions": result.decisions.tolist(), "output": output,
            "spike_counts": {n: v.tolist() for n, v in result.spike_counts.items()}}


def _opened(folder: str, compiling: tuple[LibraryOptions, ...], calibrate: str | None) -> CompiledModel:
    from snncompile.saved_build import open_build

    for group in compiling:
        group.expect_none("a build folder, which is compiled already", "options for a source: .nir, .snn")
    if calibrate is not None:
        fail("SNN701", "option --calibrate", "a build folder, which is compiled already", "a source: .nir, .snn")
    return open_build(folder)


def _timed(out: Out, model: CompiledModel, given: dict[str, Array], reference: bool, options: dict[str, Any]
           ) -> tuple[Result, float]:
    from snncompile.backends.backend import tools_for
    from snncompile.backends.table import BACKENDS

    if not reference and model.host is None:
        tools = tools_for(BACKENDS[model.backend], model.artifact)
        out.note([Diagnostic("SNN608", "this machine", "the integer interpreter runs instead", tools,
                             "install it to run the emitted program; the numbers are the same", "note")])
    start = time.perf_counter()
    with out.counting() as counter:
        work = model.reference if reference else model.run
        with warnings.catch_warnings():  # what was cut is told as a note
            warnings.simplefilter("ignore", UserWarning)
            result = work(given, lambda done, whole: counter("run", done, whole), **options)
    seconds = time.perf_counter() - start
    out.note([_note_on_cut(model, name, count) for name, count in result.cut.items()])
    return result, seconds


def _note_on_cut(model: CompiledModel, name: str, count: int) -> Diagnostic:
    from snncompile.inputs import WIDER, range_of

    return Diagnostic("SNN501", f"input {shorten(name)}", f"{count:,} values outside, which were cut",
                      range_of(model.graph.inputs[name]), WIDER, "note")


def _title(backend: str) -> str:
    """The title of the backend whose program ran, or "interpreter"."""
    from snncompile.backends.table import BACKENDS

    return BACKENDS[backend].title if backend in BACKENDS else backend


def _correct(result: Result, classes: Array) -> int:
    if classes.shape != result.decisions.shape:
        fail("SNN501", "labels", f"{len(classes)} labels", f"{len(result.decisions)}, one a sample")
    return int((result.decisions == classes).sum())


def _write(path: str, result: Result) -> None:
    """Write a result as `.npz`. Names are free text, so arrays are keyed by position, and the names are arrays too."""
    import numpy as np

    from snncompile.build_folder import write_file

    arrays: dict[str, Any] = {f"output{i}": v for i, v in enumerate(result.all_outputs.values())}
    arrays |= {f"unit{i}": np.float64(result.units[n]) for i, n in enumerate(result.all_outputs)}
    arrays |= {
        "output_names": np.array(list(result.all_outputs), np.str_), "decisions": result.decisions,
        "population_names": np.array(list(result.spike_counts), np.str_),
        "spike_counts": np.stack(list(result.spike_counts.values())) if result.spike_counts else np.zeros((0, 0)),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_file(path, buffer.getvalue())


def _show(out: Out, result: Result, shape: tuple[int, ...], seconds: float, correct: int | None) -> None:
    from snncompile.report.steps import StepReport, percent, plural

    count = len(result.decisions)
    out.step(StepReport("run", _title(result.backend), f"{plural(count, 'sample')} of {plural(shape[1], 'tick')}, "
                        f"{seconds / count * 1e3:.3g} ms a sample", seconds))
    more = " ..." if count > SHOWN_DECISIONS else ""
    out.step(StepReport("decide", "strongest output", " ".join(map(str, result.decisions[:SHOWN_DECISIONS])) + more))
    if correct is not None:
        out.step(StepReport("correct", f"{correct} of {count}", percent(correct / count)))
    out.say("")
    out.table(("population", "#spikes a sample", "#least", "#most"),
              [(n, f"{v.mean():,.1f}", f"{v.min():,}", f"{v.max():,}") for n, v in result.spike_counts.items()])


def verify(
    out: Out,
    build: Annotated[str, typer.Argument(metavar="BUILD", help="A folder that `snnc compile -o` wrote.",
                                         show_default=False)],
) -> dict[str, Any]:
    """Replay the golden vectors of a build.

    Every output, spike and state of every tick must be what the integer reference gives.
    """
    from snncompile.backends.backend import tools_for
    from snncompile.backends.table import BACKENDS
    from snncompile.report.steps import StepReport, plural
    from snncompile.saved_build import open_build

    model = open_build(build)
    if model.host is None:
        fail("SNN608", f"folder {shorten(build)}", "nothing was verified",
             tools_for(BACKENDS[model.backend], model.artifact),
             "install it and repeat the command")
    comparison = model.verify()
    if not comparison.ok:
        raise CompileError(_differences(build, comparison.differences))
    out.step(StepReport("verify", f"{_title(comparison.backend)} = reference",
                        f"{plural(comparison.samples, 'sample')} of {plural(comparison.ticks, 'tick')}, every spike "
                        f"and state of {plural(comparison.populations, 'population')}"))
    if comparison.instructions is not None:
        out.step(StepReport("count", f"{comparison.instructions:,.0f} instructions a sample",
                            "in an emulator, which knows no cycles"))
    return {"samples": comparison.samples, "ticks": comparison.ticks, "populations": comparison.populations,
            "backend": comparison.backend, "instructions": comparison.instructions}


def _differences(build: str, differences: tuple[str, ...]) -> tuple[Diagnostic, ...]:
    rest = len(differences) - MAX_DIFFERENCES
    shown = [*differences[:MAX_DIFFERENCES], *([f"and {rest} more"] if rest > 0 else [])]
    return tuple(Diagnostic("SNN603", f"folder {shorten(build)}", text, "the golden vectors") for text in shown)
