"""LitE-SNN: the cells of SpikeDHS with a fifth of their weights, and a width of the weights for each cell.

Bits are 1, 2 or 4 for each cell of the path, and 4 in the first and the last layer. A weight of k bits has `2^k` levels
on both sides of 0 and none at 0, so that with those that were pruned it takes `2^k + 1` values. As integers these are
odd numbers up to `2^k - 1`: one bit more than is stored, which hardware without a decoder of weights must have.

    litesnn:[[1,0],[0,0],[2,1],[3,1],[7,1],[5,1]]:00111222:14222214
"""

from __future__ import annotations

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import DATA
from snncompile.search.families.family import Family, Preset, one_of, refuse, split
from snncompile.search.families.spikedhs import PATH, Precision, network, read_branches, read_path

DENSITY, ENDS_BITS, BITS = 0.2, 4, ("1", "2", "4")
"""The share of weights that is kept, the bits of the first and the last layer, and those of a cell."""
TICKS = 5
"""Of a sample of the paper."""


def graph(text: str) -> Graph:
    """The network that a notation names."""
    cell, path, bits, data = split("litesnn", text, "CELL:PATH:BITS:DATA", 3)
    levels = read_path("litesnn", path)
    precision = Precision(_bits(bits, len(levels)), ENDS_BITS, DENSITY, bias=False)
    return network(read_branches("litesnn", cell), levels, one_of("litesnn", "data", data or "cifar10", DATA),
                   precision=precision, ticks=TICKS, name=f"litesnn:{text}")


def _bits(text: str, cells: int) -> tuple[int, ...]:
    if len(text) != cells:
        refuse("litesnn", "bits", f"{len(text)} digits", f"expected {cells}, found {len(text)}: one for each cell")
    for place, character in enumerate(text, start=1):
        if character not in BITS:
            refuse("litesnn", f"bits, cell {place}", f'"{character}"', ", ".join(BITS))
    return tuple(map(int, text))


FAMILY = Family(
    "litesnn", "LitE-SNN, Liu et al., IJCAI 2024",
    "CELL:PATH:BITS or CELL:PATH:BITS:DATA, a cell and a path as in spikedhs, and a digit 1, 2 or 4 for each cell",
    graph,
    {"readme": Preset(f"[[1,0],[0,0],[2,1],[3,1],[7,1],[5,1]]:{PATH}:14222214",
                      "LitE-SNN, the readme of its repository"),
     "code": Preset(f"[[0,1],[1,0],[4,0],[3,0],[7,1],[6,1]]:{PATH}:44442414", "LitE-SNN, the code of its repository")})
