"""Comparing the float network with the integer network on samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from snncompile.inputs import integers
from snncompile.integer_runs import IntegerRuns
from snncompile.ir.decisions import decide
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run, sample_chunks
from snncompile.ir.types import Array
from snncompile.passes.quantize.calibrate import Calibration
from snncompile.report.report import Agreement


def compare(legal: Graph, integer: Graph, samples: Mapping[str, Array], labels: Array | None = None, *,
            seen: Calibration | None = None, inside: bool = True,
            progress: Callable[[int, int], None] | None = None) -> Agreement:
    """Run the float and the integer network on the same samples, and count where they agree.

    Args:
        legal, integer: the LEGAL graph, and the INT graph that it became.
        samples: `[sample, tick, *shape]` by input name, in real values.
        labels: the class of each sample, `[sample]`.
        seen: a calibration on these samples. The float network does not run again on those that it recorded.
        inside: whether to compare what populations emit, and not only decisions. Without it the interpreter runs all.
        progress: called with the number of samples done and of all samples.

    Raises:
        CompileError: SNN603 where emitted C computes something else than the interpreter.
    """
    agreement = Agreement()
    if labels is not None:
        agreement.float_correct = agreement.integer_correct = 0
    count, ticks = next(iter(samples.values())).shape[:2]
    runs = IntegerRuns.of(integer, samples) if inside else None
    for part in sample_chunks(legal, count, ticks):
        x = {n: v[part] for n, v in samples.items()}
        exact, decided = _seen(legal, seen, part) or _exact(legal, x, inside)
        found = runs.run(integers(integer, x)) if runs else run(integer, integers(integer, x))
        if inside:
            agreement.count(integer, exact, found.emitted)
        _decided(agreement, decided, decide(integer, found.outputs), None if labels is None else labels[part])
        if progress:
            progress(part.stop, count)
    return agreement


def _exact(legal: Graph, x: Mapping[str, Array], inside: bool) -> tuple[Mapping[str, Array], Array]:
    """What the populations of the float network emit, if that is asked for, and for which classes it decides."""
    traces = run(legal, x, record=inside, dtype=np.float32)
    return traces.emitted, decide(legal, traces.outputs)


def _seen(legal: Graph, seen: Calibration | None, part: slice) -> tuple[Mapping[str, Array], Array] | None:
    """The same of some samples of a calibration, if it recorded all of them."""
    if seen is None or seen.recorded is None or seen.decided is None or part.stop > seen.recorded.samples:
        return None
    return {n: seen.recorded.values[n][part] for n in legal.populations}, seen.decided[part]


def _decided(agreement: Agreement, exact: Array, integer: Array, labels: Array | None) -> None:
    """Add for which classes both networks decided on some samples, `[sample]`."""
    agreement.samples += len(exact)
    agreement.decisions_equal += int((exact == integer).sum())
    if labels is not None:
        agreement.float_correct = (agreement.float_correct or 0) + int((exact == labels).sum())
        agreement.integer_correct = (agreement.integer_correct or 0) + int((integer == labels).sum())
