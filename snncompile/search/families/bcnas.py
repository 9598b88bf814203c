"""BCNAS-SNN: links backward in time between the layers of neurons of a backbone.

A link `j-i` takes the spikes of layer j of the last tick through a nearest upsampling to the size of layer i, a
convolution of side 1 and a batch norm, and adds them to the current of layer i, which is layer j itself or one before
it. Layers are numbered from 1 at the input. The paper allows up to two links; its best ones are printed as figures
only, so that there are no presets.

    bcnas:resnet18:17-1,5-5         from layer 17 to layer 1, and from layer 5 to itself
    bcnas:resnet19:                 the backbone alone
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import partial

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import BACKBONES, DATA, HARD, Built, Data, Port, Shaper, build
from snncompile.search.families.family import MAX_LAYERS, Family, number, one_of, parts, refuse, split
from snncompile.search.net import Net
from snncompile.search.space import Space

Link = tuple[int, int]
"""The layer that spikes are taken from, and the layer that they are added to, numbered from 1 at the input."""
LINKS = 2
"""The most links of a candidate of the paper."""
TICKS, TINY_TICKS, EVENT_TICKS = 4, 5, 10
"""The ticks of a sample in the paper: an image of CIFAR (6 is the other choice), of Tiny-ImageNet, and events."""
TINY_CLASSES = 200


def lif(net: Net, layer: int) -> Net:
    """`v' = v / 2 + x`, a spike where it is at least 1, and a reset to 0."""
    return net.lif(0.5, firing=HARD, name=f"lif{layer + 1}")


def ports(built: Built) -> list[Port]:
    """The layers of neurons that links may join: those behind a convolution."""
    return [port for port in built.ports if len(port.spikes.shape) == 3]


def network(shape: Shaper, links: Iterable[Link], data: Data, *, name: str = "bcnas") -> Graph:
    """A backbone with backward links.

    Args:
        shape: of `backbones.BACKBONES`, or a function of your own.
        links: from a layer to itself or to one before it; layers behind convolutions, from 1 at the input.
        data: what the network receives.

    Raises:
        CompileError: SNN404 for a link forward, a link that is there twice, or a layer that does not exist.
    """
    ticks = EVENT_TICKS if data.events else TINY_TICKS if data.classes == TINY_CLASSES else TICKS
    built = build(name, shape, data, lif, ticks=ticks)
    found = ports(built)
    end = built.net.tap()
    wanted = list(links)
    for place, link in enumerate(wanted):
        _expect_backward(link, len(found), wanted[:place])
        _join(built.net, found, *link)
    return built.net.at(end).graph()


def _expect_backward(link: Link, layers: int, before: Sequence[Link]) -> None:
    source, target = link
    if not 1 <= target <= source <= layers:
        refuse("bcnas", "links", f"{source}-{target}", f"LATER-EARLIER, layers 1 to {layers}, or a layer to itself")
    if link in before:
        refuse("bcnas", "links", f"{source}-{target} twice", "each link once")


def _join(net: Net, ports: Sequence[Port], source: int, target: int) -> None:
    """The link from a layer to one before it. Its batch norm adds its bias in the first tick too."""
    spikes, current = ports[source - 1].spikes, ports[target - 1].current
    name = f"link{source}-{target}"
    net.at(spikes).late(name=f"{name}.late").upsample(current.shape[1] // spikes.shape[1], name=f"{name}.upsample")
    net.conv(current.shape[0], 1, name=name).norm(name=f"{name}.norm").back(current, delay=0)


def graph(text: str) -> Graph:
    """The network that a notation names."""
    backbone, links, data = split("bcnas", text, "BACKBONE:LINKS:DATA", 1)
    shape = one_of("bcnas", "backbone", backbone, BACKBONES)
    return network(shape, [_link(part) for part in parts("bcnas", "links", links, least=0)],
                   one_of("bcnas", "data", data or "cifar10", DATA), name=f"bcnas:{text}")


def _link(text: str) -> Link:
    ends = text.split("-")
    if len(ends) != 2:
        refuse("bcnas", "links", text[:20], "LATER-EARLIER, such as 17-1")
    source, target = (number("bcnas", "links", end, 1, MAX_LAYERS) for end in ends)
    return source, target


def candidates(layers: int) -> tuple[tuple[Link, ...], ...]:
    """All sets of up to two links between so many layers, fewer links first.

    >>> len(candidates(17))
    11782
    """
    links = [(source, target) for source in range(1, layers + 1) for target in range(1, source + 1)]
    return tuple(itertools.chain.from_iterable(itertools.combinations(links, n) for n in range(LINKS + 1)))


def space(backbone: str, data: str = "cifar10") -> Space:
    """All networks of the paper on a backbone: 11,782 for the 17 layers of a ResNet-18 or -19."""
    layers = len(ports(build(backbone, BACKBONES[backbone], DATA[data])))
    return Space(f"bcnas-{backbone}", {"links": candidates(layers)}, partial(_of, backbone, data))


def _of(backbone: str, data: str, /, links: tuple[Link, ...]) -> Graph:
    return network(BACKBONES[backbone], links, DATA[data], name=f"bcnas:{backbone}")


FAMILY = Family(
    "bcnas", "BCNAS-SNN, submitted to ICLR 2024",
    "BACKBONE:LINKS or BACKBONE:LINKS:DATA, links such as 17-1,5-5, each from a layer to itself or to one before it",
    graph, {}, {name: partial(space, name) for name in ("resnet18", "resnet19")})
