"""The wires of a neuron unit as Verilog: each level between registers, every wire as wide as its range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snncompile.backends.stream.wires import Line, NeuronUnit, Wire

INFIX = {"add": "+", "sub": "-", "mul": "*", "ge": ">=", "gt": ">"}


@dataclass(frozen=True)
class Register:
    """`name` takes the value of `source` at each clock edge of the pipeline."""

    name: str
    bits: int
    source: str


def lines_of(unit: NeuronUnit) -> list[Line]:
    """The wires of a unit that are no numbers."""
    return [Line(f"w{i}", wire.bits, _text(unit, wire)) for i, wire in enumerate(unit.wires) if wire.op != "const"]


def registers_of(unit: NeuronUnit) -> list[Register]:
    """The registers that carry wires to the levels in which they are read."""
    found = []
    for i, last in unit.last_use().items():
        wire = unit.wires[i]
        if wire.op != "const":
            found += [Register(name_at(unit, i, level), wire.bits, name_at(unit, i, level - 1))
                      for level in range(wire.level + 1, last + 1)]
    return found


def name_at(unit: NeuronUnit, i: int, level: int) -> str:
    """What holds wire `i` in a level."""
    wire = unit.wires[i]
    if wire.op == "const":
        return literal(wire.value)
    return f"w{i}" if level <= wire.level else f"w{i}_at{level}"


def literal(value: int) -> str:
    """A signed number as wide as it must be."""
    bits = max(value.bit_length() if value >= 0 else (-value - 1).bit_length(), 1) + 1
    return f"{'-' if value < 0 else ''}{bits + 1}'sd{abs(value)}"


def _text(unit: NeuronUnit, wire: Wire) -> str:
    args = [name_at(unit, a, wire.level) for a in wire.args]
    if wire.op == "saturate":
        return _saturated(args[0], unit.wires[wire.args[0]].bits, wire.value)
    if wire.op in ("round", "add-rounded"):  # the bit below the cut is carried in
        return _rounded("1'sd0" if wire.op == "round" else args[0], args[-1], wire.value)
    if wire.op in INFIX:
        return f"{args[0]} {INFIX[wire.op]} {args[1]}" if wire.op not in ("ge", "gt") else _condition(
            f"{args[0]} {INFIX[wire.op]} {args[1]}")
    return TEXTS[wire.op](wire, args)


def _saturated(name: str, wide: int, bits: int) -> str:
    """The nearest signed number of so many bits: a value fits where its upper bits are all alike."""
    if wide <= bits:
        return name
    upper, sign = f"{name}[{wide - 1}:{bits - 1}]", f"{name}[{wide - 1}]"
    cut = f"{{{sign}, {{{bits - 1}{{!{sign}}}}}}}"
    return f"$signed((&{upper} || !(|{upper})) ? {name}[{bits - 1}:0] : {cut})"


def _rounded(name: str, rounded: str, bits: int) -> str:
    """A value plus another one that is shifted right and rounded: the highest bit that is lost is added too."""
    return f"{name} + ({rounded} >>> {bits}) + $signed({{1'b0, {rounded}[{bits - 1}]}})"


def _filled(name: str, bits: int, number: int) -> str:
    """A value shifted left, with a number in the bits that this leaves empty."""
    return f"{name} <<< {bits}" if number == 0 else f"$signed({{{name}, {bits}'d{number}}})"


def _condition(text: str) -> str:
    """A comparison as the signed number 0 or 1."""
    return f"$signed({{1'b0, {text}}})"


TEXTS: dict[str, Callable[[Wire, list[str]], str]] = {
    "param": lambda wire, _: f"leaf_{wire.value}",
    "state": lambda wire, _: f"state_{wire.value}",
    "sum": lambda wire, _: f"sum{wire.value}",
    "negative": lambda _, args: _condition(f"{args[0]} < 2'sd0"),
    "both": lambda _, args: f"{args[0]} & {args[1]}",
    "either": lambda _, args: f"{args[0]} | {args[1]}",
    "choose": lambda _, args: f"({args[0]} != 2'sd0) ? {args[1]} : {args[2]}",
    "shl": lambda wire, args: _filled(args[0], *wire.value),
    "shr": lambda wire, args: f"{args[0]} >>> {wire.value}",
    "sub-gated": lambda _, args: f"{args[0]} - (({args[2]} != 2'sd0) ? {args[1]} : 1'sd0)",
    "low": lambda wire, args: f"$signed({args[0]}[{wire.value - 1}:0])",
    "rom": lambda wire, args: f"table_{wire.value}[{args[0]}]",
}
