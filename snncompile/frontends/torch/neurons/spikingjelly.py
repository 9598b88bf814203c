"""SpikingJelly's neurons.

A spike where the membrane reaches the threshold; `v_reset=None` subtracts the threshold, a number replaces the
membrane. States are taken as `reset` leaves them.
"""

from __future__ import annotations

from typing import Any

from snncompile.frontends.torch.cells import Cell
from snncompile.frontends.torch.neurons.support import NeuronClass, Reading, Refusal, Table, unsupported
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing

_NEURON = "spikingjelly.activation_based.neuron"


def _cell(reading: Reading, rule: str, options: dict[str, str] | None = None, **params: Any) -> Cell:
    module = reading.module
    hard = module.v_reset is not None
    firing = Firing(">=", "value" if hard else "subtract")
    if hard:
        params["v_reset"] = reading.number(module.v_reset, "v_reset")
    if first := module.get_reset_value("v"):
        initial = {"v": reading.number(first, "v")}
    else:
        initial = {}
    neuron = Neuron.of(rule, firing, options, initial, threshold=reading.number(module.v_threshold, "v_threshold"),
                       **params)
    return Cell(neuron, layout="ticks-first" if module.step_mode == "m" else "tick")


def _if(reading: Reading) -> Cell:
    return _cell(reading, "if")


def _leaky(reading: Reading, **time: Any) -> Cell:
    """A LIF; `time` gives its `rate`, and `tau` where the framework divides by it."""
    module = reading.module
    if module.v_reset:
        time["rest"] = reading.number(module.v_reset, "v_reset")
    return _cell(reading, "euler_lif", {"input": "decayed" if module.decay_input else "whole"}, **time)


def _lif(reading: Reading) -> Cell:
    tau = reading.number(reading.module.tau, "tau")
    return _leaky(reading, rate=1 / tau, tau=tau)


def _plif(reading: Reading) -> Cell:
    return _leaky(reading, rate=reading.number(reading.module.w.sigmoid(), "w"))


def _cuba(reading: Reading) -> Cell:
    m = reading.module
    return _cell(reading, "cubalif", decay=reading.number(m.v_decay, "v_decay"),
                 decay_syn=reading.number(m.c_decay, "c_decay"))


def _graded(module: Any) -> bool:
    return getattr(module.surrogate_function, "spiking", None) is not True


_REFUSED = (
    Refusal("a surrogate_function that does not spike", "its output is a smooth function of the membrane; "
            "set_spiking_mode(True) makes it fire", _graded),
    Refusal("a precision of its own", "the steps are computed in other numbers than the network's",
            lambda m: getattr(m, "_neuron_precision", None) is not None),
    Refusal("a tensor as the reset value of v", "it holds for one batch size only",
            lambda m: not isinstance(m.get_reset_value("v"), (int, float))),
)
_SOFT = Refusal("v_reset=None", "SpikingJelly itself raises a TypeError", lambda m: m.v_reset is None)
_COMMON = ("v_threshold, v_reset: None or a number", "step_mode: s, m", "store_v_seq, detach_reset",
           "any spiking surrogate_function")
_DECAY = "decay_input: True, False"

CELLS: Table = {
    f"{_NEURON}.integrate_and_fire.IFNode": NeuronClass(_if, _COMMON, _REFUSED),
    f"{_NEURON}.integrate_and_fire.SimpleIFNode": NeuronClass(_if, _COMMON, _REFUSED),
    f"{_NEURON}.integrate_and_fire.HalfThresholdIFNode": NeuronClass(_if, _COMMON, _REFUSED),
    f"{_NEURON}.lif.LIFNode": NeuronClass(_lif, (*_COMMON, "tau", _DECAY), _REFUSED),
    f"{_NEURON}.lif.SimpleLIFNode": NeuronClass(_lif, (*_COMMON, "tau", _DECAY), (*_REFUSED, _SOFT)),
    f"{_NEURON}.plif.ParametricLIFNode": NeuronClass(_plif, (*_COMMON, "w, learnt", _DECAY), _REFUSED),
    f"{_NEURON}.lif_variants.CUBALIFNode": NeuronClass(_cuba, (*_COMMON, "c_decay, v_decay"), _REFUSED),
    **unsupported(_NEURON, "its spikes are rounded to nearest, halves to even", "ilif.ILIFNode"),
    **unsupported(_NEURON, "it multiplies membranes with each other, or takes their exponential, which has no exact "
                  "integer form", "nonlinear_if.QIFNode", "nonlinear_if.EIFNode", "adapt.IzhikevichNode"),
    **unsupported(_NEURON, "it rectifies and scales its membrane before it fires", "lif_variants.KLIFNode"),
    **unsupported(_NEURON, "its reset depends on a sigmoid of a second state", "lif_variants.ComplementaryLIFNode"),
    **unsupported(_NEURON, "its parameters differ from tick to tick", "lif_variants.GatedLIFNode"),
    **unsupported(_NEURON, "it emits a function of its membrane beside its spikes", "lif_variants.LIAFNode"),
    **unsupported(_NEURON, "it emits negative spikes", "ternary.TernaryIFNode", "ternary.TernaryLIFNode",
                  "spikezip.STBIFNode"),
    **unsupported(_NEURON, "it returns its membrane of all ticks, or one number of them, at the end",
                  "integrate_and_fire.NonSpikingIFNode", "lif.NonSpikingLIFNode"),
    **unsupported(_NEURON, "it adds an offset of its own to every comparison",
                  "integrate_and_fire.ActivationAwareIFNode"),
    **unsupported(_NEURON, "it mixes ticks with a learnt matrix, without a state of one tick", "psn.PSN",
                  "psn.MaskedPSN", "psn.SlidingPSN"),
    **unsupported(_NEURON, "it resonates: its state is a complex number", "resonate.RAFNode"),
    **unsupported(_NEURON, "it is made for training by another rule", "online_learning.OTTTLIFNode",
                  "online_learning.SLTTLIFNode", "dsr.DSRIFNode", "dsr.DSRLIFNode"),
    **unsupported(_NEURON, "it normalises its membrane over the batch", "mpbn.MPBNLIFNode"),
}
