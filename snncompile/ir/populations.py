"""The operators with a state: neurons in reals, and populations in integers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from snncompile.ir.expr import Program
from snncompile.ir.library import RULES
from snncompile.ir.op import Op, broadcasts
from snncompile.ir.rules import BIAS, THRESHOLD, Firing, Rule, Traced
from snncompile.ir.types import Shape, ShapeOnly, Weight, freeze_arrays


@dataclass(frozen=True, eq=False)
class Neuron(Op):
    """A neuron rule with its parameters: the stateful operator of FLOAT and LEGAL graphs.

    Attributes:
        rule: the model; `firing` and `options` fix its choices.
        params: numbers, or arrays that broadcast against the layer's shape. `bias` is added to the
            input before the rule sees it.
        initial: the states' first values, where they differ from the rule's.
    """

    rule: Rule
    params: Mapping[str, Any] = field(default_factory=dict)
    firing: Firing = field(default_factory=Firing)
    options: Mapping[str, str] = field(default_factory=dict)
    initial: Mapping[str, Any] = field(default_factory=dict)
    linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        defaults = {n: q.default for n, q in self.rule.params.items() if q.default is not None}
        object.__setattr__(self, "params", freeze_arrays({**defaults, **self.params}))
        object.__setattr__(self, "initial", freeze_arrays(self.initial))

    @classmethod
    def of(cls, rule: str, firing: Firing = Firing(), options: Mapping[str, str] | None = None,
           initial: Mapping[str, Any] | None = None, **params: Any) -> Neuron:
        """A neuron of a library rule, by its name."""
        return cls(RULES[rule], params, firing, options or {}, initial or {})

    def arrays(self) -> dict[str, Weight]:
        both = {**self.params, **{f"initial.{k}": v for k, v in self.initial.items()}}
        return {n: v for n, v in both.items() if isinstance(v, (np.ndarray, ShapeOnly))}

    @cached_property
    def traced(self) -> Traced:
        """The rule's program for the parameters this instance has."""
        return self.rule.trace(frozenset(self.params), self.firing, self.options)

    @property
    def threshold(self) -> Any:
        """The threshold, a number or an array; None for a rule without one."""
        return None if self.rule.threshold is None else self.params.get(self.rule.threshold)

    @property
    def bias(self) -> Any:
        """What is added to the input before the rule sees it, a number or an array; None for nothing."""
        return self.params.get(BIAS)

    def with_bias(self, bias: Any) -> Neuron:
        """The neuron with another bias; None for none."""
        others = {n: v for n, v in self.params.items() if n != BIAS}
        return dataclasses.replace(self, params=others if bias is None else {**others, BIAS: bias})

    def first(self, state: str) -> Any:
        """The initial value of a state."""
        return self.initial.get(state, self.traced.states[state].default)

    def infer(self, shape: Shape) -> Shape:
        for value in (*self.params.values(), *self.initial.values()):
            broadcasts(value, shape)
        return shape


@dataclass(frozen=True)
class IntState:
    """A state of an integer population: its width (for the reader; the program saturates) and first value."""

    bits: int
    initial: Any = 0


@dataclass(frozen=True, eq=False)
class Population(Op):
    """A population of an INT graph: an integer program is its definition.

    Attributes:
        program: the rule in integers; its input is the sum of the projections.
        params: integer parameters and look-up tables (1-d, named by the `lut` steps that read them).
        states: by name.
        unit: real value of one integer step of the membrane; a number, or an array that broadcasts.
        output_low, output_high: proven range of what leaves in one step.
        graded: whether that is a membrane quantity (in `unit`) or spikes.
        rule: the rule it came from, for the reader.
    """

    program: Program
    params: Mapping[str, Any]
    states: Mapping[str, IntState]
    unit: Any = 1.0
    output_low: int = 0
    output_high: int = 1
    graded: bool = False
    rule: str = ""
    linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", freeze_arrays(self.params))
        unit = freeze_arrays({"unit": self.unit})["unit"]
        object.__setattr__(self, "unit", unit)

    @property
    def threshold(self) -> Any:
        """The threshold in membrane steps, an integer or an array; None where the program has none."""
        return self.params.get(THRESHOLD)

    @property
    def bias(self) -> Any:
        """What the program adds to its input, an integer or an array; None for nothing."""
        return self.params.get(BIAS)

    @cached_property
    def tables(self) -> frozenset[str]:
        """The parameters that are look-up tables."""
        return frozenset(s.value[0] for s in self.program.steps if s.op == "lut" and isinstance(s.value, tuple))

    def arrays(self) -> dict[str, Weight]:
        both = {**self.params, "unit": self.unit, **{f"initial.{k}": s.initial for k, s in self.states.items()}}
        return {n: v for n, v in both.items() if isinstance(v, np.ndarray)}

    def infer(self, shape: Shape) -> Shape:
        for name, value in (*self.params.items(), ("unit", self.unit)):
            if name not in self.tables:
                broadcasts(value, shape)
        return shape
