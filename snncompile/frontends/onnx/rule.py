"""Translates element-wise ONNX nodes into expressions of a neuron rule; the table `ELEMENTS` lists the operators.

A function of the table takes the node, the expressions of its inputs (None for an input that is left out), and a
function `numbers`, which returns a constant input of the node as a number; see `expression`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.onnx.constants import expect_first_trunc, quant_range
from snncompile.frontends.onnx.dataflow import Element, cast_kind
from snncompile.frontends.onnx.file import Node
from snncompile.ir.expr import (
    Expr,
    absolute,
    binary,
    both,
    either,
    exp,
    floor,
    maximum,
    minimum,
    select,
    sign,
    tanh,
)


def expression(element: Element, args: Sequence[Expr | None], numbers: Callable[[int], Any]) -> Expr:
    """The expression of an element.

    Args:
        args: the expressions of its inputs, None where an optional one is left out.
        numbers: returns the constant input of an index as a number, or None where it is left out or not one number. For
            the word "type", it returns the smallest and largest integer of `QuantizeLinear`'s output.
    """
    built: Expr = ELEMENTS[element.node.op](element.node, args, numbers)
    return built


def one() -> Expr:
    return Expr("const", (), 1)


def negated(a: Expr) -> Expr:
    return Expr("not", (a,))


def equal(a: Expr, b: Expr) -> Expr:
    return both(a >= b, b >= a)


def half_even(a: Expr) -> Expr:
    """Round to the nearest whole number, and halves to the even one, as ONNX and NumPy do."""
    up = floor(a + 0.5)
    odd = up - (up // 2) * 2 >= 1
    return up - select(both(up >= a + 0.5, odd), one(), 0)


def ceiling(a: Expr) -> Expr:
    return -floor(-a)


def truncated(a: Expr) -> Expr:
    """Round toward zero."""
    return select(a >= 0, floor(a), ceiling(a))


def _folded(op: str) -> Callable[..., Expr]:
    """An operation of two operands, applied from left to right to any number of them."""
    def build(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
        total = args[0]
        for arg in args[1:]:
            total = binary(op, total, arg)
        return total

    return build


def _summed(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    """A sum without its constant zeros, which would leave the dimension of the sum open."""
    return _folded("add")(node, [a for a in args if not is_zero(a)] or args[:1], numbers)


def _multiplied(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    zeros = [a for a in args if is_zero(a)]
    return zeros[0] if zeros else _folded("mul")(node, args, numbers)


def _plain(make: Callable[..., Expr]) -> Callable[..., Expr]:
    return lambda node, args, numbers: make(*args)


def _compared(op: str, swap: bool = False) -> Callable[..., Expr]:
    """A comparison; `a - b > 0` becomes `a > b`, which is simpler and true for the same floating-point numbers.

    Args:
        op: `gt` or `ge`.
        swap: whether the operands change places, as for `Less`.
    """

    def build(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
        a, b = reversed(args) if swap else args
        if is_zero(b) and a.op == "sub":
            return binary(op, *a.args)
        if is_zero(a) and b.op == "sub":
            return binary(op, b.args[1], b.args[0])
        return binary(op, a, b)

    return build


def is_zero(a: Expr) -> bool:
    return a.op == "const" and a.value == 0


def _clip(node: Node, args: Sequence[Any], numbers: Any) -> Expr:
    low, high = (args[i] if i < len(args) else None for i in (1, 2))
    if "min" in node.attributes:
        low = Expr("const", (), float(node.attributes["min"]))
    if "max" in node.attributes:
        high = Expr("const", (), float(node.attributes["max"]))
    value: Expr = args[0] if low is None else maximum(args[0], low)
    return value if high is None else minimum(value, high)


def _pow(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    power: float | None = numbers(1)
    if power is None or power not in (1, 2, 3, 4, -1):
        fail("SNN104", node.place, f"the power {power}", "a constant power of 1, 2, 3, 4 or -1")
    if power == -1:
        return one() / args[0]
    value = args[0]
    for _ in range(int(power) - 1):
        value = value * args[0]
    return value


def _cast(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    if cast_kind(node) == "bool":
        return negated(equal(args[0], Expr("const", (), 0)))
    return truncated(args[0]) if cast_kind(node) == "int" else args[0]


def _leaky(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    return select(args[0] >= 0, args[0], args[0] * node.attributes.get("alpha", 0.01))


def _hard_sigmoid(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    line = args[0] * node.attributes.get("alpha", 0.2) + node.attributes.get("beta", 0.5)
    return maximum(minimum(line, 1), 0)


def _modulo(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    a, b = args
    return a - truncated(a / b) * b if node.attributes.get("fmod", 0) else a - (a // b) * b


# --- quantized values ------------------------------------------------------------------------------------


def _scaled(node: Node, args: Sequence[Any]) -> tuple[Expr, Expr, Expr]:
    """The first three inputs of a quantizer: the value, its step, and its zero point (0 where it is left out)."""
    zero = args[2] if len(args) > 2 and args[2] is not None else Expr("const", (), 0)
    return args[0], args[1], zero


def _quantize(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    x, scale, zero = _scaled(node, args)
    low, high = (0, 255) if numbers("type") is None else numbers("type")
    steps = half_even(x / scale)
    return minimum(maximum(steps if is_zero(zero) else steps + zero, low), high)


def _dequantize(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    x, scale, zero = _scaled(node, args)
    return (x if is_zero(zero) else x - zero) * scale


def _quant(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    x, scale, zero = _scaled(node, args)
    low, high = quant_range(node, float(numbers(3) or 8))
    steps = _rounded(node, x / scale if is_zero(zero) else x / scale + zero, "ROUND")
    kept = minimum(maximum(steps, low), high)
    return (kept if is_zero(zero) else kept - zero) * scale


def _trunc(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    expect_first_trunc(node)
    x, scale, zero = _scaled(node, args)
    dropped: float = 2.0 ** (float(numbers(3)) - float(numbers(4)))
    steps = half_even(x / scale if is_zero(zero) else x / scale + zero)
    kept = _rounded(node, steps / dropped, "FLOOR")
    return (kept if is_zero(zero) else kept - zero) * scale


def _bipolar(node: Node, args: Sequence[Expr], numbers: Any) -> Expr:
    return select(args[0] >= 0, args[1], -args[1])


def _rounded(node: Node, a: Expr, default: str) -> Expr:
    mode = node.attributes.get("rounding_mode", default).upper()
    if mode not in ROUNDINGS:
        fail("SNN104", node.place, f"the rounding mode {shorten(mode, 20)}", ", ".join(ROUNDINGS))
    rounded: Expr = ROUNDINGS[mode](a)
    return rounded


ROUNDINGS: Mapping[str, Callable[[Expr], Expr]] = {
    "ROUND": half_even, "HALF_EVEN": half_even, "FLOOR": floor, "CEIL": ceiling, "DOWN": truncated,
    "ROUND_TO_ZERO": truncated,
}

ELEMENTS: Mapping[str, Callable[..., Expr]] = {
    "Add": _summed, "Sub": _folded("sub"), "Mul": _multiplied, "Div": _folded("div"), "Sum": _summed,
    "Min": _folded("min"), "Max": _folded("max"), "Neg": _plain(lambda a: -a), "Abs": _plain(absolute),
    "Sign": _plain(sign), "Floor": _plain(floor), "Ceil": _plain(ceiling), "Round": _plain(half_even),
    "Exp": _plain(exp), "Tanh": _plain(tanh), "Sigmoid": _plain(lambda a: one() / (one() + exp(-a))),
    "Reciprocal": _plain(lambda a: one() / a), "Relu": _plain(lambda a: maximum(a, 0)), "LeakyRelu": _leaky,
    "HardSigmoid": _hard_sigmoid, "Mod": _modulo, "Pow": _pow, "Clip": _clip, "Cast": _cast, "Where": _plain(select),
    "Greater": _compared("gt"), "GreaterOrEqual": _compared("ge"), "Less": _compared("gt", True),
    "LessOrEqual": _compared("ge", True), "Equal": _plain(equal), "Not": _plain(negated), "And": _plain(both),
    "Or": _plain(either), "Xor": _plain(lambda a, b: negated(equal(a, b))), "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize, "Quant": _quant, "Trunc": _trunc, "BipolarQuant": _bipolar,
}
