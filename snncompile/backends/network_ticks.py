"""The one adapter between ticks of a network and ticks of the hardware that its program runs in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snncompile.backends.artifact import Golden
from snncompile.backends.backend import Host, Progress
from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces, in_network_ticks, run
from snncompile.ir.types import Array


@dataclass(frozen=True)
class NetworkTicks:
    """A program that is given and gives values in ticks of the network, whatever the timing of its hardware.

    It presents inputs when the schedule of the mapped graph says, and picks the ticks of the network out of what the
    program gives. An input at tick 3 of a network with `period` 2 enters in hardware tick 6, and what a population of
    latency 5 makes of it is read in hardware tick 11.

    Attributes:
        host: what runs the program, in ticks of the hardware.
        graph: the INT graph, whose populations and states are told of; relays and the like are not.
        mapped: what the program computes in each tick of the hardware, with its schedule.
    """

    host: Host
    graph: Graph
    mapped: Graph

    def run(self, x: Mapping[str, Array], progress: Progress | None = None
            ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Outputs by name, and the sum of what each population emitted, `[sample]`. Each sample starts from a reset.

        Args:
            x: integers `[sample, tick, *shape]` by input name.
        """
        if not self.mapped.schedule:
            return self.host.run(x, progress)
        # A population may fire on in the hardware ticks behind its last tick: only those of the network are counted.
        traces = self._trace(x, False, progress)
        return dict(traces.outputs), {n: magnitudes(v) for n, v in traces.emitted.items()}

    def trace(self, x: Mapping[str, Array]) -> Traces:
        """What every population emitted, and every state after each tick, `[sample, tick, *shape]` by name."""
        return self._trace(x, True, None)

    def _trace(self, x: Mapping[str, Array], states: bool, progress: Progress | None) -> Traces:
        ticks = next(iter(x.values())).shape[1]
        late = self.host.trace(self.mapped.schedule.present(x), states, progress)
        traces = in_network_ticks(self.mapped, late, ticks)
        own = {n: {s: v for s, v in traces.states[n].items() if s in op.states}
               for n, op in self.graph.integer_populations.items() if n in traces.states}
        return Traces(traces.outputs, {n: traces.emitted[n] for n in self.graph.populations}, own)


def in_hardware_ticks(golden: Golden, mapped: Graph) -> Golden:
    """Golden vectors in ticks of the hardware, for programs that check themselves in those."""
    if not mapped.schedule:
        return golden
    inputs = mapped.schedule.present(golden.inputs)
    return Golden(inputs, run(mapped, inputs).outputs)


def magnitudes(emitted: Array) -> Array:
    """The sum of what a population emitted, graded values by their magnitude, `[sample]`."""
    return np.asarray(np.abs(emitted.astype(np.int64)).reshape(len(emitted), -1).sum(1))
