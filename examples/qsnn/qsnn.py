"""Q-SNN in plain PyTorch: binary weights, membranes of a few bits, and the losses that keep both informative.

The scheme is that of Wei et al., "Q-SNNs: Quantized Spiking Neural Networks" (ACM Multimedia, 2024):

- weights `alpha_c sign(w)`, one `alpha_c = mean |w|` an output channel; the first and the last layer have 8 bits;
- a tick: integrate, quantize the membrane to `2**(k-1) - 1` levels each side of 0, compare, reset to 0;
- a loss for weights whose signs are out of balance, and for spikes that are nearly always or nearly never fired.

Where the paper takes the largest membrane of each tick for the ends of the grid, `alpha_u` is static here, as hardware
needs it: a running mean, over training, of the size that nearly all membranes stay below. Layers add up codes and
multiply the sum by their step: a sum of `+-alpha_c` in floating point would not be 0 where signs cancel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

import snncompile as sc
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Shape

DECAY, THRESHOLD, MOMENTUM = 0.5, 1.0, 0.1
CLASSES, BITS = 10, 8


@dataclass(frozen=True)
class Codes:
    """Integers and the real value of their step: `[out, 1, ...]`."""

    codes: Tensor
    scale: Tensor

    @property
    def value(self) -> Tensor:
        return self.codes * self.scale

    def int(self) -> Tensor:
        return self.codes.to(torch.int16)


def codes_of(weight: Tensor, bits: int) -> Codes:
    """Codes on a symmetric grid of so many bits, one step an output channel; with 1 bit, signs and mean magnitudes."""
    size = weight.detach().abs().flatten(1)
    scale = size.mean(1) if bits == 1 else size.amax(1).clamp(min=1e-12) / (2 ** (bits - 1) - 1)
    scale = scale.reshape(-1, *[1] * (weight.dim() - 1))
    codes = torch.where(weight >= 0, 1.0, -1.0) if bits == 1 else torch.round(weight / scale)
    return Codes(codes.detach().to(weight.dtype), scale)


def straight(quantized: Tensor, real: Tensor) -> Tensor:
    """The quantized numbers, with the gradient of the real ones (a straight-through estimator)."""
    return real + (quantized - real).detach()


class QConv2d(nn.Conv2d):
    """A convolution with quantized weights."""

    def __init__(self, fan_in: int, out: int, bits: int):
        super().__init__(fan_in, out, 3, padding=1, bias=False)
        self.bits = bits

    def quant_weight(self) -> Codes:
        return codes_of(self.weight, self.bits)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.quant_weight()
        sums = functional.conv2d(x, straight(weight.codes, self.weight / weight.scale), padding=1)
        return sums * weight.scale.reshape(-1, 1, 1)


class QLinear(nn.Linear):
    """A dense layer with quantized weights."""

    def __init__(self, fan_in: int, out: int, bits: int):
        super().__init__(fan_in, out, bias=False)
        self.bits = bits

    def quant_weight(self) -> Codes:
        return codes_of(self.weight, self.bits)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.quant_weight()
        return functional.linear(x, straight(weight.codes, self.weight / weight.scale)) * weight.scale.flatten()


class Spike(torch.autograd.Function):
    """1 where the quantized membrane reaches the threshold; backward, the bump of a fast sigmoid of the real one."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, quantized: Tensor, real: Tensor) -> Tensor:
        ctx.save_for_backward(real)
        return (quantized >= THRESHOLD).to(real.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[None, Tensor]:
        (real,) = ctx.saved_tensors
        return None, gradient / (1 + (real - THRESHOLD).abs()) ** 2


class QLIF(nn.Module):
    """Neurons with a membrane of `bits` bits, kept between ticks until `reset`."""

    alpha: Tensor

    def __init__(self, bits: int):
        super().__init__()
        self.levels = 2 ** (bits - 1) - 1
        self.register_buffer("alpha", torch.tensor(2.0))
        self.reset()

    def reset(self) -> None:
        self.u: Tensor | float = 0.0
        self.rate: Tensor | float = 0.0

    @property
    def step(self) -> Tensor:
        return self.alpha / self.levels

    def quantized(self, u: Tensor) -> Tensor:
        """The nearest level; halves go up."""
        step = self.step
        level = torch.floor((u + step * 0.5) / step).clamp(-self.levels, self.levels)
        return straight(level * step, u)

    def forward(self, x: Tensor) -> Tensor:
        u = DECAY * self.u + x
        if self.training:
            size = u.detach().abs()
            self.alpha.lerp_((size.mean() + 2 * size.std()).clamp(min=THRESHOLD), MOMENTUM)
        level = self.quantized(u)
        spike = Spike.apply(level, u)
        self.u = level * (1 - spike)
        self.rate = spike.mean()
        return spike


@sc.neuron_module(QLIF)
def qlif(module: QLIF, shape: Shape) -> Neuron:
    """What a QLIF means to the compiler."""
    return Neuron.of("qlif", Firing(">=", "value"), decay=DECAY, threshold=THRESHOLD, step=float(module.step),
                     levels=module.levels)


def network(membrane_bits: int) -> nn.Sequential:
    """conv 16 (8 bits), conv 32 (1 bit), average pool, conv 32 (1 bit), dense 10 (8 bits); QLIF behind each.

    Membranes have so many bits; those of the last layer, too, have 8.
    """
    return nn.Sequential(
        QConv2d(1, 16, BITS), QLIF(membrane_bits), QConv2d(16, 32, 1), QLIF(membrane_bits), nn.AvgPool2d(2),
        QConv2d(32, 32, 1), QLIF(membrane_bits), nn.Flatten(), QLinear(512, CLASSES, BITS), QLIF(BITS))


def run(net: nn.Sequential, frames: Tensor, ticks: int) -> Tensor:
    """Spikes of the last layer, `[sample, tick, class]`, for frames shown in every tick."""
    for layer in net:
        if isinstance(layer, QLIF):
            layer.reset()
    return torch.stack([net(frames) for _ in range(ticks)], 1)


def regulation(net: nn.Sequential) -> Tensor:
    """How far binary weights and spikes are from their highest entropy: signs in balance, rates of one half."""
    loss = torch.zeros(())
    for layer in net:
        if isinstance(layer, (QConv2d, QLinear)) and layer.bits == 1:
            rows = layer.weight.flatten(1)
            loss = loss + (rows.mean(1) / rows.detach().abs().mean(1)).square().mean()
        elif isinstance(layer, QLIF):
            loss = loss + (layer.rate - 0.5) ** 2
    return loss
