"""The neuron rules that come with the compiler, and the table that names them.

Times are in ticks and every rule is already discrete. `v_min` (lowest membrane after the reset) and
`v_reset` are optional everywhere; `gain` multiplies the input before the neuron sees it.
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
    """The synaptic current that the membrane sees this step."""
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

    `filter="decay-first"`: `i' = decay_syn i + gain_syn x`, and the membrane sees `i'`.
    `filter="add-first"`: the membrane sees `i + gain_syn x`, of which `decay_syn` is kept.
    `filter="decay-both"`: `i' = decay_syn (i + gain_syn x)`, and the membrane sees `i'`.
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
    """One Euler step of `tau dv/dt = (rest - v) + x`, in the order in which frameworks compute it."""
    pull = -v if p.rest is None else p.rest - v
    if p.options["input"] == "whole":
        return v + _share(p, pull) + x
    return v + _share(p, pull + x)


def _share(p: Any, value: Expr) -> Expr:
    """The part of a quantity that one step moves."""
    share: Expr = p.rate * value if p.tau is None else value / p.tau
    return share


def _current(state: Any, x: Expr, p: Any) -> Expr:
    """The input itself, or with `rate_syn` a current that it adds to and that then loses a part of itself."""
    if p.rate_syn is None:
        return x
    current: Expr = state.i + x
    state.i = current - p.rate_syn * current
    return current


_INPUT = {"input": ("decayed", "whole")}


@neuron_rule(options=_INPUT, **_RELAX, **_FIRE)
def euler_lif(state: Any, x: Expr, p: Any) -> Expr:
    """LIF as one Euler step of its equation: `v' = v + rate ((rest - v) + x)`.

    Exact arithmetic knows no difference to `lif` with `decay = 1 - rate`; floating point does where the membrane meets
    its threshold. With `tau` given the step is divided by it instead of multiplied by `rate`. `input="whole"`: the
    input is added undiminished, `v' = v + rate (rest - v) + x`. With `rate_syn` given, `x` is first added to a current
    `i`, which the membrane sees and of which `i - rate_syn i` is kept.
    """
    current = _current(state, x, p)
    driven = current if p.options["input"] == "whole" else _share(p, current)
    v = charge(state, p, lambda v: _relaxed(p, v, 0), driven, update=lambda v: _relaxed(p, v, current))
    return discharge(state, v, p)


@neuron_rule(spiking=False, options=_INPUT, **_RELAX)
def euler_li(state: Any, x: Expr, p: Any) -> Expr:
    """Leaky integrator, a readout: `euler_lif` without a threshold; the membrane is the output."""
    v = _relaxed(p, state.v, _current(state, x, p))
    state.v = v
    return v


def _read_out(state: Any, v: Expr, p: Any) -> Expr:
    """Emit the membrane, and keep it above `v_min`."""
    state.v = v if p.v_min is None else hold(v, p.v_min)
    return v


@neuron_rule(spiking=False, decay=Real(0.9), gain=Real(1.0), v_min=Membrane(None))
def li(state: Any, x: Expr, p: Any) -> Expr:
    """Leaky integrator, a readout: `v' = decay v + gain x`, and the membrane itself is the output.

    `v_min` holds up what is kept, not what is emitted.
    """
    return _read_out(state, p.decay * state.v + p.gain * x, p)


@neuron_rule(spiking=False, gain=Real(1.0))
def integrator(state: Any, x: Expr, p: Any) -> Expr:
    """Integrator without leak: `v' = v + gain x`, and the membrane itself is the output."""
    v: Expr = state.v + p.gain * x
    state.v = v
    return v


@neuron_rule(spiking=False, options=_FILTER, decay=Real(0.9), decay_syn=Real(0.8), gain=Real(1.0),
             gain_syn=Real(1.0), v_min=Membrane(None))
def cubali(state: Any, x: Expr, p: Any) -> Expr:
    """Current-based leaky integrator: `cubalif` without a threshold; the membrane is the output.

    `v_min` holds up what is kept, not what is emitted.
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

    A spike acts in the next step, whatever `when` says: a reset to a value empties all three; a subtraction takes the
    threshold from `exc'`, empties `inh'` and adds `inh` to `v` (snnTorch's `Alpha`).
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
    for r in (if_, lif, plif, cubalif, li, integrator, cubali, euler_lif, euler_li, alif, alpha, llif, slif,
              qlif, threshold, accumulator)
}

