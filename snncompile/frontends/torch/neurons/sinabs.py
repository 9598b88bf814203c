"""sinabs' neurons.

A spike where the membrane reaches the threshold, several of them where it is reached several times; time constants are
in ticks. States are taken as `reset_states` leaves them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from snncompile.frontends.torch.cells import Cell, Layout
from snncompile.frontends.torch.neurons.recurrence import operators
from snncompile.frontends.torch.neurons.support import (
    NeuronClass,
    Reading,
    Refusal,
    Table,
    as_array,
    qualified_name,
)
from snncompile.ir.op import Op
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing

_SPIKES = "sinabs.activation.spike_generation"
_RESETS = "sinabs.activation.reset_mechanism"


def _named(value: Any) -> str:
    """The qualified name of a class, or of the class of an instance."""
    return qualified_name(value if isinstance(value, type) else type(value))


def _most_spikes(module: Any) -> int | None:
    if _named(module.spike_fn) == f"{_SPIKES}.MaxSpike":
        most: int | None = getattr(module.spike_fn, "max_num_spikes_per_bin", None)
        return most
    return 1 if _named(module.spike_fn) == f"{_SPIKES}.SingleSpike" else None


def _firing(module: Any) -> Firing:
    hard = _named(module.reset_fn) == f"{_RESETS}.MembraneReset"
    return Firing(">=", "value" if hard else "subtract", max_spikes=_most_spikes(module))


def _common(reading: Reading) -> dict[str, Any]:
    """The parameters that all classes share."""
    m = reading.module
    decay = m.alpha_mem_calculated
    gain = 1 - decay if m.norm_input else 1.0
    params = {"decay": reading.number(decay, "tau_mem"), "gain": reading.number(gain, "tau_mem")}
    if m.min_v_mem is not None:
        params["v_min"] = reading.number(m.min_v_mem, "min_v_mem")
    if m.alpha_syn_calculated is not None:
        params["decay_syn"] = reading.number(m.alpha_syn_calculated, "tau_syn")
    return params


def _neuron(reading: Reading) -> Neuron:
    m, params = reading.module, _common(reading)
    options = {"filter": "decay-both"} if "decay_syn" in params else {}
    if m.spike_fn is None:
        return Neuron.of("cubali" if options else "li", Firing(), options, **params)
    params["threshold"] = reading.number(m.spike_threshold, "spike_threshold")
    if not options and np.all(params["decay"] == 1) and np.all(params["gain"] == 1):
        return Neuron.of("if", _firing(m), **{n: v for n, v in params.items() if n != "decay"})
    return Neuron.of("cubalif" if options else "lif", _firing(m), options, **params)


def _adaptive(reading: Reading) -> Neuron:
    m = reading.module
    fading = m.alpha_adapt_calculated
    adaptation = {"decay_b": reading.number(fading, "tau_adapt"), "jump_b": reading.number(1 - fading, "tau_adapt"),
                  "scale_b": reading.number(m.adapt_scale, "adapt_scale")}
    return Neuron.of("alif", _firing(m), threshold=reading.number(m.b0, "spike_threshold"), **adaptation,
                     **_common(reading))


def _recurrent(reading: Reading) -> tuple[Op, ...] | None:
    layer = getattr(reading.module, "rec_connect", None)
    return None if layer is None else operators(reading, layer)


def _lif(reading: Reading, layout: Layout = "batch-first") -> Cell:
    return Cell(_neuron(reading), recurrent=_recurrent(reading), recurrent_silence=True, layout=layout)


def _alif(reading: Reading, layout: Layout = "batch-first") -> Cell:
    return Cell(_adaptive(reading), recurrent=_recurrent(reading), recurrent_silence=True, layout=layout)


_lif_merged, _alif_merged = partial(_lif, layout="merged"), partial(_alif, layout="merged")


def _unknown_spikes(module: Any) -> bool:
    known = ("MultiSpike", "SingleSpike", "MaxSpike")
    return module.spike_fn is not None and _named(module.spike_fn) not in [f"{_SPIKES}.{n}" for n in known]


def _unknown_reset(module: Any) -> bool:
    known = ("MembraneSubtract", "MembraneReset")
    return module.spike_fn is not None and _named(module.reset_fn) not in [f"{_RESETS}.{n}" for n in known]


_REFUSED = (
    Refusal("a spike_fn of your own", "MultiSpike, SingleSpike and MaxSpike are known", _unknown_spikes),
    Refusal("a reset_fn of your own", "MembraneSubtract() and MembraneReset() are known", _unknown_reset),
    Refusal("MembraneReset(reset_value) other than 0", "sinabs adds the value to every membrane in every tick, "
            "fired or not", lambda m: bool(getattr(m.reset_fn, "reset_value", 0))),
    Refusal("MembraneSubtract(subtract_value)", "the threshold is what is subtracted",
            lambda m: getattr(m.reset_fn, "subtract_value", None) is not None),
    Refusal("MaxSpike of less than 1", "a neuron that never fires",
            lambda m: (most := _most_spikes(m)) is not None and most < 1),
)
_NEGATIVE = Refusal("adapt_scale below 0", "the threshold could fall below 0",
                    lambda m: bool((as_array(m.adapt_scale) < 0).any()))
_SPIKING = ("spike_fn: MultiSpike, SingleSpike, MaxSpike, None", "reset_fn: MembraneSubtract(), MembraneReset()",
            "spike_threshold, min_v_mem, tau_syn: numbers or tensors")
_LEAK = ("tau_mem, norm_input, train_alphas",)
_ADAPT = ("spike_fn: MultiSpike, SingleSpike, MaxSpike", *_SPIKING[1:], *_LEAK, "tau_adapt, adapt_scale")
_REC = ("rec_connect: Linear, Conv1d, Conv2d, Flatten, Unflatten, and sequences of them",)
_MERGED = ("batch_size, num_timesteps",)

CELLS: Table = {
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
