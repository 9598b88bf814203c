"""Checks of the attributes of one operator: that they have the annotated types, and values that the operator allows.

Graphs are read from files, which may hold anything. Code that runs after this check can rely on the annotations of the
operators.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache, reduce
from typing import Any, NamedTuple

import numpy as np

from snncompile.diagnostics import shorten
from snncompile.ir.expr import Program, Step
from snncompile.ir.op import Op
from snncompile.ir.operations import OPERATIONS, ROUNDINGS, arity
from snncompile.ir.ops import Conv, Input, Linear, Pad, Pool, Reshape, Upsample
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import Firing, Quantity, Traced
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.token_mix import TokenMix
from snncompile.ir.types import Shape, ShapeOnly, Weight

MAX_BITS = 62
"""The largest shift, and the largest width of a `wrap`, in an integer program."""
MAX_WEIGHT_BITS = 32
"""The largest width of a weight of which only the shape is known."""
INT64 = range(-(1 << 63), 1 << 63)


class Fault(NamedTuple):
    """An attribute that is wrong, what it holds in words, and what it may hold in words."""

    attribute: str
    found: str
    expected: str


Demand = tuple[str, bool, str]
"""An attribute, whether its value is allowed, and what is allowed in words."""


def faults(op: Op) -> list[Fault]:
    """What is wrong with the attributes of an operator. Whether shapes fit between operators is checked by `verify`."""
    wrong = _mistyped(op) or [f for n, v in op.arrays.items() if isinstance(v, ShapeOnly) for f in _bare(n, v)]
    if wrong:
        return wrong
    for kind, demands in DEMANDS.items():
        if isinstance(op, kind):
            return [Fault(name, describe(getattr(op, name, "")), limit) for name, ok, limit in demands(op) if not ok]
    return []


def _bare(name: str, value: ShapeOnly) -> Iterator[Fault]:
    """What is wrong with the attributes of a weight without numbers."""
    bits, density = value.bits, value.density
    if bits is not None and not (WHOLE(bits) and 1 <= bits <= MAX_WEIGHT_BITS):
        yield Fault(name, f"bits {shorten(bits)}", f"1 to {MAX_WEIGHT_BITS} bits")
    if density is not None and not (REAL(density) and 0 < density <= 1):
        yield Fault(name, f"density {shorten(density)}", "above 0, at most 1")


def matches(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type. A bool is not a number, and integers have to fit 64 bits."""
    return checker(hint)(value)


