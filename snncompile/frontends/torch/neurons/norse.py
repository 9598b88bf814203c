"""The neuron classes of Norse.

They fire where the membrane is strictly above the threshold, and integrate with one Euler step of `dt` seconds per
tick. States begin as the modules initialise them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from snncompile.frontends.torch.cells import Cell, Layout, Returned
from snncompile.frontends.torch.neurons.support import (
    NeuronClass,
    NeuronTable,
    ParameterReader,
    Refusal,
    as_array,
    unsupported,
    weights,
)
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing, Reset

_RETURNS: tuple[Returned, ...] = ("output", "state")
_METHODS = ("super", "heaviside", "triangle", "tanh", "circ", "heavi_erfc")
_RESETS: Mapping[str, Reset] = {"norse.torch.functional.reset.reset_value": "value",
                                "norse.torch.functional.reset.reset_subtract": "subtract"}


def _rate(reader: ParameterReader, name: str) -> Any:
    """`dt` times an inverse time constant, multiplied in the precision of the parameter, as Norse does."""
    return reader.number(reader.module.dt * getattr(reader.module.p, name), name)


def _parameter(reader: ParameterReader, name: str) -> Any:
    return reader.number(getattr(reader.module.p, name), name)


def _rates(reader: ParameterReader) -> dict[str, Any]:
    """The rates of an Euler step: of the membrane, and of the synaptic current where the class has one."""
    params = {"rate": _rate(reader, "tau_mem_inv")}
    if hasattr(reader.module.p, "tau_syn_inv"):
        params["rate_syn"] = _rate(reader, "tau_syn_inv")
    return params


def _resting_membrane(reader: ParameterReader) -> dict[str, Any]:
    """The initial state of the membrane, `v_leak`; empty where that is 0."""
    leak = _parameter(reader, "v_leak")
    return {"v": leak} if as_array(leak).any() else {}


def _thresholds(reader: ParameterReader) -> dict[str, Any]:
    return {"threshold": _parameter(reader, "v_th"), "v_reset": _parameter(reader, "v_reset")}


def _lif_neuron(reader: ParameterReader) -> Neuron:
    rest = _resting_membrane(reader)
    pull = {"rest": rest["v"]} if rest else {}
    return Neuron.of("euler_lif", Firing(">", "value"), initial=rest, **_rates(reader), **pull, **_thresholds(reader))


def _lif(reader: ParameterReader, layout: Layout = "ticks-first") -> Cell:
    return Cell(_lif_neuron(reader), layout=layout, returns=_RETURNS)


def _lif_recurrent(reader: ParameterReader, layout: Layout = "ticks-first") -> Cell:
    before, hidden = _input_synapses(reader)
    back = Linear(weights(reader.module.recurrent_weights))
    return Cell(_lif_neuron(hidden), (before,), recurrent=(back,), layout=layout, returns=_RETURNS)


def _input_synapses(reader: ParameterReader) -> tuple[Linear, ParameterReader]:
    """The input weights inside a module, and a reader for the neurons behind them, which have another shape."""
    weight = weights(reader.module.input_weights)
    return Linear(weight), replace(reader, shape=(weight.shape[0],))


def _lif_box(reader: ParameterReader) -> Cell:
    rest = _resting_membrane(reader)
    leak = {"bias": rest["v"]} if rest else {}  # Norse adds v_leak to the input before it subtracts the membrane
    firing = Firing(">", _RESETS[_function_name(reader.module.p.reset_method)])
    return Cell(Neuron.of("euler_lif", firing, initial=rest, **_rates(reader), **leak, **_thresholds(reader)),
                returns=_RETURNS)


def _iaf(reader: ParameterReader, layout: Layout = "ticks-first") -> Cell:
    thresholds = _thresholds(reader)
    initial = {"v": thresholds["v_reset"]} if as_array(thresholds["v_reset"]).any() else {}
    return Cell(Neuron.of("if", Firing(">", "value"), initial=initial, **thresholds), layout=layout, returns=_RETURNS)


def _li(reader: ParameterReader, layout: Layout = "ticks-first") -> Cell:
    return Cell(_li_neuron(reader), layout=layout, returns=_RETURNS)


def _li_neuron(reader: ParameterReader) -> Neuron:
    rest = _resting_membrane(reader)
    pull = {"rest": rest["v"]} if rest else {}
    return Neuron.of("euler_li", Firing(), initial=rest, **_rates(reader), **pull)


def _li_linear(reader: ParameterReader) -> Cell:
    before, hidden = _input_synapses(reader)
    return Cell(_li_neuron(hidden), (before,), returns=_RETURNS)


def _function_name(value: Any) -> str:
    """The qualified name of a function."""
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"


_METHOD = Refusal("method other than a step function", f"supported are {', '.join(_METHODS)}",
                  lambda m: m.p.method not in _METHODS)
_RESET = Refusal("a reset_method of your own", "supported are reset_value and reset_subtract",
                 lambda m: _function_name(m.p.reset_method) not in _RESETS)
_SYN, _MEM = "tau_syn_inv", "tau_mem_inv, v_leak, dt"
_FIRE = ("v_th, v_reset", f"method: {', '.join(_METHODS)}")
_WEIGHTS = "input_weights, recurrent_weights, autapses"
_ROUNDING = "input and recurrence are summed before they are added to the current: currents may differ by rounding"
_MODULE = "norse.torch.module"


def _both(read: Callable[..., Cell], sequence: str, exact: tuple[str, ...], refused: tuple[Refusal, ...] = (),
          note: str = "") -> dict[str, NeuronClass]:
    """The table entries of a class that takes all ticks at once, and of its `...Cell` class, which takes one tick."""
    return {f"{_MODULE}.{sequence}": NeuronClass(read, exact, refused, note),
            f"{_MODULE}.{sequence}Cell": NeuronClass(partial(read, layout="tick"), exact, refused, note)}


CELLS: NeuronTable = {
    **_both(_lif, "lif.LIF", (_SYN, _MEM, *_FIRE), (_METHOD,)),
    **_both(_lif_recurrent, "lif.LIFRecurrent", (_SYN, _MEM, *_FIRE, _WEIGHTS), (_METHOD,), _ROUNDING),
    **_both(_iaf, "iaf.IAF", _FIRE, (_METHOD,)),
    **_both(_li, "leaky_integrator.LI", (_SYN, _MEM)),
    f"{_MODULE}.lif_box.LIFBoxCell": NeuronClass(
        _lif_box, (_MEM, *_FIRE, "reset_method: reset_value, reset_subtract"), (_METHOD, _RESET)),
    f"{_MODULE}.leaky_integrator.LILinearCell": NeuronClass(_li_linear, (_SYN, _MEM, "input_weights")),
    f"{_MODULE}.leaky_integrator_box.LIBoxCell": NeuronClass(partial(_li, layout="tick"), (_MEM,)),
    **unsupported(_MODULE, "it has a refractory period, which no rule of the library has", "lif_refrac.LIFRefracCell",
                  "lif_refrac.LIFRefracRecurrentCell", "lif_adex_refrac.LIFAdExRefracCell",
                  "lif_adex_refrac.LIFAdExRefracRecurrentCell", "lif_mc_refrac.LIFMCRefracRecurrentCell"),
    **unsupported(_MODULE, "it computes the exponential of its membrane", "lif_ex.LIFEx", "lif_ex.LIFExCell",
                  "lif_ex.LIFExRecurrent", "lif_ex.LIFExRecurrentCell", "lif_adex.LIFAdEx", "lif_adex.LIFAdExCell",
                  "lif_adex.LIFAdExRecurrent", "lif_adex.LIFAdExRecurrentCell"),
    **unsupported(_MODULE, "it multiplies its states with each other", "izhikevich.Izhikevich",
                  "izhikevich.IzhikevichCell", "izhikevich.IzhikevichRecurrent", "izhikevich.IzhikevichRecurrentCell",
                  "coba_lif.CobaLIFCell"),
    **unsupported(_MODULE, "no rule of the library has its order of adaptation and firing", "lsnn.LSNN",
                  "lsnn.LSNNCell", "lsnn.LSNNRecurrent", "lsnn.LSNNRecurrentCell"),
    **unsupported(_MODULE, "it couples the neurons of a layer inside a tick, or learns while it runs",
                  "lif_mc.LIFMCRecurrentCell", "lif_correlation.LIFCorrelation"),
}
