"""The neuron rules that come with the compiler, and the table of their names.

In the formulas `x` is the summed input of a tick, and `v'` is the membrane `v` one tick later, before the reset. The
parameters `v_min` (the lowest membrane after the reset) and `v_reset` (the membrane after a reset to a value) are
optional in every rule that has them. `gain` multiplies the input.
"""

from __future__ import annotations

from typing import Any, TypedDict

from snncompile.ir.expr import Expr, Operand, clip, exp, maximum, select, tanh
from snncompile.ir.rules import (
    Count,
    Membrane,
    Quantity,
    Real,
    Rule,
    charge,
    discharge,
    fires,
    hold,
    neuron_rule,
    reset,
)


class _Fire(TypedDict):
    threshold: Quantity
    v_reset: Quantity
    v_min: Quantity


_FIRE: _Fire = {"threshold": Membrane(1.0), "v_reset": Membrane(None), "v_min": Membrane(None)}


@neuron_rule(gain=Real(1.0), **_FIRE)
def if_(state: Any, x: Expr, p: Any) -> Expr:
    """Integrate and fire: `v' = v + gain x`."""
    return discharge(state, charge(state, p, lambda v: v, p.gain * x), p)


@neuron_rule(decay=Real(0.9), gain=Real(1.0), **_FIRE)
def lif(state: Any, x: Expr, p: Any) -> Expr:
    """Leaky integrate and fire: `v' = decay v + gain x`."""
    return discharge(state, charge(state, p, lambda v: p.decay * v, p.gain * x), p)


@neuron_rule(w=Real(0.0), gain=Real(None), **_FIRE)
def plif(state: Any, x: Expr, p: Any) -> Expr:
    """Parametric LIF: `1/tau = sigmoid(w)`, `v' = v + (x - v) / tau` (Fang et al., ICCV 2021, eq. 9).

    With `gain` given, the input is scaled by it instead of by `1/tau`.
    """
    rate = 1 / (1 + exp(-p.w))
    driven = rate * x if p.gain is None else p.gain * x
    return discharge(state, charge(state, p, lambda v: (1 - rate) * v, driven), p)


def _synapse(state: Any, x: Expr, p: Any) -> Expr:
    """Update the synaptic current `i`, and return the current that enters the membrane in this tick."""
    current: Expr
    if p.options["filter"] == "decay-first":
        current = p.decay_syn * state.i + p.gain_syn * x
    else:
        current = state.i + p.gain_syn * x
    if p.options["filter"] == "decay-both":
        current = p.decay_syn * current
    state.i = p.decay_syn * current if p.options["filter"] == "add-first" else current
    return current


_FILTER = {"filter": ("decay-first", "add-first", "decay-both")}


@neuron_rule(options=_FILTER, decay=Real(0.9), decay_syn=Real(0.8), gain=Real(1.0), gain_syn=Real(1.0), **_FIRE)
def cubalif(state: Any, x: Expr, p: Any) -> Expr:
    """Current-based LIF: a filtered synaptic current drives a leaky membrane.

    The option `filter` says which current enters the membrane:
    `decay-first`: `i' = decay_syn i + gain_syn x` enters.
    `add-first`: `i + gain_syn x` enters, and `i' = decay_syn (i + gain_syn x)`.
    `decay-both`: `i' = decay_syn (i + gain_syn x)` enters.
    """
    current = _synapse(state, x, p)
    return discharge(state, charge(state, p, lambda v: p.decay * v, p.gain * current), p)


class _Relax(TypedDict):
    rate: Quantity
    tau: Quantity
    rest: Quantity
    rate_syn: Quantity


_RELAX: _Relax = {"rate": Real(0.5), "tau": Real(None), "rest": Membrane(None), "rate_syn": Real(None)}


def _relaxed(p: Any, v: Expr, x: Operand) -> Expr:
    """One Euler step of `tau dv/dt = (rest - v) + x`, in the order of operations of Norse and SpikingJelly.

    The order matters, because floating-point sums are rounded.
    """
    pull = -v if p.rest is None else p.rest - v
    if p.options["input"] == "whole":
        return v + _share(p, pull) + x
    return v + _share(p, pull + x)


def _share(p: Any, value: Expr) -> Expr:
    """What one Euler step adds for a derivative of `value`: `rate * value`, or `value / tau` where `tau` is given."""
    share: Expr = p.rate * value if p.tau is None else value / p.tau
    return share


def _current(state: Any, x: Expr, p: Any) -> Expr:
    """The input, or with `rate_syn` the current `i + x`, of which `(1 - rate_syn)` is left for the next tick."""
    if p.rate_syn is None:
        return x
    current: Expr = state.i + x
    state.i = current - p.rate_syn * current
    return current


