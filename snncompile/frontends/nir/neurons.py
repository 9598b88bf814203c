"""Discretizes NIR's differential equations into neurons that compute one tick at a time.

Let `rate = dt / tau`. In one tick a membrane decays to `1 - rate` of its value under forward Euler, and to `exp(-rate)`
in the exact solution. An input that is constant over the tick adds `r (1 - decay)` times its value; docs/nir.md lists
the other gains that frameworks use.
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
from snncompile.frontends.nir.ode import NotExpressible, continuous
from snncompile.ir.library import RULES
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Array, Shape

# The neuron rules that each node type can stand for. The first is meant unless the metadata name another one.
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
# A gain that differs from 1 by less than this is taken for 1, because exporters compute r and tau in 32-bit floats.
UNIT_TOLERANCE = 1e-6


@dataclass
class NeuronNode:
    """A node of the file that stands for neurons, with what is needed to discretize it.

    Attributes:
        name: the node's full name.
        stored: the node as it stands in the file.
        shape: the layer's shape without a batch axis.
        choices: the answers to what NIR leaves open.
        problems: receives warnings.
    """

    name: str
    stored: NirNode
    shape: Shape
    choices: Choices
    problems: Collector

    @property
    def place(self) -> str:
        return f"node {shorten(self.name)}"

    @cached_property
    def said(self) -> Mapping[str, Any]:
        """The options that the node's metadata state."""
        return from_metadata(self.stored.metadata, self.place)

    def pick(self, question: str, own: Mapping[str, Any] | None = None) -> Any:
        """The answer to a question for this node; see `Choices.pick`."""
        return self.choices.pick(question, self.name, self.stored.type, self.said, own)

    @cached_property
    def dt(self) -> float:
        return float(self.pick("dt"))

    def field(self, key: str, default: float | None = None) -> Array:
        """A parameter in float64, of the layer's shape or of no axes.

        Args:
            default: the value where the file lacks the parameter; None where the parameter must be there.

        Raises:
            CompileError: SNN102 where it is missing, SNN202 for another shape, SNN203 for NaN and infinity.
        """
        place = f"{self.place}, {key}"
        if key not in self.stored.fields:
            if default is None:
                fail("SNN102", place, "the parameter is missing")
            return np.asarray(default)
        values = np.asarray(self.stored.fields[key], np.float64)
        if not np.isfinite(values).all():
            fail("SNN203", place, f"{int((~np.isfinite(values)).sum())} of {values.size} values are NaN or infinite",
                 "finite numbers")
        return unbatched(values, self.shape, place)

    def time_constant(self, key: str) -> tuple[Array, Array]:
        """`dt / tau`, and the part of its value to which a membrane or current decays in one tick.

        Raises:
            CompileError: SNN203 for a time constant of 0 or less, and for one below `dt` under forward Euler.
        """
        tau = self.field(key)
        if (tau <= 0).any():
            fail("SNN203", f"{self.place}, {key}", f"a time constant of {tau.min():g}", "a time constant above 0")
        rate = self.dt / tau
        if self.pick("discretization") == "exp":
            return rate, np.exp(-rate)
        if (rate > 1).any():
            fail("SNN203", f"{self.place}, {key}", f"a time constant of {tau.min():g} with a step of {self.dt:g}",
                 "forward Euler needs a step no longer than the time constant",
                 "set --dt to the step the network was trained with, in the unit of its time constants")
        return rate, 1 - rate


def unbatched(values: Array, shape: Shape, place: str) -> Array:
    """Values of a layer's shape, or one value for the whole layer without axes.

    A leading batch axis of length 1 is removed.

    Raises:
        CompileError: SNN202 for any other shape.
    """
    if values.shape == (1, *shape):
        values = values[0]
    if values.size == 1:
        return values.reshape(())
    if values.shape != shape:
        fail("SNN202", place, f"the shape {list(values.shape)}", f"the shape of the layer, {list(shape)}, or one value")
    return values


