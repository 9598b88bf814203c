"""AutoSNN: a block for each of eight places, of neurons that learn how much they leak.

Blocks, by the words of a notation:

    skip         nothing, or where the channels change a convolution of side 1, a batch norm and neurons
    scb3, scb5   twice a convolution of that side, a batch norm and neurons
    srb3, srb5   the same with a shortcut into the second population, of side 1 where the shape changes
    mp           the maximum of 2 x 2 spikes: whether one of them was fired

The second, fifth and eighth places halve rows and columns. They hold `mp`, or in the random networks of the paper a
block with a stride of 2. Neurons are parametric LIFs (Fang et al., ICCV 2021) with one learned leak a layer. Outputs
vote: each class is the mean of ten of them.

    autosnn:srb5,mp,srb5,skip,mp,srb3,srb5,mp          the published network, with 16 channels in the first layer
    autosnn:srb5,mp,srb5,skip,mp,srb3,srb5,mp:128:tiny
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from snncompile.ir.graph import Graph
from snncompile.ir.types import ShapeOnly
from snncompile.search.families.backbones import DATA, HARD, Data
from snncompile.search.families.family import Family, Preset, number, one_of, parts, refuse, split
from snncompile.search.net import Net
from snncompile.search.shared import reshape_of
from snncompile.search.space import Space

BLOCKS = {"skip": 1, "scb3": 3, "scb5": 5, "srb3": 3, "srb5": 5}
"""The blocks that a search chooses from, and the side of their convolutions."""
POOL, PLACES, HALVED = "mp", 8, (1, 4, 7)
"""The word for a pool, the number of places, and those, from 0, that halve rows and columns."""
POOLED_WIDTHS, STRIDED_WIDTHS = (1, 1, 2, 2, 2, 4, 4, 4), (1, 2, 2, 2, 4, 4, 4, 8)
"""The channels of the blocks as multiples of those of the first layer, with pools and with strides."""
CHANNELS, LARGEST, VOTES = 16, 1024, 10
TICKS, EVENT_TICKS = 8, 20
"""The ticks of an image and of a sample of events in the paper."""
FIELDS: dict[str, tuple[Data, tuple[str, ...]]] = {
    **{name: (DATA[name], ()) for name in ("cifar10", "cifar100", "cifar10-spikes", "cifar100-spikes")},
    **{name: (DATA[name], (POOL, "conv")) for name in ("tiny", "tiny-spikes")},
    **{name: (DATA[name]._replace(shape=(2, 128, 128)), (POOL, "conv", POOL)) for name in ("cifar10-dvs",
                                                                                         "dvs-gesture")},
}
"""The data, and the layers between the first one and the blocks, which halve large frames."""


def plif(net: Net, name: str) -> Net:
    """`v' = v + (x - v) sigmoid(w)` with one learned `w`, a spike where it is at least 1, and a reset to 0."""
    return net.neuron("plif", firing=HARD, w=ShapeOnly((1,)), name=name)


def _conv(net: Net, channels: int, side: int, name: str, stride: int = 1) -> Net:
    """A convolution and its batch norm."""
    return net.conv(channels, side, stride=stride, name=name).norm(name=f"{name}.norm")


def _block(net: Net, block: str, channels: int, stride: int, name: str) -> Net:
    entry, side = net.tap(), BLOCKS[block]
    same = stride == 1 and entry.shape[0] == channels
    if block == "skip":
        return net if same else plif(_conv(net, channels, 1, f"{name}.conv"), f"{name}.plif")
    plif(_conv(net, channels, side, f"{name}.conv1", stride), f"{name}.plif1")
    _conv(net, channels, side, f"{name}.conv2")
    if block.startswith("srb"):
        inner = net.tap()
        aside = entry if same else _conv(net.at(entry), channels, 1, f"{name}.shortcut", stride).tap()
        net.at(inner).add(aside, name=f"{name}.add")
    return plif(net, f"{name}.plif2")


def network(blocks: Sequence[str], channels: int, data: Data, before: Sequence[str] = (), *, name: str = "autosnn"
            ) -> Graph:
    """A network of blocks.

    Args:
        blocks: eight words; see the module.
        channels: of the first layer.
        data: what the network receives.
        before: `mp` and `conv` for pools and convolutions behind the first layer.

    Raises:
        CompileError: SNN404 for other words, for pools elsewhere than at the second, fifth and eighth place or at some
            of them only, and for a skip there.
    """
    pooled = _expect_blocks(blocks)
    net = data.net(name, EVENT_TICKS if data.events else TICKS)
    plif(_conv(net, channels, 3, "stem"), "stem.plif")
    for place, layer in enumerate(before, start=1):
        if layer == POOL:
            net.pool(2, kind="max", name=f"stem{place}.pool")
        else:
            plif(_conv(net, channels, 3, f"stem{place}"), f"stem{place}.plif")
    widths = POOLED_WIDTHS if pooled else STRIDED_WIDTHS
    for place, (block, width) in enumerate(zip(blocks, widths, strict=True)):
        if block == POOL:
            net.pool(2, kind="max", name=f"block{place + 1}.pool")
        else:
            _block(net, block, width * channels, 2 if place in HALVED else 1, f"block{place + 1}")
    plif(net.linear(data.classes * VOTES, name="votes"), "votes.plif")
    return net.op(reshape_of((data.classes, VOTES))).pool(VOTES, name="mean").flatten().graph()


def _expect_blocks(blocks: Sequence[str]) -> bool:
    """Whether the blocks have pools. Raises SNN404 for blocks that do not go together."""
    if len(blocks) != PLACES:
        refuse("autosnn", "blocks", f"{len(blocks)}", f"{PLACES}")
    pools = {place for place, block in enumerate(blocks) if block == POOL}
    if pools not in (set(), set(HALVED)):
        refuse("autosnn", "blocks", f"{POOL} at {', '.join(str(p + 1) for p in sorted(pools))}",
               f"{POOL} at 2, 5 and 8, or nowhere")
    for place, block in enumerate(blocks):
        if block != POOL:
            one_of("autosnn", f"block {place + 1}", block, BLOCKS)
        if block == "skip" and place in HALVED:
            refuse("autosnn", f"block {place + 1}", "skip", f"a block that halves rows and columns, or {POOL}")
    return bool(pools)


def graph(text: str) -> Graph:
    """The network that a notation names."""
    blocks, width, data = split("autosnn", text, "BLOCKS:CHANNELS:DATA", 1)
    given, before = one_of("autosnn", "data", data or "cifar10", FIELDS)
    channels = number("autosnn", "channels", width, 1, LARGEST) if width else CHANNELS
    return network(parts("autosnn", "blocks", blocks, PLACES, PLACES), channels, given, before, name=f"autosnn:{text}")


def space(channels: int = CHANNELS, data: str = "cifar10") -> Space:
    """All networks with pools: five blocks at five places."""
    return Space(f"autosnn-{channels}", {f"block{place + 1}": tuple(BLOCKS) for place in range(PLACES)
                                         if place not in HALVED}, partial(_of, channels, data))


def _of(channels: int, data: str, /, **blocks: str) -> Graph:
    words = [POOL if place in HALVED else blocks[f"block{place + 1}"] for place in range(PLACES)]
    return network(words, channels, *FIELDS[data], name=f"autosnn-{channels}")


_PUBLISHED = {
    "autosnn": ("srb5,mp,srb5,skip,mp,srb3,srb5,mp", "the network of the paper, lambda -0.08"),
    "lambda0": ("srb5,mp,srb5,srb5,mp,scb5,srb5,mp", "table 2, lambda 0"),
    "lambda16": ("srb5,mp,srb5,skip,mp,srb5,srb5,mp", "table 2, lambda -0.16"),
    "lambda24": ("skip,mp,srb5,skip,mp,scb5,srb5,mp", "table 2, lambda -0.24"),
    "random-search0": ("scb5,mp,scb5,srb5,mp,scb5,srb5,mp", "table 5, random search, lambda 0"),
    "random-search8": ("srb5,mp,srb5,srb3,mp,scb3,srb5,mp", "table 5, random search, lambda -0.08"),
    "ann": ("srb5,mp,srb3,scb3,mp,scb5,srb5,mp", "table 7, searched without spiking neurons"),
    "random1": ("scb3,srb5,srb3,skip,srb5,skip,srb5,srb5", "table 5, random"),
    "random2": ("srb5,srb5,skip,scb5,srb5,scb5,skip,srb5", "table 5, random"),
    "random3": ("scb3,srb5,scb5,srb3,srb5,scb5,scb5,srb5", "table 5, random"),
    "random4": ("scb5,srb5,scb3,skip,srb5,scb3,scb5,srb5", "table 5, random"),
    "random5": ("srb5,srb5,scb3,skip,srb5,skip,srb3,srb5", "table 5, random"),
    "random6": ("scb3,srb5,srb5,srb3,srb5,scb3,srb3,srb5", "table 5, random"),
    "random7": ("scb5,srb5,scb3,srb5,srb5,scb3,scb5,srb5", "table 5, random"),
    "random8": ("scb5,srb5,skip,skip,srb5,scb5,srb3,srb5", "table 5, random"),
    "random9": ("scb3,srb5,srb3,srb3,srb5,scb5,srb3,srb5", "table 5, random"),
    "random10": ("skip,srb5,srb3,skip,srb5,srb3,scb5,srb5", "table 5, random"),
}
FAMILY = Family(
    "autosnn", "AutoSNN, Na et al., ICML 2022",
    "BLOCKS, BLOCKS:CHANNELS or BLOCKS:CHANNELS:DATA, eight blocks of skip, scb3, scb5, srb3, srb5 and mp",
    graph, {name: Preset(text, f"AutoSNN, Na et al., ICML 2022, {where}") for name, (text, where) in
            _PUBLISHED.items()},
    {"autosnn-16": space, "autosnn-128": partial(space, 128)})
