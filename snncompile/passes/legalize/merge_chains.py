"""merge-chains: linear operators that a target's synapses lack become part of a matrix of weights."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.matrices import operator_matrix
from snncompile.ir.op import Op
from snncompile.ir.ops import Linear, Reshape, Scale
from snncompile.ir.types import Shape, ShapeOnly, Stage, Weight
from snncompile.passes.legalize.fold_scales import times_weights
from snncompile.passes.quantize.given_weights import is_given

MAX_WEIGHTS = 1 << 22
"""The largest matrix, and the most synapses of an operator that becomes part of one. A projection that would need more
stays as it is, and its operator is refused later."""


@dataclass(frozen=True)
class MergeChains:
    """Turn a projection with a linear operator that the hardware lacks into one fully connected layer.

    Where the hardware lacks nothing but the scale behind weights that arrived as integers, which is the real value of a
    code, the weights become real numbers instead: a convolution stays one.

    Attributes:
        operators: the operators that the hardware has, by their kinds; None for all.
    """

    operators: tuple[str, ...] | None = None
    name: ClassVar[str] = "merge-chains"
    needs: ClassVar[Stage] = Stage.LEGAL
    ensures: ClassVar[Stage] = Stage.LEGAL

    def run(self, graph: Graph) -> Graph:
        lacking = {e: _in_reals(e) for e in graph.edges if self._lacks(e)}
        merged = {e: _merged(real, graph.shapes[e.src]) if self._can_merge(graph, real) else real
                  for e, real in lacking.items()}
        merged = {e: after for e, after in merged.items() if after.chain != e.chain}
        if not merged:
            return graph
        labels = ", ".join(shorten(e.label) for e in merged)
        note = Diagnostic("SNN419", f"graph {shorten(graph.name)}", f"projections: {labels}",
                          help="operators that the hardware lacks became part of the weights", severity="note")
        return graph.replace(edges=tuple(merged.get(e, e) for e in graph.edges)).noting([note])

    def _lacks(self, edge: Edge) -> bool:
        """Whether a projection has an operator that the hardware lacks."""
        return self.operators is not None and any(op.kind() not in self.operators for op in edge.chain)

    def _can_merge(self, graph: Graph, edge: Edge) -> bool:
        """Whether a projection has an operator that the hardware lacks, and can be one matrix."""
        if not self._lacks(edge) or not {"linear", "reshape"} <= set(self.operators or ()):
            return False
        shape = graph.shapes[edge.src]
        sizes = [math.prod(shape) * math.prod(graph.arriving(edge))]
        for op in edge.chain:
            sizes.append(op.synapses(shape))
            shape = op.infer(shape)
        return all(op.linear for op in edge.chain) and max(sizes) <= MAX_WEIGHTS


def _in_reals(edge: Edge) -> Edge:
    """The projection with the real value of a code, which stands behind integer weights, multiplied into them."""
    ops = list(edge.chain)
    for at in reversed(range(len(ops) - 1)):
        layer, step = ops[at], ops[at + 1]
        if is_given(layer) and isinstance(step, Scale) and step.bias is None and (
                joined := times_weights(layer, step.factor, layer.behind)):
            ops[at:at + 2] = [joined]
    return dataclasses.replace(edge, chain=tuple(ops))


def _merged(edge: Edge, shape: Shape) -> Edge:
    """The projection as one fully connected layer; `shape` is that of its source."""
    leaving = shape
    for op in edge.chain:
        leaving = op.infer(leaving)
    flat: tuple[Op, ...] = (Reshape((math.prod(shape),)),) if len(shape) != 1 else ()
    back: tuple[Op, ...] = (Reshape(leaving),) if len(leaving) != 1 else ()
    return dataclasses.replace(edge, chain=(*flat, Linear(_matrix(edge.chain, shape, leaving)), *back))


def _matrix(chain: tuple[Op, ...], shape: Shape, leaving: Shape) -> Weight:
    """The weights of the chain, `[out, in]`: the product of the matrices of its operators, from the last one on."""
    size, out = math.prod(shape), math.prod(leaving)
    if any(isinstance(w, ShapeOnly) for op in chain for w in op.arrays.values()):
        return ShapeOnly((out, size))
    entering = [shape]
    for op in chain[:-1]:
        entering.append(op.infer(entering[-1]))
    *before, last = (operator_matrix(op, at, np.float64) for op, at in zip(chain, entering, strict=True))
    for matrix in reversed(before):
        last = last @ matrix
    return np.ascontiguousarray(last.toarray())
