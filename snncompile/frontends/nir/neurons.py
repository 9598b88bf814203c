"""NIR's differential equations as neurons that tick.

With `rate = dt / tau`: forward Euler keeps `1 - rate` of a membrane each tick, the exact solution `exp(-rate)`.
An input held for one tick adds `r (1 - decay)`; see `docs/nir.md` for the other gains that frameworks use.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from snncompile.diagnostics import Collector, fail, shorten
from snncompile.frontends.nir.conventions import DEFAULTS, Choices, from_metadata
from snncompile.frontends.nir.file import NirNode
from snncompile.frontends.nir.ode import Unsayable, continuous
from snncompile.ir.library import RULES
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array, Shape

# The rules that a node type can stand for; which one it is, metadata say.
RULES_OF: Mapping[str, tuple[str, ...]] = {
    "IF": ("if", "lif"),
    "LIF": ("lif", "plif", "euler_lif"),
    "I": ("integrator", "li"),
    "LI": ("li", "euler_li"),
    "CubaLIF": ("cubalif", "euler_lif"),
    "CubaLI": ("cubali", "euler_li"),
    "Threshold": ("threshold",),
    "Scale": ("accumulator",),
}
SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
# A gain this near to 1 is 1: exporters compute r and tau in 32-bit floats.
UNIT_TOLERANCE = 1e-6


@dataclass
class Reading:
    """One neuron node while it is read: its layer's shape, and who answers open questions."""

    name: str
    node: NirNode
    shape: Shape
    choices: Choices
    found: Collector

    @property
    def place(self) -> str:
        return f"node {shorten(self.name)}"

    @cached_property
    def said(self) -> Mapping[str, Any]:
        return from_metadata(self.node.metadata, self.place)

    def pick(self, question: str, own: Mapping[str, Any] | None = None) -> Any:
        return self.choices.pick(question, self.name, self.node.type, self.said, own)

    @cached_property
    def dt(self) -> float:
        return float(self.pick("dt"))

    def field(self, key: str, default: float | None = None) -> Array:
        """A parameter in float64, without batch axis. Raises SNN203 where not finite, SNN202 for another shape."""
        place = f"{self.place}, {key}"
        if key not in self.node.fields:
            if default is None:
                fail("SNN102", place, "missing")
            return np.asarray(default)
        values = np.asarray(self.node.fields[key], np.float64)
        if not np.isfinite(values).all():
            fail("SNN203", place, f"{int((~np.isfinite(values)).sum())} of {values.size} values are NaN or infinite",
                 "finite numbers")
        return unbatched(values, self.shape, place)

    def time_constant(self, key: str) -> tuple[Array, Array]:
        """`dt / tau` and the decay per tick. Raises SNN203 where the discretization is not defined."""
        tau = self.field(key)
        if (tau <= 0).any():
            fail("SNN203", f"{self.place}, {key}", f"a time constant of {tau.min():g}", "above 0")
        rate = self.dt / tau
        if self.pick("discretization") == "exp":
            return rate, np.exp(-rate)
        if (rate > 1).any():
            fail("SNN203", f"{self.place}, {key}", f"a time constant of {tau.min():g} with a step of {self.dt:g}",
                 "forward Euler needs a step no longer than the time constant",
                 "set --dt to the step the network was trained with, in the unit of its time constants")
        return rate, 1 - rate


def unbatched(values: Array, shape: Shape, place: str) -> Array:
    """Values of a layer's shape, or a single one; a leading batch axis of 1 is dropped. Raises SNN202 otherwise."""
    if values.shape == (1, *shape):
        values = values[0]
    if values.size == 1:
        return values.reshape(())
    if values.shape != shape:
        fail("SNN202", place, f"shape {list(values.shape)}, but {list(shape)} arrives", "the shape of the layer")
    return values


def collapse(values: Array) -> Any:
    """The same values as one number, or as `[channel, 1, ...]`, where they are constant over the rest."""
    if values.ndim == 0 or (values == values.flat[0]).all():
        return values.flat[0].item()
    if values.ndim > 1:
        first = values[(slice(None), *(slice(0, 1),) * (values.ndim - 1))]
        if first.size < values.size and (values == first).all():
            return np.array(first)
    return values


