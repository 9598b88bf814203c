"""Bits and densities of each layer of a backbone, as GAQ-SNN, ABC-Arc, SPEAR and ESL-SNNs choose them.

GAQ-SNN and ABC-Arc search the bits of the weights of each layer; SPEAR and ESL-SNNs search or grow how many weights of
each layer are kept. A list has an entry for each layer of neurons, from the input to the output, and one for the last
layer. The convolution of a shortcut has that of the layer of neurons that it leads into. One entry stands for all.

    layerwise:vgg11:8,4,4,4,2,2,2,4,8                       bits; 32 for real numbers
    layerwise:resnet18:32:20:cifar100                       a fifth of all weights kept
    layerwise:vgg11:8:100,50,50,20,20,20,20,20,100

The searches differ in how they find the numbers, which bits they allow and how they train, not in the network that
results. Its neurons are those of TET here; `network` takes others.
"""

from __future__ import annotations

from collections.abc import Sequence

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import (
    BACKBONES,
    DATA,
    LAYERS,
    Bits,
    Built,
    Data,
    Fire,
    Shaper,
    plain_lif,
)
from snncompile.search.families.family import Family, Preset, number, one_of, parts, split

NAME = "layerwise"
REAL = 32
"""What stands for real numbers among bits."""
MOST_BITS = 16
WHOLE = 100
"""A density, in percent, of which nothing is pruned."""


class _Layers(Built):
    """A backbone whose layers have bits and densities of their own."""

    def __init__(self, data: Data, name: str, fire: Fire, bits: Sequence[int], percent: Sequence[int]):
        super().__init__(data.net(name), fire, Bits())
        self._bits, self._percent = bits, percent

    def conv(self, name: str, channels: int, stride: int = 1, kernel: int = 3) -> Built:
        bits, density = self._here()
        self.net.conv(channels, kernel, stride=stride, bits=bits, density=density, name=name).norm(name=f"{name}.norm")
        return self

    def linear(self, name: str, outputs: int, *, last: bool = True) -> Built:
        bits, density = self._here()
        self.net.linear(outputs, bias=True, bits=bits, density=density, name=name)
        return self

    def _here(self) -> tuple[int | None, float | None]:
        """Bits and density of the layer of neurons that comes next."""
        bits, percent = self._bits[len(self.ports)], self._percent[len(self.ports)]
        return None if bits == REAL else bits, None if percent == WHOLE else percent / WHOLE


def network(shape: Shaper, bits: Sequence[int], percent: Sequence[int], data: Data, *, fire: Fire = plain_lif,
            name: str = NAME) -> Graph:
    """A backbone.

    Args:
        shape: of `backbones.BACKBONES`, or a function of your own.
        bits: of the weights of each layer, 32 for real numbers.
        percent: how many weights of each layer are kept, 1 to 100.
        data: what the network receives.
        fire: makes the neurons.
    """
    built = _Layers(data, name, fire, bits, percent)
    shape(built, data.classes)
    return built.net.graph()


def graph(text: str) -> Graph:
    """The network that a notation names."""
    backbone, bits, percent, data = split(NAME, text, "BACKBONE:BITS:PERCENT:DATA", 2)
    shape = one_of(NAME, "backbone", backbone, BACKBONES)
    layers = LAYERS[backbone] + 1
    widths = _numbers("bits", bits, layers, REAL)
    for place, width in enumerate(widths, start=1):
        if width != REAL:
            number(NAME, f"bits of layer {place}", str(width), 1, MOST_BITS)
    return network(shape, widths, _numbers("percent", percent or str(WHOLE), layers, WHOLE),
                   one_of(NAME, "data", data or "cifar10", DATA), name=f"{NAME}:{text}")


def _numbers(what: str, text: str, layers: int, most: int) -> list[int]:
    words = parts(NAME, what, text)
    words = words * layers if len(words) == 1 else parts(NAME, f"{what} of {layers} layers", text, layers, layers)
    return [number(NAME, f"{what} of layer {place}", word, 1, most) for place, word in enumerate(words, start=1)]


FAMILY = Family(
    NAME, "Bits or densities of each layer: GAQ-SNN, ABC-Arc, SPEAR, ESL-SNNs", "BACKBONE:BITS, BACKBONE:BITS:PERCENT "
    "or BACKBONE:BITS:PERCENT:DATA, one number for all layers or one for each and the last layer, as 8,4,4,8", graph,
    {"example": Preset("vgg11:8,4,4,4,2,2,2,4,8:100,50,50,20,20,20,20,20,100", "an example of this notation")})
