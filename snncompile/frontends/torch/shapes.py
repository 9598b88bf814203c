"""Handlers of the torch functions that rearrange tensors (`SHAPES`).

Most of them only change the axes and the shape of a value. Taking a part of the features, joining features and padding
need a node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snncompile.frontends.torch.axis_maps import sizes_around, take
from snncompile.frontends.torch.build import CallContext, Refused, described
from snncompile.frontends.torch.fold import TickNumber
from snncompile.frontends.torch.values import Axis, Value, are_ticks_in_order, reshaped_axes
from snncompile.ir.ops import Conv, Pad
from snncompile.ir.types import Shape

Handler = Callable[..., Any]


def or_refusal(function: Handler, *arguments: Any) -> Any:
    """What a function returns; its refusal, which is raised only where the result is used, if it refuses."""
    try:
        return function(*arguments)
    except Refused as refusal:
        return refusal


def _dimensions(dims: Any) -> tuple[int, ...]:
    """Dimensions given one by one, or as one list."""
    return tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], (list, tuple)) else tuple(dims)


def _with_axes(ctx: CallContext, x: Value, axes: Sequence[Axis], sizes: Shape) -> Value:
    """A value with other axes; `sizes` are those of all axes, with time and batch."""
    shape = tuple(n for a, n in zip(axes, sizes, strict=True) if a == "F")
    return replace(x, axes=tuple(axes), shape=shape, reshape_name=ctx.name if shape != x.shape else x.reshape_name)


def reshape(ctx: CallContext, given: Any, *_: Any, **__: Any) -> Value:
    """Any reshape; the new shape is that of the recorded result."""
    x = ctx.value(given)
    axes = reshaped_axes(x.axes, x.sizes(ctx.axis_sizes), ctx.result_shape, ctx.axis_sizes)
    if axes is None:
        ctx.refuse(f"{ctx.call.name} of a tensor {described(x)} to {list(ctx.result_shape)}", "time and batch must not "
                   "mix with features; with a batch of 2 or more in the example input the axes can be told apart")
    for letter, size in zip(axes, ctx.result_shape, strict=True):
        if letter != "F":
            ctx.axis_sizes.setdefault(letter, size)
    return _with_axes(ctx, x, axes, ctx.result_shape)


def flatten(ctx: CallContext, input: Any, start_dim: int = 0, end_dim: int = -1) -> Value:
    x = ctx.value(input)
    start, end = start_dim % len(x.axes), end_dim % len(x.axes)
    merged = x.axes[start:end + 1]
    if set(merged) == {"F"}:
        letter: Axis = "F"
    elif merged in (("T", "B"), ("B", "T")):
        letter = "TB" if merged[0] == "T" else "BT"
    else:
        return x if len(merged) == 1 else reshape(ctx, x)
    return _with_axes(ctx, x, (*x.axes[:start], letter, *x.axes[end + 1:]), ctx.result_shape)


def unsqueeze(ctx: CallContext, x: Any, dim: int) -> Value:
    x = ctx.value(x)
    return add_feature_axis(ctx, x, dim % (len(x.axes) + 1))


def squeeze(ctx: CallContext, x: Any, dim: Any = None) -> Value:
    """Removes feature axes of size 1."""
    x = ctx.value(x)
    given = range(len(x.axes)) if dim is None else dim
    chosen = {d % len(x.axes) for d in ([given] if isinstance(given, int) else given)}
    removed = {i for i in chosen if x.sizes(ctx.axis_sizes)[i] == 1}
    if any(x.axes[i] != "F" for i in removed):
        ctx.refuse(f"{ctx.call.name} of a tensor {described(x)} removes the axis of time or batch",
                   "give an example input with a batch of 2 or more, and name the dimension")
    return _with_axes(ctx, x, [a for i, a in enumerate(x.axes) if i not in removed], ctx.result_shape)


def permute(ctx: CallContext, x: Any, *one_by_one: Any, dims: Sequence[int] | None = None) -> Value:
    """Moves the axes of time and batch. Feature axes larger than 1 must keep their order."""
    x = ctx.value(x)
    order = [d % len(x.axes) for d in (_dimensions(one_by_one) if dims is None else dims)]
    old = x.sizes(ctx.axis_sizes)
    features = [d for d in order if x.axes[d] == "F" and old[d] != 1]
    if features != sorted(features):
        ctx.refuse(f"{ctx.call.name} of a tensor {described(x)} to the order {order}",
                   "features keep their order in a graph; only time and batch may move")
    return _with_axes(ctx, x, [x.axes[d] for d in order], tuple(old[d] for d in order))


def transpose(ctx: CallContext, x: Any, dim0: int, dim1: int) -> Value:
    order = list(range(len(ctx.value(x).axes)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(ctx, x, order)


def reverse_axes(ctx: CallContext, x: Any) -> Value:
    """`x.T` and `x.t()`."""
    return permute(ctx, x, list(range(len(ctx.value(x).axes)))[::-1])


def movedim(ctx: CallContext, x: Any, source: Any, destination: Any) -> Value:
    count = len(ctx.value(x).axes)
    moved = [d % count for d in ([source] if isinstance(source, int) else source)]
    to = [d % count for d in ([destination] if isinstance(destination, int) else destination)]
    order = [d for d in range(count) if d not in moved]
    for target, dim in sorted(zip(to, moved, strict=True)):
        order.insert(target, dim)
    return permute(ctx, x, order)


def repeat(ctx: CallContext, x: Any, *_: Any, **__: Any) -> Value:
    """`repeat` and `expand` of a frame over time. A graph has no operator for other repetitions."""
    x = ctx.value(x)
    new = ctx.result_shape
    old = (1,) * (len(new) - len(x.axes)) + x.sizes(ctx.axis_sizes)
    axes: list[Axis] = [*("F",) * (len(new) - len(x.axes)), *x.axes]
    for i, (a, b) in enumerate(zip(old, new, strict=True)):
        if a != b and (a != 1 or axes[i] != "F" or "F" in axes[:i] or any("T" in letter for letter in axes)):
            ctx.refuse(f"{ctx.call.name} of a tensor {described(x)} to {list(new)}", "a frame may be repeated over "
                       "time, and over nothing else")
        if a != b:
            _require_frame(ctx, x)
            axes[i] = "T"
            ctx.axis_sizes["T"] = b
    return _with_axes(ctx, x, axes, new)


def _require_frame(ctx: CallContext, x: Value) -> None:
    """Refuse to repeat a value over time that depends on a neuron: it is not the same in every tick of the graph."""
    if ctx.builder.depends_on_neuron(x.node):
        ctx.refuse(f"{ctx.call.name} of spikes", "a frame may be repeated over time, before all neurons")


# --- parts and unions --------------------------------------------------------------------------------------


def feature_slice(ctx: CallContext, x: Value, axis: int, chosen: range) -> Value:
    """Some of the entries along a feature axis.

    A depthwise convolution over `[before, size, behind]` takes them. Its kernel is 1 at the first chosen entry and 0
    elsewhere, and its stride is the step of the slice. For example `x[1:4]` of 5 entries has the kernel [0, 1, 0].
    """
    at, (before, size, behind) = sizes_around(x, axis)
    if len(chosen) == size:
        return x
    kernel_size = size - (len(chosen) - 1) * chosen.step
    weight = np.zeros((before, 1, kernel_size, 1), np.float32)
    weight[:, 0, chosen.start] = 1
    conv = Conv(weight, None, (chosen.step, 1), groups=before)
    taken = ctx.add_node(x, conv, (before, size, behind))
    return replace(taken, axes=x.axes, shape=(*x.shape[:at], len(chosen), *x.shape[at + 1:]), reshape_name=ctx.name)


def add_feature_axis(ctx: CallContext, x: Value, axis: int) -> Value:
    """A value with an additional feature axis of size 1 at this position."""
    at = sum(a == "F" for a in x.axes[:axis])
    return replace(x, axes=(*x.axes[:axis], "F", *x.axes[axis:]), shape=(*x.shape[:at], 1, *x.shape[at:]),
                   reshape_name=ctx.name)


def remove_feature_axis(ctx: CallContext, x: Value, axis: int) -> Value:
    """A value without the feature axis at this position, which has size 1."""
    at, _ = sizes_around(x, axis)
    return replace(x, axes=(*x.axes[:axis], *x.axes[axis + 1:]), shape=(*x.shape[:at], *x.shape[at + 1:]),
                   reshape_name=ctx.name)


def getitem(ctx: CallContext, tensor: Any, index: Any) -> Value:
    """`x[index]` with numbers, slices, None and Ellipsis."""
    x = ctx.value(tensor)
    indices = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in indices:
        at = indices.index(Ellipsis)
        omitted = len(x.axes) - sum(i is not None for i in indices) + 1
        indices[at:at + 1] = [slice(None)] * omitted
    axis = 0
    for item in indices:
        if item is None:
            x = add_feature_axis(ctx, x, axis)
            axis += 1
        elif isinstance(item, slice):
            x = _sliced(ctx, x, axis, item)
            axis += 1
        else:
            x = _indexed(ctx, x, axis, item)
    return x


def _sliced(ctx: CallContext, x: Value, axis: int, item: slice) -> Value:
    """A slice along an axis. Of time, one tick may be taken; the batch may only be taken whole."""
    if item.start == TickNumber() and item.stop == TickNumber(1) and item.step in (None, 1):
        return add_feature_axis(ctx, _indexed(ctx, x, axis, item.start), axis)
    if any(v is not None and not isinstance(v, int) for v in (item.start, item.stop, item.step)):
        ctx.refuse("a slice whose bounds change from tick to tick or depend on the input")
    chosen = range(*item.indices(x.sizes(ctx.axis_sizes)[axis]))
    if not chosen:
        ctx.refuse(f"a slice of no entries along axis {axis} of a tensor {described(x)}", "one entry or more")
    if x.axes[axis] == "F" and chosen.step > 0:
        return feature_slice(ctx, x, axis, chosen)
    if len(chosen) == x.sizes(ctx.axis_sizes)[axis] and chosen.step == 1:
        return x
    if x.axes[axis] == "T" and len(chosen) == 1:
        return add_feature_axis(ctx, _indexed(ctx, x, axis, chosen[0]), axis)
    ctx.refuse(f"a slice of the axis of time or batch of a tensor {described(x)}",
               "one tick, or all of them in order; every sample")


def _indexed(ctx: CallContext, x: Value, axis: int, item: Any) -> Value:
    """One entry along an axis: a feature, or a tick."""
    letter = x.axes[axis]
    without = replace(x, axes=(*x.axes[:axis], *x.axes[axis + 1:]))
    if letter == "T" and item == TickNumber():
        return without
    if isinstance(item, TickNumber):
        entry = f"t{item.plus:+}" if item.plus else "t"
        ctx.refuse(f"a loop that in its tick t takes entry {entry} of a tensor {described(x)}",
                   "a loop over time begins with the first tick and takes every tick in turn")
    if not isinstance(item, int) or isinstance(item, bool):
        ctx.refuse(f"an index into a tensor {described(x)} that is not a number", "numbers and slices")
    place = item % x.sizes(ctx.axis_sizes)[axis]
    if letter == "F":
        return remove_feature_axis(ctx, feature_slice(ctx, x, axis, range(place, place + 1)), axis)
    if letter == "T" and x.decode is None and ctx.axis_sizes["T"] > 1:
        return replace(without, tick=place)
    ctx.refuse(f"one entry along time or batch of a tensor {described(x)}", "a loop over time takes every tick in "
               "turn; give an example input with 2 ticks or more")


def narrow(ctx: CallContext, x: Any, dim: int, start: Any, length: int) -> Value:
    x = ctx.value(x)
    axis = dim % len(x.axes)
    if isinstance(start, int) and start < 0:
        start += x.sizes(ctx.axis_sizes)[axis]
    stop = TickNumber(start.plus + length) if isinstance(start, TickNumber) else start + length
    return _sliced(ctx, x, axis, slice(start, stop))


def index_select(ctx: CallContext, x: Any, dim: int, index: Any) -> Value:
    """The entries along an axis that a constant index lists: of features any, of time one tick."""
    x = ctx.value(x)
    axis = dim % len(x.axes)
    if isinstance(index, TickNumber):
        return narrow(ctx, x, dim, index, 1)
    if isinstance(index, Value) or index.is_meta or not index.numel():
        ctx.refuse(f"{ctx.call.name} by an index that is not known", "a constant index of one entry or more")
    places = [int(i) % x.sizes(ctx.axis_sizes)[axis] for i in index.flatten()]
    if x.axes[axis] == "F" and len(places) > 1:
        return take(ctx, x, axis, places)
    if places != list(range(places[0], places[0] + len(places))):
        ctx.refuse(f"{ctx.call.name} of the entries {places[:8]} along time or batch", "one tick, or all of them in "
                   "order; every sample")
    return _sliced(ctx, x, axis, slice(places[0], places[-1] + 1))


def select(ctx: CallContext, x: Any, dim: int, index: Any) -> Value:
    x = ctx.value(x)
    return _indexed(ctx, x, dim % len(x.axes), index)


def split(ctx: CallContext, x: Any, *_: Any, dim: int | None = None, **__: Any) -> tuple[Any, ...]:
    """`split`, `chunk` and `tensor_split`; the sizes of the parts are those of the recorded results."""
    x = ctx.value(x)
    axis = (dim if dim is not None else _[1] if len(_) > 1 else 0) % len(x.axes)
    parts: list[Any] = []
    start = 0
    for result in ctx.call.results:
        stop = start + result.shape[axis]
        parts.append(or_refusal(_sliced, ctx, x, axis, slice(start, stop)))
        start = stop
    return tuple(parts)


def unbind(ctx: CallContext, x: Any, dim: int = 0) -> tuple[Value, ...]:
    """All entries along an axis: features, or ticks."""
    x = ctx.value(x)
    axis = dim % len(x.axes)
    if x.axes[axis] == "T":
        without = replace(x, axes=(*x.axes[:axis], *x.axes[axis + 1:]))
        ticks = ctx.axis_sizes["T"]
        return tuple(replace(without, tick=t) for t in range(ticks)) if ticks > 1 else (without,)
    return tuple(_indexed(ctx, x, axis, i) for i in range(len(ctx.call.results)))


def cat(ctx: CallContext, tensors: Any, dim: int = 0) -> Value:
    """Joins features: the sum of the values, each padded with zeros to its place. Or joins all ticks of a value."""
    values = [ctx.value(t, "one of its tensors") for t in tensors]
    axis = dim % len(values[0].axes)
    first = values[0]
    may_be_time = first.axes[axis] == "F" and "F" not in first.axes[:axis] and first.sizes(ctx.axis_sizes)[axis] == 1
    if len(values) == ctx.ticks and are_ticks_in_order(values) and may_be_time:
        return _add_time_axis(ctx, remove_feature_axis(ctx, first, axis), axis)
    if first.axes[axis] != "F" or any(v.axes != first.axes or not v.same_ticks_as(first) for v in values):
        ctx.refuse(f"{ctx.call.name} of tensors {', '.join(map(described, values[:4]))}", "tensors may be joined along "
                   "features, and along time where they are all ticks of a loop, in order")
    at, _ = sizes_around(first, axis)
    total, start = sum(v.shape[at] for v in values), 0
    parts: list[Value] = []
    for v in values:
        amounts = [(0, 0)] * len(v.shape)
        amounts[at] = (start, total - start - v.shape[at])
        parts.append(ctx.add_node(v, Pad(tuple(amounts)), name=f"{ctx.name}.{len(parts)}"))
        start += v.shape[at]
    return ctx.add_sum(parts) if len(parts) > 1 else first


def stack(ctx: CallContext, tensors: Any, dim: int = 0) -> Value:
    """Stacks all ticks of a value, or copies of a frame, along time; other tensors along a new feature axis."""
    values = [ctx.value(t, "one of its tensors") for t in tensors]
    first = values[0]
    axis = dim % (len(first.axes) + 1)
    if len(values) == ctx.ticks and are_ticks_in_order(values):
        return _add_time_axis(ctx, first, axis)
    if all(v == first for v in values) and len(values) > 1 and "F" not in first.axes[:axis] \
            and not any("T" in a for a in first.axes):
        _require_frame(ctx, first)
        ctx.axis_sizes["T"] = len(values)
        return _add_time_axis(ctx, first, axis)
    parts = [replace(add_feature_axis(ctx, v, axis), reshape_name=f"{ctx.name}.{i}") for i, v in enumerate(values)]
    return cat(ctx, parts, axis)


def _add_time_axis(ctx: CallContext, x: Value, axis: int) -> Value:
    """A value with all ticks along a new axis of time, from the value of one tick."""
    ctx.axis_sizes.setdefault("T", ctx.ticks)
    return replace(x, axes=(*x.axes[:axis], "T", *x.axes[axis:]), tick=None)


PAD_MODES = {"circular": "wrap", "reflect": "reflect", "replicate": "edge"}
"""What NumPy calls the modes in which torch pads with entries of the tensor."""


def pad(ctx: CallContext, x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Value:
    """Zeros around feature axes, or entries of the tensor itself.

    `pad` has the amounts before and after each axis, the last axis first.
    """
    padded = ctx.value(x)
    amounts = [(0, 0)] * len(padded.axes)
    for i, pair in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        amounts[-1 - i] = pair
    axes = list(zip(amounts, padded.axes, strict=True))
    not_features = [a for a, letter in axes if letter != "F"]
    if (mode == "constant" and value) or np.any(not_features) or min(map(min, amounts)) < 0:
        ctx.refuse(f"pad of a tensor {described(padded)} by {list(pad)}, mode {mode}, value {value}",
                   "around features, zeros or entries of the tensor")
    if mode == "constant":
        return ctx.add_node(padded, Pad(tuple(a for a, letter in axes if letter == "F")))
    for axis, amount in enumerate(amounts):
        if any(amount):
            places = np.arange(padded.sizes(ctx.axis_sizes)[axis])
            padded = take(ctx, padded, axis, np.pad(places, amount, mode=PAD_MODES[mode]))  # type: ignore[call-overload]
    return padded


SHAPES: Mapping[str, Handler] = {
    **dict.fromkeys(("view", "reshape", "unflatten", "view_as", "reshape_as"), reshape),
    "flatten": flatten, "unsqueeze": unsqueeze, "squeeze": squeeze,
    "permute": permute, **dict.fromkeys(("transpose", "swapaxes", "swapdims"), transpose),
    **dict.fromkeys(("t", "T"), reverse_axes), **dict.fromkeys(("movedim", "moveaxis"), movedim),
    **dict.fromkeys(("repeat", "expand", "expand_as", "tile", "broadcast_to"), repeat),
    "getitem": getitem, "narrow": narrow, "index_select": index_select, "select": select, "unbind": unbind,
    **dict.fromkeys(("split", "chunk", "tensor_split", "split_with_sizes"), split),
    **dict.fromkeys(("cat", "concat", "concatenate"), cat), "stack": stack, "pad": pad,
}
