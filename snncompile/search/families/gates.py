"""Attention of convolutional networks: factors between 0 and 1 for channels and for pixels, computed from the image.

MA-DARTS (Man et al., arXiv 2411.00902, 2024) searches cells with an attention of this kind. Parts of `blocks`:

    eca3     a factor for each channel: means of the channels, a convolution of side 3 over neighbouring channels, a
             sigmoid (Wang et al., "ECA-Net", CVPR 2020)
    cbam16   a factor for each channel: means and maxima of the channels, each through two layers with a 16th of the
             channels between them and a rectifier, added, a sigmoid; then a factor for each pixel: means and maxima
             over the channels, a convolution of side 7, a sigmoid (Woo et al., "CBAM", ECCV 2018, eqs. 2 and 3)

Each multiplies tensors that both change (`ir.spike_product`), which every target refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snncompile.ir.expr import Expr, tanh
from snncompile.ir.ops import AvgPool, MaxPool, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import neuron_rule
from snncompile.search.net import Net, Tap
from snncompile.search.shared import pad_of, reshape_of

PIXEL_SIDE = 7
"""The side of the convolution that makes factors of pixels."""


@neuron_rule(spiking=False)
def sigmoid(state: Any, x: Expr, p: Any) -> Expr:
    """`1 / (1 + exp(-x))`, a number between 0 and 1."""
    return 0.5 + 0.5 * tanh(0.5 * x)


SIGMOID = Neuron(sigmoid)


def eca(net: Net, name: str, side: int) -> None:
    """A factor for each channel from its neighbours; `side` is odd."""
    channels, *image = net.shape
    entry = net.tokens(name=f"{name}.tokens").tap()
    net.global_pool(name=f"{name}.mean").op(reshape_of((1, channels))).conv(1, side, name=f"{name}.conv")
    _times(net.op(reshape_of((channels, 1))), entry, name)
    net.op(reshape_of((channels, *image)))


def cbam(net: Net, name: str, reduction: int) -> None:
    """A factor for each channel, then one for each pixel; a `reduction`-th of the channels between two layers."""
    channels, *image = net.shape
    entry = net.tokens(name=f"{name}.tokens").tap()
    mean = net.global_pool(name=f"{name}.mean").op(pad_of(((0, 0), (0, 1)))).tap()
    net.at(entry).global_pool(kind="max", name=f"{name}.max").op(pad_of(((0, 0), (1, 0)))).add(mean)
    net.conv(max(channels // reduction, 1), 1, bias=True, name=f"{name}.fc1").rectify()
    net.conv(channels, 1, bias=True, name=f"{name}.fc2").pool(2, kind="sum", name=f"{name}.sum")
    _times(net, entry, f"{name}.channels")
    _by_pixel(net, image, name)
    net.op(reshape_of((channels, *image)))


def _by_pixel(net: Net, image: Sequence[int], name: str) -> None:
    """A factor for each pixel of `[channels, pixels]`."""
    entry, (channels, pixels) = net.tap(), net.shape
    window, parts = ((channels, 1), (channels, 1)), []
    for word, op in (("average", AvgPool(*window)), ("largest", MaxPool(*window))):
        net.at(entry).op(reshape_of((1, channels, pixels))).op(op, f"{name}.{word}")
        parts.append(net.op(reshape_of((1, *image))).tap())
    net.at(parts[0]).concat(parts[1]).conv(1, PIXEL_SIDE, name=f"{name}.pixels")
    net.op(reshape_of((1, 1, pixels))).op(Upsample((channels, 1))).op(reshape_of((channels, pixels)))
    _times(net, entry, f"{name}.image")


def _times(net: Net, entry: Tap, name: str) -> None:
    """`[channels, pixels]` times a sigmoid of what stands here, of the same shape or one for each channel."""
    net.op(SIGMOID, f"{name}.sigmoid")
    pixels = entry.shape[1]
    factors = (net.upsample(pixels) if net.shape[1] < pixels else net).tap()
    net.at(entry).multiply(factors, "nothing", name=f"{name}.product")
