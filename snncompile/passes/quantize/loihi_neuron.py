"""Loihi's own neuron as a fixed neuron: which neurons have its form, and what its registers hold for them.

The form is read from the program of a rule, not from the rule's name. A neuron that charges linearly, compares with a
constant and returns to zero is Loihi's neuron, whatever rule it was written as.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np

from snncompile.ir.dimensions import Typed
from snncompile.ir.expr import Step
from snncompile.ir.loihi import INPUT_SHIFT, LOIHI, MAX_STATE, NO_MEMORY, LoihiLif
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.types import Array
from snncompile.passes.legalize.prompt_resets import with_same_tick_reset
from snncompile.passes.quantize.neuron_program import typed_program
from snncompile.targets.load import load_target
from snncompile.targets.sections import Registers
from snncompile.targets.target import Target

REFERENCE = "loihi1"
"""The chip whose registers are emulated on a target that describes none, such as a processor."""

NARROW_THRESHOLD = 1 << 10
"""How many units a threshold has at least beside weights of few bits."""
Affine: TypeAlias = Mapping[str, Any]
"""A sum of states and the input: each one's real coefficient by name. The constant stands under the empty name."""


@dataclass(frozen=True)
class LoihiNeuron:
    """Loihi's neuron, with the widths that the registers of a chip have.

    Attributes:
        registers: the widths.
        weight_multiple: 2 where weights of both signs lose their last bit, as they do on Loihi.
    """

    registers: Registers
    weight_multiple: int
    rule: ClassVar[str] = LOIHI
    title: ClassVar[str] = "Loihi"
    form: ClassVar[str] = "a linear charge, a reset to zero and one threshold a population"
    keeps_given_weights: ClassVar[bool] = False

    @classmethod
    def of(cls, target: Target) -> LoihiNeuron:
        """The neuron with the figures of a target, or with those of the first Loihi where it has no registers."""
        chip = target if target.registers != Registers() else load_target(REFERENCE)
        return cls(chip.registers, chip.weights.mixed_step)

    def fit(self, neuron: Neuron, place: str) -> FittedLoihi | None:
        """The neuron in Loihi's form, or None where it has another. Errors name `place`."""
        neuron = with_same_tick_reset(neuron)
        form = fit(neuron, typed_program(neuron, place))
        return None if form is None else FittedLoihi(form, self)

    @property
    def max_threshold(self) -> int:
        """The largest mantissa of a threshold: what the register holds, and what a membrane can still exceed."""
        reachable = MAX_STATE >> INPUT_SHIFT
        bits = self.registers.threshold_bits
        return reachable if bits is None else min((1 << bits) - 1, reachable)

    @property
    def max_mantissa(self) -> int:
        """The largest mantissa of a bias; the largest membrane where the register has no width of its own."""
        bits = self.registers.bias_mantissa_bits
        return MAX_STATE if bits is None else (1 << bits) - 1

    @property
    def exponents(self) -> range:
        """The exponents that a bias can have."""
        return range(1 << self.registers.bias_exponent_bits)

    def bias(self, exact: Array) -> Any:
        """The integers nearest to biases that share one exponent: a number, or an array of the same shape.

        None where the largest of them does not fit its mantissa with any exponent. With a mantissa of 12 bits, 5000.4
        needs the exponent 1, so that all biases become even:

        >>> chip = LoihiNeuron(Registers(bias_mantissa_bits=12, bias_exponent_bits=3), 2)
        >>> chip.bias(np.array([5000.4, -2.6])).tolist()
        [5000, -2]
        """
        largest = float(np.abs(exact).max(initial=0))
        exponent = next((e for e in self.exponents if np.rint(largest / (1 << e)) <= self.max_mantissa), None)
        if exponent is None:
            return None
        whole = np.rint(exact / (1 << exponent)).astype(np.int64) << exponent
        return whole if whole.ndim else int(whole)


