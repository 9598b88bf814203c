"""The wires of a neuron unit as C++: each a signed integer as wide as its range.

The headers of high-level synthesis give sums and products of `ap_int` one bit or more than their operands, so that a
wire is the result cut to its width, as in hardware. Shifts to the left do not grow: their operand is widened first.
"""

from __future__ import annotations

from collections.abc import Callable

from snncompile.backends.stream.wires import Line, NeuronUnit, Wire

INFIX = {"add": "+", "sub": "-", "mul": "*", "both": "&", "either": "|"}
COMPARED = {"ge": ">=", "gt": ">"}
LEAST = -(1 << 63)


def lines_of(unit: NeuronUnit) -> list[Line]:
    """The wires of a unit that are neither numbers nor read from a memory."""
    return [Line(f"w{i}", wire.bits, _text(unit, wire)) for i, wire in enumerate(unit.wires)
            if wire.op not in ("const", "sum", "state", "param")]


def name_of(unit: NeuronUnit, i: int) -> str:
    """What holds wire `i`."""
    wire = unit.wires[i]
    match wire.op:
        case "const":
            return literal(wire.value)
        case "sum":
            return f"sum{wire.value}"
        case "state":
            return f"state_{wire.value}"
        case "param":
            return f"leaf_{wire.value}"
    return f"w{i}"


def literal(value: int) -> str:
    """A number as a signed literal of C++: of type `int` where it fits, else `long long`."""
    if value == LEAST:
        return f"({value + 1}LL - 1)"
    text = str(value) if abs(value) < 1 << 31 else f"{value}LL"
    return f"({text})" if value < 0 else text


def wide(bits: int, text: str) -> str:
    """A value as a signed integer of so many bits."""
    return f"ap_int<{bits}>({text})"


def _text(unit: NeuronUnit, wire: Wire) -> str:
    args = [name_of(unit, a) for a in wire.args]
    if wire.op in INFIX:
        first, second = (wide(unit.wires[a].bits, name_of(unit, a)) if unit.wires[a].op == "const" else name_of(unit, a)
                         for a in wire.args)
        return f"{first} {INFIX[wire.op]} {second}"
    if wire.op in COMPARED:
        return f"{args[0]} {COMPARED[wire.op]} {args[1]} ? 1 : 0"
    return TEXTS[wire.op](wire, args)


def _rounded(name: str, rounded: str, wire: Wire) -> str:
    """A value plus another one that is shifted right and rounded: the highest bit that is lost is added too."""
    return f"{name}({rounded} >> {wire.value}) + ap_uint<1>({rounded}[{wire.value - 1}])"


def _filled(wire: Wire, name: str) -> str:
    """A value shifted left, with a number in the bits that this leaves empty."""
    bits, number = wire.value
    shifted = f"{wide(wire.bits, name)} << {bits}"
    return f"({shifted}) + {number}" if number else shifted


def _saturated(wire: Wire, name: str) -> str:
    """The nearest signed number of so many bits."""
    most = (1 << (wire.value - 1)) - 1
    low, high = literal(-most - 1), literal(most)
    return (f"{name} > {high} ? {wide(wire.bits, high)} : {name} < {low} ? {wide(wire.bits, low)} : "
            f"{wide(wire.bits, name)}")


TEXTS: dict[str, Callable[[Wire, list[str]], str]] = {
    "negative": lambda _, args: f"{args[0]} < 0 ? 1 : 0",
    "choose": lambda wire, args: f"{args[0]} != 0 ? {wide(wire.bits, args[1])} : {wide(wire.bits, args[2])}",
    "shl": lambda wire, args: _filled(wire, args[0]),
    "shr": lambda wire, args: f"{args[0]} >> {wire.value}",
    "round": lambda wire, args: _rounded("", args[0], wire),
    "add-rounded": lambda wire, args: _rounded(f"{args[0]} + ", args[1], wire),
    "sub-gated": lambda wire, args: f"{wide(wire.bits, args[0])} - ({args[2]} != 0 ? {wide(wire.bits, args[1])} : "
                                    f"{wide(wire.bits, '0')})",
    "low": lambda wire, args: wide(wire.value, args[0]),
    "saturate": lambda wire, args: _saturated(wire, args[0]),
    "rom": lambda wire, args: f"table_{wire.value}[{args[0]}.to_int()]",
}
