"""Ways to write layers, ends and wrappers of a network, for the random networks of `style_networks`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from tests.frontends.torch.random_cells import Pick

Layer = Callable[[Pick, int, int], nn.Module]


def weights_of(pick: Pick, *shape: int) -> nn.Parameter:
    """Random weights with which neurons fire."""
    fan_in = float(torch.Size(shape[1:]).numel())
    values = torch.randn(shape, dtype=torch.float64) * 1.2 / fan_in ** 0.5 + 0.6 / fan_in
    return nn.Parameter(torch.round(values * 32) / 32 if pick.dyadic else values)


def plain(pick: Pick, size: int, out: int) -> nn.Linear:
    layer = nn.Linear(size, out, bias=pick.chance(50)).double()
    layer.weight = weights_of(pick, out, size)
    if layer.bias is not None:
        layer.bias.data = torch.round(layer.bias.data * 32) / 32
    return layer


# --- dense layers ------------------------------------------------------------------------------------------


class Einsum(nn.Module):
    """A linear layer written as einsum."""

    def __init__(self, pick: Pick, size: int, out: int):
        super().__init__()
        self.equation = pick.one(["...i,oi->...o", "...i,io->...o", "oi,...i->...o", "...a, b a -> ...b"])
        transposed = "io" in self.equation
        self.weight = weights_of(pick, size, out) if transposed else weights_of(pick, out, size)

    def forward(self, x: Tensor) -> Tensor:
        if self.equation.startswith("oi"):
            return torch.einsum(self.equation, self.weight, x)
        return torch.einsum(self.equation, x, self.weight)


def old_weight_norm(pick: Pick, size: int, out: int) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        normed: nn.Module = nn.utils.weight_norm(plain(pick, size, out), dim=pick.one([0, 1]))
    return normed


def weight_norm(pick: Pick, size: int, out: int) -> nn.Module:
    normed: nn.Module = parametrizations.weight_norm(plain(pick, size, out))
    return normed


def old_spectral_norm(pick: Pick, size: int, out: int) -> nn.Module:
    normed: nn.Module = nn.utils.spectral_norm(plain(pick, size, out))
    return normed


def spectral_norm(pick: Pick, size: int, out: int) -> nn.Module:
    normed: nn.Module = parametrizations.spectral_norm(plain(pick, size, out))
    return normed


# --- weights on a grid -------------------------------------------------------------------------------------


class RoundStraightThrough(torch.autograd.Function):
    """Rounds, with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


class StraightThrough(nn.Linear):
    """A linear layer whose weights are rounded to a grid, as people write it."""

    def __init__(self, size: int, out: int, bits: int, how: str, by_channel: bool):
        super().__init__(size, out)
        self.bits, self.how, self.by_channel = bits, how, by_channel

    def scale(self) -> Tensor:
        largest = self.weight.abs().amax(1, keepdim=True) if self.by_channel else self.weight.abs().max()
        return (largest / (2 ** (self.bits - 1) - 1)).clamp(min=1e-8)

    def quantized(self) -> Tensor:
        w, s = self.weight, self.scale()
        high = 2 ** (self.bits - 1) - 1
        if self.how == "function":
            return torch.clamp(RoundStraightThrough.apply(w / s), -high, high) * s
        grid = torch.clamp(torch.round(w / s), -high, high) * s
        if self.how == "detach":
            return w + (grid - w).detach()
        return (grid - w).detach() + w if self.how == "detach first" else grid

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.quantized(), self.bias)


def straight_through(pick: Pick, size: int, out: int) -> nn.Module:
    how = pick.one(["detach", "detach first", "function", "plain"])
    layer = StraightThrough(size, out, pick.one([3, 4, 8]), how, pick.chance(50)).double()
    layer.weight = weights_of(pick, out, size)
    return layer


class OnGrid(nn.Module):
    """A parametrization that rounds weights to a grid."""

    def __init__(self, step: float):
        super().__init__()
        self.step = step

    def forward(self, weight: Tensor) -> Tensor:
        return torch.round(weight / self.step) * self.step


def grid_parametrization(pick: Pick, size: int, out: int) -> nn.Module:
    layer = plain(pick, size, out)
    parametrize.register_parametrization(layer, "weight", OnGrid(pick.one([0.125, 0.07, 0.1])))
    return layer


