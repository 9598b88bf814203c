"""The backbones that searches place neurons, links or bits in: ResNet-18 and -19, VGG-11, -13 and -16, and VGGSNN.

All are the variants for small images: convolutions of side 3, and no pool behind the first one. Every convolution has a
batch norm and no bias, and every batch norm, or sum of two, leads into a population of neurons.

    name          LIFs  parameters, 10 classes, 3 channels of input
    resnet18      17    11,173,962
    resnet19      17    12,569,226   128 channels in the stem (Q-SNN, Wei et al., ACM MM 2024, table 2)
    resnet19-tet  18    12,630,858   64 in the stem, two fully connected layers (Deng et al., ICLR 2022)
    vgg11         8
    vgg13         10
    vgg16         13    14,724,042
    vggsnn        8     9,228,362    average pools (Deng et al., ICLR 2022)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

from snncompile.ir.graph import Graph
from snncompile.ir.rules import Firing
from snncompile.ir.types import Shape
from snncompile.search.families.family import Family, Preset, one_of, split
from snncompile.search.net import Net, Tap


class Data(NamedTuple):
    """What a network receives: the shape of an input in a tick, spikes or real numbers, and how many classes."""

    shape: Shape
    classes: int
    values: Literal["spike", "real"] = "real"

    @property
    def events(self) -> bool:
        """Whether it comes from an event camera, with a channel for each of two polarities."""
        return self.shape[0] == 2

    def net(self, name: str, ticks: int | None = None) -> Net:
        """A net with this input. Images are real numbers, in units of their standard deviation.

        Args:
            ticks: of a sample, where the network names them.
        """
        low, high = (0, 1) if self.values == "spike" else (-4, 4)
        return Net(self.shape, values=self.values, low=low, high=high, name=name, ticks=ticks)


DATA: dict[str, Data] = {
    "cifar10": Data((3, 32, 32), 10),
    "cifar100": Data((3, 32, 32), 100),
    "tiny": Data((3, 64, 64), 200),
    "cifar10-spikes": Data((3, 32, 32), 10, "spike"),
    "cifar100-spikes": Data((3, 32, 32), 100, "spike"),
    "tiny-spikes": Data((3, 64, 64), 200, "spike"),
    "cifar10-dvs": Data((2, 48, 48), 10, "spike"),
    "dvs-gesture": Data((2, 64, 64), 11, "spike"),
}
"""Tiny is Tiny-ImageNet. Papers show an image in every tick, as real numbers; with `-spikes` it arrives as spikes, for
hardware that takes nothing else. The frames of event cameras are scaled down; papers differ in their size."""
Fire = Callable[[Net, int], Net]
"""Puts the population of a layer behind the place where a net stands. Layers are numbered from 0 at the input."""
HARD, HARD_STRICT = Firing(">=", "value"), Firing(">", "value")
"""A spike where the membrane is at least, or above, its threshold, and a reset to 0."""


class Port(NamedTuple):
    """A layer of neurons of a backbone: the current that enters it, and its spikes."""

    current: Tap
    spikes: Tap


class Bits(NamedTuple):
    """Bits of the weights: of the layers between, and of the first and the last layer; None for those of the target."""

    hidden: int | None = None
    ends: int | None = None


class Built:
    """A backbone while it grows: its net, its layers of neurons so far, and how its neurons are made."""

    def __init__(self, net: Net, fire: Fire, bits: Bits):
        self.net, self.fire, self.bits = net, fire, bits
        self.ports: list[Port] = []

    def neurons(self) -> Built:
        """The next layer of neurons."""
        current = self.net.tap()
        self.fire(self.net, len(self.ports))
        self.ports.append(Port(current, self.net.tap()))
        return self

    def conv(self, name: str, channels: int, stride: int = 1, kernel: int = 3) -> Built:
        """A convolution and its batch norm."""
        bits = self.bits.hidden if self.ports else self.bits.ends
        self.net.conv(channels, kernel, stride=stride, bits=bits, name=name).norm(name=f"{name}.norm")
        return self

    def linear(self, name: str, outputs: int, *, last: bool = True) -> Built:
        """A fully connected layer with a bias."""
        self.net.linear(outputs, bias=True, bits=self.bits.ends if last else self.bits.hidden, name=name)
        return self


Shaper = Callable[[Built, int], object]
"""Builds the layers of a backbone for a number of classes."""


class Part(NamedTuple):
    """A part of a backbone that reads the part before it and nothing else: how many layers of neurons it has, and a
    function of what is built so far and of the number of classes."""

    layers: int
    build: Callable[[Built, int], object]


def residual(stem: int, stages: tuple[tuple[int, int], ...], hidden: int = 0) -> list[Part]:
    """The parts of a residual network.

    Args:
        stem: channels of the first convolution.
        stages: channels and blocks of each; all but the first begin with a stride of 2.
        hidden: outputs of a fully connected layer with neurons before the last one; 0 for none.
    """
    parts = [Part(1, partial(_conv, name="stem", channels=stem))]
    for stage, (channels, blocks) in enumerate(stages, start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            parts.append(Part(2, partial(_block, name=f"stage{stage}.block{block}", channels=channels, stride=stride)))
    return [*parts, Part(1 if hidden else 0, partial(_readout, hidden=hidden))]


def _readout(built: Built, classes: int, hidden: int = 0) -> None:
    built.net.global_pool()
    if hidden:
        built.linear("hidden", hidden, last=False).neurons()
    built.linear("classes", classes)


def _block(built: Built, _: int, name: str, channels: int, stride: int) -> None:
    """Two convolutions and a shortcut, which is a convolution of side 1 where the shape changes."""
    net = built.net
    entry = net.tap()
    straight = stride == 1 and entry.shape[0] == channels
    built.conv(f"{name}.conv1", channels, stride).neurons().conv(f"{name}.conv2", channels)
    inner = net.tap()
    if not straight:
        built.net.at(entry)
        built.conv(f"{name}.shortcut", channels, stride, kernel=1)
        entry = net.tap()
    net.at(inner).add(entry, name=f"{name}.add")
    built.neurons()


def plain(layers: tuple[int, ...]) -> list[Part]:
    """The parts of convolutions one behind another.

    Args:
        layers: the channels of each convolution; 0 for an average pool of side 2.
    """
    parts, convs, pools = [], 0, 0
    for channels in layers:
        if channels:
            convs += 1
            parts.append(Part(1, partial(_conv, name=f"conv{convs}", channels=channels)))
        else:
            pools += 1
            parts.append(Part(0, partial(_pool, name=f"pool{pools}")))
    return [*parts, Part(0, _readout)]


def _conv(built: Built, _: int, name: str, channels: int) -> None:
    built.conv(name, channels).neurons()


def _pool(built: Built, _: int, name: str) -> None:
    built.net.pool(2, name=name)


def whole(parts: Sequence[Part]) -> Shaper:
    """The parts one behind another."""
    def shape(built: Built, classes: int) -> None:
        for part in parts:
            part.build(built, classes)
    return shape


PARTS: Mapping[str, list[Part]] = {
    "resnet18": residual(64, ((64, 2), (128, 2), (256, 2), (512, 2))),
    "resnet19": residual(128, ((128, 3), (256, 3), (512, 2))),
    "resnet19-tet": residual(64, ((128, 3), (256, 3), (512, 2)), 256),
    "vgg11": plain((64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)),
    "vgg13": plain((64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)),
    "vgg16": plain((64, 64, 0, 128, 128, 0, *(256,) * 3, 0, *(512,) * 3, 0, *(512,) * 3, 0)),
    "vggsnn": plain((64, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0)),
}
BACKBONES: Mapping[str, Shaper] = {name: whole(parts) for name, parts in PARTS.items()}
LAYERS: Mapping[str, int] = {name: sum(part.layers for part in parts) for name, parts in PARTS.items()}
"""How many layers of neurons each backbone has."""


def plain_lif(net: Net, layer: int) -> Net:
    """The LIF of TET (Deng et al., ICLR 2022): `v' = v / 2 + x`, a spike where it is above 1, and a reset to 0."""
    return net.lif(0.5, firing=HARD_STRICT, name=f"lif{layer + 1}")


def build(name: str, shape: Shaper, data: Data, fire: Fire = plain_lif, bits: Bits = Bits(),
          ticks: int | None = None) -> Built:
    """A backbone, or another shape of a network, with its layers of neurons.

    Args:
        name: of the network.
        shape: of `BACKBONES`, or a function of your own.
        data: what the network receives.
        fire: makes the populations.
        bits: of the weights.
        ticks: of a sample, where its paper names them.
    """
    built = Built(data.net(name, ticks), fire, bits)
    shape(built, data.classes)
    return built


def graph(text: str) -> Graph:
    """The backbone that a notation names, with the neurons of TET."""
    backbone, data = split("backbone", text, "BACKBONE:DATA", 1)
    shape = one_of("backbone", "backbone", backbone, BACKBONES)
    return build(text, shape, one_of("backbone", "data", data or "cifar10", DATA)).net.graph()


_QSNN = "Q-SNN, Wei et al., ACM MM 2024, table 2"
FAMILY = Family(
    "backbone", "Networks that searches start from", "BACKBONE, or BACKBONE:DATA, such as resnet18:cifar100", graph,
    {name: Preset(name, source, count) for name, source, count in (
        ("resnet18", "He et al., CVPR 2016, the variant for CIFAR", 11_173_962),
        ("resnet19", _QSNN, 12_569_226),
        ("resnet19-tet", "TET, Deng et al., ICLR 2022", 12_630_858),
        ("vgg11", "Simonyan and Zisserman, ICLR 2015, the variant for CIFAR", None),
        ("vgg13", "Simonyan and Zisserman, ICLR 2015, the variant for CIFAR", None),
        ("vgg16", _QSNN, 14_724_042),
        ("vggsnn", _QSNN, 9_228_362))})
