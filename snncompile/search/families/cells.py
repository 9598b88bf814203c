"""The network of two cells of SNASNet (Kim et al., ECCV 2022), which SpikeNAS, NeuroNAS, LightSNN and SpikeNAS-Bench
search too.

A cell has four nodes, or up to ten in `matrices`, whose values are currents. Its genotype is a matrix `M[from][to]` of
operations, 0 for none. Entries above the diagonal act within a tick; those below it take the value of the last tick.
Node 0 is the input of the cell and its last node the output:

    node i = sum over j < i of op(node j) + sum over j > i of op(node j) of the last tick

Both cells of a network have the same matrix, and numbers of their own. Operations on links that are on no way from
node 0 to the last node are left out. In a trained network one of them can still add a constant, the bias of its batch
norm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from snncompile.diagnostics import fail
from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import HARD, Data
from snncompile.search.families.family import digits, refuse
from snncompile.search.net import Net, Tap
from snncompile.search.shared import reshape_of

NODES, MOST_NODES = 4, 10
"""The nodes of a cell of the paper, and the most of any cell: a node is one digit in the names of its links."""
TAU = 4 / 3
"""The time constant of all neurons, in ticks."""
TICKS = 5
"""The ticks of a sample in SNASNet and SpikeNAS-Bench, from which the other searches have their skeleton."""
PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""The links of a cell that act within a tick."""
Matrix = tuple[tuple[int, ...], ...]
Link = tuple[int, int]
Operate = Callable[[Net, int, str], Net]
"""Puts an operation, by its digit and above 0, behind the place where a net stands; the text ends its names."""


class Skeleton(NamedTuple):
    """What stands around the cells.

    Attributes:
        width: channels of the first cell; the second one has twice as many.
        pool: the side of the pool behind the second cell.
        hidden: outputs of the first fully connected layer.
        votes: outputs of the last one for each class; their mean is taken.
        stride: of the first convolution.
    """

    width: int
    pool: int
    hidden: int
    votes: int
    stride: int = 1


def lif(net: Net, name: str, threshold: float = 1.0) -> Net:
    """`v' = v + (x - v) / tau` with `tau` 4/3, a spike where it is at least the threshold, and a reset to 0."""
    return net.neuron("euler_lif", firing=HARD, tau=TAU, threshold=threshold, name=name)


def spiking_conv(net: Net, side: int, name: str, threshold: float = 1.0) -> Net:
    """Neurons, a convolution that keeps the shape, and its batch norm."""
    lif(net, f"lif{name}", threshold).conv(net.shape[0], side, name=f"conv{name}")
    return net.norm(name=f"conv{name}.norm")


def read_matrix(family: str, text: str, largest: int = 4, *, nodes: int | None = NODES) -> Matrix:
    """The matrix of a text such as `0303-0030-2002-0200`: its rows, between spaces, commas or hyphens.

    Args:
        largest: the largest digit.
        nodes: how many rows there must be; None for 2 to MOST_NODES.

    Raises:
        CompileError: SNN404 for another number of rows, a row of another length, or a digit on the diagonal.
    """
    rows = text.replace(",", " ").replace("-", " ").split()
    count = nodes or min(max(len(rows), 2), MOST_NODES)
    if len(rows) != count:
        refuse(family, "rows of the matrix", f"{len(rows)}", f"{count} rows of {count} digits, such as 0303-0030-..."
               if nodes else f"2 to {MOST_NODES} rows, of as many digits each")
    matrix = tuple(digits(family, f"row {i}", row, count, largest) for i, row in enumerate(rows))
    for i, row in enumerate(matrix):
        if row[i]:
            refuse(family, f"row {i}, column {i}", f"{row[i]}", "0: no node leads to itself")
    return matrix


def live_links(matrix: Matrix) -> list[Link]:
    """The links that are on a way from node 0 to the last node, in the order of their rows.

    >>> live_links(((0, 3, 0, 3), (0, 0, 0, 0), (0, 0, 0, 2), (0, 0, 0, 0)))     # 0 -> 1 ends, 2 -> 3 begins
    [(0, 3)]
    """
    last = len(matrix) - 1
    links = [(i, j) for i, row in enumerate(matrix) for j, operation in enumerate(row) if operation]
    ahead = _reached(0, links)
    behind = _reached(last, [(j, i) for i, j in links])
    return [(i, j) for i, j in links if i in ahead and j in behind and last in ahead]


def _reached(start: int, links: Iterable[Link]) -> set[int]:
    found, pending = {start}, [start]
    while pending:
        node = pending.pop()
        fresh = {j for i, j in links if i == node} - found
        found |= fresh
        pending += fresh
    return found


def cell(net: Net, matrix: Matrix, operate: Operate, name: str) -> Net:
    """A cell behind the place where a net stands. At least one of its links must be live."""
    links = live_links(matrix)
    shape = net.shape
    nodes = [net.add(name=f"{name}.node0").tap()]
    for j in range(1, len(matrix)):
        terms = [_operated(net.at(nodes[i]), matrix, (i, j), operate, name) for i in range(j) if (i, j) in links]
        if terms:
            net.at(terms[0]).add(*terms[1:], name=f"{name}.node{j}")
        nodes.append(net.tap() if terms else _late_only(net, links, j, shape, name))
    for i, j in links:
        if i > j:
            _operated(net.at(nodes[i]), matrix, (i, j), operate, name)
            net.back(nodes[j], delay=1)
    return net.at(nodes[-1])


def _operated(net: Net, matrix: Matrix, link: Link, operate: Operate, name: str) -> Tap:
    i, j = link
    return operate(net, matrix[i][j], f"{i}{j}.{name}").tap()


def _late_only(net: Net, links: Sequence[Link], node: int, shape: tuple[int, ...], name: str) -> Tap:
    """A node that links of the last tick alone lead to; where none does, the node 0 stands for it and is not read."""
    if any(j == node for _, j in links):
        return net.place(shape, name=f"{name}.node{node}")
    return net.tap()


def network(matrix: Matrix, operate: Operate, data: Data, skeleton: Skeleton, *, name: str) -> Graph:
    """A network of two cells.

    Raises:
        CompileError: SNN201 where no links lead from node 0 to the last node: its output would not depend on its input.
    """
    if not live_links(matrix):
        fail("SNN201", f"candidate {name}", "no links of the cell lead from its input to its output",
             f"a way from node 0 to node {len(matrix) - 1}", "leave it out: it cannot learn anything")
    net = data.net(name, TICKS)
    net.conv(skeleton.width, 3, stride=skeleton.stride, name="stem").norm(name="stem.norm")
    cell(net, matrix, operate, "cell1").norm(name="down.norm")
    lif(net, "down.lif").conv(2 * skeleton.width, 3, name="down").norm(name="down.conv.norm").pool(2, name="down.pool")
    cell(net, matrix, operate, "cell2").norm(name="last.norm")
    lif(net, "last.lif").pool(skeleton.pool, name="last.pool").linear(skeleton.hidden, name="hidden")
    lif(net, "hidden.lif").linear(data.classes * skeleton.votes, bias=True, name="votes")
    return net.op(reshape_of((data.classes, skeleton.votes))).pool(skeleton.votes, name="mean").flatten().graph()
