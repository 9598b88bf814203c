"""Golden vectors: inputs with the outputs that the interpreter gives, which every emitted program must reproduce."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snncompile.backends.artifact import Golden
from snncompile.inputs import taken
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.types import Array
from snncompile.passes.quantize.calibrate import Calibration
from snncompile.report.report import synapses_into
from snncompile.targets.target import Target

GOLDEN_VALUES = 2_000_000
"""The largest number of input values that are recorded, unless a single sample has more."""
GOLDEN_SAMPLES = 4
"""The largest number of calibration samples that are recorded."""
MEASURED_SAMPLES = 100
"""The largest number of calibration samples by which a program is measured before it runs."""
MEASURED_OPERATIONS = 1 << 31
"""The largest product of the synapses of a network, these samples and their ticks, but for the golden vectors."""
TRIAL_SAMPLES = 2
TRIAL_TICKS = (4, 16)
"""The fewest and the most ticks of random input."""
TRIAL_RATE = 0.2
"""The share of the values of random input that are drawn from the range of the input; the others are 0."""
TRIAL_OPERATIONS = 1 << 30
"""The largest product of the synapses of a network and the ticks of its random input, but for TRIAL_TICKS[0] ticks."""


def record_golden(graph: Graph, samples: Mapping[str, Array] | None) -> Golden:
    """Run an INT graph on the first calibration samples, or without samples on random input with a fixed seed.

    Args:
        samples: calibration samples `[sample, tick, *shape]` by input name, as the user gave them; None for none.

    Returns:
        The integers of the inputs, and the outputs that the interpreter gives for them.
    """
    inputs = trial_inputs(graph) if samples is None else _first(graph, samples, GOLDEN_SAMPLES)
    return Golden(inputs, run(graph, inputs).outputs)


def measured_inputs(graph: Graph, samples: Mapping[str, Array] | None, golden: Golden, target: Target
                    ) -> Mapping[str, Array]:
    """The inputs by which an INT graph is measured: those of the golden vectors, and on FPGAs more calibration samples.

    Returns:
        Integers `[sample, tick, *shape]` by input name.
    """
    if samples is None or not target.fabric.bank_shapes:
        return golden.inputs
    count, ticks = next(iter(golden.inputs.values())).shape[:2]
    operations = ticks * sum(synapses_into(graph, n) for n in graph.populations)
    return _first(graph, samples, max(count, min(MEASURED_SAMPLES, MEASURED_OPERATIONS // max(operations, 1))))


def _first(graph: Graph, samples: Mapping[str, Array], most: int) -> dict[str, Array]:
    """The integers of the first samples: so many, and at most GOLDEN_VALUES values."""
    values = sum(v[0].size for v in samples.values())
    count = min(most, max(1, GOLDEN_VALUES // max(values, 1)))
    first = taken(graph, {n: v[:count] for n, v in samples.items()}, "error")[0]
    return {n: v.astype(np.int64) for n, v in first.items()}


def trial_inputs(graph: Graph) -> dict[str, Array]:
    """Random input with a fixed seed, within the range of each input: `[sample, tick, *shape]` by input name.

    Networks that take long to interpret get fewer ticks and a single sample.
    """
    operations = sum(synapses_into(graph, n) for n in graph.populations)
    ticks = min(max(TRIAL_OPERATIONS // max(operations, 1), TRIAL_TICKS[0]), TRIAL_TICKS[1])
    samples = TRIAL_SAMPLES if ticks == TRIAL_TICKS[1] else 1
    rng = np.random.default_rng(0)
    values = {}
    for name, op in graph.inputs.items():
        active = rng.random((samples, ticks, *op.shape)) < TRIAL_RATE
        values[name] = active * rng.integers(int(op.low), int(op.high) + 1, active.shape)
    return values


def activity_rates(graph: Graph, calibration: Calibration, golden: Golden) -> dict[str, float]:
    """The share of elements and ticks in which each input and population emits a value other than 0, by name.

    Inputs are measured on the golden vectors. The rate of a spiking population is its firing rate in calibration, at
    most 1. The rate of a graded population is 1. Spiking populations that were not calibrated are left out.
    """
    rates = {n: float(np.mean(v != 0)) if v.size else 0.0 for n, v in golden.inputs.items()}
    for name, population in graph.populations.items():
        activity = calibration.activity.get(name)
        graded = getattr(population, "graded", False)
        if activity is not None:
            rates[name] = 1.0 if graded else min(1.0, activity.rate)
        elif graded:
            rates[name] = 1.0
    return rates
