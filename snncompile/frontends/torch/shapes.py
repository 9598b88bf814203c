"""Torch functions that rearrange: what they do to the axes of a value, and the few that need a node."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snncompile.frontends.torch.build import Site, described
from snncompile.frontends.torch.fold import Tick
from snncompile.frontends.torch.values import Axis, Value, in_order, regroup
from snncompile.ir.ops import Conv, Pad
from snncompile.ir.types import Shape

Handler = Callable[..., Any]


def _dims(dims: Any) -> tuple[int, ...]:
    """Dimensions given one by one, or as one list."""
    return tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], (list, tuple)) else tuple(dims)


def _laid_out(s: Site, x: Value, axes: Sequence[Axis], sizes: Shape) -> Value:
    """A value with new axes, its features being those sizes that belong to features."""
    shape = tuple(n for a, n in zip(axes, sizes, strict=True) if a == "F")
    return replace(x, axes=tuple(axes), shape=shape, via=s.name if shape != x.shape else x.via)


def reshape(s: Site, given: Any, *_: Any, **__: Any) -> Value:
    x = s.value(given)
    axes = regroup(x.axes, x.sizes(s.extent), s.result, s.extent)
    if axes is None:
        s.refuse(f"{s.call.name} of a tensor {described(x)} to {list(s.result)}", "time and batch must not mix with "
                 "features; an example input with a batch of 2 or more tells axes apart better")
    for letter, size in zip(axes, s.result, strict=True):
        if letter != "F":
            s.extent.setdefault(letter, size)
    return _laid_out(s, x, axes, s.result)


def flatten(s: Site, input: Any, start_dim: int = 0, end_dim: int = -1) -> Value:
    x = s.value(input)
    start, end = start_dim % len(x.axes), end_dim % len(x.axes)
    merged = x.axes[start:end + 1]
    if set(merged) == {"F"}:
        letter: Axis = "F"
    elif merged in (("T", "B"), ("B", "T")):
        letter = "TB" if merged[0] == "T" else "BT"
    else:
        return x if len(merged) == 1 else reshape(s, x)
    return _laid_out(s, x, (*x.axes[:start], letter, *x.axes[end + 1:]), s.result)


def unsqueeze(s: Site, x: Any, dim: int) -> Value:
    x = s.value(x)
    return with_axis(s, x, dim % (len(x.axes) + 1))


def squeeze(s: Site, x: Any, *dim: Any) -> Value:
    x = s.value(x)
    given = dim[0] if dim else range(len(x.axes))
    chosen = {d % len(x.axes) for d in ([given] if isinstance(given, int) else given)}
    gone = {i for i in chosen if x.sizes(s.extent)[i] == 1}
    if any(x.axes[i] != "F" for i in gone):
        s.refuse(f"{s.call.name} of a tensor {described(x)} takes away time or batch",
                 "give an example input with a batch of 2 or more, and name the dimension")
    return _laid_out(s, x, [a for i, a in enumerate(x.axes) if i not in gone], s.result)


def permute(s: Site, x: Any, *dims: Any) -> Value:
    x = s.value(x)
    order = [d % len(x.axes) for d in _dims(dims)]
    old = x.sizes(s.extent)
    features = [d for d in order if x.axes[d] == "F" and old[d] != 1]
    if features != sorted(features):
        s.refuse(f"{s.call.name} of a tensor {described(x)} to the order {order}",
                 "features keep their order in a graph; only time and batch may move")
    return _laid_out(s, x, [x.axes[d] for d in order], tuple(old[d] for d in order))


def transpose(s: Site, x: Any, dim0: int, dim1: int) -> Value:
    order = list(range(len(s.value(x).axes)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(s, x, order)


def reverse(s: Site, x: Any) -> Value:
    return permute(s, x, list(range(len(s.value(x).axes)))[::-1])


def movedim(s: Site, x: Any, source: Any, destination: Any) -> Value:
    count = len(s.value(x).axes)
    moved = [d % count for d in ([source] if isinstance(source, int) else source)]
    to = [d % count for d in ([destination] if isinstance(destination, int) else destination)]
    order = [d for d in range(count) if d not in moved]
    for target, dim in sorted(zip(to, moved, strict=True)):
        order.insert(target, dim)
    return permute(s, x, order)


def repeat(s: Site, x: Any, *_: Any, **__: Any) -> Value:
    """A frame shown in every tick; no other repetition has an operator."""
    x = s.value(x)
    new = s.result
    old = (1,) * (len(new) - len(x.axes)) + x.sizes(s.extent)
    axes: list[Axis] = [*("F",) * (len(new) - len(x.axes)), *x.axes]
    for i, (a, b) in enumerate(zip(old, new, strict=True)):
        if a != b and (a != 1 or axes[i] != "F" or "F" in axes[:i] or any("T" in letter for letter in axes)):
            s.refuse(f"{s.call.name} of a tensor {described(x)} to {list(new)}", "a frame may be repeated over time, "
                     "and over nothing else")
        if a != b:
            _is_frame(s, x)
            axes[i] = "T"
            s.extent["T"] = b
    return _laid_out(s, x, axes, new)


def _is_frame(s: Site, x: Value) -> None:
    """Only what no neuron made is the same in every tick."""
    if s.build.fired(x.node):
        s.refuse(f"{s.call.name} of spikes", "a frame may be repeated over time, in front of all neurons")


# --- parts and unions --------------------------------------------------------------------------------------


def around(x: Value, axis: int) -> tuple[int, Shape]:
    """Of a feature axis: its number among the features, and the sizes before it, of it, and behind it."""
    at = sum(a == "F" for a in x.axes[:axis])
    return at, (math.prod(x.shape[:at]), x.shape[at], math.prod(x.shape[at + 1:]))


def part(s: Site, x: Value, axis: int, chosen: range) -> Value:
    """Some of the entries along a feature axis, as a depthwise convolution with ones at one place."""
    at, (before, size, behind) = around(x, axis)
    if len(chosen) == size:
        return x
    reach = size - (len(chosen) - 1) * chosen.step
    weight = np.zeros((before, 1, reach, 1), np.float32)
    weight[:, 0, chosen.start] = 1
    conv = Conv(weight, None, (chosen.step, 1), groups=before)
    made = s.emit(x, conv, (before, size, behind))
    return replace(made, axes=x.axes, shape=(*x.shape[:at], len(chosen), *x.shape[at + 1:]), via=s.name)


def with_axis(s: Site, x: Value, axis: int) -> Value:
    """A value with another feature axis, of size 1."""
    at = sum(a == "F" for a in x.axes[:axis])
    return replace(x, axes=(*x.axes[:axis], "F", *x.axes[axis:]), shape=(*x.shape[:at], 1, *x.shape[at:]), via=s.name)


def without_axis(s: Site, x: Value, axis: int) -> Value:
    """A value without a feature axis of size 1."""
    at, _ = around(x, axis)
    return replace(x, axes=(*x.axes[:axis], *x.axes[axis + 1:]), shape=(*x.shape[:at], *x.shape[at + 1:]), via=s.name)


def getitem(s: Site, tensor: Any, index: Any) -> Value:
    x = s.value(tensor)
    given = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in given:
        at = given.index(Ellipsis)
        fill = len(x.axes) - sum(g is not None for g in given) + 1
        given[at:at + 1] = [slice(None)] * fill
    axis = 0
    for item in given:
        if item is None:
            x = with_axis(s, x, axis)
            axis += 1
        elif isinstance(item, slice):
            x = _sliced(s, x, axis, item)
            axis += 1
        else:
            x = _picked(s, x, axis, item)
    return x


def _sliced(s: Site, x: Value, axis: int, item: slice) -> Value:
    if any(v is not None and not isinstance(v, int) for v in (item.start, item.stop, item.step)):
        s.refuse("a slice whose ends change from tick to tick or depend on the input")
    chosen = range(*item.indices(x.sizes(s.extent)[axis]))
    if x.axes[axis] == "F" and chosen and chosen.step > 0:
        return part(s, x, axis, chosen)
    if len(chosen) != x.sizes(s.extent)[axis]:
        s.refuse(f"a slice of the axis of time or batch of a tensor {described(x)}")
    return x


def _picked(s: Site, x: Value, axis: int, item: Any) -> Value:
    letter = x.axes[axis]
    without = replace(x, axes=(*x.axes[:axis], *x.axes[axis + 1:]))
    if letter == "T" and isinstance(item, Tick):
        return without
    if not isinstance(item, int):
        s.refuse(f"an index that is no number, into a tensor {described(x)}", "numbers and slices")
    place = item % x.sizes(s.extent)[axis]
    if letter == "F":
        return without_axis(s, part(s, x, axis, range(place, place + 1)), axis)
    if letter == "T" and x.decode is None and s.extent["T"] > 1:
        return replace(without, tick=place)
    s.refuse(f"one entry along time or batch of a tensor {described(x)}", "a loop over time takes every tick in turn; "
             "give an example input with 2 ticks or more")


def narrow(s: Site, x: Any, dim: int, start: int, length: int) -> Value:
    x = s.value(x)
    return _sliced(s, x, dim % len(x.axes), slice(start, start + length))


def select(s: Site, x: Any, dim: int, index: Any) -> Value:
    x = s.value(x)
    return _picked(s, x, dim % len(x.axes), index)


def split(s: Site, x: Any, *_: Any, dim: int | None = None, **__: Any) -> tuple[Value, ...]:
    """Also `chunk` and `tensor_split`: the parts are those of the recorded results."""
    x = s.value(x)
    axis = (dim if dim is not None else _[1] if len(_) > 1 else 0) % len(x.axes)
    if x.axes[axis] != "F":
        s.refuse(f"{s.call.name} of the axis of time or batch of a tensor {described(x)}")
    parts: list[Value] = []
    start = 0
    for result in s.call.results:
        stop = start + result.shape[axis]
        parts.append(part(s, x, axis, range(start, stop)))
        start = stop
    return tuple(parts)


def unbind(s: Site, x: Any, dim: int = 0) -> tuple[Value, ...]:
    x = s.value(x)
    axis = dim % len(x.axes)
    if x.axes[axis] == "T":
        one = replace(x, axes=(*x.axes[:axis], *x.axes[axis + 1:]))
        return tuple(replace(one, tick=t) for t in range(s.extent["T"])) if s.extent["T"] > 1 else (one,)
    return tuple(_picked(s, x, axis, i) for i in range(len(s.call.results)))


def cat(s: Site, tensors: Any, dim: int = 0) -> Value:
    values = [s.value(t, "one of several") for t in tensors]
    axis = dim % len(values[0].axes)
    first = values[0]
    begins = first.axes[axis] == "F" and "F" not in first.axes[:axis] and first.sizes(s.extent)[axis] == 1
    if len(values) == s.ticks and in_order(values) and begins:
        return _with_time(s, without_axis(s, first, axis), axis)
    if first.axes[axis] != "F" or any(v.axes != first.axes or not v.decided_as(first) for v in values):
        s.refuse(f"{s.call.name} of tensors {', '.join(map(described, values[:4]))}", "features may be joined; time "
                 "by the ticks of a loop, all of them in order")
    at, _ = around(first, axis)
    total, start = sum(v.shape[at] for v in values), 0
    parts: list[Value] = []
    for v in values:
        amounts = [(0, 0)] * len(v.shape)
        amounts[at] = (start, total - start - v.shape[at])
        parts.append(s.emit(v, Pad(tuple(amounts)), name=f"{s.name}.{len(parts)}"))
        start += v.shape[at]
    return s.add(parts) if len(parts) > 1 else first


def stack(s: Site, tensors: Any, dim: int = 0) -> Value:
    values = [s.value(t, "one of several") for t in tensors]
    first = values[0]
    axis = dim % (len(first.axes) + 1)
    if len(values) == s.ticks and in_order(values):
        return _with_time(s, first, axis)
    if all(v == first for v in values) and len(values) > 1 and "F" not in first.axes[:axis] \
            and not any("T" in a for a in first.axes):
        _is_frame(s, first)
        s.extent["T"] = len(values)
        return _with_time(s, first, axis)
    return cat(s, [replace(with_axis(s, v, axis), via=f"{s.name}.{i}") for i, v in enumerate(values)], axis)


def _with_time(s: Site, x: Value, axis: int) -> Value:
    s.extent.setdefault("T", s.ticks)
    return replace(x, axes=(*x.axes[:axis], "T", *x.axes[axis:]), tick=None)


def pad(s: Site, x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Value:
    x = s.value(x)
    amounts = [(0, 0)] * len(x.axes)
    for i, pair in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        amounts[-1 - i] = pair
    moved = [a for a, letter in zip(amounts, x.axes, strict=True) if letter != "F"]
    if mode != "constant" or value or np.any(moved) or min(map(min, amounts)) < 0:
        s.refuse(f"pad of a tensor {described(x)} by {list(pad)}, mode {mode}, value {value}",
                 "zeros around features")
    return s.emit(x, Pad(tuple(a for a, letter in zip(amounts, x.axes, strict=True) if letter == "F")))


SHAPES: Mapping[str, Handler] = {
    **dict.fromkeys(("view", "reshape", "unflatten", "view_as", "reshape_as"), reshape),
    "flatten": flatten, "unsqueeze": unsqueeze, "squeeze": squeeze,
    "permute": permute, **dict.fromkeys(("transpose", "swapaxes", "swapdims"), transpose),
    **dict.fromkeys(("t", "T"), reverse), **dict.fromkeys(("movedim", "moveaxis"), movedim),
    **dict.fromkeys(("repeat", "expand", "expand_as", "tile", "broadcast_to"), repeat),
    "getitem": getitem, "narrow": narrow, "select": select, "unbind": unbind,
    **dict.fromkeys(("split", "chunk", "tensor_split", "split_with_sizes"), split),
    **dict.fromkeys(("cat", "concat", "concatenate"), cat), "stack": stack, "pad": pad,
}
