"""Reads ONNX's layer operators (weights, windows, and those of `rearrange`) as operators of the graph.

There is one reader function per ONNX operator; the table `LAYERS` lists them. A reader returns the terms of the node's
output: names of other values, each with the operators to apply to it in order. The output is the sum of the terms. For
a node of several outputs, the reader returns one list of terms for each. Axis numbers in ONNX files count the batch
axis; axis numbers of the graph's operators do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from snncompile.frontends.onnx.dataflow import Flow, Reader, Terms
from snncompile.frontends.onnx.einsum import read_einsum
from snncompile.frontends.onnx.file import Node
from snncompile.frontends.onnx.rearrange import REARRANGING, axis_without_batch, pointwise, refuse
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Linear, MaxPool, Pads, Reshape, Scale, SumPool
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape

# --- weights ---------------------------------------------------------------------------------------------


def _weighted(flow: Flow, name: str, make: Any, bias: Array | None, axes: int, out_axis: int) -> tuple[Op, ...]:
    """The operators of a layer with the weights `name`.

    Quantized weights stay integers, and a `Scale` by their step follows. Where the step varies along another axis than
    the output channels, that is impossible, and the weights are taken as floats.

    Args:
        make: makes the operator from weights and a bias.
        axes: how many axes the layer's output has.
        out_axis: the axis of the weights that counts the output channels.
    """
    quantized = flow.quantized.get(name)
    if quantized is None:
        return (make(flow.constants[name], bias),)
    step = np.asarray(quantized.step)
    if step.size > 1:
        full = step.reshape((1,) * (quantized.integers.ndim - step.ndim) + step.shape)
        if full.shape[out_axis] != full.size:
            return (make(flow.constants[name], bias),)
        step = full.reshape(-1, *(1,) * (axes - 1))
    factor: Any = float(step.ravel()[0]) if step.size == 1 else step
    offset = None if bias is None else bias.reshape(-1, *(1,) * (axes - 1))
    return make(quantized.integers, None), Scale(factor, offset)


def _gemm(flow: Flow, node: Node) -> Terms:
    attributes = node.attributes
    if attributes.get("transA", 0) or node.inputs[0] not in flow.values:
        refuse(node, "a transposed or constant first input", "changing values times constant weights")
    flow.constant(node, 1)
    alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
    bias = flow.constant(node, 2)
    out = flow.constants[node.inputs[1]].shape[0 if attributes.get("transB", 0) else 1]
    if bias is not None:
        bias = np.broadcast_to(np.asarray(bias * beta if beta != 1 else bias).reshape(-1), (out,))

    def make(weight: Array, b: Array | None) -> Linear:
        scaled = weight if alpha == 1 else weight * alpha
        return Linear(scaled if attributes.get("transB", 0) else scaled.T, b)

    name = node.inputs[1]
    if alpha != 1:
        return [(node.inputs[0], (make(flow.constants[name], bias),))]
    return [(node.inputs[0], _weighted(flow, name, make, bias, 1, 0 if attributes.get("transB", 0) else 1))]


def _matmul(flow: Flow, node: Node) -> Terms:
    if node.inputs[0] not in flow.values or node.inputs[1] not in flow.constants:
        refuse(node, "a product of two changing values, or weights on the left",
               "changing values times constant weights")
    weight, shape = flow.constants[node.inputs[1]], flow.values[node.inputs[0]].shape
    if weight.ndim == 2 and len(shape) == 1:
        return [(node.inputs[0], _weighted(flow, node.inputs[1], lambda w, b: Linear(w.T, b), None, 1, 1))]
    if weight.ndim != 2 and not (weight.ndim == 3 and len(shape) == 3 and shape[0] == len(weight)):
        refuse(node, f"weights of shape {list(weight.shape)} for values of shape {list(shape)}",
               "weights [in, out], or [heads, in, out] for values [heads, channels, in]")
    return [(node.inputs[0], _token_mix(flow, node.inputs[1], shape))]


def _token_mix(flow: Flow, name: str, shape: Shape) -> tuple[Op, ...]:
    """The operators of a product along the last axis of values of this shape; all axes before it are channels.

    Quantized weights of one step stay integers.
    """
    quantized = flow.quantized.get(name)
    whole = quantized is not None and np.asarray(quantized.step).size == 1
    weight = quantized.integers if quantized is not None and whole else flow.constants[name]
    by_head = weight.reshape(-1, *weight.shape[-2:])
    scale = (Scale(float(np.asarray(quantized.step).ravel()[0])),) if quantized is not None and whole else ()
    flat = (math.prod(shape[:-1]), shape[-1])
    apart: tuple[Op, ...] = () if shape == flat else (Reshape(flat),)
    back: tuple[Op, ...] = () if shape == flat else (Reshape((*shape[:-1], by_head.shape[2])),)
    return *apart, TokenMix(np.ascontiguousarray(by_head.transpose(0, 2, 1))), *scale, *back


def _conv(flow: Flow, node: Node) -> Terms:
    flow.constant(node, 1)
    weight, bias = flow.constants[node.inputs[1]], flow.constant(node, 2)
    shape, axes = flow.values[node.inputs[0]].shape, weight.ndim - 2
    if axes not in (1, 2):
        refuse(node, f"a kernel of {axes} axes", "a kernel of one or two axes")
    stride, dilation = _ints(node, "strides", axes, 1), _ints(node, "dilations", axes, 1)
    padding = _padding(node, shape[1:], weight.shape[2:], stride, dilation)
    groups = node.attributes.get("group", 1)
    return [(node.inputs[0], _weighted(flow, node.inputs[1], lambda w, b: Conv(w, b, stride, padding, dilation, groups),
                                       bias, axes + 1, 0))]


def _ints(node: Node, name: str, axes: int, default: int) -> Shape:
    """An attribute of one positive number per axis of the kernel. Raises SNN104 for anything else."""
    values = tuple(node.attributes.get(name) or (default,) * axes)
    if len(values) != axes or any(v < 1 for v in values):
        refuse(node, f"{name} {list(values)}", f"{axes} numbers of 1 or more")
    return values


def _padding(node: Node, sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> Pads:
    """The padding before and after each axis, from `pads`, or computed as `auto_pad` says.

    Args:
        sizes: the lengths of the padded axes.
    """
    axes, auto = len(kernel), node.attributes.get("auto_pad", "NOTSET")
    if auto.startswith("SAME"):
        total = [max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
                 for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)]
        less = [t // 2 for t in total]
        pairs = [(a, t - a) for a, t in zip(less, total, strict=True)]
        return tuple(pairs if auto == "SAME_UPPER" else [(b, a) for a, b in pairs])
    pads = tuple(node.attributes.get("pads") or (0,) * 2 * axes) if auto == "NOTSET" else (0,) * 2 * axes
    if len(pads) != 2 * axes or any(p < 0 for p in pads):
        refuse(node, f"pads {list(pads)}", f"{2 * axes} numbers of 0 or more")
    return tuple(zip(pads[:axes], pads[axes:], strict=True))


def _batch_norm(flow: Flow, node: Node) -> Terms:
    if node.attributes.get("training_mode", 0):
        refuse(node, "a normalization in training mode", "eval mode, in which its statistics are constant")
    scale, shift, mean, variance = (np.asarray(flow.constant(node, i), np.float64) for i in range(1, 5))
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    axes = len(flow.values[node.inputs[0]].shape)
    return [(node.inputs[0], (Scale(_channels(factor, axes), _channels(shift - mean * factor, axes)),))]


def _channels(values: Array, axes: int) -> Array:
    """One number per channel as `[channel, 1, ...]`, of `axes` axes."""
    return values.reshape(-1, *(1,) * (axes - 1))


# --- windows ---------------------------------------------------------------------------------------------


def _pool(flow: Flow, node: Node) -> Terms:
    source = node.inputs[0]
    shape, attributes = flow.values[source].shape, node.attributes
    axes = len(shape) - 1
    kernel, stride = _ints(node, "kernel_shape", axes, 0), _ints(node, "strides", axes, 1)
    if _ints(node, "dilations", axes, 1) != (1,) * axes or (len(node.outputs) > 1 and node.outputs[1]):
        refuse(node, "a dilated window, or a second output with the indices of the maxima",
               "windows without dilation, and one output")
    padding = _padding(node, shape[1:], kernel, stride, (1,) * axes)
    if attributes.get("ceil_mode", 0):
        padding = _ceiling(node, shape[1:], kernel, stride, padding)
    if node.op == "MaxPool":
        return [(source, (MaxPool(kernel, stride, padding),))]
    if node.op == "LpPool":
        if attributes.get("p", 2) != 1 or flow.values[source].kind != "bool":
            refuse(node, "a norm that is not a sum of its window", "p = 1, and spikes as input")
        return [(source, (SumPool(kernel, stride, padding),))]
    if attributes.get("count_include_pad", 0) or not any(map(any, padding)):
        return [(source, (AvgPool(kernel, stride, padding),))]
    # Each window is divided by the number of values in it that are not padding.
    counts = SumPool(kernel, stride, padding).apply(np.ones((1, *shape)))[0]
    return [(source, (SumPool(kernel, stride, padding), Scale(1 / counts)))]


def _ceiling(node: Node, sizes: Shape, kernel: Shape, stride: Shape, padding: Pads) -> Pads:
    """The padding with which windows are counted as `ceil_mode` counts them.

    With `ceil_mode`, a last window may reach beyond the padded input, as long as it begins inside. For 5 values, a
    kernel of 2 and a stride of 2, the padding after the axis grows by 1, and there are 3 windows instead of 2.

    Raises:
        CompileError: SNN104 for an average that counts the given padding but not what is beyond it.
    """
    more = []
    for n, k, s, (a, b) in zip(sizes, kernel, stride, padding, strict=True):
        over = -(n + a + b - k) % s
        last = (n + a + b - k + over) // s * s
        more.append(over if last < n + a else 0)
    if any(more) and (node.op != "MaxPool" and node.attributes.get("count_include_pad", 0)):
        refuse(node, "windows beyond the edge, of which only the given padding is counted", "ceil_mode=0")
    return tuple((a, b + m) for (a, b), m in zip(padding, more, strict=True))


def _global_pool(flow: Flow, node: Node) -> Terms:
    shape = flow.values[node.inputs[0]].shape
    make = MaxPool if node.op == "GlobalMaxPool" else AvgPool
    return [(node.inputs[0], (make(shape[1:], (1,) * (len(shape) - 1)),))]


def _reduce(flow: Flow, node: Node) -> Terms:
    """A sum, mean or maximum over some axes: pools over places, then a layer of equal weights over channels."""
    shape, attributes = flow.values[node.inputs[0]].shape, node.attributes
    in_attribute = len(node.inputs) < 2 or not node.inputs[1]
    given: Any = attributes.get("axes") if in_attribute else flow.constant(node, 1).ravel()
    if given is None:
        refuse(node, "a sum over all axes, the batch included", "a sum over height and width")
    over = {axis_without_batch(node, int(a), len(shape)) for a in given}
    kept = [1 if i in over else n for i, n in enumerate(shape)]
    left = tuple(kept) if attributes.get("keepdims", 1) else tuple(n for i, n in enumerate(shape) if i not in over)
    if not left and not flow.ends(node):
        refuse(node, "one number for each sample, without an axis", "keepdims=1")
    if len(shape) == 1 and node.op != "ReduceMax":
        ones = Linear(np.full((1, shape[0]), 1 / shape[0] if node.op == "ReduceMean" else 1.0))
        return [(node.inputs[0], (ones,))]
    wide = shape if 1 < len(shape) <= 3 and (node.op != "ReduceMax" or 0 not in over) else (1, math.prod(shape))
    if wide != shape:
        if len(over) < len(shape):
            refuse(node, f"the axes {sorted(a + 1 for a in over)} of {len(shape) + 1}",
                   "axes of channels and one or two axes of places; of a maximum not the channels alone")
        over = {1}
    make = {"ReduceMean": AvgPool, "ReduceSum": SumPool, "ReduceMax": MaxPool}[node.op]
    kernel = tuple(n if i in over else 1 for i, n in enumerate(wide[1:], start=1))
    chain: list[Op] = [] if wide == shape else [Reshape(wide)]
    chain += [make(kernel, kernel, ((0, 0),) * len(kernel))] if set(kernel) != {1} else []
    if 0 in over:
        weight = np.full((1, wide[0]), 1 / wide[0] if node.op == "ReduceMean" else 1.0)
        chain.append(pointwise(weight, len(wide) - 1))
    return [(node.inputs[0], (*chain, Reshape(left or (1,))))]


LAYERS: Mapping[str, Reader] = {
    "Gemm": _gemm, "MatMul": _matmul, "Conv": _conv, "BatchNormalization": _batch_norm, "AveragePool": _pool,
    "MaxPool": _pool, "LpPool": _pool, "GlobalAveragePool": _global_pool, "GlobalMaxPool": _global_pool,
    "ReduceMean": _reduce, "ReduceSum": _reduce, "ReduceMax": _reduce, "Einsum": read_einsum, **REARRANGING,
}
# Operators that return their input unchanged.
IGNORED = frozenset({"Identity", "Dropout"})