@dataclass(frozen=True)
class Fit:
    """A neuron of Loihi's form, in reals: `s' = keep_current s + gain x`, `v' = keep_voltage v + s' + drive`.

    Attributes:
        gain: the factor of the input `x`, above 0.
        keep_current, keep_voltage: what is kept of the current `s` and of the membrane `v` in a tick, 0 to 1.
        drive: what is added to the membrane in every tick, `[*shape]` or a number.
        threshold: the membrane fires where it exceeds this, above 0.
        meets: whether it fires too where it is equal to the threshold.
    """

    gain: float
    keep_current: float
    keep_voltage: float
    drive: Any
    threshold: float
    meets: bool


@dataclass(frozen=True)
class FittedLoihi:
    """A neuron of Loihi's form, and the registers that it has to fit into. See `fixed_neuron.FittedNeuron`."""

    fit: Fit
    chip: LoihiNeuron

    @property
    def gain(self) -> float:
        return self.fit.gain

    def population(self, steps: Sequence[Array], narrow: bool = False) -> tuple[Population, Array] | None:
        """The integers for projections with these weight steps; see `fixed_neuron.FittedNeuron`."""
        unit = self.unit(steps, narrow)
        registers = self.registers(unit)
        if registers is None:
            return None
        return dataclasses.replace(registers.population(), unit=unit / (1 << INPUT_SHIFT)), np.asarray(unit)

    def unit(self, steps: Sequence[Array], narrow: bool = False) -> float:
        """The real value of a weight of 1, so fine that no projection becomes coarser than its own grid.

        The weights are multiples of `weight_multiple`, and the finest step is at least that many units. The unit is
        then enlarged a little, so that the threshold is a whole number of units. Narrow weights have an exponent: the
        unit is their step over a power of two, so that the threshold is NARROW_THRESHOLD units or more.
        """
        multiple, threshold = self.chip.weight_multiple, self.fit.threshold
        finest = min((float(s.min()) for s in steps if np.all(s > 0)), default=threshold)
        whole = multiple * threshold / finest
        if narrow:
            whole *= 2.0 ** max(0, np.ceil(np.log2(NARROW_THRESHOLD / whole)))
        whole = np.clip(np.floor(whole + 1e-6), 1, self.chip.max_threshold)
        return float(threshold / whole)

    def registers(self, unit: float) -> LoihiLif | None:
        """What the registers hold where a weight of 1 is worth `unit`; None where they cannot hold the bias."""
        # A membrane that starts at rest often meets its threshold exactly, so that exceeding one less comes nearest.
        threshold = round(self.fit.threshold / unit) - int(self.fit.meets)
        bias = self.chip.bias(np.asarray(self.fit.drive, np.float64) * (1 << INPUT_SHIFT) / unit)
        if bias is None:
            return None
        return LoihiLif(threshold, _decay(self.fit.keep_current), _decay(self.fit.keep_voltage), bias)


def fit(neuron: Neuron, typed: Typed) -> Fit | None:
    """The neuron in Loihi's form, or None where it has another.

    A state that no spike resets is the current of Loihi's neuron; where there is only that state, the membrane behind
    it keeps nothing. A threshold without memory has neither state.

    Args:
        neuron: with its reset in the tick of the spike, where that is possible; see `with_same_tick_reset`.
        typed: its program.
    """
    program, sums = typed.program, affine(typed)
    fires, nexts = program.steps[program.output], dict(program.next_state)
    if fires.op not in ("ge", "gt") or any(np.any(neuron.first(state)) for state in nexts):
        return None
    charged, threshold = sums[fires.args[0]], typed.values[fires.args[1]]
    voltage = [name for name, i in nexts.items() if _returns(typed, i, program.output, fires.args[0])]
    current = [name for name in nexts if name not in voltage]
    if charged is None or threshold is None or len(voltage) > 1 or len(current) > 1:
        return None
    membrane = voltage[0] if voltage else ""
    after = sums[nexts[current[0]]] if current else {}
    if after is None or not _is_filter(charged, after, membrane, *current):
        return None
    bias = 0.0 if neuron.bias is None else neuron.bias
    if current and np.any(bias):  # it would have to pass the filter; a register's bias does not
        return None
    drive = charged.get("", 0.0) + bias * charged.get("input", 0.0)
    keeps = [after.get(name, 0.0) for name in current] or [0.0]
    kept = charged.get(membrane, 0.0) if membrane else 0.0  # a threshold without memory keeps nothing
    numbers = _uniform(charged.get("input", 0.0), keeps[0], kept, threshold)
    if numbers is None:
        return None
    gain, keep_current, keep_voltage, limit = numbers
    if not (gain > 0 and limit > 0 and 0 <= keep_current <= 1 and 0 <= keep_voltage <= 1):
        return None
    return Fit(gain, keep_current, keep_voltage, drive, limit, fires.op == "ge")


