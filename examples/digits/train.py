"""Train the digits network with plain PyTorch and write digits.nir.

    python examples/digits/train.py [--epochs 60] [--output examples/digits/digits.nir]

Spikes are steps forward and a smooth bump backward (a surrogate gradient, Neftci et al., IEEE Signal Processing
Magazine, 2019). The graph that is written is run by the compiler's own interpreter before anything is
saved: it must take the same decision as the PyTorch network on every sample, trained on or held out.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path

import numpy as np
import torch
from dataset import TICKS, Split, digits
from torch import Tensor, nn
from torch.nn import functional

from snncompile.frontends.nir.export import export_nir
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Input, Linear, Output, Reshape
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing

DECAY = 0.875
THRESHOLD = 1.0
RATE_PENALTY = 0.1


class Spike(torch.autograd.Function):
    """1 where the argument is 0 or more; backward, the derivative of a fast sigmoid of slope 5."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, over: Tensor) -> Tensor:
        ctx.save_for_backward(over)
        return (over >= 0).to(over.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        (over,) = ctx.saved_tensors
        return gradient / (1 + 5 * over.abs()) ** 2


def lif(current: Tensor) -> Tensor:
    """Spikes `[tick, sample, ...]` of a population with `v' = DECAY v + x`, firing at `v' >= THRESHOLD`,
    which is then subtracted."""
    v = torch.zeros_like(current[0])
    spikes = []
    for x in current:
        v = DECAY * v + x
        spike = Spike.apply(v - THRESHOLD)
        v = v - THRESHOLD * spike
        spikes.append(spike)
    return torch.stack(spikes)


class Net(nn.Module):
    """conv 1-16, LIF, conv 16-32, LIF, pool 2, linear 512-10, LIF."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.linear = nn.Linear(512, 10)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The spikes of the three populations, each `[tick, sample, ...]`."""
        # The frame is the same at every tick, so its convolution is too.
        first = lif(self.conv1(frames).expand(TICKS, -1, -1, -1, -1))
        second = lif(per_tick(self.conv2, first))
        pooled = per_tick(lambda x: functional.avg_pool2d(x, 2), second).flatten(2)
        return first, second, lif(self.linear(pooled))


def per_tick(layer, x: Tensor) -> Tensor:
    return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def train(net: Net, data: Split, epochs: int) -> None:
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            first, second, out = net(x[batch])
            rate = first.mean() + second.mean()
            loss = functional.cross_entropy(out.sum(0), y[batch]) + RATE_PENALTY * rate
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        print(f"epoch {epoch + 1:3}: loss {loss.item():.3f}, rates {first.mean():.3f} {second.mean():.3f}", flush=True)


def decisions(net: Net, data: Split) -> np.ndarray:
    with torch.no_grad():
        return net(torch.from_numpy(data.x))[-1].sum(0).argmax(1).numpy()


def to_graph(net: Net) -> Graph:
    """The trained network as the compiler sees it."""
    w = {name: value.detach().numpy().copy() for name, value in net.named_parameters()}
    same = ((1, 1), (1, 1))
    firing = Firing(compare=">=", reset="subtract", when="same", max_spikes=1)

    def population() -> Neuron:
        return Neuron.of("lif", firing, decay=DECAY, threshold=THRESHOLD)

    layers: dict[str, Op] = {
        "input": Input((1, 8, 8), "real", 0, 1),
        "conv1": Conv(w["conv1.weight"], w["conv1.bias"], padding=same),
        "lif1": population(),
        "conv2": Conv(w["conv2.weight"], w["conv2.bias"], padding=same),
        "lif2": population(),
        "pool": AvgPool((2, 2), (2, 2)),
        "flatten": Reshape((512,)),
        "linear": Linear(w["linear.weight"], w["linear.bias"]),
        "lif3": population(),
        "output": Output("rate"),
    }
    names = list(layers)
    return Graph("digits", layers, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))


def check(graph: Graph, net: Net, data: Split) -> float:
    """Accuracy of the interpreter, whose every decision must be PyTorch's."""
    counts = run(graph, data.over_time()).outputs["output"].sum(1)
    decided = counts.argmax(1)
    assert np.array_equal(decided, decisions(net, data)), "the graph does not decide as the trained network does"
    return float((decided == data.y).mean())


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--epochs", type=int, default=60)
    arguments.add_argument("--output", type=Path, default=Path(__file__).parent / "digits.nir")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    training, held_out = digits()
    net = Net()
    start = time.perf_counter()
    train(net, training, options.epochs)
    print(f"trained in {time.perf_counter() - start:.0f} s")
    graph = to_graph(net)
    print(f"accuracy: {check(graph, net, training):.4f} trained on, {check(graph, net, held_out):.4f} held out")
    export_nir(graph, options.output)


if __name__ == "__main__":
    main()
