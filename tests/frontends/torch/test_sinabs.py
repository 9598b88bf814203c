"""sinabs' neurons: with every option the same spikes as the framework itself; refusals name the option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.diagnostics import CompileError

torch = pytest.importorskip("torch")
pytest.importorskip("sinabs")
from sinabs import activation, layers  # noqa: E402
from sinabs.layers.alif import ALIFSqueeze  # noqa: E402
from torch import nn  # noqa: E402

from tests.frontends.torch.modules import cell, drive, emitted, in_doubles  # noqa: E402

SEEDS = range(40)


def spikes(module: Any, x: Any) -> Any:
    """The module's own spikes `[sample, tick, *shape]`."""
    merged = cell(module, x.shape[2:]).layout == "merged"
    with in_doubles():
        given = torch.from_numpy(x.reshape(-1, *x.shape[2:]) if merged else x)
        emitted_spikes = module(given)
    assert emitted_spikes.dtype == torch.float64
    return emitted_spikes.numpy().reshape(x.shape)


def agree(module: Any, x: Any) -> None:
    wanted = spikes(module.double(), x)
    np.testing.assert_array_equal(emitted(module, x), wanted)


def number(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number, in half of the cases a multiple of 1/8."""
    if rng.integers(2):
        return float(rng.integers(int(low * 8) + 1, int(high * 8))) / 8
    return float(rng.uniform(low, high))


def firing(rng: np.random.Generator, readout: bool = True) -> dict[str, Any]:
    kinds = [activation.MultiSpike, activation.SingleSpike, activation.MaxSpike(2), activation.MaxSpike(1),
             activation.MaxSpike(), None]
    chosen = kinds[rng.integers(len(kinds) - (not readout))]
    reset = [activation.MembraneSubtract(), activation.MembraneReset()][rng.integers(2)]
    return {"spike_fn": chosen, "reset_fn": reset, "spike_threshold": torch.tensor(number(rng, 0.3, 2.0)),
            "min_v_mem": [None, -number(rng, 0.1, 1.5)][rng.integers(2)], "record_states": bool(rng.integers(2))}


def synapse(rng: np.random.Generator) -> dict[str, Any]:
    return {"tau_syn": [None, number(rng, 0.5, 9)][rng.integers(2)]}


def leak(rng: np.random.Generator) -> dict[str, Any]:
    tau = [number(rng, 0.5, 20), torch.tensor(rng.uniform(1, 9, 5), dtype=torch.float32)][rng.integers(2)]
    return {"tau_mem": tau, "norm_input": bool(rng.integers(2)), "train_alphas": bool(rng.integers(2))}


def wiring(kind: str, module: Any, **options: Any) -> Any:
    """A module of the plain class, or of its Squeeze class with the batch size or the number of ticks."""
    if kind == "plain":
        return module(**options)
    sizes = {"batch": {"batch_size": 3}, "ticks": {"num_timesteps": 12}}[kind]
    return SQUEEZED[module](**sizes, **options)


SQUEEZED = {layers.IAF: layers.IAFSqueeze, layers.LIF: layers.LIFSqueeze, layers.ExpLeak: layers.ExpLeakSqueeze,
            layers.ALIF: ALIFSqueeze}
KINDS = ["plain", "batch", "ticks"]


@pytest.mark.parametrize("seed", SEEDS)
def test_iaf_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    agree(wiring(KINDS[seed % 3], layers.IAF, **firing(rng), **synapse(rng)), drive(rng, (5,)))


@pytest.mark.parametrize("seed", SEEDS)
def test_lif_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    agree(wiring(KINDS[seed % 3], layers.LIF, **firing(rng), **synapse(rng), **leak(rng)), drive(rng, (5,)))


@pytest.mark.parametrize("seed", SEEDS)
def test_expleak_gives_the_membranes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    options = leak(rng) | {"min_v_mem": [None, -0.25][rng.integers(2)]}
    agree(wiring(KINDS[seed % 3], layers.ExpLeak, **options), drive(rng, (5,)))


@pytest.mark.parametrize("seed", SEEDS)
def test_alif_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    options = leak(rng) | synapse(rng) | firing(rng, readout=False)
    options["tau_mem"] = torch.as_tensor(options["tau_mem"])
    if options["tau_syn"]:
        options["tau_syn"] = torch.tensor(options["tau_syn"])
    agree(wiring(KINDS[seed % 3], layers.ALIF, tau_adapt=torch.tensor(number(rng, 1, 9)),
                 adapt_scale=number(rng, 0.1, 2), **options), drive(rng, (5,)))


def recurrence(rng: np.random.Generator) -> tuple[Any, tuple[int, ...]]:
    """A recurrent layer with dyadic weights, whose sums are exact in any order, and the shape of its input."""
    linear = torch.nn.Linear(12, 12, bias=bool(rng.integers(2)))
    conv = torch.nn.Conv2d(3, 3, 3, padding=1)
    layer, shape = [
        (torch.nn.Linear(4, 4), (4,)), (conv, (3, 2, 2)), (torch.nn.Sequential(torch.nn.Flatten(), linear), (3, 2, 2)),
        (torch.nn.Sequential(torch.nn.Flatten(), linear, torch.nn.Unflatten(1, (3, 2, 2))), (3, 2, 2)),
        (torch.nn.Identity(), (4,))][rng.integers(5)]
    for p in layer.parameters():
        p.data = torch.round(p.data * 16) / 16
    return layer, shape


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["IAF", "LIF", "ALIF"])
def test_recurrent_forms_give_the_spikes_of_their_own_step(kind, seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    layer, shape = recurrence(rng)
    options = firing(rng, readout=False) | {"rec_connect": layer}
    if kind != "IAF":
        options |= {"tau_mem": torch.tensor(number(rng, 0.5, 9)), "norm_input": bool(rng.integers(2))}
    if kind == "ALIF":
        options["tau_adapt"] = torch.tensor(3.0)
    agree(getattr(layers, f"{kind}Recurrent")(**options), drive(rng, shape, decimal=False))


@pytest.mark.parametrize("known", [{"num_timesteps": 5}, {"batch_size": 3}])
def test_the_samples_or_ticks_that_a_neuron_names_tell_the_axes_apart(known):
    """15 = 3 samples times 5 ticks, and an axis of size 1: these are channels, and no batch or ticks."""
    net = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Flatten(), torch.nn.Linear(20, 3),
                              layers.IAFSqueeze(**known))
    (entry,) = sc.load(net, example_input=torch.zeros(15, 1, 5, 6)).inputs.values()
    assert entry.shape == (1, 5, 6)


def test_a_recurrent_bias_is_silent_in_the_first_tick():
    layer = torch.nn.Linear(1, 1)
    layer.weight.data.zero_()
    layer.bias.data.fill_(1.0)
    module = layers.IAFRecurrent(layer)
    assert emitted(module, np.zeros((1, 4, 1))).ravel().tolist() == [0, 1, 1, 1]
    assert module(torch.zeros(1, 4, 1)).ravel().tolist() == [0, 1, 1, 1]


def test_a_recurrence_may_hold_an_identity_behind_a_layer_that_changes_the_shape():
    layer = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Identity(), torch.nn.Linear(5, 4))
    ops = cell(layers.LIFRecurrent(2.0, layer), (4,)).recurrent
    assert [type(op).__name__ for op in ops] == ["Linear", "Linear"]


def refused(module: Any, words: str) -> None:
    with pytest.raises(CompileError) as caught:
        cell(module, (4,))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "SNN104"
    assert '"net.lif"' in diagnostic.place
    assert type(module).__name__ in diagnostic.place
    assert words in diagnostic.found


def test_a_reset_to_another_value_than_zero_is_refused():
    """sinabs adds the value to every membrane in every tick, also where nothing fired."""
    module = layers.IAF(spike_fn=activation.SingleSpike, reset_fn=activation.MembraneReset(0.25))
    assert module(torch.zeros(1, 4, 1)).ravel().tolist() == [0, 0, 0, 0]
    assert module.v_mem.item() == 1.0
    refused(module, "MembraneReset(reset_value)")


def test_subtracting_something_else_than_the_threshold_is_refused():
    refused(layers.IAF(reset_fn=activation.MembraneSubtract(0.5)), "MembraneSubtract(subtract_value)")


def test_spike_and_reset_functions_of_the_users_own_are_refused():
    class Mine(activation.MultiSpike):
        pass

    refused(layers.IAF(spike_fn=Mine), "spike_fn")
    refused(layers.IAF(reset_fn=lambda spikes, state, threshold: state), "reset_fn")


def test_a_neuron_that_may_never_fire_is_refused():
    refused(layers.IAF(spike_fn=activation.MaxSpike(0)), "MaxSpike")


def test_an_adaptation_that_lowers_the_threshold_is_refused():
    refused(layers.ALIF(torch.tensor(2.0), torch.tensor(2.0), adapt_scale=-1.0), "adapt_scale")


def test_a_recurrence_that_is_no_layer_of_additions_is_refused():
    layer = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Sigmoid())
    refused(layers.LIFRecurrent(2.0, layer), "Sigmoid")


def test_a_recurrence_of_another_shape_is_refused():
    refused(layers.LIFRecurrent(2.0, torch.nn.Linear(5, 5)), "Linear")
    refused(layers.LIFRecurrent(2.0, torch.nn.Linear(4, 5)), "ends in shape [5]")


# --- time and batch in one axis ----------------------------------------------------------------------------


MERGED = {
    "a convolution first": lambda: [nn.Conv2d(1, 2, 3), layers.IAFSqueeze(num_timesteps=4), nn.Flatten(),
                                    nn.Linear(32, 3), layers.IAFSqueeze(num_timesteps=4)],
    "flattened first": lambda: [nn.Flatten(), nn.Linear(36, 3), layers.IAFSqueeze(batch_size=3)],
    "a neuron first": lambda: [layers.IAFSqueeze(batch_size=3), nn.Conv2d(1, 2, 3), layers.IAFSqueeze(batch_size=3)],
    "a pool first": lambda: [layers.SumPool2d(2), layers.IAFSqueeze(batch_size=3), nn.Flatten(), nn.Linear(9, 3),
                             layers.IAFSqueeze(batch_size=3)],
}


@pytest.mark.parametrize("name", MERGED)
def test_one_channel_of_a_merged_batch_stays_an_axis(name):
    torch.manual_seed(0)
    net = nn.Sequential(*MERGED[name]()).double()
    x = torch.rand(3, 4, 1, 6, 6, dtype=torch.float64)
    with in_doubles():
        graph = sc.load(net, example_input=x.flatten(0, 1))
        for module in net:
            if hasattr(module, "reset_states"):
                module.reset_states()
        wanted = net(x.flatten(0, 1)).unflatten(0, (3, 4)).numpy()
    assert graph.inputs["input"].shape == (1, 6, 6)
    result = sc.run(graph, x.numpy()).outputs["output"]
    assert wanted.any()
    np.testing.assert_allclose(result, wanted, rtol=1e-9, atol=1e-9)
