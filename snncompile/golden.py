"""Golden vectors: input and what the network makes of it, which every emitted program is held against."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snncompile.backends.artifact import Golden
from snncompile.inputs import integers
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.types import Array
from snncompile.passes.quantize.calibrate import Calibration
from snncompile.report.report import synapses_into

GOLDEN_VALUES = 2_000_000
GOLDEN_SAMPLES = 4
TRIAL_SAMPLES = 2
TRIAL_TICKS = (4, 16)
TRIAL_RATE = 0.2
TRIAL_OPERATIONS = 1 << 30


def record_golden(graph: Graph, samples: Mapping[str, Array] | None) -> Golden:
    """Golden vectors: the first calibration samples, or seeded random input, with the interpreter's outputs."""
    if samples is None:
        inputs = trial_inputs(graph)
    else:
        whole = {n: v[:GOLDEN_SAMPLES] for n, v in samples.items()}
        values = sum(v[0].size for v in whole.values())
        inputs = integers(graph, {n: v[:max(1, GOLDEN_VALUES // max(values, 1))] for n, v in whole.items()})
    return Golden(inputs, run(graph, inputs).outputs)


def trial_inputs(graph: Graph) -> dict[str, Array]:
    """Seeded random input in the declared range; shorter for networks that take long to interpret."""
    operations = sum(synapses_into(graph, n) for n in graph.populations)
    ticks = min(max(TRIAL_OPERATIONS // max(operations, 1), TRIAL_TICKS[0]), TRIAL_TICKS[1])
    samples = TRIAL_SAMPLES if ticks == TRIAL_TICKS[1] else 1
    rng = np.random.default_rng(0)
    found = {}
    for name, op in graph.inputs.items():
        active = rng.random((samples, ticks, *op.shape)) < TRIAL_RATE
        found[name] = active * rng.integers(int(op.low), int(op.high) + 1, active.shape)
    return found


def activity_rates(graph: Graph, seen: Calibration, golden: Golden) -> dict[str, float]:
    """Share of active elements: of the inputs in the golden vectors, of the populations in calibration."""
    rates = {n: float(np.mean(v != 0)) if v.size else 0.0 for n, v in golden.inputs.items()}
    for name, population in graph.populations.items():
        activity = seen.activity.get(name)
        graded = getattr(population, "graded", False)
        if activity is not None:
            rates[name] = 1.0 if graded else min(1.0, activity.rate)
        elif graded:
            rates[name] = 1.0
    return rates
