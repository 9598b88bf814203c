"""The neuron unit: the integer program of a population as the wires of a pipeline, one neuron a clock cycle.

Each operation of the program is written in operations that hardware has: sums and differences, comparisons, choices,
shifts, products and tables. Carry chains are slow, so that the wires are put into levels with registers between them: a
value passes at most `chains` carry chains in a level. `0.75 v + x`, with `v` in counts of 64, is `(48 v + 32) >> 6` and
`x`. A product with a constant is a sum of shifted values, 48 v = 64 v - 16 v:

    level 0   a = (v << 6) - (v << 4)
    level 1   b = a + 32
    level 2   (b >> 6) + x
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from snncompile.backends.plan.updates import Update
from snncompile.ir.expr import Step
from snncompile.ir.operations import Interval, bit_width, extent, join, width

LEAVES = ("const", "param", "state", "sum")
CHAINS = frozenset({"add", "sub", "round", "add-rounded", "sub-gated", "ge", "gt"})
"""The operations that take a carry chain."""
ALONE = frozenset({"mul", "rom"})
"""The operations that fill a level: multipliers and memories have registers of their own."""
LOGIC: Interval = (0, 1)


@dataclass(frozen=True)
class Wire:
    """One value of the unit, a signed integer.

    Attributes:
        op: a leaf (`const`, `param` of the neuron, `state`, or `sum`, an accumulator), or what is computed: `add`,
            `sub`, `mul`, the comparisons `ge` and `gt`, `negative` (whether a value is below 0), `both` and `either`
            of two conditions, `choose` (the second where the first is not 0, else the third), `shl` by constant
            bits, which are filled with a number, `shr` by constant bits, `round` (the same to the nearest, halves up), `add-rounded` (a
            value plus another one that is rounded so), `sub-gated` (a value less another one where the third is 1),
            `low` (the lowest bits, as a signed number),
            `saturate` (the nearest signed number of so many bits), `rom` (an entry of a table).
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
    def of(cls, update: Update, chains: int = 1) -> NeuronUnit:
        """The unit of a population.

        Args:
            update: its program, its ranges, and its accumulators.
            chains: how many carry chains a value passes in a level, at most.
        """
        return _Builder(update, chains).unit()

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

    def last_use(self) -> dict[int, int]:
        """For each wire, the last level in which it is read; `levels` for one that is read behind the last."""
        used = {i: wire.level for i, wire in enumerate(self.wires)}
        for wire in self.wires:
            for a in wire.args:
                used[a] = max(used[a], wire.level)
        for i in (self.output, *(i for _, i in self.next_state)):
            used[i] = self.levels
        return used


