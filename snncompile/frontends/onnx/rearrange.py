"""Reads ONNX operators that reshape, reorder, cut, join, pad or repeat values; `layers` says what a reader returns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.onnx.dataflow import Flow, Reader, Terms
from snncompile.frontends.onnx.file import Node
from snncompile.ir.ops import Conv, Linear, Pad, Reshape, Upsample
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Array, Shape

# The largest matrix of zeros and ones that may be written for a reordering of values.
MAX_SELECTION = 1 << 24


def refuse(node: Node, found: str, expected: str, help: str = "") -> NoReturn:
    """Raise a `CompileError` with code SNN104 at a node; the texts are those of `Diagnostic`."""
    fail("SNN104", node.place, found, expected, help)


def axis_without_batch(node: Node, axis: int, axes: int) -> int:
    """An axis number of the file as one that does not count the batch axis.

    Args:
        axes: how many axes the value has without the batch axis.

    Raises:
        CompileError: SNN104 for the batch axis and for an axis that does not exist.
    """
    axis = axis + axes + 1 if axis < 0 else axis
    if not 1 <= axis <= axes:
        refuse(node, f"axis {axis} of a tensor of {axes + 1} axes", f"an axis from 1 to {axes}; 0 is the batch")
    return axis - 1


def _reshape(flow: Flow, node: Node) -> Terms:
    shape = flow.values[node.inputs[0]].shape
    whole = _new_shape(flow, node, (1, *shape))
    if whole == (1,) and flow.ends(node):
        whole = (1, 1)  # one number for each sample; the graph's outputs have at least one axis
    if len(whole) < 2 or whole[0] != 1:
        refuse(node, f"a reshape to {list(whole)}", "a batch axis of 1, then at least one axis")
    return [(node.inputs[0], (Reshape(whole[1:]),) if whole[1:] != shape else ())]


def _new_shape(flow: Flow, node: Node, whole: Shape) -> Shape:
    """The output shape of Flatten, Reshape, Squeeze or Unsqueeze for an input of shape `whole`.

    Both shapes include the batch axis.
    """
    attributes = node.attributes
    if node.op == "Flatten":
        axis = attributes.get("axis", 1)
        return math.prod(whole[:axis]), math.prod(whole[axis:])
    if node.op == "Reshape":
        wanted = [int(n) for n in flow.constant(node, 1).ravel()]
        wanted = [whole[i] if n == 0 and not attributes.get("allowzero", 0) else n for i, n in enumerate(wanted)]
        rest = math.prod(n for n in wanted if n != -1)
        return tuple(math.prod(whole) // max(rest, 1) if n == -1 else n for n in wanted)
    axes: Any = attributes.get("axes") if len(node.inputs) < 2 or not node.inputs[1] else \
        [int(a) for a in flow.constant(node, 1).ravel()]
    if node.op == "Squeeze":
        removed = {a % len(whole) for a in axes} if axes is not None else \
            {i for i, n in enumerate(whole) if n == 1 and i}
        return tuple(n for i, n in enumerate(whole) if i not in removed)
    new = {a % (len(whole) + len(axes)) for a in axes}
    rest_axes = iter(whole)
    return tuple(1 if i in new else next(rest_axes) for i in range(len(whole) + len(axes)))


def _transpose(flow: Flow, node: Node) -> Terms:
    shape = flow.values[node.inputs[0]].shape
    order = node.attributes.get("perm") or tuple(reversed(range(len(shape) + 1)))
    if order[0] != 0:
        refuse(node, f"the order of axes {list(order)}", "an order in which the batch axis stays first",
               "an adaptive pool whose windows differ is written so; use a pool of fixed windows"
               if any(n.op == "GatherND" for n in flow.model.nodes) else "")
    indices = np.arange(math.prod(shape)).reshape(shape).transpose([a - 1 for a in order[1:]])
    return _selected(flow, node, indices)


def _selected(flow: Flow, node: Node, indices: Array) -> Terms:
    """The operators that pick values of a node's input: a reshape where the order stays, otherwise 0/1 weights.

    Where whole channels are picked, the weights are a convolution with a kernel of 1; where the same places of every
    channel are picked, and a `Linear` would be too large, a `TokenMix`; otherwise a `Linear`.

    Args:
        indices: for every value of the output, its index in the flattened input, or -1 for 0; the array has the
            output's shape.

    Raises:
        CompileError: SNN104 where the matrix would have more than `MAX_SELECTION` entries.
    """
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
            return [(source, (pointwise(chosen, len(shape) - 1),))]
    places = channels[0]
    alike = len(indices) == shape[0] and np.array_equal(
        channels, np.where(places < 0, -1, places + size * np.arange(shape[0])[:, None]))
    if len(picked) * count > MAX_SELECTION and alike and len(places) * size <= MAX_SELECTION:
        return [(source, (Reshape((shape[0], size)), TokenMix(_picking(places, size)[None]), Reshape(indices.shape)))]
    if len(picked) * count > MAX_SELECTION:
        refuse(node, f"a choice of {len(picked)} among {count} values, in another order",
               f"at most {MAX_SELECTION} synapses (chosen values times all values)")
    weight = _picking(picked, count)
    ends = (() if len(shape) == 1 else (Reshape((count,)),)), (() if indices.ndim == 1 else (Reshape(indices.shape),))
    return [(source, (*ends[0], Linear(weight), *ends[1]))]


def _picking(indices: Array, count: int) -> Array:
    """The matrix of zeros and ones that picks the values of these indices out of `count`; -1 picks none."""
    weight = np.zeros((len(indices), count), np.float32)
    weight[np.arange(len(indices)), indices] = indices >= 0
    return weight


def pointwise(weight: Array, axes: int) -> Conv:
    return Conv(weight.reshape(*weight.shape, *(1,) * axes), None, (1,) * axes, ((0, 0),) * axes, (1,) * axes)


def _indices(flow: Flow, node: Node) -> Array:
    """For every value of a node's first input, its index in the flattened input, in the input's shape."""
    shape = flow.values[node.inputs[0]].shape
    return np.arange(math.prod(shape)).reshape(shape)


def _slice(flow: Flow, node: Node) -> Terms:
    indices, attributes = _indices(flow, node), node.attributes
    if "starts" in attributes:
        starts, ends = attributes["starts"], attributes["ends"]
        axes, steps = attributes.get("axes", range(len(starts))), (1,) * len(starts)
    else:
        starts, ends = (flow.constant(node, i).ravel() for i in (1, 2))
        axes = flow.constant(node, 3, np.arange(len(starts))).ravel()
        steps = flow.constant(node, 4, np.ones(len(starts), np.int64)).ravel()
    cut = [slice(None)] * indices.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if int(axis) == 0 and int(start) == 0 and int(end) >= 1 and int(step) == 1:
            continue
        # A step of -1 reaches the first value only with an end before it, which Python writes as None.
        backward = int(step) < 0 and int(end) < -indices.size
        stop = None if backward else int(end)
        cut[axis_without_batch(node, int(axis), indices.ndim)] = slice(int(start), stop, int(step))
    if indices[tuple(cut)].size == 0:
        refuse(node, "an empty slice", "a slice of at least one value")
    return _selected(flow, node, indices[tuple(cut)])


def _split(flow: Flow, node: Node) -> list[Terms]:
    indices = _indices(flow, node)
    axis = axis_without_batch(node, node.attributes.get("axis", 0), indices.ndim)
    sizes = node.attributes.get("split") or flow.constant(node, 1)
    if sizes is None:
        each = -(-indices.shape[axis] // len(node.outputs))
        sizes = [each] * len(node.outputs)
    parts = np.split(indices, np.cumsum([int(n) for n in sizes])[:-1], axis)
    return [_selected(flow, node, part) for part in parts]


def _gather(flow: Flow, node: Node) -> Terms:
    indices, picks = _indices(flow, node), flow.constant(node, 1)
    axis = axis_without_batch(node, node.attributes.get("axis", 0), indices.ndim)
    if picks.ndim == 0 and indices.ndim == 1:
        if not flow.ends(node):
            refuse(node, "a single value without an axis", "a value with an axis of length 1")
        picks = picks[None]  # one number for each sample; the graph's outputs have at least one axis
    return _selected(flow, node, np.take(indices, picks, axis))


def _concat(flow: Flow, node: Node) -> Terms:
    """A concatenation is the sum of its inputs, each padded with zeros to the full length."""
    if not all(n in flow.values for n in node.inputs):
        refuse(node, "a constant among its inputs", "inputs that all change from tick to tick")
    shapes = [flow.values[n].shape for n in node.inputs]
    axis = axis_without_batch(node, node.attributes["axis"], len(shapes[0]))
    total, start = sum(s[axis] for s in shapes), 0
    terms: Terms = []
    for name, shape in zip(node.inputs, shapes, strict=True):
        amounts = [(0, 0)] * len(shape)
        amounts[axis] = (start, total - start - shape[axis])
        start += shape[axis]
        terms.append((name, (Pad(tuple(amounts)),)))
    return terms


def _pad(flow: Flow, node: Node) -> Terms:
    shape, attributes = flow.values[node.inputs[0]].shape, node.attributes
    amounts = [int(n) for n in (attributes["pads"] if "pads" in attributes else flow.constant(node, 1).ravel())]
    fill = attributes.get("value", 0.0) if "pads" in attributes else np.asarray(flow.constant(node, 2, 0.0)).ravel()[0]
    axes = flow.constant(node, 3)
    padded = list(range(len(shape) + 1)) if axes is None else [int(a) % (len(shape) + 1) for a in axes.ravel()]
    full = [(0, 0)] * (len(shape) + 1)
    for i, axis in enumerate(padded):
        full[axis] = (amounts[i], amounts[i + len(padded)])
    mode = attributes.get("mode", "constant")
    if full[0] != (0, 0):
        refuse(node, "padding of the batch", "padding of the other axes")
    if mode not in PADDINGS or (mode == "constant" and fill != 0):
        refuse(node, f"padding with {fill:g}" if mode == "constant" else f"the mode {shorten(mode)}",
               "zeros, or one of the modes reflect, edge and wrap")
    if mode == "constant" and min(map(min, full)) >= 0:
        return [(node.inputs[0], (Pad(tuple(full[1:])),))]
    indices = _indices(flow, node)
    for axis, (before, after) in enumerate(full[1:]):
        if min(before, after) < -indices.shape[axis] or max(before, after) > MAX_PADDING:
            refuse(node, f"padding by {before} and {after} along an axis of {indices.shape[axis]}",
                   f"at most {MAX_PADDING}, and some values that stay")
        kept = range(max(0, -before), indices.shape[axis] - max(0, -after))
        indices = np.take(indices, kept, axis)
        around = [(max(before, 0), max(after, 0)) if i == axis else (0, 0) for i in range(indices.ndim)]
        if 0 in indices.shape or len(indices.ravel()) > MAX_SELECTION:
            refuse(node, "padding that leaves no value, or too many", f"1 to {MAX_SELECTION} values")
        indices = np.pad(indices, around, constant_values=-1) if mode == "constant" else np.pad(indices, around, mode)
    return _selected(flow, node, indices)


def _resize(flow: Flow, node: Node) -> Terms:
    shape, attributes = flow.values[node.inputs[0]].shape, node.attributes
    upsample = node.op == "Upsample"  # the older operator, which has scales as input 1 and no sizes
    scales, sizes = (flow.constant(node, i) for i in ((1, 9) if upsample else (2, 3)))
    if sizes is not None and sizes.size:
        scales = np.asarray(sizes).ravel() / np.array((1, *shape))
    if scales is None and "scales" in attributes:
        scales = np.array(attributes["scales"])
    factors = [] if scales is None else [float(s) for s in np.asarray(scales).ravel()]
    if attributes.get("mode", "nearest") != "nearest" or len(factors) != len(shape) + 1 or factors[:2] != [1.0, 1.0] \
            or any(f < 1 or f % 1 for f in factors):
        refuse(node, f"resizing by {factors}, mode {attributes.get('mode', 'nearest')}",
               "mode nearest, by whole factors, and by 1 along batch and channels")
    if attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        refuse(node, f"keep_aspect_ratio_policy {shorten(attributes['keep_aspect_ratio_policy'])}", "stretch")
    coordinates = attributes.get("coordinate_transformation_mode", "half_pixel")
    rounding = attributes.get("nearest_mode", "") or "round_prefer_floor"
    if not upsample and (coordinates, rounding) not in REPEATING:
        refuse(node, f"nearest values by {coordinates} and {rounding}", "modes that repeat every value equally often")
    return [(node.inputs[0], (Upsample(tuple(int(f) for f in factors[2:])),))]


# Modes of padding, which ONNX and NumPy name alike.
PADDINGS: tuple[Literal["constant", "reflect", "edge", "wrap"], ...] = ("constant", "reflect", "edge", "wrap")
MAX_PADDING = 1 << 16
# The pairs of coordinate_transformation_mode and nearest_mode with which a whole factor n repeats each value n times.
REPEATING = {("asymmetric", "floor"), *((c, r) for c in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
                                        for r in ("round_prefer_floor", "round_prefer_ceil"))}

REARRANGING: Mapping[str, Reader] = {
    "Reshape": _reshape, "Flatten": _reshape, "Squeeze": _reshape, "Unsqueeze": _reshape, "Transpose": _transpose,
    "Slice": _slice, "Split": _split, "Gather": _gather, "Concat": _concat, "Pad": _pad, "Resize": _resize,
    "Upsample": _resize,
}
