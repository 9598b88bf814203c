"""The networks that the benchmarks run: random weights, scaled so that every population fires at about 10 %.

Every population is a LIF without a bias: `v = 0.9 v + x`, a spike where `v > 1`, the threshold then subtracted.
The input is spikes at 10 %.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Identity, Input, Linear, Output, Reshape
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing

RATE = 0.1
DECAY = 0.9
# Of ResNet-19, whose rates settle near 10 % with it; the chains are scaled layer by layer.
GAIN = np.float32(2)

# Shape of the input at one tick, and ticks of a sample.
INPUTS: dict[str, tuple[tuple[int, ...], int]] = {
    "mlp": ((784,), 25), "conv": ((2, 34, 34), 30), "vgg9": ((3, 32, 32), 4), "resnet19": ((3, 32, 32), 4),
}
FIRING = Firing(compare=">", reset="subtract", when="same", max_spikes=1)
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """A network of a benchmark.

    Attributes:
        name: how the tables call it.
        graph: `Graph[FLOAT]`.
        shape: of the input at one tick.
        ticks: of a sample.
    """

    name: str
    graph: Graph
    shape: tuple[int, ...]
    ticks: int

    def spikes(self, samples: int, seed: int = 1) -> Array:
        """Input spikes at 10 %, `[sample, tick, *shape]`."""
        return random_spikes(self.shape, self.ticks, samples, seed)

    @property
    def weights(self) -> int:
        return sum(a.size for op in self.graph.nodes.values() if not isinstance(op, Neuron)
                   for a in op.arrays.values())

    @property
    def macs(self) -> int:
        """Dense multiplications of a sample, borders counted exactly."""
        graph = self.graph
        return self.ticks * sum(op.synapses(graph.shapes[graph.edges_into[name][0].src])
                                for name, op in graph.nodes.items() if isinstance(op, (Linear, Conv)))


def random_spikes(shape: tuple[int, ...], ticks: int, samples: int, seed: int) -> Array:
    generator = np.random.default_rng(seed)
    return (generator.random((samples, ticks, *shape)) < RATE).astype(np.float32)


def population() -> Neuron:
    return Neuron.of("lif", FIRING, decay=DECAY, threshold=1.0)


def mlp() -> Network:
    """784-800-10, 25 ticks."""
    return chain("mlp", [*fully_connected(784, 800), *fully_connected(800, 10)], *INPUTS["mlp"])


def small_conv() -> Network:
    """Two convolutions on a DVS of 34x34 pixels: 16c5 - pool 2 - 32c3 - pool 2 - 10, 30 ticks."""
    layers = [*convolution(2, 16, 5), pool(), *convolution(16, 32, 3), pool(), Reshape((2048,)),
              *fully_connected(2048, 10)]
    return chain("conv", layers, *INPUTS["conv"])


def vgg9() -> Network:
    """VGG-9 on 3x32x32: 64 64 P 128 128 P 256 256 256 P 1024 10, 4 ticks."""
    layers: list[Op] = []
    for widths in ((3, 64, 64), (64, 128, 128), (128, 256, 256, 256)):
        for channels, filters in itertools.pairwise(widths):
            layers += convolution(channels, filters, 3)
        layers.append(pool())
    layers += [Reshape((4096,)), *fully_connected(4096, 1024), *fully_connected(1024, 10)]
    return chain("vgg9", layers, *INPUTS["vgg9"])


def resnet19() -> Network:
    """ResNet-19 on 3x32x32, 4 ticks: the variant of 12.6 million weights, norms folded into biases.

    Stem 128; three blocks of 128, three of 256 and two of 512 channels; a 1x1 convolution on the two shortcuts
    that change shape; the mean of each channel; ten outputs (Q-SNN, Wei et al., ACM MM 2024, table 2).
    """
    rng = np.random.default_rng(0)
    nodes: dict[str, Op] = {"input": Input(INPUTS["resnet19"][0])}
    edges: list[Edge] = []

    def add(name: str, op: Op, *sources: str) -> str:
        nodes[name] = op
        edges.extend(Edge(s, name) for s in sources)
        return name

    def conv(name: str, source: str, channels: int, filters: int, kernel: int, stride: int) -> str:
        pad = kernel // 2
        weight = GAIN * _random(rng, (filters, channels, kernel, kernel))
        bias = (0.05 * rng.standard_normal(filters)).astype(np.float32)
        return add(name, Conv(weight, bias, (stride, stride), ((pad, pad), (pad, pad))), source)

    last = add("stem.lif", population(), conv("stem.conv", "input", 3, 128, 3, 1))
    channels = 128
    for stage, (filters, blocks) in enumerate(((128, 3), (256, 3), (512, 2)), start=1):
        for block in range(blocks):
            name, stride = f"stage{stage}.{block}", 2 if filters != channels else 1
            inner = conv(f"{name}.conv1", last, channels, filters, 3, stride)
            inner = add(f"{name}.lif1", population(), inner)
            inner = conv(f"{name}.conv2", inner, filters, filters, 3, 1)
            short = last if stride == 1 else conv(f"{name}.shortcut", last, channels, filters, 1, 2)
            last = add(f"{name}.lif2", population(), add(f"{name}.add", Identity(), inner, short))
            channels = filters
    pooled = add("flatten", Reshape((512,)), add("pool", AvgPool((8, 8), (8, 8)), last))
    head = add("linear", Linear(10 * _random(rng, (10, 512)), np.zeros(10, np.float32)), pooled)
    add("output", Output("rate"), add("lif", population(), head))
    return Network("resnet19", Graph("resnet19", nodes, tuple(edges)), *INPUTS["resnet19"])


NETWORKS: dict[str, Callable[[], Network]] = {"mlp": mlp, "conv": small_conv, "vgg9": vgg9, "resnet19": resnet19}


def _random(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def convolution(channels: int, filters: int, kernel: int) -> list[Op]:
    """A convolution that keeps the size of its image, and its population."""
    pad = kernel // 2
    weight = np.zeros((filters, channels, kernel, kernel), np.float32)
    return [Conv(weight, padding=((pad, pad), (pad, pad))), population()]


def fully_connected(inputs: int, outputs: int) -> list[Op]:
    """A fully connected layer and its population."""
    return [Linear(np.zeros((outputs, inputs), np.float32)), population()]


def pool() -> Op:
    """The mean of 2 x 2 places."""
    return AvgPool((2, 2), (2, 2))


def chain(name: str, layers: list[Op], shape: tuple[int, ...], ticks: int) -> Network:
    """Layers behind each other, filled with random weights so that every population fires at RATE."""
    filled = list(_filled(layers, random_spikes(shape, ticks, 4, 0)))
    nodes: dict[str, Op] = {"input": Input(shape)}
    nodes |= {f"{i}_{op.kind()}": op for i, op in enumerate(filled)}
    nodes["output"] = Output("rate")
    edges = tuple(Edge(a, b) for a, b in itertools.pairwise(nodes))
    return Network(name, Graph(name, nodes, edges), shape, ticks)


def _filled(layers: list[Op], x: Array) -> Iterator[Op]:
    """The layers with random weights, each scaled on what the layers before it make of `x`."""
    rng = np.random.default_rng(0)
    for op in layers:
        if isinstance(op, Neuron):
            x = _spikes_for(x)
        else:
            if isinstance(op, (Linear, Conv)):
                op = type(op)(**{**dict(op.attributes()), "weight": _random(rng, op.weight.shape)})
                factor = _factor(_through(op, x))
                op = type(op)(**{**dict(op.attributes()), "weight": op.weight * np.float32(factor)})
            x = _through(op, x)
        yield op


def _through(op: Op, x: Array) -> Array:
    y = op.apply(x.reshape(-1, *x.shape[2:]))
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _factor(currents: Array) -> float:
    """By what to multiply the currents `[sample, tick, ...]` so that 10 % of the neurons fire in a tick."""
    low, high = 0.0, 64.0
    for _ in range(18):
        middle = (low + high) / 2
        low, high = (low, middle) if _spikes_for(currents * np.float32(middle)).mean() > RATE else (middle, high)
    return high


def _spikes_for(currents: Array) -> Array:
    """The spikes of a population that receives these currents."""
    shape = currents.shape[2:]
    nodes: dict[str, Op] = {"in": Input(shape, "real"), "lif": population(), "out": Output()}
    graph = Graph("population", nodes, (Edge("in", "lif"), Edge("lif", "out")))
    return np.asarray(run(graph, currents, dtype=np.float32).outputs["out"], np.float32)
