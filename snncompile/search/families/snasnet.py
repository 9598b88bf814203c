"""SNASNet: cells with links forward within a tick and backward in time. SpikeNAS and NeuroNAS search the same cells.

Operations: 0 none, 1 identity, 2 LIF, convolution of side 1, batch norm; 3 the same with side 3; 4 the mean of 3 x 3
neighbours. See `cells` for what a matrix means.

    snasnet:0303-0030-2002-0200             the published network for CIFAR-10, as the preset cifar10-bw
    snasnet:0302-0030-3003-0000:cifar100
"""

from __future__ import annotations

from functools import partial

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import DATA, Data
from snncompile.search.families.cells import NODES, PAIRS, Matrix, Skeleton, network, read_matrix, spiking_conv
from snncompile.search.families.family import Family, Preset, one_of, split
from snncompile.search.net import Net
from snncompile.search.space import Space

OPERATIONS = ("none", "identity", "LIF and convolution 1x1", "LIF and convolution 3x3", "mean of 3x3")
SKELETONS: dict[str, tuple[Data, Skeleton]] = {
    "cifar10": (DATA["cifar10"], Skeleton(256, 4, 1024, 10)),
    "cifar100": (DATA["cifar100"], Skeleton(128, 2, 1024, 5)),
    "tiny": (DATA["tiny"], Skeleton(128, 2, 4096, 5, stride=2)),
}


def operate(net: Net, operation: int, name: str, *, pool: str = "avg", sides: tuple[int, int] = (1, 3)) -> Net:
    """An operation by its digit.

    Args:
        pool: the kind of the pool of operation 4.
        sides: of the convolutions of operations 2 and 3.
    """
    match operation:
        case 1:
            return net
        case 4:
            return net.pool(3, kind=pool, stride=1, padding=1, name=f"pool{name}")
    return spiking_conv(net, sides[operation - 2], name)


def graph(text: str) -> Graph:
    """The network that a notation names."""
    return _graph("snasnet", "avg", text)


def _graph(family: str, pool: str, text: str) -> Graph:
    rows, data = split(family, text, "ROWS:DATA", 1)
    given, skeleton = one_of(family, "data", data or "cifar10", SKELETONS)
    return network(read_matrix(family, rows), partial(operate, pool=pool), given, skeleton, name=f"{family}:{text}")


def matrix_of(links: dict[str, int]) -> Matrix:
    """The matrix of operations by pairs of nodes, such as {"01": 3, "13": -2}; negative ones lead backward.

    >>> matrix_of({"01": 3, "13": -2})
    ((0, 3, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 2, 0, 0))
    """
    rows = [[0] * NODES for _ in range(NODES)]
    for pair, operation in links.items():
        i, j = map(int, pair[-2:])
        rows[min(i, j) if operation >= 0 else max(i, j)][max(i, j) if operation >= 0 else min(i, j)] = abs(operation)
    return tuple(map(tuple, rows))


def space(backward: bool, data: str = "cifar10", *, family: str = "snasnet", pool: str = "avg") -> Space:
    """All matrices with a link or none between any two nodes, and one forward from node 0 to node 3, as in the paper.

    A choice is an operation, and with backward links also the negative of one, which leads from the later node to the
    earlier one in the next tick.

    Args:
        backward: 4 x 9^5 matrices with links both ways, or 4 x 5^5 with links forward only.
    """
    values = tuple(sorted(range(-4 if backward else 0, 5), key=abs))
    return Space(f"{family}-{'backward' if backward else 'forward'}",
                 {f"link{i}{j}": (1, 2, 3, 4) if (i, j) == (0, NODES - 1) else values for i, j in PAIRS},
                 partial(_of, family, pool, data))


def _of(family: str, pool: str, data: str, /, **links: int) -> Graph:
    return network(matrix_of(links), partial(operate, pool=pool), *SKELETONS[data], name=family)


_PAPER = "SNASNet-Bw, Kim et al., ECCV 2022, from the repository of its authors"
FAMILY = Family(
    "snasnet", "SNASNet, Kim et al., ECCV 2022; also the cells of SpikeNAS and NeuroNAS",
    "ROWS or ROWS:DATA, four rows of four digits 0 to 4 such as 0303-0030-2002-0200; DATA cifar10, cifar100 or tiny",
    graph,
    {"cifar10-bw": Preset("0303-0030-2002-0200", _PAPER),
     "cifar100-bw": Preset("0302-0030-3003-0000:cifar100", _PAPER)},
    {"forward": partial(space, False), "backward": partial(space, True)})
LIGHTSNN = Family(
    "lightsnn", "LightSNN", "ROWS or ROWS:DATA as in snasnet, in which operation 4 is the maximum of 3x3 neighbours",
    partial(_graph, "lightsnn", "max"), {},
    {"forward": partial(space, False, family="lightsnn", pool="max"),
     "backward": partial(space, True, family="lightsnn", pool="max")})