def read_neuron(c: Reading) -> Neuron:
    """The neuron that a node of `RULES_OF` stands for.

    Exact discrete parameters in the metadata are used as long as they agree with the node's fields, and as no
    option asks for another discretization.

    Raises:
        CompileError: SNN102, SNN202 or SNN203 where fields or metadata are not usable.
    """
    exact = _exact(c)
    if exact is None:
        with np.errstate(all="ignore"):
            return _discretized(c)
    params, initial = dict(exact.params), dict(exact.initial)
    given = c.choices.given
    options = {**exact.options, **({"filter": given["filter"]} if "filter" in exact.rule.options and "filter" in given
                                   else {})}
    if exact.rule.spiking:
        if given.get("reset") == "zero":
            params.pop("v_reset", None)
        if "v_min" in given and "v_min" in exact.rule.params:
            _set(params, "v_min", _lowest(given["v_min"], np.asarray(params["threshold"]), np.asarray(1.0)))
    if isinstance(given.get("v_init"), float) and "v" in exact.traced.states:
        initial["v"] = given["v_init"]
    return Neuron(exact.rule, params, _firing(c) if exact.rule.spiking else Firing(), options, initial)


def _set(values: dict[str, Any], name: str, value: Any) -> None:
    values.pop(name, None)
    if value is not None:
        values[name] = value


def _firing(c: Reading) -> Firing:
    reset = c.pick("reset", {"reset": "value"} if "v_reset" in c.node.fields else None)
    return Firing(c.pick("compare"), "value" if reset == "zero" else reset, c.pick("reset_when"),
                  c.pick("max_spikes"))


def _exact(c: Reading) -> Neuron | None:
    """The neuron that the metadata describe, where they do and still hold."""
    text = c.node.metadata.get("neuron")
    file, given = c.choices.file, c.choices.given
    if text is None or any(given.get(k, file.get(k)) != file.get(k) for k in ("dt", "discretization", "gain")):
        return None
    neuron = _parse_exact(c, text)
    try:
        kind, fields = continuous(neuron, file.get("dt", DEFAULTS["dt"]))
    except Unsayable:
        kind, fields = "", {}
    if kind == c.node.type and all(
            np.allclose(c.field(k, 0.0 if k == "v_reset" else 1.0), v, rtol=1e-5, atol=0) for k, v in fields.items()):
        return neuron
    c.found.warn("SNN105", c.place, "its metadata describe another neuron than its fields; the fields were used",
                 help="a tool changed the node and kept the metadata; remove them to silence this")
    return None


