"""Blocks: the layers of a chain cut apart, so that each can be judged by itself.

A layer of a chain reads one tensor. What it adds to a network depends on the values of its own choices and on what
enters: the population that emitted the tensor, and the operators between that and the layer. So the layer is built
behind a stand-in for this population, and in front of another population that reads what the layer emits:

    entry -> [operators that wait] -> layer -> reader
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Shape
from snncompile.search.net import INPUT, Net
from snncompile.search.shared import neuron_of, output_of

ENTRY, BEFORE, READER, READ = "entry of the layer", "before the layer", "reader of the layer", "read of the layer"
"""The names of the stand-ins of a block: the population that the layer reads and its input, and the population that
reads the layer and its output."""

Layer = Callable[..., Any]
"""A function of a `Net` and of its own choices, which adds a layer where the net stands."""


class NotInLayersError(Exception):
    """A layer is tied to others in a way in which it cannot be judged by itself. The text says how."""


@dataclass(frozen=True)
class State:
    """What enters a layer. Equal states give equal blocks, since candidates share operators.

    Attributes:
        source: the population or input that emitted it.
        shape: of what the source emits.
        waiting: the operators behind the source, which belong to the projections of the layer.
    """

    source: Op
    shape: Shape
    waiting: tuple[Op, ...] = ()

    @property
    def starts(self) -> bool:
        """Whether the layer is the first one behind the input of the network."""
        return isinstance(self.source, Input)


class Block(NamedTuple):
    """A layer by itself.

    Attributes:
        graph: the layer between its stand-ins; None for a layer that only adds operators which wait.
        leaving: what enters the next layer.
        entry, last: the names of the population that the layer reads, and of the one that the next layer reads.
    """

    graph: Graph | None
    leaving: State
    entry: str
    last: str

    def owns(self, name: str) -> bool:
        """Whether a population belongs to the layer, and is not a stand-in."""
        return name not in (ENTRY, BEFORE, READER)


def block_of(layer: Layer, pick: dict[str, Any], entering: State, ends: bool) -> Block:
    """A layer by itself.

    Args:
        pick: the values of its choices.
        ends: whether it is the last one of the network.

    Raises:
        CompileError: where the layer cannot be built on what enters.
        NotInLayersError: where it can be built, but depends on other layers.
    """
    net = _standing(entering)
    entry = INPUT if entering.starts else ENTRY
    first = len(net.nodes)
    layer(net, **pick)
    if ends:
        return Block(net.graph(), entering, entry, "")
    last, waiting = _exit(net.nodes, net.edges, net.tap().name)
    source = net.nodes[last]
    leaving = State(source, entering.shape if last == entry else net.shape_of(last),
                    tuple(net.nodes[n] for n in waiting))
    if last != entry:
        return Block(_before_reader(net, last, waiting), leaving, entry, last)
    if len(net.nodes) - first != len(waiting) - len(entering.waiting):
        raise NotInLayersError("what a layer emits does not come from its own neurons, but others of it read the same")
    return Block(None, leaving, entry, last)


def _standing(entering: State) -> Net:
    """A net that stands where a layer begins."""
    if entering.starts:
        assert isinstance(entering.source, Input)
        net = Net(entering.shape, values=entering.source.values, low=entering.source.low, high=entering.source.high)
    else:
        net = Net(entering.shape, input=BEFORE).op(entering.source, ENTRY)
    for op in entering.waiting:
        net.op(op)
    return net


def _exit(nodes: Mapping[str, Op], edges: Sequence[Edge], end: str) -> tuple[str, list[str]]:
    """The population that emits what a layer leaves, and the operators behind it, from the first to the last."""
    waiting: list[str] = []
    name = end
    while True:
        readers = [e for e in edges if e.src == name and not isinstance(nodes[e.dst], Output)]
        if len(readers) > (name != end):
            raise NotInLayersError("what a layer emits is also read within the layer")
        if isinstance(nodes[name], (Neuron, Input)):
            return name, waiting[::-1]
        into = [e for e in edges if e.dst == name]
        if len(into) > 1 or into[0].delay:
            raise NotInLayersError("a layer ends in a sum or a delay, and not in neurons")
        waiting.append(name)
        name = into[0].src


def _before_reader(net: Net, last: str, waiting: Sequence[str]) -> Graph:
    """The graph of a layer, in which one population reads the last one of the layer in place of what waits."""
    gone = set(waiting)
    nodes = {name: op for name, op in net.nodes.items() if name not in gone}
    edges = [e for e in net.edges if e.src not in gone and e.dst not in gone]
    return Graph(net.name, {**nodes, READER: neuron_of("if", Firing(), {}, {}), READ: output_of("rate")},
                 (*edges, Edge(last, READER), Edge(READER, READ)))
