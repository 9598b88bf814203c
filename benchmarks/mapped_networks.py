"""Networks of shapes alone, for partitioning: no weight has a number."""

from __future__ import annotations

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Conv, Input, Output
from snncompile.ir.populations import Neuron
from snncompile.ir.types import ShapeOnly, Stage
from snncompile.lowering import legal_table
from snncompile.search import Net
from snncompile.targets.load import load_target


def legal(net: Net) -> Graph:
    """The network in the form in which it is divided among cores, the same for both Loihis."""
    return legal_table(net.graph(), load_target("loihi2"), {}, None, {})[0]


def conv102k() -> Graph:
    """8x64^2 - 8x64^2 - 32x32^2 - 16x16^2: 102,400 neurons, 5.75 million synapses between them."""
    net = Net((8, 64, 64), name="conv102k").neuron("if")
    for channels, stride in ((8, 1), (32, 2), (16, 2)):
        net.conv(channels, 3, stride=stride).neuron("if")
    return legal(net)


def pilotnet() -> Graph:
    """PilotNet (Bojarski et al., 2016): five convolutions without padding, four dense layers."""
    net = Net((3, 66, 200), name="PilotNet")
    for channels, kernel, stride in ((24, 5, 2), (36, 5, 2), (48, 5, 2), (64, 3, 1), (64, 3, 1)):
        net.conv(channels, kernel, stride=stride, padding=0).neuron("if")
    for outputs in (100, 50, 10, 1):
        net.linear(outputs).neuron("if")
    return legal(net)


def resnet19(width: int = 128) -> Graph:
    """ResNet-19 of spiking networks (Zheng et al., 2021): three stages of 3, 3 and 2 blocks, on 32x32 frames."""
    net = Net((3, 32, 32), name=f"ResNet-19, width {width}").conv(width, 3).neuron("if")
    for stage, blocks in enumerate((3, 3, 2)):
        for block in range(blocks):
            entry, stride = net.tap(), 2 if stage and not block else 1
            inner = net.conv(width << stage, 3, stride=stride).neuron("if").conv(width << stage, 3).tap()
            if stride > 1:
                entry = net.at(entry).conv(width << stage, 1, stride=stride).tap()
            net.at(inner).add(entry).neuron("if")
    net.pool(8, kind="sum").neuron("if").linear(2 * width).neuron("if").linear(10).neuron("if")
    return legal(net)


def mobilenet(side: int = 128) -> Graph:
    """MobileNet (Howard et al., 2017), 28 layers, 4.2 million weights: NxTF put it on 16 chips for 128x128 frames."""
    net = Net((3, side, side), name="MobileNet").conv(32, 3, stride=2).neuron("if")
    steps = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
    for channels, stride in steps:
        entering = net.shape[0]
        net.conv(entering, 3, stride=stride, groups=entering).neuron("if").conv(channels, 1).neuron("if")
    return legal(net.global_pool(kind="sum").neuron("if").linear(1000).neuron("if"))


def billion() -> Graph:
    """Convolutions of 3x3 one after another on 512x512 frames: 1.149 billion neurons, 43 billion weights' synapses.

    A graph in which neurons and convolutions are apart may not be that large, so that it begins as a LEGAL one.
    """
    nodes: dict[str, Op] = {"input": Input((64, 512, 512))}
    edges = []
    for channels in (*(64,) * 68, 32):
        before, name = list(nodes)[-1], f"p{len(nodes)}"
        nodes[name] = Neuron.of("if", threshold=1.0)
        edges.append(Edge(before, name, 0, (Conv(ShapeOnly((channels, 64, 3, 3)), padding=((1, 1), (1, 1))),)))
    edges.append(Edge(list(nodes)[-1], "output"))
    return Graph("billion", {**nodes, "output": Output()}, tuple(edges), Stage.LEGAL)
