"""What a simulation of hardware shows: the words that left, and what each neuron emitted and kept in each tick.

Simulations of any backend print the same lines:

| line | meaning |
|---|---|
| `N stage neuron value state ...` | in this tick of the stage, a neuron emitted a value, and keeps these states |
| `C stage` | the stage closed its tick |
| `O output word` | a word left, in hexadecimal |
| `DONE cycles` | all samples are done |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncompile.backends.network_ticks import magnitudes
from snncompile.backends.stream.context import Stage
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.words import in_shape, values_of
from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Array


@dataclass(frozen=True)
class Simulated:
    """What a simulation showed: outputs, emissions and states in each tick, and the clock cycles that it took.

    Beside the populations, what lies between them in hardware is recorded too. Simulations without a clock take 0
    cycles.
    """

    traces: Traces
    cycles: int

    def results(self, graph: Graph) -> tuple[dict[str, Array], dict[str, Array]]:
        """The outputs, and for each population of the graph the sum of the magnitudes of what it emitted, `[sample]`.
        """
        return dict(self.traces.outputs), {n: magnitudes(self.traces.emitted[n]) for n in graph.populations}

    def traces_of(self, graph: Graph, states: bool) -> Traces:
        """What the populations of the graph emitted, and with `states` what they kept."""
        own = {n: self.traces.emitted[n] for n in graph.populations}
        return Traces(self.traces.outputs, own, {n: self.traces.states[n] for n in own} if states else {})


def read(hardware: Hardware, text: str, samples: int, ticks: int) -> Simulated:
    """Read the lines of a simulation of so many samples of so many ticks.

    Raises:
        CompileError: SNN607 for a simulation that did not end.
    """
    stages, every = hardware.stages, samples * ticks
    emitted = [np.zeros((every, s.stream.size), np.int64) for s in stages]
    states = [[np.zeros((every, s.stream.size), np.int64) for _ in s.states] for s in stages]
    sent: list[list[int]] = [[] for _ in hardware.outputs]
    tick, cycles = [0] * len(stages), -1
    for line in text.splitlines():
        kind, *rest = line.split() or [""]
        if kind == "N":
            k, neuron, value, *after = map(int, rest)
            if tick[k] < every:
                emitted[k][tick[k], neuron] = value
                for state, v in zip(states[k], after, strict=False):
                    state[tick[k], neuron] = v
        elif kind == "C":
            tick[int(rest[0])] += 1
        elif kind == "O":
            sent[int(rest[0])].append(int(rest[1], 16))
        elif kind == "DONE":
            cycles = int(rest[0])
    if cycles < 0:
        fail("SNN607", "the simulation", f"it did not end; ticks of each stage: {tick}", f"{every} ticks each",
             "allow more clock cycles")
    outputs = {p.label: in_shape(p.stream, values_of(p.stream, v, every), samples)
               for p, v in zip(hardware.outputs, sent, strict=True)}
    return Simulated(Traces(
        outputs, {s.stream.label: in_shape(s.stream, v, samples) for s, v in zip(stages, emitted, strict=True)},
        {s.stream.label: _states(s, of, samples) for s, of in zip(stages, states, strict=True)}), cycles)


def _states(stage: Stage, values: list[Array], samples: int) -> dict[str, Array]:
    return {m.label: in_shape(stage.stream, v, samples) for m, v in zip(stage.states, values, strict=True)}


def inputs_of(x: Mapping[str, Array]) -> tuple[int, int]:
    """The samples and ticks of inputs."""
    samples, ticks = next(iter(x.values())).shape[:2]
    return int(samples), int(ticks)
