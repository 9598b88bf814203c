"""`Schedule`: in which tick of the hardware each node of a retimed graph does its work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncompile.ir.types import Array, Json


@dataclass(frozen=True)
class Schedule:
    """When the nodes of a graph act: node `n` computes its tick `t` in hardware tick `latency_ticks[n] + period t`.

    In the empty schedule, that of graphs that were not retimed, every node computes its tick `t` in hardware tick `t`.

    Attributes:
        latency_ticks: hardware ticks by which each node acts later than the inputs, by name, with those of relays. A
            node without an entry has latency 0.
        period: hardware ticks for each tick of the network.
        always_on: the inputs that retiming added, which carry a 1 in every tick of the network, with the hardware tick
            in which each carries its first 1.
    """

    latency_ticks: Mapping[str, int] = field(default_factory=dict)
    period: int = 1
    always_on: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Json) -> Schedule:
        """The schedule that `to_json` wrote. Raises ValueError for anything else."""
        if not isinstance(data, dict) or set(data) != {"latency_ticks", "period", "always_on"}:
            raise ValueError("a schedule has latency_ticks, period and always_on")
        ticks = (data["latency_ticks"], data["always_on"])
        if not all(isinstance(t, dict) and all(_is_whole(v, 0) for v in t.values()) for t in ticks):
            raise ValueError("latency_ticks and always_on give whole numbers of ticks by node")
        if not _is_whole(data["period"], 1):
            raise ValueError("the period of a schedule is a whole number, at least 1")
        return cls(ticks[0], data["period"], ticks[1])

    def to_json(self) -> Json:
        """The schedule as a value that JSON can hold."""
        return {"latency_ticks": dict(self.latency_ticks), "period": self.period, "always_on": dict(self.always_on)}

    def __bool__(self) -> bool:
        """Whether anything differs from the empty schedule: a latency, the period, or an always-on input."""
        return self.depth_ticks > 0 or self.period > 1 or bool(self.always_on)

    @property
    def depth_ticks(self) -> int:
        """The largest latency of a node, in hardware ticks."""
        return max(self.latency_ticks.values(), default=0)

    def hardware_ticks(self, ticks: int) -> int:
        """The hardware ticks that a sample of so many ticks takes, until all nodes have computed their last tick."""
        return self.period * (ticks - 1) + 1 + self.depth_ticks if ticks else 0

    def present(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """Spread samples over the ticks of the hardware.

        Args:
            x: samples `[sample, tick, *shape]` by input name.

        Returns:
            `[sample, hardware tick, *shape]` by input name, with the always-on inputs. Hardware ticks that belong to no
            tick of the network hold zeros.
        """
        if not self:
            return dict(x)
        samples, ticks = next(iter(x.values())).shape[:2]
        given = {name: (0, values) for name, values in x.items()}
        given |= {name: (first, np.ones((samples, ticks, 1), np.int64)) for name, first in self.always_on.items()}
        presented = {}
        for name, (first, values) in given.items():
            presented[name] = np.zeros((samples, self.hardware_ticks(ticks), *values.shape[2:]), values.dtype)
            presented[name][:, self._ticks(first, ticks)] = values
        return presented

    def collect(self, values: Array, name: str, ticks: int) -> Array:
        """Pick the ticks of the network out of what a node emitted in ticks of the hardware.

        Args:
            values: `[sample, hardware tick, *shape]`.
            name: the node.
            ticks: how many ticks of the network the sample has.

        Returns:
            `[sample, tick, *shape]`.
        """
        return values[:, self._ticks(self.latency_ticks.get(name, 0), ticks)]

    def _ticks(self, first: int, ticks: int) -> slice:
        return slice(first, first + self.period * ticks, self.period)


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and least <= value < 1 << 40
