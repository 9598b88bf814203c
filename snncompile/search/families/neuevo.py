"""NeuEvo: one cell of three nodes with excitatory and inhibitory operations, which all places of a network repeat.

A network is the operations of its cell, as `signed_cells` describes them, and where they differ from the defaults its
data, its channels and its number of cells:

    neuevo:cifar-new0
    neuevo:conv_3x3_p@0,conv_5x5_n@1,conv_3x3_p@1,conv_3x3_n@2,conv_3x3_p_back@2:cifar10:16:8

Neurons stand in front of the convolutions that halve the size, behind the last cell and behind the last layer. The
program's default of 36 channels and 16 cells is the default here too. Which genotype is the network of the paper is not
said in the code; `dvscal` stands for N-Caltech101 there, whose presets get the input of CIFAR10-DVS.
"""

from __future__ import annotations

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import DATA, Data
from snncompile.search.families.family import Family, Preset, number, one_of, split
from snncompile.search.families.signed_cells import CHANNELS, Cell, Grown, Plan, halvings, read_cell

CELLS = 16
MAX_CELLS, MAX_CHANNELS = 64, 512


def network(cell: Cell, data: Data, *, channels: int = CHANNELS, cells: int = CELLS, name: str = "neuevo") -> Graph:
    """A network that repeats a cell.

    Args:
        cell: with two inputs.
        data: what the network receives.
        channels: of a node in the first cells.
        cells: of the network, with those that halve the size.
    """
    grown = Grown(name, Plan("neuevo", data, channels))
    for _ in range(cells):
        grown.cell(cell, halvings(data, cells))
    return grown.head().graph()


def graph(text: str) -> Graph:
    """The network that a notation names."""
    cell, data, channels, cells = split("neuevo", text, "OPERATIONS:DATA:CHANNELS:CELLS", 1)
    return network(read_cell("neuevo", cell, 2), one_of("neuevo", "data", data or "cifar10", DATA),
                   channels=number("neuevo", "channels", channels or str(CHANNELS), 2, MAX_CHANNELS),
                   cells=number("neuevo", "cells", cells or str(CELLS), 4, MAX_CELLS), name=f"neuevo:{text[:60]}")


_SHORT = {"a": "avg_pool_3x3", "3": "conv_3x3", "5": "conv_5x5"}


def _spelled(forward: str, back: str = "") -> str:
    """Operations written out: `a+1` is `avg_pool_3x3_p@1`, and `5-0` is `conv_5x5_n@0`."""
    words = [(word, "") for word in forward.split()] + [(word, "_back") for word in back.split()]
    return ",".join(f"{_SHORT[w[0]]}{'_p' if w[1] == '+' else '_n'}{end}@{w[2]}" for w, end in words)


