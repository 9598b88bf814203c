"""Random neurons: every library rule with every firing it allows; parameters are multiples of powers of two."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing, When
from snncompile.ir.types import Shape
from tests.random_rules import own
from tests.strategies import Choices, Features


def spiking(pick: Choices, shape: Shape, features: Features) -> Neuron:
    """A spiking neuron for a layer of this shape."""
    rule = pick.one(features.rules)
    if rule == "own":
        return own(pick, shape, _spread)
    when: When = "same" if rule == "qlif" else pick.one(features.when)
    firing: Any = Firing(pick.one([">=", ">"]), pick.one(["subtract", "value", "none"]), when,
                         pick.one(features.max_spikes))
    params = {name: make(pick, shape) for name, make in PARAMS.get(rule, {}).items()}
    params["threshold"] = _spread(pick, shape, 16, 80)
    if rule not in ("threshold", "alpha"):
        params |= _floor_and_reset(pick, shape)
    options = _options(pick, rule)
    if options.get("grid") == "after-tanh":  # what stands inside tanh is one number for the layer
        params |= {name: np.ravel(params[name])[0] for name in ("decay", "gain", "threshold")}
    return Neuron.of(rule, firing, options, _initial(pick, rule, firing, shape), **_present(params),
                     **_bias(pick, shape))


def readout(pick: Choices, shape: Shape, features: Features) -> Neuron:
    """A population that emits its graded membrane."""
    rule = pick.one(features.graded)
    params = {name: make(pick, shape) for name, make in PARAMS.get(rule, {}).items()}
    initial = {"v": _spread(pick, shape, -32, 32)} if rule != "accumulator" and pick.chance(20) else {}
    if rule in ("li", "cubali") and pick.chance(30):
        params["v_min"] = -_spread(pick, shape, 0, 96)
    return Neuron.of(rule, Firing(), _options(pick, rule), initial, **_present(params), **_bias(pick, shape))


def _present(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


def _options(pick: Choices, rule: str) -> dict[str, str]:
    if rule.startswith("euler"):
        return {"input": pick.one(["decayed", "whole"])}
    if rule == "qlif":
        return {"grid": pick.one(["before", "after", "after-tanh"])}
    return {"filter": pick.one(["decay-first", "add-first", "decay-both"])} if rule.startswith("cuba") else {}


def _spread(pick: Choices, shape: Shape, low: int, high: int, denominator: int = 64) -> Any:
    """One number, or one a channel, or one a neuron: multiples of `1/denominator`."""
    kind = pick.integer(0, 9)
    if kind < 6:
        return pick.dyadic(low, high, denominator)
    full = shape if kind == 9 and math.prod(shape) <= 32 else (shape[0], *(1,) * (len(shape) - 1))
    return pick.chooser.array(low, high, full) / float(denominator)


def _bias(pick: Choices, shape: Shape) -> dict[str, Any]:
    return {"bias": _spread(pick, shape, -16, 24)} if pick.chance(25) else {}


def _floor_and_reset(pick: Choices, shape: Shape) -> dict[str, Any]:
    return {
        "v_min": -_spread(pick, shape, 0, 96) if pick.chance(30) else None,
        "v_reset": _spread(pick, shape, -32, 16) if pick.chance(30) else None,
    }


def _initial(pick: Choices, rule: str, firing: Firing, shape: Shape) -> dict[str, Any]:
    """First values of some of the states that the instance has."""
    if rule == "threshold" or not pick.chance(20):
        return {}
    found = {name: _spread(pick, shape, -16, 32) for name in OTHER_STATES.get(rule, ()) if pick.chance(40)}
    if rule == "qlif":
        return {"q": pick.integer(-1, 1)}
    if rule == "alpha":
        return found | {"spike": pick.integer(0, 1)}
    if firing.waits and pick.chance(30):
        found["spike"] = pick.integer(0, 1)
    return {"v": _spread(pick, shape, -32, 64), **found}


OTHER_STATES = {"cubalif": ("i",), "alif": ("b",), "alpha": ("exc", "inh"), "llif": ("theta", "i"), "slif": ("excess",)}

Maker = Callable[[Choices, Shape], Any]

# Whatever stands inside tanh or exp is one number for the layer: it becomes part of a table.


def _decay(pick: Choices, shape: Shape) -> Any:
    return _spread(pick, shape, 0, 8, 8)


def _gain(pick: Choices, shape: Shape) -> Any:
    return _spread(pick, shape, 1, 6, 4) if pick.chance(40) else 1.0


def _maybe_gain(pick: Choices, shape: Shape) -> Any:
    return _gain(pick, shape) if pick.chance(50) else None


def _small(pick: Choices, shape: Shape) -> Any:
    return _spread(pick, shape, 0, 32)


def _maybe(make: Maker) -> Maker:
    return lambda pick, shape: make(pick, shape) if pick.chance(40) else None


def _rest(pick: Choices, shape: Shape) -> Any:
    return _spread(pick, shape, -24, 24)


RELAX: dict[str, Maker] = {
    "rate": _decay, "tau": _maybe(lambda pick, shape: pick.one([1.0, 2.0, 4.0])), "rest": _maybe(_rest),
    "rate_syn": _maybe(_decay),
}
PARAMS: dict[str, dict[str, Maker]] = {
    "euler_lif": RELAX, "euler_li": RELAX,
    "alpha": {"decay": _decay, "decay_inh": _decay, "gain": _gain},
    "if": {"gain": _gain},
    "lif": {"decay": _decay, "gain": _gain},
    "plif": {"w": lambda pick, shape: pick.dyadic(-8, 8, 4), "gain": _maybe_gain},
    "cubalif": {"decay": _decay, "decay_syn": _decay, "gain": _gain, "gain_syn": _gain},
    "alif": {"decay": _decay, "gain": _gain, "decay_b": _decay, "jump_b": _small,
             "scale_b": _maybe(_gain), "decay_syn": _maybe(_decay)},
    "llif": {"decay": _decay, "gain": lambda pick, shape: pick.dyadic(1, 6, 4),
             "jump": lambda pick, shape: pick.dyadic(0, 32)},
    "slif": {"tau": lambda pick, shape: pick.dyadic(6, 16, 4), "beta": lambda pick, shape: pick.dyadic(0, 4, 8),
             "gain": lambda pick, shape: pick.dyadic(1, 6, 4)},
    "qlif": {"decay": _decay, "gain": _gain, "step": lambda pick, shape: pick.one([0.125, 0.25, 0.5]),
             "levels": lambda pick, shape: pick.one([1, 3, 7, 15, 127])},
    "threshold": {"gain": _gain},
    "li": {"decay": _decay, "gain": _gain},
    "integrator": {"gain": _gain},
    "cubali": {"decay": _decay, "decay_syn": _decay, "gain": _gain, "gain_syn": _gain},
    "accumulator": {},
}
