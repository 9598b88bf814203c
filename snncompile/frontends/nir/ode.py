"""Writes discrete neurons as NIR's differential equations; `neurons` does the reverse.

Under forward Euler a membrane decays to `1 - dt / tau` of its value in one tick, and an input `x` adds `x r dt / tau`.
The functions solve this for `tau` and `r`. How a neuron fires and resets is not part of the equations; `export` writes
it into the metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from snncompile.ir.library import RULES
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Array

Fields: TypeAlias = "dict[str, Any]"


class NotExpressible(Exception):
    """NIR cannot express a part of the graph; the message names the part."""


def continuous(neuron: Neuron, dt: float) -> tuple[str, Fields]:
    """The NIR node type and fields that give this neuron under forward Euler with a step of `dt` seconds.

    Returns:
        The type, and the fields as arrays that broadcast to the layer.

    Raises:
        NotExpressible: where NIR has no equation for the neuron, or where a constant would be infinite.
    """
    name = neuron.rule.name
    if RULES.get(name) is not neuron.rule or name not in WRITERS:
        raise NotExpressible(f"the neuron rule {name}")
    with np.errstate(all="ignore"):
        kind, fields = WRITERS[name](neuron, {k: np.asarray(v, np.float64) for k, v in neuron.params.items()}, dt)
    if not all(np.isfinite(v).all() for v in fields.values()):
        raise NotExpressible("constants that NIR's equations would need to be infinite")
    return kind, fields


def _threshold(p: Mapping[str, Array]) -> Fields:
    return {"v_threshold": p["threshold"], "v_reset": p.get("v_reset", np.asarray(0.0))}


def _rate(decay: Array, quantity: str) -> Array:
    if not ((decay >= 0) & (decay < 1)).all():
        raise NotExpressible(f"a {quantity} outside [0, 1)")
    return np.asarray(1 - decay)


def _no_bias(p: Mapping[str, Array], kind: str) -> None:
    """Raise `NotExpressible` for a bias other than 0, for which the node type `kind` has no field."""
    if "bias" in p and p["bias"].any():
        raise NotExpressible(f"a bias of a neuron without leak, since {kind} has no leak potential")


def _if_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    _no_bias(p, "IF")
    return "IF", {"r": p["gain"] / dt, **_threshold(p)}


def _lif_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    if (p["decay"] == 1).all():
        return _if_node(neuron, p, dt)
    return "LIF", {**_leaky(p, p["decay"], p["gain"], dt), **_threshold(p)}


def _plif_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    rate = 1 / (1 + np.exp(-p["w"]))
    return "LIF", {**_leaky(p, 1 - rate, p.get("gain", rate), dt), **_threshold(p)}


def _integrator_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    _no_bias(p, "I")
    return "I", {"r": p["gain"] / dt}


def _li_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    return _integrator_node(neuron, p, dt) if (p["decay"] == 1).all() else ("LI", _leaky(p, p["decay"], p["gain"], dt))


def _leaky(p: Mapping[str, Array], decay: Array, gain: Array, dt: float) -> Fields:
    """The fields of `tau dv/dt = v_leak - v + r I` for a decay, a gain, and the bias in `p`."""
    rate = _rate(decay, "decay")
    return {"tau": dt / rate, "r": gain / rate, "v_leak": p.get("bias", np.asarray(0.0)) * gain / rate}


def _cubali_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    mem, syn = _rate(p["decay"], "decay"), _rate(p["decay_syn"], "decay_syn")
    current = p["gain_syn"] / syn
    return "CubaLI", {"tau_mem": dt / mem, "tau_syn": dt / syn, "r": p["gain"] / mem, "w_in": current,
                      "v_leak": p.get("bias", np.asarray(0.0)) * current * p["gain"] / mem}


def _cubalif_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    return "CubaLIF", {**_cubali_node(neuron, p, dt)[1], **_threshold(p)}


def _euler_li_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    rate = _rate(1 - (1 / p["tau"] if "tau" in p else p["rate"]), "decay")
    gain = np.asarray(1.0) if neuron.options.get("input") == "whole" else rate
    rest, bias = (p.get(name, np.asarray(0.0)) for name in ("rest", "bias"))
    if "rate_syn" not in p:
        return "LI", {"tau": dt / rate, "r": gain / rate, "v_leak": rest + bias * gain / rate}
    current = 1 / _rate(1 - p["rate_syn"], "decay_syn")
    return "CubaLI", {"tau_mem": dt / rate, "tau_syn": dt * current, "r": gain / rate, "w_in": current,
                      "v_leak": rest + bias * current * gain / rate}


def _euler_lif_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    kind, fields = _euler_li_node(neuron, p, dt)
    return f"{kind}F", {**fields, **_threshold(p)}


def _threshold_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    _no_bias(p, "Threshold")
    if (p["gain"] <= 0).any() or neuron.firing.max_spikes != 1:
        raise NotExpressible("a threshold with a gain of 0 or less, or with several spikes per step")
    return "Threshold", {"threshold": p["threshold"] / p["gain"]}


def _accumulator_node(neuron: Neuron, p: Mapping[str, Array], dt: float) -> tuple[str, Fields]:
    _no_bias(p, "Scale")
    return "Scale", {"scale": np.asarray(1.0)}


WRITERS: Mapping[str, Callable[[Neuron, Mapping[str, Array], float], tuple[str, Fields]]] = {
    "if": _if_node,
    "lif": _lif_node,
    "plif": _plif_node,
    "integrator": _integrator_node,
    "li": _li_node,
    "cubalif": _cubalif_node,
    "cubali": _cubali_node,
    "euler_lif": _euler_lif_node,
    "euler_li": _euler_li_node,
    "threshold": _threshold_node,
    "accumulator": _accumulator_node,
}