@dataclass
class _Builder:
    update: Update
    chains: int
    wires: list[Wire] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    known: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def unit(self) -> NeuronUnit:
        program = self.update.program
        found: list[int] = []
        for step, interval in zip(program.steps, self.update.ranges, strict=True):
            found.append(self._step(step, tuple(found[a] for a in step.args), interval))
        used = sorted(self._used([found[program.output], *(found[i] for _, i in program.next_state)]))
        moved = {old: new for new, old in enumerate(used)}
        wires = tuple(replace(self.wires[i], args=tuple(moved[a] for a in self.wires[i].args)) for i in used)
        levels = 1 + max((w.level for w in wires), default=0)
        return NeuronUnit(wires, moved[found[program.output]],
                          tuple((name, moved[found[i]]) for name, i in program.next_state), levels)

    def _used(self, ends: list[int]) -> set[int]:
        """The wires that some wires are computed from, these among them."""
        found: set[int] = set()
        while ends:
            wire = ends.pop()
            if wire not in found:
                found.add(wire)
                ends += self.wires[wire].args
        return found

    def _add(self, op: str, args: tuple[int, ...], interval: Interval, value: Any = None) -> int:
        """A wire, in the first level that has room for it; the same wire where there is one already."""
        key = (op, args, value)
        if key in self.known:
            return self.known[key]
        level = max((self.wires[a].level for a in args), default=0)
        depth = max((self.depths[a] for a in args if self.wires[a].level == level), default=0)
        if op in CHAINS and depth >= self.chains:
            level, depth = level + 1, 0
        if op in ALONE and depth:
            level, depth = level + 1, 0
        self.wires.append(Wire(op, args, value, interval, level))
        self.depths.append(self.chains if op in ALONE else depth + (op in CHAINS))
        self.known[key] = len(self.wires) - 1
        return self.known[key]

    def _number(self, value: int) -> int:
        return self._add("const", (), (value, value), value)

    def _constant(self, wire: int) -> int | None:
        low, high = self.wires[wire].range
        return low if low == high else None

    def _range(self, wire: int) -> Interval:
        return self.wires[wire].range

    def _step(self, step: Step, args: tuple[int, ...], interval: Interval) -> int:
        if interval[0] == interval[1]:
            return self._number(interval[0])
        if step.op == "state":
            return self._add("state", (), interval, self.update.state_names[str(step.value)])
        if step.op == "input":
            return self._input(interval)
        if step.op == "param":
            return self._add("param", (), interval, str(step.value))
        return LOWERED[step.op](self, args, interval, step.value)

    def _input(self, interval: Interval) -> int:
        """The sum of all accumulators times their factors."""
        total = None
        for k, accumulator in enumerate(self.update.accumulators):
            one = self._add("sum", (), accumulator.buffer.range, k)
            factor = self._number(accumulator.factor) if accumulator.factor is not None else self._add(
                "param", (), extent(accumulator.factors.values), f"factor {k}")  # type: ignore[union-attr]
            scaled = self.times(one, factor, accumulator.range)
            total = scaled if total is None else self.plus(total, scaled)
        return self._number(0) if total is None else total

    # --- what operations of a program become ------------------------------------------------------------------------

    def plus(self, a: int, b: int, interval: Interval | None = None) -> int:
        if self._constant(a) == 0:
            return b
        if self._constant(b) == 0:
            return a
        folded = self._folded(a, b)
        if folded is not None:
            return folded
        for one, other in ((a, b), (b, a)):
            if self.wires[one].op == "round":
                (low, high), (least, most) = self._range(a), self._range(b)
                return self._add("add-rounded", (other, *self.wires[one].args), interval or (low + least, high + most),
                                 self.wires[one].value)
        (low, high), (least, most) = self._range(a), self._range(b)
        return self._add("add", (a, b), interval or (low + least, high + most))

    def _folded(self, a: int, b: int) -> int | None:
        """The sum of a shifted value and a number without a carry chain, or with a shorter one, where there is a way.

        In `(v << 3) + 4` the number fills the empty bits; in `(v << 3) - v + 4` it does so in front of the difference;
        `(v << 1) + 2` is `(v + 1) << 1`.
        """
        number, wire = self._constant(b), self.wires[a]
        if number is None:
            return None
        if wire.op == "shl" and wire.value[1] == 0:
            bits = wire.value[0]
            if 0 <= number < 1 << bits:
                low, high = wire.range
                return self._add("shl", wire.args, (low + number, high + number), (bits, number))
            if number % (1 << bits) == 0:
                return self.shifted_left(self.plus(wire.args[0], self._number(number >> bits)), bits)
        if wire.op == "sub":
            first = self._folded(wire.args[0], b)
            if first is not None and self.wires[first].op == "shl":
                return self.minus(first, wire.args[1])
        return None

    def minus(self, a: int, b: int, interval: Interval | None = None) -> int:
        if self._constant(b) == 0:
            return a
        (low, high), (least, most) = self._range(a), self._range(b)
        return self._add("sub", (a, b), interval or (low - most, high - least))

    def shifted_left(self, a: int, bits: int) -> int:
        low, high = self._range(a)
        return a if bits == 0 else self._add("shl", (a,), (low << bits, high << bits), (bits, 0))

    def shifted_right(self, a: int, bits: int, interval: Interval | None = None) -> int:
        low, high = self._range(a)
        wire = self.wires[a]
        if wire.op == "shl" and wire.value[0] <= bits:  # what fills the empty bits is lost
            return self.shifted_right(wire.args[0], bits - wire.value[0], interval)
        return a if bits == 0 else self._add("shr", (a,), interval or (low >> bits, high >> bits), bits)

    def times(self, a: int, b: int, interval: Interval) -> int:
        """A product: with a constant a sum of shifted values, else a multiplier."""
        if {self._range(a), self._range(b)} <= {LOGIC, (0, 0), (1, 1)}:
            return self._add("both", (a, b), interval)
        for one, other in ((a, b), (b, a)):
            factor = self._constant(other)
            if factor is not None:
                return self._times_constant(one, factor)
        return self._add("mul", (a, b), interval)

    def _times_constant(self, a: int, factor: int) -> int:
        """Half of the terms at a time, so that their sum is as shallow as possible."""
        terms = [(sign, self.shifted_left(a, bits)) for bits, sign in signed_digits(factor)]
        while len(terms) > 1:
            pairs = [terms[i:i + 2] for i in range(0, len(terms), 2)]
            terms = [self._joined(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
        if not terms:
            return self._number(0)
        sign, wire = terms[0]
        return wire if sign > 0 else self.minus(self._number(0), wire)

    def _joined(self, one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
        """The sum of two terms, each a sign and a wire."""
        if one[0] == other[0]:
            return one[0], self.plus(one[1], other[1])
        positive, negative = (one[1], other[1]) if one[0] > 0 else (other[1], one[1])
        return 1, self.minus(positive, negative)

    def negative(self, a: int) -> int:
        low, high = self._range(a)
        return self._number(int(high < 0)) if low >= 0 or high < 0 else self._add("negative", (a,), LOGIC)

    def compared(self, op: str, a: int, b: int) -> int:
        """`ge` or `gt`."""
        if self._constant(b) == 0 and op == "ge":
            return self.chosen(self.negative(a), self._number(0), self._number(1))
        return self._add(op, (a, b), LOGIC)

    def chosen(self, condition: int, then: int, otherwise: int, interval: Interval | None = None) -> int:
        known = self._constant(condition)
        if known is not None or then == otherwise:
            return then if known != 0 else otherwise
        less = self.wires[then]
        if less.op == "sub" and less.args[0] == otherwise and self._range(condition) == LOGIC:  # a reset by subtraction
            return self._add("sub-gated", (otherwise, less.args[1], condition),
                             interval or join(self._range(then), self._range(otherwise)))
        return self._add("choose", (condition, then, otherwise),
                         interval or join(self._range(then), self._range(otherwise)))

    def divided(self, a: int, b: int, interval: Interval) -> int:
        """`a // b` for a divisor of at least 1: from the highest bit of the quotient on, the divisor is taken off where
        it fits. The dividend is first moved up by the least quotient times the divisor, so that it is not negative.
        """
        low, high = interval
        if low < 0:
            bits = max(-low - 1, 0).bit_length()
            low = -(1 << bits)
            rest = self.plus(a, self.shifted_left(b, bits))
        else:
            low, rest = 0, a
        quotient = self._number(low)
        for bit in reversed(range((high - low).bit_length())):
            taken = self.shifted_left(b, bit)
            fits = self._add("ge", (rest, taken), LOGIC)
            less = self._add("sub", (rest, taken), (0, max(self._range(rest)[1] - self._range(taken)[0], 0)))
            most = max(min(self._range(rest)[1], self._range(taken)[1] - 1), self._range(less)[1])
            rest = self.chosen(fits, less, rest, (0, most))
            quotient = self.plus(quotient, self.shifted_left(fits, bit))
        return quotient

    def entry(self, a: int, table: Any, low: int, shift: int, interval: Interval) -> int:
        """An entry of a table; the index is limited to those of the table."""
        last = len(np.ravel(self.update.op.params[table])) - 1
        index = self.shifted_right(self.minus(a, self._number(low)), shift)
        index = self.limited(index, 0, last)
        return self._add("rom", (index,), interval, str(table))

    def saturated(self, op: str, a: int, b: int, interval: Interval) -> int | None:
        """The wire of `min(max(x, low), high)` where both ends are those of a width; it needs the upper bits of x only.
        """
        high, wire = self._constant(b), self.wires[a]
        if op != "min" or high is None or wire.op != "choose":
            return None
        condition = self.wires[wire.args[0]]
        low = self._constant(wire.args[2])
        bits = bit_width((high, high))
        if condition.op != "gt" or condition.args != wire.args[1:] or (low, high) != width(bits):
            return None
        return self._add("saturate", (wire.args[1],), interval, bits)

    def limited(self, a: int, low: int, high: int) -> int:
        """A value, but at least `low` and at most `high`."""
        least, most = self._range(a)
        if least < low:
            a = self.chosen(self._add("ge", (a, self._number(low)), LOGIC), a, self._number(low), (low, max(most, low)))
        if most > high:
            a = self.chosen(self._add("gt", (a, self._number(high)), LOGIC), self._number(high), a,
                            (min(max(least, low), high), high))
        return a


def signed_digits(factor: int) -> list[tuple[int, int]]:
    """A number as a sum of powers of two with signs, as few as possible: the bits and the sign of each.

    7 is 8 - 1:

    >>> signed_digits(7)
    [(3, 1), (0, -1)]
    """
    digits, bit, rest = [], 0, abs(factor)
    while rest:
        if rest & 1:
            digit = 2 - (rest & 3)
            digits.append((bit, digit if factor > 0 else -digit))
            rest -= digit
        rest >>= 1
        bit += 1
    return digits[::-1]


Lowering = Callable[[_Builder, tuple[int, ...], Interval, Any], int]


def _magnitude(b: _Builder, args: tuple[int, ...], interval: Interval, _: Any) -> int:
    (a,) = args
    return b.chosen(b.negative(a), b.minus(b._number(0), a), a, interval)


def _sign(b: _Builder, args: tuple[int, ...], interval: Interval, _: Any) -> int:
    (a,) = args
    positive = b._add("gt", (a, b._number(0)), LOGIC)
    return b.chosen(b.negative(a), b._number(-1), positive, interval)


def _extreme(op: str) -> Lowering:
    def lowered(b: _Builder, args: tuple[int, ...], interval: Interval, _: Any) -> int:
        one, other = args
        saturated = b.saturated(op, one, other, interval)
        if saturated is not None:
            return saturated
        greater = b._add("gt", (one, other), LOGIC)
        return b.chosen(greater, *((one, other) if op == "max" else (other, one)), interval)
    return lowered


def _either(b: _Builder, args: tuple[int, ...], interval: Interval, _: Any) -> int:
    if all(b._range(a) in (LOGIC, (0, 0), (1, 1)) for a in args):
        return b._add("either", args, interval)
    return _extreme("max")(b, args, interval, None)


def _shifted(b: _Builder, args: tuple[int, ...], interval: Interval, value: Any) -> int:
    (a,), (bits, rounding) = args, value
    shifted = b.wires[a]
    if rounding == "nearest" and shifted.op == "shl" and shifted.value[0] < bits and shifted.value[1] == 0:
        (a,), bits = shifted.args, bits - shifted.value[0]
    if rounding == "nearest" and bits:
        folded = b._folded(a, b._number(1 << (bits - 1)))
        if folded is None:
            return b._add("round", (a,), interval, bits)
        a = folded
    elif rounding == "zero" and bits:
        a = b.plus(a, b.chosen(b.negative(a), b._number((1 << bits) - 1), b._number(0)))
    return b.shifted_right(a, bits, interval)


def _wrapped(b: _Builder, args: tuple[int, ...], interval: Interval, bits: Any) -> int:
    (a,) = args
    bits = bits[0] if isinstance(bits, tuple) else bits
    return a if b.wires[a].bits <= bits else b._add("low", (a,), interval, int(bits))


LOWERED: Mapping[str, Lowering] = {
    "const": lambda b, args, interval, value: b._number(int(value)),
    "add": lambda b, args, interval, _: b.plus(*args, interval),
    "sub": lambda b, args, interval, _: b.minus(*args, interval),
    "mul": lambda b, args, interval, _: b.times(*args, interval),
    "and": lambda b, args, interval, _: b.times(*args, interval),
    "or": _either,
    "not": lambda b, args, interval, _: b.minus(b._number(1), *args, interval),
    "neg": lambda b, args, interval, _: b.minus(b._number(0), *args, interval),
    "abs": _magnitude,
    "sign": _sign,
    "min": _extreme("min"),
    "max": _extreme("max"),
    "floordiv": lambda b, args, interval, _: b.divided(*args, interval),
    "ge": lambda b, args, _, __: b.compared("ge", *args),
    "gt": lambda b, args, _, __: b.compared("gt", *args),
    "select": lambda b, args, interval, _: b.chosen(*args, interval),
    "shr": _shifted,
    "wrap": _wrapped,
    "lut": lambda b, args, interval, value: b.entry(*args, *value, interval),
}
"""What each operation of an integer program becomes; see `ir.operations` for what they compute."""
