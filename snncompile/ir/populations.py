"""The operators that hold neurons: `Neuron` in real numbers, and `Population` in integers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from snncompile.ir.expr import Program
from snncompile.ir.library import RULES
from snncompile.ir.op import Op, broadcasts
from snncompile.ir.rules import BIAS, THRESHOLD, Firing, Rule, Traced
from snncompile.ir.types import Shape, freeze_arrays


@dataclass(frozen=True, eq=False)
class Neuron(Op):
    """A population of neurons in a FLOAT or LEGAL graph: a neuron rule with its parameters, in real numbers.

    Attributes:
        rule: the neuron model.
        params: the parameters of the rule by name: numbers, or arrays that broadcast to the shape of the population.
            Parameters that are left out have the default of the rule. `bias`, which every rule takes, is added to the
            input.
        firing: comparison, reset and spikes in a tick; see `rules.Firing`.
        options: the options of the rule that differ from its first choice, by name.
        initial: the values of states before the first tick, by name, where they differ from the default of the rule.
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
        """A neuron with a rule of `library.RULES`, given by its name; `params` are the parameters of the rule."""
        return cls(RULES[rule], params, firing, options or {}, initial or {})

    def numbers(self) -> Iterator[tuple[str, Any]]:
        yield from self.params.items()
        yield from ((f"initial.{k}", v) for k, v in self.initial.items())

    @cached_property
    def traced(self) -> Traced:
        """The program of the rule, for the parameters that are present, and for `firing` and `options`."""
        return self.rule.trace(frozenset(self.params), self.firing, self.options)

    @property
    def threshold(self) -> Any:
        """The threshold, a number or an array; None for a rule without a threshold."""
        return None if self.rule.threshold is None else self.params.get(self.rule.threshold)

    @property
    def bias(self) -> Any:
        """The constant that is added to the input in every tick, a number or an array; None for no bias."""
        return self.params.get(BIAS)

    def with_bias(self, bias: Any) -> Neuron:
        """The same neuron with another bias; None removes it."""
        others = {n: v for n, v in self.params.items() if n != BIAS}
        return dataclasses.replace(self, params=others if bias is None else {**others, BIAS: bias})

    def first(self, state: str) -> Any:
        """The value of a state before the first tick, a number or an array."""
        return self.initial.get(state, self.traced.states[state].default)

    def infer(self, shape: Shape) -> Shape:
        for value in (*self.params.values(), *self.initial.values()):
            broadcasts(value, shape)
        return shape


@dataclass(frozen=True)
class IntState:
    """A state of an integer population.

    Attributes:
        bits: the width of a signed integer that holds it. The program itself keeps the state within its width.
        initial: its value before the first tick, an integer or an array that broadcasts to the population.
    """

    bits: int
    initial: Any = 0


@dataclass(frozen=True, eq=False)
class Population(Op):
    """A population of neurons in an INT or MAPPED graph, defined by an integer program.

    Attributes:
        program: what the neurons compute in a tick; its input is the sum of the projections.
        params: integer parameters that broadcast to the shape of the population, and look-up tables (1-d), by the names
            under which the `param` and `lut` steps read them.
        states: the states by name.
        unit: the real value of one integer step of the membrane: a number, or an array that broadcasts to the
            population.
        output_low, output_high: the least and the largest integer that a neuron can emit in a tick, as it was proved.
        graded: True where neurons emit a membrane quantity in steps of `unit`, False where they emit spikes.
        rule: the name of the rule that the program was made from; reports show it, and rules of targets compare it.
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
        """The threshold in membrane steps, an integer or an array; None where the program has no such parameter."""
        return self.params.get(THRESHOLD)

    @property
    def bias(self) -> Any:
        """The constant that the program adds to its input, an integer or an array; None for no bias."""
        return self.params.get(BIAS)

    @cached_property
    def tables(self) -> frozenset[str]:
        """The names of the parameters that are look-up tables."""
        return frozenset(s.value[0] for s in self.program.steps if s.op == "lut" and isinstance(s.value, tuple))

    def numbers(self) -> Iterator[tuple[str, Any]]:
        yield from self.params.items()
        yield "unit", self.unit
        yield from ((f"initial.{k}", s.initial) for k, s in self.states.items())

    def infer(self, shape: Shape) -> Shape:
        for name, value in (*self.params.items(), ("unit", self.unit)):
            if name not in self.tables:
                broadcasts(value, shape)
        return shape