def affine(typed: Typed) -> list[Affine | None]:
    """Every step of a program as a sum of states and the input; None for a step that is no such sum."""
    sums: list[Affine | None] = []
    for i, step in enumerate(typed.program.steps):
        value = typed.values[i]
        sums.append({"": value} if value is not None else _affine(step, [sums[a] for a in step.args], typed))
    return sums


def _affine(step: Step, args: list[Affine | None], typed: Typed) -> Affine | None:
    if step.op in ("input", "state"):
        return {"input" if step.op == "input" else str(step.value): 1.0}
    if any(a is None for a in args):
        return None
    sums = [a for a in args if a is not None]
    match step.op:
        case "neg":
            return _times(sums[0], -1.0)
        case "add":
            return _plus(sums[0], sums[1])
        case "sub":
            return _plus(sums[0], _times(sums[1], -1.0))
        case "div" if typed.static(step.args[1]):
            return _times(sums[0], 1 / typed.values[step.args[1]])
        case "mul" if typed.static(step.args[1]):
            return _times(sums[0], typed.values[step.args[1]])
        case "mul" if typed.static(step.args[0]):
            return _times(sums[1], typed.values[step.args[0]])
    return None


def _plus(a: Affine, b: Affine) -> Affine:
    return {n: a.get(n, 0.0) + b.get(n, 0.0) for n in {**a, **b}}


def _times(a: Affine, factor: Any) -> Affine:
    return {n: v * factor for n, v in a.items()}


def _returns(typed: Typed, i: int, spike: int, charged: int) -> bool:
    """Whether a next state is 0 after a spike, and the charged membrane otherwise."""
    step = typed.program.steps[i]
    if step.op != "select" or step.args[0] != spike or step.args[2] != charged:
        return False
    value = typed.values[step.args[1]]
    return value is not None and not np.any(value)


def _is_filter(charged: Affine, after: Affine, voltage: str, current: str = "") -> bool:
    """Whether what enters the membrane is a decaying sum of the inputs, however the rule writes that.

    Where the rule adds `s = a i + b x` to the membrane and keeps the current `i' = k i + c x`, then `s' = k s + b x`
    holds exactly if `a c = k b`.
    """
    if set(charged) - {"input", "", voltage, current} or set(after) - {"input", "", current}:
        return False
    if not current:
        return True
    added = np.multiply(charged.get(current, 0.0), after.get("input", 0.0))
    kept = np.multiply(after.get(current, 0.0), charged.get("input", 0.0))
    return not np.any(after.get("", 0.0)) and bool(np.all(np.isclose(added, kept, rtol=1e-12, atol=0)))


def _uniform(*values: Any) -> list[float] | None:
    """The values as numbers; None where one of them differs between neurons."""
    arrays = [np.asarray(v, np.float64).reshape(-1) for v in values]
    return [float(a[0]) for a in arrays] if all(a.size and np.all(a == a[0]) for a in arrays) else None


def _decay(keep: float) -> int:
    """The register for a membrane or current of which `keep` is left after a tick."""
    return NO_MEMORY - round(NO_MEMORY * keep)
