"""snnTorch's neurons: with every option the same spikes as the framework itself; refusals name the option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snncompile.diagnostics import CompileError

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")

from tests.frontends.torch.modules import cell, drive, emitted, in_doubles  # noqa: E402

SEEDS = range(40)


def spikes(module: Any, x: Any) -> Any:
    """The module's own spikes `[sample, tick, *shape]`, its states passed back or hidden."""
    states: tuple[Any, ...] = ()
    out = []
    with in_doubles():
        for t in range(x.shape[1]):
            given = module(torch.from_numpy(x[:, t]), *states)
            output, *rest = given if isinstance(given, tuple) else (given,)
            if not module.init_hidden:
                states = (output, *rest) if type(module).__name__ in ("RLeaky", "RSynaptic") else tuple(rest)
            out.append(output.numpy())
    return np.stack(out, 1)


def common(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"reset_mechanism": str(rng.choice(["subtract", "zero", "none"])), "threshold": number(rng, shape, 0.3, 2.0),
            "init_hidden": bool(rng.integers(2)), "output": bool(rng.integers(2)),
            "learn_threshold": bool(rng.integers(2)), "surrogate_disable": bool(rng.integers(2))}


def number(rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float) -> Any:
    """Random numbers, one, one per channel or one per neuron; in half of the cases multiples of 1/8."""
    size = [(), (shape[0], *(1,) * (len(shape) - 1)), shape, (1,)][rng.integers(4)]
    dyadic = rng.integers(int(low * 8) + 1, int(high * 8), size) / 8
    values = dyadic if rng.integers(2) else rng.uniform(low, high, size)
    return float(values) if size == () else torch.tensor(values)


