"""MSE-NAS: a motif for each cell, of cells with two, three or four inputs. `motifs` explains the notation.

    msenas:2:1,2,3,4,5,1:cifar10
    msenas:4:1/0110110100110100,2/010010100110:cifar10-dvs:48
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import DATA, Data
from snncompile.search.families.family import Family, number, one_of, parts, split
from snncompile.search.families.motifs import MAX_CELLS, motif, read_motif
from snncompile.search.families.signed_cells import Cell, Grown, Plan, halvings
from snncompile.search.space import Space

CHANNELS, MAX_CHANNELS = 48, 512
SEARCHED = 6
"""The cells of the program's default."""


def network(cells: Sequence[Cell], data: Data, *, channels: int = CHANNELS, name: str = "msenas") -> Graph:
    """A network of cells, one of which is named for each place; where the size is halved, a cell has no effect.

    Args:
        channels: of a node in the first cells.
    """
    grown = Grown(name, Plan("msenas", data, channels, neurons_each=True))
    for cell in cells:
        grown.cell(cell, halvings(data, len(cells)))
    return grown.head().graph()


def graph(text: str) -> Graph:
    """The network that a notation names."""
    inputs, motifs, data, channels = split("msenas", text, "INPUTS:MOTIFS:DATA:CHANNELS", 2)
    entering = number("msenas", "inputs", inputs, 2, 4)
    found = (word.partition("/") for word in parts("msenas", "motifs", motifs, 4, MAX_CELLS))
    cells = [read_motif("msenas", entering, which.strip(), bits.strip()) for which, _, bits in found]
    return network(cells, one_of("msenas", "data", data or "cifar10", DATA),
                   channels=number("msenas", "channels", channels or str(CHANNELS), 2, MAX_CHANNELS),
                   name=f"msenas:{text[:60]}")


def space(data: str, cells: int = SEARCHED) -> Space:
    """All choices of motifs with two inputs, each with the operations that it was written with."""
    return Space(f"msenas-{data}", {f"cell{i + 1}": (1, 2, 3, 4, 5) for i in range(cells)}, partial(_chosen, data))


def _chosen(data: str, **motifs: int) -> Graph:
    return network([motif(2, which) for which in motifs.values()], DATA[data])


FAMILY = Family(
    "msenas", "MSE-NAS, Pan et al., 2023", "INPUTS:MOTIFS, INPUTS:MOTIFS:DATA or INPUTS:MOTIFS:DATA:CHANNELS, inputs 2 "
    "to 4, motifs as 1 or 1/0110 between commas, four or more", graph, {},
    {name: partial(space, name) for name in ("cifar10", "cifar10-dvs")})
