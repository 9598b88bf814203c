"""Spiking transformers: Spikformer (Zhou et al., ICLR 2023), and Auto-Spikformer, which searches its sizes.

An image becomes tokens, blocks of attention and of two layers follow, and the mean of the tokens is read out:

    tokens     convolutions of side 3 to d/8, d/4, d/2 and d channels, each with a batch norm and neurons, maxima of
               3 x 3 with a stride of 2 behind the last two; y + (convolution of side 3, batch norm, neurons) of y
    attention  x + f(x): queries, keys and values, each a layer from channels to channels, a batch norm and neurons;
               scale (Q K^T) V of each head, neurons with half the threshold, a layer, a batch norm, neurons
    two layers x + g(x): to MLP d channels and back, each with a batch norm and neurons

A genotype has a number of heads and a ratio MLP for each block:

    autospikformer:384:12,12,12,12:4,4,4,4               Spikformer-4-384, which has 9.32 million parameters
    autospikformer:240:12,12,6,6:4,4,3.5,4:4,1,2:cifar10 a published subnet; 4 ticks, a threshold of 1, a tau of 2

Attention multiplies spikes with spikes (`ir.spike_product`). Such networks have shapes, parameters and costs, and the
interpreter runs them; every target refuses them.

The search also chooses a threshold and a time constant. Which neurons they are for is not printed: they are for all
here, and neurons of attention have half the threshold, as in Spikformer. Its program gives queries, keys and values the
width of the largest network, and the stem too; here they follow DIM, as in Spikformer, so that they agree for 384.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import DATA, HARD, Data
from snncompile.search.families.family import MAX_TICKS, Family, Preset, decimal, number, one_of, parts, refuse, split
from snncompile.search.net import Net, Tap
from snncompile.search.space import Space

NAME = "autospikformer"
MAX_BLOCKS, MAX_DIM = 100, 4096
SCALE = 0.125
"""What the products of queries, keys and values are multiplied by; its program calls it `scale`."""
THRESHOLDS, TAUS = (0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0), (1.25, 2.0, 10.0)
"""The thresholds and time constants of the search."""


class Sizes(NamedTuple):
    """A spiking transformer.

    Attributes:
        dim: channels.
        heads: groups of channels in the attention of each block.
        ratios: channels between the two layers of each block, as multiples of `dim`; a part of a channel is dropped.
    """

    dim: int
    heads: Sequence[int]
    ratios: Sequence[float]


class Style(NamedTuple):
    """What two kinds of spiking transformers do differently.

    Attributes:
        fire: puts neurons behind a net, by their name and threshold.
        threshold: of all neurons but those of attention, which have half of it.
        first: whether neurons stand in front of the layers of a block, so that real numbers are added between blocks.
        scale: see SCALE.
    """

    fire: Callable[[Net, str, float], Net]
    threshold: float = 1.0
    first: bool = False
    scale: float = SCALE


def lif(tau: float, net: Net, name: str, threshold: float) -> Net:
    """`v' = v + (x - v) / tau`, a spike where it is at least the threshold, and a reset to 0."""
    return net.lif(1 - 1 / tau, threshold, gain=1 / tau, firing=HARD, name=name)


class _Transformer:
    """A network while it grows."""

    def __init__(self, net: Net, style: Style):
        self.net, self.style = net, style

    def fire(self, name: str) -> _Transformer:
        self.style.fire(self.net, name, self.style.threshold)
        return self

    def layer(self, name: str, channels: int, side: int = 1) -> _Transformer:
        """A layer and its batch norm: of each token with a bias, or a convolution of the image without one."""
        self.net.conv(channels, side, bias=side == 1, name=name).norm(name=f"{name}.norm")
        return self

    def embed(self, dim: int) -> None:
        """From an image to `[dim, tokens]`, a quarter of the rows and of the columns."""
        for place, width in enumerate((dim // 8, dim // 4, dim // 2), start=1):
            self.layer(f"stem{place}", width, 3).fire(f"stem{place}.lif")
        self._halve("stem3").layer("stem4", dim, 3)
        entry = (self if self.style.first else self.fire("stem4.lif"))._halve("stem4").net.tap()
        self.layer("stem5", dim, 3)
        if not self.style.first:
            self.fire("stem5.lif")
        self.net.add(entry, name="stem.add").tokens(name="tokens")

    def _halve(self, name: str) -> _Transformer:
        self.net.pool(3, kind="max", stride=2, padding=1, name=f"{name}.pool")
        return self

    def attend(self, name: str, dim: int, heads: int) -> None:
        net, entry = self.net, self.net.tap()
        start = self.fire(f"{name}.lif").net.tap() if self.style.first else entry
        queries, keys, values = (self.at(start).layer(f"{name}.{word}", dim).fire(f"{name}.{word}.lif").net.tap()
                                 for word in ("queries", "keys", "values"))
        net.at(queries).multiply(keys, "channels", heads=heads, name=f"{name}.match")
        match = net.scale(self.style.scale, name=f"{name}.scale").tap()
        net.at(values).multiply(match, "tokens", heads=heads, name=f"{name}.attend")
        self.style.fire(net, f"{name}.attend.lif", self.style.threshold / 2)
        self.layer(f"{name}.out", dim)
        if not self.style.first:
            self.fire(f"{name}.out.lif")
        net.add(entry, name=f"{name}.add")

    def mix(self, name: str, dim: int, hidden: int) -> None:
        """The two layers of a block."""
        entry = self.net.tap()
        for place, channels in ((1, hidden), (2, dim)):
            if self.style.first:
                self.fire(f"{name}.lif{place}")
            self.layer(f"{name}.fc{place}", channels)
            if not self.style.first:
                self.fire(f"{name}.lif{place}")
        self.net.add(entry, name=f"{name}.add")

    def at(self, tap: Tap) -> _Transformer:
        self.net.at(tap)
        return self


def network(sizes: Sizes, style: Style, data: Data, ticks: int, *, name: str) -> Graph:
    """A spiking transformer.

    Raises:
        CompileError: SNN404 for sizes that do not go together.
    """
    family = name.partition(":")[0]
    _expect_fit(family, sizes, data)
    built = _Transformer(data.net(name, ticks), style)
    built.embed(sizes.dim)
    for place, (heads, ratio) in enumerate(zip(sizes.heads, sizes.ratios, strict=True), start=1):
        built.attend(f"block{place}.attention", sizes.dim, heads)
        built.mix(f"block{place}.layers", sizes.dim, int(sizes.dim * ratio))
    return built.net.global_pool(name="mean").linear(data.classes, bias=True, name="classes").graph()


def _expect_fit(family: str, sizes: Sizes, data: Data) -> None:
    if sizes.dim % 8:
        refuse(family, "dim", f"{sizes.dim}", "a multiple of 8")
    if len(sizes.heads) != len(sizes.ratios):
        refuse(family, "blocks", f"{len(sizes.heads)} numbers of heads and {len(sizes.ratios)} ratios",
               "one of both for each block")
    for place, heads in enumerate(sizes.heads, start=1):
        if sizes.dim % heads:
            refuse(family, f"heads of block {place}", f"{heads}", f"a divisor of the {sizes.dim} channels")


def read_sizes(family: str, dim: str, heads: str, ratios: str) -> Sizes:
    """The sizes that three fields of a notation name."""
    return Sizes(number(family, "dim", dim, 8, MAX_DIM),
                 [number(family, "heads", word, 1, MAX_DIM) for word in parts(family, "heads", heads, 1, MAX_BLOCKS)],
                 [decimal(family, "ratios", word, 1, 16) for word in parts(family, "ratios", ratios, 1, MAX_BLOCKS)])


def graph(text: str) -> Graph:
    """The network that a notation names."""
    dim, heads, ratios, neurons, data = split(NAME, text, "DIM:HEADS:RATIOS:TICKS,THRESHOLD,TAU:DATA", 3)
    ticks, threshold, tau = parts(NAME, "ticks, threshold and tau", neurons or "4,1,2", 3, 3)
    style = Style(partial(lif, decimal(NAME, "tau", tau, 1, 1000)), decimal(NAME, "threshold", threshold, 0.01, 1000))
    return network(read_sizes(NAME, dim, heads, ratios), style, one_of(NAME, "data", data or "cifar10", DATA),
                   number(NAME, "ticks", ticks, 1, MAX_TICKS), name=f"{NAME}:{text}")


def space(data: str = "cifar10", *, neurons: bool = False) -> Space:
    """The networks of the search, with 2 to 4 blocks. Heads and ratios of blocks that are not there change nothing.

    Args:
        neurons: whether ticks, threshold and time constant are searched too.
    """
    choices: dict[str, tuple[float, ...]] = {"depth": (2, 3, 4), "dim": (192, 240, 336, 384)}
    for place in range(1, 5):
        choices |= {f"heads{place}": (6, 12), f"ratio{place}": (3, 3.5, 4)}
    if neurons:
        choices |= {"ticks": (2, 3, 4, 5, 6), "threshold": THRESHOLDS, "tau": TAUS}
    return Space(f"{NAME}-{'neurons' if neurons else 'sizes'}", choices, partial(_of, data))


def _of(data: str, /, depth: int, dim: int, ticks: int = 4, threshold: float = 1.0, tau: float = 2.0, **blocks: float
        ) -> Graph:
    return network(sizes_of(depth, dim, blocks), Style(partial(lif, tau), threshold), DATA[data], ticks, name=NAME)


def sizes_of(depth: int, dim: int, blocks: dict[str, float]) -> Sizes:
    """The sizes of a pick, in which `heads1` and `ratio1` are those of the first block."""
    places = range(1, depth + 1)
    return Sizes(dim, [int(blocks[f"heads{p}"]) for p in places], [blocks[f"ratio{p}"] for p in places])


_CODE = "Auto-Spikformer, Che et al., Frontiers in Neuroscience 18, 2024, from the repository of its authors"
FAMILY = Family(
    NAME, "Auto-Spikformer, Che et al., Frontiers in Neuroscience 2024; Spikformer, Zhou et al., ICLR 2023",
    "DIM:HEADS:RATIOS, and :TICKS,THRESHOLD,TAU and :DATA, a number of heads and a ratio for each block, such as "
    "384:12,12,12,12:4,4,4,4", graph, {
        "spikformer-4-384": Preset("384:12,12,12,12:4,4,4,4", "Spikformer, Zhou et al., ICLR 2023"),
        "small1": Preset("240:12,12,6,6:4,4,3.5,4", f"{_CODE}, small model 1"),
        "cifar100-small1": Preset("240:12,12,12,12:3.5,3,3.5,3.5:4,1,2:cifar100", f"{_CODE}, CIFAR-100 small model 1"),
        "cifar100-small2": Preset("384:6,6:3.5,3:4,1,2:cifar100", f"{_CODE}, CIFAR-100 small model 2"),
    }, {"sizes": space, "neurons": partial(space, neurons=True)})
