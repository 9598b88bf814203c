"""The neuron classes of snnTorch.

They fire where the membrane is strictly above the threshold. By default the reset acts in the next tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncompile.frontends.torch.cells import Cell, Returned
from snncompile.frontends.torch.neurons.recurrence import operators
from snncompile.frontends.torch.neurons.support import (
    NeuronClass,
    NeuronTable,
    ParameterReader,
    Refusal,
    as_array,
    unsupported,
)
from snncompile.frontends.torch.numberless import is_bare
from snncompile.ir.op import Op
from snncompile.ir.ops import Scale
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing, Reset, When

# The reset of a module, by the name of its state function and by the number in its buffer.
_RESETS_BY_FUNCTION: Mapping[str, Reset] = {"_base_sub": "subtract", "_base_zero": "value", "_base_int": "none"}
_RESETS_BY_NUMBER: Mapping[int, Reset] = {0: "subtract", 1: "value", 2: "none"}
_SURROGATES = ("snntorch.surrogate", "snntorch._neurons.neurons")


def _reset(module: Any) -> Reset:
    return _RESETS_BY_FUNCTION[module.state_function.__name__]


def _firing(module: Any, zero_reset: When = "drop-input") -> Firing:
    """The comparison and reset of a module; `zero_reset` tells when a delayed reset to zero acts."""
    reset = _reset(module)
    if not getattr(module, "reset_delay", True):
        return Firing(">", reset, "carried" if reset == "subtract" else "same")
    return Firing(">", reset, zero_reset if reset == "value" else "after-decay")


def _returns(module: Any, *states: Returned) -> tuple[Returned, ...]:
    return ("output",) if module.init_hidden and not module.output else ("output", *states)


def _graded(reader: ParameterReader) -> tuple[Op, ...]:
    """The factor on the spikes, as an operator behind the neuron; none where it is 1.

    A factor without numbers that is not learnt is taken for the default, 1.
    """
    given = reader.module.graded_spikes_factor
    if is_bare(given) and "graded_spikes_factor" not in dict(reader.module.named_parameters()):
        return ()
    factor = reader.number(reader.module.graded_spikes_factor, "graded_spikes_factor")
    return () if isinstance(factor, float) and factor == 1 else (Scale(factor),)


def _threshold(reader: ParameterReader) -> Any:
    return reader.number(reader.module.threshold, "threshold")


def _decay(reader: ParameterReader, name: str) -> Any:
    return reader.number(getattr(reader.module, name).clamp(0, 1), name)


def _lif(reader: ParameterReader, firing: Firing) -> Neuron:
    return Neuron.of("lif", firing, decay=_decay(reader, "beta"), threshold=_threshold(reader))


def _synaptic_neuron(reader: ParameterReader, firing: Firing) -> Neuron:
    return Neuron.of("cubalif", firing, decay=_decay(reader, "beta"), decay_syn=_decay(reader, "alpha"),
                     threshold=_threshold(reader))


def _leaky(reader: ParameterReader) -> Cell:
    neuron = _lif(reader, _firing(reader.module, "before-decay"))
    return Cell(neuron, after=_graded(reader), returns=_returns(reader.module, "state"))


def _synaptic(reader: ParameterReader) -> Cell:
    neuron = _synaptic_neuron(reader, _firing(reader.module))
    return Cell(neuron, after=_graded(reader), returns=_returns(reader.module, "state", "state"))


def _recurrent(reader: ParameterReader, neuron: Neuron, *states: Returned) -> Cell:
    module = reader.module
    back = operators(reader, module.recurrent)
    return Cell(neuron, after=_graded(reader), recurrent=back, returns=_returns(module, *states))


def _rleaky(reader: ParameterReader) -> Cell:
    return _recurrent(reader, _lif(reader, _firing(reader.module)), "state")


def _rsynaptic(reader: ParameterReader) -> Cell:
    reset = _reset(reader.module)  # reset_delay=False has no effect where the states are passed in
    firing = Firing(">", reset, "drop-input" if reset == "value" else "after-decay")
    return _recurrent(reader, _synaptic_neuron(reader, firing), "state", "state")


def _lapicque(reader: ParameterReader) -> Cell:
    m = reader.module
    number = reader.number
    before = (number(m.R, "R"), number(1 / (m.R * m.C), "C"))
    neuron = Neuron.of("lif", _firing(m), decay=number(1 - (m.time_step / (m.R * m.C)), "C"),
                       gain=number(m.time_step, "time_step"), threshold=_threshold(reader))
    return Cell(neuron, tuple(Scale(f) for f in before if not (isinstance(f, float) and f == 1)), _graded(reader),
                returns=_returns(m, "state"))


def _alpha(reader: ParameterReader) -> Cell:
    m = reader.module
    alpha, beta = m.alpha.clamp(0, 1), m.beta.clamp(0, 1)
    gain = alpha.log() / (beta.log() - alpha.log()) + 1
    neuron = Neuron.of("alpha", Firing(">", _reset(m), "after-decay"), decay=reader.number(alpha, "alpha"),
                       decay_inh=reader.number(beta, "beta"), gain=reader.number(gain, "alpha"),
                       threshold=_threshold(reader))
    return Cell(neuron, after=_graded(reader), returns=_returns(m, "state", "state", "state"))


def _loads_another_reset(module: Any) -> bool:
    """Whether the buffer with the number of the reset, if it has a number, names another than the constructor set."""
    number = module.reset_mechanism_val
    return not is_bare(number) and _RESETS_BY_NUMBER.get(int(number)) != _reset(module)


def restore_settings(module: Any) -> None:
    """Give a module on the `meta` device its number of the reset again, which its step reads. Changes the module."""
    if is_bare(getattr(module, "reset_mechanism_val", None)):
        import torch

        number = next(n for n, reset in _RESETS_BY_NUMBER.items() if reset == _reset(module))
        module.reset_mechanism_val = torch.tensor(number)


def _foreign_surrogate(module: Any) -> bool:
    return getattr(module.spike_grad, "__module__", "") not in _SURROGATES


_COMMON = (
    Refusal("state_quant", "the membrane is rounded by a function of the user", lambda m: bool(m.state_quant)),
    Refusal("inhibition", "only the strongest neuron of a layer fires", lambda m: bool(m.inhibition)),
    Refusal("spike_grad of your own", "its forward decides when the neuron fires; those of snntorch.surrogate fire "
            "above the threshold", _foreign_surrogate),
    Refusal("threshold below 0", "a neuron at rest would be reset in the first tick",
            lambda m: bool((as_array(m.threshold) < 0).any())),
    Refusal("a reset_mechanism loaded over another", "the step function keeps the mechanism of the constructor, "
            "other parts use the loaded one; construct the module with the mechanism that it was trained with",
            _loads_another_reset),
)
_ZERO_FACTOR = Refusal("graded_spikes_factor of 0 with reset_delay=False", "the reset is divided by the factor",
                       lambda m: not m.reset_delay and not as_array(m.graded_spikes_factor).all())
_BROKEN = Refusal("reset_delay=False with init_hidden=True", "snnTorch itself raises a TypeError",
                  lambda m: not m.reset_delay and m.init_hidden)
_SINGLE = ("reset_mechanism: subtract, zero, none", "init_hidden, output", "numbers or tensors, learnt or not",
           "any of snntorch.surrogate, or surrogate_disable")
_DELAY = "reset_delay: True, False"
_V = "all_to_all: linear or conv2d, and one-to-one V"
_ROUNDING = "input and recurrence are summed before they are added to the membrane: membranes may differ by rounding"

CELLS: NeuronTable = {
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
    **unsupported("snntorch._neurons", "it is a gated LSTM cell without a neuron rule", "slstm.SLSTM",
                  "sconv2dlstm.SConv2dLSTM"),
    **unsupported("snntorch._neurons", "it computes all ticks at once, without a reset",
                  "leakyparallel.LeakyParallel", "stateleaky.StateLeaky", "linearleaky.LinearLeaky",
                  "associative.AssociativeLeaky"),
    **unsupported("snntorch._neurons", "it fires when its membrane changes and not when it is above a threshold",
                  "deltaleaky.DeltaLeaky"),
}
