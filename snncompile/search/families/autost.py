"""AutoST: a search of the sizes of spiking transformers whose neurons stand in front of the layers.

Parts have the names of `spikformer`. What differs from that:

    tokens     no neurons behind the last two convolutions: maxima of real numbers, and a sum of real numbers
    attention  x + f(x), which begins with neurons, and ends with a layer and a batch norm
    two layers x + g(x): neurons, a layer and a batch norm, twice

Neurons are parametric LIFs with one learned leak a layer (Fang et al., ICCV 2021), as in `autosnn`.

    autost:384:8,8,8:4,4,4:4:cifar100       384 channels, 3 blocks of 8 heads, 4 ticks

Attention multiplies spikes with spikes, which every target refuses; see `spikformer`. The repository of its authors has
the spaces, but none of the networks that were found, so that there are no presets.
"""

from __future__ import annotations

from functools import partial

from snncompile.ir.graph import Graph
from snncompile.ir.types import ShapeOnly
from snncompile.search.families.backbones import DATA, HARD
from snncompile.search.families.family import MAX_TICKS, Family, number, one_of, split
from snncompile.search.families.spikformer import Style, network, read_sizes, sizes_of
from snncompile.search.net import Net
from snncompile.search.space import Space

NAME, TICKS = "autost", 4
SPACES: dict[str, tuple[range, tuple[int, ...], tuple[int, ...]]] = {
    "tiny": (range(1, 11), (192, 256, 320, 384), (3, 4, 5)),
    "small": (range(2, 13), (256, 320, 384, 448, 512), (3, 4, 5)),
    "base": (range(4, 16), (384, 448, 512, 576, 640, 704, 768), (3, 4, 5, 6)),
}
"""The spaces of its program: numbers of blocks, channels, and ratios of each block. Blocks have 4 or 8 heads."""


def plif(net: Net, name: str, threshold: float) -> Net:
    """`v' = v + (x - v) sigmoid(w)` with one learned `w`, a spike where it is at least the threshold, reset to 0."""
    return net.neuron("plif", firing=HARD, threshold=threshold, w=ShapeOnly((1,)), name=name)


STYLE = Style(plif, first=True)


def graph(text: str) -> Graph:
    """The network that a notation names."""
    dim, heads, ratios, ticks, data = split(NAME, text, "DIM:HEADS:RATIOS:TICKS:DATA", 3)
    return network(read_sizes(NAME, dim, heads, ratios), STYLE, one_of(NAME, "data", data or "cifar10", DATA),
                   number(NAME, "ticks", ticks, 1, MAX_TICKS) if ticks else TICKS, name=f"{NAME}:{text}")


def space(which: str, data: str = "cifar10") -> Space:
    """All networks of a space of the paper. Heads and ratios of blocks that are not there change nothing."""
    depths, dims, ratios = SPACES[which]
    choices: dict[str, tuple[int, ...]] = {"depth": tuple(depths), "dim": dims}
    for place in range(1, depths[-1] + 1):
        choices |= {f"heads{place}": (4, 8), f"ratio{place}": ratios}
    return Space(f"{NAME}-{which}", choices, partial(_of, data))


def _of(data: str, /, depth: int, dim: int, **blocks: float) -> Graph:
    return network(sizes_of(depth, dim, blocks), STYLE, DATA[data], TICKS, name=NAME)


FAMILY = Family(
    NAME, "AutoST, Wang et al., arXiv 2307.00293, 2023",
    "DIM:HEADS:RATIOS, and :TICKS and :DATA, a number of heads and a ratio for each block, such as 384:8,8,8:4,4,4",
    graph, {}, {name: partial(space, name) for name in SPACES})
