"""Cells by connection matrices of any size and with convolutions of any side: SpiKernel, SSTNAS and Nijenhuis.

The network and the meaning of a matrix are those of SNASNet (`cells`, `snasnet`). What these searches vary is free:

    ROWS    2 to 10 rows of as many digits: 0 none, 1 identity, 2 and 3 LIF, convolution, batch norm, 4 a pool of side 3
    SIDES   of the convolutions of operations 2 and 3; 1,3 as in SNASNet
    POOL    avg or max

    spikernel:0303-0030-2002-0200:3,5             convolutions of side 3 and 5 in the place of 1 and 3
    nijenhuis:03000-00300-00030-00003-20000       a cell of five nodes, one behind another, and a link back
    nijenhuis:032-003-000:1,3:max:cifar100

SpiKernel (Putra and Shafique, arXiv 2404.01685, 2024) chooses a set of sides and then searches the cells of SNASNet
with it. That its sets have two sides, as the operations of SNASNet have, is taken from there. Of SSTNAS and of the
search of Nijenhuis, which grows cells by morphisms and lets them inherit weights, no text was at hand: their cells are
taken to be such matrices, and adding a node or a link, the steps of a morphism, is a longer matrix or another digit.
"""

from __future__ import annotations

from functools import partial

from snncompile.ir.graph import Graph
from snncompile.search.families.cells import network, read_matrix
from snncompile.search.families.family import Family, Preset, number, one_of, parts, refuse, split
from snncompile.search.families.snasnet import SKELETONS, matrix_of, operate, space
from snncompile.search.space import Space

NAME = "matrices"
POOLS = {"avg": "avg", "max": "max"}
MAX_SIDE = 31
SIDES = ((1, 3), (3, 5), (5, 7), (7, 9))
"""The sides of the convolutions among which the space chooses; those of the paper are not at hand."""


def graph(text: str) -> Graph:
    """The network that a notation names."""
    rows, sides, pool, data = split(NAME, text, "ROWS:SIDES:POOL:DATA", 1)
    given, skeleton = one_of(NAME, "data", data or "cifar10", SKELETONS)
    first, second = (_side(word) for word in parts(NAME, "sides", sides or "1,3", 2, 2))
    kind = one_of(NAME, "pool", pool or "avg", POOLS)
    return network(read_matrix(NAME, rows, nodes=None), partial(operate, pool=kind, sides=(first, second)), given,
                   skeleton, name=f"{NAME}:{text}")


def _side(word: str) -> int:
    side = number(NAME, "sides", word, 1, MAX_SIDE)
    if side % 2 == 0:
        refuse(NAME, "sides", f"{side}", "odd sides, so that the shape stays the same")
    return side


def kernels(backward: bool, data: str = "cifar10") -> Space:
    """The matrices of SNASNet with each pair of `SIDES`."""
    cells = space(backward, data)
    return Space(f"{NAME}-{'backward' if backward else 'forward'}", {"sides": SIDES, **cells.choices},
                 partial(_of, data))


def _of(data: str, /, sides: tuple[int, int], **links: int) -> Graph:
    return network(matrix_of(links), partial(operate, sides=sides), *SKELETONS[data], name=NAME)


FAMILY = Family(
    NAME, "Connection matrices: SpiKernel, Putra and Shafique, 2024; SSTNAS; Nijenhuis",
    "ROWS, and :SIDES, :POOL and :DATA, rows of digits 0 to 4 such as 0303-0030-2002-0200, two odd sides such as 3,5, "
    "avg or max", graph,
    {"example": Preset("0303-0030-2002-0200:3,5", "an example of this notation, on the cell of SNASNet for CIFAR-10")},
    {"kernels-forward": partial(kernels, False), "kernels-backward": partial(kernels, True)})
