"""Integer programs as C: each temporary has the narrowest type that holds its proved range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from snncompile.backends.c.types import accumulator_type, literal
from snncompile.ir.expr import Program, Step
from snncompile.ir.operations import LEAVES, Interval

BITS = {"int16_t": 16, "int32_t": 32, "int64_t": 64}


@dataclass(frozen=True)
class Line:
    """The statement `const type name = text;`."""

    type: str
    name: str
    text: str


@dataclass(frozen=True)
class Operand:
    """A C expression without side effects, the C type of its value, and the proved range of that value."""

    text: str
    type: str
    range: Interval


@dataclass(frozen=True)
class Printing:
    """An operation that is to be printed.

    Attributes:
        args: its operands.
        type: the C type of its result.
        constants: the constants of the step, such as the bits and the rounding of a shift. Of a look-up the first one
            is the C text "TABLE, LENGTH".
    """

    args: tuple[Operand, ...]
    type: str
    constants: tuple[Any, ...]


def lines_of(program: Program, ranges: tuple[Interval, ...], leaf: Callable[[Step], str],
             number: Callable[[int], str] = literal, scalar: bool = False) -> tuple[list[Line], list[str]]:
    """Print an integer program as C statements.

    Args:
        program: the program of one neuron.
        ranges: the proved range of each step.
        leaf: gives the C expression of a `param`, `state` or `input` step, in parentheses if it has operators; for a
            `lut` step the text "TABLE, LENGTH".
        number: gives the C expression of a number that is an operand. Divisors are printed as they are, since compilers
            divide by known numbers without a division.
        scalar: whether it is for a processor without vector registers. Temporaries then have at least 32 bits, because
            narrower ones would have to be extended, and clips to a width are one operation.

    Returns:
        The statements in their order, and for each step the C operand that holds its value. Numbers are operands
        without a statement.
    """
    lines: list[Line] = []
    operands: list[Operand] = []
    divisors = {s.args[1] for s in program.steps if s.op == "floordiv"}
    clips = _clips(program, ranges) if scalar else {}
    inner = {inside for inside, _, _ in clips.values()}
    for i, step in enumerate(program.steps):
        value = _number(step, leaf)
        if value is not None:
            text = literal(value) if i in divisors else number(value)
            operands.append(Operand(text, accumulator_type(value, value), ranges[i]))
            continue
        kind = accumulator_type(*ranges[i])
        if scalar and kind == "int16_t":
            kind = "int32_t"
        if i in clips:
            _, clipped, bits = clips[i]
            lines.append(Line(kind, f"t{i}", f"snn_saturated({operands[clipped].text}, {bits})"))
        elif i not in inner:
            lines.append(Line(kind, f"t{i}", _text(step, tuple(operands[a] for a in step.args), kind, leaf)))
        operands.append(Operand(f"t{i}", kind, ranges[i]))
    return lines, [o.text for o in operands]


def _clips(program: Program, ranges: tuple[Interval, ...]) -> dict[int, tuple[int, int, int]]:
    """The steps that are the outer half of a clip to a signed integer: `min(max(x, -half), half - 1)`.

    Returns:
        For each its inner half, which nothing else reads, the step x, and the bits. All of them fit 32 bits.
    """
    reads = [a for step in program.steps for a in step.args]
    reads += [program.output, *(i for _, i in program.next_state)]
    found = {}
    for i, step in enumerate(program.steps):
        if step.op != "min" or program.steps[step.args[0]].op != "max":
            continue
        inside, high = step.args
        x, low = program.steps[inside].args
        ends: list[Any] = [program.steps[k].value if program.steps[k].op == "const" else None for k in (low, high)]
        bits = ends[1].bit_length() + 1 if isinstance(ends[1], int) else 0
        if 1 < bits < 32 and ends == [-(1 << (bits - 1)), (1 << (bits - 1)) - 1] and reads.count(inside) == 1 and (
                accumulator_type(*ranges[x]) != "int64_t"):
            found[i] = inside, x, bits
    return found


def _number(step: Step, leaf: Callable[[Step], str]) -> int | None:
    """The value of a `const` step, or of a `param` step that is the same for all neurons; None for any other."""
    value: Any = step.value
    if step.op == "const":
        return int(value)
    text = leaf(step) if step.op == "param" else ""
    return int(text) if text.lstrip("-").isdigit() else None


def _text(step: Step, args: tuple[Operand, ...], kind: str, leaf: Callable[[Step], str]) -> str:
    if step.op in LEAVES:
        return f"({kind}){leaf(step)}"
    value: Any = step.value
    constants = value if isinstance(value, tuple) else (value,)
    if step.op == "lut":
        constants = (leaf(step), *constants[1:])
    return PRINTERS[step.op](Printing(args, kind, constants))


def _arithmetic(sign: str, a: Operand, b: Operand, kind: str) -> str:
    """`a sign b`, computed in a type that holds the result; cast to `kind` where it was computed in another type."""
    widest = max(BITS[a.type], BITS[b.type])
    text = f"{a.text if widest >= BITS[kind] else _wide(a, kind)} {sign} {b.text}"
    return f"({kind})({text})" if kind == "int16_t" or widest > BITS[kind] else text


def _wide(a: Operand, kind: str) -> str:
    """An operand, cast to the type of the result where that is wider, so that the operation cannot overflow."""
    return a.text if kind == "int16_t" or BITS[a.type] >= BITS[kind] else f"({kind}){a.text}"


def _infix(sign: str) -> Callable[[Printing], str]:
    return lambda p: _arithmetic(sign, p.args[0], p.args[1], p.type)


def _taken_from(number: int) -> Callable[[Printing], str]:
    return lambda p: _arithmetic("-", Operand(str(number), "int16_t", (number, number)), p.args[0], p.type)


def _compared(sign: str) -> Callable[[Printing], str]:
    return lambda p: f"{p.args[0].text} {sign} {p.args[1].text}"


def _extreme(sign: str) -> Callable[[Printing], str]:
    return lambda p: _chosen(f"{p.args[0].text} {sign} {p.args[1].text}", p.args[0], p.args[1], p.type)


def _magnitude(p: Printing) -> str:
    return f"({p.type})({p.args[0].text} < 0 ? -{_wide(p.args[0], p.type)} : {p.args[0].text})"


def _choice(p: Printing) -> str:
    condition, then, otherwise = p.args
    return _chosen(condition.text, then, otherwise, p.type)


def _chosen(condition: str, then: Operand, otherwise: Operand, kind: str) -> str:
    """One of two operands, cast to `kind` where C gives the choice another type."""
    text = f"{condition} ? {then.text} : {otherwise.text}"
    return f"({kind})({text})" if kind == "int16_t" or max(BITS[then.type], BITS[otherwise.type]) > BITS[kind] else text


def _looked_up(p: Printing) -> str:
    table, low, shift = p.constants
    return f"({p.type})snn_look_up({table}, {p.args[0].text}, {literal(low)}, {shift})"


def _shifted(p: Printing) -> str:
    """`a / 2**bits`, rounded as the step says.

    Rounding adds a number in front of the shift, and the sum may need a wider type than the operand. For 3 bits, 7 is
    added to negative values where the step rounds to zero, and 4 where it rounds to the nearest.
    """
    (a,), kind, (bits, rounding) = p.args, p.type, p.constants
    low, high = a.range
    addend = {"floor": 0, "zero": (1 << bits) - 1, "nearest": (1 << bits) >> 1}[rounding]
    if addend == 0 or (rounding == "zero" and low >= 0):
        text = f"{a.text} >> {min(bits, BITS[a.type] - 1)}"
    else:
        added = literal(addend) if rounding == "nearest" else f"(({a.text} >> {BITS[a.type] - 1}) & {literal(addend)})"
        text = f"({_wide(a, accumulator_type(low, high + addend))} + {added}) >> {bits}"
    return f"({kind})({text})" if BITS[kind] < 64 else text


PRINTERS: dict[str, Callable[[Printing], str]] = {
    "add": _infix("+"), "sub": _infix("-"), "mul": _infix("*"), "and": _infix("*"),
    "neg": _taken_from(0), "not": _taken_from(1),
    "min": _extreme("<"), "max": _extreme(">"), "or": _extreme(">"),
    "ge": _compared(">="), "gt": _compared(">"),
    "abs": _magnitude,
    "sign": lambda p: f"({p.type})(({p.args[0].text} > 0) - ({p.args[0].text} < 0))",
    "select": _choice,
    "floordiv": lambda p: f"({p.type})snn_floor_div({p.args[0].text}, {p.args[1].text})",
    "shr": _shifted,
    "wrap": lambda p: f"({p.type})snn_wrap({p.args[0].text}, {p.constants[0]})",
    "lut": _looked_up,
}
"""Prints each operation of an integer program as a C expression; see `ir.operations` for what they compute."""
