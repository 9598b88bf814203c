"""`Schedule`: in which tick of the hardware each node of a retimed graph does its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from snncompile.ir.graph import Graph
from snncompile.ir.interp import Traces
from snncompile.ir.types import Array, Json

KEY = "schedule"


@dataclass(frozen=True)
class Schedule:
    """When the nodes of a MAPPED graph act: node `n` does its tick `t` in hardware tick `latency_ticks[n] + period t`.

    Attributes:
        latency_ticks: by node, relays included; 0 for inputs.
        period: hardware ticks for each tick of the network.
        always_on: inputs that are no part of the network but carry a 1 every tick, by the hardware tick of the first.
    """

    latency_ticks: Mapping[str, int]
    period: int = 1
    always_on: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph) -> Schedule:
        """The schedule that `retime` left in a MAPPED graph."""
        return cls(**graph.meta[KEY])

    def to_json(self) -> Json:
        return {"latency_ticks": dict(self.latency_ticks), "period": self.period, "always_on": dict(self.always_on)}

    @property
    def depth_ticks(self) -> int:
        """The largest latency: how many ticks a sample takes beyond its own."""
        return max(self.latency_ticks.values(), default=0)

    def hardware_ticks(self, ticks: int) -> int:
        """How many hardware ticks a sample takes until the last node has done its last tick."""
        return self.period * (ticks - 1) + 1 + self.depth_ticks if ticks else 0

    def present(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """What the inputs carry in hardware ticks, `[sample, hardware tick, *shape]`, always-on sources included."""
        samples, ticks = next(iter(x.values())).shape[:2]
        whole = self.hardware_ticks(ticks)
        given = {name: (0, values) for name, values in x.items()}
        given |= {name: (first, np.ones((samples, ticks, 1), np.int64)) for name, first in self.always_on.items()}
        found = {}
        for name, (first, values) in given.items():
            found[name] = np.zeros((samples, whole, *values.shape[2:]), values.dtype)
            found[name][:, self._ticks(first, ticks)] = values
        return found

    def collect(self, values: Array, name: str, ticks: int) -> Array:
        """Of what a node did in hardware ticks, `[sample, hardware tick, *shape]`, the ticks of the network."""
        return values[:, self._ticks(self.latency_ticks[name], ticks)]

    def collect_traces(self, traces: Traces, ticks: int) -> Traces:
        """Traces of a run in hardware ticks as those of the network itself."""
        return Traces({n: self.collect(v, n, ticks) for n, v in traces.outputs.items()},
                      {n: self.collect(v, n, ticks) for n, v in traces.emitted.items()},
                      {n: {s: self.collect(v, n, ticks) for s, v in states.items()}
                       for n, states in traces.states.items()})

    def _ticks(self, first: int, ticks: int) -> slice:
        return slice(first, first + self.period * ticks, self.period)
