"""Neurons that tick as NIR's differential equations: what `neurons` reads, the other way round.

Under forward Euler a membrane keeps `1 - dt / tau` a tick and an input adds `r dt / tau`, which is solved for
`tau` and `r`. How a neuron fires and resets is not part of the equations; the exporter puts it beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from snncompile.ir.library import RULES
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array

Fields: TypeAlias = "dict[str, Any]"


class Unsayable(Exception):
    """NIR has no word for this; the message says for what."""


def continuous(neuron: Neuron, dt: float) -> tuple[str, Fields]:
    """The NIR node type and fields that mean this neuron under forward Euler with a step of `dt` seconds.

    Fields are numbers or arrays that broadcast to the layer. Raises `Unsayable`.
    """
    name = neuron.rule.name
    if RULES.get(name) is not neuron.rule or name not in WRITERS:
        raise Unsayable(f"the neuron rule {name}")
    with np.errstate(all="ignore"):
        kind, fields = WRITERS[name](neuron, {k: np.asarray(v, np.float64) for k, v in neuron.params.items()}, dt)
    if not all(np.isfinite(v).all() for v in fields.values()):
        raise Unsayable("constants that NIR's equations would need to be infinite")
    return kind, fields


def _threshold(p: Mapping[str, Array]) -> Fields:
    return {"v_threshold": p["threshold"], "v_reset": p.get("v_reset", np.asarray(0.0))}


def _rate(decay: Array, what: str) -> Array:
    if not ((decay >= 0) & (decay < 1)).all():
        raise Unsayable(f"a {what} outside [0, 1)")
    return np.asarray(1 - decay)


def _no_bias(p: Mapping[str, Array], kind: str) -> None:
    if "bias" in p and p["bias"].any():
        raise Unsayable(f"a bias of a neuron without leak ({kind} has no leak potential)")


def _say_if(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    _no_bias(p, "IF")
    return "IF", {"r": p["gain"] / dt, **_threshold(p)}


def _say_lif(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    if (p["decay"] == 1).all():
        return _say_if(neuron, p, dt)
    return "LIF", {**_leaky(p, p["decay"], p["gain"], dt), **_threshold(p)}


def _say_plif(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    rate = 1 / (1 + np.exp(-p["w"]))
    return "LIF", {**_leaky(p, 1 - rate, p.get("gain", rate), dt), **_threshold(p)}


def _say_integrator(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    _no_bias(p, "I")
    return "I", {"r": p["gain"] / dt}


def _say_li(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    return _say_integrator(neuron, p, dt) if (p["decay"] == 1).all() else ("LI", _leaky(p, p["decay"], p["gain"], dt))


def _leaky(p: Mapping[str, Array], decay: Array, gain: Array, dt: float) -> Fields:
    rate = _rate(decay, "decay")
    return {"tau": dt / rate, "r": gain / rate, "v_leak": p.get("bias", np.asarray(0.0)) * gain / rate}


def _say_cubali(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    mem, syn = _rate(p["decay"], "decay"), _rate(p["decay_syn"], "decay_syn")
    current = p["gain_syn"] / syn
    return "CubaLI", {"tau_mem": dt / mem, "tau_syn": dt / syn, "r": p["gain"] / mem, "w_in": current,
                      "v_leak": p.get("bias", np.asarray(0.0)) * current * p["gain"] / mem}


def _say_cubalif(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    return "CubaLIF", {**_say_cubali(neuron, p, dt)[1], **_threshold(p)}


def _say_euler_li(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    rate = _rate(1 - (1 / p["tau"] if "tau" in p else p["rate"]), "decay")
    gain = np.asarray(1.0) if neuron.options.get("input") == "whole" else rate
    rest, bias = (p.get(name, np.asarray(0.0)) for name in ("rest", "bias"))
    if "rate_syn" not in p:
        return "LI", {"tau": dt / rate, "r": gain / rate, "v_leak": rest + bias * gain / rate}
    current = 1 / _rate(1 - p["rate_syn"], "decay_syn")
    return "CubaLI", {"tau_mem": dt / rate, "tau_syn": dt * current, "r": gain / rate, "w_in": current,
                      "v_leak": rest + bias * current * gain / rate}


def _say_euler_lif(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    kind, fields = _say_euler_li(neuron, p, dt)
    return f"{kind}F", {**fields, **_threshold(p)}


def _say_threshold(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    _no_bias(p, "Threshold")
    if (p["gain"] <= 0).any() or neuron.firing.max_spikes != 1:
        raise Unsayable("a threshold with a gain of 0 or less, or with several spikes a step")
    return "Threshold", {"threshold": p["threshold"] / p["gain"]}


def _say_accumulator(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    _no_bias(p, "Scale")
    return "Scale", {"scale": np.asarray(1.0)}


WRITERS: Mapping[str, Callable[[Neuron, Mapping[str, Array], float], tuple[str, Fields]]] = {
    "if": _say_if,
    "lif": _say_lif,
    "plif": _say_plif,
    "integrator": _say_integrator,
    "li": _say_li,
    "cubalif": _say_cubalif,
    "cubali": _say_cubali,
    "euler_lif": _say_euler_lif,
    "euler_li": _say_euler_li,
    "threshold": _say_threshold,
    "accumulator": _say_accumulator,
}
