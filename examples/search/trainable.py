"""Candidates in PyTorch: the graph of a candidate gets weights, is trained, and is a graph again.

    net = Trainable(candidate)              # bare shapes become first weights
    train(net, x, y, epochs=8, seed=0)
    graph = net.graph()                     # the same network with what was learned

A layer that names a width, as `net.conv(32, 3, bits=4)` does, is trained with weights of that width: forward, a weight
is a whole number of steps; backward, rounding is left out (a straight-through estimator). Spikes are steps forward and
a smooth bump backward (a surrogate gradient, Neftci et al., IEEE Signal Processing Magazine, 2019).
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Identity, Input, Linear, Output, Reshape, Scale, Upsample
from snncompile.ir.populations import Neuron
from snncompile.ir.types import ShapeOnly
from snncompile.search.numbers import with_random_numbers

BATCH, RATE = 64, 1e-2
MOMENTUM, EPSILON = 0.05, 1e-5
"""Of the batch norms: how fast their running statistics follow those of a batch, and what is added to a variance."""


class Spike(torch.autograd.Function):
    """1 where the argument is 0 or more; backward, the derivative of a fast sigmoid of slope 2."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, over: Tensor) -> Tensor:
        ctx.save_for_backward(over)
        return (over >= 0).to(over.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        (over,) = ctx.saved_tensors
        return gradient / (1 + 2 * over.abs()) ** 2


def step_of(weight: Tensor, bits: int) -> Tensor:
    """The value of the integer 1 for each output channel, `[out, 1, ...]`: for few bits in proportion to the mean size
    of the weights (LSQ, Esser et al., ICLR 2020), for many so that the largest weight is the largest integer."""
    size, largest = weight.detach().abs().flatten(1), 2 ** (bits - 1) - 1
    step = torch.minimum(size.amax(1) / largest, 2 * size.mean(1) / largest ** 0.5).clamp(min=1e-9)
    return step.reshape(-1, *[1] * (weight.dim() - 1))


def codes_of(weight: Tensor, bits: int) -> Tensor:
    """The weights as integers of a width of 2 bits or more, the same on both sides of 0."""
    largest = 2 ** (bits - 1) - 1
    return (weight.detach() / step_of(weight, bits)).round().clamp(-largest, largest)


class Trainable(nn.Module):
    """A FLOAT graph of the operators below, whose populations are `if` or `lif`, as a module of PyTorch.

    Its weights, the factors and the biases learn. They begin as `with_random_numbers` draws them, so that every
    population fires.
    """

    def __init__(self, bare: Graph, seed: int = 0):
        super().__init__()
        weights = {name: op.weight for name, op in bare.nodes.items() if isinstance(op, (Conv, Linear))}
        self.bits = {name: w.bits for name, w in weights.items() if isinstance(w, ShapeOnly) and w.bits}
        plain = {name: dataclasses.replace(op, weight=ShapeOnly(op.weight.shape)) if name in self.bits else op
                 for name, op in bare.nodes.items()}
        self.first = with_random_numbers(bare.replace(nodes=plain), seed)
        self.learned = nn.ParameterDict({
            f"{place}_{key}": nn.Parameter(torch.tensor(np.asarray(value, np.float32)))
            for place, op in enumerate(self.first.nodes.values()) if isinstance(op, (Conv, Linear, Scale))
            for key, value in op.arrays.items()})
        self.places = {name: place for place, name in enumerate(self.first.nodes)}
        self.norms = {}
        for name, op in bare.nodes.items():
            if isinstance(op, Scale) and isinstance(op.factor, ShapeOnly):
                self.norms[name] = torch.zeros(op.factor.shape), torch.ones(op.factor.shape)
                nn.init.ones_(self.number(name, "factor"))
                nn.init.zeros_(self.number(name, "bias"))

    def number(self, name: str, key: str) -> Tensor | None:
        """A weight, factor or bias of a node; None for a bias that it does not have."""
        found = f"{self.places[name]}_{key}"
        return self.learned.get(found)

    def weight(self, name: str) -> Tensor:
        """The weight of a layer, in whole steps where the layer names a width."""
        weight = self.number(name, "weight")
        if name not in self.bits:
            return weight
        return weight + (codes_of(weight, self.bits[name]) * step_of(weight, self.bits[name]) - weight).detach()

    def forward(self, x: Tensor) -> Tensor:
        """What the output receives for inputs `[sample, tick, *shape]`, summed over the ticks."""
        graph, past, membranes = self.first, defaultdict[str, list[Tensor]](list), dict[str, Tensor]()
        for tick in range(x.shape[1]):
            for name in graph.tick_order:
                op = graph.nodes[name]
                arriving = [past[e.src][tick - e.delay] for e in graph.edges_into[name] if e.delay <= tick]
                if isinstance(op, Input):
                    y = x[:, tick]
                elif arriving:
                    y = self.apply_op(name, op, sum(arriving[1:], arriving[0]), membranes)
                else:  # nothing has come yet over links of earlier ticks
                    y = x.new_zeros(len(x), *graph.shapes[name])
                past[name].append(y)
        [output] = [name for name, op in graph.nodes.items() if isinstance(op, Output)]
        return torch.stack(past[output]).sum(0)

    def apply_op(self, name: str, op: Op, x: Tensor, membranes: dict[str, Tensor]) -> Tensor:
        """One operator in one tick, `[sample, *shape]`."""
        match op:
            case Conv():
                (pad, _), *_ = op.padding
                return functional.conv2d(x, self.weight(name), self.number(name, "bias"), op.stride, pad, op.dilation,
                                         op.groups)
            case Linear():
                return functional.linear(x, self.weight(name), self.number(name, "bias"))
            case Scale():
                if name in self.norms:
                    return self.normed(name, x)
                y, bias = x * self.number(name, "factor"), self.number(name, "bias")
                return y if bias is None else y + bias
            case AvgPool():
                return functional.avg_pool2d(x, op.kernel, op.stride)
            case Upsample():
                return functional.interpolate(x, scale_factor=op.factor, mode="nearest")
            case Reshape():
                return x.reshape(len(x), *op.shape)
            case Neuron():
                return self.fire(name, op, x, membranes)
            case Identity() | Output():
                return x
        raise NotImplementedError(f"{name}: {op.kind()}")

    def normed(self, name: str, x: Tensor) -> Tensor:
        """A batch norm: by the statistics of the batch while gradients are taken, by running ones otherwise.

        Where nothing has come yet over a link of earlier ticks, there is nothing that a batch could tell.
        """
        place = self.places[name]
        mean, variance = self.norms[name]
        if torch.is_grad_enabled() and x.detach().any():
            over = [0, *range(2, x.dim())]
            now_mean, now_variance = x.mean(over, keepdim=True)[0], x.var(over, keepdim=True)[0]
            mean.lerp_(now_mean.detach(), MOMENTUM)
            variance.lerp_(now_variance.detach(), MOMENTUM)
            mean, variance = now_mean, now_variance
        factor, bias = self.learned[f"{place}_factor"], self.learned[f"{place}_bias"]
        return (x - mean) / (variance + EPSILON).sqrt() * factor + bias

    def folded(self, name: str) -> dict[str, np.ndarray]:
        """What a batch norm is after training: a factor and a bias for each channel."""
        mean, variance = self.norms[name]
        factor = self.number(name, "factor").detach() / (variance + EPSILON).sqrt()
        return {"factor": factor.numpy(), "bias": (self.number(name, "bias").detach() - mean * factor).numpy()}

    def fire(self, name: str, op: Neuron, x: Tensor, membranes: dict[str, Tensor]) -> Tensor:
        """`v' = decay v + x`, a spike at the threshold, and the reset."""
        threshold = float(op.threshold)
        v = x + float(op.params.get("decay", 1.0)) * membranes[name] if name in membranes else x
        spikes = Spike.apply(v - threshold)
        membranes[name] = v * (1 - spikes) if op.firing.reset == "value" else v - threshold * spikes
        return spikes

    def graph(self) -> Graph:
        """The network with the numbers that were learned. Behind a layer of a width stands a `Scale` with its steps."""
        nodes: dict[str, Op] = {}
        steps: dict[str, str] = {}
        for name, op in self.first.nodes.items():
            learned = {key: self.number(name, key).detach().numpy().copy()
                       for key in op.arrays if self.number(name, key) is not None}
            if name in self.bits:
                weight, bits = self.number(name, "weight"), self.bits[name]
                learned["weight"] = codes_of(weight, bits).numpy().astype(np.int16)
                step = step_of(weight, bits).detach().numpy().reshape(-1, *[1] * (weight.dim() - 2))
                steps[name] = f"{name}.step"
                nodes[steps[name]] = Scale(step.reshape(step.shape if weight.dim() > 2 else (-1,)),
                                           learned.pop("bias", None))
            if name in self.norms:
                learned = self.folded(name)
            nodes[name] = dataclasses.replace(op, **learned, **({"bias": None} if name in steps else {}))
        moved = (Edge(steps.get(e.src, e.src), e.dst, e.delay) for e in self.first.edges)
        return self.first.replace(nodes=nodes, edges=(*moved, *(Edge(a, b) for a, b in steps.items())))


def train(net: Trainable, x: np.ndarray, y: np.ndarray, epochs: int, seed: int = 0) -> None:
    """Train with the cross entropy of the summed output.

    Args:
        x: `[sample, tick, *shape]`.
        y: classes, `[sample]`.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    optimizer = torch.optim.Adam(net.parameters(), RATE)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for part in torch.randperm(len(x), generator=generator).split(BATCH):
            loss = functional.cross_entropy(net(inputs[part]), labels[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def right(net: Trainable, x: np.ndarray, y: np.ndarray) -> int:
    """How many samples the network decides as they are labelled."""
    with torch.no_grad():
        return int((net(torch.tensor(x, dtype=torch.float32)).argmax(1).numpy() == y).sum())
