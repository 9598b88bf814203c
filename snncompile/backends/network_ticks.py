"""The adapter between ticks of the network and the ticks of the hardware in which its program runs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from snncompile.backends.artifact import Golden
from snncompile.backends.backend import Host, Progress
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, in_network_ticks, run
from snncompile.ir.types import Array


@dataclass(frozen=True)
class NetworkTicks:
    """A program whose inputs and results are in ticks of the network, whatever the timing of its hardware.

    Inputs are presented in the hardware ticks that the schedule of the mapped graph says, and the results of those
    hardware ticks are kept that are ticks of the network. In a network with `period` 2, the input of tick 3 enters in
    hardware tick 6, and what a population of latency 5 emits for it is read in hardware tick 11.

    Attributes:
        host: runs the program, in ticks of the hardware.
        graph: the INT graph. Only its populations and states are reported, not the relays that the mapped graph adds.
        mapped: what the program computes in each tick of the hardware, with its schedule.
    """

    host: Host
    graph: Graph
    mapped: Graph

    def run(self, x: Mapping[str, Array], progress: Progress | None = None, threads: int = 1
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run samples, each from a reset.

        Args:
            x: integers `[sample, tick, *shape]` by the name of each input.
            progress: is told of each finished sample.
            threads: how many parts of the samples run at the same time.

        Returns:
            The outputs `[sample, tick, *shape]`, and for each population the sum of what it emitted, `[sample]`.
        """
        samples = len(next(iter(x.values())))
        bounds = np.linspace(0, samples, max(1, min(threads, samples)) + 1).astype(int).tolist()
        if len(bounds) <= 2:
            return self._run(x, progress)
        told = _told_together(progress, samples)
        with ThreadPoolExecutor(len(bounds) - 1) as pool:
            done = [pool.submit(self._run, {n: v[a:b] for n, v in x.items()}, told)
                    for a, b in itertools.pairwise(bounds)]
            parts = [future.result() for future in done]
        outputs, counts = ({n: np.concatenate([p[i][n] for p in parts]) for n in parts[0][i]} for i in (0, 1))
        return outputs, counts

    def _run(self, x: Mapping[str, Array], progress: Progress | None
             ) -> tuple[dict[str, Array], dict[str, Array]]:
        if not self.mapped.schedule:
            return self.host.run(x, progress)
        # Populations may also spike in hardware ticks that are not ticks of the network, which the host counts too.
        traces = self._trace(x, False, progress)
        return dict(traces.outputs), {n: magnitudes(v) for n, v in traces.emitted.items()}

    def trace(self, x: Mapping[str, Array]) -> Traces:
        """Run samples and record outputs, what each population emitted, and each state after each tick.

        All of them are `[sample, tick, *shape]` by name.
        """
        return self._trace(x, True, None)

    def _trace(self, x: Mapping[str, Array], states: bool, progress: Progress | None) -> Traces:
        ticks = next(iter(x.values())).shape[1]
        late = self.host.trace(self.mapped.schedule.present(x), states, progress)
        traces = in_network_ticks(self.mapped, late, ticks)
        own = {n: {s: v for s, v in traces.states[n].items() if s in op.states}
               for n, op in self.graph.integer_populations.items() if n in traces.states}
        return Traces(traces.outputs, {n: traces.emitted[n] for n in self.graph.populations}, own)


def _told_together(progress: Progress | None, samples: int) -> Progress | None:
    """What several runs tell of their finished samples, together one run of all of them; None if nobody listens."""
    if progress is None:
        return None
    lock, done = threading.Lock(), itertools.count(1)

    def told(_: int, __: int) -> None:
        with lock:
            progress(next(done), samples)

    return told


def in_hardware_ticks(golden: Golden, mapped: Graph) -> Golden:
    """Turn golden vectors in ticks of the network into those in ticks of the hardware, by interpreting the graph."""
    if not mapped.schedule:
        return golden
    inputs = inputs_in_hardware_ticks(golden.inputs, mapped)
    return Golden(inputs, run(mapped, inputs).outputs)


def inputs_in_hardware_ticks(x: Mapping[str, Array], mapped: Graph) -> Mapping[str, Array]:
    """Inputs `[sample, tick, *shape]` by name, as they enter hardware."""
    return mapped.schedule.present(x) if mapped.schedule else x


def magnitudes(emitted: Array) -> Array:
    """The sum of the magnitudes of what a population emitted: `[sample]` from `[sample, tick, *shape]`."""
    return np.asarray(np.abs(emitted.astype(np.int64)).reshape(len(emitted), -1).sum(1))
