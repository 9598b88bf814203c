"""Synaptic operations are NeuroBench's, to the digit. NeuroBench is optional: `pip install --no-deps neurobench`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
snn = pytest.importorskip("snntorch", reason="snnTorch is not installed")
pytest.importorskip("neurobench", reason="NeuroBench is not installed")
models = pytest.importorskip("neurobench.models")
workload = pytest.importorskip("neurobench.metrics.workload")

from snncompile.cost.activity import measure  # noqa: E402
from snncompile.ir.graph import Edge, Graph  # noqa: E402
from snncompile.ir.op import Op  # noqa: E402
from snncompile.ir.ops import AvgPool, Conv, Input, Linear, Output, Reshape  # noqa: E402
from snncompile.ir.populations import Neuron  # noqa: E402
from snncompile.ir.rules import Firing  # noqa: E402
from snncompile.ir.types import Array  # noqa: E402
from snncompile.passes.legalize.canonicalize import Canonicalize  # noqa: E402
from snncompile.passes.legalize.fold_scales import FoldScales  # noqa: E402
from snncompile.passes.legalize.form_populations import FormPopulations  # noqa: E402
from snncompile.passes.pipeline import run_passes  # noqa: E402

TICKS = 12
SNNTORCH = Firing(">", "subtract", "after-decay")


class Net(torch.nn.Module):
    """Layers one after another; snnTorch's neurons keep their membranes."""

    def __init__(self, layers: list[Any]):
        super().__init__()
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, x: Any) -> Any:
        return self.layers(x), None


class Double(torch.nn.Module):
    """snnTorch's spikes are in single precision whatever its membranes are."""

    def forward(self, x: Any) -> Any:
        return x.double()


def weights(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Some of them zero."""
    return rng.normal(0.2, 0.6, shape) * (rng.random(shape) < 0.8)


def both(seed: int) -> tuple[Net, list[Op], tuple[int, ...]]:
    """The same random network twice: for PyTorch, and as operators."""
    rng = np.random.default_rng(seed)
    shape = channels, _, _ = int(rng.integers(1, 3)), int(rng.integers(8, 12)), int(rng.integers(8, 12))
    layers: list[Any] = []
    ops: list[Op] = [Input(shape)]

    def fire() -> None:
        beta = float(rng.uniform(0.3, 1.0))
        layers.extend([snn.Leaky(beta=beta, threshold=1.0, init_hidden=True), Double()])
        ops.append(Neuron.of("lif", SNNTORCH, decay=beta, threshold=1.0))

    here: tuple[int, ...] = shape
    for _ in range(rng.integers(1, 3)):
        out, kernel, stride, pad = (int(n) for n in (rng.integers(2, 5), rng.integers(2, 4), *rng.integers(1, 3, 2)))
        groups = channels if rng.random() < 0.2 else 1
        out *= groups
        weight, bias = weights(rng, (out, here[0] // groups, kernel, kernel)), rng.normal(0, 0.2, out)
        conv = torch.nn.Conv2d(here[0], out, kernel, stride, pad, groups=groups)
        conv.weight.data, conv.bias.data = torch.tensor(weight), torch.tensor(bias)
        layers.append(conv)
        ops.append(Conv(weight, bias, (stride,) * 2, ((pad, pad),) * 2, (1, 1), groups))
        here, channels = ops[-1].infer(here), out
        fire()
        if min(here[1:]) >= 2 and rng.random() < 0.5:
            layers.append(torch.nn.AvgPool2d(2))
            ops.append(AvgPool((2, 2), (2, 2)))
            here = ops[-1].infer(here)
    layers.append(torch.nn.Flatten())
    ops.append(Reshape((math.prod(here),)))
    dense = torch.nn.Linear(math.prod(here), 5, bias=False)
    weight = weights(rng, (5, math.prod(here)))
    dense.weight.data = torch.tensor(weight)
    layers.append(dense)
    ops.append(Linear(weight))
    fire()
    return Net(layers).double(), [*ops, Output()], shape


def legal(ops: list[Op]) -> Graph:
    nodes = {f"n{i}": op for i, op in enumerate(ops)}
    names = list(nodes)
    graph = Graph("net", nodes, tuple(Edge(names[i], names[i + 1]) for i in range(len(names) - 1)))
    return run_passes(graph, (Canonicalize(), FormPopulations()))


@pytest.mark.parametrize("seed", range(20))
def test_synaptic_operations_are_those_of_neurobench(seed):
    net, ops, shape = both(seed)
    rng = np.random.default_rng(seed)
    x = (rng.random((1, TICKS, *shape)) < 0.3) * (rng.uniform(0.5, 2) if seed % 3 == 0 else 1.0)
    model = models.SNNTorchModel(net)
    model.register_hooks()
    metric = workload.SynapticOperations()
    data = torch.tensor(x)
    with torch.no_grad():
        theirs = metric(model, model(data), (data, torch.zeros(1)))
    graph = legal(ops)
    ours = measure(graph, {"n0": x}).projections
    assert sum(p.accumulations for p in ours) == theirs["Effective_ACs"]
    assert sum(p.multiplications for p in ours) == theirs["Effective_MACs"]
    assert sum(p.dense for p in ours) == theirs["Dense"]
    folded = measure(run_passes(graph, (FoldScales(),)), {"n0": x}).projections
    together = theirs["Effective_ACs"] + theirs["Effective_MACs"]
    assert sum(p.accumulations + p.multiplications for p in folded) == together > 1000
