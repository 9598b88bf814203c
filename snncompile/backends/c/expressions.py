"""Integer programs as C: every temporary in the narrowest type that interval analysis proves enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from snncompile.backends.c.layout import accumulator_type
from snncompile.ir.expr import Program, Step
from snncompile.ir.operations import Interval

BITS = {"int16_t": 16, "int32_t": 32, "int64_t": 64}


@dataclass(frozen=True)
class Line:
    """`const type name = text;`"""

    type: str
    name: str
    text: str


@dataclass(frozen=True)
class Operand:
    """A C expression without side effects, its type, and the range of its values."""

    text: str
    type: str
    range: Interval


def lines_of(program: Program, ranges: tuple[Interval, ...],
             leaf: Callable[[Step], str]) -> tuple[list[Line], list[str]]:
    """The statements of a program, and the C operand that holds each step.

    Args:
        leaf: the C expression of a `param`, `state` or `input`; for a `lut`, its table and the table's length.
    """
    lines: list[Line] = []
    operands: list[Operand] = []
    for i, step in enumerate(program.steps):
        number = _number(step, leaf)
        if number is not None:
            operands.append(Operand(literal(number), accumulator_type(number, number), ranges[i]))
            continue
        kind = accumulator_type(*ranges[i])
        lines.append(Line(kind, f"t{i}", _text(step, [operands[a] for a in step.args], kind, leaf)))
        operands.append(Operand(f"t{i}", kind, ranges[i]))
    return lines, [o.text for o in operands]


def _number(step: Step, leaf: Callable[[Step], str]) -> int | None:
    """The value of a constant, or of a parameter that is the same for all neurons."""
    value: Any = step.value
    if step.op == "const":
        return int(value)
    text = leaf(step) if step.op == "param" else ""
    return int(text) if text.lstrip("-").isdigit() else None


def literal(value: int) -> str:
    """An integer constant that C reads as that value, whatever its size."""
    if value == -(1 << 31):
        return "(-2147483647 - 1)"
    text = f"INT64_C({value})" if not -(1 << 31) <= value < 1 << 31 else str(value)
    return f"({text})" if value < 0 else text


def _text(step: Step, args: list[Operand], kind: str, leaf: Callable[[Step], str]) -> str:
    a, b = ([*(o.text for o in args), "", ""])[:2]
    match step.op:
        case "param" | "state" | "input":
            return leaf(step)
        case "add" | "sub" | "mul" | "and":
            return _arithmetic({"add": "+", "sub": "-"}.get(step.op, "*"), args[0], args[1], kind)
        case "neg":
            return _arithmetic("-", Operand("0", "int16_t", (0, 0)), args[0], kind)
        case "min" | "max" | "or":
            return f"{a} {'<' if step.op == 'min' else '>'} {b} ? {a} : {b}"
        case "ge" | "gt":
            return f"{a} {'>=' if step.op == 'ge' else '>'} {b}"
        case "not":
            return _arithmetic("-", Operand("1", "int16_t", (1, 1)), args[0], kind)
        case "abs":
            return f"({kind})({a} < 0 ? -{_wide(args[0], kind)} : {a})"
        case "sign":
            return f"({a} > 0) - ({a} < 0)"
        case "select":
            return f"{a} ? {b} : {args[2].text}"
        case "floordiv":
            return f"({kind})snn_floor_div({a}, {b})"
        case "shr":
            return _shift(step, args[0], kind)
        case "wrap":
            return f"({kind})snn_wrap({a}, {step.value})"
    assert step.op == "lut"
    value: Any = step.value
    return f"snn_look_up({leaf(step)}, {a}, {literal(value[1])}, {value[2]})"


def _arithmetic(sign: str, a: Operand, b: Operand, kind: str) -> str:
    """`a sign b` in a type that holds the result, and cast to that type where it was computed in another."""
    widest = max(BITS[a.type], BITS[b.type])
    text = f"{a.text if widest >= BITS[kind] else _wide(a, kind)} {sign} {b.text}"
    return f"({kind})({text})" if kind == "int16_t" or widest > BITS[kind] else text


def _wide(a: Operand, kind: str) -> str:
    """An operand in the type of the result, so that the operation does not overflow `int`, of whatever width."""
    return a.text if kind == "int16_t" or BITS[a.type] >= BITS[kind] else f"({kind}){a.text}"


def _shift(step: Step, a: Operand, kind: str) -> str:
    """`a / 2**bits`, rounded as the step says; the addend of the rounding is part of the range."""
    value: Any = step.value
    bits, rounding = value
    low, high = a.range
    addend = {"floor": 0, "zero": (1 << bits) - 1, "nearest": (1 << bits) >> 1}[rounding]
    if addend == 0 or (rounding == "zero" and low >= 0):
        text = f"{a.text} >> {min(bits, BITS[a.type] - 1)}"
    else:
        added = literal(addend) if rounding == "nearest" else f"(({a.text} >> {BITS[a.type] - 1}) & {literal(addend)})"
        text = f"({_wide(a, accumulator_type(low, high + addend))} + {added}) >> {bits}"
    return f"({kind})({text})" if BITS[kind] < 64 else text