def collapse(values: Array) -> Any:
    """The same values as one number where all are equal, or as `[channel, 1, ...]` where all of a channel are equal."""
    if values.ndim == 0 or (values == values.flat[0]).all():
        return values.flat[0].item()
    if values.ndim > 1:
        first = values[(slice(None), *(slice(0, 1),) * (values.ndim - 1))]
        if first.size < values.size and (values == first).all():
            return np.array(first)
    return values


def read_neuron(node: NeuronNode) -> Neuron:
    """The neuron that a node of a type in `RULES_OF` stands for.

    Exact discrete parameters in the metadata are used if they agree with the node's fields, and if no option asks for
    another discretization. Otherwise the node's equations are discretized.

    Raises:
        CompileError: SNN102, SNN202 or SNN203 where fields or metadata are not usable.
    """
    exact = _exact(node)
    if exact is None:
        with np.errstate(all="ignore"):
            return _discretized(node)
    params, initial = dict(exact.params), dict(exact.initial)
    given = node.choices.given
    options = {**exact.options, **({"filter": given["filter"]} if "filter" in exact.rule.options and "filter" in given
                                   else {})}
    if exact.rule.spiking:
        if given.get("reset") == "zero":
            params.pop("v_reset", None)
        if "v_min" in given and "v_min" in exact.rule.params:
            _set(params, "v_min", _lowest(given["v_min"], np.asarray(params["threshold"]), np.asarray(1.0)))
    if isinstance(given.get("v_init"), float) and "v" in exact.traced.states:
        initial["v"] = given["v_init"]
    return Neuron(exact.rule, params, _firing(node) if exact.rule.spiking else Firing(), options, initial)


def _set(values: dict[str, Any], name: str, value: Any) -> None:
    """Set an entry, or remove it where the value is None."""
    values.pop(name, None)
    if value is not None:
        values[name] = value


def _firing(node: NeuronNode) -> Firing:
    reset = node.pick("reset", {"reset": "value"} if "v_reset" in node.stored.fields else None)
    return Firing(node.pick("compare"), "value" if reset == "zero" else reset, node.pick("reset_when"),
                  node.pick("max_spikes"))


def _exact(node: NeuronNode) -> Neuron | None:
    """The neuron that the metadata describe; None where they describe none, or where it no longer fits the node."""
    text = node.stored.metadata.get("neuron")
    file, given = node.choices.file, node.choices.given
    if text is None or any(given.get(k, file.get(k)) != file.get(k) for k in ("dt", "discretization", "gain")):
        return None
    neuron = _parse_exact(node, text)
    try:
        kind, fields = continuous(neuron, file.get("dt", DEFAULTS["dt"]))
    except NotExpressible:
        kind, fields = "", {}
    if kind == node.stored.type and all(np.allclose(node.field(k, 0.0 if k == "v_reset" else 1.0), v, rtol=1e-5, atol=0)
                                        for k, v in fields.items()):
        return neuron
    node.problems.warn("SNN105", node.place,
                       "its metadata describe another neuron than its fields; the fields were used",
                       help="another tool changed the fields but not the metadata; remove the metadata of this node")
    return None


def _parse_exact(node: NeuronNode, text: Any) -> Neuron:
    """The neuron that the JSON text in the metadata describes. Raises SNN102 where the text is damaged."""
    place = f"{node.place}, metadata, neuron"
    try:
        described = json.loads(text)
        rule = described["rule"]
        if rule not in RULES_OF[node.stored.type]:
            fail("SNN102", place, f"the rule {shorten(rule)}",
                 f"a rule for {node.stored.type}: {', '.join(RULES_OF[node.stored.type])}")
        params = {k: _value(node, v) for k, v in described["params"].items()}
        initial = {k: _value(node, v) for k, v in described["initial"].items()}
        options = described["options"]
        known = RULES[rule].options
        if not all(k in known and v in known[k] for k, v in options.items()) or set(params) - {
                "bias", *RULES[rule].params}:
            fail("SNN102", place, f"options {shorten(options)} or parameters {shorten(list(params))}",
                 f"options and parameters of the rule {rule}")
        neuron = Neuron.of(rule, Firing(), options, initial, **params)
        neuron.infer(node.shape)
        if set(initial) - set(neuron.rule.states) - set(neuron.traced.states):
            fail("SNN102", place, f"states {shorten(list(initial))}", f"states of the rule {rule}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        fail("SNN102", place, "a text that does not describe a neuron",
             "a JSON object with rule, params, options, initial")
    return neuron