_INPUT = {"input": ("decayed", "whole")}


@neuron_rule(options=_INPUT, **_RELAX, **_FIRE)
def euler_lif(state: Any, x: Expr, p: Any) -> Expr:
    """LIF as one Euler step of its equation: `v' = v + rate ((rest - v) + x)`.

    With `rest` 0, this is `lif` with `decay = 1 - rate` and `gain = rate` in exact arithmetic. In floating point the
    two are rounded differently, which decides about a spike where the membrane lands on its threshold.

    With `tau` given, the step is `((rest - v) + x) / tau`. With the option `input="whole"`, the input is not
    multiplied: `v' = v + rate (rest - v) + x`. With `rate_syn` given, the current `c = i + x` takes the place of `x`,
    and `i' = c - rate_syn c`.
    """
    current = _current(state, x, p)
    driven = current if p.options["input"] == "whole" else _share(p, current)
    v = charge(state, p, lambda v: _relaxed(p, v, 0), driven, update=lambda v: _relaxed(p, v, current))
    return discharge(state, v, p)


@neuron_rule(spiking=False, options=_INPUT, **_RELAX)
def euler_li(state: Any, x: Expr, p: Any) -> Expr:
    """Leaky integrator, for readouts: `euler_lif` without a threshold. It emits its membrane."""
    v = _relaxed(p, state.v, _current(state, x, p))
    state.v = v
    return v


def _read_out(state: Any, v: Expr, p: Any) -> Expr:
    """Emit the membrane, and keep it for the next tick, raised to `v_min` where it is below."""
    state.v = v if p.v_min is None else hold(v, p.v_min)
    return v


@neuron_rule(spiking=False, decay=Real(0.9), gain=Real(1.0), v_min=Membrane(None))
def li(state: Any, x: Expr, p: Any) -> Expr:
    """Leaky integrator, for readouts: `v' = decay v + gain x`. It emits its membrane `v'`.

    `v_min` limits the membrane that is kept for the next tick, not the one that is emitted.
    """
    return _read_out(state, p.decay * state.v + p.gain * x, p)


@neuron_rule(spiking=False, gain=Real(1.0))
def integrator(state: Any, x: Expr, p: Any) -> Expr:
    """Integrator without a leak, for readouts: `v' = v + gain x`. It emits its membrane `v'`."""
    v: Expr = state.v + p.gain * x
    state.v = v
    return v


@neuron_rule(spiking=False, options=_FILTER, decay=Real(0.9), decay_syn=Real(0.8), gain=Real(1.0),
             gain_syn=Real(1.0), v_min=Membrane(None))
def cubali(state: Any, x: Expr, p: Any) -> Expr:
    """Current-based leaky integrator, for readouts: `cubalif` without a threshold. It emits its membrane.

    `v_min` limits the membrane that is kept for the next tick, not the one that is emitted.
    """
    return _read_out(state, p.decay * state.v + p.gain * _synapse(state, x, p), p)


@neuron_rule(decay=Real(0.9), gain=Real(1.0), decay_b=Real(0.95), jump_b=Membrane(0.1), scale_b=Real(None),
             decay_syn=Real(None), **_FIRE)
def alif(state: Any, x: Expr, p: Any) -> Expr:
    """Adaptive LIF: the threshold is `threshold + b`, `b' = decay_b b + jump_b spikes` (Bellec et al., 2018).

    With `scale_b` given, the threshold is `threshold + scale_b b`. With `decay_syn` given, a current
    `i' = gain decay_syn (i + x)` drives the membrane instead of `gain x`.
    """
    threshold = p.threshold + (state.b if p.scale_b is None else p.scale_b * state.b)
    driven = p.gain * (x if p.decay_syn is None else p.decay_syn * (state.i + x))
    if p.decay_syn is not None:
        state.i = driven
    v = charge(state, p, lambda v: p.decay * v, driven, threshold)
    spike = discharge(state, v, p, threshold)
    state.b = p.decay_b * state.b + (p.jump_b * spike if p.firing.max_spikes != 1 else select(spike, p.jump_b, 0))
    return spike


