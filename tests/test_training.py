"""Training for few bits: what PyTorch computes on its grids is what the compiler emits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.passes.quantize.weight_grid import WeightGrid

torch = pytest.importorskip("torch")
training = pytest.importorskip("snncompile.training")
nn = torch.nn

TICKS = 6


def frames(*shape: int, seed: int = 0, samples: int = 10) -> Any:
    drawn = np.random.default_rng(seed).random((samples, TICKS, *shape)) < 0.4
    return torch.tensor(drawn.astype(np.float64))


def same_spikes(net: Any, x: Any, **options: Any) -> float:
    """Expect equal spikes of PyTorch and of the emitted C, and return how many there are a neuron and tick."""
    net = net.double().eval()
    with torch.no_grad():
        wanted = training.over_time(net, x).numpy()
    graph = sc.load(net, example_input=x[:1, 0], values="spike")
    model = sc.compile(graph, **options)
    np.testing.assert_array_equal(model.run(x.numpy()).outputs, wanted)
    return float(wanted.mean())


@pytest.mark.parametrize("bits", [1, "ternary", 2, 3, 4, 8])
def test_weights_are_on_the_grid_of_the_compiler(bits: Any) -> None:
    weight = torch.tensor(np.random.default_rng(0).normal(size=(7, 5, 3, 3)))
    found = training.codes_of(weight, bits)
    grid = WeightGrid(bits)
    step = grid.step(weight.numpy(), True)
    np.testing.assert_allclose(found.scale.flatten(), step)
    np.testing.assert_array_equal(found.int(), grid.codes(weight.numpy(), step, True))
    np.testing.assert_allclose(found.value, found.codes * found.scale)
    power = training.codes_of(weight, bits, power_of_two=True).scale
    assert np.all(np.log2(power.numpy()) % 1 == 0)
    assert np.all(np.abs(np.log2(power.flatten().numpy() / step)) <= 0.5)


def test_the_code_of_q_snn_keeps_zeros_and_has_powers_of_two() -> None:
    weight = torch.tensor([[0.5, 0.1, 0.3], [-1.0, 0.0, 1.0]])
    found = training.codes_of(weight, 1, "code")
    assert found.codes.tolist() == [[1, -1, 0], [-1, 0, 1]]  # 0.3 is the mean of the first row
    assert torch.equal(torch.log2(found.scale), torch.log2(found.scale).round())
    assert training.codes_of(weight, 1).codes.tolist() == [[1, 1, 1], [-1, 1, 1]]


@pytest.mark.parametrize("form", ["paper", "code"])
@pytest.mark.parametrize(("weight_bits", "membrane_bits"), [(1, 2), (2, 4), ("ternary", 3), (4, 8), (8, 6)])
def test_integers_fire_when_pytorch_does(weight_bits: Any, membrane_bits: int, form: Any) -> None:
    torch.manual_seed(1)
    net = nn.Sequential(
        training.QuantConv2d(2, 6, 3, weight_bits, padding=1, stride=2, form=form),
        training.QuantLIF(membrane_bits, form=form), nn.Flatten(),
        training.QuantLinear(54, 5, weight_bits, form=form, power_of_two=True),
        training.QuantLIF(membrane_bits, form=form))
    with torch.no_grad():
        net[0].weight *= 4
        net[3].weight *= 6
    x = frames(2, 6, 6)
    net.train()
    training.over_time(net, x.float())
    assert 0.01 < same_spikes(net, x, table_bits=16) < 0.95


@pytest.mark.parametrize("decay", [0.5, 0.75])
@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("bits", [3, 8])
def test_membranes_half_way_between_levels_go_up_everywhere(bits: int, decay: float, power_of_two: bool) -> None:
    """Few inputs, so that a level that only decays often lies half-way between two others."""
    torch.manual_seed(0)
    net = nn.Sequential(training.QuantLinear(20, 30, "ternary", power_of_two=power_of_two),
                        training.QuantLIF(bits, decay))
    with torch.no_grad():
        net[0].weight *= 4
    x = torch.tensor((np.random.default_rng(0).random((30, 20, 20)) < 0.06).astype(np.float64))
    assert same_spikes(net, x) > 0.001
    training.over_time(net.train(), x)
    assert same_spikes(net, x) > 0.001


def test_single_weights_and_membranes_have_no_deviation() -> None:
    codes = training.codes_of(torch.tensor([[2.0], [-3.0]]), 1, "code")
    assert torch.isfinite(codes.value).all()
    cell = training.QuantLIF(4)
    cell(torch.tensor([[0.5]]))
    assert torch.isfinite(cell.alpha)


def test_wide_membranes_and_biases_reach_the_compiler_too() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(training.QuantLinear(12, 9, 4, bias=True), training.QuantLIF(), training.QuantLinear(9, 4, 4),
                        training.QuantLIF(decay=0.75, threshold=0.5))
    with torch.no_grad():
        net[0].weight *= 5
        net[2].weight *= 5
    assert 0.01 < same_spikes(net, frames(12)) < 0.9


def test_gradients_pass_through_the_rounding() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(training.QuantLinear(12, 8, 2), training.QuantLIF(3), training.QuantLinear(8, 3, "ternary"),
                        training.QuantLIF(3))
    with torch.no_grad():
        net[0].weight *= 5
        net[2].weight *= 5
    x, y = frames(12, samples=30).float(), torch.tensor(np.arange(30) % 3)
    optimizer = torch.optim.Adam(net.parameters(), 0.05)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(training.over_time(net, x).sum(1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[-5:]) < 0.8 * losses[0]
    assert net[1].alpha != 2.0


def test_a_membrane_is_on_its_grid_before_it_is_compared() -> None:
    """Integrate, quantize, compare, reset: with two bits a membrane of half of alpha fires."""
    cell = training.QuantLIF(2).double().eval()
    cell.alpha.fill_(1.5)
    given = torch.tensor([0.74, 0.75, -0.76, 5.0], dtype=torch.float64)
    assert cell(given).tolist() == [0, 1, 0, 1]
    assert cell.v.tolist() == [0, 0, -1.5, 0]


@pytest.mark.parametrize(("form", "fires"), [("paper", 1.0), ("code", 0.0)])
def test_a_membrane_on_its_threshold_fires_as_the_form_says(form: Any, fires: float) -> None:
    """Levels are half a threshold apart, and a weight of 1 leads to the threshold itself."""
    net = nn.Sequential(training.QuantLinear(1, 1, 4, form=form), training.QuantLIF(3, form=form))
    with torch.no_grad():
        net[0].weight.fill_(1.0)
    net[1].alpha.fill_(1.5)
    assert same_spikes(net, torch.ones(2, 1, 1, dtype=torch.float64), table_bits=16) == fires


def test_the_code_compares_strictly_and_rounds_the_tanh() -> None:
    cell = training.QuantLIF(3, form="code").double().eval()
    cell.alpha.fill_(0.75)
    given = torch.tensor([1.0, 1.01, 0.3, -3.0], dtype=torch.float64)
    assert cell(given).tolist() == [0, 1, 0, 0]
    assert cell.v.tolist() == [0.75, 0, 0.25, -0.75]


@pytest.mark.parametrize("make", [
    lambda: training.QuantLinear(2, 2, 17), lambda: training.QuantLinear(2, 2, "binary"),
    lambda: training.QuantLIF(1), lambda: training.QuantLIF(4, form="book"),
    lambda: training.QuantConv2d(1, 1, 3, 4, form="book"),
])
def test_grids_that_do_not_exist_are_refused(make: Any) -> None:
    with pytest.raises(sc.CompileError) as caught:
        make()
    assert caught.value.diagnostics[0].code == "SNN404"
