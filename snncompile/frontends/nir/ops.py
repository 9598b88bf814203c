"""Makes the operator of a NIR node for the shape of its input, by one function per node type (`READERS`)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.frontends.nir.conventions import Choices
from snncompile.frontends.nir.file import NirNode
from snncompile.frontends.nir.neurons import NeuronNode, collapse, read_neuron, unbatched
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Identity, Input, Linear, Output, Reshape, Scale, SumPool
from snncompile.ir.types import Array, Shape

MAX_SPATIAL = 1 << 20
MAX_PADDING = 1 << 12
MAX_ELEMENTS = 1 << 31


@dataclass
class Site:
    """A node of the file, with what is needed to make its operator.

    Attributes:
        name: the node's full name.
        arriving: the shape of its input, without a batch axis.
        batched: whether shapes in the file begin with a batch axis.
        choices: the answers to what NIR leaves open.
        problems: receives warnings.
        stripped: receives the node's name where a batch axis was removed.
    """

    name: str
    node: NirNode
    arriving: Shape
    batched: bool
    choices: Choices
    problems: Collector
    stripped: list[str] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"node {shorten(self.name)}"

    def array(self, key: str) -> Array:
        """A field of numbers. Raises SNN102 where it is a text."""
        value = self.node.fields[key]
        if isinstance(value, str):
            fail("SNN102", f"{self.place}, {key}", f"the text {shorten(value)}", "numbers")
        return value

    def ints(self, key: str, low: int, high: int) -> list[int]:
        """A field of integers from `low` to `high`, at most 16 of them. Raises SNN203 for anything else."""
        array = self.array(key)
        values = [int(v) for v in array.ravel()] if array.dtype.kind in "iu" and array.size <= 16 else []
        if len(values) < array.size or not all(low <= v <= high for v in values):
            fail("SNN203", f"{self.place}, {key}", shorten(array[:16].tolist() if array.ndim else array.item()),
                 f"integers from {low} to {high}")
        return values

    def each(self, key: str, axes: int, low: int, high: int) -> tuple[int, ...]:
        """A field of one integer per axis; a single integer stands for all axes."""
        values = self.ints(key, low, high)
        if len(values) not in (1, axes):
            fail("SNN102", f"{self.place}, {key}", f"{len(values)} numbers", f"1 or {axes} numbers")
        return tuple(values * axes if len(values) == 1 else values)

    def single(self, key: str, low: int, high: int) -> int:
        """A field of one integer."""
        return self.each(key, 1, low, high)[0]

    def weight(self, *axes: str) -> Array:
        """The field `weight`, with as many axes as named; superfluous leading axes of length 1 are removed."""
        weight = self.array("weight")
        while weight.ndim > len(axes) and weight.shape[0] == 1:
            weight = weight[0]
        if weight.ndim != len(axes) or 0 in weight.shape:
            fail("SNN104", f"{self.place}, weight", f"the shape {list(weight.shape)}", f"a shape [{', '.join(axes)}]")
        return weight

    def bias(self, out: int) -> Array | None:
        """The field `bias` as `[out]`; None where it is all zeros, because that is how NIR writes a missing bias."""
        bias = self.array("bias")
        if bias.size != out:
            fail("SNN202", f"{self.place}, bias", f"the shape {list(bias.shape)}", f"the shape [{out}]")
        return bias.reshape(out) if bias.any() or self.node.metadata.get("zero_bias") else None

    def described(self, key: str, words: Sequence[str]) -> dict[str, Any]:
        """The JSON object of numbers and texts in the metadata of an Input or Output.

        Args:
            key: the name under which the metadata keep it; without it, the result is empty.

        Raises:
            CompileError: SNN102 where the text is damaged or has other keys than `words`.
        """
        text = self.node.metadata.get(key)
        if text is None:
            return {}
        try:
            described = json.loads(text)
            good = set(described) <= set(words) and all(
                isinstance(v, str) or (isinstance(v, (int, float)) and math.isfinite(v)) for v in described.values())
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            good = False
        if not good:
            fail("SNN102", f"{self.place}, metadata, {key}", shorten(text), f"a JSON object with {', '.join(words)}")
        return dict(described)


def _input(s: Site) -> Op:
    shape = tuple(s.ints("shape", 1, MAX_ELEMENTS))
    if s.batched and len(shape) > 1 and shape[0] == 1:
        s.stripped.append(s.name)
        shape = shape[1:]
    if not 1 <= len(shape) <= 8 or math.prod(shape) > MAX_ELEMENTS:
        fail("SNN203", f"{s.place}, shape", str(list(shape)), f"1 to 8 axes, at most {MAX_ELEMENTS} values")
    kept = s.described("input", ("values", "low", "high", "unit"))
    own = kept.pop("values", None)
    values = s.choices.given.get("values") or own or s.choices.pick("values", s.name)
    if values not in ("spike", "real") or any(isinstance(v, str) for v in kept.values()):
        fail("SNN102", f"{s.place}, metadata, input", shorten(kept), "values of spike or real, and numbers")
    return Input(shape, values, **kept)


def _output(s: Site) -> Op:
    declared = math.prod(s.ints("shape", 0, MAX_ELEMENTS))
    if s.array("shape").size and declared != math.prod(s.arriving):
        s.problems.warn("SNN202", s.place, f"the shape {s.array('shape').tolist()}, but values of {list(s.arriving)} "
                        "arrive", help="the shape that arrives was used")
    decode = s.choices.given.get("decode") or s.described("output", ("decode",)).get("decode")
    if decode not in ("rate", "last", "max", None):
        fail("SNN102", f"{s.place}, metadata, output", shorten(decode), "rate, last or max")
    return Output(decode or s.choices.pick("decode", s.name))


def _linear(s: Site) -> Op:
    weight = s.weight("out", "in")
    return Linear(weight, s.bias(len(weight)) if s.node.type == "Affine" else None)


def _scale(s: Site) -> Op:
    if "neuron" in s.node.metadata:
        return _neuron(s)
    if s.node.metadata.get("op") == "identity":
        return Identity()
    factor = unbatched(s.array("scale"), s.arriving, f"{s.place}, scale")
    kept = s.node.metadata.get("factor")
    if isinstance(kept, (int, float, np.ndarray)) and _same(kept, factor, s.arriving):
        return Scale(kept)
    return Scale(collapse(factor))


def _same(kept: Any, factor: Array, shape: Shape) -> bool:
    """Whether both broadcast to the same values of this shape."""
    try:
        return bool((np.broadcast_to(kept, shape) == factor).all())
    except ValueError:
        return False


def _conv(s: Site) -> Op:
    weight = s.weight("out", "in/groups", *("kernel",) * (1 if s.node.type == "Conv1d" else 2))
    axes = weight.ndim - 2
    dilation = s.each("dilation", axes, 1, MAX_SPATIAL)
    groups = s.single("groups", 1, MAX_SPATIAL)
    if len(weight) % groups:
        fail("SNN203", f"{s.place}, groups", f"{groups} groups of {len(weight)} channels",
             "a number that divides the channels")
    padding = s.node.fields["padding"]
    if isinstance(padding, str):
        pads = _named_padding(s, padding, weight.shape[2:], dilation)
    else:
        pads = tuple((p, p) for p in s.each("padding", axes, 0, MAX_PADDING))
    return Conv(weight, s.bias(len(weight)), s.each("stride", axes, 1, MAX_SPATIAL), pads, dilation, groups)


def _named_padding(s: Site, padding: str, kernel: Shape, dilation: Shape) -> tuple[tuple[int, int], ...]:
    """The padding before and after each axis that a word stands for.

    As in PyTorch, `same` pads an axis by `dilation * (kernel - 1)` values in all. Where that is odd, there is one more
    after the axis than before it.
    """
    if padding not in ("same", "valid"):
        fail("SNN102", f"{s.place}, padding", shorten(padding), "same, valid, or numbers")
    total = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
    return tuple((n // 2, n - n // 2) for n in total)


def _pool(s: Site) -> Op:
    kind = SumPool if s.node.type == "SumPool2d" else AvgPool
    pads = tuple((p, p) for p in s.each("padding", 2, 0, MAX_PADDING))
    return kind(s.each("kernel_size", 2, 1, MAX_SPATIAL), s.each("stride", 2, 1, MAX_SPATIAL), pads)


def _flatten(s: Site) -> Op:
    """The reshape that merges the axes from `start_dim` to `end_dim`.

    These numbers count a batch axis where the file's shapes have one, or where `input_type` has one more axis than the
    input.
    """
    axes = len(s.arriving)
    own = s.node.fields.get("input_type")
    batch = 1 if s.batched or (isinstance(own, np.ndarray) and own.size == axes + 1) else 0
    start, end = (s.single(key, -axes - 1, axes) for key in ("start_dim", "end_dim"))
    first = max(start - batch, 0) if start >= 0 else start + axes
    last = end - batch if end >= 0 else end + axes
    if not 0 <= first <= last < axes:
        fail("SNN203", s.place, f"the axes {start} to {end} of the shape {list(s.arriving)}",
             "two existing axes, the first not behind the second")
    if batch:
        s.stripped.append(s.name)
    merged = math.prod(s.arriving[first:last + 1])
    return Reshape((*s.arriving[:first], merged, *s.arriving[last + 1:]))


def _neuron(s: Site) -> Op:
    return read_neuron(NeuronNode(s.name, s.node, s.arriving, s.choices, s.problems))


READERS: Mapping[str, Callable[[Site], Op]] = {
    "Input": _input,
    "Output": _output,
    "Linear": _linear,
    "Affine": _linear,
    "Scale": _scale,
    "Conv1d": _conv,
    "Conv2d": _conv,
    "SumPool2d": _pool,
    "AvgPool2d": _pool,
    "Flatten": _flatten,
    **dict.fromkeys(("Threshold", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF"), _neuron),
}
