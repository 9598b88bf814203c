"""Weights that the forward pass rounds keep their integers, or a warning says that they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Linear, Scale

torch = pytest.importorskip("torch")
nn = torch.nn

from snncompile.frontends.torch.grids import grid_of  # noqa: E402
from tests.frontends.torch.nets import Lif  # noqa: E402


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("by_channel", [False, True])
def test_the_integers_of_a_grid_are_found(dtype: Any, bits: int, by_channel: bool) -> None:
    rng = np.random.default_rng(bits)
    for _ in range(20):
        out, size = rng.integers(2, 9), rng.integers(9, 40)
        high = 2 ** (bits - 1) - 1
        codes = rng.integers(-high, high + 1, (out, size))
        codes[:, :2] = [high, high - 1]  # so that the codes of a row have no common factor
        step = rng.uniform(0.01, 0.5, (out, 1) if by_channel else ()).astype(dtype)
        grid = grid_of((codes * step).astype(dtype), None)
        assert grid is not None
        np.testing.assert_array_equal(grid.codes, codes)
        np.testing.assert_allclose(grid.step, step.reshape(grid.step.shape), rtol=1e-6)


def test_weights_off_a_grid_have_no_integers() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 20))
    assert grid_of(weight, None) is None
    assert grid_of(weight, np.array(0.1)) is None
    powers = 2.0 ** np.arange(-20, 0)[None]
    assert grid_of(powers, None) is None  # multiples of 2^-20, but of 20 bits
    assert grid_of(np.array([[255.0, 1.0]]), None) is not None
    assert grid_of(np.array([[256.0, 1.0]]), None) is None
    assert grid_of(np.array([[32767.0, 1.0]]), np.array(1.0)) is not None
    assert grid_of(np.array([[32768.0, 1.0]]), np.array(1.0)) is None


@pytest.mark.parametrize("step", [None, np.array(0.25)])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_have_no_integers(number: float, step: Any) -> None:
    weight = np.array([[0.25, 0.5], [0.75, number]], np.float32)
    assert grid_of(weight, step) is None


def test_a_step_of_zero_gives_no_integers() -> None:
    assert grid_of(np.zeros((2, 3), np.float32), np.array(0.0)) is None


def test_rounded_weights_that_are_no_numbers_are_refused() -> None:
    net = Rounded(lambda w: torch.round(w * 8) / 8).eval()
    with torch.no_grad():
        net.fc.weight[0, 0] = torch.nan
    with pytest.raises(sc.CompileError) as error:
        sc.load(net, example_input=(3, 2, 4, 4), values="real")
    assert "SNN203" in {d.code for d in error.value.diagnostics}


@pytest.mark.parametrize("factor", [1e-3, 1e-5, 1e-6, 1e-7, 1e-12])
def test_rows_of_small_rounded_weights_are_kept(factor: float) -> None:
    factors = torch.tensor([1.0, factor, 1.0, 1.0])

    class Small(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.weight = nn.Parameter(torch.randn(4, 4))
            self.register_buffer("factors", factors)

        def forward(self, x: Any) -> Any:
            return nn.functional.linear(x, torch.round(self.weight * 8) * self.factors[:, None]) / self.factors

    net, x = Small().eval(), torch.randint(0, 2, (6, 4)).float()
    graph = sc.load(net, example_input=x, values="real")
    with torch.no_grad():
        wanted = net(x).numpy()
    assert wanted[:, 1].any()
    np.testing.assert_allclose(run(graph, x.numpy()[:, None]).outputs["output"][:, 0], wanted, rtol=1e-5, atol=1e-4)
    (layer,) = (op for op in graph.nodes.values() if isinstance(op, Linear))
    np.testing.assert_array_equal(layer.weight, torch.round(net.weight.detach() * 8).numpy())


class Rounded(nn.Module):  # type: ignore[misc, name-defined]
    """Layers whose weights a function of the test rounds."""

    def __init__(self, function: Any):
        super().__init__()
        torch.manual_seed(0)
        self.function = function
        self.conv, self.fc = nn.Conv2d(2, 4, 3), nn.Linear(16, 5)

    def forward(self, x: Any) -> Any:
        y = nn.functional.conv2d(x, self.function(self.conv.weight), self.conv.bias)
        return nn.functional.linear(y.flatten(1), self.function(self.fc.weight), self.fc.bias)


def ternary(w: Any) -> Any:
    return torch.sign(w) * (w.abs() > 0.05) * w.abs().mean()


def binary(w: Any) -> Any:
    return w + (torch.sign(w) * w.abs().mean() - w).detach()


def by_channel(w: Any) -> Any:
    step = w.flatten(1).abs().amax(1).reshape(-1, *(1,) * (w.dim() - 1)) / 7
    return torch.round(w / step).clamp(-7, 7) * step


def fake_by_tensor(w: Any) -> Any:
    return torch.fake_quantize_per_tensor_affine(w, 0.02, 0, -8, 7)


def fake_with_zero_point(w: Any) -> Any:
    return torch.fake_quantize_per_tensor_affine(w, 0.03, 5, 0, 15)


def fake_by_channel(w: Any) -> Any:
    step = w.detach().flatten(1).abs().amax(1) / 7
    return torch.fake_quantize_per_channel_affine(w, step, torch.zeros(len(w)).int(), 0, -8, 7)


@pytest.mark.parametrize(("function", "high"), [
    (ternary, 1), (binary, 1), (by_channel, 7), (fake_by_tensor, 8), (fake_with_zero_point, 15), (fake_by_channel, 8)])
def test_rounded_weights_arrive_as_integers_and_a_step(function: Any, high: int) -> None:
    net = Rounded(function).eval()
    x = torch.randn(3, 2, 4, 4)
    graph = sc.load(net, example_input=x, values="real")
    weights = [np.asarray(op.weight) for op in graph.nodes.values() if isinstance(op, (Linear, Conv))]
    assert [w.dtype.kind for w in weights] == ["i", "i"]
    assert 0 < max(np.abs(w).max() for w in weights) <= high
    steps = [op.factor for op in graph.nodes.values() if isinstance(op, Scale)]
    for layer, codes, step in zip((net.conv, net.fc), weights, steps, strict=True):
        wanted = function(layer.weight).detach().numpy()
        step = np.asarray(step).reshape(-1, *(1,) * (wanted.ndim - 1)) if np.size(step) > 1 else step
        np.testing.assert_allclose(codes * step, wanted, atol=1e-6)
    with torch.no_grad():
        expected = net(x).numpy()
    np.testing.assert_allclose(run(graph, x.numpy()[:, None]).outputs["output"][:, 0], expected, atol=1e-5)
    assert not [n for n in graph.notes if "rounded" in n.found]


def test_the_integers_are_those_of_the_compiled_network() -> None:
    class Spiking(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.weight, self.fire = nn.Parameter(torch.randn(5, 6)), Fire()

        def forward(self, x: Any) -> Any:
            return self.fire(x @ by_channel(self.weight).T)

    class Fire(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return (x > 1).to(x)

    from snncompile.ir.populations import Neuron

    sc.neuron_module(Fire)(lambda module, shape: Neuron.of("lif", decay=0.5))
    net = Spiking()
    x = np.random.default_rng(0).integers(0, 2, (4, 6, 6)).astype(float)
    model = sc.compile(sc.load(net, example_input=(2, 6), values="spike"), calibration=x)
    step = (net.weight.abs().amax(1, keepdim=True) / 7).detach()
    (edge,) = model.graph.edges_into["fire"]
    np.testing.assert_array_equal(edge.chain[0].weight, torch.round(net.weight.detach() / step).numpy())


@pytest.mark.parametrize("function", [
    lambda w: torch.sign(w) * torch.round(10 * w.abs()).sqrt(),
    lambda w: torch.round(w * 10) * w.abs().amax(-1, keepdim=True).amax(0, keepdim=True) + 0.01 * w])
def test_rounded_weights_off_a_grid_stay_real_numbers_with_a_warning(function: Any) -> None:
    net = Rounded(function).eval()
    x = torch.randn(3, 2, 4, 4)
    graph = sc.load(net, example_input=x, values="real")
    warned = [n for n in graph.notes if "rounded" in n.found]
    assert {n.code for n in warned} == {"SNN105"}
    assert len(warned) == 2
    assert all("quant_weight()" in n.help for n in warned)
    with torch.no_grad():
        expected = net(x).numpy()
    np.testing.assert_allclose(run(graph, x.numpy()[:, None]).outputs["output"][:, 0], expected, atol=1e-5)


def test_weights_that_are_not_rounded_are_never_taken_for_integers() -> None:
    layer = nn.Linear(4, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.round(layer.weight * 8) / 8)
    graph = sc.load(layer, example_input=(1, 4), values="real")
    assert [np.asarray(op.weight).dtype.kind for op in graph.nodes.values() if isinstance(op, Linear)] == ["f"]


def test_fake_quantized_activations_are_refused() -> None:
    class Activation(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any) -> Any:
            return torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 15)

    with pytest.raises(sc.CompileError) as error:
        sc.load(nn.Sequential(nn.Linear(4, 4), Activation(), Lif()), example_input=(1, 4))
    (problem,) = error.value.diagnostics
    assert (problem.code, problem.place) == ("SNN104", 'module "1" (Activation)')
    assert "values that are not weights" in problem.found
    assert "nn.Identity" in problem.help
