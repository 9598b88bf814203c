"""Layers: what each ONNX operator with weights, windows or another order of values is in ours.

A reader gives the terms of a node's output (or one list of terms an output): other values, each through a chain of
operators. Axes of the file count the batch axis; those of operators do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.onnx.dataflow import Flow, Reader
from snncompile.frontends.onnx.file import Node
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Linear, MaxPool, Pad, Pads, Reshape, Scale, SumPool, Upsample
from snncompile.ir.types import Array, Shape

Terms: TypeAlias = "list[tuple[str, tuple[Op, ...]]]"
MAX_SELECTION = 1 << 24


def _refuse(node: Node, found: str, limit: str = "") -> Any:
    fail("SNN104", node.place, found, limit)


def _axis(node: Node, axis: int, axes: int) -> int:
    """An axis of the file as one of ours."""
    axis = axis + axes + 1 if axis < 0 else axis
    if not 1 <= axis <= axes:
        _refuse(node, f"the axis {axis} of {axes + 1}", "an axis of the tensor, other than the batch")
    return axis - 1


# --- weights ---------------------------------------------------------------------------------------------


def _weighted(flow: Flow, name: str, make: Any, bias: Array | None, axes: int, out_axis: int) -> tuple[Op, ...]:
    """A layer of these weights; weights on a grid stay integers, and the step follows as a `Scale`."""
    grid = flow.grids.get(name)
    if grid is None:
        return (make(flow.constants[name], bias),)
    step = np.asarray(grid.step)
    if step.size > 1:
        full = step.reshape((1,) * (grid.integers.ndim - step.ndim) + step.shape)
        if full.shape[out_axis] != full.size:
            return (make(flow.constants[name], bias),)
        step = full.reshape(-1, *(1,) * (axes - 1))
    factor: Any = float(step.ravel()[0]) if step.size == 1 else step
    offset = None if bias is None else bias.reshape(-1, *(1,) * (axes - 1))
    return make(grid.integers, None), Scale(factor, offset)


def _gemm(flow: Flow, node: Node) -> Terms:
    about = node.attributes
    if about.get("transA", 0) or node.inputs[0] not in flow.values:
        _refuse(node, "a transposed or constant first input", "values times constant weights")
    flow.constant(node, 1)
    alpha, beta = about.get("alpha", 1.0), about.get("beta", 1.0)
    bias = flow.constant(node, 2)
    out = flow.constants[node.inputs[1]].shape[0 if about.get("transB", 0) else 1]
    if bias is not None:
        bias = np.broadcast_to(np.asarray(bias * beta if beta != 1 else bias).reshape(-1), (out,))

    def make(weight: Array, b: Array | None) -> Linear:
        scaled = weight if alpha == 1 else weight * alpha
        return Linear(scaled if about.get("transB", 0) else scaled.T, b)

    name = node.inputs[1]
    if alpha != 1:
        return [(node.inputs[0], (make(flow.constants[name], bias),))]
    return [(node.inputs[0], _weighted(flow, name, make, bias, 1, 0 if about.get("transB", 0) else 1))]


def _matmul(flow: Flow, node: Node) -> Terms:
    if node.inputs[0] not in flow.values or node.inputs[1] not in flow.constants:
        _refuse(node, "a product of two changing values, or weights on the left", "values times constant weights")
    weight = flow.constants[node.inputs[1]]
    if weight.ndim != 2 or len(flow.values[node.inputs[0]].shape) != 1:
        _refuse(node, f"weights {list(weight.shape)} on {list(flow.values[node.inputs[0]].shape)}",
                "[in, out] on one axis")
    return [(node.inputs[0], _weighted(flow, node.inputs[1], lambda w, b: Linear(w.T, b), None, 1, 1))]


def _conv(flow: Flow, node: Node) -> Terms:
    flow.constant(node, 1)
    weight, bias = flow.constants[node.inputs[1]], flow.constant(node, 2)
    shape, axes = flow.values[node.inputs[0]].shape, weight.ndim - 2
    if axes not in (1, 2):
        _refuse(node, f"a kernel of {axes} axes", "one or two")
    stride, dilation = _ints(node, "strides", axes, 1), _ints(node, "dilations", axes, 1)
    padding = _padding(node, shape[1:], weight.shape[2:], stride, dilation)
    groups = node.attributes.get("group", 1)
    return [(node.inputs[0], _weighted(flow, node.inputs[1], lambda w, b: Conv(w, b, stride, padding, dilation, groups),
                                       bias, axes + 1, 0))]


def _ints(node: Node, name: str, axes: int, default: int) -> Shape:
    values = tuple(node.attributes.get(name) or (default,) * axes)
    if len(values) != axes or any(v < 1 for v in values):
        _refuse(node, f"{name} {list(values)}", f"{axes} numbers of 1 or more")
    return values


def _padding(node: Node, sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> Pads:
    axes, auto = len(kernel), node.attributes.get("auto_pad", "NOTSET")
    if auto.startswith("SAME"):
        total = [max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
                 for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)]
        less = [t // 2 for t in total]
        pairs = [(a, t - a) for a, t in zip(less, total, strict=True)]
        return tuple(pairs if auto == "SAME_UPPER" else [(b, a) for a, b in pairs])
    pads = tuple(node.attributes.get("pads") or (0,) * 2 * axes) if auto == "NOTSET" else (0,) * 2 * axes
    if len(pads) != 2 * axes or any(p < 0 for p in pads):
        _refuse(node, f"pads {list(pads)}", f"{2 * axes} numbers of 0 or more")
    return tuple(zip(pads[:axes], pads[axes:], strict=True))


def _batch_norm(flow: Flow, node: Node) -> Terms:
    if node.attributes.get("training_mode", 0):
        _refuse(node, "a norm in training mode", "eval mode: fixed statistics")
    scale, shift, mean, variance = (np.asarray(flow.constant(node, i), np.float64) for i in range(1, 5))
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    axes = len(flow.values[node.inputs[0]].shape)
    return [(node.inputs[0], (Scale(_channels(factor, axes), _channels(shift - mean * factor, axes)),))]


def _channels(values: Array, axes: int) -> Array:
    return values.reshape(-1, *(1,) * (axes - 1))


# --- windows ---------------------------------------------------------------------------------------------


def _pool(flow: Flow, node: Node) -> Terms:
    source = node.inputs[0]
    shape, about = flow.values[source].shape, node.attributes
    axes = len(shape) - 1
    kernel, stride = _ints(node, "kernel_shape", axes, 0), _ints(node, "strides", axes, 1)
    if _ints(node, "dilations", axes, 1) != (1,) * axes or (len(node.outputs) > 1 and node.outputs[1]):
        _refuse(node, "a dilated window, or indices of maxima", "plain windows")
    padding = _padding(node, shape[1:], kernel, stride, (1,) * axes)
    if about.get("ceil_mode", 0):
        padding = _ceiling(node, shape[1:], kernel, stride, padding)
    if node.op == "MaxPool":
        return [(source, (MaxPool(kernel, stride, padding),))]
    if node.op == "LpPool":
        if about.get("p", 2) != 1 or flow.values[source].kind != "bool":
            _refuse(node, "a norm that is no sum", "p = 1 of spikes: a sum of each window")
        return [(source, (SumPool(kernel, stride, padding),))]
    if about.get("count_include_pad", 0) or not any(map(any, padding)):
        return [(source, (AvgPool(kernel, stride, padding),))]
    counts = SumPool(kernel, stride, padding).apply(np.ones((1, *shape)))[0]
    return [(source, (SumPool(kernel, stride, padding), Scale(1 / counts)))]


def _ceiling(node: Node, sizes: Shape, kernel: Shape, stride: Shape, padding: Pads) -> Pads:
    """Padding at the end that gives the outputs of `ceil_mode`, where that means the same."""
    more = []
    for n, k, s, (a, b) in zip(sizes, kernel, stride, padding, strict=True):
        over = -(n + a + b - k) % s
        last = (n + a + b - k + over) // s * s
        more.append(over if last < n + a else 0)
    if any(more) and (node.op != "MaxPool" and node.attributes.get("count_include_pad", 0)):
        _refuse(node, "windows over the edge whose padding is counted in part", "ceil_mode=0")
    return tuple((a, b + m) for (a, b), m in zip(padding, more, strict=True))


def _global_pool(flow: Flow, node: Node) -> Terms:
    shape = flow.values[node.inputs[0]].shape
    make = MaxPool if node.op == "GlobalMaxPool" else AvgPool
    return [(node.inputs[0], (make(shape[1:], (1,) * (len(shape) - 1)),))]


def _reduce(flow: Flow, node: Node) -> Terms:
    """A sum or mean over all axes of space, or over the only axis."""
    shape, about = flow.values[node.inputs[0]].shape, node.attributes
    given: Any = about.get("axes") if len(node.inputs) < 2 or not node.inputs[1] else flow.constant(node, 1).ravel()
    if given is None:
        _refuse(node, "a sum over the batch too", "axes of space")
    over = sorted(_axis(node, int(a), len(shape)) for a in given)
    if len(shape) == 1:
        ones: tuple[Op, ...] = (Linear(np.full((1, shape[0]), 1 / shape[0] if node.op == "ReduceMean" else 1.0)),)
        return [(node.inputs[0], ones)]
    if over != list(range(1, len(shape))) or len(shape) > 3:
        _refuse(node, f"a sum over the axes {[a + 1 for a in over]} of {len(shape) + 1}", "all axes of space")
    pool = (AvgPool if node.op == "ReduceMean" else SumPool)(shape[1:], (1,) * (len(shape) - 1))
    return [(node.inputs[0], (pool,) if about.get("keepdims", 1) else (pool, Reshape((shape[0],))))]


# --- another order, or more of it ------------------------------------------------------------------------


def _reshape(flow: Flow, node: Node) -> Terms:
    shape = flow.values[node.inputs[0]].shape
    whole = _new_shape(flow, node, (1, *shape))
    if len(whole) < 2 or whole[0] != 1:
        _refuse(node, f"the shape {list(whole)}", "a batch axis of 1, then at least one axis")
    return [(node.inputs[0], (Reshape(whole[1:]),) if whole[1:] != shape else ())]


def _new_shape(flow: Flow, node: Node, whole: Shape) -> Shape:
    """The shape, batch axis included, that a node lays its input out in."""
    about = node.attributes
    if node.op == "Flatten":
        axis = about.get("axis", 1)
        return math.prod(whole[:axis]), math.prod(whole[axis:])
    if node.op == "Reshape":
        wanted = [int(n) for n in flow.constant(node, 1).ravel()]
        wanted = [whole[i] if n == 0 and not about.get("allowzero", 0) else n for i, n in enumerate(wanted)]
        rest = math.prod(n for n in wanted if n != -1)
        return tuple(math.prod(whole) // max(rest, 1) if n == -1 else n for n in wanted)
    axes: Any = about.get("axes") if len(node.inputs) < 2 or not node.inputs[1] else \
        [int(a) for a in flow.constant(node, 1).ravel()]
    if node.op == "Squeeze":
        gone = {a % len(whole) for a in axes} if axes is not None else {i for i, n in enumerate(whole) if n == 1 and i}
        return tuple(n for i, n in enumerate(whole) if i not in gone)
    new = {a % (len(whole) + len(axes)) for a in axes}
    rest_axes = iter(whole)
    return tuple(1 if i in new else next(rest_axes) for i in range(len(whole) + len(axes)))


def _transpose(flow: Flow, node: Node) -> Terms:
    shape = flow.values[node.inputs[0]].shape
    order = node.attributes.get("perm") or tuple(reversed(range(len(shape) + 1)))
    if order[0] != 0:
        _refuse(node, f"the order {list(order)}", "the batch axis in its place")
    indices = np.arange(math.prod(shape)).reshape(shape).transpose([a - 1 for a in order[1:]])
    return _selected(flow, node, indices)


def _selected(flow: Flow, node: Node, indices: Array) -> Terms:
    """The values at these places of the flattened input: a reshape, or a layer of zeros and ones."""
    source = node.inputs[0]
    shape = flow.values[source].shape
    count, picked = math.prod(shape), indices.ravel()
    if np.array_equal(picked, np.arange(count)):
        return [(source, (Reshape(indices.shape),) if indices.shape != shape else ())]
    channels = indices.reshape(len(indices), -1)
    size = math.prod(shape[1:])
    if len(shape) > 1 and indices.shape[1:] == shape[1:] and len(shape) <= 3:
        firsts = channels[:, 0] // size
        if np.array_equal(channels, firsts[:, None] * size + np.arange(size)):
            chosen = np.eye(shape[0], dtype=np.float32)[firsts]
            return [(source, (_pointwise(chosen, len(shape) - 1),))]
    if len(picked) * count > MAX_SELECTION:
        _refuse(node, f"{len(picked)} of {count} values in another order", f"at most {MAX_SELECTION} synapses for it")
    weight = np.zeros((len(picked), count), np.float32)
    weight[np.arange(len(picked)), picked] = 1
    ends = (() if len(shape) == 1 else (Reshape((count,)),)), (() if indices.ndim == 1 else (Reshape(indices.shape),))
    return [(source, (*ends[0], Linear(weight), *ends[1]))]


def _pointwise(weight: Array, axes: int) -> Conv:
    return Conv(weight.reshape(*weight.shape, *(1,) * axes), None, (1,) * axes, ((0, 0),) * axes, (1,) * axes)


def _indices(flow: Flow, node: Node) -> Array:
    shape = flow.values[node.inputs[0]].shape
    return np.arange(math.prod(shape)).reshape(shape)


def _slice(flow: Flow, node: Node) -> Terms:
    indices, about = _indices(flow, node), node.attributes
    if "starts" in about:
        starts, ends = about["starts"], about["ends"]
        axes, steps = about.get("axes", range(len(starts))), (1,) * len(starts)
    else:
        starts, ends = (flow.constant(node, i).ravel() for i in (1, 2))
        axes = flow.constant(node, 3, np.arange(len(starts))).ravel()
        steps = flow.constant(node, 4, np.ones(len(starts), np.int64)).ravel()
    cut = [slice(None)] * indices.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if int(axis) == 0 and int(start) == 0 and int(end) >= 1 and int(step) == 1:
            continue
        backward = int(step) < 0 and int(end) < -indices.size
        cut[_axis(node, int(axis), indices.ndim)] = slice(int(start), None if backward else int(end), int(step))
    if indices[tuple(cut)].size == 0:
        _refuse(node, "a slice without values")
    return _selected(flow, node, indices[tuple(cut)])


def _split(flow: Flow, node: Node) -> list[Terms]:
    indices = _indices(flow, node)
    axis = _axis(node, node.attributes.get("axis", 0), indices.ndim)
    sizes = node.attributes.get("split") or flow.constant(node, 1)
    if sizes is None:
        each = -(-indices.shape[axis] // len(node.outputs))
        sizes = [each] * len(node.outputs)
    parts = np.split(indices, np.cumsum([int(n) for n in sizes])[:-1], axis)
    return [_selected(flow, node, part) for part in parts]


def _gather(flow: Flow, node: Node) -> Terms:
    indices, places = _indices(flow, node), flow.constant(node, 1)
    axis = _axis(node, node.attributes.get("axis", 0), indices.ndim)
    if places.ndim == 0 and indices.ndim == 1:
        _refuse(node, "a single value without an axis", "an axis of 1")
    return _selected(flow, node, np.take(indices, places, axis))


def _concat(flow: Flow, node: Node) -> Terms:
    if not all(n in flow.values for n in node.inputs):
        _refuse(node, "a constant among what is joined", "values that change")
    shapes = [flow.values[n].shape for n in node.inputs]
    axis = _axis(node, node.attributes["axis"], len(shapes[0]))
    total, at = sum(s[axis] for s in shapes), 0
    terms: Terms = []
    for name, shape in zip(node.inputs, shapes, strict=True):
        amounts = [(0, 0)] * len(shape)
        amounts[axis] = (at, total - at - shape[axis])
        at += shape[axis]
        terms.append((name, (Pad(tuple(amounts)),)))
    return terms


def _pad(flow: Flow, node: Node) -> Terms:
    shape, about = flow.values[node.inputs[0]].shape, node.attributes
    amounts = [int(n) for n in (about["pads"] if "pads" in about else flow.constant(node, 1).ravel())]
    fill = about.get("value", 0.0) if "pads" in about else np.asarray(flow.constant(node, 2, 0.0)).ravel()[0]
    axes = flow.constant(node, 3)
    places = list(range(len(shape) + 1)) if axes is None else [int(a) % (len(shape) + 1) for a in axes.ravel()]
    full = [(0, 0)] * (len(shape) + 1)
    for i, axis in enumerate(places):
        full[axis] = (amounts[i], amounts[i + len(places)])
    if about.get("mode", "constant") != "constant" or fill != 0 or full[0] != (0, 0) or min(map(min, full)) < 0:
        _refuse(node, "padding by other values than zeros, or by less than nothing", "zeros around the tensor")
    return [(node.inputs[0], (Pad(tuple(full[1:])),))]


def _resize(flow: Flow, node: Node) -> Terms:
    shape, about = flow.values[node.inputs[0]].shape, node.attributes
    old = node.op == "Upsample"
    scales, sizes = (flow.constant(node, i) for i in ((1, 9) if old else (2, 3)))
    if sizes is not None and sizes.size:
        scales = np.asarray(sizes).ravel() / np.array((1, *shape))
    if scales is None and "scales" in about:
        scales = np.array(about["scales"])
    factors = [] if scales is None else [float(s) for s in np.asarray(scales).ravel()]
    if about.get("mode", "nearest") != "nearest" or len(factors) != len(shape) + 1 or factors[:2] != [1.0, 1.0] \
            or any(f < 1 or f % 1 for f in factors):
        _refuse(node, f"resizing by {factors}, mode {about.get('mode', 'nearest')}", "nearest, by whole factors")
    if about.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        _refuse(node, f"keep_aspect_ratio_policy {shorten(about['keep_aspect_ratio_policy'])}", "stretch")
    where, rounding = about.get("coordinate_transformation_mode", "half_pixel"), about.get("nearest_mode", "")
    if not old and (where, rounding or "round_prefer_floor") not in EVEN:
        _refuse(node, f"nearest values by {where} and {rounding}", "each value repeated")
    return [(node.inputs[0], (Upsample(tuple(int(f) for f in factors[2:])),))]


# The ways of finding the nearest value that repeat each value as often as any other, for whole factors.
EVEN = {("asymmetric", "floor"), *((w, r) for w in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
                                   for r in ("round_prefer_floor", "round_prefer_ceil"))}

LAYERS: Mapping[str, Reader] = {
    "Gemm": _gemm, "MatMul": _matmul, "Conv": _conv, "BatchNormalization": _batch_norm, "AveragePool": _pool,
    "MaxPool": _pool, "LpPool": _pool, "GlobalAveragePool": _global_pool, "GlobalMaxPool": _global_pool,
    "ReduceMean": _reduce, "ReduceSum": _reduce, "Reshape": _reshape, "Flatten": _reshape, "Squeeze": _reshape,
    "Unsqueeze": _reshape, "Transpose": _transpose, "Slice": _slice, "Split": _split, "Gather": _gather,
    "Concat": _concat, "Pad": _pad, "Resize": _resize, "Upsample": _resize,
}
IGNORED = frozenset({"Identity", "Dropout"})
