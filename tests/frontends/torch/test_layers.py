"""Torch functions as operators: layers with random options give the results of torch in float64."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import snncompile as sc  # noqa: E402
from snncompile.diagnostics import CompileError  # noqa: E402
from snncompile.ir.token_mix import TokenMix  # noqa: E402

Rng = np.random.Generator


class Function(nn.Module):
    """A module of one function."""

    def __init__(self, function, *children):
        super().__init__()
        self.function = function
        self.children_ = nn.ModuleList(children)

    def forward(self, *x):
        return self.function(*x)


def check(module, x, exact=True):
    """Compare the graph of a module with the module itself."""
    module = module.double().eval()
    graph = sc.load(module, example_input=x, values="real")
    with torch.no_grad():
        expected = module(x).numpy()
    result = sc.run(graph, x.numpy()[:, None]).outputs["output"][:, 0]
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)
    return graph


def image(rng: Rng, channels: int, *size: int):
    return torch.from_numpy(rng.normal(size=(2, channels, *size)))


def pick(rng: Rng, low: int, high: int, axes: int):
    """One number for all axes, or one for each."""
    if rng.random() < 0.5:
        return int(rng.integers(low, high + 1))
    return tuple(int(v) for v in rng.integers(low, high + 1, axes))


@pytest.mark.parametrize("seed", range(40))
def test_convolutions(seed):
    rng = np.random.default_rng(seed)
    axes, groups = int(rng.integers(1, 3)), int(rng.choice([1, 2, 4]))
    stride = pick(rng, 1, 3, axes)
    padding = str(rng.choice(["same", "valid"])) if rng.random() < 0.3 else pick(rng, 0, 2, axes)
    conv = (nn.Conv1d, nn.Conv2d)[axes - 1](
        4, 4 * int(rng.integers(1, 3)), pick(rng, 1, 4, axes), 1 if padding == "same" else stride, padding,
        pick(rng, 1, 2, axes), groups, bool(rng.random() < 0.5))
    check(conv, image(rng, 4, *rng.integers(9, 13, axes)))


@pytest.mark.parametrize("seed", range(10))
def test_linear_layers_behind_other_axes_mix_the_last_one(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(2, 5, rng.integers(2, 4)))
    layer = nn.Linear(shape[-1], int(rng.integers(1, 6)), bool(rng.random() < 0.5))
    graph = check(layer, torch.from_numpy(rng.normal(size=(3, *shape))))
    (mix,) = (op for op in graph.nodes.values() if isinstance(op, TokenMix))
    assert mix.heads == 1


class Heads(nn.Module):
    """A constant matrix for each head of a tensor that is reshaped to a shape."""

    def __init__(self, weight, shape):
        super().__init__()
        self.weight, self.shape = nn.Parameter(weight.double()), shape

    def forward(self, x):
        return x.reshape(-1, *self.shape) @ self.weight


def test_a_constant_matrix_for_each_head_mixes_its_tokens():
    """The tokens of an image of 2 x 3, for 2 heads of 2 channels."""
    module = Heads(torch.from_numpy(np.random.default_rng(0).normal(size=(2, 6, 5))), (2, 2, 6))
    graph = check(module, image(np.random.default_rng(1), 4, 2, 3))
    (mix,) = (op for op in graph.nodes.values() if isinstance(op, TokenMix))
    np.testing.assert_array_equal(mix.weight, module.weight.detach().numpy().transpose(0, 2, 1))


@pytest.mark.parametrize(("weight", "shape"), [((2, 6, 5), (4, 6)), ((2, 6, 5), (2, 2, 1, 6)), ((1, 6, 5), (2, 2, 6))])
def test_matrices_that_are_not_one_for_each_head_are_refused(weight, shape):
    with pytest.raises(CompileError, match="a matrix for each entry of the third last axis"):
        check(Heads(torch.zeros(weight), shape), image(np.random.default_rng(1), 4, 2, 3)[:2])


@pytest.mark.parametrize("seed", range(60))
def test_pools(seed):
    rng = np.random.default_rng(seed)
    axes = int(rng.integers(1, 3))
    kernel = pick(rng, 2, 4, axes)
    options = {"stride": pick(rng, 1, 4, axes), "padding": int(rng.integers(0, 2)),
               "ceil_mode": bool(rng.random() < 0.5)}
    if rng.random() < 0.5:
        pool = (nn.MaxPool1d, nn.MaxPool2d)[axes - 1](kernel, **options)
    else:
        pool = (nn.AvgPool1d, nn.AvgPool2d)[axes - 1](kernel, **options, count_include_pad=bool(rng.random() < 0.5))
        if axes == 2 and rng.random() < 0.2:
            pool.divisor_override = 5
    check(pool, image(rng, 2, *rng.integers(5, 12, axes)))


@pytest.mark.parametrize(("make", "size"), [
    (lambda: nn.AdaptiveAvgPool2d(1), (6, 4)), (lambda: nn.AdaptiveAvgPool2d((3, None)), (6, 4)),
    (lambda: nn.AdaptiveMaxPool2d(2), (6, 4)), (lambda: nn.AdaptiveAvgPool1d(2), (6,)),
    (lambda: nn.LPPool2d(1, 2), (6, 4)), (lambda: nn.LPPool1d(1, 3, 2), (7,)),
    (lambda: nn.Upsample(scale_factor=2), (3, 4)), (lambda: nn.Upsample(size=(6, 12)), (3, 4)),
    (lambda: nn.Flatten(), (3, 4)), (lambda: nn.ZeroPad2d((1, 0, 2, 3)), (3, 4)), (lambda: nn.ReLU(), (3, 4)),
    (lambda: nn.Dropout(0.5), (3, 4)), (lambda: nn.Identity(), (3, 4)),
    (lambda: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (4, 6))), (3, 4)),
    (lambda: nn.Sequential(nn.Flatten(), nn.Linear(24, 5), nn.Linear(5, 3, bias=False)), (3, 4)),
])
def test_layers_without_many_options(make, size):
    torch.manual_seed(0)
    check(make(), image(np.random.default_rng(0), 2, *size))


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("axes", [0, 1, 2])
def test_batch_norms_use_their_running_statistics(axes, affine):
    rng = np.random.default_rng(axes)
    norm = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d)[axes](3, affine=affine)
    norm.running_mean = torch.from_numpy(rng.normal(size=3))
    norm.running_var = torch.from_numpy(rng.random(3) + 0.1)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    check(norm, image(rng, 3, *(4, 5)[:axes]))




def numbers(*shape):
    """A constant, made in the forward pass."""
    return torch.sin(torch.arange(float(np.prod(shape)), dtype=torch.double)).reshape(shape)


FUNCTIONS = {
    "sum with a constant": lambda x: x + 2, "difference from a constant": lambda x: 2 - x,
    "difference": lambda x: x - 0.5 * x, "negative": lambda x: -x, "quotient": lambda x: x / 4,
    "twice the same": lambda x: x + x, "in place": lambda x: x.clone().mul_(3).add_(x, alpha=2),
    "channels scaled": lambda x: x * torch.arange(1.0, 5.0, dtype=torch.double)[:, None, None],
    "cat": lambda x: torch.cat([x, -x, 2 * x], 1), "cat of rows": lambda x: torch.cat((x, x[:, :, :2]), dim=2),
    "chunk": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1), "split": lambda x: sum(torch.split(x, 2, 1)),
    "unequal split": lambda x: x.split([1, 3], 1)[1], "slice": lambda x: x[:, 1:, ::2, 1:-1],
    "entry": lambda x: x[:, 2], "last entry": lambda x: x[..., -1], "new axis": lambda x: x[:, None, 1],
    "narrow": lambda x: x.narrow(2, 1, 3), "select": lambda x: x.select(1, 0),
    "unbind": lambda x: sum(x.unbind(1)), "stack": lambda x: torch.stack((x, 2 * x), 2),
    "mean over space": lambda x: x.mean((2, 3)), "mean kept": lambda x: x.mean([-1], keepdim=True),
    "mean over channels": lambda x: x.mean(1), "sum over space": lambda x: x.sum((-2, -1)),
    "maximum over rows": lambda x: x.amax(2), "maximum with indices": lambda x: x.max(2)[0],
    "pad": lambda x: F.pad(x, (1, 2)), "view": lambda x: x.view(x.size(0), -1, 2), "flatten": lambda x: x.flatten(2),
    "unsqueezed": lambda x: x.unsqueeze(1).squeeze(1), "transposed": lambda x: x[:, :, :1].transpose(1, 2),
    "permuted": lambda x: x[:, :1].permute(0, 2, 3, 1), "moved": lambda x: x[:, :1].movedim(1, -1),
    "relu of a part": lambda x: F.relu(x[:, :2]), "batch first again": lambda x: x.transpose(0, 1).transpose(0, 1),
    "matrix": lambda x: x.flatten(1) @ torch.ones(120, 2, dtype=torch.double),
    "three linear maps by einsum": lambda x: torch.einsum("bchw,oh->bcow", x, numbers(4, 6)) + torch.einsum(
        "oc,bchw->bohw", numbers(4, 4), x)[:, :, :4] + torch.einsum("b...w,wv->b...v", x[:, :, :4], numbers(5, 5)),
    "einsum of all features": lambda x: torch.einsum("bchw,ochw->bo", x, numbers(3, 4, 6, 5)),
    "einsum to two axes": lambda x: torch.einsum("bchw,pqchw->bpq", x, numbers(2, 3, 4, 6, 5)),
    "einsum without an arrow": lambda x: torch.einsum("bi,ik", x.flatten(1), numbers(3, 4, 6, 5).flatten(1).T),
    "einsum of factors": lambda x: torch.einsum("bchw,cw->bchw", x, numbers(4, 6)[:, :5]),
    "einsum of heads": lambda x: torch.einsum("bhi,hoi->bho", x.flatten(2), numbers(4, 2, 30)),
    "inner": lambda x: torch.inner(x, numbers(5, 5)),
    "entries by index": lambda x: x.index_select(1, torch.tensor([3, 0, 0])),
    "rows by index": lambda x: x.index_select(3, torch.tensor([4, 1, 2])),
    "padded by rotation": lambda x: F.pad(x, (2, 1, 0, 3), mode="circular"),
    "padded by reflection": lambda x: F.pad(x, (1, 2, 3, 0), mode="reflect"),
    "padded by its edge": lambda x: F.pad(x, (0, 4, 2, 2), mode="replicate"),
    "rows padded by reflection": lambda x: F.pad(x.flatten(2), (3, 1), mode="reflect"),
    "uneven means": lambda x: F.adaptive_avg_pool2d(x, (4, 3)),
    "uneven means of rows": lambda x: F.adaptive_avg_pool1d(x.flatten(2), 7),
    "uneven maxima": lambda x: F.adaptive_max_pool2d(x, (4, 2)),
    "more windows than entries": lambda x: F.adaptive_avg_pool2d(x, (8, 5)),
    "interpolated": lambda x: F.interpolate(x, scale_factor=(2, 3)),
    "sum along an axis of NumPy's name": lambda x: x.sum(axis=1, keepdims=True),
    "maximum along an axis of NumPy's name": lambda x: x.max(axis=2, keepdims=True).values,
    "mean in doubles": lambda x: torch.mean(x, axis=(1, 2), dtype=torch.float64),
    "squeezed by name": lambda x: x.unsqueeze(dim=2).squeeze(dim=2).squeeze(dim=1),
    "squeezed of no axis": lambda x: x[:, None].squeeze(()), "squeezed of every axis": lambda x: x[:, None].squeeze(),
    "permuted by name": lambda x: x[:, :1].permute(dims=(0, 2, 1, 3)),
    "narrow from the end": lambda x: x.narrow(1, -3, 2), "an empty part": lambda x: x.split([0, 4], 1)[1],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    check(Function(FUNCTIONS[name]), image(np.random.default_rng(1), 4, 6, 5))


REFUSED = {
    "softmax": lambda x: x.softmax(1), "a product": lambda x: x * x, "a comparison": lambda x: (x > 0).double(),
    "a bilinear": lambda x: F.interpolate(
        x, scale_factor=2, mode="bilinear"), "a pad of ones": lambda x: F.pad(x, (1, 1), value=1.0),
    "a sum over the batch": lambda x: x.sum(0), "one sample": lambda x: x[0], "features permuted": lambda x: x.mT,
    "features transposed": lambda x: x.transpose(1, 2), "random numbers": lambda x: x + torch.rand(5),
    "batch statistics": lambda x: F.batch_norm(x, None, None, training=True),
    "batch mixed with features": lambda x: x.view(-1, 5), "dropout that is on": lambda x: F.dropout(x),
    "a factor that is not whole": lambda x: F.interpolate(x, scale_factor=(1.1, 1.1)),
    "the larger of two": lambda x: torch.max(x, -x), "16 bits": lambda x: x.to(torch.float16).double(),
    "a transposed convolution": lambda x: F.conv_transpose2d(x, torch.ones(4, 2, 3, 3).to(x)),
    "a truth value as an index": lambda x: x[:, True],
}


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_functions_are_refused_with_their_place(name):
    with pytest.raises(sc.CompileError) as error:
        sc.load(Function(REFUSED[name]), example_input=image(np.random.default_rng(1), 4, 6, 5))
    first = error.value.diagnostics[0]
    assert first.code in ("SNN104", "SNN110")
    assert "test_layers.py line" in first.place


NO_ENTRIES = "a slice of no entries along axis 1 of a tensor [batch, 4, 6, 5]"
CAUSES = {
    "sum of no axes": (lambda x: x.sum(dim=()), "sum over all axes, batch included"),
    "mean of no axes": (lambda x: x.mean(dim=[]), "mean over all axes, batch included"),
    "maximum of no axes": (lambda x: x.amax(dim=()), "amax over all axes, batch included"),
    "sum of integers": (lambda x: x.sum(1, dtype=torch.int64), "sum to torch.int64, which rounds"),
    "no entries": (lambda x: x[:, 2:2], NO_ENTRIES), "an empty part": (lambda x: x.split([0, 4], 1)[0], NO_ENTRIES),
}


@pytest.mark.parametrize("function", [
    lambda x: F.adaptive_avg_pool2d(x, 0), lambda x: F.adaptive_max_pool2d(x, (0, 5))])
def test_adaptive_pools_to_nothing_are_refused(function):
    with pytest.raises(sc.CompileError, match=r"to an output of size .*0"):
        sc.load(Function(function), example_input=image(np.random.default_rng(1), 4, 6, 5))


@pytest.mark.parametrize(("function", "weights"), [
    (lambda x: x.index_select(1, torch.tensor([3, 0, 1])), 12), (lambda x: x.index_select(2, torch.arange(5)), 120),
    (lambda x: x.index_select(2, torch.arange(6).flip(0)), 144),
    (lambda x: F.pad(x.flatten(2), (0, 1), mode="circular"), 930), (lambda x: F.adaptive_avg_pool2d(x, (4, 5)), 96),
    (lambda x: F.adaptive_avg_pool1d(x.flatten(2), 7), 210)])
def test_choices_and_means_of_many_entries_are_refused(function, weights, monkeypatch):
    x = image(np.random.default_rng(1), 4, 6, 5)
    monkeypatch.setattr("snncompile.frontends.torch.axis_maps.MAX_WEIGHTS", weights)
    check(Function(function), x)
    monkeypatch.setattr("snncompile.frontends.torch.axis_maps.MAX_WEIGHTS", weights - 1)
    with pytest.raises(sc.CompileError, match=f"a linear map of {weights} weights"):
        sc.load(Function(function), example_input=x)


@pytest.mark.parametrize("name", CAUSES)
def test_refusals_tell_the_cause(name):
    function, found = CAUSES[name]
    with pytest.raises(sc.CompileError) as error:
        sc.load(Function(function), example_input=image(np.random.default_rng(1), 4, 6, 5))
    first = error.value.diagnostics[0]
    assert (first.code, first.found) == ("SNN104", found)
