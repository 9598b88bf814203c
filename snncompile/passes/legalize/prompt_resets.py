"""prompt-resets: resets act in the tick of the spike, for hardware that has no later ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.library import RULES
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Stage


@dataclass(frozen=True)
class PromptResets:
    """Let neurons reset in the tick of their spike, where they reset at the beginning of the next tick before.

    That is done only where no spike changes; see `with_same_tick_reset`.

    Attributes:
        times: the times at which the target's resets act; None for any time.
    """

    times: tuple[str, ...] | None = None
    name: ClassVar[str] = "prompt-resets"
    needs: ClassVar[Stage] = Stage.LEGAL
    ensures: ClassVar[Stage] = Stage.LEGAL

    def run(self, graph: Graph) -> Graph:
        if self.times is None or "same" not in self.times:
            return graph
        late = {n: op for n, op in graph.nodes.items() if isinstance(op, Neuron) and op.firing.waits
                and op.firing.when not in self.times}
        changed = {n: new for n, op in late.items() if (new := with_same_tick_reset(op)) is not op}
        if not changed:
            return graph
        note = Diagnostic("SNN419", f"graph {shorten(graph.name)}", f"late resets: {', '.join(map(shorten, changed))}",
                          help="each acts in the tick of the spike now; no spike is another", severity="note")
        return graph.replace(nodes={**graph.nodes, **changed}).noting([note])


def with_same_tick_reset(neuron: Neuron) -> Neuron:
    """The neuron with its reset in the tick of the spike, where that changes no spike; else the neuron itself.

    A reset to a value before the decay of the next tick has the same effect as a reset in the tick of the spike. A
    reset after that decay has it too, if the value is 0 and the membrane decays towards 0. The input of the next tick
    must not be dropped, and the neuron must not start as if it had fired before the first tick.
    """
    firing = neuron.firing
    if RULES.get(neuron.rule.name) is not neuron.rule or firing.reset != "value" or "v_min" in neuron.params:
        return neuron
    towards = np.any(neuron.params.get("rest", 0.0)) or np.any(neuron.params.get("v_reset", 0.0))
    if firing.when != "before-decay" and (firing.when != "after-decay" or towards):
        return neuron
    if np.any(neuron.initial.get("spike", 0.0)):
        return neuron
    initial = {n: v for n, v in neuron.initial.items() if n != "spike"}
    return dataclasses.replace(neuron, firing=dataclasses.replace(firing, when="same"), initial=initial)
