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
from typing import Any

import numpy as np

from snncompile.backends.names import identifiers
from snncompile.backends.plan.updates import Update
from snncompile.backends.stream.circuit import Circuit
from snncompile.backends.stream.wires import LOGIC, NeuronUnit
from snncompile.ir.expr import Step
from snncompile.ir.operations import Interval, extent


def unit_of(update: Update, chains: int = 1) -> NeuronUnit:
    """The neuron unit of a population.

    Args:
        update: its program, its ranges, and its accumulators.
        chains: how many carry chains a value passes in a level, at most.
    """
    circuit, program, names = Circuit(chains), update.program, identifiers(update.op.params)
    found: list[int] = []
    for step, interval in zip(program.steps, update.ranges, strict=True):
        found.append(_wire(circuit, update, names, step, tuple(found[a] for a in step.args), interval))
    return circuit.unit(found[program.output], [(name, found[i]) for name, i in program.next_state])


def _wire(circuit: Circuit, update: Update, names: Mapping[str, str], step: Step, args: tuple[int, ...],
          interval: Interval) -> int:
    if interval[0] == interval[1]:
        return circuit.number(interval[0])
    value: Any = step.value
    match step.op:
        case "state":
            return circuit.add("state", (), interval, update.state_names[value])
        case "input":
            return _input(circuit, update)
        case "param":
            return circuit.add("param", (), interval, names[value])
        case "lut":
            table, low, shift = value
            return circuit.entry(args[0], names[table], np.size(update.op.params[table]), low, shift, interval)
    return LOWERED[step.op](circuit, args, interval, value)


def _input(circuit: Circuit, update: Update) -> int:
    """The sum of all accumulators times their factors."""
    total = circuit.number(0)
    for k, accumulator in enumerate(update.accumulators):
        one = circuit.add("sum", (), accumulator.buffer.range, k)
        if accumulator.factors is None:
            assert accumulator.factor is not None
            factor = circuit.number(accumulator.factor)
        else:
            factor = circuit.add("param", (), extent(accumulator.factors.values), f"FACTOR{k}")
        total = circuit.plus(total, circuit.times(one, factor, accumulator.range))
    return total


Lowering = Callable[[Circuit, tuple[int, ...], Interval, Any], int]


def _magnitude(b: Circuit, args: tuple[int, ...], interval: Interval, _: Any) -> int:
    (a,) = args
    return b.chosen(b.negative(a), b.minus(b.number(0), a), a, interval)


def _sign(b: Circuit, args: tuple[int, ...], interval: Interval, _: Any) -> int:
    (a,) = args
    positive = b.add("gt", (a, b.number(0)), LOGIC)
    return b.chosen(b.negative(a), b.number(-1), positive, interval)


def _extreme(op: str) -> Lowering:
    def lowered(b: Circuit, args: tuple[int, ...], interval: Interval, _: Any) -> int:
        one, other = args
        saturated = b.saturated(op, one, other, interval)
        if saturated is not None:
            return saturated
        greater = b.add("gt", (one, other), LOGIC)
        return b.chosen(greater, *((one, other) if op == "max" else (other, one)), interval)
    return lowered


def _either(b: Circuit, args: tuple[int, ...], interval: Interval, _: Any) -> int:
    if all(b.range_of(a) in (LOGIC, (0, 0), (1, 1)) for a in args):
        return b.add("either", args, interval)
    return _extreme("max")(b, args, interval, None)


def _shifted(b: Circuit, args: tuple[int, ...], interval: Interval, value: Any) -> int:
    (a,), (bits, rounding) = args, value
    shifted = b.wires[a]
    if rounding == "nearest" and shifted.op == "shl" and shifted.value[0] < bits and shifted.value[1] == 0:
        (a,), bits = shifted.args, bits - shifted.value[0]
    if rounding == "nearest" and bits:
        folded = b.folded(a, b.number(1 << (bits - 1)))
        if folded is None:
            return b.add("round", (a,), interval, bits)
        a = folded
    elif rounding == "zero" and bits:
        a = b.plus(a, b.chosen(b.negative(a), b.number((1 << bits) - 1), b.number(0)))
    return b.shifted_right(a, bits, interval)


def _wrapped(b: Circuit, args: tuple[int, ...], interval: Interval, bits: Any) -> int:
    (a,) = args
    bits = bits[0] if isinstance(bits, tuple) else bits
    return a if b.wires[a].bits <= bits else b.add("low", (a,), interval, int(bits))


LOWERED: Mapping[str, Lowering] = {
    "const": lambda b, args, interval, value: b.number(int(value)),
    "add": lambda b, args, interval, _: b.plus(args[0], args[1], interval),
    "sub": lambda b, args, interval, _: b.minus(args[0], args[1], interval),
    "mul": lambda b, args, interval, _: b.times(args[0], args[1], interval),
    "and": lambda b, args, interval, _: b.times(args[0], args[1], interval),
    "or": _either,
    "not": lambda b, args, interval, _: b.minus(b.number(1), args[0], interval),
    "neg": lambda b, args, interval, _: b.minus(b.number(0), args[0], interval),
    "abs": _magnitude,
    "sign": _sign,
    "min": _extreme("min"),
    "max": _extreme("max"),
    "floordiv": lambda b, args, interval, _: b.divided(args[0], args[1], interval),
    "ge": lambda b, args, _, __: b.compared("ge", args[0], args[1]),
    "gt": lambda b, args, _, __: b.compared("gt", args[0], args[1]),
    "select": lambda b, args, interval, _: b.chosen(args[0], args[1], args[2], interval),
    "shr": _shifted,
    "wrap": _wrapped,
}
"""What each operation of an integer program becomes, but `lut`; see `ir.operations` for what they compute."""
