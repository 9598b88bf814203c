"""The neuron classes of SpikingJelly.

They fire where the membrane reaches the threshold. With `v_reset=None` the reset subtracts the threshold, with a number
it sets the membrane to that number. States begin as `reset` sets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snncompile.frontends.torch.cells import Cell, Layout, OverTime
from snncompile.frontends.torch.neurons.support import (
    NeuronClass,
    NeuronTable,
    ParameterReader,
    Refusal,
    as_array,
    unsupported,
)
from snncompile.ir.library import RULES
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing

_MEMBRANES = {"if": "integrator", "euler_lif": "euler_li", "cubalif": "cubali"}
"""Rules with a threshold, and the rules that emit the same membrane. A module with an infinite threshold has those."""
_NEURON = "spikingjelly.activation_based.neuron"


def _cell(reader: ParameterReader, rule: str, options: dict[str, str] | None = None, **params: Any) -> Cell:
    module = reader.module
    hard = module.v_reset is not None
    firing = Firing(">=", "value" if hard else "subtract")
    if hard:
        params["v_reset"] = reader.number(module.v_reset, "v_reset")
    if first := module.get_reset_value("v"):
        initial = {"v": reader.number(first, "v")}
    else:
        initial = {}
    layout: Layout = "ticks-first" if module.step_mode == "m" else "tick"
    if np.all(as_array(module.v_threshold) == np.inf):
        given = {n: v for n, v in params.items() if n in RULES[_MEMBRANES[rule]].params}
        return Cell(Neuron.of(_MEMBRANES[rule], Firing(), options, initial, **given), layout=layout, silent=True)
    neuron = Neuron.of(rule, firing, options, initial, threshold=reader.number(module.v_threshold, "v_threshold"),
                       **params)
    return Cell(neuron, layout=layout)


def _if(reader: ParameterReader) -> Cell:
    return _cell(reader, "if")


def _leaky(reader: ParameterReader, **time: Any) -> Cell:
    """A leaky neuron; `time` holds its `rate`, and `tau` where the framework divides by it."""
    module = reader.module
    if module.v_reset:
        time["rest"] = reader.number(module.v_reset, "v_reset")
    return _cell(reader, "euler_lif", {"input": "decayed" if module.decay_input else "whole"}, **time)


def _lif(reader: ParameterReader) -> Cell:
    tau = reader.number(reader.module.tau, "tau")
    return _leaky(reader, rate=1 / tau, tau=tau)


def _plif(reader: ParameterReader) -> Cell:
    return _leaky(reader, rate=reader.number(reader.module.w.sigmoid(), "w"))


def _cuba(reader: ParameterReader) -> Cell:
    m = reader.module
    return _cell(reader, "cubalif", decay=reader.number(m.v_decay, "v_decay"),
                 decay_syn=reader.number(m.c_decay, "c_decay"))


_DECODED: Mapping[Any, OverTime] = {"last_mem": "last", "mean-mem": "rate", "max-mem": "max"}


def _non_spiking(reader: ParameterReader) -> Cell:
    """A neuron that returns its membrane in every tick, in a list, or the last, the mean or the largest one."""
    if hasattr(reader.module, "tau"):
        tau = reader.number(reader.module.tau, "tau")
        neuron = Neuron.of("euler_li", Firing(), {"input": "decayed"}, rate=1 / tau, tau=tau)
    else:
        neuron = Neuron.of("integrator")
    return Cell(neuron, layout="ticks-first", over_time=_DECODED.get(reader.module.decode, "listed"))


def _becomes_nan(module: Any) -> bool:
    return module.v_reset is None and bool(np.isinf(as_array(module.v_threshold)).any())


def _has_graded_output(module: Any) -> bool:
    return getattr(module.surrogate_function, "spiking", None) is not True


_REFUSED = (
    Refusal("a surrogate_function that does not spike", "its output is a smooth function of the membrane; "
            "set_spiking_mode(True) makes it spike", _has_graded_output),
    Refusal("a precision of its own", "the neuron computes in another precision than the network",
            lambda m: getattr(m, "_neuron_precision", None) is not None),
    Refusal("v_threshold=inf with v_reset=None", "SpikingJelly itself computes 0 times infinity: its membrane is NaN",
            _becomes_nan),
    Refusal("a tensor as the reset value of v", "it is valid for one batch size only",
            lambda m: not isinstance(m.get_reset_value("v"), (int, float))),
)
_SOFT = Refusal("v_reset=None", "SpikingJelly itself raises a TypeError", lambda m: m.v_reset is None)
_COMMON = ("v_threshold, v_reset: None or a number",
           "v_threshold=inf with a number as v_reset, for a readout of v or v_seq", "step_mode: s, m",
           "store_v_seq, detach_reset", "any spiking surrogate_function")
_FURTHEST = Refusal("decode max-abs-mem", "no decoding of an output takes the membrane that is furthest from 0",
                    lambda m: m.decode == "max-abs-mem")
_DECODE = ("decode: None, last_mem, mean-mem, max-mem",)
_DECAY = "decay_input: True, False"

CELLS: NeuronTable = {
    f"{_NEURON}.integrate_and_fire.IFNode": NeuronClass(_if, _COMMON, _REFUSED),
    f"{_NEURON}.integrate_and_fire.SimpleIFNode": NeuronClass(_if, _COMMON, _REFUSED),
    f"{_NEURON}.integrate_and_fire.HalfThresholdIFNode": NeuronClass(_if, _COMMON, _REFUSED),
    f"{_NEURON}.lif.LIFNode": NeuronClass(_lif, (*_COMMON, "tau", _DECAY), _REFUSED),
    f"{_NEURON}.lif.SimpleLIFNode": NeuronClass(_lif, (*_COMMON, "tau", _DECAY), (*_REFUSED, _SOFT)),
    f"{_NEURON}.plif.ParametricLIFNode": NeuronClass(_plif, (*_COMMON, "w, learnt", _DECAY), _REFUSED),
    f"{_NEURON}.lif_variants.CUBALIFNode": NeuronClass(_cuba, (*_COMMON, "c_decay, v_decay"), _REFUSED),
    f"{_NEURON}.integrate_and_fire.NonSpikingIFNode": NeuronClass(_non_spiking, _DECODE, (_FURTHEST,)),
    f"{_NEURON}.lif.NonSpikingLIFNode": NeuronClass(_non_spiking, ("tau", *_DECODE), (_FURTHEST,)),
    **unsupported(_NEURON, "its number of spikes is rounded to the nearest integer, half to even", "ilif.ILIFNode"),
    **unsupported(_NEURON, "it computes a product or an exponential of its states, which has no exact integer form",
                  "nonlinear_if.QIFNode", "nonlinear_if.EIFNode", "adapt.IzhikevichNode"),
    **unsupported(_NEURON, "it rectifies and scales its membrane before the comparison", "lif_variants.KLIFNode"),
    **unsupported(_NEURON, "its reset depends on a sigmoid of a second state", "lif_variants.ComplementaryLIFNode"),
    **unsupported(_NEURON, "its parameters differ from tick to tick", "lif_variants.GatedLIFNode"),
    **unsupported(_NEURON, "it emits a function of its membrane together with its spikes", "lif_variants.LIAFNode"),
    **unsupported(_NEURON, "it emits negative spikes", "ternary.TernaryIFNode", "ternary.TernaryLIFNode",
                  "spikezip.STBIFNode"),
    **unsupported(_NEURON, "it adds its own offset to every comparison",
                  "integrate_and_fire.ActivationAwareIFNode"),
    **unsupported(_NEURON, "it combines ticks by a learnt matrix and has no state that goes from tick to tick",
                  "psn.PSN", "psn.MaskedPSN", "psn.SlidingPSN"),
    **unsupported(_NEURON, "its state is a complex number", "resonate.RAFNode"),
    **unsupported(_NEURON, "it is made for another training rule", "online_learning.OTTTLIFNode",
                  "online_learning.SLTTLIFNode", "dsr.DSRIFNode", "dsr.DSRLIFNode"),
    **unsupported(_NEURON, "it normalises its membrane over the batch", "mpbn.MPBNLIFNode"),
}
