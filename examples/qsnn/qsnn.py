"""A Q-SNN: binary weights, membranes of a few bits, and the loss that keeps both informative.

The scheme is that of Wei et al., "Q-SNNs: Quantized Spiking Neural Networks" (ACM Multimedia, 2024); its layers and
neurons are those of `snncompile.training`, in the form of the paper or of the authors' code. The first and the last
layer have weights of 8 bits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snncompile.training import Form, QuantConv2d, QuantLIF, QuantLinear

CLASSES, ENDS_BITS = 10, 8


def network(membrane_bits: int, weight_bits: int = 1, form: Form = "paper") -> nn.Sequential:
    """conv 16 (8 bits), conv 32, average pool, conv 32, dense 10 (8 bits); neurons behind each.

    Membranes have so many bits; those of the last layer have 8.
    """
    def conv(fan_in: int, out: int, bits: int) -> QuantConv2d:
        return QuantConv2d(fan_in, out, 3, bits, padding=1, form=form)

    def lif(bits: int) -> QuantLIF:
        return QuantLIF(bits, form=form)

    return nn.Sequential(
        conv(1, 16, ENDS_BITS), lif(membrane_bits), conv(16, 32, weight_bits), lif(membrane_bits), nn.AvgPool2d(2),
        conv(32, 32, weight_bits), lif(membrane_bits), nn.Flatten(), QuantLinear(512, CLASSES, ENDS_BITS, form=form),
        lif(ENDS_BITS))


def regulation(net: nn.Sequential) -> Tensor:
    """How far binary weights and spikes are from their highest entropy: signs in balance, rates of one half."""
    loss = torch.zeros(())
    for layer in net:
        if isinstance(layer, (QuantConv2d, QuantLinear)) and layer.bits == 1:
            rows = layer.weight.flatten(1)
            loss = loss + (rows.mean(1) / rows.detach().abs().mean(1)).square().mean()
        elif isinstance(layer, QuantLIF):
            loss = loss + (layer.rate - 0.5) ** 2
    return loss
