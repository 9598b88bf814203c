"""Calibration: running a network in real numbers on the user's samples, to see which ranges occur."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.decisions import decide
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run, sample_chunks
from snncompile.ir.packed import Packed
from snncompile.ir.types import Array
from snncompile.passes.quantize.moments import Recorded

MAX_RECORDED_BYTES = 1 << 27
"""From so many bytes on, no more samples are kept."""


@dataclass
class ObservedActivity:
    """What one population did on the samples.

    Attributes:
        peak_state, peak_output: the largest magnitude of any state, and of anything that was emitted.
        emitted: the magnitudes of all that was emitted, added up: the number of spikes of a spiking population.
        opportunities: neurons times ticks times samples.
    """

    peak_state: float = 0.0
    peak_output: float = 0.0
    emitted: float = 0.0
    opportunities: int = 0

    @property
    def rate(self) -> float:
        """Spikes for each neuron and tick."""
        return self.emitted / self.opportunities if self.opportunities else 0.0


@dataclass
class Calibration:
    """The ranges of the inputs and the activity of the populations, by name; empty where there were no samples.

    Attributes:
        recorded: what the inputs and populations sent on the first samples.
        decided: the class for which each sample was decided, `[sample]`; see `ir.decisions`.
    """

    input_low: dict[str, float] = field(default_factory=dict)
    input_high: dict[str, float] = field(default_factory=dict)
    activity: dict[str, ObservedActivity] = field(default_factory=dict)
    recorded: Recorded | None = field(default=None, compare=False)
    decided: Array | None = field(default=None, compare=False)


def calibrate(graph: Graph, x: Mapping[str, Array], progress: Callable[[int, int], None] | None = None) -> Calibration:
    """Run a LEGAL graph on samples and record what quantization needs to know.

    Args:
        x: the samples, `[sample, tick, *shape]`, by the names of the inputs.
        progress: called with the number of samples that are done, and the number of all.

    Raises:
        CompileError: SNN401 where the values of a population grow without bound.
    """
    calibration = Calibration({n: float(v.min(initial=0)) for n, v in x.items()},
                              {n: float(v.max(initial=0)) for n, v in x.items()},
                              {n: ObservedActivity() for n in graph.populations})
    samples, ticks = next(iter(x.values())).shape[:2]
    kept: dict[str, list[Packed]] = {}
    decided = []

    def watch(name: str, state: Array) -> None:
        activity = calibration.activity[name]
        activity.peak_state = _peak(state, activity.peak_state)

    for part in sample_chunks(graph, samples, ticks):
        given = {n: v[part] for n, v in x.items()}
        with np.errstate(over="ignore", invalid="ignore"):
            traces = run(graph, given, record=True, dtype=np.float32, watch=watch)
        for name, activity in calibration.activity.items():
            _record(activity, traces.emitted[name])
            if not math.isfinite(activity.peak_state + activity.peak_output):
                fail("SNN401", f"population {shorten(name)}", "its values grow without bound on the samples",
                     help="a loop through graded populations must have a gain below 1")
        decided.append(decide(graph, traces.outputs))
        _keep(kept, {**given, **traces.emitted})
        if progress:
            progress(part.stop, samples)
    calibration.recorded = Recorded({n: Packed.joined(v) for n, v in kept.items()}) if kept else None
    calibration.decided = np.concatenate(decided) if decided else None
    return calibration


def _keep(kept: dict[str, list[Packed]], sent: Mapping[str, Array]) -> None:
    """Keep what the inputs and populations sent, as long as there is room."""
    if sum(part.nbytes for parts in kept.values() for part in parts) > MAX_RECORDED_BYTES:
        return
    for name, values in sent.items():
        kept.setdefault(name, []).append(Packed.of(values))


def _record(activity: ObservedActivity, emitted: Array) -> None:
    """Add what a population emitted in some samples."""
    activity.peak_output = _peak(emitted, activity.peak_output)
    activity.emitted += float(np.abs(emitted).sum(dtype=np.float64))
    activity.opportunities += emitted.size


def _peak(values: Array, before: float) -> float:
    """The largest magnitude so far; NaN from the first NaN on."""
    return float(np.maximum(before, np.abs(values).max(initial=0)))
