"""Norse's neurons: with every option the same spikes as the framework itself; refusals name the option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from snncompile.diagnostics import CompileError

torch = pytest.importorskip("torch")
norse = pytest.importorskip("norse.torch")
from norse.torch.functional.izhikevich import tonic_spiking  # noqa: E402
from norse.torch.functional.reset import reset_subtract, reset_value  # noqa: E402

from tests.frontends.torch.modules import cell, drive, emitted, in_doubles  # noqa: E402

SEEDS = range(30)


def outputs(module: Any, x: Any) -> Any:
    """The output of the module itself, `[sample, tick, *shape]`, all ticks at once or one by one."""
    given = torch.from_numpy(x).transpose(0, 1)
    with in_doubles():
        if type(module).__name__.endswith("Cell"):
            state, outputs_of_ticks = None, []
            for t in given:
                y, state = module(t, state)
                outputs_of_ticks.append(y)
            return torch.stack(outputs_of_ticks).transpose(0, 1).numpy()
        return module(given)[0].transpose(0, 1).numpy()


def agree(module: Any, x: Any) -> None:
    wanted = outputs(module.double(), x)
    np.testing.assert_array_equal(emitted(module, x), wanted)
    read = cell(module, x.shape[2:])
    assert read.layout == ("tick" if type(module).__name__.endswith("Cell") else "ticks-first")
    assert read.returns == ("output", "state")


def number(rng: np.random.Generator, low: float, high: float, one: bool = True) -> Any:
    """Random numbers, one or one per neuron; in half of the cases multiples of 1/8."""
    size = () if one or rng.integers(2) else (5,)
    eighths = rng.integers(int(low * 8) + 1, int(high * 8), size) / 8
    return torch.as_tensor(eighths if rng.integers(2) else rng.uniform(low, high, size), dtype=torch.float32)


def times(rng: np.random.Generator, synapse: bool) -> dict[str, Any]:
    params = {"tau_mem_inv": number(rng, 20, 900, one=False), "v_leak": torch.tensor(0.0)}
    if rng.integers(2):
        params["v_leak"] = number(rng, -1, 0.5)
    if synapse:
        params["tau_syn_inv"] = number(rng, 20, 900, one=False)
    return params


def thresholds(rng: np.random.Generator) -> dict[str, Any]:
    methods = ["super", "heaviside", "triangle", "tanh", "circ", "heavi_erfc"]
    return {"v_th": number(rng, 0.3, 1.5, one=False), "v_reset": number(rng, -1, 0.25),
            "method": methods[rng.integers(6)]}


def dt(rng: np.random.Generator) -> dict[str, Any]:
    return {"dt": [0.001, 0.0005, 2**-10][rng.integers(3)]}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["LIF", "LIFCell"])
def test_lif_gives_the_spikes_of_its_own_step(name, seed):
    rng = np.random.default_rng(seed)
    p = norse.LIFParameters(**times(rng, synapse=True), **thresholds(rng))
    agree(getattr(norse, name)(p, **dt(rng)), drive(rng, (5,), 3.0))


@pytest.mark.parametrize("seed", SEEDS)
def test_lif_box_gives_the_spikes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    p = norse.LIFBoxParameters(**times(rng, synapse=False), **thresholds(rng),
                               reset_method=[reset_value, reset_subtract][rng.integers(2)])
    agree(norse.LIFBoxCell(p, **dt(rng)), drive(rng, (5,), 3.0))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["IAF", "IAFCell"])
def test_iaf_gives_the_spikes_of_its_own_step(name, seed):
    rng = np.random.default_rng(seed)
    agree(getattr(norse, name)(norse.IAFParameters(**thresholds(rng))), drive(rng, (5,)))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["LI", "LICell"])
def test_li_gives_the_membranes_of_its_own_step(name, seed):
    rng = np.random.default_rng(seed)
    p = norse.LIParameters(**times(rng, synapse=True))
    agree(getattr(norse, name)(p, **dt(rng)), drive(rng, (5,)))


@pytest.mark.parametrize("seed", SEEDS)
def test_li_box_gives_the_membranes_of_its_own_step(seed):
    rng = np.random.default_rng(seed)
    agree(norse.LIBoxCell(norse.LIBoxParameters(**times(rng, synapse=False)), **dt(rng)), drive(rng, (5,)))


def dyadic(module: Any, low: float = -0.5, high: float = 0.75) -> Any:
    """Weights whose sums are exact in any order."""
    for p in module.parameters():
        p.data = torch.round(torch.empty_like(p).uniform_(low, high) * 16) / 16
    return module


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["LIFRecurrent", "LIFRecurrentCell"])
def test_recurrent_lif_gives_the_spikes_of_its_own_step(name, seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    # One rate, or one per hidden neuron: 4 neurons, behind 5 inputs.
    rates = [torch.tensor(512.0), torch.tensor([512.0, 256.0, 128.0, 768.0])]
    time = {"tau_mem_inv": rates[rng.integers(2)], "tau_syn_inv": torch.tensor(float(rng.choice([0, 256, 512, 1024]))),
            "v_leak": torch.tensor(float(rng.choice([0.0, 0.25])))}
    fire = {"v_th": torch.tensor(float(rng.choice([0.5, 1.0]))), "v_reset": torch.tensor(float(rng.choice([0, -0.5])))}
    module = getattr(norse, name)(5, 4, norse.LIFParameters(**time, **fire), dt=2**-10, autapses=bool(rng.integers(2)))
    x = drive(rng, (5,), decimal=False)
    wanted = outputs(dyadic(module).double(), x)
    spikes = emitted(module, x)
    assert spikes.shape == (3, 12, 4)
    np.testing.assert_array_equal(spikes, wanted)


def test_li_linear_has_its_synapses_inside():
    module = dyadic(norse.LILinearCell(5, 3)).double()
    x = drive(np.random.default_rng(0), (5,), decimal=False)
    np.testing.assert_allclose(emitted(module, x), outputs(module, x), rtol=0, atol=1e-12)


def refused(module: Any, words: str) -> None:
    with pytest.raises(CompileError) as caught:
        cell(module, (4,))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "SNN104"
    assert '"net.lif"' in diagnostic.place
    assert type(module).__name__ in diagnostic.place
    assert words in diagnostic.found


def test_a_method_that_is_no_step_is_refused():
    refused(norse.LIF(norse.LIFParameters(method="adjoint")), "method")


def test_a_reset_method_of_the_users_own_is_refused():
    refused(norse.LIFBoxCell(norse.LIFBoxParameters(reset_method=lambda z, v, reset, th: v)), "reset_method")


@pytest.mark.parametrize("make", [
    lambda: norse.LIFRefracCell(), lambda: norse.LIFAdExCell(), lambda: norse.LIFExCell(), lambda: norse.LSNN(),
    lambda: norse.LSNNCell(), lambda: norse.CobaLIFCell(2, 2), lambda: norse.LIFRefracRecurrentCell(2, 2),
    lambda: norse.LIFEx(), lambda: norse.LIFAdEx(), lambda: norse.IzhikevichCell(tonic_spiking)])
def test_other_classes_are_refused_by_name(make):
    refused(make(), "not supported")
