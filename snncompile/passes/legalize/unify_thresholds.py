"""unify-thresholds: all channels of a population get one threshold, for hardware that has only one a population."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import BIAS
from snncompile.ir.types import Array, Stage
from snncompile.passes.quantize.neuron_program import is_curved, typed_program


@dataclass(frozen=True)
class UnifyThresholds:
    """Scale each channel of a population so that one threshold serves them all.

    A neuron only adds, compares and multiplies by numbers, unless its rule holds a curved function. It then fires as
    before when all of its membrane quantities are multiplied by the same number, its input included. A channel with the
    threshold 0.5, beside one with the threshold 1, gets weights twice as large and the threshold 1. The scales become
    part of the synapses.

    Attributes:
        most: the number of different thresholds that a population may have; None for any number.
    """

    most: int | None = None
    name: ClassVar[str] = "unify-thresholds"
    needs: ClassVar[Stage] = Stage.LEGAL
    ensures: ClassVar[Stage] = Stage.LEGAL

    def run(self, graph: Graph) -> Graph:
        scales = {n: scale for n in graph.populations if (scale := self._scale(graph, n)) is not None}
        if not scales:
            return graph
        nodes = {n: _scaled(op, scales[n]) if n in scales else op for n, op in graph.nodes.items()}
        edges = tuple(dataclasses.replace(e, chain=(*e.chain, Scale(scales[e.dst]))) if e.dst in scales else e
                      for e in graph.edges)
        note = Diagnostic("SNN419", f"graph {shorten(graph.name)}", f"thresholds: {', '.join(map(shorten, scales))}",
                          help="each channel's weights were scaled so that one threshold serves the population",
                          severity="note")
        return graph.replace(nodes=nodes, edges=edges).noting([note])

    def _scale(self, graph: Graph, name: str) -> Array | None:
        """The factor of each channel, shaped to broadcast; None where the population stays as it is."""
        op = graph.nodes[name]
        if self.most is None or not isinstance(op, Neuron) or not op.rule.spiking:
            return None
        threshold = op.threshold
        if not isinstance(threshold, np.ndarray) or len(np.unique(threshold)) <= self.most or np.any(threshold <= 0):
            return None
        if is_curved(typed_program(op, f"population {shorten(name)}")):
            return None
        full = np.broadcast_to(threshold, graph.shapes[name])
        rows = full.reshape(len(full), -1)
        if np.any(rows != rows[:, :1]):
            return None
        return np.asarray(rows.max() / rows[:, :1]).reshape(-1, *(1,) * (full.ndim - 1))


def _scaled(op: Op, scale: Array) -> Neuron:
    """The neuron with all membrane quantities scaled. Its threshold is the largest of those that it had."""
    assert isinstance(op, Neuron)
    membrane = {n for n, q in op.rule.params.items() if q.dimension == "membrane"} | {BIAS}
    params = {n: _times(v, scale) if n in membrane else v for n, v in op.params.items()}
    assert op.rule.threshold is not None
    params[op.rule.threshold] = float(np.max(op.threshold))
    initial = {n: _times(v, scale) if op.traced.states[n].dimension == "membrane" else v
               for n, v in op.initial.items()}
    return dataclasses.replace(op, params=params, initial=initial)


def _times(value: Any, scale: Array) -> Any:
    """A value times a scale; a value of 0 stays one number."""
    return value * scale if np.any(value) else value