_CIFAR = {
    "cifar-new0": ("a+1 a-0 3-0 a+1 3+2 3-3", "a-2 3+1"),
    "cifar-new1": ("a+1 a+0 3-0 a+1 a+2 3+0", "a-2 3+2"),
    "cifar-new2": ("3-0 a+1 3+0 a+1 3+2 3-0", "3-2 3+2"),
    "cifar-new-skip1": ("5-0 5+1 a+0 a-2 a+2 5+0", "a-2 a+3"),
}
_DVS = {
    "dvsc10-new-skip": ("3-1 3+0 3+0 a+1 3+2 3-0", "3+2 3+2"),
    "dvsc10-new-skip1": ("5+0 3-1 3-2 3+1 5+1 3+2", "3+2 3+2"),
    "dvsc10-new-skip2": ("a+0 a+1 a+0 a+1 3+2 a-0", "a-2 3+2"),
    "dvsc10-new-skip3": ("5+0 3+1 3-2 3-0 3+2 5+3", "5-2 3+3"),
    "dvsc10-new-skip4": ("5-1 5+0 3+2 5+1 3+2 5-0", "3+2 3+3"),
    "dvsc10-new-skip5": ("3+0 3+1 3-2 3-0 3+2 3+3", "5-2 3+2"),
    "dvsc10-new-skip6": ("3+0 5-1 5+2 5+1 3+2 5-0", "3-2 3-2"),
    "dvsc10-new-skip7": ("5+0 5+1 3-2 5-0 3+2 5+3", "5-2 3+3"),
    "dvsc10-new-skip8": ("5-0 5-1 3-2 5+0 3+2 5-1", "5-2 3+3"),
    "dvsc10-new-skip9": ("5+1 5-0 5+2 5-0 3+2 5+3", "3+2 5-3"),
    "dvsc10-new-skip10": ("5-1 3+0 5+2 5+1 3+2 5-1", "3-2 3-2"),
    "dvsc10-new-skip11": ("3-0 5-1 5+0 3-2 3+2 5-0", "3-2 3+3"),
    "dvsc10-new-skip12": ("5-0 3+1 5-2 5-0 3+2 5+3", "3-2 3+2"),
    "dvsc10-new-skip13": ("5-1 3+0 5-1 3+2 3+2 5-1", "3-2 3+3"),
    "dvsc10-new-skip14": ("5-1 3+0 5+1 3+2 3+2 5-1", "3-2 3+3"),
    "dvsc10-new-skip15": ("5-0 5+1 5+2 5-1 3+2 5+3", "5+2 3+3"),
    "dvsc10-new-skip16": ("5+0 5-1 3-2 a+0 3+2 a-3", "3+2 3+3"),
    "dvsc10-new-skip17": ("3+1 5-0 5-2 5+1 3+2 a+3", "a+2 3+2"),
    "dvsc10-new-skip18": ("5+0 3+1 5+2 5-0 3+2 5+3", "5-2 3+2"),
    "dvsc10-new-skip19": ("5-0 3+1 5-2 5-0 3+2 5+3", "3+2 5+2"),
    "dvsc10-new-skip20": ("5+0 5-1 3-2 5+0 3+2 3-3", "3+2 5+3"),
    "dvsc10-new-skip21": ("3-0 5+1 3+1 5+2 5-2 3+1", ""),
    "dvsc10-new-skip22": ("3+1 3+0 5-1 3+2 5-0 3+3", "3-0 3+1"),
    "dvsc10-new-base0": ("a+1 a+0 a-2 a+1 a-2 a-3", "a-2 a-3"),
    "dvsc10-new-base1": ("3+1 5-0 5+1 3+0 5-1 3+0", "a+2 3+3"),
    "dvsc10-new-base2": ("5+0 3+1 5-1 a+0 a-3 5-1", "a-2 a-2"),
    "dvsc10-new-base3": ("a+0 5+1 3+1 3-0 5+1 3-0", "3+2 a-3"),
    "dvsc10-grad1": ("a+1 5+0 a-2 a-1 a+2 5-1", "5+2 3+3"),
    "dvsc10-grad2": ("a-1 5+0 5-1 5-0 3+3 5-1", "5+2 3+2"),
    "dvsc10-new0": ("3+1 a+0 a+2 3-1 3+0 3+3", "3+2 3-3"),
    "dvsc10-new1": ("3+1 a+0 a+0 3-1 3+0 3+1", "3+2 3-2"),
    "dvsc10-new2": ("3+0 3-1 3-1 a+0 a+2 3-1", "a-2 3+2"),
    "dvsc10-new3": ("a+0 3-1 3-1 3-0 a+2 3-1", "a-2 a+2"),
    "dvsc10-new4": ("3-1 3+0 5+1 5+0 5+1 5+0", "a+2 a-2"),
    "dvsc10-new5": ("5+1 3+0 3+0 5+1 3+0 a+1", "a-2 a-2"),
    "dvsc10-new6": ("3+1 3+0 3+0 3+1 3+0 a+1", "a-2 a-2"),
    "dvsc10-new7": ("5+0 5+1 3+0 5-1 5+0 5-1", "3-2 a-2"),
    "dvsc10-new8": ("5+0 5+1 3+0 5-1 5+0 5-1", "a-2 a-3"),
    "dvscal-new1": ("5-0 5-1 5-1 5+0 a+1 5+0", "a-2 a-2"),
    "dvsg-new1": ("a+1 5+0 3+1 3+0 3+1 a+0", "a-2 5-3"),
    "dvsg-new2": ("a+1 5+0 3+1 3+0 3+1 a+0", "a-2 a-3"),
}
"""The genotypes of BrainCog's `genotypes.py`; `dvsc10_new_skip22` is defined twice there, and the second one counts."""


def _presets() -> dict[str, Preset]:
    source = "NeuEvo, Shen et al., PNAS 2023, its code in BrainCog"
    data = {name: "dvs-gesture" if name.startswith("dvsg") else "cifar10-dvs" for name in _DVS} | dict.fromkeys(
        _CIFAR, "cifar10")
    return {name: Preset(f"{_spelled(*words)}:{data[name]}", source) for name, words in (_CIFAR | _DVS).items()}


FAMILY = Family(
    "neuevo", "NeuEvo", "OPERATIONS, OPERATIONS:DATA or OPERATIONS:DATA:CHANNELS:CELLS, operations as conv_3x3_p@1 "
    "between commas, two a node, and those with _back last", graph, _presets())
