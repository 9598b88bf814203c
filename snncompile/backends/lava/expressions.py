"""An integer program as NumPy statements over int64 arrays, one a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncompile.ir.expr import Program, Step
from snncompile.ir.operations import LEAVES

INFIX = {"add": "+", "sub": "-", "mul": "*", "and": "*", "floordiv": "//"}
CALLS = {"min": "np.minimum", "max": "np.maximum", "or": "np.maximum", "abs": "np.abs", "sign": "np.sign",
         "neg": "np.negative"}
COMPARED = {"ge": "np.greater_equal", "gt": "np.greater"}


def statements(program: Program, leaves: Mapping[Step, str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The statements of a program, each a name and an expression, and for every step the operand that reads it.

    Args:
        leaves: what states, parameters and the input are called, and by ("lut",) steps' tables, by step.
    """
    lines: list[tuple[str, str]] = []
    operands: list[str] = []
    for i, step in enumerate(program.steps):
        if step.op in LEAVES:
            operands.append(f"np.int64({step.value})" if step.op == "const" else leaves[step])
            continue
        lines.append((f"t{i}", _expression(step, [operands[a] for a in step.args], leaves.get(step, ""))))
        operands.append(f"t{i}")
    return lines, operands


def _expression(step: Step, args: list[str], table: str) -> str:
    value: Any = step.value
    if step.op in INFIX:
        return f"{args[0]} {INFIX[step.op]} {args[1]}"
    if step.op in CALLS:
        return f"{CALLS[step.op]}({', '.join(args)})"
    if step.op in COMPARED:
        return f"{COMPARED[step.op]}({args[0]}, {args[1]}).astype(np.int64)"
    match step.op:
        case "not":
            return f"1 - {args[0]}"
        case "select":
            return f"np.where({args[0]} != 0, {args[1]}, {args[2]})"
        case "shr":
            return _shift(args[0], *value)
        case "wrap":
            half = 1 << (int(value) - 1)
            return f"(({args[0]} + {half}) & {2 * half - 1}) - {half}"
        case "lut":
            return f"{table}[np.clip(({args[0]} - {value[1]}) >> {value[2]}, 0, len({table}) - 1)]"
    raise AssertionError(f"no NumPy for {step.op}")


def _shift(a: str, bits: int, rounding: str) -> str:
    if bits == 0:
        return a
    if rounding == "zero":
        return f"({a} + (({a} >> 63) & {(1 << bits) - 1})) >> {bits}"
    return f"({a} + {1 << (bits - 1)}) >> {bits}" if rounding == "nearest" else f"{a} >> {bits}"
