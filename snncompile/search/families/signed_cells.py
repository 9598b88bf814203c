"""The networks of BrainCog's searches, NeuEvo, MSE-NAS and EB-NAS: cells of nodes, and operations with a sign.

A cell has two to four inputs, the outputs of the cells before it, and nodes behind them, which are numbered on. A node
is the sum of as many operations as the cell has inputs. An operation is written `OPERATION@SOURCE`. With `_p` only the
positive part of what it computes is kept, so that it is excitatory, and with `_n` only the negative part, so that it is
inhibitory. Operations from the first `_back` on belong to the second node, the third one, and so on: once the node has
been computed, the operation on it is added to an earlier input or node, for all that is computed later in the same
tick. No tick passes on such a link, and the network has no loop. Here node 3 reads node 2 without the link from
itself, node 4 reads it with that link, and so does the output of the cell, which is all nodes side by side:

    conv_3x3_p@0,conv_3x3_n@1, conv_5x5_p@1,skip_connect@2, conv_3x3_p@2,conv_3x3_n@3, conv_3x3_n_back@2

Cells at fixed places halve the size instead, and double the channels: neurons, two convolutions with a stride of 2 side
by side, the second one element further right and down, and a batch norm. All neurons are LIF neurons with a time
constant of 2 ticks, a threshold of 0.5, which the membrane has to exceed, and a reset to 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from snncompile.diagnostics import shorten
from snncompile.ir.ops import AvgPool, Conv, Scale
from snncompile.ir.types import ShapeOnly
from snncompile.search.families.backbones import HARD_STRICT, Data
from snncompile.search.families.family import parts, refuse
from snncompile.search.net import Net, Tap
from snncompile.search.shared import reshape_of

KINDS = ("conv_3x3", "conv_5x5", "avg_pool_3x3", "skip_connect", "skip")
"""The operations; `skip` is none at all, and leaves a place of a node empty."""
SIGNS = {"": 0, "_p": 1, "_n": -1}
CHANNELS = 36
"""Channels of a node in the first cells; a command-line default of all three programs."""
TICKS = 10
"""Of a sample; a command-line default of NeuEvo."""
VOTERS = 10
"""Neurons of the last layer for each class. Their mean is the readout."""
MAX_REDUCTIONS = 2
"""The most halvings between an input of a cell and the cell."""
_MEAN = AvgPool((3, 3), (1, 1), ((1, 1), (1, 1)))
_NAME = re.compile(rf"({'|'.join(KINDS)})(_p|_n)?(_back)?@([0-9]{{1,3}})", re.ASCII)


class Step(NamedTuple):
    """An operation: its kind of `KINDS`, its sign, and the number of the input or node that it reads or is added to."""

    kind: str
    sign: int
    source: int


class Cell(NamedTuple):
    """What a cell computes.

    Attributes:
        inputs: how many cells before it lead into it.
        nodes: the operations that each node sums.
        back: an operation on each node but the first, and where its result is added; may be shorter.
    """

    inputs: int
    nodes: tuple[tuple[Step, ...], ...]
    back: tuple[Step, ...] = ()


class Plan(NamedTuple):
    """What the cells of a network share.

    Attributes:
        family: its name, for messages.
        data: what the network receives.
        channels: of a node in the first cells.
        neurons_each: whether every convolution has neurons in front of it, and not only those that halve the size.
    """

    family: str
    data: Data
    channels: int = CHANNELS
    neurons_each: bool = False


def read_cell(family: str, text: str, inputs: int) -> Cell:
    """The cell that a text describes.

    >>> read_cell("neuevo", "conv_3x3_p@0, conv_3x3_n@1, skip_connect@2, conv_5x5_p@0, conv_3x3_n_back@2", 2).back
    (Step(kind='conv_3x3', sign=-1, source=2),)

    Raises:
        CompileError: SNN404 for operations that make no cell.
    """
    steps, first = [], None
    for place, word in enumerate(parts(family, "operations", text)):
        match = _NAME.fullmatch(word)
        if match is None:
            refuse(family, "operation", shorten(word),
                   f"OPERATION@SOURCE with {', '.join(KINDS)}, then _p or _n, then _back")
        steps.append(Step(match[1], SIGNS[match[2] or ""], int(match[4])))
        first = place if first is None and match[3] else first
    return checked(family, cell_of(steps[:first], steps[first:] if first is not None else [], inputs))


def cell_of(forward: Sequence[Step], back: Sequence[Step], inputs: int) -> Cell:
    """The cell of operations in a row; what is left over where they do not fill a node is left out, as in BrainCog."""
    count = len(forward) // inputs
    return Cell(inputs, tuple(tuple(forward[i * inputs:(i + 1) * inputs]) for i in range(count)), tuple(back))


def checked(family: str, cell: Cell) -> Cell:
    """The cell itself. Raises SNN404 where an operation reads what is computed later, or a node sums nothing."""
    if not cell.nodes or len(cell.back) > len(cell.nodes) - 1:
        refuse(family, "cell", f"{len(cell.nodes)} nodes and {len(cell.back)} operations with _back",
               "a node or more, and for each node but the first at most one operation with _back")
    for place, node in enumerate(cell.nodes):
        if all(step.kind == "skip" for step in node):
            refuse(family, f"node {place + cell.inputs}", "nothing but skip", "an operation")
        later = (*node, *cell.back[place - 1:place]) if place else node
        for step in later:
            if step.source >= place + cell.inputs:
                refuse(family, f"node {place + cell.inputs}", f"source {step.source}",
                       f"0 to {place + cell.inputs - 1}, which are computed before it")
    return cell


# --- the network ---

def halvings(data: Data, cells: int) -> tuple[int, ...]:
    """The places of the cells that halve the size: those of event cameras, or a quarter, a half and three quarters."""
    return (1, 3, 5, 7) if data.values == "spike" else (cells // 4, cells // 2, 3 * cells // 4)


class Grown:
    """A network of cells while it grows.

    Attributes:
        outputs: of the cells so far, behind that of the stem, which stands in for cells that do not exist.
        reduced: for each cell so far whether it halved the size.
    """

    def __init__(self, name: str, plan: Plan):
        self.plan, self.channels = plan, plan.channels
        self.net = plan.data.net(name, TICKS).conv(3 * plan.channels, 3, name="stem").norm(name="stem.norm")
        self.outputs: list[Tap] = [self.net.tap()]
        self.reduced: list[bool] = []

    def cell(self, cell: Cell, places: Sequence[int]) -> None:
        """The next cell, or in its place one that halves the size."""
        place, name = len(self.reduced), f"cell{len(self.reduced) + 1}"
        self.reduced.append(place in places)
        if place in places:
            self.channels *= 2
            self.net.at(self.outputs[-1])
            _halve(self.net, self.plan, 3 * self.channels, name)
        else:
            states = [self._input(i, cell.inputs, f"{name}.input{i}") for i in range(cell.inputs)]
            self._nodes(states, cell, name)
        self.outputs.append(self.net.tap())

    def _input(self, number: int, inputs: int, name: str) -> Tap:
        """An input of the next cell: the output of an earlier cell with the channels and the size of a node."""
        behind = inputs - number
        between = sum(self.reduced[max(len(self.reduced) - behind, 0):-1])
        self.net.at(self.outputs[max(len(self.outputs) - behind, 0)])
        if between > MAX_REDUCTIONS:
            refuse(self.plan.family, name, f"{between} halvings in front of it", f"at most {MAX_REDUCTIONS}")
        if not between:
            return _convolve(self.net, self.plan, self.channels, 1, name)
        _halve(self.net, self.plan, self.channels, name)
        if between > 1:
            self.net.conv(self.channels, 3, stride=2, name=f"{name}.further")
        return self.net.tap()

    def _nodes(self, states: list[Tap], cell: Cell, name: str) -> None:
        for i, node in enumerate(cell.nodes):
            label = f"{name}.node{len(states)}"
            terms = [self._operation(states[step.source], step, f"{label}.{j}") for j, step in enumerate(node)
                     if step.kind != "skip"]
            made = self.net.at(terms[0]).add(*terms[1:], name=label).tap()
            for step in cell.back[i - 1:i] if i else ():
                if step.kind != "skip":
                    term = self._operation(made, step, f"{label}.back")
                    states[step.source] = self.net.at(states[step.source]).add(term, name=f"{label}.behind").tap()
            states.append(made)
        inputs = len(states) - len(cell.nodes)
        self.net.at(states[inputs]).concat(*states[inputs + 1:], name=f"{name}.out")

    def _operation(self, tap: Tap, step: Step, name: str) -> Tap:
        net = self.net.at(tap)
        if step.kind.startswith("conv"):
            _convolve(net, self.plan, self.channels, int(step.kind[-1]), name)
        elif step.kind == "avg_pool_3x3":
            net.op(_MEAN, name).op(_shares(net.shape[1], net.shape[2]), f"{name}.share")
        return (net.rectify(1 if step.sign > 0 else -1, name=f"{name}.sign") if step.sign else net).tap()

    def head(self) -> Net:
        """The last neurons, the mean of each channel, and neurons that vote for the classes."""
        net = fire(self.net.at(self.outputs[-1]), "last").global_pool()
        outputs = VOTERS * self.plan.data.classes
        fire(net.linear(outputs, bias=True, name="classes"), "votes")
        return net.op(reshape_of((1, outputs))).pool(VOTERS, name="vote").flatten()


def fire(net: Net, name: str) -> Net:
    """BrainCog's `LIFNode`: `v' = v + (x - v) / 2`, a spike above 0.5, and a reset to 0."""
    return net.lif(0.5, threshold=0.5, gain=0.5, firing=HARD_STRICT, name=f"{name}.lif" if name else "")


def _convolve(net: Net, plan: Plan, channels: int, kernel: int, name: str) -> Tap:
    if plan.neurons_each:
        fire(net, name)
    return net.conv(channels, kernel, name=name).norm(name=f"{name}.norm").tap()


def _halve(net: Net, plan: Plan, channels: int, name: str) -> None:
    """Neurons, and two convolutions with a stride of 2 on their spikes, with half of the channels each.

    The second one reads the image without its first row and column. Its windows begin where the image does, and the
    first row and column are zeros to it.
    """
    rows, columns = net.shape[1:]
    if rows % 2 or columns % 2:
        refuse(plan.family, name, f"{rows} x {columns}", "even numbers, since they are halved")
    entry = fire(net, name).tap()
    first = net.conv(channels // 2, 3, stride=2, name=f"{name}.even").tap()
    net.at(entry).op(_without_edge(rows, columns), f"{name}.crop")
    weight = ShapeOnly((channels // 2, entry.shape[0], 3, 3))
    second = net.op(Conv(weight, None, (2, 2), ((0, 1), (0, 1))), f"{name}.odd").tap()
    net.at(first).concat(second, name=f"{name}.sides").norm(name=f"{name}.norm")


@lru_cache(64)
def _without_edge(rows: int, columns: int) -> Scale:
    kept = np.ones((1, rows, columns))
    kept[:, 0], kept[:, :, 0] = 0, 0
    return Scale(kept)


@lru_cache(64)
def _shares(rows: int, columns: int) -> Scale:
    """What turns a mean of nine elements into one of those that lie inside the image."""
    inside = [np.minimum(np.arange(n) + 2, n) - np.maximum(np.arange(n) - 1, 0) for n in (rows, columns)]
    return Scale(9 / np.multiply.outer(*inside)[None].astype(float))
