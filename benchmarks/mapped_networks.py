"""Networks of shapes alone, for partitioning: no weight has a number."""

from __future__ import annotations

from dataclasses import dataclass, field

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Linear, Output, Reshape, SumPool
from snncompile.ir.populations import Neuron
from snncompile.ir.types import Shape, ShapeOnly, Stage


@dataclass
class Stack:
    """A LEGAL graph while it grows, population by population."""

    name: str
    shape: Shape
    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    last: str = "input"

    def __post_init__(self) -> None:
        self.nodes["input"], self.shapes["input"] = Input(self.shape), self.shape

    def then(self, *chain: Op, source: str = "") -> str:
        """A population behind some operators."""
        source = source or self.last
        shape = self.shapes[source]
        for op in chain:
            shape = op.infer(shape)
        self.last = f"p{len(self.nodes)}"
        self.nodes[self.last], self.shapes[self.last] = Neuron.of("if", threshold=1.0), shape
        self.edges.append(Edge(source, self.last, 0, chain))
        return self.last

    def also(self, source: str, *chain: Op) -> None:
        """One more projection into the last population."""
        self.edges.append(Edge(source, self.last, 0, chain))

    def dense(self, outputs: int) -> str:
        size = 1
        for n in self.shapes[self.last]:
            size *= n
        return self.then(Reshape((size,)), Linear(ShapeOnly((outputs, size))))

    def graph(self) -> Graph:
        nodes = {**self.nodes, "output": Output()}
        return Graph(self.name, nodes, (*self.edges, Edge(self.last, "output")), Stage.LEGAL)


def conv(out: int, into: int, kernel: int = 3, stride: int = 1, pad: int | None = None, groups: int = 1) -> Conv:
    around = kernel // 2 if pad is None else pad
    return Conv(ShapeOnly((out, into // groups, kernel, kernel)), None, (stride, stride), ((around, around),) * 2,
                groups=groups)


def conv102k() -> Graph:
    """8x64^2 - 8x64^2 - 32x32^2 - 16x16^2: 102,400 neurons, 5.75 million synapses between them."""
    net = Stack("conv102k", (8, 64, 64))
    net.then()
    net.then(conv(8, 8))
    net.then(conv(32, 8, stride=2))
    net.then(conv(16, 32, stride=2))
    return net.graph()


def pilotnet() -> Graph:
    """PilotNet (Bojarski et al., 2016): five convolutions without padding, four dense layers."""
    net = Stack("PilotNet", (3, 66, 200))
    for out, into, kernel, stride in ((24, 3, 5, 2), (36, 24, 5, 2), (48, 36, 5, 2), (64, 48, 3, 1), (64, 64, 3, 1)):
        net.then(conv(out, into, kernel, stride, pad=0))
    for outputs in (100, 50, 10, 1):
        net.dense(outputs)
    return net.graph()


def resnet19(width: int = 128) -> Graph:
    """ResNet-19 of spiking networks (Zheng et al., 2021): three stages of 3, 3 and 2 blocks, on 32x32 frames."""
    net = Stack(f"ResNet-19, width {width}", (3, 32, 32))
    net.then(conv(width, 3))
    into = width
    for stage, blocks in enumerate((3, 3, 2)):
        out = width << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            entry = net.last
            net.then(conv(out, into, stride=stride))
            net.then(conv(out, out))
            net.also(entry, *(() if stride == 1 and into == out else (conv(out, into, 1, stride),)))
            into = out
    net.then(SumPool((8, 8), (8, 8)))
    net.dense(2 * width)
    net.dense(10)
    return net.graph()


def mobilenet(side: int = 128) -> Graph:
    """MobileNet (Howard et al., 2017), 28 layers, 4.2 million weights: NxTF put it on 16 chips for 128x128 frames."""
    net = Stack("MobileNet", (3, side, side))
    net.then(conv(32, 3, stride=2))
    into = 32
    steps = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    for out, stride in steps:
        net.then(conv(into, into, stride=stride, groups=into))
        net.then(conv(out, into, 1))
        into = out
    last = net.shapes[net.last][1:]
    net.then(SumPool((last[0], last[1]), (last[0], last[1])))
    net.dense(1000)
    return net.graph()


def billion() -> Graph:
    """Convolutions of 3x3 one after another on 512x512 frames: 1.149 billion neurons, 43 billion weights' synapses."""
    net = Stack("billion", (64, 512, 512))
    for _ in range(68):
        net.then(conv(64, 64))
    net.then(conv(32, 64))
    return net.graph()
