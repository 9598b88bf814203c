"""The library's neuron rules once more, by hand, on plain Python numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from snncompile.ir.populations import Neuron
from snncompile.ir.types import Shape

State = dict[str, float]


class Cell:
    """The neurons of one population, each with its own state and its own parameters."""

    def __init__(self, op: Neuron, shape: Shape):
        self.op = op
        self.params = {i: _params(op, shape, i) for i in itertools.product(*map(range, shape))}
        self.states = {i: {k: float(np.broadcast_to(v, shape)[i]) for k, v in op.initial.items()} for i in self.params}

    def step(self, x: dict[Shape, float]) -> dict[Shape, float]:
        rule = RULES[self.op.rule.name]
        return {i: rule(x[i] + p.bias, self.states[i], p) for i, p in self.params.items()}


def _params(op: Neuron, shape: Shape, i: Shape) -> Any:
    found = {"v_reset": 0.0, "v_min": -math.inf, "bias": 0.0}
    found |= {k: float(np.broadcast_to(v, shape)[i]) for k, v in op.params.items()}
    return SimpleNamespace(**found, has=lambda name: name in op.params, firing=op.firing,
                           filter=op.options.get("filter", "decay-first"), input=op.options.get("input", "decayed"),
                           grid=op.options.get("grid", "before"))


def _spikes(v: float, threshold: float, p: Any) -> float:
    above = v >= threshold if p.firing.compare == ">=" else v > threshold
    if p.firing.max_spikes == 1:
        return float(above)
    crossed = math.floor(v / threshold) if p.firing.compare == ">=" else math.ceil(v / threshold) - 1
    most = math.inf if p.firing.max_spikes is None else p.firing.max_spikes
    return float(min(max(crossed, 0), most))


def _after(v: float, spikes: float, threshold: float, p: Any) -> float:
    """The membrane after a reset that `spikes` ask for."""
    if p.firing.reset == "none" or not spikes:
        return v
    return v - spikes * threshold if p.firing.reset == "subtract" else float(p.v_reset)


def _carried(keep: Callable[[float], float], x: float, s: State, p: Any, threshold: float) -> float:
    """A reset that acts at once, and stays begun while the membrane is above its threshold."""
    begun = _spikes(s.get("v", 0.0), threshold, p)
    h = keep(s.get("v", 0.0)) + x - begun * threshold
    spikes = _spikes(h, threshold, p)
    s["peak"] = h
    s["v"] = max(h + (begun - spikes) * threshold, p.v_min)
    return spikes


def _fire(keep: Callable[[float], float], x: float, s: State, p: Any, threshold: float | None = None) -> float:
    """Charge, compare and reset in the order of the firing; leaves the membrane before the reset in `peak`."""
    threshold = p.threshold if threshold is None else threshold
    v, last, when = s.get("v", 0.0), s.get("spike", 0.0), p.firing.when
    if when == "carried" and p.firing.reset == "subtract":
        return _carried(keep, x, s, p, threshold)
    when = "same" if when == "carried" else when
    if when == "same":
        h = keep(v) + x
    elif when == "before-decay":
        h = keep(_after(v, last, threshold, p)) + x
    elif when == "after-decay":
        h = _after(keep(v), last, threshold, p) + x
    else:
        h = _after(keep(v) + x, last, threshold, p)
    spikes = _spikes(h, threshold, p)
    s["peak"] = h
    s["v"] = max(_after(h, spikes, threshold, p) if when == "same" else h, p.v_min)
    s["spike"] = spikes
    return spikes


def _leaky(x: float, s: State, p: Any) -> float:
    return _fire(lambda v: p.decay * v, p.gain * x, s, p)


def _plif(x: float, s: State, p: Any) -> float:
    rate = 1 / (1 + math.exp(-p.w))
    return _fire(lambda v: v - v * rate, (p.gain if p.has("gain") else rate) * x, s, p)


def _current(x: float, s: State, p: Any) -> float:
    i = s.get("i", 0.0)
    if p.filter == "decay-first":
        s["i"] = p.decay_syn * i + p.gain_syn * x
        return s["i"]
    s["i"] = p.decay_syn * (i + p.gain_syn * x)
    return s["i"] if p.filter == "decay-both" else i + float(p.gain_syn) * x


def _cubalif(x: float, s: State, p: Any) -> float:
    current = _current(x, s, p)
    return _fire(lambda v: p.decay * v, p.gain * current, s, p)


def _alif(x: float, s: State, p: Any) -> float:
    b = s.get("b", 0.0)
    if p.has("decay_syn"):
        x = s["i"] = p.gain * p.decay_syn * (s.get("i", 0.0) + x)
    else:
        x = p.gain * x
    spikes = _fire(lambda v: p.decay * v, x, s, p, p.threshold + b * (p.scale_b if p.has("scale_b") else 1))
    s["b"] = p.decay_b * b + p.jump_b * spikes
    return spikes


def _llif(x: float, s: State, p: Any) -> float:
    s["theta"] = s.get("theta", 0.0) + p.jump * math.tanh(s.get("i", 0.0))
    spikes = _fire(lambda v: p.decay * v, p.gain * x, s, p, p.threshold + s["theta"])
    s["i"] = max(p.gain * x, 0) - p.gain * x
    return spikes


def _slif(x: float, s: State, p: Any) -> float:
    tau = max(1.05, p.tau - p.beta * math.tanh(s.get("excess", 0.0)))
    spikes = _fire(lambda v: v * math.exp(-1 / tau), p.gain * x, s, p)
    s["excess"] = s["peak"] - p.threshold if spikes else 0.0
    return spikes


def _qlif(x: float, s: State, p: Any) -> float:
    def level(v: float) -> float:
        return float(min(max(math.floor(v / p.step + 0.5), -p.levels), p.levels))

    v = p.decay * s.get("q", 0.0) * p.step + p.gain * x
    v = level(v) * p.step if p.grid == "before" else v
    spikes = _spikes(v, p.threshold, p)
    after = max(_after(v, spikes, p.threshold, p), p.v_min)
    s["q"] = level(p.threshold * math.tanh(after / p.threshold) if p.grid == "after-tanh" else after)
    return spikes


def _relaxing(x: float, s: State, p: Any) -> tuple[Callable[[float], float], float]:
    """What an Euler step keeps of a membrane, its way toward rest included, and what it adds."""
    rate = 1 / p.tau if p.has("tau") else p.rate
    if p.has("rate_syn"):
        x += s.get("i", 0.0)
        s["i"] = x * (1 - p.rate_syn)
    rest = p.rest if p.has("rest") else 0.0
    return lambda v: (1 - rate) * v + rate * rest, rate * x if p.input == "decayed" else x


def _euler_li(x: float, s: State, p: Any) -> float:
    keep, driven = _relaxing(x, s, p)
    s["v"] = keep(s.get("v", 0.0)) + driven
    return s["v"]


def _alpha(x: float, s: State, p: Any) -> float:
    exc, inh = p.decay * s.get("exc", 0.0) + x, p.decay_inh * s.get("inh", 0.0) - x
    v, last = p.gain * (exc + inh), s.get("spike", 0.0)
    if last and p.firing.reset == "value":
        v = exc = inh = 0.0
    elif last and p.firing.reset == "subtract":
        v, exc, inh = v + s.get("inh", 0.0), exc - last * p.threshold, 0.0
    s["exc"], s["inh"], s["spike"] = exc, inh, _spikes(v, p.threshold, p)
    return s["spike"]


def _readout(decay: Callable[[Any], float], current: Callable[[float, State, Any], float]) -> Any:
    def step(x: float, s: State, p: Any) -> float:
        v = decay(p) * s.get("v", 0.0) + p.gain * current(x, s, p)
        s["v"] = max(v, p.v_min)
        return float(v)

    return step


def _plain(x: float, s: State, p: Any) -> float:
    return x


RULES: dict[str, Callable[[float, State, Any], float]] = {
    "if": lambda x, s, p: _fire(lambda v: v, p.gain * x, s, p),
    "lif": _leaky, "plif": _plif, "cubalif": _cubalif, "alif": _alif, "llif": _llif, "slif": _slif, "qlif": _qlif,
    "euler_lif": lambda x, s, p: _fire(*_relaxing(x, s, p), s, p), "euler_li": _euler_li, "alpha": _alpha,
    "li": _readout(lambda p: p.decay, _plain),
    "integrator": _readout(lambda p: 1.0, _plain),
    "cubali": _readout(lambda p: p.decay, _current),
    "threshold": lambda x, s, p: _spikes(p.gain * x, p.threshold, p),
    "accumulator": _plain,
}