def decay(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return 1.25 if rng.integers(8) == 0 else number(rng, shape, 0.1, 1.0)


def agree(module: Any, x: Any) -> None:
    module.double()
    wanted = spikes(module, x)
    np.testing.assert_array_equal(emitted(module, x), wanted)


def shape_of(rng: np.random.Generator) -> tuple[int, ...]:
    return [(5,), (3, 2, 2)][rng.integers(2)]


@pytest.mark.parametrize("seed", SEEDS)
def test_leaky_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    shape = shape_of(rng)
    module = snn.Leaky(decay(rng, shape), **common(rng, shape), reset_delay=bool(rng.integers(2)),
                       graded_spikes_factor=float(rng.choice([1.0, 0.5, 3.0])), learn_beta=bool(rng.integers(2)))
    agree(module, drive(rng, shape))


@pytest.mark.parametrize("seed", SEEDS)
def test_synaptic_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    shape = shape_of(rng)
    agree(snn.Synaptic(decay(rng, shape), decay(rng, shape), **common(rng, shape), reset_delay=bool(rng.integers(2))),
          drive(rng, shape))


def recurrence(rng: np.random.Generator) -> tuple[dict[str, Any], tuple[int, ...]]:
    kind = rng.integers(3)
    if kind == 0:
        return {"linear_features": 4}, (4,)
    if kind == 1:
        return {"conv2d_channels": 3, "kernel_size": int(rng.choice([1, 3]))}, (3, 4, 4)
    shape = shape_of(rng)
    return {"all_to_all": False, "V": number(rng, shape, -1.0, 1.0)}, shape


def dyadic(module: Any) -> None:
    """Weights whose sums are exact in any order."""
    for p in module.recurrent.parameters():
        p.data = torch.round(p.data * 16) / 16


def exact_decays(rng: np.random.Generator) -> float:
    return float(rng.integers(1, 8)) / 8


@pytest.mark.parametrize("seed", SEEDS)
def test_rleaky_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    options, shape = recurrence(rng)
    module = snn.RLeaky(exact_decays(rng), **options, **common(rng, shape), reset_delay=bool(rng.integers(2)))
    dyadic(module)
    agree(module, drive(rng, shape, decimal=False))


@pytest.mark.parametrize("seed", SEEDS)
def test_rsynaptic_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    options, shape = recurrence(rng)
    module = snn.RSynaptic(exact_decays(rng), exact_decays(rng), **options, **common(rng, shape))
    dyadic(module)
    agree(module, drive(rng, shape, decimal=False))


def test_rsynaptic_without_reset_delay_still_resets_one_tick_late():
    """snnTorch computes this reset on variables that it does not use afterwards."""
    module = snn.RSynaptic(0.5, 0.5, linear_features=2, reset_delay=False).double()
    dyadic(module)
    x = np.full((1, 10, 2), 0.75)
    start = torch.zeros(1, 2, dtype=torch.float64)
    states, wanted = (start, start, start), []
    with in_doubles():
        for t in range(10):
            states = module(torch.from_numpy(x[:, t]), *states)
            wanted.append(states[0].numpy())
    np.testing.assert_array_equal(emitted(module, x), np.stack(wanted, 1))


@pytest.mark.parametrize("seed", SEEDS)
def test_lapicque_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    choices = [{"beta": 0.8}, {"beta": torch.rand(5) * 0.5 + 0.3}, {"R": 5.1, "C": 0.7}, {"beta": 0.5, "R": 2.0},
               {"beta": 0.7, "C": 3.0}]
    time = choices[rng.integers(5)]
    if np.ndim(time.get("beta", 0.0)):
        with pytest.raises(RuntimeError):  # snnTorch cannot judge a tensor of several betas
            snn.Lapicque(**time)
        return
    agree(snn.Lapicque(**time, time_step=float(rng.choice([1.0, 0.25])), **common(rng, (5,))), drive(rng, (5,)))


@pytest.mark.parametrize("seed", SEEDS)
def test_alpha_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    shape = shape_of(rng)
    beta = float(rng.uniform(0.1, 0.6))
    agree(snn.Alpha(beta + float(rng.uniform(0.05, 0.39)), beta, **common(rng, shape)), drive(rng, shape))


@pytest.mark.parametrize(("alpha", "beta"), [(1.2, 0.6), (0.9, -0.3), (1.0, 0.5)])
def test_decays_of_alpha_beyond_their_range_are_clamped_as_snntorch_does(alpha, beta):
    rng = np.random.default_rng(3)
    agree(snn.Alpha(alpha, beta, **common(rng, (5,))), drive(rng, (5,)))


@pytest.mark.parametrize("of", [(1, 3, 1, 1), (3, 1, 1), (1, 1, 1, 1), (1, 3, 2, 2)])
def test_parameters_may_have_a_batch_axis_and_one_value_a_channel(of):
    rng = np.random.default_rng(4)
    beta = torch.tensor(rng.uniform(0.3, 0.9, of), dtype=torch.float64)
    agree(snn.Leaky(beta, **common(rng, (3, 2, 2))), drive(rng, (3, 2, 2)))


def test_without_reset_delay_what_stays_above_the_threshold_stops_the_spikes():
    """3.5 once into beta=1: two spikes, then a membrane that stays at 1.5, above its threshold."""
    module = snn.Leaky(1.0, reset_delay=False)
    assert emitted(module, np.array([3.5, 0, 0, 0]).reshape(1, 4, 1)).ravel().tolist() == [1, 1, 0, 0]


def refused(module: Any, words: str) -> None:
    with pytest.raises(CompileError) as caught:
        cell(module, (4,))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "SNN104"
    assert '"net.lif"' in diagnostic.place
    assert type(module).__name__ in diagnostic.place
    assert words in diagnostic.found


def test_a_quantized_state_is_refused():
    refused(snn.Leaky(0.5, state_quant=lambda x: x), "state_quant")


@pytest.mark.filterwarnings("ignore:Inhibition")
def test_inhibition_is_refused():
    refused(snn.Synaptic(0.5, 0.5, inhibition=True), "inhibition")


def test_a_surrogate_of_the_users_own_is_refused():
    refused(snn.Leaky(0.5, spike_grad=lambda x: (x >= 0).double()), "spike_grad")


def test_a_threshold_below_zero_is_refused():
    refused(snn.Leaky(0.5, threshold=-0.5), "threshold below 0")


def test_a_reset_mechanism_loaded_over_another_is_refused():
    module = snn.Leaky(0.5, reset_mechanism="zero")
    module.load_state_dict(snn.Leaky(0.5).state_dict())
    refused(module, "reset_mechanism loaded over another")


def test_a_grade_of_zero_without_reset_delay_is_refused():
    refused(snn.Leaky(0.5, graded_spikes_factor=0.0, reset_delay=False), "graded_spikes_factor of 0")


def test_a_hidden_rsynaptic_without_reset_delay_is_refused_as_snntorch_does():
    module = snn.RSynaptic(0.5, 0.5, linear_features=4, init_hidden=True, reset_delay=False)
    with pytest.raises(TypeError):
        module(torch.zeros(1, 4))
    refused(module, "reset_delay=False with init_hidden=True")


@pytest.mark.parametrize("module", [
    lambda: snn.SLSTM(4, 4), lambda: snn.LeakyParallel(4, 4), lambda: snn.SConv2dLSTM(1, 1, 3),
    lambda: snn._neurons.DeltaLeaky(beta=0.5)])
def test_other_classes_are_refused_by_name(module):
    refused(module(), "not supported")


def test_parameters_that_fit_no_layer_or_are_not_finite_are_refused():
    for beta in (torch.rand(3), float("nan")):
        with pytest.raises(CompileError, match="SNN203"):
            cell(snn.Leaky(beta), (4,))