def _torch_ao(pick: Pick, size: int, out: int, quantizer: str) -> nn.Module:
    from torch.ao import quantization
    from torch.ao.nn import qat

    observer = getattr(quantization, quantizer)
    layer: nn.Module = qat.Linear(size, out, qconfig=quantization.QConfig(nn.Identity, observer))
    layer.weight = nn.Parameter(weights_of(pick, out, size).float())  # type: ignore[assignment]
    layer(torch.zeros(1, size))
    layer.apply(quantization.disable_observer)
    return layer.double()


def torch_ao_per_tensor(pick: Pick, size: int, out: int) -> nn.Module:
    return _torch_ao(pick, size, out, "default_weight_fake_quant")


def torch_ao_per_channel(pick: Pick, size: int, out: int) -> nn.Module:
    return _torch_ao(pick, size, out, "default_per_channel_weight_fake_quant")


DENSE: Mapping[str, Layer] = {
    "einsum": Einsum, "weight_norm, old": old_weight_norm, "weight_norm": weight_norm,
    "spectral_norm, old": old_spectral_norm, "spectral_norm": spectral_norm, "straight-through": straight_through,
    "grid parametrization": grid_parametrization, "torch.ao per tensor": torch_ao_per_tensor,
    "torch.ao per channel": torch_ao_per_channel,
}
"""Ways to write a linear layer, besides the usual one."""
ON_GRID = ("straight-through", "grid parametrization", "torch.ao per tensor", "torch.ao per channel")
"""Those whose weights are integers times a step."""


# --- layers of images --------------------------------------------------------------------------------------


def convolution(pick: Pick, channels: int, out: int) -> nn.Conv2d:
    """A convolution that keeps the height and width of its input."""
    conv = nn.Conv2d(channels, out, 3, 1, 1, bias=pick.chance(50)).double()
    conv.weight = weights_of(pick, out, channels, 3, 3)
    if conv.bias is not None:
        conv.bias.data = torch.round(conv.bias.data * 32) / 32
    return conv


def _padded(mode: str) -> Layer:
    def make(pick: Pick, channels: int, out: int) -> nn.Module:
        conv = convolution(pick, channels, out)
        padded = nn.Conv2d(channels, out, 3, 1, pick.one([1, (1, 2)]), bias=conv.bias is not None, padding_mode=mode)
        padded.weight, padded.bias = conv.weight, conv.bias
        return padded
    return make


def _normed(norm: Callable[[nn.Module], nn.Module]) -> Layer:
    return lambda pick, channels, out: norm(convolution(pick, channels, out))


IMAGES: Mapping[str, Layer] = {
    "padding circular": _padded("circular"), "padding reflect": _padded("reflect"),
    "padding replicate": _padded("replicate"),
    "conv, weight_norm": _normed(parametrizations.weight_norm), "conv, spectral_norm": _normed(nn.utils.spectral_norm),
}
"""Ways to write a convolution, besides the usual one."""

POOLS: Mapping[str, Callable[[Pick], nn.Module]] = {
    "adaptive pool, uneven": lambda pick: nn.AdaptiveAvgPool2d(pick.one([4, (3, 4), (2, 5)])),
    "adaptive max pool, uneven": lambda pick: nn.AdaptiveMaxPool2d(pick.one([4, (3, 4)])),
}


# --- ends --------------------------------------------------------------------------------------------------

FINALS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda y: y.softmax(-1), "log_softmax": lambda y: F.log_softmax(y, dim=-1),
    "sigmoid": torch.sigmoid, "argmax": lambda y: y.argmax(-1), "max with indices": lambda y: y.max(-1)[1],
    "softmax and argmax": lambda y: F.softmax(y, -1).argmax(-1),
}
"""What a network does with its result of classes at the end."""


# --- wrappers ----------------------------------------------------------------------------------------------


class Holder(nn.Module):
    """A module that only holds another."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, *x: Tensor) -> Any:
        return self.net(*x)


WRAPPERS: Mapping[str, Callable[[nn.Module], nn.Module]] = {
    "DataParallel": nn.DataParallel, "torch.compile": lambda net: torch.compile(net),  # type: ignore[return-value]
    "holder": Holder, "Sequential": nn.Sequential,
}