def checker(hint: Any) -> Callable[[Any], bool]:
    """A function that tells whether a value is of an annotated type; see `matches`.

    It is made once for each annotation, since graphs are checked after every pass.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return lambda value: True
    if origin in (typing.Union, types.UnionType):
        return reduce(_either, map(checker, args))
    if origin is typing.Literal:
        return lambda value: any(type(value) is type(a) and value == a for a in args)
    if origin is np.ndarray:
        return lambda value: isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    if origin is tuple:
        return _tuple_checker(args)
    kind = origin or hint
    if kind in (int, float):
        return lambda value: value in INT64 if type(value) is int else (
            isinstance(value, kind) and not isinstance(value, bool))
    return lambda value: isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _either(first: Callable[[Any], bool], second: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: first(value) or second(value)


def _tuple_checker(args: tuple[Any, ...]) -> Callable[[Any], bool]:
    if args[-1:] == (...,):
        item = checker(args[0])
        return lambda value: isinstance(value, tuple) and all(map(item, value))
    if len(set(args)) == 1:
        item = checker(args[0])
        return lambda value: isinstance(value, tuple) and len(value) == len(args) and all(map(item, value))
    items = tuple(map(checker, args))
    return lambda value: isinstance(value, tuple) and len(value) == len(items) and all(
        check(v) for check, v in zip(items, value, strict=True))


def describe(value: Any) -> str:
    """A value in words, for a message: the shape of an array, or the value itself, shortened."""
    if isinstance(value, (np.ndarray, ShapeOnly)):
        return f"an array of {list(value.shape)}"
    return shorten(value)


@cache
def checks_of(kind: Any) -> tuple[tuple[str, str, Callable[[Any], bool]], ...]:
    """The fields of a dataclass: name, annotation as text, and a test of a value against it."""
    hints = typing.get_type_hints(kind)
    return tuple((f.name, str(f.type), checker(hints[f.name])) for f in dataclasses.fields(kind))


FIRING_HINTS = typing.get_type_hints(Firing)
NUMBERS, REAL, WHOLE, TEXT = checker(Weight | float), checker(float), checker(int), checker(str)
SHIFTED, LOOKED_UP = checker(tuple[int, str]), checker(tuple[str, int, int])


def _mistyped(instance: Op | Firing | Quantity) -> list[Fault]:
    """The fields whose values are not of the annotated types."""
    kind: Any = type(instance)
    return [Fault(name, describe(getattr(instance, name)), words) for name, words, check in checks_of(kind)
            if not check(getattr(instance, name))]


def _sizes(values: tuple[int, ...]) -> bool:
    return all(v >= 1 for v in values)


def _shape(shape: Shape) -> Demand:
    return "shape", len(shape) > 0 and _sizes(shape), "one axis or more, of sizes of 1 or more"


def _pads(values: tuple[tuple[int, int], ...]) -> bool:
    return all(v >= 0 for pair in values for v in pair)


def _input(op: Input) -> Iterator[Demand]:
    yield _shape(op.shape)
    yield "low", math.isfinite(op.low) and math.isfinite(op.high) and op.low <= op.high, "low <= high, both finite"
    yield "unit", math.isfinite(op.unit) and op.unit > 0, "above 0"
    if op.values == "spike":
        whole = op.low % 1 == 0 and op.high % 1 == 0
        yield "high", whole and op.low <= 0 < op.high, "spikes are whole numbers, 0 and 1 among them"


def _bias(bias: Weight | None, out: int) -> Demand:
    return "bias", bias is None or bias.shape == (out,), f"[{out}]"


def _linear(op: Linear) -> Iterator[Demand]:
    yield "weight", len(op.weight.shape) == 2 and _sizes(op.weight.shape), "[out, in]"
    yield _bias(op.bias, op.weight.shape[0] if op.weight.shape else 0)


def _conv(op: Conv) -> Iterator[Demand]:
    axes = len(op.kernel)
    whole = axes in (1, 2) and _sizes(op.weight.shape)
    yield "weight", whole, "[out, in/groups, *kernel] with one or two kernel axes"
    yield _bias(op.bias, op.weight.shape[0] if op.weight.shape else 0)
    yield "stride", len(op.stride) == axes and _sizes(op.stride), f"{axes} numbers of 1 or more"
    yield "padding", len(op.padding) == axes and _pads(op.padding), f"{axes} pairs of 0 or more"
    yield "dilation", len(op.dilation) == axes and _sizes(op.dilation), f"{axes} numbers of 1 or more"
    yield "groups", whole and op.groups >= 1 and op.weight.shape[0] % op.groups == 0, "a divisor of the outputs"


def _token_mix(op: TokenMix) -> Iterator[Demand]:
    yield "weight", len(op.weight.shape) == 3 and _sizes(op.weight.shape), "[heads, out, in]"
    yield "bias", op.bias is None or op.bias.shape == op.weight.shape[:2], "[heads, out]"


def _spike_product(op: SpikeProduct) -> Iterator[Demand]:
    yield "heads", op.heads >= 1, "1 or more"
    yield "terms", op.terms >= 1, "1 or more"
    if op.heads >= 1:
        yield "left", op.left >= 1 and op.left % op.heads == 0, f"a multiple of the {op.heads} heads"
    if op.over == "channels":
        yield "left", op.left == op.heads * op.terms, f"{op.terms} channels for each of {op.heads} heads"
    if op.over == "nothing":
        yield "terms", op.terms == 1 == op.heads, "1, and one head"


def _pool(op: Pool) -> Iterator[Demand]:
    axes = len(op.kernel)
    yield "kernel", axes in (1, 2) and _sizes(op.kernel), "one or two numbers of 1 or more"
    yield "stride", len(op.stride) == axes and _sizes(op.stride), f"{axes} numbers of 1 or more"
    yield "padding", len(op.padding) == axes and _pads(op.padding), f"{axes} pairs of 0 or more"


def _upsample(op: Upsample) -> Iterator[Demand]:
    yield "factor", _sizes(op.factor), "numbers of 1 or more"


def _reshape(op: Reshape) -> Iterator[Demand]:
    yield _shape(op.shape)


def _pad(op: Pad) -> Iterator[Demand]:
    yield "amounts", _pads(op.amounts), "pairs of 0 or more"


def _neuron(op: Neuron) -> Iterator[Demand]:
    for name, value in (*op.params.items(), *op.initial.items()):
        if not NUMBERS(value):
            yield name, False, f"{name}: a number or an array, not {describe(value)}"
    for fault in _mistyped(op.firing):
        yield "firing", False, f"{fault.attribute}: {FIRING_HINTS[fault.attribute]}"
    if isinstance(op.firing.max_spikes, int):
        yield "firing", op.firing.max_spikes >= 1, "max_spikes: 1 or more"
    allowed = all(n in op.rule.options and v in op.rule.options[n] for n, v in op.options.items())
    if not allowed:
        yield "options", False, f"{dict(op.rule.options)}"
    elif op.initial and not _mistyped(op.firing):
        yield "initial", set(op.initial) <= set(op.traced.states), f"the states {sorted(op.traced.states)}"
    if isinstance(op.rule.function, Traced):
        yield from _fixed(op, op.rule.function)


def _fixed(op: Neuron, traced: Traced) -> Iterator[Demand]:
    """What is demanded of a rule that is a program already, such as one that was read from a file."""
    for name, quantity in (*op.rule.params.items(), *traced.states.items()):
        yield "rule", not _mistyped(quantity), f"{name}: a dimension and a default"
    yield "rule", all(q.default is not None for q in traced.states.values()), "a default for every state"
    yield from _program(traced.program, traced.states, lambda step: _real_step(op, traced, step))


def _program(program: Program, states: Mapping[str, Any], good: Callable[[Step], bool]) -> Iterator[Demand]:
    """What is demanded of a program with these states; `good` tells whether the constant of a step is right."""
    for i, step in enumerate(program.steps):
        fine = len(step.args) == arity(step.op) and all(0 <= a < i for a in step.args)
        yield "program", fine and good(step), f"step {i} to be an operation of this stage on earlier steps"
    count = range(len(program.steps))
    ends = program.output in count and all(i in count for _, i in program.next_state)
    nexts = [n for n, _ in program.next_state]
    yield "program", ends and sorted(nexts) == sorted(states), "one next value for every state"


def _real_step(op: Neuron, traced: Traced, step: Step) -> bool:
    """Whether the constant of a step is one that its operation can have in a real program."""
    match step.op:
        case "const":
            return REAL(step.value)
        case "param":
            return isinstance(step.value, str) and step.value in op.params
        case "state":
            return isinstance(step.value, str) and step.value in traced.states
    return step.value is None and (step.op == "input" or OPERATIONS[step.op].domain != "integer")


def _population(op: Population) -> Iterator[Demand]:
    for name, value in op.params.items():
        yield "params", _integers(value), f"{name}: a whole number or an array of them"
    for name, state in op.states.items():
        whole = WHOLE(state.bits) and 1 <= state.bits <= 64 and _integers(state.initial)
        yield "states", whole, f"{name}: 1 to 64 bits, a whole first value"
    yield "unit", NUMBERS(op.unit), "a number or an array"
    yield from _program(op.program, op.states, lambda step: _step(op, step))


def _integers(value: Any) -> bool:
    return WHOLE(value) or (isinstance(value, np.ndarray) and value.dtype.kind in "biu")


def _step(op: Population, step: Step) -> bool:
    """Whether the constant of a step is one that its operation can have in an integer program."""
    value: Any = step.value
    match step.op:
        case "const":
            return WHOLE(value)
        case "param":
            return TEXT(value) and value in op.params and not _is_table(op, value)
        case "state":
            return TEXT(value) and value in op.states
        case "shr":
            return SHIFTED(value) and 0 <= value[0] <= MAX_BITS and value[1] in ROUNDINGS
        case "wrap":
            return WHOLE(value) and 1 <= value <= MAX_BITS
        case "lut":
            return LOOKED_UP(value) and 0 <= value[2] <= MAX_BITS and _table(op.params, value[0])
    return value is None and (step.op == "input" or OPERATIONS[step.op].domain != "real")


def _is_table(op: Population, name: str) -> bool:
    return any(s.op == "lut" and isinstance(s.value, tuple) and s.value[:1] == (name,) for s in op.program.steps)


def _table(params: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter can be the table of a look-up."""
    table = params.get(name)
    return isinstance(table, np.ndarray) and table.ndim == 1 and table.size > 0


DEMANDS: dict[type[Op], Callable[[Any], Iterator[Demand]]] = {
    Input: _input, Linear: _linear, Conv: _conv, Pool: _pool, Upsample: _upsample, Reshape: _reshape, Pad: _pad,
    TokenMix: _token_mix, SpikeProduct: _spike_product, Neuron: _neuron, Population: _population,
}
