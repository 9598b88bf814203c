"""The neuron classes of sinabs.

They fire where the membrane reaches the threshold, with several spikes where it reaches a multiple of the threshold.
Time constants are in ticks. States begin as `reset_states` sets them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from snncompile.frontends.torch.cells import Cell, Layout
from snncompile.frontends.torch.neurons.recurrence import operators
from snncompile.frontends.torch.neurons.support import (
    NeuronClass,
    NeuronTable,
    ParameterReader,
    Refusal,
    as_array,
    qualified_name,
)
from snncompile.ir.op import Op
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing

_SPIKES = "sinabs.activation.spike_generation"
_RESETS = "sinabs.activation.reset_mechanism"


def _class_name(value: Any) -> str:
    """The qualified name of a class, or of the class of an instance."""
    return qualified_name(value if isinstance(value, type) else type(value))


def _max_spikes(module: Any) -> int | None:
    """How many spikes a neuron may emit per tick; None for any number."""
    if _class_name(module.spike_fn) == f"{_SPIKES}.MaxSpike":
        limit: int | None = getattr(module.spike_fn, "max_num_spikes_per_bin", None)
        return limit
    return 1 if _class_name(module.spike_fn) == f"{_SPIKES}.SingleSpike" else None


def _firing(module: Any) -> Firing:
    hard = _class_name(module.reset_fn) == f"{_RESETS}.MembraneReset"
    return Firing(">=", "value" if hard else "subtract", max_spikes=_max_spikes(module))


def _common(reader: ParameterReader) -> dict[str, Any]:
    """The parameters that all classes share."""
    m = reader.module
    decay = m.alpha_mem_calculated
    gain = 1 - decay if m.norm_input else 1.0
    params = {"decay": reader.number(decay, "tau_mem"), "gain": reader.number(gain, "tau_mem")}
    if m.min_v_mem is not None:
        params["v_min"] = reader.number(m.min_v_mem, "min_v_mem")
    if m.alpha_syn_calculated is not None:
        params["decay_syn"] = reader.number(m.alpha_syn_calculated, "tau_syn")
    return params


def _neuron(reader: ParameterReader) -> Neuron:
    m, params = reader.module, _common(reader)
    options = {"filter": "decay-both"} if "decay_syn" in params else {}
    if m.spike_fn is None:
        return Neuron.of("cubali" if options else "li", Firing(), options, **params)
    params["threshold"] = reader.number(m.spike_threshold, "spike_threshold")
    if not options and np.all(params["decay"] == 1) and np.all(params["gain"] == 1):
        return Neuron.of("if", _firing(m), **{n: v for n, v in params.items() if n != "decay"})
    return Neuron.of("cubalif" if options else "lif", _firing(m), options, **params)


def _adaptive(reader: ParameterReader) -> Neuron:
    m = reader.module
    fading = m.alpha_adapt_calculated
    adaptation = {"decay_b": reader.number(fading, "tau_adapt"), "jump_b": reader.number(1 - fading, "tau_adapt"),
                  "scale_b": reader.number(m.adapt_scale, "adapt_scale")}
    return Neuron.of("alif", _firing(m), threshold=reader.number(m.b0, "spike_threshold"), **adaptation,
                     **_common(reader))


def _recurrent(reader: ParameterReader) -> tuple[Op, ...] | None:
    layer = getattr(reader.module, "rec_connect", None)
    return None if layer is None else operators(reader, layer)


def _cell(reader: ParameterReader, neuron: Neuron, layout: Layout) -> Cell:
    merged = getattr(reader.module, "batch_size", -1), getattr(reader.module, "num_timesteps", -1)
    return Cell(neuron, recurrent=_recurrent(reader), recurrent_silence=True, layout=layout, merged=merged)


def _lif(reader: ParameterReader, layout: Layout = "batch-first") -> Cell:
    return _cell(reader, _neuron(reader), layout)


def _alif(reader: ParameterReader, layout: Layout = "batch-first") -> Cell:
    return _cell(reader, _adaptive(reader), layout)


_lif_merged, _alif_merged = partial(_lif, layout="merged"), partial(_alif, layout="merged")


def _unknown_spikes(module: Any) -> bool:
    known = ("MultiSpike", "SingleSpike", "MaxSpike")
    return module.spike_fn is not None and _class_name(module.spike_fn) not in [f"{_SPIKES}.{n}" for n in known]


def _unknown_reset(module: Any) -> bool:
    known = ("MembraneSubtract", "MembraneReset")
    return module.spike_fn is not None and _class_name(module.reset_fn) not in [f"{_RESETS}.{n}" for n in known]


_REFUSED = (
    Refusal("a spike_fn of your own", "supported are MultiSpike, SingleSpike and MaxSpike", _unknown_spikes),
    Refusal("a reset_fn of your own", "supported are MembraneSubtract() and MembraneReset()", _unknown_reset),
    Refusal("MembraneReset(reset_value) other than 0", "sinabs adds the value to every membrane in every tick, "
            "whether the neuron fired or not", lambda m: bool(getattr(m.reset_fn, "reset_value", 0))),
    Refusal("MembraneSubtract(subtract_value)", "the rules of the library subtract the threshold",
            lambda m: getattr(m.reset_fn, "subtract_value", None) is not None),
    Refusal("MaxSpike of less than 1", "the neuron would never fire",
            lambda m: (limit := _max_spikes(m)) is not None and limit < 1),
)
_NEGATIVE = Refusal("adapt_scale below 0", "the threshold could become negative",
                    lambda m: bool((as_array(m.adapt_scale) < 0).any()))
_SPIKING = ("spike_fn: MultiSpike, SingleSpike, MaxSpike, None", "reset_fn: MembraneSubtract(), MembraneReset()",
            "spike_threshold, min_v_mem, tau_syn: numbers or tensors")
_LEAK = ("tau_mem, norm_input, train_alphas",)
_ADAPT = ("spike_fn: MultiSpike, SingleSpike, MaxSpike", *_SPIKING[1:], *_LEAK, "tau_adapt, adapt_scale")
_REC = ("rec_connect: Linear, Conv1d, Conv2d, Flatten, Unflatten, and sequences of them",)
_MERGED = ("batch_size, num_timesteps",)

CELLS: NeuronTable = {
    "sinabs.layers.iaf.IAF": NeuronClass(_lif, _SPIKING, _REFUSED),
    "sinabs.layers.iaf.IAFSqueeze": NeuronClass(_lif_merged, _SPIKING + _MERGED, _REFUSED),
    "sinabs.layers.iaf.IAFRecurrent": NeuronClass(_lif, _SPIKING + _REC, _REFUSED),
    "sinabs.layers.lif.LIF": NeuronClass(_lif, _SPIKING + _LEAK, _REFUSED),
    "sinabs.layers.lif.LIFSqueeze": NeuronClass(_lif_merged, _SPIKING + _LEAK + _MERGED, _REFUSED),
    "sinabs.layers.lif.LIFRecurrent": NeuronClass(_lif, _SPIKING + _LEAK + _REC, _REFUSED),
    "sinabs.layers.exp_leak.ExpLeak": NeuronClass(_lif, ("min_v_mem", *_LEAK)),
    "sinabs.layers.exp_leak.ExpLeakSqueeze": NeuronClass(_lif_merged, ("min_v_mem", *_LEAK, *_MERGED)),
    "sinabs.layers.alif.ALIF": NeuronClass(_alif, _ADAPT, (*_REFUSED, _NEGATIVE)),
    "sinabs.layers.alif.ALIFSqueeze": NeuronClass(_alif_merged, _ADAPT + _MERGED, (*_REFUSED, _NEGATIVE)),
    "sinabs.layers.alif.ALIFRecurrent": NeuronClass(_alif, _ADAPT + _REC, (*_REFUSED, _NEGATIVE)),
}
