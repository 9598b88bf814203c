"""Wires: what neuron units are made of, and in which level of a pipeline each is computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from snncompile.ir.operations import Interval, bit_width

LEAVES = ("const", "param", "state", "sum")
CHAINS = frozenset({"add", "sub", "round", "add-rounded", "sub-gated", "ge", "gt"})
"""The operations that take a carry chain."""
ALONE = frozenset({"mul", "rom"})
"""The operations that fill a level: multipliers and memories have registers of their own."""
LOGIC: Interval = (0, 1)


@dataclass(frozen=True)
class Wire:
    """One value of the unit, a signed integer.

    | operation | value |
    |---|---|
    | `add`, `sub`, `mul` | of two values |
    | `ge`, `gt`, `negative` | 1 where a value reaches or exceeds another, or is below 0 |
    | `both`, `either` | of two conditions |
    | `choose` | the second value where the first is not 0, else the third |
    | `sub-gated` | the first value, less the second where the third is 1 |
    | `shl` | moved up by constant bits, which are filled with a number |
    | `shr`, `round` | moved down by constant bits, rounded down or to the nearest, halves up |
    | `add-rounded` | the first value plus `round` of the second |
    | `low`, `saturate` | the lowest bits as a signed number, or the nearest signed number of so many bits |
    | `rom` | an entry of a table |

    Attributes:
        op: a leaf (`const`, `param` of the neuron, `state`, or `sum`, an accumulator), or an operation of the table.
        args: the positions of the wires that it is computed from.
        value: the number of a `const`, the name of a leaf or table, or the bits of a shift.
        range: the integers that it can be where it is used. It is computed modulo its width, so that what is not chosen
            in the end may be anything.
        level: the level in which it is computed, from 0 on.
    """

    op: str
    args: tuple[int, ...]
    value: Any
    range: Interval
    level: int

    @property
    def bits(self) -> int:
        """Its width as a signed number."""
        return bit_width(self.range)


@dataclass(frozen=True)
class Line:
    """A wire in the language of a printer: its name, its width, and the expression that it is computed from."""

    name: str
    bits: int
    text: str


@dataclass(frozen=True)
class NeuronUnit:
    """The wires of one population.

    Attributes:
        wires: each after those that it is computed from.
        output: the wire that holds what the neuron emits.
        next_state: for each state, its name and the wire of its next value.
        levels: the number of levels; the outputs are registered behind the last one.
    """

    wires: tuple[Wire, ...]
    output: int
    next_state: tuple[tuple[str, int], ...]
    levels: int

    @classmethod
    def passing(cls, interval: Interval, sign: int | None = None) -> NeuronUnit:
        """The unit of a relay: it sends its sum on, or only the positive (1) or negative (-1) part of it."""
        low, high = interval
        total = Wire("sum", (), 0, interval, 0)
        if sign is None or (low >= 0 and sign == 1) or (high <= 0 and sign == -1):
            return cls((total,), 0, (), 1)
        part = (0, high) if sign == 1 else (low, 0)
        args = (2, 1, 0) if sign == 1 else (2, 0, 1)
        return cls((total, Wire("const", (), 0, (0, 0), 0), Wire("negative", (0,), None, LOGIC, 0),
                    Wire("choose", args, None, part, 0)), 3, (), 1)

    @property
    def ends(self) -> frozenset[int]:
        """The wires that are read behind the last level."""
        return frozenset((self.output, *(i for _, i in self.next_state)))

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """For each wire, the wires that are computed from it; one that reads it twice is there twice."""
        found: list[list[int]] = [[] for _ in self.wires]
        for i, wire in enumerate(self.wires):
            for a in wire.args:
                found[a].append(i)
        return tuple(map(tuple, found))

    def read_in(self, i: int) -> set[int]:
        """The levels in which a wire is read; `levels` for one that is read behind the last."""
        return {*(self.wires[k].level for k in self.readers[i]), *([self.levels] if i in self.ends else ())}

    def last_use(self) -> dict[int, int]:
        """For each wire, the last level in which it is read, or its own."""
        return {i: max({wire.level} | self.read_in(i)) for i, wire in enumerate(self.wires)}
