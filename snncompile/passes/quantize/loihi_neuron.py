"""Which neurons are Loihi's own, and what they put into its registers.

Told from the program of a rule and not from its name: whatever charges linearly, compares with a constant and
returns to zero is Loihi's neuron, however it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from snncompile.diagnostics import Diagnostic, shorten
from snncompile.ir.dimensions import Typed
from snncompile.ir.expr import Step
from snncompile.ir.graph import Graph
from snncompile.ir.loihi import INPUT_SHIFT, LOIHI, NO_MEMORY, LoihiLif
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.types import Array
from snncompile.targets.target import Target

EVEN = 2
"""Weights of mixed sign lose their last bit on Loihi, so that codes are doubled."""
MAX_THRESHOLD = (1 << 17) - 1
MAX_BIAS = (1 << 12) - 1
MAX_BIAS_EXPONENT = 7

Affine: TypeAlias = Mapping[str, Any]
"""A sum of states and input with real coefficients, by name; that of the empty name is the constant."""


@dataclass(frozen=True)
class Fit:
    """A neuron of Loihi's form, in reals: `s' = keep_current s + gain x`, `v' = keep_voltage v + s' + drive`.

    Attributes:
        drive: `[*shape]` or a number.
        threshold: the membrane has to exceed it, or with `meets` at least to reach it.
    """

    gain: float
    keep_current: float
    keep_voltage: float
    drive: Any
    threshold: float
    meets: bool

    def step(self, steps: list[Array]) -> float:
        """The real value of a weight step for which no projection is coarser than on its own grid.

        A little larger than the finest of `steps`, so that the threshold is a whole number of it.
        """
        finest = min((float(s.min()) for s in steps if np.all(s > 0)), default=self.threshold)
        whole = np.clip(np.floor(EVEN * self.threshold / finest + 1e-6), 1, MAX_THRESHOLD)
        return float(EVEN * self.threshold / whole)

    def registers(self, step: float) -> LoihiLif | None:
        """What the registers hold for weights of this step; None where a bias is more than they do."""
        # A membrane that starts at rest often meets its threshold exactly, so that exceeding one less comes nearest.
        threshold = round(EVEN * self.threshold / step) - int(self.meets)
        bias = _bias(np.asarray(self.drive, np.float64) * (EVEN << INPUT_SHIFT) / step)
        if bias is None:
            return None
        return LoihiLif(threshold, _decay(self.keep_current), _decay(self.keep_voltage), bias)


def fit(neuron: Neuron, typed: Typed) -> Fit | None:
    """The neuron in Loihi's form, or None where it has another.

    A membrane that no spike resets is a current, and the membrane behind it keeps nothing; a threshold without memory
    has neither.

    Args:
        typed: the program of `prompt(neuron)`.
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
    bias = neuron.params.get("bias", 0.0)
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


def emulated(graph: Graph, target: Target) -> list[Diagnostic]:
    """A warning (SNN411) for each spiking population of an INT graph that a target has no registers for."""
    if target.neurons.programmable or target.arithmetic.neuron != "loihi":
        return []
    foreign = [n for n, op in graph.populations.items() if isinstance(op, Population) and not op.graded
               and op.rule != LOIHI]
    return [Diagnostic("SNN411", f"population {shorten(n)}", "integers that the neuron's registers cannot hold: it is "
                       "emulated by a program", f"Loihi's own neuron on {target.name}",
                       "a linear charge, a reset to zero and one threshold a population", "warning") for n in foreign]


def affine(typed: Typed) -> list[Affine | None]:
    """Every step of a program as a sum of states and input, where it is one."""
    found: list[Affine | None] = []
    for i, step in enumerate(typed.program.steps):
        value = typed.values[i]
        found.append({"": value} if value is not None else _affine(step, [found[a] for a in step.args], typed))
    return found


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
    """Whether a next state is the charged membrane, or 0 after a spike."""
    step = typed.program.steps[i]
    if step.op != "select" or step.args[0] != spike or step.args[2] != charged:
        return False
    value = typed.values[step.args[1]]
    return value is not None and not np.any(value)


def _is_filter(charged: Affine, after: Affine, voltage: str, current: str = "") -> bool:
    """Whether what enters the membrane is a decaying sum of the inputs, whichever way the rule keeps it.

    `s = a i + b x` obeys `s' = k s + b x` for `i' = k i + c x` just if `a c = k b`.
    """
    if set(charged) - {"input", "", voltage, current} or set(after) - {"input", "", current}:
        return False
    if not current:
        return True
    added = np.multiply(charged.get(current, 0.0), after.get("input", 0.0))
    kept = np.multiply(after.get(current, 0.0), charged.get("input", 0.0))
    return not np.any(after.get("", 0.0)) and bool(np.all(np.isclose(added, kept, rtol=1e-12, atol=0)))


def _uniform(*values: Any) -> list[float] | None:
    """The values as numbers, or None where one differs from neuron to neuron."""
    arrays = [np.asarray(v, np.float64).reshape(-1) for v in values]
    return [float(a[0]) for a in arrays] if all(a.size and np.all(a == a[0]) for a in arrays) else None


def _decay(keep: float) -> int:
    return NO_MEMORY - round(NO_MEMORY * keep)


def _bias(exact: Array) -> Any:
    """Mantissas and one exponent put together, or None where no exponent holds them."""
    largest = float(np.abs(exact).max(initial=0))
    exponent = next((e for e in range(MAX_BIAS_EXPONENT + 1) if np.rint(largest / (1 << e)) <= MAX_BIAS), None)
    if exponent is None:
        return None
    whole = np.rint(exact / (1 << exponent)).astype(np.int64) << exponent
    return whole if whole.ndim else int(whole)
