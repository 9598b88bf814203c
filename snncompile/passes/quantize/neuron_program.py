"""A neuron rule in integers: from the traced real program to the program that every backend prints.

Membrane quantities become integers in the population's unit. Real factors become `m / 2**n`, rounded as the target
does, and curved functions become look-up tables. Every state ends in a clip (or a wrap) to its width; prove-ranges
removes those that cannot act.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncompile.diagnostics import fail
from snncompile.ir.dimensions import Typed, type_program
from snncompile.ir.expr import Expr, Program, clip, flatten, maximum
from snncompile.ir.operations import Interval, Kind, width
from snncompile.ir.populations import IntState, Neuron
from snncompile.ir.ranges import intervals
from snncompile.ir.rules import BIAS, Quantity
from snncompile.ir.types import Array
from snncompile.passes.quantize.lookup_tables import Curves, find_curves, tabulate
from snncompile.targets.arithmetic import Arithmetic

REAL_BITS = 14
"""A real quantity, one that is neither a membrane nor a count, is a whole number of 2**-14."""
COUNT_BITS = 17
"""The width of a state that counts."""
MAX_DECAY_BITS = 24
"""The largest n of a factor `m / 2**n`."""
MAX_FACTOR = (1 << 40) - 1
"""The largest m."""


@dataclass(frozen=True)
class Lowered:
    """An integer program with its parameters and states, and the range that its output is clipped to."""

    program: Program
    params: Mapping[str, Any]
    states: Mapping[str, IntState]
    output: tuple[int, int]
    graded: bool


def typed_program(neuron: Neuron, place: str) -> Typed:
    """The program of a neuron with the kind of every step: membrane, real, count or constant. A bias is not part of it.

    Raises:
        CompileError: SNN207 where the kinds do not fit together, or where the rule keeps or emits another kind than it
            declares. `place` names the neuron.
    """
    traced = neuron.traced
    typed = type_program(traced.program, neuron.params, neuron.rule.params, traced.states, place)
    for name, i in traced.program.next_state:
        kind, declared = typed.kinds[i], traced.states[name].dimension
        if not typed.static(i) and kind != declared and (kind, declared) != ("count", "real"):
            fail("SNN207", place, f"a {kind} quantity becomes the state {name!r}", f"a {declared} quantity",
                 f"declare it: @neuron_rule(states={{{name!r}: ...}}) with Membrane, Real or Count")
    kind = typed.kinds[traced.program.output]
    if kind not in ("membrane", "count") or (kind == "membrane") == neuron.rule.spiking:
        fail("SNN207", place, f"the rule emits a {kind} quantity",
             "spikes or a count" if neuron.rule.spiking else "a membrane quantity",
             "a rule with a graded output is declared so: @neuron_rule(spiking=False)")
    return typed


def input_gain(typed: Typed) -> tuple[int, Any] | None:
    """The step that multiplies the input by a constant, and that constant; None where anything else reads the input."""
    steps = typed.program.steps
    readers = [i for i, s in enumerate(steps) if any(steps[a].op == "input" for a in s.args)]
    leaving = [typed.program.output, *(i for _, i in typed.program.next_state)]
    if len(readers) != 1 or steps[readers[0]].op != "mul" or any(steps[i].op == "input" for i in leaving):
        return None
    factors = [typed.values[a] for a in steps[readers[0]].args if typed.static(a)]
    return (readers[0], factors[0]) if factors else None


def is_curved(typed: Typed) -> bool:
    """Whether a program holds a curved function, so that its unit cannot differ between channels."""
    return bool(find_curves(typed).arguments)


@dataclass(frozen=True)
class InputEntry:
    """How the input of a population arrives.

    Attributes:
        gain_at: the step of `input_gain`, where the synapses have taken that gain over.
        bias: the integer constant that is added to the sum of the synapses; None for none.
        shift: by how many bits that sum is finer than the membrane.
    """

    gain_at: int | None = None
    bias: Any = None
    shift: int = 0


def lower(neuron: Neuron, typed: Typed, unit: Any, entry: InputEntry, membrane_bits: int, arithmetic: Arithmetic,
          place: str) -> Lowered:
    """Lower a neuron to integers.

    Args:
        typed: what `typed_program` gives for the neuron.
        unit: the real value of one integer step of the membrane: a number, or an array that broadcasts against the
            population.
        entry: how the input arrives.
        place: what errors name.
    """
    low = _Lowering(typed, neuron.traced.states, np.asarray(unit, np.float64), entry, membrane_bits, arithmetic,
                    place, find_curves(typed))
    states, nexts = {}, {}
    for name, i in typed.program.next_state:
        nexts[name] = low.state(i, name)
        states[name] = IntState(low.bits(name), low.number(neuron.first(name), low.quantities[name].dimension))
    output, bounds = low.output()
    graded = typed.kinds[typed.program.output] == "membrane"
    return Lowered(flatten(output, nexts), low.params, states, bounds, graded)


@dataclass
class _Lowering:
    """Lowers the steps of one program, each of them once.

    Attributes:
        params: the integer parameters that the program names so far.
        done: the expressions of the steps that are lowered, by the position of the step.
    """

    typed: Typed
    quantities: Mapping[str, Quantity]
    unit: Array
    entry: InputEntry
    membrane_bits: int
    arithmetic: Arithmetic
    place: str
    curves: Curves
    params: dict[str, Any] = field(default_factory=dict)
    done: dict[int, Expr] = field(default_factory=dict)

    def bits(self, state: str) -> int:
        """The width of a state."""
        return {"membrane": self.membrane_bits, "real": 32, "count": COUNT_BITS}[self.quantities[state].dimension]

    def state(self, i: int, state: str) -> Expr:
        """The next value of a state, kept inside its width."""
        dimension = self.quantities[state].dimension
        value = self.coerce(i, dimension)
        if dimension == "membrane" and self.arithmetic.overflow == "wrap":
            return Expr("wrap", (value,), self.membrane_bits)
        return clip(value, *width(self.bits(state)))

    def output(self) -> tuple[Expr, tuple[int, int]]:
        """What the neuron emits, and the range that it is clipped to."""
        i = self.typed.program.output
        kind, value = self.typed.kinds[i], self.emit(i)
        if value.op in ("ge", "gt"):
            return value, (0, 1)
        half = 1 << (self.arithmetic.graded_bits - 1)
        most = self.arithmetic.max_count
        low, high = (-half, half - 1) if kind == "membrane" else (-most, most)
        return clip(value, low, high), (low, high)

    def number(self, value: Any, kind: Kind) -> Any:
        """A real constant as integers of a kind."""
        scale = self.unit if kind == "membrane" else 2.0**-REAL_BITS if kind == "real" else 1.0
        exact = np.asarray(value, np.float64) / scale
        whole = np.rint(exact)
        if kind in ("count", "constant") and not np.array_equal(whole, exact):
            fail("SNN207", self.place, f"the constant {value} where a count is expected", "a whole number")
        if not np.abs(whole).max(initial=0) < 2**40:
            fail("SNN401", self.place, f"a constant of {np.abs(whole).max():.3g} membrane steps", "below 2**40",
                 "the layer's weights are too small beside it")
        return _scalar(whole.astype(np.int64))

    def constant(self, i: int, kind: Kind) -> Expr:
        """A static step as integers of a kind, under the name of its parameter if it is one."""
        step = self.typed.program.steps[i]
        value = self.number(self.typed.values[i], kind)
        if step.op == "param":
            return self.parameter(str(step.value), value)
        return self.anonymous(f"k{i}", value)

    def anonymous(self, name: str, value: Any) -> Expr:
        """Integers that are no parameter of the rule: one is a constant, several become a parameter of this name."""
        return Expr("const", (), value) if isinstance(value, int) else self.parameter(name, value)

    def parameter(self, name: str, value: Any) -> Expr:
        """A parameter of this name, or of a similar one where the name has another value already."""
        while name in self.params and not np.array_equal(self.params[name], value):
            name += "_"
        self.params[name] = value
        return Expr("param", (), name)

    def coerce(self, i: int, kind: Kind) -> Expr:
        """A step as integers of a kind."""
        if self.typed.static(i):
            return self.constant(i, kind)
        if self.typed.kinds[i] == "count" and kind == "real":
            return self.emit(i) * (1 << REAL_BITS)
        return self.emit(i)

    def emit(self, i: int) -> Expr:
        """A step as integers of its own kind."""
        if i not in self.done:
            self.done[i] = self._emit(i)
        return self.done[i]

    def _emit(self, i: int) -> Expr:
        step = self.typed.program.steps[i]
        kinds = self.typed.kinds
        if self.typed.static(i):
            return self.constant(i, kinds[i])
        if self.curves.tabulable(i):
            return self._table(i)
        if held := _held(self.typed.program, i):
            return maximum(*(self.coerce(a, kinds[i]) for a in held))
        match step.op:
            case "input":
                x = Expr("input")
                x = x if self.entry.bias is None else x + self.parameter(BIAS, self.entry.bias)
                return Expr("shr", (x,), (self.entry.shift, self.arithmetic.rounding)) if self.entry.shift else x
            case "state":
                return Expr("state", (), step.value)
            case "mul":
                return self._product(i, *step.args)
            case "div":
                return self._quotient(i, *step.args)
            case "select":
                return Expr("select", (self.emit(step.args[0]), *(self.coerce(a, kinds[i]) for a in step.args[1:])))
            case "exp" | "tanh":
                fail("SNN403", self.place, f"{step.op} of a quantity that depends on several states")
            case "floor":
                return Expr("shr", (self.coerce(step.args[0], "real"),), (REAL_BITS, "floor"))
        common = self._common(step.args)
        args = tuple(self.coerce(a, common) for a in step.args)
        return args[0] // self._divisor(step.args[1], common) if step.op == "floordiv" else Expr(step.op, args)

    def _divisor(self, i: int, kind: Kind) -> Expr:
        """A divisor, such as a threshold: at least one unit, however small it is or becomes."""
        value = self.typed.values[i]
        if value is not None and not np.all(value > 0):
            fail("SNN401", self.place, f"a division by {np.min(value):g}", "a divisor above 0")
        return maximum(self.coerce(i, kind), 1)

    def _common(self, args: tuple[int, ...]) -> Kind:
        """The kind that the operands of a sum or comparison share."""
        kinds = {self.typed.kinds[a] for a in args} - {"constant"}
        if kinds == {"real", "count"}:
            return "real"
        return kinds.pop() if kinds else "count"

    def _product(self, i: int, a: int, b: int) -> Expr:
        if i == self.entry.gain_at:
            return self.emit(b if self.typed.static(a) else a)
        if self.typed.static(b):
            a, b = b, a
        kinds = self.typed.kinds
        if self.typed.static(a) and kinds[a] in ("real", "constant"):
            if kinds[b] == "count":
                return self.emit(b) * self.constant(a, kinds[i])
            return self._scaled(self.emit(b), self.typed.values[a])
        product = self.emit(a) * self.emit(b)
        if "real" in (kinds[a], kinds[b]) and "count" not in (kinds[a], kinds[b]):
            return Expr("shr", (product,), (REAL_BITS, self.arithmetic.rounding))
        return product

    def _quotient(self, i: int, a: int, b: int) -> Expr:
        if not self.typed.static(b):
            fail("SNN403", self.place, "a division by a quantity that depends on several states")
        if self.typed.kinds[a] == "membrane" and self.typed.kinds[b] == "membrane":
            return (self.emit(a) * (1 << REAL_BITS)) // self._divisor(b, "membrane")
        divisor = self.typed.values[b]
        if self.typed.kinds[a] == "count" and np.all((divisor > 0) & (divisor == np.rint(divisor))):
            return (self.emit(a) * (1 << REAL_BITS)) // self.constant(b, "count")
        with np.errstate(divide="ignore"):
            inverse = 1 / divisor
        if self.typed.kinds[a] == "count":
            return self.emit(a) * self.anonymous(f"r{b}", self.number(inverse, "real"))
        return self._scaled(self.emit(a), inverse)

    def _scaled(self, value: Expr, factor: Any) -> Expr:
        """A value times a real factor, which becomes m / 2**n."""
        m, bits = fixed_point(factor, self.arithmetic.decay_bits)
        if not np.all(np.abs(m) < MAX_FACTOR):
            fail("SNN401", self.place, f"a factor of {np.max(np.abs(factor)):.3g}", "below 2**16")
        if bits == 0 and np.all(m == 1):
            return value
        multiplier = self.anonymous(f"m{len(self.params)}", m)
        product = value if isinstance(m, int) and m == 1 else value * multiplier
        return Expr("shr", (product,), (bits, self.arithmetic.rounding)) if bits else product

    def _table(self, i: int) -> Expr:
        (argument,) = self.curves.arguments[i]
        if self.unit.size != 1:
            raise AssertionError("a curved rule has one unit for its layer")
        units = {"membrane": float(self.unit.reshape(())), "real": 2.0**-REAL_BITS}
        table = tabulate(self.typed, i, argument, units.get(self.typed.kinds[argument], 1.0), self._interval(argument),
                         units.get(self.typed.kinds[i], 1.0), self.arithmetic.table_bits, self.place)
        name = self.parameter(f"table{i}", table.values).value
        return Expr("lut", (self.emit(argument),), (name, table.low, table.shift))

    def _interval(self, i: int) -> Interval:
        """The range of a step where states take all of their widths, and the input that of a membrane."""
        program = flatten(self.emit(i), {})
        states = {name: width(self.bits(name)) for name in program.names("state")}
        return intervals(program, self.params, states, width(self.membrane_bits))[program.output]


def _held(program: Program, i: int) -> tuple[int, int] | None:
    """The positions of `a` and `b` in `max(a - b, 0) + b`, which is the larger of both in integers; None elsewhere."""
    steps, add = program.steps, program.steps[i]
    if add.op != "add" or steps[add.args[0]].op != "max":
        return None
    gap, zero = (steps[a] for a in steps[add.args[0]].args)
    if gap.op == "sub" and gap.args[1] == add.args[1] and (zero.op, zero.value) == ("const", 0):
        return gap.args[0], gap.args[1]
    return None


def fixed_point(factor: Any, decay_bits: int | None) -> tuple[Any, int]:
    """The factor as integers `m` and `n`, so that `m / 2**n` is nearest to it and `n` is no larger than needed.

    >>> fixed_point(0.75, 12)
    (3, 2)
    >>> fixed_point(0.9, 12)
    (1843, 11)

    With `decay_bits=None`, n starts at 12. It grows until the error is at most 1/16 of the factor, and at most 1/16 of
    what the factor is short of 1: that serves small gains and slow leaks. A factor that is too small for any n becomes
    0, and one that is too large becomes the largest.
    """
    value = np.asarray(factor, np.float64)
    tolerance = np.minimum(np.abs(1 - value), np.abs(value)) / 16
    negligible = np.abs(value) < 2.0 ** -(MAX_DECAY_BITS + 1)
    bits = 12 if decay_bits is None else decay_bits
    value = np.clip(np.nan_to_num(value, nan=MAX_FACTOR), -MAX_FACTOR, MAX_FACTOR)
    m = np.rint(value * 2.0**bits)
    while decay_bits is None and bits < MAX_DECAY_BITS and np.any(
            (np.abs(m / 2.0**bits - value) > tolerance) & ~negligible):
        bits += 1
        m = np.rint(value * 2.0**bits)
    whole = np.clip(m, -MAX_FACTOR, MAX_FACTOR).astype(np.int64)
    while bits and not np.any(whole & 1):
        whole, bits = whole >> 1, bits - 1
    return _scalar(whole), bits


def _scalar(values: Array) -> Any:
    """One Python integer where all values are equal, else the array."""
    return int(values.flat[0]) if values.size and np.all(values == values.flat[0]) else values
