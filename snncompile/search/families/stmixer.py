"""STMixer (Deng et al., NeurIPS 2024): a spiking transformer with weights from token to token in place of attention.

A stem of five convolutions and a bypass of one make tokens of an image. Blocks mix tokens, then channels:

    stem      convolutions of side 3 to d/8, d/4, d/2, d and 7d/8 channels, each with a batch norm, LIF behind all but
              the last; the last two (DOWNSAMPLE 2) or the last four (4) of them halve rows and columns
    bypass    one convolution of the image in patches of side 2^DOWNSAMPLE to d/8 channels, and a batch norm; its
              channels stand in front of those of the stem
    tokens    x + (LIF, convolution of side 1, batch norm, LIF, token mixing, LIF, convolution of side 1, batch norm)
    channels  x + (LIF, to MLP d channels, batch norm, LIF, back to d channels, batch norm)
    readout   the mean of all tokens and a fully connected layer

Token mixing is a matrix over the tokens for each head (`ir.token_mix`), without a bias and without neurons of its own.
A genotype is IMAGE,DOWNSAMPLE,DIM,TICKS,MLP,DEPTH,HEADS, in the order of the authors' program:

    stmixer:32,2,384,1,4,10,16:cifar100        its demonstration: 32 x 32 pixels, 384 channels, 1 tick, 10 blocks

The sums `x` between the blocks are real numbers. Where hardware carries spikes only, each sum becomes a projection from
every layer that adds to it.
"""

from __future__ import annotations

from typing import NamedTuple

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import DATA, HARD, Data
from snncompile.search.families.family import Family, Preset, number, one_of, parts, refuse, split
from snncompile.search.net import Net

NAME = "stmixer"
FIELDS = {"image": (2, 1024), "downsample": (2, 4), "dim": (8, 4096), "ticks": (1, 1024), "mlp": (1, 16),
          "depth": (1, 100), "heads": (1, 4096)}
"""The numbers of a genotype in their order: the least and the largest value of each."""
STRIDES = {2: (1, 1, 1, 2, 2), 4: (1, 2, 2, 2, 2)}
"""The strides of the stem, by how often it halves rows and columns."""


class Genotype(NamedTuple):
    """A network of the family.

    Attributes:
        image: rows and columns of the input, a multiple of 2^downsample.
        downsample: how often the stem halves them, 2 or 4.
        dim: channels, a multiple of 8 and of the heads.
        ticks: of a sample.
        mlp: channels inside a mixing of channels, as a multiple of `dim`.
        depth: how many blocks.
        heads: groups of channels with matrices of their own.
    """

    image: int
    downsample: int
    dim: int
    ticks: int
    mlp: int
    depth: int
    heads: int


def lif(net: Net, name: str) -> Net:
    """`v' = v / 2 + x`, a spike where it is at least 1, and a reset to 0."""
    return net.lif(0.5, firing=HARD, name=name)


def _conv(net: Net, channels: int, name: str, side: int = 1, stride: int = 1, padding: int | None = None) -> Net:
    """A convolution and its batch norm."""
    return net.conv(channels, side, stride=stride, padding=padding, name=name).norm(name=f"{name}.norm")


def _tokens(net: Net, geno: Genotype) -> None:
    """The stem and its bypass, from an image to `[dim, tokens]`."""
    entry, eighth = net.tap(), geno.dim // 8
    widths = (eighth, geno.dim // 4, geno.dim // 2, geno.dim, 7 * eighth)
    for place, (width, stride) in enumerate(zip(widths, STRIDES[geno.downsample], strict=True), start=1):
        _conv(net, width, f"stem{place}", 3, stride)
        if place < len(widths):
            lif(net, f"stem{place}.lif")
    stem, patch = net.tap(), 1 << geno.downsample
    _conv(net.at(entry), eighth, "bypass", patch, patch, 0).concat(stem, name="patches").tokens(name="tokens")


def _block(net: Net, geno: Genotype, name: str) -> None:
    entry, tokens, channels = net.tap(), f"{name}.tokens", f"{name}.channels"
    lif(_conv(lif(net, f"{tokens}.lif1"), geno.dim, f"{tokens}.conv1"), f"{tokens}.lif2")
    lif(net.token_mix(heads=geno.heads, name=f"{tokens}.mix"), f"{tokens}.lif3")
    entry = _conv(net, geno.dim, f"{tokens}.conv2").add(entry, name=f"{tokens}.add").tap()
    lif(_conv(lif(net, f"{channels}.lif1"), geno.mlp * geno.dim, f"{channels}.conv1"), f"{channels}.lif2")
    _conv(net, geno.dim, f"{channels}.conv2").add(entry, name=f"{channels}.add")


def network(geno: Genotype, data: Data, *, name: str = NAME) -> Graph:
    """A network.

    Args:
        data: what it receives, in images of the size that the genotype names.

    Raises:
        CompileError: SNN404 for numbers that do not go together.
    """
    _expect_fit(geno)
    net = data._replace(shape=(data.shape[0], geno.image, geno.image)).net(name, geno.ticks)
    _tokens(net, geno)
    for place in range(1, geno.depth + 1):
        _block(net, geno, f"block{place}")
    return net.global_pool(name="mean").linear(data.classes, bias=True, name="classes").graph()


def _expect_fit(geno: Genotype) -> None:
    if geno.downsample not in STRIDES:
        refuse(NAME, "downsample", f"{geno.downsample}", " or ".join(map(str, STRIDES)))
    patch = 1 << geno.downsample
    if geno.image % patch:
        refuse(NAME, "image", f"{geno.image}", f"a multiple of {patch}, the side of a patch")
    if geno.dim % 8:
        refuse(NAME, "dim", f"{geno.dim}", "a multiple of 8, since an eighth of the channels comes from the bypass")
    if geno.dim % geno.heads:
        refuse(NAME, "heads", f"{geno.heads}", f"a divisor of the {geno.dim} channels")


def graph(text: str) -> Graph:
    """The network that a notation names."""
    numbers, data = split(NAME, text, "GENOTYPE:DATA", 1)
    words = parts(NAME, f"numbers {','.join(FIELDS)}", numbers, len(FIELDS), len(FIELDS))
    geno = Genotype(*(number(NAME, what, word, *ends) for word, (what, ends) in zip(words, FIELDS.items(),
                                                                                   strict=True)))
    return network(geno, one_of(NAME, "data", data or "cifar10", DATA), name=f"{NAME}:{text}")


FAMILY = Family(
    NAME, "STMixer, Deng et al., NeurIPS 2024",
    "IMAGE,DOWNSAMPLE,DIM,TICKS,MLP,DEPTH,HEADS or that and :DATA, such as 32,2,384,1,4,10,16:cifar100", graph,
    {"demo": Preset("32,2,384,1,4,10,16:cifar100", "STMixer, Deng et al., NeurIPS 2024, the demonstration of its "
                                                   "authors, for CIFAR-100")})
