"""Random neuron modules of every framework, and how networks of each framework are built, called and reset."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.ir.types import Shape

T = TypeVar("T")


@dataclass(frozen=True)
class Pick:
    """Random choices.

    Attributes:
        dyadic: whether numbers are multiples of 1/8. Their sums are exact, so that membranes often land on thresholds.
    """

    rng: np.random.Generator
    dyadic: bool

    def one(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, percent: int) -> bool:
        return bool(self.rng.integers(100) < percent)

    def number(self, low: float, high: float) -> float:
        if self.dyadic:
            return float(self.rng.integers(int(low * 8), int(high * 8) + 1)) / 8
        return float(self.rng.uniform(low, high))

    def tensor(self, low: float, high: float, shape: Shape) -> Tensor:
        return torch.tensor(np.asarray([self.number(low, high) for _ in range(int(np.prod(shape)))]).reshape(shape))

    def some(self, low: float, high: float, shape: Shape) -> Any:
        """One number, or one per channel."""
        by_channel = (shape[0], *(1,) * (len(shape) - 1))
        return self.number(low, high) if self.chance(60) else self.tensor(low, high, by_channel)


@dataclass(frozen=True)
class Framework:
    """How networks of a framework are built and run.

    Attributes:
        forms: what `forward` of a network takes: `tick` for one tick, `loop` for all ticks, over which it loops,
            `steps` for all ticks, with which it calls every layer once, `merged` for ticks and samples in one axis.
        neuron: makes a neuron module for a form and the shape of its input; also returns the shape of its output.
        begin: the state of the first tick, None where the neuron module has it itself.
        step: calls a neuron module with an input and a state; returns its output and its next state.
        lift: makes a layer that takes all ticks at once.
        reset: resets the states of a network.
        pools: makes the framework's own pooling layers.
        ticks_first: whether time is the first axis where forward takes all ticks.
    """

    forms: tuple[str, ...]
    neuron: Callable[[Pick, str, Shape, int], tuple[nn.Module, Shape]]
    begin: Callable[[nn.Module], Any]
    step: Callable[[nn.Module, Tensor, Any], tuple[Tensor, Any]]
    lift: Callable[[Pick, nn.Module], nn.Module]
    reset: Callable[[nn.Module], None]
    pools: Callable[[], list[nn.Module]] = list
    ticks_first: bool = True


def _same(pick: Pick, layer: nn.Module) -> nn.Module:
    return layer


# --- snnTorch ----------------------------------------------------------------------------------------------

def _snntorch(pick: Pick, form: str, shape: Shape, ticks: int) -> tuple[nn.Module, Shape]:
    import snntorch as snn

    kinds = ["Leaky", "Leaky", "Synaptic", "Lapicque", "Alpha", "RLeaky", "RSynaptic"]
    kind = pick.one(kinds)
    options: dict[str, Any] = {
        "threshold": pick.some(0.5, 1.5, shape), "reset_mechanism": pick.one(["subtract", "subtract", "zero", "none"]),
        "init_hidden": form == "tick" or pick.chance(50)}
    if kind in ("Leaky", "Synaptic", "RLeaky"):
        options["reset_delay"] = pick.chance(50)
    if kind == "Leaky" and pick.chance(20):
        options["graded_spikes_factor"] = 0.5
    if kind in ("RLeaky", "RSynaptic"):
        options |= _wiring(pick, shape)
    if kind in ("Synaptic", "RSynaptic"):
        options["alpha"] = pick.some(0.25, 0.875, shape)
    if kind == "Alpha":
        options |= {"alpha": pick.number(0.625, 0.9), "beta": pick.number(0.25, 0.5)}
        return snn.Alpha(**options), shape
    beta = pick.number(0.25, 0.875) if kind == "Lapicque" else pick.some(0.25, 1.0, shape)
    return getattr(snn, kind)(beta=beta, **options), shape


def _wiring(pick: Pick, shape: Shape) -> dict[str, Any]:
    if pick.chance(40):
        return {"all_to_all": False, "V": pick.number(-1, 1)}
    return {"linear_features": shape[0]} if len(shape) == 1 else {"conv2d_channels": shape[0], "kernel_size": 3}


def _snntorch_begin(neuron: nn.Module) -> Any:
    module: Any = neuron
    begun = () if module.init_hidden else module.reset_mem()
    return begun if isinstance(begun, tuple) else (begun,)


def _snntorch_step(neuron: nn.Module, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    module: Any = neuron
    if module.init_hidden:
        return module(x), ()
    returned = module(x, *state)
    return returned[0], returned if hasattr(module, "recurrent") else returned[1:]


def _snntorch_reset(net: nn.Module) -> None:
    for module in net.modules():
        if hasattr(module, "reset_mem"):
            module.reset_mem()


# --- SpikingJelly ------------------------------------------------------------------------------------------

def _spikingjelly(pick: Pick, form: str, shape: Shape, ticks: int) -> tuple[nn.Module, Shape]:
    from spikingjelly.activation_based import functional, neuron

    reset = pick.one([None, 0.0, pick.number(-1, 0.25)])
    options: dict[str, Any] = {"v_threshold": pick.number(0.5, 1.5), "v_reset": reset}
    kind = pick.one(["IFNode", "LIFNode", "LIFNode", "ParametricLIFNode", "CUBALIFNode"])
    if kind == "LIFNode":
        options |= {"tau": pick.one([2.0, 4.0, 1.5, 3.0]), "decay_input": pick.chance(40)}
    if kind == "ParametricLIFNode":
        options |= {"init_tau": pick.one([2.0, 3.0]), "decay_input": pick.chance(40)}
    if kind == "CUBALIFNode":
        options |= {"c_decay": pick.number(0.25, 0.75), "v_decay": pick.number(0.25, 0.875)}
    node = getattr(neuron, kind)(**options)
    functional.set_step_mode(node, "m" if form == "steps" else "s")
    return node, shape


def _spikingjelly_lift(pick: Pick, module: nn.Module) -> nn.Module:
    from spikingjelly.activation_based import layer

    if pick.chance(30):
        return layer.SeqToANNContainer(module)
    if isinstance(module, nn.Sequential):
        return nn.Sequential(*(_spikingjelly_lift(pick, part) for part in module))
    if isinstance(module, nn.Dropout):
        return layer.Dropout(module.p, step_mode="m")
    kind = getattr(layer, type(module).__name__)  # the class of the same name whose step_mode "m" takes all ticks
    own: Any = kind.__new__(kind)
    vars(own).update(vars(module))
    own.step_mode = "m"
    return own


def _spikingjelly_reset(net: nn.Module) -> None:
    from spikingjelly.activation_based import functional

    functional.reset_net(net)


# --- sinabs ------------------------------------------------------------------------------------------------

def _sinabs(pick: Pick, form: str, shape: Shape, ticks: int) -> tuple[nn.Module, Shape]:
    from sinabs import activation, layers

    options: dict[str, Any] = {
        "spike_threshold": torch.tensor(pick.number(0.5, 1.5)),
        "spike_fn": pick.one([activation.MultiSpike, activation.SingleSpike, activation.MaxSpike(2)]),
        "reset_fn": pick.one([activation.MembraneSubtract(), activation.MembraneReset()]),
        "min_v_mem": pick.one([None, -pick.number(0.25, 1.0)])}
    kinds = ["IAF", "LIF", "ALIF"] if form == "merged" else ["IAF", "LIF", "ALIF", "LIFRecurrent", "IAFRecurrent"]
    kind = pick.one(kinds)
    if kind[:3] != "IAF":
        options |= {"tau_mem": torch.tensor(pick.number(1, 9)), "norm_input": pick.chance(40)}
    if pick.chance(25):
        options["tau_syn"] = torch.tensor(pick.number(0.5, 4))
    if kind == "ALIF":
        options |= {"tau_adapt": torch.tensor(pick.number(1, 9)), "adapt_scale": pick.number(0.25, 2)}
    if kind.endswith("Recurrent"):
        options["rec_connect"] = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), int(np.prod(shape))))
    if form != "merged":
        return getattr(layers, kind)(**options), shape
    from sinabs.layers.alif import ALIFSqueeze

    squeezed: Any = {"IAF": layers.IAFSqueeze, "LIF": layers.LIFSqueeze, "ALIF": ALIFSqueeze}
    return squeezed[kind](num_timesteps=ticks, **options), shape


def _sinabs_pools() -> list[nn.Module]:
    from sinabs import layers

    return [layers.SumPool2d(2)]


def _sinabs_lift(pick: Pick, module: nn.Module) -> nn.Module:
    from sinabs import layers

    return layers.Repeat(module)


def _sinabs_reset(net: nn.Module) -> None:
    for module in net.modules():
        if hasattr(module, "reset_states"):
            module.reset_states()


# --- Norse -------------------------------------------------------------------------------------------------

def _norse(pick: Pick, form: str, shape: Shape, ticks: int) -> tuple[nn.Module, Shape]:
    import norse.torch as norse

    suffix = "" if form == "steps" else "Cell"
    fire = {"v_th": torch.tensor(pick.number(0.5, 1.5)), "v_reset": torch.tensor(pick.number(-1, 0.25))}
    rest = torch.tensor(pick.one([0.0, pick.number(-0.5, 0.25)]))
    time = {"tau_mem_inv": torch.tensor(pick.number(200, 900)), "v_leak": rest}
    synapse = {"tau_syn_inv": torch.tensor(pick.number(200, 900))}
    dt = {"dt": pick.one([2**-10, 0.001])}
    kinds = ["LIF", "IAF", "LIFRecurrent" if len(shape) == 1 else "LIF", *(["LIFBox"] if suffix else [])]
    kind = pick.one(kinds)
    if kind == "IAF":
        return getattr(norse, f"IAF{suffix}")(norse.IAFParameters(**fire)), shape
    if kind == "LIFBox":
        from norse.torch.functional.reset import reset_subtract, reset_value

        method = pick.one([reset_value, reset_subtract])
        return norse.LIFBoxCell(norse.LIFBoxParameters(**time, **fire, reset_method=method), **dt), shape
    p = norse.LIFParameters(**time, **synapse, **fire)
    if kind == "LIF":
        return getattr(norse, f"LIF{suffix}")(p, **dt), shape
    size = int(pick.rng.integers(2, 6))
    return getattr(norse, f"LIFRecurrent{suffix}")(shape[0], size, p, **dt), (size,)


def _norse_step(neuron: nn.Module, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    returned: tuple[Tensor, Any] = neuron(x, state)
    return returned


class Merged(nn.Module):
    """Calls a layer once for all ticks, with time and batch merged into one axis."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def _norse_lift(pick: Pick, module: nn.Module) -> nn.Module:
    return Merged(module)


def _plain_step(neuron: nn.Module, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    return neuron(x), ()


def _none(neuron: nn.Module) -> Any:
    return None


def _nothing(net: nn.Module) -> None:
    """For frameworks whose modules keep no state."""


warnings.filterwarnings("ignore", module="sinabs|norse")
FRAMEWORKS: Mapping[str, Framework] = {
    "snntorch": Framework(("tick", "loop"), _snntorch, _snntorch_begin, _snntorch_step, _same, _snntorch_reset),
    "spikingjelly": Framework(("tick", "loop", "steps"), _spikingjelly, _none, _plain_step, _spikingjelly_lift,
                              _spikingjelly_reset),
    "sinabs": Framework(("steps", "merged"), _sinabs, _none, _plain_step, _sinabs_lift, _sinabs_reset,
                        ticks_first=False, pools=_sinabs_pools),
    "norse": Framework(("loop", "steps"), _norse, _none, _norse_step, _norse_lift, _nothing),
}