@neuron_rule(states={"spike": Count(0)}, decay=Real(0.9), decay_inh=Real(0.8), gain=Real(1.0), threshold=Membrane(1.0))
def alpha(state: Any, x: Expr, p: Any) -> Expr:
    """Two currents of opposite sign: `exc' = decay exc + x`, `inh' = decay_inh inh - x`, `v = gain (exc' + inh')`.

    This is snnTorch's `Alpha`. A spike acts one tick later, whatever `when` says: a reset to a value sets `exc'`,
    `inh'` and `v` to 0; a subtraction takes the threshold from `exc'`, sets `inh'` to 0, and adds `inh` to `v`.
    """
    exc, inh = p.decay * state.exc + x, p.decay_inh * state.inh - x
    v = p.gain * (exc + inh)
    if p.firing.reset == "subtract":
        v, exc = select(state.spike, v + state.inh, v), reset(exc, state.spike, p)
    elif p.firing.reset == "value":
        v, exc = select(state.spike, 0, v), select(state.spike, 0, exc)
    state.exc, state.v, state.inh = exc, v, inh if p.firing.reset == "none" else select(state.spike, 0, inh)
    spike = fires(v, p)
    state.spike = spike
    return spike


@neuron_rule(decay=Real(0.6), gain=Real(1.0), jump=Membrane(0.1), **_FIRE)
def llif(state: Any, x: Expr, p: Any) -> Expr:
    """LIF with a lateral, adaptive threshold (ST-DANO).

    The membrane is compared with `threshold + theta'`, where `theta' = theta + jump tanh(i)`, and
    `i' = relu(gain x) - gain x` is the negative part of the last input.
    """
    theta = state.theta + p.jump * tanh(state.i)
    threshold = p.threshold + theta
    driven = p.gain * x
    v = charge(state, p, lambda v: p.decay * v, driven, threshold)
    spike = discharge(state, v, p, threshold)
    state.theta = theta
    state.i = maximum(driven, 0) - driven
    return spike


@neuron_rule(tau=Real(2.0), beta=Real(0.1), gain=Real(1.0), **_FIRE)
def slif(state: Any, x: Expr, p: Any) -> Expr:
    """Self-adaptive LIF (ST-DANO), whose time constant depends on how far the last spike exceeded the threshold.

    `v' = exp(-1 / t) v + gain x`, where `t = max(1.05, tau - beta tanh(excess))`. After a spike `excess'` is
    `v' - threshold`, otherwise 0.
    """
    tau = maximum(1.05, p.tau - p.beta * tanh(state.excess))
    v = charge(state, p, lambda v: exp(-1 / tau) * v, p.gain * x)
    spike = discharge(state, v, p)
    state.excess = select(spike, v - p.threshold, 0)
    return spike


@neuron_rule(states={"q": Count(0)}, options={"grid": ("before", "after", "after-tanh")}, decay=Real(0.5),
             gain=Real(1.0), step=Membrane(0.25), levels=Count(7), **_FIRE)
def qlif(state: Any, x: Expr, p: Any) -> Expr:
    """LIF with a k-bit membrane (Q-SNN).

    The membrane is integrated, rounded to a multiple of `step` (to the nearest one, halves up), and limited to
    `levels` steps on each side of 0; then it is compared and reset. In the terms of Q-SNN, `levels = 2**(k-1) - 1` and
    `step = alpha_u / levels`.

    With the option `grid="after"`, the membrane is compared and reset as it is, and rounded for the next tick, as in
    the authors' code. With `grid="after-tanh"`, `threshold tanh(v / threshold)` is rounded in place of `v`, as is done
    there too: then no level needs to be above the threshold.
    """
    v = p.decay * (state.q * p.step) + p.gain * x
    v = _grid(v, p) * p.step if p.options["grid"] == "before" else v
    spike = fires(v, p)
    after = reset(v, spike, p)
    after = after if p.v_min is None else maximum(after, p.v_min)
    state.q = _grid(p.threshold * tanh(after / p.threshold) if p.options["grid"] == "after-tanh" else after, p)
    return spike


def _grid(v: Expr, p: Any) -> Expr:
    """A membrane as a count of steps: the nearest whole number, at most `levels` in magnitude."""
    return clip((v + p.step * 0.5) // p.step, -p.levels, p.levels)


@neuron_rule(gain=Real(1.0), threshold=Membrane(1.0))
def threshold(state: Any, x: Expr, p: Any) -> Expr:
    """A threshold without a state: a spike where `gain x` reaches it."""
    return fires(p.gain * x, p)


@neuron_rule(spiking=False)
def accumulator(state: Any, x: Expr, p: Any) -> Expr:
    """No state and no threshold: it emits its summed input as a graded value."""
    return x + 0


RULES: dict[str, Rule] = {
    r.name: r
    for r in (if_, lif, plif, cubalif, li, integrator, cubali, euler_lif, euler_li, alif, alpha, llif, slif,
              qlif, threshold, accumulator)
}

