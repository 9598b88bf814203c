"""Calibration: running a network in real numbers on the user's samples, to see which ranges occur."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, run, sample_chunks
from snncompile.ir.types import Array


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
    """The ranges of the inputs and the activity of the populations, by name; empty where there were no samples."""

    input_low: dict[str, float] = field(default_factory=dict)
    input_high: dict[str, float] = field(default_factory=dict)
    activity: dict[str, ObservedActivity] = field(default_factory=dict)


def calibrate(graph: Graph, x: dict[str, Array], progress: Callable[[int, int], None] | None = None) -> Calibration:
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
    for part in sample_chunks(graph, samples, ticks):
        with np.errstate(over="ignore", invalid="ignore"):
            traces = run(graph, {n: v[part] for n, v in x.items()}, record=True, states=True, dtype=np.float32)
        for name, activity in calibration.activity.items():
            _record(activity, traces, name)
            if not math.isfinite(activity.peak_state + activity.peak_output):
                fail("SNN401", f"population {shorten(name)}", "its values grow without bound on the samples",
                     help="a loop through graded populations must have a gain below 1")
        if progress:
            progress(part.stop, samples)
    return calibration


def _record(activity: ObservedActivity, traces: Traces, name: str) -> None:
    """Add what a population did in some samples."""
    emitted = traces.emitted[name]
    activity.peak_output = _peak(emitted, activity.peak_output)
    activity.emitted += float(np.abs(emitted).sum(dtype=np.float64))
    activity.opportunities += emitted.size
    for state in traces.states.get(name, {}).values():
        activity.peak_state = _peak(state, activity.peak_state)


def _peak(values: Array, before: float) -> float:
    """The largest magnitude so far; NaN from the first NaN on."""
    return float(np.maximum(before, np.abs(values).max(initial=0)))
