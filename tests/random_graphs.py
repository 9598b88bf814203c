"""How `tests.strategies` grows a graph: inputs, then layer by layer, then loops, then outputs."""

from __future__ import annotations

from dataclasses import dataclass, field

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.layer import Layer
from snncompile.ir.op import Op
from snncompile.ir.ops import Identity, Input, MaxPool, Output, Pad, Reshape, Upsample
from snncompile.ir.types import Shape
from tests.random_layers import connector, in_integers, operator
from tests.random_neurons import readout, spiking
from tests.strategies import Choices, Features

MAX_SIZE = 6 * 6 * 4
ODD_NAMES = ("a.{}", "a_{}", "layer {}", "{}", "int", 'q"{}\\n', "schicht-ä{}", "a;{}", "net_step", "../{}")


@dataclass(frozen=True)
class Tensor:
    """Something a later layer may read."""

    name: str
    shape: Shape
    spikes: bool


@dataclass
class Builder:
    """A graph while it grows."""

    pick: Choices
    features: Features
    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    arriving: dict[str, Shape] = field(default_factory=dict)

    def name(self, word: str) -> str:
        pattern = word + "{}"
        if self.features.odd_names and self.pick.chance(10):
            pattern = self.pick.one(ODD_NAMES)
        name = pattern.replace("{}", str(len(self.nodes)))
        return name if name not in self.nodes else f"{name}'{len(self.nodes)}"

    def delay(self, percent: int = 15) -> int:
        return self.pick.integer(1, 2) if self.features.delays and self.pick.chance(percent) else 0

    def add(self, op: Op, source: Tensor, delay: int = 0, spikes: bool = False) -> Tensor:
        name = self.name(op.kind())
        shape = op.infer(source.shape)
        self.nodes[name] = op
        self.arriving[name] = source.shape
        self.edges.append(Edge(source.name, name, delay))
        return Tensor(name, shape, spikes)

    def join(self, source: Tensor, target: str, delay: int) -> None:
        """One more edge into a node, through the operators that make the shapes meet."""
        chain = connector(self.pick, source.shape, self.arriving[target])
        at = self.pick.integer(0, len(chain))
        for i, op in enumerate(chain):
            source = self.add(op, source, delay if i == at else 0)
        self.edges.append(Edge(source.name, target, delay if at == len(chain) else 0))


def build(pick: Choices, features: Features) -> Graph:
    """A well-formed FLOAT graph."""
    b = Builder(pick, features)
    for _ in range(2 if features.several_inputs and pick.chance(25) else 1):
        _input(b)
    layers = pick.integer(1, features.layers)
    for i in range(layers):
        _layer(b, last=i == layers - 1)
    if features.loops and pick.chance(50):
        _loop(b)
    _outputs(b)
    return Graph(pick.one(["net", "a net", "9"]), b.nodes, tuple(b.edges))


def _shape(pick: Choices) -> Shape:
    axes = pick.integer(0, 2)
    return (pick.integer(1, 4), *(pick.integer(2, 6) for _ in range(axes))) if axes else (pick.integer(1, 12),)


def _input(b: Builder) -> None:
    pick = b.pick
    real = b.features.real_inputs and pick.chance(30)
    name = b.name("input")
    if real:
        op = Input(_shape(pick), "real", low=-1.0 if pick.chance(50) else 0.0, high=1.0)
    else:
        op = Input(_shape(pick), "spike", high=3 if pick.chance(20) else 1)
    b.nodes[name] = op
    b.tensors.append(Tensor(name, op.shape, not real))


def _layer(b: Builder, last: bool) -> None:
    """Operators, more edges, and a neuron that ends the layer."""
    pick = b.pick
    source = b.tensors[-1] if pick.chance(75) else pick.one(b.tensors)
    known = list(b.tensors)
    if b.features.skips and pick.chance(12):
        source = _concatenation(b, source)
    for _ in range(pick.integer(0, 2)):
        op = operator(pick, source.shape, source.spikes, MAX_SIZE)
        keeps = source.spikes and isinstance(op, (MaxPool, Reshape, Upsample))
        if b.features.given and isinstance(op, Layer) and pick.chance(60):
            op, step = in_integers(pick, op, op.infer(source.shape))
            source = b.add(op, source, b.delay())
            op = step
        source = b.add(op, source, b.delay(), keeps)
        if b.features.linear_readout and pick.chance(8):
            b.tensors.append(source)
    if last and b.features.linear_readout and pick.chance(15):
        source = b.add(Identity(), source)
    else:
        make = readout if _graded(b, last) else spiking
        neuron = make(pick, source.shape, b.features)
        source = b.add(neuron, source, b.delay(), neuron.rule.spiking)
    if b.features.skips and pick.chance(35):
        for _ in range(pick.integer(1, 2)):
            b.join(pick.one(known), source.name, b.delay())
    b.tensors.append(source)


def _concatenation(b: Builder, first: Tensor) -> Tensor:
    """Two tensors, each padded to its place, added: the channels of one after those of the other."""
    second = b.pick.one([t for t in b.tensors if t.shape[1:] == first.shape[1:]] or [first])
    still = ((0, 0),) * (len(first.shape) - 1)
    before = b.add(Pad(((0, second.shape[0]), *still)), first)
    after = b.add(Pad(((first.shape[0], 0), *still)), second, b.delay())
    whole = b.add(Identity(), before)
    b.edges.append(Edge(after.name, whole.name))
    return whole


def _graded(b: Builder, last: bool) -> bool:
    return bool(b.features.graded) and b.pick.chance(40 if last else 10)


def _loop(b: Builder) -> None:
    """Delayed edges back from spiking populations into operators or populations that stand before them."""
    targets = [n for n, op in b.nodes.items() if n in b.arriving and not isinstance(op, (MaxPool, Reshape, Upsample))]
    anything = b.features.graded_loops and b.pick.chance(10)
    sources = [t for t in b.tensors if t.name in b.arriving and (t.spikes or anything)]
    for _ in range(b.pick.integer(1, 2)):
        if sources and targets:
            source = b.pick.one(sources)
            target = source.name if b.pick.chance(40) else b.pick.one(targets)
            b.join(source, target, b.pick.integer(1, 3))


def _outputs(b: Builder) -> None:
    """An output for the last layer and for whatever nothing reads."""
    read = {e.src for e in b.edges}
    for tensor in b.tensors:
        if tensor.name not in read or (tensor is b.tensors[-1]) or (tensor.name in b.arriving and b.pick.chance(10)):
            name = b.name("output")
            b.nodes[name] = Output(b.pick.one(["rate", "last", "max"]))
            b.edges.append(Edge(tensor.name, name, b.delay(5)))


