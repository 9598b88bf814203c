"""The neuron rules that come with the compiler, and the table that names them.

Times are in ticks and every rule is already discrete. `v_min` (lowest membrane after the reset) and
`v_reset` are optional everywhere; `gain` multiplies the input before the neuron sees it.
"""

from __future__ import annotations

from typing import Any, TypedDict

from snncompile.ir.expr import Expr, clip, exp, maximum, select, tanh
from snncompile.ir.rules import Count, Membrane, Quantity, Real, Rule, charge, discharge, fires, neuron_rule, reset


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
    """The synaptic current that the membrane sees this step."""
    current: Expr
    if p.options["filter"] == "decay-first":
        current = p.decay_syn * state.i + p.gain_syn * x
        state.i = current
    else:
        current = state.i + p.gain_syn * x
        state.i = p.decay_syn * current
    return current


_FILTER = {"filter": ("decay-first", "add-first")}


@neuron_rule(options=_FILTER, decay=Real(0.9), decay_syn=Real(0.8), gain=Real(1.0), gain_syn=Real(1.0), **_FIRE)
def cubalif(state: Any, x: Expr, p: Any) -> Expr:
    """Current-based LIF: a filtered synaptic current drives a leaky membrane.

    `filter="decay-first"`: `i' = decay_syn i + gain_syn x`, and the membrane sees `i'`.
    `filter="add-first"`: the membrane sees `i + gain_syn x`, of which `decay_syn` is kept.
    """
    current = _synapse(state, x, p)
    return discharge(state, charge(state, p, lambda v: p.decay * v, p.gain * current), p)


@neuron_rule(spiking=False, decay=Real(0.9), gain=Real(1.0))
def li(state: Any, x: Expr, p: Any) -> Expr:
    """Leaky integrator, a readout: `v' = decay v + gain x`, and the membrane itself is the output."""
    v: Expr = p.decay * state.v + p.gain * x
    state.v = v
    return v


@neuron_rule(spiking=False, gain=Real(1.0))
def integrator(state: Any, x: Expr, p: Any) -> Expr:
    """Integrator without leak: `v' = v + gain x`, and the membrane itself is the output."""
    v: Expr = state.v + p.gain * x
    state.v = v
    return v


@neuron_rule(spiking=False, options=_FILTER, decay=Real(0.9), decay_syn=Real(0.8), gain=Real(1.0),
             gain_syn=Real(1.0))
def cubali(state: Any, x: Expr, p: Any) -> Expr:
    """Current-based leaky integrator: `cubalif` without a threshold; the membrane is the output."""
    v: Expr = p.decay * state.v + p.gain * _synapse(state, x, p)
    state.v = v
    return v


@neuron_rule(decay=Real(0.9), gain=Real(1.0), decay_b=Real(0.95), jump_b=Membrane(0.1), **_FIRE)
def alif(state: Any, x: Expr, p: Any) -> Expr:
    """Adaptive LIF: the threshold is `threshold + b`, `b' = decay_b b + jump_b spikes` (Bellec et al., 2018)."""
    threshold = p.threshold + state.b
    v = charge(state, p, lambda v: p.decay * v, p.gain * x, threshold)
    spike = discharge(state, v, p, threshold)
    state.b = p.decay_b * state.b + (p.jump_b * spike if p.firing.max_spikes != 1 else select(spike, p.jump_b, 0))
    return spike


@neuron_rule(decay=Real(0.6), gain=Real(1.0), jump=Membrane(0.1), **_FIRE)
def llif(state: Any, x: Expr, p: Any) -> Expr:
    """LIF with a lateral, adaptive threshold (ST-DANO).

    `theta' = theta + jump tanh(i)`, the threshold being `threshold + theta'`, and `i' = relu(x) - x`.
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
    """Self-adaptive LIF (ST-DANO): the time constant follows by how much the last spike overshot.

    `tau' = max(1.05, tau - beta tanh(excess))`, decay `exp(-1 / tau')`, `excess' = spike (v - threshold)`.
    """
    tau = maximum(1.05, p.tau - p.beta * tanh(state.excess))
    v = charge(state, p, lambda v: exp(-1 / tau) * v, p.gain * x)
    spike = discharge(state, v, p)
    state.excess = select(spike, v - p.threshold, 0)
    return spike


@neuron_rule(states={"q": Count(0)}, decay=Real(0.5), gain=Real(1.0), step=Membrane(0.25), levels=Count(7), **_FIRE)
def qlif(state: Any, x: Expr, p: Any) -> Expr:
    """LIF with a k-bit membrane (Q-SNN): integrate, quantize to `levels` steps each side of 0, compare, reset.

    `levels = 2**(k-1) - 1` and `step = alpha_u / levels`; rounding is to nearest, halves up.
    """
    q = _grid(p.decay * (state.q * p.step) + p.gain * x, p)
    v = q * p.step
    spike = fires(v, p)
    after = reset(v, spike, p)
    after = after if p.v_min is None else maximum(after, p.v_min)
    state.q = _grid(after, p)
    return spike


def _grid(v: Expr, p: Any) -> Expr:
    """The nearest level of the membrane's grid, as a count."""
    return clip((v + p.step * 0.5) // p.step, -p.levels, p.levels)


@neuron_rule(gain=Real(1.0), threshold=Membrane(1.0))
def threshold(state: Any, x: Expr, p: Any) -> Expr:
    """A stateless threshold: spikes where the input of the step reaches it."""
    return fires(p.gain * x, p)


@neuron_rule(spiking=False)
def accumulator(state: Any, x: Expr, p: Any) -> Expr:
    """A stateless sum that emits its graded value."""
    return x + 0


RULES: dict[str, Rule] = {
    r.name: r
    for r in (if_, lif, plif, cubalif, li, integrator, cubali, alif, llif, slif, qlif, threshold, accumulator)
}

