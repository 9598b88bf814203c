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
from snncompile.search.net import INPUT, Net, OtherNetError
from snncompile.search.shared import neuron_of, output_of

ENTRY, BEFORE, READER, READ = "entry of the layer", "before the layer", "reader of the layer", "read of the layer"
"""The names of the stand-ins of a block: the population that the layer reads and its input, and the population that
reads the layer and its output."""
WAITING = "waiting before the layer"
"""The operators between the population that the layer reads and the layer, with a number behind it."""

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


class Names(NamedTuple):
    """Names that a layer gives to its nodes, and the words of which its other names are made, see `Net.kinds`."""

    given: frozenset[str]
    kinds: frozenset[str]

    def joined(self, other: Names) -> Names:
        """Those of both."""
        return Names(self.given | other.given, self.kinds | other.kinds)


class Block(NamedTuple):
    """A layer by itself.

    Attributes:
        graph: the layer between its stand-ins; None for a layer that only adds operators which wait.
        leaving: what enters the next layer.
        entry, last: the names of the population that the layer reads, and of the one that the next layer reads.
        names: of its nodes.
    """

    graph: Graph | None
    leaving: State
    entry: str
    last: str
    names: Names

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
    standing, first = net.given_names, len(net.nodes)
    _add(layer, net, pick)
    names = Names(net.given_names - standing, net.kinds)
    if ends:
        return Block(net.graph(), entering, entry, "", names)
    if any(isinstance(op, Output) for op in net.nodes.values()):
        raise NotInLayersError("a layer before the last one has an output of the network")
    last, waiting = _exit(net.nodes, net.edges, net.tap().name)
    source = net.nodes[last]
    leaving = State(source, entering.shape if last == entry else net.shape_of(last),
                    tuple(net.nodes[n] for n in waiting))
    if last != entry:
        return Block(_before_reader(net, last, waiting), leaving, entry, last, names)
    if len(net.nodes) - first != len(waiting) - len(entering.waiting):
        raise NotInLayersError("what a layer emits does not come from its own neurons, but others of it read the same")
    return Block(None, leaving, entry, last, names)


def _add(layer: Layer, net: Net, pick: dict[str, Any]) -> None:
    """Add a layer to a net that stands where it begins."""
    try:
        layer(net, **pick)
    except OtherNetError as e:
        raise NotInLayersError("a layer leads to a place of another layer") from e
    if net.meta:
        raise NotInLayersError("a layer changes what belongs to the whole network")


def expect_no_clash(layers: Sequence[Names]) -> None:
    """Raises NotInLayersError where a name that is given in one layer may be that of a node in another one, which
    would be refused in the whole network."""
    taken, kinds = {INPUT}, frozenset[str]().union(*(names.kinds for names in layers))
    for names in layers:
        numbered = (n for n in names.given if n != n.rstrip("0123456789") and n.rstrip("0123456789") in kinds)
        if not taken.isdisjoint(names.given) or any(numbered):
            raise NotInLayersError("a name that is given in one layer may be that of a node in another one")
        taken |= names.given


def _standing(entering: State) -> Net:
    """A net that stands where a layer begins."""
    if entering.starts:
        assert isinstance(entering.source, Input)
        net = Net(entering.shape, values=entering.source.values, low=entering.source.low, high=entering.source.high)
    else:
        net = Net(entering.shape, input=BEFORE).op(entering.source, ENTRY)
    for number, op in enumerate(entering.waiting):
        net.op(op, f"{WAITING} {number}")
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
