"""SpikingJelly's neurons: with every option the same spikes as the framework itself; refusals name the option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snncompile.diagnostics import CompileError

torch = pytest.importorskip("torch")
pytest.importorskip("spikingjelly")
from spikingjelly.activation_based import functional, neuron, surrogate  # noqa: E402

from tests.frontends.torch.modules import cell, drive, emitted, in_doubles  # noqa: E402

SEEDS = range(30)


def spikes(module: Any, x: Any) -> Any:
    """The module's own spikes `[sample, tick, *shape]`, in its step mode."""
    ticks_first = torch.from_numpy(x).transpose(0, 1).contiguous()
    with in_doubles():
        functional.reset_net(module)
        output = module(ticks_first) if module.step_mode == "m" else torch.stack([module(t) for t in ticks_first])
    assert output.dtype == torch.float64
    return output.transpose(0, 1).numpy()


def agree(module: Any, x: Any) -> None:
    module.double()
    wanted = spikes(module, x)
    np.testing.assert_array_equal(emitted(module, x), wanted)
    assert cell(module, x.shape[2:]).layout == {"m": "ticks-first", "s": "tick"}[module.step_mode]


def number(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number, in half of the cases a multiple of 1/8."""
    if rng.integers(2):
        return float(rng.integers(int(low * 8) + 1, int(high * 8))) / 8
    return float(rng.uniform(low, high))


def common(rng: np.random.Generator) -> dict[str, Any]:
    return {"v_threshold": number(rng, 0.3, 2.0), "v_reset": [None, 0.0, number(rng, -1.0, 0.25)][rng.integers(3)],
            "surrogate_function": [surrogate.Sigmoid(), surrogate.ATan(), surrogate.Rect()][rng.integers(3)]}


def stepping(rng: np.random.Generator) -> dict[str, Any]:
    return {"step_mode": str(rng.choice(["s", "m"])), "store_v_seq": bool(rng.integers(2)),
            "detach_reset": bool(rng.integers(2))}


@pytest.mark.parametrize("seed", SEEDS)
def test_ifnode_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    agree(neuron.IFNode(**common(rng), **stepping(rng)), drive(rng, (3, 2, 2)))


@pytest.mark.parametrize("seed", SEEDS)
def test_half_threshold_ifnode_begins_half_way(seed):
    rng = np.random.default_rng(seed)
    options = {k: v for k, v in common(rng).items() if k != "v_reset"}
    agree(neuron.HalfThresholdIFNode(**options, **stepping(rng)), drive(rng, (5,)))


@pytest.mark.parametrize("seed", SEEDS)
def test_lifnode_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    tau = float(rng.choice([2.0, 4.0, 3.0, 1.5, rng.uniform(1.1, 9)]))
    agree(neuron.LIFNode(tau=tau, decay_input=bool(rng.integers(2)), **common(rng), **stepping(rng)), drive(rng, (5,)))


@pytest.mark.parametrize("seed", SEEDS)
def test_parametric_lifnode_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    module = neuron.ParametricLIFNode(init_tau=float(rng.uniform(1.1, 9)), decay_input=bool(rng.integers(2)),
                                      **common(rng), **stepping(rng))
    agree(module, drive(rng, (5,)))


@pytest.mark.parametrize("seed", SEEDS)
def test_cubalifnode_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    module = neuron.CUBALIFNode(number(rng, 0.1, 0.9), number(rng, 0.1, 0.9), **common(rng))
    functional.set_step_mode(module, str(rng.choice(["s", "m"])))
    agree(module, drive(rng, (5,)))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_simple_nodes_give_the_spikes_of_their_own_step(seed):
    rng = np.random.default_rng(seed)
    options = common(rng) | {"step_mode": str(rng.choice(["s", "m"]))}
    if rng.integers(2):
        module = neuron.SimpleIFNode(**options)
    else:
        options["v_reset"] = options["v_reset"] or 0.0
        module = neuron.SimpleLIFNode(number(rng, 1.1, 5.0), bool(rng.integers(2)), **options)
    agree(module, drive(rng, (5,)))


def test_a_membrane_begins_at_the_value_of_its_reset():
    module = neuron.IFNode(v_reset=0.5)
    assert cell(module, (1,)).neuron.initial == {"v": 0.5}
    agree(module, np.array([0.5, 0.0, 0.5]).reshape(1, 3, 1))


def test_a_reset_value_set_by_hand_is_where_the_membrane_begins():
    module = neuron.IFNode()
    module.set_reset_value("v", 0.75)
    agree(module, np.array([0.25, 0.0, 0.5]).reshape(1, 3, 1))


def test_a_membrane_at_the_threshold_fires():
    assert emitted(neuron.IFNode(), np.ones((1, 1, 1))).item() == 1


def test_a_subclass_that_only_builds_itself_is_its_base():
    class Mine(neuron.LIFNode):
        def __init__(self) -> None:
            super().__init__(tau=4.0)

    agree(Mine(), drive(np.random.default_rng(0), (5,)))


def test_a_subclass_that_computes_is_not_its_base():
    from snncompile.frontends.torch.neurons import cell_reader

    class Mine(neuron.LIFNode):
        def neuronal_charge(self, x: Any) -> None:
            self.v = x

    assert cell_reader(Mine()) is None
    assert cell_reader(torch.nn.Linear(1, 1)) is None


def refused(module: Any, words: str) -> None:
    with pytest.raises(CompileError) as caught:
        cell(module, (4,))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "SNN104"
    assert '"net.lif"' in diagnostic.place
    assert type(module).__name__ in diagnostic.place
    assert words in diagnostic.found


def test_a_surrogate_that_does_not_spike_is_refused():
    refused(neuron.IFNode(surrogate_function=surrogate.Sigmoid(spiking=False)), "does not spike")


def test_a_precision_of_its_own_is_refused():
    module = neuron.LIFNode()
    module._neuron_precision = ("bf16", "fp32", "fp32")
    refused(module, "precision")


def test_a_tensor_as_reset_value_is_refused():
    module = neuron.IFNode()
    module.set_reset_value("v", torch.zeros(2, 4))
    refused(module, "reset value")


def test_a_simple_lif_without_a_reset_value_is_refused_as_spikingjelly_does():
    module = neuron.SimpleLIFNode(2.0, True, v_reset=None)
    with pytest.raises(TypeError):
        module(torch.zeros(1, 4))
    refused(module, "v_reset=None")


@pytest.mark.parametrize("name", [
    "ILIFNode", "QIFNode", "EIFNode", "IzhikevichNode", "KLIFNode", "ComplementaryLIFNode", "TernaryIFNode",
    "TernaryLIFNode", "ActivationAwareIFNode", "OTTTLIFNode", "SLTTLIFNode",
    "DSRIFNode", "DSRLIFNode", "RAFNode"])
def test_other_classes_are_refused_by_name(name):
    refused(getattr(neuron, name)(), "not supported")


@pytest.mark.parametrize("make", [
    lambda: neuron.GatedLIFNode(4), lambda: neuron.LIAFNode(torch.relu, False), lambda: neuron.PSN(4),
    lambda: neuron.MaskedPSN(2, 4), lambda: neuron.SlidingPSN(2)])
def test_classes_that_need_arguments_are_refused_by_name(make):
    refused(make(), "not supported")
