"""SpikeDHS: a cell of three nodes that is repeated along a path of resolutions.

A cell reads the outputs of the last cell but one and of the last cell. A node is a population, whose current is the sum
of a convolution of side 3 and a batch norm for each of its branches. The output of the cell is the concatenation of the
spikes of its nodes. Branches are numbered from node to node:

    node 0: branch 0 from the last cell but one, 1 from the last cell
    node 1: 2 and 3 from these cells, 4 from node 0
    node 2: 5 and 6 from these cells, 7 from node 0, 8 from node 1

A genotype lists branches with an operation each. In the trained networks every operation, a skip too, is the
convolution and the batch norm: only the set of branches matters. The path gives a level for each cell; a level more
halves rows and columns, for which each second spike is taken, and doubles the channels.

The authors' code keeps the membranes behind the last pool from one batch to the next, so that its results depend on the
order of the samples. Here all membranes start at 0 with each sample.

    spikedhs:[[1,1],[0,1],[3,2],[2,1],[7,1],[8,1]]        the network for CIFAR-10, with the path 00111222
    spikedhs:0,1,2,3,7,8:00111222:cifar100                the same branches
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import DATA, HARD_STRICT, Data
from snncompile.search.families.family import (
    Family,
    Preset,
    digits,
    genotype,
    number,
    one_of,
    parts,
    refuse,
    split,
)
from snncompile.search.net import Net, Tap

NODES, BRANCHES, LEVELS = 3, 9, 4
PATH, CHANNELS, MOST_CELLS = "00111222", 48, 64
TICKS = 6
"""Of a sample of the paper."""
FIRST_BRANCH = (0, 2, 5)
"""The number of the first branch of each node; it is from the last cell but one."""


class Precision(NamedTuple):
    """How weights are stored: the bits of each cell and of both ends, the share that is not zero, and whether layers
    have a bias besides that of their batch norm."""

    bits: Sequence[int] | None = None
    ends: int | None = None
    density: float | None = None
    bias: bool = True


def lif(net: Net, name: str) -> Net:
    """`m' = m + x`, a spike where it is above 0.5, then `m = 0.2 m`, or 0 behind a spike; written as a LIF whose leak
    comes first, which fires alike."""
    return net.lif(0.2, 0.5, firing=HARD_STRICT, name=name)


def network(branches: Iterable[int], path: Sequence[int], data: Data, *, channels: int = CHANNELS,
            precision: Precision = Precision(), ticks: int = TICKS, name: str = "spikedhs") -> Graph:
    """A network of equal cells.

    Args:
        branches: the numbers of the branches of a cell.
        path: the level of each cell, each at most one away from the one before; the first one counts from 0.
        data: what the network receives.
        channels: of a node at level 0.
        precision: of the weights.
        ticks: of a sample.

    Raises:
        CompileError: SNN404 for a node without a branch, or a path that jumps.
    """
    chosen = _expect_branches(branches)
    _expect_path(path)
    net, bias, ends, density = data.net(name, ticks), precision.bias, precision.ends, precision.density
    net.conv(NODES * channels, 3, bias=bias, bits=ends, density=density, name="stem").norm(name="stem.norm")
    before = last = lif(net, "stem.lif").tap()
    for place, level in enumerate(path):
        bits = None if precision.bits is None else precision.bits[place]
        cell = _Cell(net, f"cell{place + 1}", channels << level, bits, precision)
        before, last = last, cell.build(chosen, before, last, level - (path[place - 1] if place else 0))
    lif(net.at(last).global_pool(), "last.lif")
    net.linear(data.classes, bias=bias, bits=ends, density=density, name="classes")
    return net.norm(name="classes.norm").graph()


class _Cell(NamedTuple):
    """A cell while it is built: its name, the channels of a node, and the bits of its weights."""

    net: Net
    name: str
    channels: int
    bits: int | None
    precision: Precision

    def build(self, branches: Sequence[int], before: Tap, last: Tap, step: int) -> Tap:
        """The cell behind the last two ones; `step` is how many levels it is above the last one."""
        rows = last.shape[1]
        if step > 0 and rows % 2:
            refuse("spikedhs", f"path, {self.name}", f"{rows} rows", "an even number: a level more halves it")
        last = self._sampled(last, rows // 2 if step > 0 else 2 * rows if step < 0 else rows, "last")
        states = [self._sampled(before, last.shape[1], "before"), last]
        for node, first in enumerate(FIRST_BRANCH):
            terms = [self._convolved(state, first + i) for i, state in enumerate(states) if first + i in branches]
            self.net.at(terms[0]).add(*terms[1:], name=f"{self.name}.node{node}")
            states.append(lif(self.net, f"{self.name}.lif{node}").tap())
        return self.net.at(states[-NODES]).concat(*states[1 - NODES:], name=self.name).tap()

    def _sampled(self, spikes: Tap, rows: int, what: str) -> Tap:
        """Spikes at another resolution: each second row and column, or each row and column twice."""
        name = f"{self.name}.{what}"
        if spikes.shape[1] > rows:
            return self.net.at(spikes).pool(1, kind="sum", stride=spikes.shape[1] // rows, name=name).tap()
        return spikes if spikes.shape[1] == rows else self.net.at(spikes).upsample(rows // spikes.shape[1],
                                                                                  name=name).tap()

    def _convolved(self, spikes: Tap, branch: int) -> Tap:
        name = f"{self.name}.branch{branch}"
        self.net.at(spikes).conv(self.channels, 3, bias=self.precision.bias, bits=self.bits,
                                 density=self.precision.density, name=name)
        return self.net.norm(name=f"{name}.norm").tap()


def _expect_branches(branches: Iterable[int]) -> list[int]:
    chosen = sorted(set(branches))
    for node, (first, behind) in enumerate(zip(FIRST_BRANCH, (*FIRST_BRANCH[1:], BRANCHES), strict=True)):
        if not any(first <= branch < behind for branch in chosen):
            refuse("spikedhs", "branches", f"none of node {node}", f"at least one of {first} to {behind - 1}")
    return chosen


def _expect_path(path: Sequence[int]) -> None:
    for place, (level, before) in enumerate(zip(path, (0, *path), strict=False), start=1):
        if abs(level - before) > 1:
            refuse("spikedhs", f"path, cell {place}", f"level {level} behind level {before}", "at most one level away")


def read_branches(family: str, text: str) -> list[int]:
    """The branches of a cell: a JSON list of pairs `[branch, operation]`, or numbers between commas.

    Raises:
        CompileError: SNN404 for another text, or a branch or an operation that does not exist.
    """
    if not text.startswith("["):
        return [number(family, "branches", part, 0, BRANCHES - 1)
                for part in parts(family, "branches", text, NODES, BRANCHES)]
    pairs = genotype(family, "cell", text)
    if not isinstance(pairs, list) or not NODES <= len(pairs) <= BRANCHES:
        refuse(family, "cell", text[:60], f"{NODES} to {BRANCHES} pairs [branch, operation]")
    return [_branch_of(family, pair) for pair in pairs]


def _branch_of(family: str, pair: Any) -> int:
    known = isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair)
    if not known or not (0 <= pair[0] < BRANCHES and 0 <= pair[1] < NODES):
        refuse(family, "cell", str(pair)[:60], f"[branch 0 to {BRANCHES - 1}, operation 0 to {NODES - 1}]")
    return int(pair[0])


def read_path(family: str, text: str) -> tuple[int, ...]:
    """The levels of a text such as `00111222`. Raises SNN404 for more than MOST_CELLS or none."""
    if not 1 <= len(text) <= MOST_CELLS:
        refuse(family, "path", f"{len(text)} levels", f"1 to {MOST_CELLS}")
    return digits(family, "path", text, len(text), LEVELS - 1)


def graph(text: str) -> Graph:
    """The network that a notation names."""
    cell, path, data = split("spikedhs", text, "CELL:PATH:DATA", 1)
    return network(read_branches("spikedhs", cell), read_path("spikedhs", path or PATH),
                   one_of("spikedhs", "data", data or "cifar10", DATA), name=f"spikedhs:{text}")


FAMILY = Family(
    "spikedhs", "SpikeDHS, Che et al., NeurIPS 2022",
    "CELL, CELL:PATH or CELL:PATH:DATA, a cell such as [[1,1],[0,1],[3,2],[2,1],[7,1],[8,1]] or 0,1,2,3,7,8",
    graph,
    {"cifar10": Preset("[[1,1],[0,1],[3,2],[2,1],[7,1],[8,1]]", "SpikeDHS, from the repository of its authors"),
     "matching": Preset("[[0,1],[1,2],[4,2],[3,2],[8,1],[6,1]]:1221", "SpikeDHS, the cell and the path of its network "
                        "for stereo matching, in the network for classification")})
