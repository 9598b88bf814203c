"""Which sums of a neuron unit tools add up at once, and what that takes.

A sum of two values is a carry chain. Where a sum is read by one other sum of the same level alone, tools add up all
addends at once: look-up tables bring the addends of each column of bits down to two, in front of one carry chain. Of
`(a << 2) + (b << 1) + c`, for values of 4 bits, the columns 2 and 3 have three addends:

>>> dict(crowded([Addend(2, 6), Addend(1, 5), Addend(0, 4)]))
{'third addends': 2.0}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from snncompile.backends.stream.wires import NeuronUnit, Wire

SUMS = frozenset({"add", "sub", "round", "add-rounded", "sub-gated"})
FIRST_ONLY = frozenset({"add-rounded", "sub-gated"})
"""The sums that add their first argument as it is, and the others after something else."""


class Addend(NamedTuple):
    """A value that is added: the columns from `low` up to below `high` are not 0 for all values, but for its sign."""

    low: int
    high: int


def crowded(addends: Sequence[Addend]) -> dict[str, float]:
    """The columns with a third addend, and the addends of columns beyond the third."""
    columns = range(max((a.high for a in addends), default=0))
    counts = [sum(a.low <= column < a.high for a in addends) for column in columns]
    found = {"third addends": float(sum(n > 2 for n in counts)),
             "further addends": float(sum(max(n - 3, 0) for n in counts))}
    return {name: n for name, n in found.items() if n}


def sums_of(unit: NeuronUnit) -> Iterator[tuple[str, float]]:
    """The bits of carry chains, and the addends that do not go into them."""
    zeros, readers = _zeros(unit), unit.readers
    pending: dict[int, list[Addend]] = {}
    for i, wire in enumerate(unit.wires):
        args = [unit.wires[a] for a in wire.args]
        if wire.op in ("ge", "gt") and all(a.op != "const" for a in args):
            yield "comparisons", max(a.bits for a in args)
        if wire.op not in SUMS:
            continue
        addends = []
        for n, a in enumerate(wire.args):
            if n and wire.op in FIRST_ONLY:
                addends += [Addend(0, args[n].bits - (wire.value or 0))] if n == 1 else []
            else:
                addends += pending.pop(a, [Addend(zeros[a], args[n].bits)])
        if wire.op in ("add", "sub") and _joins(unit, i, wire, addends, readers[i]):
            pending[i] = addends
            continue
        kept = max(zeros[a] for a in wire.args) if wire.op == "add" else zeros[wire.args[1]] if wire.op == "sub" else 0
        yield "carry chains", wire.bits - kept if len(addends) == 2 else wire.bits
        yield from crowded(addends).items()


def _joins(unit: NeuronUnit, i: int, wire: Wire, addends: Sequence[Addend], readers: Sequence[int]) -> bool:
    """Whether a sum is joined with the one that reads it: nothing else reads it, and no bit is cut off in between."""
    if len(readers) != 1 or i in unit.ends:
        return False
    reader = unit.wires[readers[0]]
    direct = reader.op in ("add", "sub") or (reader.op in FIRST_ONLY and reader.args[0] == i)
    room = wire.bits == reader.bits or sum((1 << a.high) - 1 for a in addends).bit_length() <= wire.bits
    return direct and room and reader.level == wire.level


def _zeros(unit: NeuronUnit) -> list[int]:
    """For each wire, how many of its lowest bits are always 0."""
    found: list[int] = []
    for wire in unit.wires:
        match wire.op:
            case "const":
                found.append((wire.value & -wire.value).bit_length() - 1 if wire.value else wire.bits)
            case "shl" if wire.value[1] == 0:
                found.append(wire.value[0] + found[wire.args[0]])
            case "add" | "sub":
                found.append(min(found[a] for a in wire.args))
            case _:
                found.append(0)
    return found
