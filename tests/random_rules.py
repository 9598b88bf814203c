"""Random neuron rules beyond the library's: what someone may write element by element, and still a neuron."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from snncompile.ir.expr import Expr, absolute, as_expr, both, clip, flatten, maximum, minimum, select
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Count, Membrane, Quantity, Real, fixed_rule
from snncompile.ir.types import Shape
from tests.strategies import Choices

Spread = Callable[[Choices, Shape, int, int], Any]


@dataclass
class Draft:
    """A rule while it is drawn."""

    pick: Choices
    shape: Shape
    spread: Spread
    kinds: dict[str, Quantity] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    states: dict[str, Quantity] = field(default_factory=dict)
    following: dict[str, Expr] = field(default_factory=dict)

    def param(self, name: str, kind: Quantity, low: int, high: int) -> Expr:
        """A parameter whose value is a multiple of 1/64 between two such."""
        self.kinds[name] = kind
        self.params[name] = self.spread(self.pick, self.shape, low, high)
        return Expr("param", (), name)

    def state(self, name: str, kind: Quantity) -> Expr:
        self.states[name] = kind
        return Expr("state", (), name)


def own(pick: Choices, shape: Shape, spread: Spread) -> Neuron:
    """A spiking neuron: it leaks in one of several ways, may adapt or rest after a spike, and resets somehow."""
    d = Draft(pick, shape, spread)
    v = d.state("u", Membrane())
    v = _leak(d, v) + _drive(d)
    v = v if not pick.chance(25) else clip(v, -2, d.param("ceiling", Membrane(), 96, 160))
    threshold = d.param("threshold", Membrane(1.0), 24, 80)
    adapts, rests = pick.chance(30), pick.chance(30)
    if adapts:
        threshold = threshold + d.param("strength", Membrane(), 0, 24) * d.state("a", Real(0.0))
    spike = v >= threshold if pick.chance(50) else v > threshold
    if rests:
        left = d.state("left", Count())
        spike = both(spike, left <= 0)
        d.following["left"] = select(spike, pick.integer(1, 3), maximum(left - 1, 0))
    if adapts:
        d.following["a"] = d.param("fade", Real(), 0, 56) * Expr("state", (), "a") + spike
    d.following["u"] = _reset(d, v, spike, threshold)
    rule = fixed_rule("own", flatten(spike, d.following), d.kinds, d.states)
    initial = {"u": spread(pick, shape, -32, 32)} if pick.chance(20) else {}
    return Neuron(rule, d.params, initial=initial)


def _leak(d: Draft, v: Expr) -> Expr:
    kind = d.pick.integer(0, 4)
    if kind == 0:
        return v
    decay = d.param("decay", Real(), 0, 60)
    if kind == 1:
        rest = d.param("rest", Membrane(), -16, 16)
        return rest + decay * (v - rest)
    if kind == 2:
        return select(v > 0, decay * v, v)
    if kind == 3:
        return minimum(v, decay * absolute(v))
    return decay * v


def _drive(d: Draft) -> Expr:
    x = Expr("input")
    kind = d.pick.integer(0, 3)
    if kind == 0:
        return d.param("gain", Real(), 16, 96) * x
    if kind == 1:
        return maximum(x, d.param("least", Membrane(), -16, 0))
    return x - absolute(x) / 2 if kind == 2 else x


def _reset(d: Draft, v: Expr, spike: Expr, threshold: Expr) -> Expr:
    kind = d.pick.integer(0, 3)
    if kind == 0:
        return v - select(spike, threshold, as_expr(0))
    if kind == 1:
        return select(spike, d.param("low", Membrane(), -16, 16), v)
    if kind == 2:
        return select(spike, v / 4, v)
    return v * (1 - spike)
