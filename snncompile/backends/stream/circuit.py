"""Circuits: arithmetic on wires, in few carry chains.

Each method of a circuit takes wires by their positions and gives the position of the wire that holds the result. An
`interval` is the range of the result where more is known of it than the ranges of the arguments say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from snncompile.backends.stream.wires import ALONE, CHAINS, LOGIC, NeuronUnit, Wire
from snncompile.ir.operations import Interval, bit_width, join, width


@dataclass
class Circuit:
    """Wires that are added one after another, each in the first level that has room for it.

    Attributes:
        chains: how many carry chains a value passes in a level, at most.
        wires: those so far.
        depths: for each wire, the carry chains that its value has passed in its level.
        known: the wires by their operation, arguments and value; each is made once.
    """

    chains: int
    wires: list[Wire] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    known: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def unit(self, output: int, next_state: Sequence[tuple[str, int]]) -> NeuronUnit:
        """The unit that gives some wires, without those that are not needed for that."""
        used = sorted(self._used([output, *(i for _, i in next_state)]))
        moved = {old: new for new, old in enumerate(used)}
        wires = tuple(replace(self.wires[i], args=tuple(moved[a] for a in self.wires[i].args)) for i in used)
        return NeuronUnit(wires, moved[output], tuple((name, moved[i]) for name, i in next_state),
                          1 + max((w.level for w in wires), default=0))

    def _used(self, ends: list[int]) -> set[int]:
        """The wires that some wires are computed from, these among them."""
        found: set[int] = set()
        while ends:
            wire = ends.pop()
            if wire not in found:
                found.add(wire)
                ends += self.wires[wire].args
        return found

    def add(self, op: str, args: tuple[int, ...], interval: Interval, value: Any = None) -> int:
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

    def number(self, value: int) -> int:
        """A constant."""
        return self.add("const", (), (value, value), value)

    def constant(self, wire: int) -> int | None:
        """The number that a wire always holds; None for a wire that can hold several."""
        low, high = self.wires[wire].range
        return low if low == high else None

    def range_of(self, wire: int) -> Interval:
        """The integers that a wire can hold."""
        return self.wires[wire].range

    def plus(self, a: int, b: int, interval: Interval | None = None) -> int:
        """`a + b`. A number fills empty bits where there are some, and a rounding becomes a carry."""
        if self.constant(a) == 0:
            return b
        if self.constant(b) == 0:
            return a
        folded = self.folded(a, b)
        if folded is not None:
            return folded
        for one, other in ((a, b), (b, a)):
            if self.wires[one].op == "round":
                (low, high), (least, most) = self.range_of(a), self.range_of(b)
                return self.add("add-rounded", (other, *self.wires[one].args), interval or (low + least, high + most),
                                 self.wires[one].value)
        (low, high), (least, most) = self.range_of(a), self.range_of(b)
        return self.add("add", (a, b), interval or (low + least, high + most))

    def folded(self, a: int, b: int) -> int | None:
        """The sum of a shifted value and a number without a carry chain, or with a shorter one, where there is a way.

        In `(v << 3) + 4` the number fills the empty bits; in `(v << 3) - v + 4` it does so in front of the difference;
        `(v << 1) + 2` is `(v + 1) << 1`.
        """
        number, wire = self.constant(b), self.wires[a]
        if number is None:
            return None
        if wire.op == "shl" and wire.value[1] == 0:
            bits = wire.value[0]
            if 0 <= number < 1 << bits:
                low, high = wire.range
                return self.add("shl", wire.args, (low + number, high + number), (bits, number))
            if number % (1 << bits) == 0:
                return self.shifted_left(self.plus(wire.args[0], self.number(number >> bits)), bits)
        if wire.op == "sub":
            first = self.folded(wire.args[0], b)
            if first is not None and self.wires[first].op == "shl":
                return self.minus(first, wire.args[1])
        return None

    def minus(self, a: int, b: int, interval: Interval | None = None) -> int:
        """`a - b`."""
        if self.constant(b) == 0:
            return a
        (low, high), (least, most) = self.range_of(a), self.range_of(b)
        return self.add("sub", (a, b), interval or (low - most, high - least))

    def shifted_left(self, a: int, bits: int) -> int:
        """`a * 2**bits`."""
        low, high = self.range_of(a)
        return a if bits == 0 else self.add("shl", (a,), (low << bits, high << bits), (bits, 0))

    def shifted_right(self, a: int, bits: int, interval: Interval | None = None) -> int:
        """`a / 2**bits`, rounded down."""
        low, high = self.range_of(a)
        wire = self.wires[a]
        if wire.op == "shl" and wire.value[0] <= bits:  # what fills the empty bits is lost
            return self.shifted_right(wire.args[0], bits - wire.value[0], interval)
        return a if bits == 0 else self.add("shr", (a,), interval or (low >> bits, high >> bits), bits)

    def times(self, a: int, b: int, interval: Interval) -> int:
        """`a b`: with a constant a sum of shifted values, else a multiplier."""
        if {self.range_of(a), self.range_of(b)} <= {LOGIC, (0, 0), (1, 1)}:
            return self.add("both", (a, b), interval)
        for one, other in ((a, b), (b, a)):
            factor = self.constant(other)
            if factor is not None:
                return self._times_constant(one, factor)
        return self.add("mul", (a, b), interval)

    def _times_constant(self, a: int, factor: int) -> int:
        """Half of the terms at a time, so that their sum is as shallow as possible."""
        terms = [(sign, self.shifted_left(a, bits)) for bits, sign in signed_digits(factor)]
        while len(terms) > 1:
            pairs = [terms[i:i + 2] for i in range(0, len(terms), 2)]
            terms = [self._joined(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
        if not terms:
            return self.number(0)
        sign, wire = terms[0]
        return wire if sign > 0 else self.minus(self.number(0), wire)

    def _joined(self, one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
        """The sum of two terms, each a sign and a wire."""
        if one[0] == other[0]:
            return one[0], self.plus(one[1], other[1])
        positive, negative = (one[1], other[1]) if one[0] > 0 else (other[1], one[1])
        return 1, self.minus(positive, negative)

    def negative(self, a: int) -> int:
        """1 where `a` is below 0, else 0."""
        low, high = self.range_of(a)
        return self.number(int(high < 0)) if low >= 0 or high < 0 else self.add("negative", (a,), LOGIC)

    def compared(self, op: str, a: int, b: int) -> int:
        """1 where `a >= b` (`ge`) or `a > b` (`gt`), else 0."""
        if self.constant(b) == 0 and op == "ge":
            return self.chosen(self.negative(a), self.number(0), self.number(1))
        return self.add(op, (a, b), LOGIC)

    def chosen(self, condition: int, then: int, otherwise: int, interval: Interval | None = None) -> int:
        """`then` where the condition is not 0, else `otherwise`."""
        known = self.constant(condition)
        if known is not None or then == otherwise:
            return then if known != 0 else otherwise
        # A reset by subtraction is one difference of a value that is gated.
        less = self.wires[then]
        if less.op == "sub" and less.args[0] == otherwise and self.range_of(condition) == LOGIC:
            return self.add("sub-gated", (otherwise, less.args[1], condition),
                             interval or join(self.range_of(then), self.range_of(otherwise)))
        return self.add("choose", (condition, then, otherwise),
                         interval or join(self.range_of(then), self.range_of(otherwise)))

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
        quotient = self.number(low)
        for bit in reversed(range((high - low).bit_length())):
            taken = self.shifted_left(b, bit)
            fits = self.add("ge", (rest, taken), LOGIC)
            less = self.add("sub", (rest, taken), (0, max(self.range_of(rest)[1] - self.range_of(taken)[0], 0)))
            most = max(min(self.range_of(rest)[1], self.range_of(taken)[1] - 1), self.range_of(less)[1])
            rest = self.chosen(fits, less, rest, (0, most))
            quotient = self.plus(quotient, self.shifted_left(fits, bit))
        return quotient

    def entry(self, a: int, table: str, size: int, low: int, shift: int, interval: Interval) -> int:
        """An entry of a table; the index is limited to those of the table."""
        index = self.shifted_right(self.minus(a, self.number(low)), shift)
        return self.add("rom", (self.limited(index, 0, size - 1),), interval, table)

    def saturated(self, op: str, a: int, b: int, interval: Interval) -> int | None:
        """The wire of `min(max(x, low), high)` where both ends are those of a width; it needs the upper bits of x only.
        """
        high, wire = self.constant(b), self.wires[a]
        if op != "min" or high is None or wire.op != "choose":
            return None
        condition = self.wires[wire.args[0]]
        low = self.constant(wire.args[2])
        bits = bit_width((high, high))
        if condition.op != "gt" or condition.args != wire.args[1:] or (low, high) != width(bits):
            return None
        return self.add("saturate", (wire.args[1],), interval, bits)

    def limited(self, a: int, low: int, high: int) -> int:
        """A value, but at least `low` and at most `high`."""
        least, most = self.range_of(a)
        if least < low:
            a = self.chosen(self.add("ge", (a, self.number(low)), LOGIC), a, self.number(low), (low, max(most, low)))
        if most > high:
            a = self.chosen(self.add("gt", (a, self.number(high)), LOGIC), self.number(high), a,
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
