"""Neuron rules: one Python function, traced into an expression program.

    @neuron_rule(decay=Real(), threshold=Membrane(1.0))
    def lif(state, x, p):
        v = charge(state, p, lambda v: p.decay * v, x)
        return discharge(state, v, p)

`state.NAME` reads a state as it was before the step and assigning it sets the next value; `x` is the
summed input of the step; `p.NAME` is a parameter. The helpers `charge`, `fires`, `reset` and
`discharge` honour the instance's `Firing`, so that one rule serves every reset and comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from snncompile.ir.expr import (
    Expr,
    Operand,
    Program,
    binary,
    clip,
    flatten,
    maximum,
    select,
)

Dimension: TypeAlias = Literal["membrane", "real", "count"]
Compare: TypeAlias = Literal[">=", ">"]
Reset: TypeAlias = Literal["subtract", "value", "none"]
When: TypeAlias = Literal["same", "before-decay", "after-decay", "drop-input", "carried"]

BIAS = "bias"
"""The parameter that every neuron may have besides those of its rule: a constant that is added to its input."""
THRESHOLD = "threshold"
"""The name by which a rule declares its threshold."""


@dataclass(frozen=True)
class Quantity:
    """What a parameter or state measures. `default=None` marks a parameter that may be absent."""

    dimension: Dimension
    default: float | None = 0.0


def Membrane(default: float | None = 0.0) -> Quantity:
    """A quantity in the unit of the membrane: it is scaled when the membrane becomes an integer."""
    return Quantity("membrane", default)


def Real(default: float | None = 1.0) -> Quantity:
    """A pure number: decays, gains."""
    return Quantity("real", default)


def Count(default: float | None = 0.0) -> Quantity:
    """An integer that is never scaled: spikes, levels."""
    return Quantity("count", default)


@dataclass(frozen=True)
class Firing:
    """What an instance of a spiking rule fixes.

    Attributes:
        compare: fires when the membrane is `>=` or `>` its threshold.
        reset: subtract the threshold (once per spike), set to `v_reset`, or leave alone.
        when: the reset acts in the same step, or in the next one: before the decay, after it (the
            step's input is kept), or `drop-input` (after it; a reset to a value also drops the input). `carried`
            acts in the same step, but a membrane that is still above its threshold afterwards carries a reset with it:
            subtracted in the next step before the comparison, and given back if that step does not fire. A reset to a
            value leaves nothing to carry.
        max_spikes: spikes a neuron may emit in one step; None means as many thresholds as it crossed.
    """

    compare: Compare = ">="
    reset: Reset = "subtract"
    when: When = "same"
    max_spikes: int | None = 1

    @property
    def waits(self) -> bool:
        """Whether a spike is remembered, its reset acting in the next step."""
        return self.reset != "none" and self.when not in ("same", "carried")

    @property
    def carries(self) -> bool:
        """Whether what is above the threshold after a reset counts as a reset already begun."""
        return self.reset == "subtract" and self.when == "carried"


class States:
    """The states of a rule while it is traced."""

    _quantities: dict[str, Quantity]
    _next: dict[str, Expr]

    def __init__(self, quantities: dict[str, Quantity]):
        self.__dict__["_quantities"] = quantities
        self.__dict__["_next"] = {}

    def declare(self, name: str, quantity: Quantity) -> None:
        """Say what a state measures, unless the rule has said so."""
        self._quantities.setdefault(name, quantity)

    def __getattr__(self, name: str) -> Expr:
        if name.startswith("__"):
            raise AttributeError(name)
        self.declare(name, Membrane())
        self._next.setdefault(name, Expr("state", (), name))
        return Expr("state", (), name)

    def __setattr__(self, name: str, value: Operand) -> None:
        self.declare(name, Membrane())
        self._next[name] = binary("add", value, 0) if not isinstance(value, Expr) else value


class Parameters:
    """The parameters of a rule instance while it is traced; an absent optional one reads as None."""

    def __init__(self, present: frozenset[str], known: Mapping[str, Quantity], firing: Firing,
                 options: Mapping[str, str]):
        self._present, self._known, self.firing, self.options = present, known, firing, options

    def __getattr__(self, name: str) -> Any:
        if name not in self._known:
            raise AttributeError(f"the rule declares no parameter {name!r}")
        return Expr("param", (), name) if name in self._present else None


RuleFunction: TypeAlias = Callable[[Any, Expr, Any], Expr]


@dataclass(frozen=True)
class Traced:
    """A rule with all its choices made: the program and what its states measure."""

    program: Program
    states: Mapping[str, Quantity]


@dataclass(frozen=True, eq=False)
class Rule:
    """A neuron model.

    Attributes:
        params, states: what each of its parameters and states measures.
        options: static choices by name, each with its values.
        function: the function that is traced, or the program itself where all choices are made.
        spiking: whether the output is spikes or a graded membrane quantity.
        threshold: the parameter that the membrane has to reach for a spike; None for a rule without one.
    """

    name: str
    params: Mapping[str, Quantity]
    states: Mapping[str, Quantity]
    options: Mapping[str, tuple[str, ...]]
    function: RuleFunction | Traced = field(repr=False)
    spiking: bool = True
    threshold: str | None = None

    def trace(self, present: frozenset[str], firing: Firing, options: Mapping[str, str]) -> Traced:
        """The program of an instance with these parameters present."""
        if isinstance(self.function, Traced):
            return self.function
        return _traced(self, self.function, present, firing, tuple(sorted(options.items())))


@lru_cache(1024)
def _traced(rule: Rule, function: RuleFunction, present: frozenset[str], firing: Firing,
            options: tuple[tuple[str, str], ...]) -> Traced:
    """Traced once for each choice: the populations of a network make the same few."""
    quantities = dict(rule.states)
    states = States(quantities)
    chosen = {name: values[0] for name, values in rule.options.items()} | dict(options)
    output = function(states, Expr("input"), Parameters(present, rule.params, firing, chosen))
    return Traced(flatten(output, states._next), {n: quantities[n] for n in states._next})


def neuron_rule(
    *,
    states: Mapping[str, Quantity] | None = None,
    options: Mapping[str, tuple[str, ...]] | None = None,
    spiking: bool = True,
    **params: Quantity,
) -> Callable[[RuleFunction], Rule]:
    """Make a neuron rule of a function `(state, x, p) -> output`.

    Args:
        states: states that are not membrane quantities starting at 0; others appear when first used.
        options: static choices by name, the first value being the default; read as `p.options[name]`.
        spiking: whether the output is spikes (a comparison or a count) or a graded membrane quantity.
        params: the parameters, each a `Membrane`, `Real` or `Count` quantity with its default. The one that is called
            `threshold` is the rule's threshold.
    """

    def make(function: RuleFunction) -> Rule:
        name = function.__name__.strip("_")
        return Rule(name, params, states or {}, options or {}, function, spiking, _threshold_of(params))

    return make


def fixed_rule(name: str, program: Program, params: Mapping[str, Quantity], states: Mapping[str, Quantity],
               *, options: Mapping[str, tuple[str, ...]] | None = None, spiking: bool = True) -> Rule:
    """The rule that a program is: all its choices are made, so an instance's `Firing` changes nothing.

    Args:
        params, states: what every parameter and state of the program measures.
    """
    return Rule(name, params, states, options or {}, Traced(program, states), spiking, _threshold_of(params))


def _threshold_of(params: Mapping[str, Quantity]) -> str | None:
    """The parameter that a rule declares as its threshold: the one of that name."""
    return THRESHOLD if THRESHOLD in params else None


def fires(v: Expr, p: Any, threshold: Expr | None = None) -> Expr:
    """Spikes of this step: 0 or 1, or a count where the instance allows several."""
    threshold = p.threshold if threshold is None else threshold
    compare = "ge" if p.firing.compare == ">=" else "gt"
    if p.firing.max_spikes == 1:
        return binary(compare, v, threshold)
    if p.firing.compare == ">=":
        crossed = v // threshold
    else:
        crossed = -((-v) // threshold) - 1
    if p.firing.max_spikes is None:
        return maximum(crossed, 0)
    return clip(crossed, 0, p.firing.max_spikes)


def reset(v: Expr, spike: Expr, p: Any, threshold: Expr | None = None) -> Expr:
    """The membrane after the instance's reset, where there was a spike."""
    threshold = p.threshold if threshold is None else threshold
    if p.firing.reset == "none":
        return v
    if p.firing.reset == "value":
        return select(spike, 0 if p.v_reset is None else p.v_reset, v)
    if p.firing.max_spikes == 1:
        return select(spike, v - threshold, v)
    return v - spike * threshold


def charge(state: Any, p: Any, keep: Callable[[Expr], Expr], x: Expr, threshold: Expr | None = None,
           update: Callable[[Expr], Expr] | None = None) -> Expr:
    """The membrane before firing: the kept part of the last one plus the input.

    A reset that waits for the next step is applied here, where the instance says. `update` is the same sum in
    another order of operations, from the last membrane, for rules whose rounding matters.
    """
    update = update or (lambda v: keep(v) + x)
    if p.firing.carries:
        return reset(update(state.v), fires(state.v, p, threshold), p, threshold)
    if not p.firing.waits:
        return update(state.v)
    state.declare("spike", Count())
    last = state.spike
    if p.firing.when == "before-decay":
        return update(reset(state.v, last, p, threshold))
    if p.firing.when == "after-decay" and p.firing.reset == "value":
        return reset(keep(state.v), last, p) + x
    return reset(update(state.v), last, p, threshold)


def discharge(state: Any, v: Expr, p: Any, threshold: Expr | None = None) -> Expr:
    """Fire, reset (now, or by remembering the spike), and keep the membrane above `v_min`."""
    spike = fires(v, p, threshold)
    if p.firing.carries:
        v = v - (spike - fires(state.v, p, threshold)) * (p.threshold if threshold is None else threshold)
    elif p.firing.waits:
        state.spike = spike
    else:
        v = reset(v, spike, p, threshold)
    state.v = v if p.v_min is None else hold(v, p.v_min)
    return spike


def hold(v: Expr, lowest: Operand) -> Expr:
    """`v`, but at least `lowest`: as `relu(v - lowest) + lowest`, which is how frameworks round it."""
    return maximum(v - lowest, 0) + lowest