def _parse_exact(c: Reading, text: Any) -> Neuron:
    place = f"{c.place}, metadata, neuron"
    try:
        found = json.loads(text)
        rule = found["rule"]
        if rule not in RULES_OF[c.node.type]:
            fail("SNN102", place, f"rule {shorten(rule)}", f"a {c.node.type} is {', '.join(RULES_OF[c.node.type])}")
        params = {k: _value(c, v) for k, v in found["params"].items()}
        initial = {k: _value(c, v) for k, v in found["initial"].items()}
        options = found["options"]
        known = RULES[rule].options
        if not all(k in known and v in known[k] for k, v in options.items()) or set(params) - {
                "bias", *RULES[rule].params}:
            fail("SNN102", place, f"options {shorten(options)} or parameters {shorten(list(params))}",
                 f"those of the rule {rule}")
        neuron = Neuron.of(rule, Firing(), options, initial, **params)
        neuron.infer(c.shape)
        if set(initial) - set(neuron.rule.states) - set(neuron.traced.states):
            fail("SNN102", place, f"states {shorten(list(initial))}", f"those of the rule {rule}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        fail("SNN102", place, "not the description of a neuron", "an object with rule, params, options, initial")
    return neuron


def _value(c: Reading, value: Any) -> Any:
    """A number, or the array that the metadata keep under the name given."""
    if isinstance(value, dict):
        array = c.node.metadata[value["array"]]
        if not isinstance(array, np.ndarray):
            raise TypeError
        return array
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise ValueError
    return value


@dataclass
class _Membrane:
    """Discrete constants of a membrane. `scale` is what its unit was divided by; `drive` what leaks in each tick."""

    gain: Array
    scale: Array = field(default_factory=lambda: np.asarray(1.0))
    drive: Array = field(default_factory=lambda: np.asarray(0.0))
    params: dict[str, Array] = field(default_factory=dict)


def _unit(gain: Array) -> Array:
    return np.where(np.abs(gain - 1) < UNIT_TOLERANCE, 1.0, gain)


def _integrating(c: Reading) -> _Membrane:
    """`v' = r I`: r of 1 means a gain of 1 in sinabs, Norse and published files, r of 1/dt in SpikingJelly."""
    r, gain = c.field("r"), c.pick("gain")
    own = r if gain in ("auto", "unit") and (r == 1).all() else _unit(r * c.dt)
    return _Membrane(np.asarray(1.0), _positive(c, own, "r")) if gain == "unit" else _Membrane(own)


def _leaking(c: Reading, tau: str) -> _Membrane:
    rate, decay = c.time_constant(tau)
    r, gain = c.field("r"), c.pick("gain")
    step = rate if c.pick("discretization") == "euler" else 1 - decay
    drive = step * c.field("v_leak")
    own = {"euler": r * rate, "rockpool": r * rate * np.exp(rate)}.get(gain, r * step)
    if gain != "unit":
        return _Membrane(_unit(own), drive=drive, params={"decay": decay})
    scale = _positive(c, own, "r")
    return _Membrane(np.asarray(1.0), scale, drive / scale, {"decay": decay})


def _filtered(c: Reading) -> _Membrane:
    """A membrane behind a synaptic filter. The leak does not pass the filter, so the current starts where it rests."""
    m = _leaking(c, "tau_mem")
    rate, decay = c.time_constant("tau_syn")
    w_in, gain = c.field("w_in", 1.0), c.pick("gain")
    step = rate if c.pick("discretization") == "euler" else 1 - decay
    own = {"euler": w_in * rate, "rockpool": w_in * decay}.get(gain, w_in * step)
    if gain == "unit":
        scale = _positive(c, own, "w_in")
        m.scale, m.drive, own = m.scale * scale, m.drive / scale, np.asarray(1.0)
    m.params |= {"decay_syn": decay, "gain_syn": _unit(own)}
    return m


def _positive(c: Reading, scale: Array, key: str) -> Array:
    if (scale <= 0).any():
        fail("SNN203", f"{c.place}, {key}", f"{scale.min():g}", "above 0, since the gain is to be 1 (gain=unit)")
    return scale


MEMBRANES: Mapping[str, Callable[[Reading], _Membrane]] = {
    "I": _integrating,
    "IF": _integrating,
    "LI": lambda c: _leaking(c, "tau"),
    "LIF": lambda c: _leaking(c, "tau"),
    "CubaLI": _filtered,
    "CubaLIF": _filtered,
}


def _discretized(c: Reading) -> Neuron:
    kind = c.node.type
    rule = RULES_OF[kind][0]
    if kind == "Threshold":
        return Neuron.of(rule, Firing(c.pick("compare"), "none"), gain=1.0, threshold=collapse(c.field("threshold")))
    m = MEMBRANES[kind](c)
    params: dict[str, Any] = {**m.params, "gain": m.gain}
    options = {"filter": c.pick("filter")} if "decay_syn" in params else {}
    initial = _rest(c, m, params, options)
    firing = Firing()
    if kind in SPIKING:
        firing = _firing(c)
        threshold = c.field("v_threshold") / m.scale
        params["threshold"] = threshold
        v_reset = c.field("v_reset", 0.0) / m.scale
        if firing.reset == "value" and c.pick("reset", {"reset": "value"}) != "zero" and v_reset.any():
            params["v_reset"] = v_reset
        _set(params, "v_min", _lowest(c.pick("v_min"), threshold, m.scale))
    _start(c, m, initial)
    return Neuron.of(rule, firing, options, {k: collapse(v) for k, v in initial.items()},
                     **{k: collapse(np.asarray(v)) for k, v in params.items()})


def _rest(c: Reading, m: _Membrane, params: dict[str, Any], options: Mapping[str, str]) -> dict[str, Array]:
    """Turn the leak potential into a constant input, `bias`; returns the first values this needs."""
    if not m.drive.any():
        return {}
    if (m.gain == 0).any() or (np.asarray(params.get("gain_syn", 1.0)) == 0).any():
        fail("SNN203", f"{c.place}, v_leak", "not 0, where the input has no influence", "r and w_in other than 0")
    rest = m.drive / m.gain
    if "decay_syn" not in params:
        params["bias"] = rest
        return {}
    params["bias"] = rest * (1 - params["decay_syn"]) / params["gain_syn"]
    return {"i": rest if options["filter"] == "decay-first" else rest * params["decay_syn"]}


def _lowest(v_min: Any, threshold: Array, scale: Array) -> Any:
    return None if v_min is None else collapse(-threshold if v_min == "-threshold" else np.asarray(v_min) / scale)


def _start(c: Reading, m: _Membrane, initial: dict[str, Array]) -> None:
    """Set the first membrane where the answer is not 0."""
    potentials = {"reset": c.field("v_reset", 0.0), "leak": c.field("v_leak", 0.0)}
    open_question = any(p.any() for p in potentials.values())
    answer = c.pick("v_init", None if open_question else {"v_init": 0.0})
    first = np.asarray(potentials.get(answer, answer) if isinstance(answer, str) else answer) / m.scale
    if first.any():
        initial["v"] = first
