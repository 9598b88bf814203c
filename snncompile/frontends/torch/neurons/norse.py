"""Norse's neurons.

A spike where the membrane is strictly above the threshold; one Euler step of `dt` seconds a tick. States are taken as
the modules begin with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from snncompile.frontends.torch.cells import Cell, Layout, Returned
from snncompile.frontends.torch.neurons.support import (
    NeuronClass,
    Reading,
    Refusal,
    Table,
    as_array,
    unsupported,
)
from snncompile.ir.ops import Linear
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing, Reset

_RETURNS: tuple[Returned, ...] = ("output", "state")
_METHODS = ("super", "heaviside", "triangle", "tanh", "circ", "heavi_erfc")
_RESETS: Mapping[str, Reset] = {"norse.torch.functional.reset.reset_value": "value",
                                "norse.torch.functional.reset.reset_subtract": "subtract"}


def _step(reading: Reading, name: str) -> Any:
    """`dt` times an inverse time constant, multiplied as Norse does: in the numbers that the parameter has."""
    return reading.number(reading.module.dt * getattr(reading.module.p, name), name)


def _of(reading: Reading, name: str) -> Any:
    return reading.number(getattr(reading.module.p, name), name)


def _relaxation(reading: Reading) -> dict[str, Any]:
    """The parameters of an Euler step, with a current where the class has one."""
    params = {"rate": _step(reading, "tau_mem_inv")}
    if hasattr(reading.module.p, "tau_syn_inv"):
        params["rate_syn"] = _step(reading, "tau_syn_inv")
    return params


def _rest(reading: Reading) -> dict[str, Any]:
    leak = _of(reading, "v_leak")
    return {"v": leak} if as_array(leak).any() else {}


def _fires(reading: Reading) -> dict[str, Any]:
    return {"threshold": _of(reading, "v_th"), "v_reset": _of(reading, "v_reset")}


def _lif_neuron(reading: Reading) -> Neuron:
    rest = _rest(reading)
    pull = {"rest": rest["v"]} if rest else {}
    return Neuron.of("euler_lif", Firing(">", "value"), initial=rest, **_relaxation(reading), **pull, **_fires(reading))


def _lif(reading: Reading, layout: Layout = "ticks-first") -> Cell:
    return Cell(_lif_neuron(reading), layout=layout, returns=_RETURNS)


def _lif_recurrent(reading: Reading, layout: Layout = "ticks-first") -> Cell:
    before, hidden = _input(reading)
    back = Linear(as_array(reading.module.recurrent_weights))
    return Cell(_lif_neuron(hidden), (before,), recurrent=(back,), layout=layout, returns=_RETURNS)


def _input(reading: Reading) -> tuple[Linear, Reading]:
    """The synapses inside a module, and the reading of the neurons behind them."""
    weight = as_array(reading.module.input_weights)
    return Linear(weight), replace(reading, shape=(len(weight),))


def _lif_box(reading: Reading) -> Cell:
    rest = _rest(reading)
    leak = {"bias": rest["v"]} if rest else {}  # Norse adds it to the input, then subtracts the membrane
    firing = Firing(">", _RESETS[_function(reading.module.p.reset_method)])
    return Cell(Neuron.of("euler_lif", firing, initial=rest, **_relaxation(reading), **leak, **_fires(reading)),
                returns=_RETURNS)


def _iaf(reading: Reading, layout: Layout = "ticks-first") -> Cell:
    fires = _fires(reading)
    first = {"v": fires["v_reset"]} if as_array(fires["v_reset"]).any() else {}
    return Cell(Neuron.of("if", Firing(">", "value"), initial=first, **fires), layout=layout, returns=_RETURNS)


def _li(reading: Reading, layout: Layout = "ticks-first") -> Cell:
    return Cell(_li_neuron(reading), layout=layout, returns=_RETURNS)


def _li_neuron(reading: Reading) -> Neuron:
    rest = _rest(reading)
    pull = {"rest": rest["v"]} if rest else {}
    return Neuron.of("euler_li", Firing(), initial=rest, **_relaxation(reading), **pull)


def _li_linear(reading: Reading) -> Cell:
    before, hidden = _input(reading)
    return Cell(_li_neuron(hidden), (before,), returns=_RETURNS)


def _function(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"


_METHOD = Refusal("method other than a step function", f"known are {', '.join(_METHODS)}",
                  lambda m: m.p.method not in _METHODS)
_RESET = Refusal("a reset_method of your own", "reset_value and reset_subtract are known",
                 lambda m: _function(m.p.reset_method) not in _RESETS)
_SYN, _MEM = "tau_syn_inv", "tau_mem_inv, v_leak, dt"
_FIRE = ("v_th, v_reset", f"method: {', '.join(_METHODS)}")
_WEIGHTS = "input_weights, recurrent_weights, autapses"
_ROUNDING = "input and recurrence are added before the current: at most a rounding apart"
_MODULE = "norse.torch.module"


def _both(read: Callable[..., Cell], sequence: str, exact: tuple[str, ...], refused: tuple[Refusal, ...] = (),
          note: str = "") -> dict[str, NeuronClass]:
    """The entries of a class that takes all ticks, and of its `Cell`, which takes one."""
    return {f"{_MODULE}.{sequence}": NeuronClass(read, exact, refused, note),
            f"{_MODULE}.{sequence}Cell": NeuronClass(partial(read, layout="tick"), exact, refused, note)}


CELLS: Table = {
    **_both(_lif, "lif.LIF", (_SYN, _MEM, *_FIRE), (_METHOD,)),
    **_both(_lif_recurrent, "lif.LIFRecurrent", (_SYN, _MEM, *_FIRE, _WEIGHTS), (_METHOD,), _ROUNDING),
    **_both(_iaf, "iaf.IAF", _FIRE, (_METHOD,)),
    **_both(_li, "leaky_integrator.LI", (_SYN, _MEM)),
    f"{_MODULE}.lif_box.LIFBoxCell": NeuronClass(
        _lif_box, (_MEM, *_FIRE, "reset_method: reset_value, reset_subtract"), (_METHOD, _RESET)),
    f"{_MODULE}.leaky_integrator.LILinearCell": NeuronClass(_li_linear, (_SYN, _MEM, "input_weights")),
    f"{_MODULE}.leaky_integrator_box.LIBoxCell": NeuronClass(partial(_li, layout="tick"), (_MEM,)),
    **unsupported(_MODULE, "it rests after a spike, which no rule of the library says", "lif_refrac.LIFRefracCell",
                  "lif_refrac.LIFRefracRecurrentCell", "lif_adex_refrac.LIFAdExRefracCell",
                  "lif_adex_refrac.LIFAdExRefracRecurrentCell", "lif_mc_refrac.LIFMCRefracRecurrentCell"),
    **unsupported(_MODULE, "it takes the exponential of its membrane", "lif_ex.LIFEx", "lif_ex.LIFExCell",
                  "lif_ex.LIFExRecurrent", "lif_ex.LIFExRecurrentCell", "lif_adex.LIFAdEx", "lif_adex.LIFAdExCell",
                  "lif_adex.LIFAdExRecurrent", "lif_adex.LIFAdExRecurrentCell"),
    **unsupported(_MODULE, "it multiplies states with each other", "izhikevich.Izhikevich", "izhikevich.IzhikevichCell",
                  "izhikevich.IzhikevichRecurrent", "izhikevich.IzhikevichRecurrentCell", "coba_lif.CobaLIFCell"),
    **unsupported(_MODULE, "its order of adaptation and firing is not one of the library's", "lsnn.LSNN",
                  "lsnn.LSNNCell", "lsnn.LSNNRecurrent", "lsnn.LSNNRecurrentCell"),
    **unsupported(_MODULE, "it couples the neurons of a layer inside a tick, or learns while it runs",
                  "lif_mc.LIFMCRecurrentCell", "lif_correlation.LIFCorrelation"),
}