def _value(node: NeuronNode, value: Any) -> Any:
    """A number of a neuron's description, or the array of the metadata that it names (`{"array": NAME}`)."""
    if isinstance(value, dict):
        array = node.stored.metadata[value["array"]]
        if not isinstance(array, np.ndarray):
            raise TypeError
        return array
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise ValueError
    return value


@dataclass
class _Membrane:
    """The discrete constants of a membrane.

    Attributes:
        gain: how much of an input reaches the membrane in a tick.
        scale: the number by which the membrane's unit was divided; other than 1 with `gain=unit` only.
        drive: what the leak potential adds to the membrane in each tick.
        params: further parameters of the rule: `decay`, `decay_syn`, `gain_syn`.
    """

    gain: Array
    scale: Array = field(default_factory=lambda: np.asarray(1.0))
    drive: Array = field(default_factory=lambda: np.asarray(0.0))
    params: dict[str, Array] = field(default_factory=dict)


def _unit(gain: Array) -> Array:
    """The gain, with values within `UNIT_TOLERANCE` of 1 replaced by 1."""
    return np.where(np.abs(gain - 1) < UNIT_TOLERANCE, 1.0, gain)


def _integrating(node: NeuronNode) -> _Membrane:
    """The membrane of `dv/dt = r I`.

    A gain of 1 is written as `r = 1` by sinabs, Norse and in published files, but as `r = 1 / dt` by SpikingJelly.
    """
    r, gain = node.field("r"), node.pick("gain")
    own = r if gain in ("auto", "unit") and (r == 1).all() else _unit(r * node.dt)
    return _Membrane(np.asarray(1.0), _positive(node, own, "r")) if gain == "unit" else _Membrane(own)


def _leaking(node: NeuronNode, tau: str) -> _Membrane:
    """The membrane of `tau dv/dt = v_leak - v + r I`; `tau` names the field of the time constant."""
    rate, decay = node.time_constant(tau)
    r, gain = node.field("r"), node.pick("gain")
    step = rate if node.pick("discretization") == "euler" else 1 - decay
    drive = step * node.field("v_leak")
    own = {"euler": r * rate, "rockpool": r * rate * np.exp(rate)}.get(gain, r * step)
    if gain != "unit":
        return _Membrane(_unit(own), drive=drive, params={"decay": decay})
    scale = _positive(node, own, "r")
    return _Membrane(np.asarray(1.0), scale, drive / scale, {"decay": decay})


def _filtered(node: NeuronNode) -> _Membrane:
    """A membrane behind a synaptic filter, `tau_syn di/dt = -i + w_in I`.

    The leak potential acts on the membrane directly and does not pass the filter; `_rest` accounts for that.
    """
    m = _leaking(node, "tau_mem")
    rate, decay = node.time_constant("tau_syn")
    w_in, gain = node.field("w_in", 1.0), node.pick("gain")
    step = rate if node.pick("discretization") == "euler" else 1 - decay
    own = {"euler": w_in * rate, "rockpool": w_in * decay}.get(gain, w_in * step)
    if gain == "unit":
        scale = _positive(node, own, "w_in")
        m.scale, m.drive, own = m.scale * scale, m.drive / scale, np.asarray(1.0)
    m.params |= {"decay_syn": decay, "gain_syn": _unit(own)}
    return m


