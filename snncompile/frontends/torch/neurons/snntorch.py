"""snnTorch's neurons.

A spike where the membrane is strictly above the threshold; by default the reset acts in the next step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncompile.frontends.torch.cells import Cell, Returned
from snncompile.frontends.torch.neurons.recurrence import operators
from snncompile.frontends.torch.neurons.support import NeuronClass, Reading, Refusal, Table, as_array, unsupported
from snncompile.ir.op import Op
from snncompile.ir.ops import Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing, Reset, When

_FUNCTIONS: Mapping[str, Reset] = {"_base_sub": "subtract", "_base_zero": "value", "_base_int": "none"}
_CODES: Mapping[int, Reset] = {0: "subtract", 1: "value", 2: "none"}
_SURROGATES = ("snntorch.surrogate", "snntorch._neurons.neurons")


def _reset(module: Any) -> Reset:
    return _FUNCTIONS[module.state_function.__name__]


def _firing(module: Any, zero: When = "drop-input") -> Firing:
    """`zero`: when a delayed reset to zero acts."""
    reset = _reset(module)
    if not getattr(module, "reset_delay", True):
        return Firing(">", reset, "carried" if reset == "subtract" else "same")
    return Firing(">", reset, zero if reset == "value" else "after-decay")


def _returns(module: Any, *states: Returned) -> tuple[Returned, ...]:
    return ("output",) if module.init_hidden and not module.output else ("output", *states)


def _graded(reading: Reading) -> tuple[Op, ...]:
    factor = reading.number(reading.module.graded_spikes_factor, "graded_spikes_factor")
    return () if isinstance(factor, float) and factor == 1 else (Scale(factor),)


def _threshold(reading: Reading) -> Any:
    return reading.number(reading.module.threshold, "threshold")


def _decay(reading: Reading, name: str) -> Any:
    return reading.number(getattr(reading.module, name).clamp(0, 1), name)


def _lif(reading: Reading, firing: Firing) -> Neuron:
    return Neuron.of("lif", firing, decay=_decay(reading, "beta"), threshold=_threshold(reading))


def _synaptic_neuron(reading: Reading, firing: Firing) -> Neuron:
    return Neuron.of("cubalif", firing, decay=_decay(reading, "beta"), decay_syn=_decay(reading, "alpha"),
                     threshold=_threshold(reading))


def _leaky(reading: Reading) -> Cell:
    neuron = _lif(reading, _firing(reading.module, "before-decay"))
    return Cell(neuron, after=_graded(reading), returns=_returns(reading.module, "state"))


def _synaptic(reading: Reading) -> Cell:
    neuron = _synaptic_neuron(reading, _firing(reading.module))
    return Cell(neuron, after=_graded(reading), returns=_returns(reading.module, "state", "state"))


def _recurrent(reading: Reading, neuron: Neuron, *states: Returned) -> Cell:
    module = reading.module
    back = operators(reading, module.recurrent)
    return Cell(neuron, after=_graded(reading), recurrent=back, returns=_returns(module, *states))


def _rleaky(reading: Reading) -> Cell:
    return _recurrent(reading, _lif(reading, _firing(reading.module)), "state")


def _rsynaptic(reading: Reading) -> Cell:
    reset = _reset(reading.module)  # with explicit states reset_delay=False has no effect
    firing = Firing(">", reset, "drop-input" if reset == "value" else "after-decay")
    return _recurrent(reading, _synaptic_neuron(reading, firing), "state", "state")


def _lapicque(reading: Reading) -> Cell:
    m = reading.module
    number = reading.number
    before = (number(m.R, "R"), number(1 / (m.R * m.C), "C"))
    neuron = Neuron.of("lif", _firing(m), decay=number(1 - (m.time_step / (m.R * m.C)), "C"),
                       gain=number(m.time_step, "time_step"), threshold=_threshold(reading))
    return Cell(neuron, tuple(Scale(f) for f in before if not (isinstance(f, float) and f == 1)), _graded(reading),
                returns=_returns(m, "state"))


def _alpha(reading: Reading) -> Cell:
    m = reading.module
    alpha, beta = m.alpha.clamp(0, 1), m.beta.clamp(0, 1)
    gain = alpha.log() / (beta.log() - alpha.log()) + 1
    neuron = Neuron.of("alpha", Firing(">", _reset(m), "after-decay"), decay=reading.number(alpha, "alpha"),
                       decay_inh=reading.number(beta, "beta"), gain=reading.number(gain, "alpha"),
                       threshold=_threshold(reading))
    return Cell(neuron, after=_graded(reading), returns=_returns(m, "state", "state", "state"))


def _foreign_surrogate(module: Any) -> bool:
    return getattr(module.spike_grad, "__module__", "") not in _SURROGATES


_COMMON = (
    Refusal("state_quant", "a membrane rounded by a function of the user's", lambda m: bool(m.state_quant)),
    Refusal("inhibition", "only the strongest neuron of a layer fires", lambda m: bool(m.inhibition)),
    Refusal("spike_grad of your own", "its forward decides when the neuron fires; one of snntorch.surrogate is known "
            "to fire above the threshold", _foreign_surrogate),
    Refusal("threshold below 0", "a neuron at rest would begin with a reset",
            lambda m: bool((as_array(m.threshold) < 0).any())),
    Refusal("a reset_mechanism loaded over another", "the step function keeps that of the constructor, other parts "
            "follow the loaded value; construct the module with the one it was trained with",
            lambda m: _CODES.get(int(m.reset_mechanism_val)) != _reset(m)),
)
_ZERO_FACTOR = Refusal("graded_spikes_factor of 0 with reset_delay=False", "the reset is divided by the factor",
                       lambda m: not m.reset_delay and not as_array(m.graded_spikes_factor).all())
_BROKEN = Refusal("reset_delay=False with init_hidden=True", "snnTorch itself raises a TypeError",
                  lambda m: not m.reset_delay and m.init_hidden)
_SINGLE = ("reset_mechanism: subtract, zero, none", "init_hidden, output", "numbers or tensors, learnt or not",
           "any of snntorch.surrogate, or surrogate_disable")
_DELAY = "reset_delay: True, False"
_V = "all_to_all: linear or conv2d, and one-to-one V"
_ROUNDING = "input and recurrence are added before the membrane: at most a rounding apart"

CELLS: Table = {
    "snntorch._neurons.leaky.Leaky": NeuronClass(
        _leaky, (*_SINGLE, _DELAY, "graded_spikes_factor"), (*_COMMON, _ZERO_FACTOR)),
    "snntorch._neurons.synaptic.Synaptic": NeuronClass(_synaptic, (*_SINGLE, _DELAY), (*_COMMON, _ZERO_FACTOR)),
    "snntorch._neurons.rleaky.RLeaky": NeuronClass(
        _rleaky, (*_SINGLE, _DELAY, _V), (*_COMMON, _ZERO_FACTOR), _ROUNDING),
    "snntorch._neurons.rsynaptic.RSynaptic": NeuronClass(
        _rsynaptic, (*_SINGLE, _V, "reset_delay=False with states passed in, where it has no effect"),
        (*_COMMON, _BROKEN), _ROUNDING),
    "snntorch._neurons.lapicque.Lapicque": NeuronClass(_lapicque, (*_SINGLE, "beta, R, C, time_step"), _COMMON),
    "snntorch._neurons.alpha.Alpha": NeuronClass(_alpha, _SINGLE, _COMMON),
    **unsupported("snntorch._neurons", "a gated cell, not a neuron of additions and a threshold", "slstm.SLSTM",
                  "sconv2dlstm.SConv2dLSTM"),
    **unsupported("snntorch._neurons", "it has no step: it computes all ticks at once, without a reset",
                  "leakyparallel.LeakyParallel", "stateleaky.StateLeaky", "linearleaky.LinearLeaky",
                  "associative.AssociativeLeaky"),
    **unsupported("snntorch._neurons", "it fires when its membrane changes, not when it is high",
                  "deltaleaky.DeltaLeaky"),
}
