"""Neuron rules: a Python function that computes one tick of a neuron is traced into a program.

    @neuron_rule(decay=Real(), threshold=Membrane(1.0))
    def lif(state, x, p):
        v = charge(state, p, lambda v: p.decay * v, x)
        return discharge(state, v, p)

`state.NAME` is the value of a state before the tick, and an assignment to it sets the value after the tick. `x` is the
summed input of the tick, and `p.NAME` is a parameter. The functions `charge`, `fires`, `reset` and `discharge` follow
the `Firing` of the neuron, so that one rule serves for every kind of reset and comparison.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
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
"""The name of the constant that is added to the input. Every neuron may have it besides the parameters of its rule."""
THRESHOLD = "threshold"
"""The name of the parameter that is the threshold of a rule."""


@dataclass(frozen=True)
class Quantity:
    """What a parameter or state measures.

    Attributes:
        dimension: `membrane` for a membrane potential, `real` for a pure number, `count` for a whole number.
        default: the value of a parameter that is not given, or of a state before the first tick. A parameter whose
            default is None may be absent.
    """

    dimension: Dimension
    default: float | None = 0.0


def Membrane(default: float | None = 0.0) -> Quantity:
    """A membrane quantity, such as a threshold. Quantization divides it by the unit of the population."""
    return Quantity("membrane", default)


def Real(default: float | None = 1.0) -> Quantity:
    """A pure number, such as a decay or gain. Quantization makes it a fixed-point factor."""
    return Quantity("real", default)


def Count(default: float | None = 0.0) -> Quantity:
    """A whole number, such as a number of spikes or ticks. Quantization keeps it."""
    return Quantity("count", default)


@dataclass(frozen=True)
class Firing:
    """How the neurons of a spiking rule fire and are reset.

    Attributes:
        compare: a neuron fires where its membrane is `>=` or `>` its threshold.
        reset: what a spike does to the membrane: `subtract` takes the threshold away, once for each spike; `value` sets
            it to `v_reset`; `none` leaves it.
        when: when the reset acts. `same`: in the tick of the spike. `before-decay`: in the next tick, before the decay.
            `after-decay`: in the next tick, after the decay; a reset to a value keeps the input of that tick.
            `drop-input`: the same, but a reset to a value discards the input. `carried`: in the tick of the spike, but
            where the membrane is still above its threshold afterwards, the threshold is subtracted once more in the
            next tick before the comparison, and added again if the neuron does not fire in that tick. With a reset to a
            value, `carried` is the same as `same`.
        max_spikes: the most spikes that a neuron emits in a tick; None for no limit: a membrane of 3.5 times
            the threshold then gives 3 spikes.
    """

    compare: Compare = ">="
    reset: Reset = "subtract"
    when: When = "same"
    max_spikes: int | None = 1

    @property
    def waits(self) -> bool:
        """Whether a reset acts in the tick after the spike, so that a state has to hold the spike."""
        return self.reset != "none" and self.when not in ("same", "carried")

    @property
    def carries(self) -> bool:
        """Whether a membrane that is above its threshold after a reset is reset once more in the next tick."""
        return self.reset == "subtract" and self.when == "carried"


class States:
    """The states of a rule while it is traced: the argument `state` of its function.

    Reading an attribute gives the expression of the state before the tick, and setting it defines its next value. A
    state that was not declared is a membrane quantity that starts at 0.
    """

    _quantities: dict[str, Quantity]
    _next: dict[str, Expr]

    def __init__(self, quantities: dict[str, Quantity]):
        self.__dict__["_quantities"] = quantities
        self.__dict__["_next"] = {}

    def declare(self, name: str, quantity: Quantity) -> None:
        """Declare what a state measures. A declaration of the rule itself comes before this one."""
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
    """The parameters of a neuron while its rule is traced: the argument `p` of its function.

    Reading an attribute gives the expression of a parameter, or None for an optional parameter that the neuron does not
    have. `firing` and `options` are those of the neuron.
    """

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
    """A rule for which parameters, firing and options are chosen: its program, and what each state measures."""

    program: Program
    states: Mapping[str, Quantity]


@dataclass(frozen=True, eq=False)
class Rule:
    """A neuron model.

    Attributes:
        name: its name in graphs and messages.
        params: what each parameter measures, by name.
        states: what each state measures that is no membrane quantity starting at 0, by name.
        options: the choices that a neuron has besides its parameters, by name: a tuple of values, the first of which is
            the default.
        function: the function that is traced, or, for a rule that has been traced already, its program.
        spiking: True where neurons emit spikes, False where they emit a graded membrane quantity.
        threshold: the name of the parameter that is the threshold; None for a rule without one.
    """

    name: str
    params: Mapping[str, Quantity]
    states: Mapping[str, Quantity]
    options: Mapping[str, tuple[str, ...]]
    function: RuleFunction | Traced = field(repr=False)
    spiking: bool = True
    threshold: str | None = None

    def trace(self, present: frozenset[str], firing: Firing, options: Mapping[str, str]) -> Traced:
        """The program for a neuron that has the parameters named in `present`."""
        if isinstance(self.function, Traced):
            return self.function
        return _traced(self, self.function, present, firing, tuple(sorted(options.items())))

    def __reduce__(self) -> Any:
        """A rule that is a name of a module travels to another process by that name, and is one object there."""
        home, name = getattr(self.function, "__module__", ""), getattr(self.function, "__qualname__", "")
        if getattr(sys.modules.get(home), name, None) is self:
            return _rule_of, (home, name)
        return Rule, tuple(getattr(self, f.name) for f in dataclasses.fields(self))


def _rule_of(home: str, name: str) -> Rule:
    rule: Rule = getattr(import_module(home), name)
    return rule


@lru_cache(1024)
def _traced(rule: Rule, function: RuleFunction, present: frozenset[str], firing: Firing,
            options: tuple[tuple[str, str], ...]) -> Traced:
    """Trace a rule. The result is kept, since many populations of a network have the same rule and choices."""
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
    """Make a neuron rule of a function `(state, x, p) -> output`, which computes one tick; a decorator.

    Args:
        states: what states measure that are no membrane quantities starting at 0. Other states need no declaration.
        options: choices by name, each a tuple of values, the first of which is the default. The function reads the
            chosen value as `p.options[name]`.
        spiking: True where the output is spikes (0 and 1, or a count), False where it is a graded membrane quantity.
        params: the parameters, each a `Membrane`, `Real` or `Count` quantity with its default. A parameter with the
            name `threshold` is the threshold of the rule.
    """

    def make(function: RuleFunction) -> Rule:
        name = function.__name__.strip("_")
        return Rule(name, params, states or {}, options or {}, function, spiking, _threshold_of(params))

    return make


def fixed_rule(name: str, program: Program, params: Mapping[str, Quantity], states: Mapping[str, Quantity],
               *, options: Mapping[str, tuple[str, ...]] | None = None, spiking: bool = True) -> Rule:
    """Make a rule of a program. The `Firing` of a neuron with this rule changes nothing, since the program is fixed.

    Args:
        params, states: what every parameter and every state of the program measures, by name.
        options: the options with which the program was traced, each with its only value.
        spiking: as for `neuron_rule`.
    """
    return Rule(name, params, states, options or {}, Traced(program, states), spiking, _threshold_of(params))


def _threshold_of(params: Mapping[str, Quantity]) -> str | None:
    """The name of the threshold among the parameters of a rule; None where there is none."""
    return THRESHOLD if THRESHOLD in params else None


def fires(v: Expr, p: Any, threshold: Expr | None = None) -> Expr:
    """The spikes of this tick: 0 or 1, or a count where the neuron may emit several.

    Args:
        v: the membrane that is compared.
        p: the parameters of the rule.
        threshold: the threshold of this tick; the parameter `threshold` by default.
    """
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
    """The membrane `v` after the reset that the neuron's `Firing` says, for `spike` spikes."""
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
    """The membrane before firing: what is kept of the last one, plus the input.

    Where the reset acts in the tick after the spike, the reset of a spike of the last tick is applied here.

    Args:
        keep: gives what a tick keeps of a membrane, such as `lambda v: p.decay * v`.
        x: the input of the membrane.
        threshold: the threshold of this tick; the parameter `threshold` by default.
        update: gives the membrane from the last one, for rules in which the order of operations matters for the
            rounding; `keep(v) + x` by default.
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
    """Fire, and set the next membrane `state.v` after the reset and, where `p.v_min` is given, raised to that.

    Where the reset acts in the next tick, the spike is stored in `state.spike` for `charge`.

    Args:
        v: the membrane that `charge` gave.
        threshold: the threshold of this tick; the parameter `threshold` by default.

    Returns:
        The spikes.
    """
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
    """`v`, but at least `lowest`: `relu(v - lowest) + lowest`, which rounds as the frameworks do."""
    return maximum(v - lowest, 0) + lowest
