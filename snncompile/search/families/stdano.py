"""ST-DANO: one of three kinds of neurons for each layer of a backbone.

A network is a digit for each layer of neurons, from the input to the output: 0 a LIF, 1 an LLIF, whose threshold adapts
to what inhibited it, 2 an SLIF, whose time constant adapts to how far it exceeded its threshold. LIF and LLIF are reset
to 0; an SLIF is reset by subtraction. The paper prints neither the threshold nor the time constant that adaptation
starts from: they are 1 and 2 here.

    stdano:resnet18:20002000000001001            the published network for CIFAR-10 and 2 or 4 ticks
    stdano:vgg11:00011100:cifar10-dvs:8          the same for events and 8 ticks
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, Signature

from snncompile.ir.graph import Graph
from snncompile.ir.ops import Input
from snncompile.search.chain import Chain
from snncompile.search.families.backbones import (
    BACKBONES,
    DATA,
    HARD,
    LAYERS,
    PARTS,
    Bits,
    Built,
    Data,
    Part,
    Shaper,
    build,
)
from snncompile.search.families.family import MAX_TICKS, Family, Preset, digits, number, one_of, split
from snncompile.search.net import INPUT, Net

THRESHOLD, TAU = 1.0, 2.0
GAMMA, BETA = 0.1, 0.1
"""How much a tick changes the threshold of an LLIF at most, and the time constant of an SLIF."""
KINDS = ("lif", "llif", "slif")


def neurons(kinds: Sequence[int], threshold: float = THRESHOLD, tau: float = TAU) -> Callable[..., Net]:
    """Populations of the kinds that digits name, by layer; the first of them is numbered `first` in the network."""
    decay = math.exp(-1 / tau)

    def fire(net: Net, layer: int, first: int = 0) -> Net:
        name = f"{KINDS[kinds[layer]]}{first + layer + 1}"
        match kinds[layer]:
            case 1:
                return net.neuron("llif", firing=HARD, decay=decay, threshold=threshold, jump=GAMMA, name=name)
            case 2:
                return net.neuron("slif", tau=tau, beta=BETA, threshold=threshold, name=name)
        return net.neuron("lif", firing=HARD, decay=decay, threshold=threshold, name=name)

    return fire


def network(shape: Shaper, kinds: Sequence[int], data: Data, *, name: str = "stdano", threshold: float = THRESHOLD,
            tau: float = TAU, ticks: int | None = None) -> Graph:
    """A backbone with neurons of several kinds.

    Args:
        shape: of `backbones.BACKBONES`, or a function of your own.
        kinds: 0, 1 or 2 for each layer of neurons, from the input to the output.
        data: what the network receives.
        threshold, tau: of all neurons, `tau` in ticks.
        ticks: of a sample; the paper searches a network for each of several numbers of ticks.
    """
    return build(name, shape, data, neurons(kinds, threshold, tau), ticks=ticks).net.graph()


def graph(text: str) -> Graph:
    """The network that a notation names."""
    backbone, kinds, data, ticks = split("stdano", text, "BACKBONE:DIGITS:DATA:TICKS", 2)
    shape = one_of("stdano", "backbone", backbone, BACKBONES)
    return network(shape, digits("stdano", f"digits of {backbone}", kinds, LAYERS[backbone], 2),
                   one_of("stdano", "data", data or "cifar10", DATA), name=f"stdano:{text}",
                   ticks=number("stdano", "ticks", ticks, 1, MAX_TICKS) if ticks else None)


def space(backbone: str, data: str = "cifar10") -> Chain:
    """All networks on a backbone: three kinds of neurons for each layer, so 3^17 on ResNet-18."""
    chosen, layers, first = DATA[data], [], 0
    for part in PARTS[backbone]:
        layers.append(_Layer(part, first, chosen.classes))
        first += part.layers
    entry = chosen.net("").nodes[INPUT]
    assert isinstance(entry, Input)
    return Chain(entry, layers, name=f"stdano-{backbone}", numbered=False)


@dataclass(frozen=True)
class _Layer:
    """A part of a backbone as a layer of a chain, whose choices are the kinds of its neurons."""

    part: Part
    first: int
    classes: int

    @property
    def __signature__(self) -> Signature:
        names = [f"layer{self.first + i + 1}" for i in range(self.part.layers)]
        return Signature([Parameter("net", Parameter.POSITIONAL_OR_KEYWORD),
                          *(Parameter(n, Parameter.KEYWORD_ONLY, default=(0, 1, 2)) for n in names)])

    def __call__(self, net: Net, **kinds: int) -> None:
        fire, first = neurons(tuple(kinds.values())), self.first
        self.part.build(Built(net, lambda net, layer: fire(net, layer, first), Bits()), self.classes)


_PUBLISHED: dict[str, tuple[str, str]] = {
    "cifar10-resnet18-t2": ("resnet18:20002000000001001:cifar10:2", "appendix"),
    "cifar10-resnet18-t4": ("resnet18:20002000000001001:cifar10:4", "appendix"),
    "cifar10-resnet18-t6": ("resnet18:20000000000001011:cifar10:6", "appendix"),
    "cifar10-resnet18-t8": ("resnet18:20000000000001011:cifar10:8", "appendix"),
    "cifar100-resnet18-t2": ("resnet18:20002000000010011:cifar100:2", "appendix"),
    "cifar100-resnet18-t4": ("resnet18:20002000000010111:cifar100:4", "appendix"),
    "cifar100-resnet18-t6": ("resnet18:20002000000010111:cifar100:6", "appendix"),
    "cifar100-resnet18-t8": ("resnet18:20002000001010111:cifar100:8", "table 3"),
    "tiny-vgg13-t2": ("vgg13:0000020101:tiny:2", "table 3"),
    "tiny-vgg13-t4": ("vgg13:0000000101:tiny:4", "appendix"),
    "tiny-vgg13-t6": ("vgg13:0000000101:tiny:6", "appendix"),
    "tiny-vgg13-t8": ("vgg13:0000020101:tiny:8", "table 3"),
    "cifar10-dvs-vgg11-t8": ("vgg11:00011100:cifar10-dvs:8", "table 3"),
    "cifar10-dvs-vgg11-t10": ("vgg11:00001100:cifar10-dvs:10", "table 3"),
    "dvs-gesture-vgg11-t8": ("vgg11:11000001:dvs-gesture:8", "table 3"),
    "dvs-gesture-vgg11-t16": ("vgg11:10112111:dvs-gesture:16", "table 3"),
    "dvs-gesture-vgg11-t20": ("vgg11:10111111:dvs-gesture:20", "table 3"),
    "cifar10-vgg16-t2": ("vgg16:2002000111110:cifar10:2", "table 8"),
    "cifar10-vgg16-t6": ("vgg16:2201000001110:cifar10:6", "table 8"),
    "cifar10-vgg16-t8": ("vgg16:2002000011110:cifar10:8", "table 8"),
    "tiny-resnet18-t2": ("resnet18:22002001100112111:tiny:2", "table 8"),
    "tiny-resnet18-t4": ("resnet18:22002000100100111:tiny:4", "table 8"),
    "tiny-resnet18-t6": ("resnet18:22002001100110011:tiny:6", "table 8"),
    "tiny-resnet18-t8": ("resnet18:22202000100100001:tiny:8", "table 8"),
    "cifar10-dvs-resnet18-t10": ("resnet18:10121010002101111:cifar10-dvs:10", "table 8"),
    "dvs-gesture-resnet18-t20": ("resnet18:11011100111001111:dvs-gesture:20", "table 8"),
}
"""Those strings whose digits are certain: printed whole, or the largest architecture parameter of each layer in the
appendix. Table 8 prints the others, of VGG-16, with a digit too few."""
FAMILY = Family(
    "stdano", "ST-DANO", "BACKBONE:DIGITS, :DATA and :TICKS behind it, a digit of 0 to 2 for each layer of neurons, "
    "17 for resnet18, 8, 10 and 13 for vgg11, vgg13 and vgg16", graph,
    {name: Preset(text, f"ST-DANO, {where}") for name, (text, where) in _PUBLISHED.items()},
    {name: partial(space, name) for name in ("resnet18", "vgg11", "vgg13", "vgg16")})
