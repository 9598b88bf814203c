"""Integer programs as C: every temporary in the narrowest type that interval analysis proves enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from snncompile.backends.c.layout import accumulator_type
from snncompile.ir.expr import Program, Step
from snncompile.ir.ranges import Interval

BITS = {"int16_t": 16, "int32_t": 32, "int64_t": 64}


@dataclass(frozen=True)
class Line:
    """`const type name = text;`"""

    type: str
    name: str
    text: str


def lines_of(program: Program, ranges: tuple[Interval, ...],
             leaf: Callable[[Step], str]) -> tuple[list[Line], list[str]]:
    """The statements of a program, and the C operand that holds each step.

    Args:
        leaf: the C expression of a `param`, `state` or `input`; for a `lut`, its table and the table's length.
    """
    lines: list[Line] = []
    names: list[str] = []
    for i, step in enumerate(program.steps):
        if step.op == "const":
            names.append(literal(_whole(step.value)))
            continue
        if step.op == "param" and (text := leaf(step)).lstrip("-").isdigit():
            names.append(literal(int(text)))
            continue
        kind = accumulator_type(*ranges[i])
        args = [names[a] for a in step.args]
        lines.append(Line(kind, f"t{i}", _text(step, args, [ranges[a] for a in step.args], kind, leaf)))
        names.append(f"t{i}")
    return lines, names


def _whole(value: Any) -> int:
    return int(value)


def literal(value: int) -> str:
    """An integer constant that C reads as that value, whatever its size."""
    if value == -(1 << 31):
        return "(-2147483647 - 1)"
    text = f"INT64_C({value})" if not -(1 << 31) <= value < 1 << 31 else str(value)
    return f"({text})" if value < 0 else text


def _text(step: Step, args: list[str], ranges: list[Interval], kind: str, leaf: Callable[[Step], str]) -> str:
    a, b = ([*args, "", ""])[:2]
    match step.op:
        case "param" | "state" | "input":
            return leaf(step)
        case "add" | "sub" | "mul":
            sign = {"add": "+", "sub": "-", "mul": "*"}[step.op]
            return f"({kind})({_wide(a, kind)} {sign} {b})"
        case "min" | "max":
            return f"{a} {'<' if step.op == 'min' else '>'} {b} ? {a} : {b}"
        case "ge" | "gt":
            return f"{a} {'>=' if step.op == 'ge' else '>'} {b}"
        case "and" | "or":
            return f"{a} {'&' if step.op == 'and' else '|'} {b}"
        case "not":
            return f"!{a}"
        case "neg":
            return f"({kind})(-{_wide(a, kind)})"
        case "abs":
            return f"({kind})({a} < 0 ? -{_wide(a, kind)} : {a})"
        case "sign":
            return f"({a} > 0) - ({a} < 0)"
        case "select":
            return f"{a} ? {args[1]} : {args[2]}"
        case "floordiv":
            return f"({kind})snn_floor_div({a}, {b})"
        case "shr":
            return _shift(step, a, ranges[0], kind)
        case "wrap":
            return f"({kind})snn_wrap({a}, {step.value})"
    assert step.op == "lut"
    value: Any = step.value
    return f"snn_look_up({leaf(step)}, {a}, {literal(value[1])}, {value[2]})"


def _wide(operand: str, kind: str) -> str:
    """An operand in the type of the result, so that the operation does not overflow `int`, of whatever width."""
    return operand if kind == "int16_t" else f"({kind}){operand}"


def _shift(step: Step, a: str, interval: Interval, kind: str) -> str:
    """`a / 2**bits`, rounded as the step says; the addend of the rounding is part of the range."""
    value: Any = step.value
    bits, rounding = value
    low, high = interval
    addend = {"floor": 0, "zero": (1 << bits) - 1, "nearest": 1 << (bits - 1)}[rounding]
    wide = accumulator_type(low, high + addend)
    if rounding == "floor" or (rounding == "zero" and low >= 0):
        return f"({kind})({a} >> {bits})"
    if rounding == "nearest":
        return f"({kind})(({wide})({_wide(a, wide)} + {literal(addend)}) >> {bits})"
    width = BITS[accumulator_type(low, high)]
    return f"({kind})(({wide})({_wide(a, wide)} + (({a} >> {width - 1}) & {literal(addend)})) >> {bits})"
