"""A neuron class for the tests, and helpers to run and compare networks."""

from __future__ import annotations

import torch
from torch import nn

import snncompile as sc
from snncompile.frontends.torch.cells import Cell
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing

FIRING = Firing(">", "subtract", "same")


class Lif(nn.Module):
    """A leaky neuron with `v' = beta v + x` that subtracts its threshold.

    Args:
        layout: the axes of its input, as in `Cell`.
        explicit: whether it is given its state and returns it; otherwise it keeps the state itself.
    """

    def __init__(self, beta: float = 0.75, threshold: float = 1.0, layout: str = "tick", explicit: bool = False):
        super().__init__()
        self.beta, self.threshold, self.layout, self.explicit = beta, threshold, layout, explicit
        self.v: torch.Tensor | float = 0.0

    def reset(self) -> None:
        self.v = 0.0

    def tick(self, x, v):
        v = self.beta * v + x
        spike = (v > self.threshold).to(x)
        return spike, v - spike * self.threshold

    def forward(self, x, v=None):
        if self.layout != "tick":
            axis = 0 if self.layout == "ticks-first" else 1
            v, spikes = 0.0, []
            for now in x.unbind(axis):
                spike, v = self.tick(now, v)
                spikes.append(spike)
            return torch.stack(spikes, axis)
        if self.explicit:
            return self.tick(x, 0.0 if v is None else v)
        spike, self.v = self.tick(x, self.v)
        return spike


@sc.neuron_module(Lif)
def lif(module, shape):
    returns = ("output", "state") if module.explicit else ("output",)
    return Cell(Neuron.of("lif", FIRING, decay=module.beta, threshold=module.threshold), layout=module.layout,
                returns=returns)


def ticks_of(step, x):
    """The outputs of a network that takes one tick, for an input `[sample, tick, ...]`."""
    for module in step.modules():
        if isinstance(module, Lif):
            module.reset()
    with torch.no_grad():
        return torch.stack([step(x[:, t]) for t in range(x.shape[1])], 1)


def same_network(a, b) -> bool:
    """Whether two graphs are equal, apart from the names of their nodes."""
    def canonical(graph):
        number = {n: i for i, n in enumerate(graph.nodes)}
        nodes = [str(graph.replace(nodes={"x": op}, edges=())).split("\n", 2)[2] for op in graph.nodes.values()]
        return nodes, sorted((number[e.src], number[e.dst], e.delay) for e in graph.edges)
    return canonical(a) == canonical(b)
