"""Calibration: what a network does on the user's samples, in reals."""

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
class Activity:
    """What one population did: extremes, and totals over all samples and ticks."""

    peak_state: float = 0.0
    peak_output: float = 0.0
    emitted: float = 0.0
    opportunities: int = 0

    @property
    def rate(self) -> float:
        """Spikes a neuron and tick."""
        return self.emitted / self.opportunities if self.opportunities else 0.0


@dataclass
class Calibration:
    """Ranges of the inputs and activity of the populations, by name."""

    input_low: dict[str, float] = field(default_factory=dict)
    input_high: dict[str, float] = field(default_factory=dict)
    activity: dict[str, Activity] = field(default_factory=dict)


def calibrate(graph: Graph, x: dict[str, Array], progress: Callable[[int, int], None] | None = None) -> Calibration:
    """Run a LEGAL graph on samples and note what quantization needs to know.

    Args:
        x: by input name, `[sample, tick, *shape]`.
        progress: called with samples done and samples in all.

    Raises:
        CompileError: SNN401 where a population diverges.
    """
    found = Calibration({n: float(v.min(initial=0)) for n, v in x.items()},
                        {n: float(v.max(initial=0)) for n, v in x.items()},
                        {n: Activity() for n in graph.populations})
    samples, ticks = next(iter(x.values())).shape[:2]
    for part in sample_chunks(graph, samples, ticks):
        with np.errstate(over="ignore", invalid="ignore"):
            traces = run(graph, {n: v[part] for n, v in x.items()}, record=True, states=True, dtype=np.float32)
        for name, seen in found.activity.items():
            _note(seen, traces, name)
            if not math.isfinite(seen.peak_state + seen.peak_output):
                fail("SNN401", f"population {shorten(name)}", "its values grow without bound on the samples",
                     help="a loop through graded populations must have a gain below 1")
        if progress:
            progress(part.stop, samples)
    return found


def _note(seen: Activity, traces: Traces, name: str) -> None:
    out = traces.emitted[name]
    seen.peak_output = _peak(out, seen.peak_output)
    seen.emitted += float(np.abs(out).sum(dtype=np.float64))
    seen.opportunities += out.size
    for state in traces.states.get(name, {}).values():
        seen.peak_state = _peak(state, seen.peak_state)


def _peak(values: Array, before: float) -> float:
    """The largest magnitude so far; NaN once there was one."""
    return float(np.maximum(before, np.abs(values).max(initial=0)))
