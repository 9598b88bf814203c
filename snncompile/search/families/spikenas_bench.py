"""SpikeNAS-Bench: 15,625 networks of two cells whose accuracies, parameters and firing rates were published.

A network is a number. Written in base 5, least significant digit first, it gives the operations of the links (0,1),
(0,2), (0,3), (1,2), (1,3) and (2,3): 0 none, 1 identity, 2, 3 and 4 neurons with a threshold of 0.5, 1 and 1.5, a
convolution of side 3 and a batch norm. There are no links backward. See `cells` for the rest.

341 of the networks have no way from the input to the output, and are refused (SNN201); the benchmark gives each of them
the accuracy of a guess. In others, some links are on no way. The published count of parameters includes them.

    spikenas-bench:12617                  the most accurate one on CIFAR-10, with 89.30 %
    spikenas-bench:12617:cifar100
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import DATA, Data
from snncompile.search.families.cells import (
    NODES,
    PAIRS,
    Matrix,
    Skeleton,
    live_links,
    network,
    spiking_conv,
)
from snncompile.search.families.family import Family, Preset, number, one_of, split
from snncompile.search.net import Net
from snncompile.search.space import Space

OPERATIONS = 5
SIZE = OPERATIONS ** len(PAIRS)
"""How many networks there are."""
THRESHOLDS = {2: 0.5, 3: 1.0, 4: 1.5}
"""The threshold of the neurons of each operation that has some."""
SKELETONS: dict[str, tuple[Data, Skeleton]] = {
    "cifar10": (DATA["cifar10"], Skeleton(128, 2, 1024, 10)),
    "cifar100": (DATA["cifar100"], Skeleton(128, 2, 1024, 5)),
}
RATED_LINKS = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""The links of a cell in the order of the published firing rates."""
ABSENT = -1.0
"""Stands for a link without neurons among the published firing rates."""


def matrix(index: int) -> Matrix:
    """The operations of a network, `M[from][to]`.

    >>> ["".join(map(str, row)) for row in matrix(12617)]
    ['0234', '0000', '0004', '0000']
    """
    rows = [[0] * NODES for _ in range(NODES)]
    for i, j in PAIRS:
        index, rows[i][j] = divmod(index, OPERATIONS)
    return tuple(map(tuple, rows))


def is_live(index: int) -> bool:
    """Whether a network has a way from its input to its output; 341 have none."""
    return bool(live_links(matrix(index)))


def published_parameters(index: int, data: str = "cifar10") -> int:
    """How many parameters the benchmark prints: those of every operation of the genotype, on a way or not.

    `family.parameters` counts those of the graph, without the links that are on no way.
    """
    given, skeleton = SKELETONS[data]
    c, outputs = skeleton.width, given.classes * skeleton.votes
    stem, down, last = 3 * c * 9 + 2 * c, 2 * c + c * 2 * c * 9 + 4 * c, 4 * c
    classifier = 2 * c * 64 * skeleton.hidden + skeleton.hidden * outputs + outputs
    convolutions = sum(op in THRESHOLDS for row in matrix(index) for op in row)
    return stem + down + last + classifier + convolutions * (c * c * 9 + 2 * c + 4 * c * c * 9 + 4 * c)


def operate(net: Net, operation: int, name: str) -> Net:
    """An operation by its digit."""
    return net if operation == 1 else spiking_conv(net, 3, name, THRESHOLDS[operation])


def network_of(index: int, data: str = "cifar10") -> Graph:
    """The graph of a network. Raises SNN201 where no links lead from the input to the output."""
    return network(matrix(index), operate, *SKELETONS[data], name=f"spikenas-bench:{index}")


def graph(text: str) -> Graph:
    """The network that a notation names."""
    index, data = split("spikenas-bench", text, "ID:DATA", 1)
    one_of("spikenas-bench", "data", data or "cifar10", SKELETONS)
    return network_of(number("spikenas-bench", "id", index, 0, SIZE - 1), data or "cifar10")


def rates(published: Sequence[float]) -> dict[str, float]:
    """Spikes a neuron and tick by the name of the population, from the firing rates that the benchmark prints.

    Args:
        published: 16 numbers: of the links of both cells in the order of `RATED_LINKS`, of the neurons between the
            cells, behind the second one and in the classifier; and the mean over all neurons. The benchmark does not
            name the three before the mean, but its means agree with this order alone.
    """
    names = [f"lif{i}{j}.{cell}" for cell in ("cell1", "cell2") for i, j in RATED_LINKS]
    names += ["down.lif", "last.lif", "hidden.lif"]
    return {name: rate for name, rate in zip(names, published[:-1], strict=True) if rate != ABSENT}


def space(data: str = "cifar10") -> Space:
    """All 15,625 networks; the number of a candidate is that of the benchmark. 341 of them have no graph: SNN201."""
    return Space("spikenas-bench", {f"link{i}{j}": range(OPERATIONS) for i, j in reversed(PAIRS)}, partial(_of, data))


def _of(data: str, /, **links: int) -> Graph:
    return network_of(sum(op * OPERATIONS ** place for place, op in enumerate(reversed(links.values()))), data)


FAMILY = Family(
    "spikenas-bench", "SpikeNAS-Bench, 2024", f"ID or ID:DATA, a number of 0 to {SIZE - 1}; DATA cifar10 or cifar100",
    graph,
    {name: Preset(text, f"SpikeNAS-Bench, {words}", count) for name, text, words, count in (
        ("cifar10-best", "12617", "the most accurate on CIFAR-10, 89.30 %", None),
        ("cifar100-best", "14953:cifar100", "the most accurate on CIFAR-100, 64.2 %", None),
        ("demo", "14862", "the one that its demo finds, 88.50 % on CIFAR-10", None))},
    {name: partial(space, name) for name in SKELETONS})
