"""fold-scales: batch norms and average pools become part of the synapses."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.layer import Layer, per_channel
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Pad, Reshape, Scale, SumPool, Upsample
from snncompile.ir.types import Shape, ShapeOnly, Stage, Weight
from snncompile.passes.quantize.given_weights import is_given


@dataclass(frozen=True)
class FoldScales:
    """Multiply every `Scale` of a projection into the weights beside it. An average pool is a sum pool and a scale.

    A scale that finds no weights stays. It moves as far to the end of its projection as the operators behind it allow.
    Weights that arrived as integers take up no scale: the scale behind them is the real value of a code, and other
    scales are multiplied into that.
    """

    name: ClassVar[str] = "fold-scales"
    needs: ClassVar[Stage] = Stage.LEGAL
    ensures: ClassVar[Stage] = Stage.LEGAL

    def run(self, graph: Graph) -> Graph:
        edges = tuple(_fold(graph, e) for e in graph.edges)
        return graph if all(a is b for a, b in zip(edges, graph.edges, strict=True)) else (
            graph.replace(edges=edges).with_shapes(graph.shapes))


def _fold(graph: Graph, edge: Edge) -> Edge:
    fold = _remembered if all(op.is_small for op in edge.chain) else fold_chain
    chain = fold(edge.chain, graph.shapes[edge.src])
    return edge if chain == edge.chain else Edge(edge.src, edge.dst, edge.delay, chain)


def fold_chain(chain: tuple[Op, ...], shape: Shape) -> tuple[Op, ...]:
    """The chain with its scales folded into its weights.

    Args:
        shape: of what enters the chain.

    >>> from snncompile.ir.ops import Linear
    >>> [op.kind() for op in fold_chain((AvgPool((2, 2), (2, 2)), Reshape((1,)), Linear(np.ones((1, 1)))), (1, 2, 2))]
    ['sumpool', 'reshape', 'linear']
    """
    ops: list[Op] = []
    for op in chain:
        ops += [SumPool(op.kernel, op.stride, op.padding), Scale(1 / math.prod(op.kernel))] \
            if isinstance(op, AvgPool) else [op, Scale(1.0)] if is_given(op) else [op]
    if not any(isinstance(op, Scale) for op in ops):
        return chain if len(ops) == len(chain) else tuple(ops)
    at = 0
    while at < len(ops):
        at = _fold_at(ops, at, shape)
    return tuple(ops)


_remembered = lru_cache(1 << 12)(fold_chain)
"""Candidates of a search share operators, and go on to do so."""


def _fold_at(ops: list[Op], at: int, shape: Shape) -> int:
    """Fold or move the scale at a position. Returns the position that comes next."""
    scale = ops[at]
    if not isinstance(scale, Scale):
        return at + 1
    factor = _number(scale.factor)
    kept = at > 0 and is_given(ops[at - 1])
    previous = ops[at - 1] if at > 0 else None
    if isinstance(previous, Layer) and not kept and (joined := times_weights(previous, factor, previous.behind)):
        ops[at - 1:at + 1] = [joined]
        return at
    if (step := _step_before(ops, at, factor)) is not None:
        ops[step:at + 1] = [_joined(ops[step], scale), *ops[step + 1:at]]
        return at
    if at + 1 == len(ops):
        return at + 1
    following = ops[at + 1]
    if isinstance(following, Scale):
        ops[at:at + 2] = [_joined(scale, following)]
        return at
    if is_given(following):
        if not isinstance(factor, (np.ndarray, ShapeOnly)):
            ops[at:at + 3] = [following, _joined(scale, ops[at + 2])]
        return at + 1
    if isinstance(following, Layer):
        if joined := times_weights(following, factor, following.before):
            ops[at:at + 2] = [joined]
        return at + 1
    if kept:
        return at + 1
    here = shape
    for op in ops[:at]:
        here = op.infer(here)
    moved = _past(following, factor, here)
    if moved is not None:
        ops[at:at + 2] = [following, Scale(moved)]
    return at + 1


def _step_before(ops: list[Op], at: int, factor: Any) -> int | None:
    """The position of the scale behind given integers that a factor can be multiplied into, or None.

    It lies before `at`, with only such operators between that the factor can be moved past.
    """
    if isinstance(factor, ShapeOnly) or (isinstance(factor, np.ndarray) and not per_channel(factor, factor.ndim)):
        return None
    passes = (SumPool, Upsample) if isinstance(factor, np.ndarray) else (SumPool, Upsample, Reshape, Pad)
    step = at - 1
    while step > 0 and isinstance(ops[step], passes):
        step -= 1
    return step if step > 0 and isinstance(ops[step], Scale) and is_given(ops[step - 1]) else None


def _joined(a: Op, b: Op) -> Scale:
    """Two scales as one scale."""
    assert isinstance(a, Scale)
    assert isinstance(b, Scale)
    return Scale(_times(_number(a.factor), _number(b.factor)))


def _number(factor: Any) -> Any:
    """A factor; as a number where it is an array of one."""
    return factor.item() if isinstance(factor, np.ndarray) and factor.size == 1 else factor


def _times(a: Any, b: Any) -> Any:
    """The product of two factors; a bare shape where either is one."""
    return a if isinstance(a, ShapeOnly) else b if isinstance(b, ShapeOnly) else a * b


def _weighted(weight: Weight, factor: Any) -> Weight:
    """The weight times a factor that broadcasts against it, in the weight's own precision, or at least in float32."""
    if isinstance(weight, ShapeOnly):
        return weight
    if isinstance(factor, ShapeOnly):
        return ShapeOnly(weight.shape, str(weight.dtype))
    return np.asarray(weight * factor, np.result_type(weight.dtype, np.float32))


def times_weights(op: Layer, factor: Any, placed: Callable[[Any], Any]) -> Op | None:
    """A layer together with a factor beside it, as one layer; None where no weights do the same.

    Args:
        placed: what an array, or a bare shape, multiplies the weights by; see `Layer.behind` and `Layer.before`.
    """
    by = placed(factor) if isinstance(factor, (np.ndarray, ShapeOnly)) else factor
    if by is None:
        return None
    weight = _weighted(op.weight, by)
    return op if weight is op.weight else dataclasses.replace(op, weight=weight)


def _past(op: Op, factor: Any, shape: Shape) -> Any:
    """The factor that does the same behind an operator as this one before it; None where there is none.

    Args:
        shape: of what enters the operator.
    """
    if not isinstance(op, (SumPool, Upsample, Reshape, Pad)) or isinstance(factor, ShapeOnly):
        return None
    if not isinstance(factor, np.ndarray):
        return factor
    if isinstance(op, Reshape):
        return np.broadcast_to(factor, shape).reshape(op.shape)
    by_channel = per_channel(factor, len(shape)) and len(shape) > 1
    return factor if by_channel and not isinstance(op, Pad) else None


