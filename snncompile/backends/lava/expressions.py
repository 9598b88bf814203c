"""Integer programs as Python: one NumPy statement over int64 arrays for each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snncompile.ir.expr import Program, Step
from snncompile.ir.operations import LEAVES


def statements(program: Program, leaves: Mapping[Step, str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Print an integer program as assignments.

    Args:
        program: the program of all neurons of a population.
        leaves: the Python expression of each `state`, `param` and `input` step, and for each `lut` step that of its
            table.

    Returns:
        The assignments, each a name and an expression, and for each step the operand that holds its value.
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
    constants = value if isinstance(value, tuple) else () if value is None else (value,)
    return PRINTERS[step.op](*args, *((table, *constants[1:]) if step.op == "lut" else constants))


def _infix(sign: str) -> Callable[..., str]:
    return lambda a, b: f"{a} {sign} {b}"


def _call(function: str) -> Callable[..., str]:
    return lambda *args: f"{function}({', '.join(args)})"


def _compared(function: str) -> Callable[..., str]:
    return lambda a, b: f"{function}({a}, {b}).astype(np.int64)"


def _shifted(a: str, bits: int, rounding: str) -> str:
    if bits == 0:
        return a
    if rounding == "zero":
        return f"({a} + (({a} >> 63) & {(1 << bits) - 1})) >> {bits}"
    return f"({a} + {1 << (bits - 1)}) >> {bits}" if rounding == "nearest" else f"{a} >> {bits}"


def _wrapped(a: str, bits: int) -> str:
    half = 1 << (bits - 1)
    return f"(({a} + {half}) & {2 * half - 1}) - {half}"


PRINTERS: dict[str, Callable[..., str]] = {
    "add": _infix("+"), "sub": _infix("-"), "mul": _infix("*"), "and": _infix("*"), "floordiv": _infix("//"),
    "min": _call("np.minimum"), "max": _call("np.maximum"), "or": _call("np.maximum"), "abs": _call("np.abs"),
    "sign": _call("np.sign"), "neg": _call("np.negative"),
    "ge": _compared("np.greater_equal"), "gt": _compared("np.greater"),
    "not": lambda a: f"1 - {a}",
    "select": lambda condition, a, b: f"np.where({condition} != 0, {a}, {b})",
    "shr": _shifted,
    "wrap": _wrapped,
    "lut": lambda a, table, low, shift: f"{table}[np.clip(({a} - {low}) >> {shift}, 0, len({table}) - 1)]",
}
"""Prints each operation of an integer program as a NumPy expression, from its operands and its constants."""