def _positive(node: NeuronNode, scale: Array, key: str) -> Array:
    """The scale itself. Raises SNN203, naming the field `key`, where it is not above 0."""
    if (scale <= 0).any():
        fail("SNN203", f"{node.place}, {key}", f"{scale.min():g}", "a value above 0, because gain=unit divides by it")
    return scale


MEMBRANES: Mapping[str, Callable[[NeuronNode], _Membrane]] = {
    "I": _integrating,
    "IF": _integrating,
    "LI": lambda node: _leaking(node, "tau"),
    "LIF": lambda node: _leaking(node, "tau"),
    "CubaLI": _filtered,
    "CubaLIF": _filtered,
}


def _discretized(node: NeuronNode) -> Neuron:
    kind = node.stored.type
    rule = RULES_OF[kind][0]
    if kind == "Threshold":
        threshold = collapse(node.field("threshold"))
        return Neuron.of(rule, Firing(node.pick("compare"), "none"), gain=1.0, threshold=threshold)
    m = MEMBRANES[kind](node)
    params: dict[str, Any] = {**m.params, "gain": m.gain}
    options = {"filter": node.pick("filter")} if "decay_syn" in params else {}
    initial = _rest(node, m, params, options)
    firing = Firing()
    if kind in SPIKING:
        firing = _firing(node)
        threshold = node.field("v_threshold") / m.scale
        params["threshold"] = threshold
        v_reset = node.field("v_reset", 0.0) / m.scale
        if firing.reset == "value" and node.pick("reset", {"reset": "value"}) != "zero" and v_reset.any():
            params["v_reset"] = v_reset
        _set(params, "v_min", _lowest(node.pick("v_min"), threshold, m.scale))
    _start(node, m, initial)
    return Neuron.of(rule, firing, options, {k: collapse(v) for k, v in initial.items()},
                     **{k: collapse(np.asarray(v)) for k, v in params.items()})


def _rest(node: NeuronNode, m: _Membrane, params: dict[str, Any], options: Mapping[str, str]) -> dict[str, Array]:
    """Turn the leak potential into the constant input `bias`, which is added to `params`.

    The bias of a filtered neuron passes the filter. Its value is chosen so that the current, once settled, adds the
    same to the membrane as the leak; and the current starts at its settled value, so that this holds from the first
    tick on.

    Returns:
        The initial values that this needs.

    Raises:
        CompileError: SNN203 where the input has no influence on the membrane (a gain of 0).
    """
    if not m.drive.any():
        return {}
    if (m.gain == 0).any() or (np.asarray(params.get("gain_syn", 1.0)) == 0).any():
        fail("SNN203", f"{node.place}, v_leak", "a leak potential other than 0, but a gain of 0",
             "r and w_in other than 0")
    rest = m.drive / m.gain
    if "decay_syn" not in params:
        params["bias"] = rest
        return {}
    params["bias"] = rest * (1 - params["decay_syn"]) / params["gain_syn"]
    return {"i": rest if options["filter"] == "decay-first" else rest * params["decay_syn"]}


def _lowest(v_min: Any, threshold: Array, scale: Array) -> Any:
    return None if v_min is None else collapse(-threshold if v_min == "-threshold" else np.asarray(v_min) / scale)


def _start(node: NeuronNode, m: _Membrane, initial: dict[str, Array]) -> None:
    """Set the membrane's initial value, where the answer to `v_init` is not 0."""
    potentials = {"reset": node.field("v_reset", 0.0), "leak": node.field("v_leak", 0.0)}
    open_question = any(p.any() for p in potentials.values())
    answer = node.pick("v_init", None if open_question else {"v_init": 0.0})
    first = np.asarray(potentials.get(answer, answer) if isinstance(answer, str) else answer) / m.scale
    if first.any():
        initial["v"] = first
